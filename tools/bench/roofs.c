/* The device's roofs, through its own plugin: what shares of peak are shares of. */
#include "bench/host_memory.h"
#include "bench/measure.h"
#include "bench/product_list.h"
#include "bench/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* Up to three tensors and an op over them. */
typedef struct roof_work {
    bench_session *session;
    ttm_tensor tensors[3];
    int kind;
    void *host;
} roof_work;

enum { WORK_PRODUCT, WORK_COPY, WORK_TRIAD, WORK_READ, WORK_WRITE, WORK_UP, WORK_DOWN };

static ttm_status run_work(void *user, uint64_t call)
{
    const roof_work *work = user;
    ttm_stream *stream = work->session->stream;
    const ttm_tensor *t = work->tensors;
    const int64_t one = 1;
    (void)call;
    switch (work->kind) {
    case WORK_PRODUCT:
        return ttm_matmul(stream, &t[0], &t[1], &t[2], NULL);
    case WORK_COPY:
        return ttm_copy(stream, &t[0], &t[1]);
    case WORK_TRIAD:
        return ttm_add(stream, &t[0], 1.0, &t[1], 3.0, &t[2]);
    case WORK_READ: {
        const ttm_tensor sum = ttm_tensor_view(&t[0], 0, TTM_F32, 1, &one);
        return ttm_sum_of_squares(stream, &sum, 0.0, &t[1]);
    }
    case WORK_WRITE:
        return ttm_fill(stream, &t[0], 1.0);
    case WORK_UP:
        return ttm_tensor_write(stream, &t[0], work->host);
    default:
        return ttm_tensor_read(stream, work->host, &t[0]);
    }
}

static void free_tensors(roof_work *work)
{
    ttm_stream_drain(work->session->stream); /* after a failure something may be queued */
    for (int k = 0; k < 3; k++) {
        ttm_tensor_free(&work->tensors[k], work->session->device);
    }
}

/* A result that isn't TF32, which operands alone can be. */
static ttm_dtype result_dtype(ttm_dtype dtype)
{
    return dtype == TTM_TF32 ? TTM_F32 : dtype;
}

static ttm_status alloc_tensors(roof_work *work, ttm_dtype dtype, int count, int32_t rank,
                                const int64_t *shape)
{
    ttm_status status = TTM_OK;
    for (int k = 0; k < count && status == TTM_OK; k++) {
        status = ttm_tensor_alloc(&work->tensors[k], work->session->device,
                                  k == 0 ? result_dtype(dtype) : dtype, rank, shape);
        if (status == TTM_OK) {
            status = bench_fill_random(work->session, &work->tensors[k], 1.0, 0);
        }
    }
    return status;
}

/* *best = least time of one call. */
static ttm_status time_work(double *best, roof_work *work, int kind)
{
    bench_series series = {0};
    bench_timing timing = {0};
    work->kind = kind;
    if (!bench_series_begin_round(&series)) {
        return TTM_OK;
    }
    const ttm_status status = bench_measure(&series, &timing, work->session, run_work, work);
    bench_series_free(&series);
    *best = timing.best_ns;
    return status;
}

/* Whether a roof is asked for: `devices` takes --op for a part of their names. */
static bool is_wanted(const bench_session *session, const char *name)
{
    const char *part = session->arguments->op;
    return part == NULL || strcmp(session->arguments->command, "devices") != 0 ||
           strstr(name, part) != NULL;
}

/* Whether the device computes products of this type itself. */
static bool has_products(bench_session *session, ttm_dtype dtype)
{
    const int64_t shape[] = {64, 64};
    const ttm_tensor matrix = ttm_tensor_describe(dtype, 2, shape);
    const ttm_tensor result = ttm_tensor_describe(result_dtype(dtype), 2, shape);
    ttm_stream *planning = NULL;
    bool found = false;
    if ((ttm_device_get_info(session->device)->dtype_mask & (1u << dtype)) != 0 &&
        ttm_stream_create_planning(&planning, session->device) == TTM_OK &&
        ttm_matmul(planning, &result, &matrix, &matrix, NULL) == TTM_OK) {
        found = ttm_stream_statistics(planning, TTM_OP_MATMUL).fallback_calls == 0;
    }
    ttm_stream_destroy(planning);
    return found;
}

/* *elapsed_ns = time of a call after the first one, which may compile. */
static ttm_status take_second_call(double *elapsed_ns, roof_work *work, int kind)
{
    ttm_status status = TTM_OK;
    work->kind = kind;
    for (int call = 0; call < 2 && status == TTM_OK; call++) {
        const double began = bench_now_ns();
        status = run_work(work, 0);
        if (status == TTM_OK) {
            status = ttm_stream_synchronize(work->session->stream);
        }
        *elapsed_ns = bench_now_ns() - began;
    }
    return status;
}

