/* Building programs: memory, then the disk cache, then the compiler. */
#include "opencl/program.h"

#include "opencl/clock.h"
#include "opencl/kernel_sources.h"
#include "opencl/matrix_units_retarget.h"
#include "opencl/private_file.h"
#include "opencl/program_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 16, OPTIONS_BYTES = 1024, LOG_BYTES = 3000 };

/* The sources of each family: what it needs first, itself last. */
static const char *const *const family_parts[OPENCL_FAMILY_COUNT] = {
#define PARTS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define ATTENTION_UNITS_PARTS(...)                                                          \
    PARTS("matrix_units.cl", "types.cl", "philox.cl", "matrix_units_emulated.cl",           \
          "matrix_units_ptx.cl", "matrix_units_parts.cl", "wgmma.cl", "attention_units.cl", \
          "attention_units_dropout.cl", "attention_mma.cl", "attention_wgmma.cl", __VA_ARGS__)
    [OPENCL_COPY] = PARTS("types.cl", "strided.cl", "copy.cl"),
    [OPENCL_COPY_FLAT] = PARTS("types.cl", "copy_flat.cl"),
    [OPENCL_ELEMENTWISE] =
        PARTS("types.cl", "gelu.cl", "philox.cl", "strided.cl", "elementwise.cl"),
    [OPENCL_MATMUL] = PARTS("types.cl", "gelu.cl", "product.cl", "matmul.cl"),
    [OPENCL_MATMUL_CPU] = PARTS("types.cl", "gelu.cl", "product.cl", "matmul_cpu.cl"),
    [OPENCL_MATMUL_THIN] = PARTS("types.cl", "gelu.cl", "product.cl", "matmul_thin.cl"),
    [OPENCL_MATMUL_THIN_WIDE] =
        PARTS("types.cl", "wide.cl", "gelu.cl", "product.cl", "matmul_thin_wide.cl"),
    [OPENCL_MATMUL_PIECES] = PARTS("types.cl", "gelu.cl", "product.cl", "matmul_pieces.cl"),
    [OPENCL_EPILOGUE] = PARTS("types.cl", "gelu.cl", "product.cl", "epilogue.cl"),
    [OPENCL_REDUCE] = PARTS("types.cl", "group_reduce.cl", "reduce.cl"),
    [OPENCL_SOFTMAX] = PARTS("types.cl", "group_reduce.cl", "softmax.cl"),
    [OPENCL_LAYER_NORM] = PARTS("types.cl", "group_reduce.cl", "layer_norm.cl"),
    [OPENCL_ATTENTION] = PARTS("types.cl", "philox.cl", "attention_tile.cl", "attention.cl"),
    [OPENCL_ATTENTION_BACKWARD] =
        PARTS("types.cl", "philox.cl", "attention_tile.cl", "attention_backward.cl"),
    [OPENCL_ATTENTION_FEW] = PARTS("types.cl", "wide.cl", "attention_few.cl"),
    [OPENCL_ATTENTION_UNITS] = ATTENTION_UNITS_PARTS("attention_matrix_units.cl"),
    [OPENCL_ATTENTION_UNITS_DQ] =
        ATTENTION_UNITS_PARTS("attention_backward_units.cl", "attention_dq_matrix_units.cl"),
    [OPENCL_ATTENTION_UNITS_DKDV] =
        ATTENTION_UNITS_PARTS("attention_backward_units.cl", "attention_dkdv_matrix_units.cl"),
    [OPENCL_CROSS_ENTROPY] = PARTS("types.cl", "group_reduce.cl", "cross_entropy.cl"),
    [OPENCL_SAMPLE] = PARTS("types.cl", "group_reduce.cl", "sample.cl"),
    [OPENCL_EMBEDDING] = PARTS("types.cl", "embedding.cl"),
    [OPENCL_ADAMW] = PARTS("types.cl", "philox.cl", "adamw.cl"),
    [OPENCL_MATRIX_UNITS_MMA] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_ptx.cl", "matrix_units_chunks.cl", "matrix_units_parts.cl",
              "matrix_units_mma.cl", "matmul_tiles.cl", "matmul_matrix_units.cl"),
    [OPENCL_MATRIX_UNITS_WGMMA] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_ptx.cl", "matrix_units_chunks.cl", "matrix_units_parts.cl", "wgmma.cl",
              "matrix_units_wgmma.cl", "matmul_tiles.cl", "matmul_matrix_units.cl"),
    [OPENCL_MATRIX_UNITS_PACKED] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_ptx.cl", "matrix_units_halves.cl", "wgmma.cl", "matrix_units_wgmma.cl",
              "matmul_tiles.cl", "packed_operands.cl", "slice_ring.cl", "matmul_packed.cl"),
    [OPENCL_MATRIX_UNITS_PACKED_COPIES] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_ptx.cl", "matrix_units_halves.cl", "matrix_units_mma.cl",
              "matmul_tiles.cl", "packed_operands.cl", "matmul_packed_copies.cl"),
    [OPENCL_PACK] = PARTS("matrix_units.cl", "types.cl", "matrix_units_chunks.cl",
                          "matrix_units_parts.cl", "matrix_units_halves.cl", "pack.cl"),
    [OPENCL_PACK_LINES] = PARTS("matrix_units.cl", "types.cl", "matrix_units_chunks.cl",
                                "matrix_units_parts.cl", "matrix_units_halves.cl", "pack_lines.cl"),
    [OPENCL_LINE_MAXIMA] =
        PARTS("matrix_units.cl", "types.cl", "matrix_units_halves.cl", "line_maxima.cl"),
    [OPENCL_TENSOR_MAPS] = PARTS("matrix_units.cl", "tensor_maps.cl"),
    [OPENCL_MATRIX_UNITS_DPAS] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_plain.cl", "matrix_units_chunks.cl", "matrix_units_dpas.cl",
              "matmul_tiles.cl", "matmul_matrix_units.cl"),
    [OPENCL_MATRIX_UNITS_MFMA] =
        PARTS("matrix_units.cl", "types.cl", "gelu.cl", "product.cl", "matrix_units_emulated.cl",
              "matrix_units_plain.cl", "matrix_units_chunks.cl", "matrix_units_mfma.cl",
              "matmul_tiles.cl", "matmul_matrix_units.cl"),
