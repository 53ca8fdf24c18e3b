/* oneDNN's C interface, versions 2 and 3, whose descriptions of memory are values in the one and
 * objects in the other.
 *
 * The library would share a product out over OpenMP's threads, beside our pool. Each thread that
 * calls it is held to itself (omp_set_num_threads) for the length of the call. */
#include "cpu/onednn.h"

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRARY_NAME(major)      LIBRARY_NAME_TEXT(major)
#define LIBRARY_NAME_TEXT(major) "libdnnl.so." #major

#define COMMON_FUNCTIONS(X)                    \
    X(dnnl_version)                            \
    X(dnnl_engine_create)                      \
    X(dnnl_stream_create)                      \
    X(dnnl_stream_destroy)                     \
    X(dnnl_stream_wait)                        \
    X(dnnl_primitive_attr_create)              \
    X(dnnl_primitive_attr_destroy)             \
    X(dnnl_primitive_attr_set_scratchpad_mode) \
    X(dnnl_primitive_desc_query_md)            \
    X(dnnl_primitive_desc_destroy)             \
    X(dnnl_primitive_create)                   \
    X(dnnl_primitive_destroy)                  \
    X(dnnl_primitive_execute)                  \
    X(dnnl_reorder_primitive_desc_create)      \
    X(dnnl_memory_create)                      \
    X(dnnl_memory_destroy)                     \
    X(dnnl_memory_desc_get_size)
#if DNNL_VERSION_MAJOR >= 3
#define FUNCTIONS(X)                        \
    COMMON_FUNCTIONS(X)                     \
    X(dnnl_matmul_primitive_desc_create)    \
    X(dnnl_memory_desc_create_with_strides) \
    X(dnnl_memory_desc_create_with_tag)     \
    X(dnnl_memory_desc_clone)               \
    X(dnnl_memory_desc_destroy)
#else
#define FUNCTIONS(X)                    \
    COMMON_FUNCTIONS(X)                 \
    X(dnnl_matmul_desc_init)            \
    X(dnnl_primitive_desc_create)       \
    X(dnnl_memory_desc_init_by_strides) \
    X(dnnl_memory_desc_init_by_tag)
#endif

/* What of the library is used, and the state that all threads share. Written once. */
static struct {
#define MEMBER(name) __typeof__ (&(name))(name);
    FUNCTIONS(MEMBER)
#undef MEMBER
    void (*omp_set_num_threads)(int count);
    int (*omp_get_max_threads)(void);
    dnnl_engine_t engine;
    int works;
} library;

/* ---- Descriptions of memory, in one form for both versions ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t description;
#define GIVEN(description) (description)

static void forget(description *form)
{
    if (*form != NULL) {
        library.dnnl_memory_desc_destroy(*form);
        *form = NULL;
    }
}

static int describe(description *form, const dnnl_dims_t dims, dnnl_data_type_t type,
                    const dnnl_dims_t strides)
{
    return strides != NULL
               ? library.dnnl_memory_desc_create_with_strides(form, 2, dims, type, strides) ==
                     dnnl_success
               : library.dnnl_memory_desc_create_with_tag(form, 2, dims, type,
                                                          dnnl_format_tag_any) == dnnl_success;
}

static int keep(description *form, const_dnnl_memory_desc_t queried)
{
    return library.dnnl_memory_desc_clone(form, queried) == dnnl_success;
}

static int plan_product(dnnl_primitive_desc_t *plan, description forms[3],
                        const_dnnl_primitive_attr_t attributes)
{
    return library.dnnl_matmul_primitive_desc_create(plan, library.engine, forms[0], forms[1], NULL,
                                                     forms[2], attributes) == dnnl_success;
}
#else
typedef dnnl_memory_desc_t description;
#define GIVEN(description) (&(description))

static void forget(description *form)
{
    (void)form;
}

static int describe(description *form, const dnnl_dims_t dims, dnnl_data_type_t type,
                    const dnnl_dims_t strides)
{
    return strides != NULL
               ? library.dnnl_memory_desc_init_by_strides(form, 2, dims, type, strides) ==
                     dnnl_success
               : library.dnnl_memory_desc_init_by_tag(form, 2, dims, type, dnnl_format_tag_any) ==
                     dnnl_success;
}

static int keep(description *form, const dnnl_memory_desc_t *queried)
{
    *form = *queried;
    return 1;
}

static int plan_product(dnnl_primitive_desc_t *plan, description forms[3],
                        const_dnnl_primitive_attr_t attributes)
{
    dnnl_matmul_desc_t product;
    return library.dnnl_matmul_desc_init(&product, &forms[0], &forms[1], NULL, &forms[2]) ==
               dnnl_success &&
           library.dnnl_primitive_desc_create(plan, &product, attributes, library.engine, NULL) ==
               dnnl_success;
}
#endif

/* ---- The library ---- */