/* A product that takes longer is large enough: the next size takes eight times as long. */
static const double long_product_ns = 5e7;

/* *size = where measuring products begins: 512, or less where that would take long. */
static ttm_status find_first_size(int64_t *size, bench_session *session, ttm_dtype dtype)
{
    enum { SMALLEST = 64, USUAL = 512 };
    double elapsed_ns = 0.0;
    ttm_status status = TTM_OK;
    for (*size = SMALLEST; *size < USUAL; *size *= 2) {
        const int64_t shape[] = {*size, *size};
        roof_work work = {.session = session};
        status = alloc_tensors(&work, dtype, 3, 2, shape);
        if (status == TTM_OK) {
            status = take_second_call(&elapsed_ns, &work, WORK_PRODUCT);
        }
        free_tensors(&work);
        if (status != TTM_OK || 8.0 * elapsed_ns > long_product_ns) {
            break;
        }
    }
    return status;
}

/* Doubles the size while a product takes less than a twentieth of a second. */
static ttm_status measure_products(bench_session *session, ttm_dtype dtype)
{
    int64_t size = 0;
    char name[48];
    double *flops = &session->roofs.product_flops[dtype];
    double best_ns = 0.0;
    snprintf(name, sizeof name, "product_%s_flops", ttm_dtype_name(dtype));
    if (!is_wanted(session, name)) {
        return TTM_OK;
    }
    ttm_status status = find_first_size(&size, session, dtype);
    for (; status == TTM_OK && size <= 8192 && best_ns < long_product_ns; size *= 2) {
        const int64_t shape[] = {size, size};
        roof_work work = {.session = session};
        snprintf(name, sizeof name, "roof: %s product of %lld", ttm_dtype_name(dtype),
                 (long long)size);
        bench_progress(session, name);
        status = alloc_tensors(&work, dtype, 3, 2, shape);
        if (status == TTM_OK) {
            status = time_work(&best_ns, &work, WORK_PRODUCT);
        }
        free_tensors(&work);
        if (status == TTM_OK) {
            *flops = fmax(*flops, 2e9 * (double)size * (double)size * (double)size / best_ns);
        }
    }
    snprintf(name, sizeof name, "product_%s_flops", ttm_dtype_name(dtype));
    if (status == TTM_OK) {
        bench_set_number(&session->result, "roofs", name, *flops);
    }
    return status;
}

/* Arrays far larger than the caches, but no more than a sixteenth of the memory each. Four times a
 * cache isn't far: caches that don't replace what is oldest keep their share, a quarter of all
 * reads. */
static int64_t usual_elements(const bench_session *session)
{
    const uint64_t memory = ttm_device_get_info(session->device)->memory_bytes;
    double bytes = fmax(64e6, 16.0 * session->cache_bytes);
    if (ttm_device_get_info(session->device)->kind != TTM_DEVICE_CPU) {
        bytes = 1e9; /* An H100 keeps 50 MB: a fifth of arrays of 256 MB. */
    }
    if (memory > 0) {
        bytes = fmin(bytes, (double)memory / 16.0);
    }
    return (int64_t)(bytes / 4.0);
}

/* *elements = what arrays of memory's roofs have: fewer where a copy would take longer than a
 * second, which no cache makes it. */
static ttm_status find_elements(int64_t *elements, bench_session *session)
{
    const int64_t usual = usual_elements(session);
    const int64_t few = usual < 1 << 18 ? usual : 1 << 18;
    double elapsed_ns = 0.0;
    roof_work work = {.session = session};
    ttm_status status = alloc_tensors(&work, TTM_F32, 2, 1, &few);
    if (status == TTM_OK) {
        status = take_second_call(&elapsed_ns, &work, WORK_COPY);
    }
    free_tensors(&work);
    const double fitting = 1e9 / fmax(elapsed_ns, 1.0) * (double)few;
    *elements = fitting < (double)usual ? (int64_t)fmax(fitting, (double)few) : usual;
    return status;
}

/* A device that is the processor may do more than the plugin's ops do. Its three arrays take turns,
 * so that half the size is enough. */
static void measure_host_memory(bench_session *session, int64_t elements)
{
    const ttm_device_info *info = ttm_device_get_info(session->device);
    bench_roofs *roofs = &session->roofs;
    bench_memory_speeds host;
    const int threads = (int)fmin(fmax((double)info->compute_units, 1.0), 1024.0);
    if (info->kind != TTM_DEVICE_CPU) {
        return;
    }
    bench_progress(session, "roof: memory by plain loops");
    if (bench_host_memory_measure(&host, (size_t)elements / 2, threads,
                                  session->arguments->seconds)) {
        roofs->copy = fmax(roofs->copy, host.copy);
        roofs->triad = fmax(roofs->triad, host.triad);
        roofs->read = fmax(roofs->read, host.read);
        roofs->write = fmax(roofs->write, host.write);
    }
}