#undef PARTS
};

/* One built program. */
typedef struct built {
    struct built *next;
    opencl_family family;
    char options[OPTIONS_BYTES];
    cl_program program;
} built;

struct opencl_programs {
    const opencl_description *description;
    cl_context context;
    pthread_mutex_t lock;
    built *first;
};

const char *opencl_family_file(opencl_family family)
{
    const char *const *part = family_parts[family];
    while (part[1] != NULL) {
        part++;
    }
    return part[0];
}

opencl_programs *opencl_programs_new(const opencl_description *description, cl_context context)
{
    opencl_programs *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->description = description;
        made->context = context;
        pthread_mutex_init(&made->lock, NULL);
    }
    return made;
}

void opencl_programs_free(opencl_programs *programs)
{
    if (programs == NULL) {
        return;
    }
    while (programs->first != NULL) {
        built *old = programs->first;
        programs->first = old->next;
        clReleaseProgram(old->program);
        free(old);
    }
    pthread_mutex_destroy(&programs->lock);
    free(programs);
}

/* The texts of a family; returns how many. */
static cl_uint collect_sources(const char *sources[MAX_PARTS], opencl_family family)
{
    cl_uint count = 0;
    for (const char *const *part = family_parts[family]; *part != NULL; part++) {
        for (const opencl_kernel_source *source = opencl_kernel_sources; source->name != NULL;
             source++) {
            if (strcmp(source->name, *part) == 0) {
                sources[count++] = source->text;
            }
        }
    }
    return count;
}