/** Finds the functions of the open library; returns whether all are there. */
static int find_functions(void *opened)
{
#define FIND(name)                                                          \
    if ((*(void **)(void *)&library.name = dlsym(opened, #name)) == NULL) { \
        return 0;                                                           \
    }
    FUNCTIONS(FIND)
    FIND(omp_set_num_threads) /* of the OpenMP that the library was linked with */
    FIND(omp_get_max_threads)
#undef FIND
    return 1;
}

static void start(void)
{
    void *opened = dlopen(LIBRARY_NAME(DNNL_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    library.works = opened != NULL && find_functions(opened) &&
                    library.dnnl_engine_create(&library.engine, dnnl_cpu, 0) == dnnl_success;
}

int ttm_cpu_onednn_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return library.works;
}

void ttm_cpu_onednn_describe(char *text, size_t bytes)
{
    text[0] = '\0';
    if (library.works) {
        const dnnl_version_t *version = library.dnnl_version();
        snprintf(text, bytes, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    }
}

/** Holds the calling thread's OpenMP to itself; returns what it was. */
static int hold_threads(void)
{
    const int before = library.omp_get_max_threads();
    library.omp_set_num_threads(1);
    return before;
}

/* ---- Products ---- */

struct ttm_cpu_onednn_product {
    description a;
    description packed;
    description sums;
    description scratch;
    dnnl_primitive_t code;
};

/** Makes the code from what is described; returns whether the library has any. */
static int compile(ttm_cpu_onednn_product *product)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t plan = NULL;
    description forms[3] = {product->a, product->packed, product->sums};
    int done = library.dnnl_primitive_attr_create(&attributes) == dnnl_success &&
               library.dnnl_primitive_attr_set_scratchpad_mode(
                   attributes, dnnl_scratchpad_mode_user) == dnnl_success &&
               plan_product(&plan, forms, attributes);
    if (done) {
        forget(&product->packed);
        done = keep(&product->packed,
                    library.dnnl_primitive_desc_query_md(plan, dnnl_query_weights_md, 0)) &&
               keep(&product->scratch,
                    library.dnnl_primitive_desc_query_md(plan, dnnl_query_scratchpad_md, 0)) &&
               library.dnnl_primitive_create(&product->code, plan) == dnnl_success;
    }
    if (plan != NULL) {
        library.dnnl_primitive_desc_destroy(plan);
    }
    if (attributes != NULL) {
        library.dnnl_primitive_attr_destroy(attributes);
    }
    return done;
}

ttm_cpu_onednn_product *ttm_cpu_onednn_create(int64_t rows, int64_t cols, int64_t depth,
                                              int64_t a_row, int64_t sums_row)
{
    const dnnl_dims_t a = {rows, depth};
    const dnnl_dims_t a_strides = {a_row, 1};
    const dnnl_dims_t b = {depth, cols};
    const dnnl_dims_t sums = {rows, cols};
    const dnnl_dims_t sums_strides = {sums_row, 1};
    ttm_cpu_onednn_product *product = calloc(1, sizeof *product);
    if (product == NULL) {
        return NULL;
    }
    const int threads = hold_threads();
    const int done = describe(&product->a, a, dnnl_bf16, a_strides) &&
                     describe(&product->packed, b, dnnl_bf16, NULL) &&
                     describe(&product->sums, sums, dnnl_f32, sums_strides) && compile(product);
    library.omp_set_num_threads(threads);
    if (!done) {
        ttm_cpu_onednn_destroy(product);
        return NULL;
    }
    return product;
}

size_t ttm_cpu_onednn_packed_bytes(const ttm_cpu_onednn_product *product)
{
    return library.dnnl_memory_desc_get_size(GIVEN(product->packed));
}

size_t ttm_cpu_onednn_scratch_bytes(const ttm_cpu_onednn_product *product)
{
    return library.dnnl_memory_desc_get_size(GIVEN(product->scratch));
}

/** An argument of a primitive: memory that is described and belongs to the caller. */
typedef struct argument {
    int which;
    const description *form;
    const void *data;
} argument;

enum { MOST_ARGUMENTS = 4 };

/** Runs code on memory; returns whether it could. */
static int execute(dnnl_primitive_t code, const argument *arguments, int count)
{
    dnnl_exec_arg_t given[MOST_ARGUMENTS] = {{0, NULL}};
    dnnl_stream_t stream = NULL;
    int done = library.dnnl_stream_create(&stream, library.engine, dnnl_stream_default_flags) ==
               dnnl_success;
    for (int i = 0; i < count; i++) {
        given[i].arg = arguments[i].which;
        done = done && library.dnnl_memory_create(&given[i].memory, GIVEN(*arguments[i].form),
                                                  library.engine,
                                                  (void *)arguments[i].data) == dnnl_success;
    }
    done = done && library.dnnl_primitive_execute(code, stream, count, given) == dnnl_success &&
           library.dnnl_stream_wait(stream) == dnnl_success;
    for (int i = 0; i < count; i++) {
        if (given[i].memory != NULL) {
            library.dnnl_memory_destroy(given[i].memory);
        }
    }
    if (stream != NULL) {
        library.dnnl_stream_destroy(stream);
    }
    return done;
}

/** Copies a matrix that lies as `form` says to where and how `to` says; returns whether it could.
 */
static int reorder(void *target, const description *to, const void *source,
                   const ttm_cpu_onednn_matrix *form)
{
    const dnnl_dims_t dims = {form->rows, form->cols};
    const dnnl_dims_t strides = {form->row, form->col};
    dnnl_primitive_desc_t plan = NULL;
    dnnl_primitive_t code = NULL;
    description from;
    const int threads = hold_threads();
    int done = describe(&from, dims, dnnl_bf16, strides);
    if (done) {
        const argument arguments[] = {{DNNL_ARG_FROM, &from, source}, {DNNL_ARG_TO, to, target}};
        done = library.dnnl_reorder_primitive_desc_create(&plan, GIVEN(from), library.engine,
                                                          GIVEN(*to), library.engine,
                                                          NULL) == dnnl_success &&
               library.dnnl_primitive_create(&code, plan) == dnnl_success &&
               execute(code, arguments, 2);
        forget(&from);
    }
    if (code != NULL) {
        library.dnnl_primitive_destroy(code);
    }
    if (plan != NULL) {
        library.dnnl_primitive_desc_destroy(plan);
    }
    library.omp_set_num_threads(threads);
    return done;
}

int ttm_cpu_onednn_pack(const ttm_cpu_onednn_product *product, void *packed, const void *b,
                        const ttm_cpu_onednn_matrix *form)
{
    return reorder(packed, &product->packed, b, form);
}

int ttm_cpu_onednn_copy_rows(const ttm_cpu_onednn_product *product, void *rows, const void *a,
                             const ttm_cpu_onednn_matrix *form)
{
    return reorder(rows, &product->a, a, form);
}

int ttm_cpu_onednn_run(const ttm_cpu_onednn_product *product, float *sums, const void *a,
                       const void *packed, void *scratch)
{
    const argument arguments[MOST_ARGUMENTS] = {{DNNL_ARG_SRC, &product->a, a},
                                                {DNNL_ARG_WEIGHTS, &product->packed, packed},
                                                {DNNL_ARG_DST, &product->sums, sums},
                                                {DNNL_ARG_SCRATCHPAD, &product->scratch, scratch}};
    const int threads = hold_threads();
    const int done = execute(product->code, arguments, MOST_ARGUMENTS);
    library.omp_set_num_threads(threads);
    return done;
}

void ttm_cpu_onednn_destroy(ttm_cpu_onednn_product *product)
{
    if (product == NULL) {
        return;
    }
    if (product->code != NULL) {
        library.dnnl_primitive_destroy(product->code);
    }
    forget(&product->a);
    forget(&product->packed);
    forget(&product->sums);
    forget(&product->scratch);
    free(product);
}