static ttm_status measure_memory(bench_session *session)
{
    bench_roofs *roofs = &session->roofs;
    const struct {
        int kind;
        double passes; /* Arrays read and written. */
        double *speed;
        const char *name;
    } kinds[] = {{WORK_COPY, 2.0, &roofs->copy, "copy_bytes_per_second"},
                 {WORK_TRIAD, 3.0, &roofs->triad, "triad_bytes_per_second"},
                 {WORK_READ, 1.0, &roofs->read, "read_bytes_per_second"},
                 {WORK_WRITE, 1.0, &roofs->write, "write_bytes_per_second"}};
    int64_t elements = 0;
    roof_work work = {.session = session};
    bool any = false;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        any = any || is_wanted(session, kinds[k].name);
    }
    if (!any) {
        return TTM_OK;
    }
    ttm_status status = find_elements(&elements, session);
    if (status == TTM_OK) {
        status = alloc_tensors(&work, TTM_F32, 3, 1, &elements);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds && status == TTM_OK; k++) {
        double best_ns = 0.0;
        if (!is_wanted(session, kinds[k].name)) {
            continue;
        }
        bench_progress(session, kinds[k].name);
        status = time_work(&best_ns, &work, kinds[k].kind);
        *kinds[k].speed = kinds[k].passes * 4e9 * (double)elements / best_ns;
    }
    free_tensors(&work);
    if (status == TTM_OK) {
        measure_host_memory(session, usual_elements(session));
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds && status == TTM_OK; k++) {
        if (*kinds[k].speed > 0.0) {
            bench_set_number(&session->result, "roofs", kinds[k].name, *kinds[k].speed);
        }
    }
    roofs->memory = fmax(fmax(roofs->copy, roofs->triad), fmax(roofs->read, roofs->write));
    bench_set_number(&session->result, "roofs", "memory_bytes_per_second", roofs->memory);
    return status;
}

static ttm_status measure_launch(bench_session *session)
{
    const int64_t one = 1;
    roof_work work = {.session = session};
    if (!is_wanted(session, "launch_ns")) {
        return TTM_OK;
    }
    ttm_status status = alloc_tensors(&work, TTM_F32, 3, 1, &one);
    if (status == TTM_OK) {
        status = time_work(&session->roofs.launch_ns, &work, WORK_TRIAD);
        bench_set_number(&session->result, "roofs", "launch_ns", session->roofs.launch_ns);
    }
    free_tensors(&work);
    return status;
}

static ttm_status measure_transfers(bench_session *session)
{
    const int64_t elements = 16 << 20;
    roof_work work = {.session = session, .host = calloc((size_t)elements, 4)};
    if (work.host == NULL) {
        return TTM_OK;
    }
    double up_ns = 0.0;
    double down_ns = 0.0;
    ttm_status status = alloc_tensors(&work, TTM_F32, 1, 1, &elements);
    if (status == TTM_OK) {
        status = time_work(&up_ns, &work, WORK_UP);
    }
    if (status == TTM_OK) {
        status = time_work(&down_ns, &work, WORK_DOWN);
    }
    free_tensors(&work);
    free(work.host);
    if (status == TTM_OK) {
        session->roofs.to_device = 4e9 * (double)elements / up_ns;
        session->roofs.from_device = 4e9 * (double)elements / down_ns;
        bench_set_number(&session->result, "roofs", "to_device_bytes_per_second",
                         session->roofs.to_device);
        bench_set_number(&session->result, "roofs", "from_device_bytes_per_second",
                         session->roofs.from_device);
    }
    return status;
}

ttm_status bench_measure_roofs(bench_session *session, bool all)
{
    static const ttm_dtype dtypes[] = {TTM_F32, TTM_TF32, TTM_BF16, TTM_F16, TTM_F64};
    ttm_status status = TTM_OK;
    if (session->arguments->no_roofs && !all) {
        return TTM_OK;
    }
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes && status == TTM_OK; k++) {
        const bool wanted = all || dtypes[k] == TTM_F32 || dtypes[k] == session->dtype ||
                            bench_products_have(session->arguments->product, dtypes[k]);
        if (wanted && has_products(session, dtypes[k])) {
            status = measure_products(session, dtypes[k]);
        }
    }
    if (status == TTM_OK) {
        status = measure_memory(session);
    }
    if (status == TTM_OK) {
        status = measure_launch(session);
    }
    if (status == TTM_OK && all && is_wanted(session, "to_device from_device")) {
        status = measure_transfers(session);
    }
    bench_progress(session, NULL);
    return status;
}