static opencl_cache_key make_key(const opencl_programs *programs, const char *const *sources,
                                 cl_uint source_count, const char *options)
{
    opencl_cache_key key = opencl_cache_key_start();
    for (cl_uint i = 0; i < source_count; i++) {
        opencl_cache_key_add(&key, sources[i]);
    }
    opencl_cache_key_add(&key, options);
    opencl_cache_key_add(&key, programs->description->name);
    opencl_cache_key_add(&key, programs->description->vendor);
    opencl_cache_key_add(&key, programs->description->driver);
    opencl_cache_key_add(&key, programs->description->version);
    return key;
}

opencl_cache_key opencl_programs_key(const opencl_programs *programs, opencl_family family,
                                     const char *options)
{
    const char *sources[MAX_PARTS];
    const cl_uint count = collect_sources(sources, family);
    const char *more = getenv("TTM_OPENCL_OPTIONS");
    opencl_cache_key key = make_key(programs, sources, count, options);
    opencl_cache_key_add(&key, more != NULL ? more : "");
    return key;
}

/* What the compiler said, its beginning, in one line. */
static void read_build_log(char log[LOG_BYTES], const opencl_programs *programs, cl_program program)
{
    const cl_device_id device = programs->description->id;
    size_t bytes = 0;
    log[0] = '\0';
    clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *whole = bytes > 1 ? calloc(bytes + 1, 1) : NULL;
    if (whole != NULL) {
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, bytes, whole, NULL);
        snprintf(log, LOG_BYTES, "%s", whole + strspn(whole, " \r\n"));
        free(whole);
    }
    for (char *at = log; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\r') {
            *at = ' ';
        }
    }
}

static ttm_status fail_build(const opencl_programs *programs, cl_program program,
                             opencl_family family, const char *options, cl_int error)
{
    char log[LOG_BYTES];
    read_build_log(log, programs, program);
    return opencl_fail(TTM_ERROR_DEVICE,
                       "can't build %s for %s with '%s': %s (%d); update the driver or use another "
                       "backend; build log: %s",
                       opencl_family_file(family), programs->description->name, options,
                       opencl_error_name(error), (int)error, log[0] != '\0' ? log : "(empty)");
}

/* *program = the cached binary, built; NULL when there is none that works. */
static cl_program build_from_cache(const opencl_programs *programs, const opencl_cache_key *key,
                                   const char *options)
{
    size_t bytes = 0;
    unsigned char *binary = opencl_cache_read(&bytes, key);
    if (binary == NULL) {
        return NULL;
    }
    cl_int error = CL_SUCCESS;
    cl_int status = CL_SUCCESS;
    const unsigned char *binaries[1] = {binary};
    cl_program program = clCreateProgramWithBinary(programs->context, 1, &programs->description->id,
                                                   &bytes, binaries, &status, &error);
    free(binary);
    if (error == CL_SUCCESS && status == CL_SUCCESS) {
        error = clBuildProgram(program, 1, &programs->description->id, options, NULL, NULL);
    }
    if (error == CL_SUCCESS && status == CL_SUCCESS) {
        return program;
    }
    if (program != NULL) {
        clReleaseProgram(program);
    }
    opencl_log(TTM_LOG_INFO, "%s doesn't take a cached program any more; built anew",
               programs->description->name);
    opencl_cache_remove(key);
    return NULL;
}

/* The program's binary; NULL when the driver has none to give. The caller frees it. */
static unsigned char *read_binary(size_t *bytes, cl_program program)
{
    *bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *bytes, bytes, NULL) !=
            CL_SUCCESS ||
        *bytes == 0) {
        return NULL;
    }
    unsigned char *binary = malloc(*bytes);
    unsigned char *binaries[1] = {binary};
    if (binary != NULL && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binaries, binaries,
                                           NULL) != CL_SUCCESS) {
        free(binary);
        return NULL;
    }
    return binary;
}

static void write_to_cache(const opencl_cache_key *key, cl_program program)
{
    size_t bytes = 0;
    unsigned char *binary = read_binary(&bytes, program);
    if (binary != NULL) {
        opencl_cache_write(key, binary, bytes);
    }
    free(binary);
}

static ttm_status build_from_source(cl_program *program, const opencl_programs *programs,
                                    opencl_family family, const char **sources,
                                    cl_uint source_count, const char *options)
{
    cl_int error = CL_SUCCESS;
    cl_program made =
        clCreateProgramWithSource(programs->context, source_count, sources, NULL, &error);
    if (made == NULL) {
        return opencl_fail_call(error, programs->description->name, "make a program");
    }
    error = clBuildProgram(made, 1, &programs->description->id, options, NULL, NULL);
    if (error != CL_SUCCESS) {
        const ttm_status status = fail_build(programs, made, family, options, error);
        clReleaseProgram(made);
        return status;
    }
    *program = made;
    return TTM_OK;
}

/* Whether the program has instructions that its compiler doesn't know, as marked comments: those of
 * Hopper's wgmma, but not their emulation. */
static int has_marked_instructions(opencl_family family, const char *options)
{
    const int is_attention = family == OPENCL_ATTENTION_UNITS ||
                             family == OPENCL_ATTENTION_UNITS_DQ ||
                             family == OPENCL_ATTENTION_UNITS_DKDV;
    return (family == OPENCL_MATRIX_UNITS_WGMMA || family == OPENCL_MATRIX_UNITS_PACKED ||
            family == OPENCL_TENSOR_MAPS ||
            (is_attention && strstr(options, "-DUNIT=2") != NULL)) &&
           strstr(options, "-DEMULATED=0") != NULL;
}

/* For who looks for what a driver refuses: TTM_OPENCL_KEEP_PTX=FOLDER keeps PTX that isn't taken.
 */
static void keep_refused(const opencl_cache_key *key, const char *ptx, size_t bytes)
{
    const char *folder = secure_getenv("TTM_OPENCL_KEEP_PTX");
    char path[2048];
    if (folder != NULL && snprintf(path, sizeof path, "%s/%016" PRIx64 ".ptx", folder,
                                   key->words[0]) < (int)sizeof path) {
        const void *const parts[] = {ptx};
        if (!opencl_private_write(path, parts, &bytes, 1)) {
            opencl_log(TTM_LOG_WARNING, "can't keep PTX in %s: %s", path, strerror(errno));
        }
    }
}

/* Of the options the compiler of PTX knows NVIDIA's own: -cl-nv-verbose, -cl-nv-maxrregcount=N. */
static void keep_ptx_options(char kept[OPTIONS_BYTES], const char *options)
{
    size_t used = 0;
    while (*options != '\0') {
        const size_t length = strcspn(options, " ");
        if (strncmp(options, "-cl-nv-", 7) == 0 && used + length + 1 < OPTIONS_BYTES) {
            memcpy(kept + used, options, length);
            kept[used + length] = ' ';
            used += length + 1;
        }
        options += length + strspn(options + length, " ");
    }
    kept[used] = '\0';
}

/* Replaces *program by one from its own PTX, retargeted. */
static ttm_status build_retargeted(cl_program *program, const opencl_programs *programs,
                                   opencl_family family, const char *options,
                                   const opencl_cache_key *key)
{
    char ptx_options[OPTIONS_BYTES];
    keep_ptx_options(ptx_options, options);
    size_t bytes = 0;
    size_t new_bytes = 0;
    char *ptx = NULL;
    unsigned char *binary = read_binary(&bytes, *program);
    if (binary != NULL) {
        ptx = opencl_ptx_retarget(&new_bytes, (const char *)binary, bytes);
    }
    clReleaseProgram(*program);
    *program = NULL;
    if (ptx == NULL) {
        keep_refused(key, (const char *)binary, bytes);
        free(binary);
        return opencl_fail(TTM_ERROR_DEVICE,
                           "can't build %s for %s: its driver gives no PTX for sm_90",
                           opencl_family_file(family), programs->description->name);
    }
    free(binary);
    cl_int error = CL_SUCCESS;
    cl_int status = CL_SUCCESS;
    const unsigned char *binaries[1] = {(const unsigned char *)ptx};
    cl_program made = clCreateProgramWithBinary(programs->context, 1, &programs->description->id,
                                                &new_bytes, binaries, &status, &error);
    ttm_status result = TTM_OK;
    if (made == NULL) {
        result = opencl_fail_call(error, programs->description->name, "make a program from PTX");
    } else {
        error = clBuildProgram(made, 1, &programs->description->id, ptx_options, NULL, NULL);
        if (error != CL_SUCCESS) {
            result = fail_build(programs, made, family, options, error);
            clReleaseProgram(made);
        }
    }
    if (result == TTM_OK) {
        *program = made;
    } else {
        keep_refused(key, ptx, new_bytes);
    }
    free(ptx);
    return result;
}

/* Whether binaries are kept on disk: not where the driver does that.
 * TTM_OPENCL_PROGRAM_CACHE=on|off decides otherwise. */
static int keeps_binaries(const opencl_description *description)
{
    const char *wish = getenv("TTM_OPENCL_PROGRAM_CACHE");
    if (wish != NULL && strcmp(wish, "on") == 0) {
        return 1;
    }
    return !description->keeps_programs && (wish == NULL || strcmp(wish, "off") != 0);
}

static ttm_status build(cl_program *program, const opencl_programs *programs, opencl_family family,
                        const char *options)
{
    const char *sources[MAX_PARTS];
    const cl_uint count = collect_sources(sources, family);
    const opencl_cache_key key = make_key(programs, sources, count, options);
    const double start = opencl_seconds();
    const int keeps = keeps_binaries(programs->description);
    *program = keeps ? build_from_cache(programs, &key, options) : NULL;
    const int cached = *program != NULL;
    if (!cached) {
        ttm_status status = build_from_source(program, programs, family, sources, count, options);
        if (status == TTM_OK && has_marked_instructions(family, options)) {
            status = build_retargeted(program, programs, family, options, &key);
        }
        if (status != TTM_OK) {
            return status;
        }
        if (keeps) {
            write_to_cache(&key, *program);
        }
    }
    char log[LOG_BYTES];
    read_build_log(log, programs, *program);
    opencl_log(TTM_LOG_DEBUG, "%s %s in %.3f s (%s)%s%s", opencl_family_file(family),
               cached ? "taken from the cache" : "built", opencl_seconds() - start, options,
               log[0] != '\0' ? ": " : "", log);
    return TTM_OK;
}

/* The kernels' options, and what TTM_OPENCL_OPTIONS adds for whoever looks for a compiler's bug. */
static int complete_options(char *complete, const char *options)
{
    const char *more = getenv("TTM_OPENCL_OPTIONS");
    const int length =
        snprintf(complete, OPTIONS_BYTES, "%s%s%s", options,
                 more != NULL && more[0] != '\0' ? " " : "", more != NULL ? more : "");
    return length >= 0 && length < OPTIONS_BYTES;
}

ttm_status opencl_programs_get(cl_program *program, opencl_programs *programs, opencl_family family,
                               const char *kernel_options)
{
    ttm_status status = TTM_OK;
    char options[OPTIONS_BYTES] = "";
    if (!complete_options(options, kernel_options)) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "the build options of %s are too long; shorten "
                           "TTM_OPENCL_OPTIONS",
                           opencl_family_file(family));
    }
    pthread_mutex_lock(&programs->lock);
    for (const built *known = programs->first; known != NULL; known = known->next) {
        if (known->family == family && strcmp(known->options, options) == 0) {
            *program = known->program;
            goto out;
        }
    }
    built *made = calloc(1, sizeof *made);
    if (made == NULL) {
        status = opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a program's description");
        goto out;
    }
    status = build(&made->program, programs, family, options);
    if (status != TTM_OK) {
        free(made);
        goto out;
    }
    made->family = family;
    memcpy(made->options, options, sizeof made->options);
    made->next = programs->first;
    programs->first = made;
    *program = made->program;
out:
    pthread_mutex_unlock(&programs->lock);
    return status;
}
