/* Which unit, which variant, and the launch. */
#include "opencl/matrix_units.h"

#include "opencl/matrix_units_probe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below this many multiply-adds our other kernels are as fast. */
#define LEAST_MULTIPLIES ((int64_t)64 * 64 * 64)

/* From here on the error of a split product is within MATMUL's bound whatever the numbers are; see
 * docs/opencl-matrix-units.md. */
#define LEAST_SPLIT_DEPTH 240

/* Twice the registers for half the threads: without, sums are spilled. */
#define INTEL_REGISTERS " -cl-intel-256-GRF-per-thread"

/* How an operand lies and is read: RUNS and ACCESS of kernels_cl/matrix_units.cl. */
typedef struct operand_way {
    int runs;
    int access;
} operand_way;

enum { ACCESS_ELEMENTS = 0, ACCESS_CHUNKS = 1, ACCESS_DIRECT = 2, CHUNK = 8 };

/* Build options that have been proven in this process. */
typedef struct proven {
    struct proven *next;
    char options[OPENCL_UNIT_OPTIONS_BYTES];
} proven;

struct opencl_units {
    pthread_mutex_t lock;
    int32_t device_index;
    opencl_unit unit; /* What is used now; NONE after a failure. */
    int emulated;
    int splits;   /* f32 products are split. */
    int only;     /* The one variant to use, or -1. */
    int forced;   /* Named by the user: small products too, and kept failures don't count. */
    int is_probe; /* In a child: nothing is proven, and nothing is caught. */
    proven *first;
};

/* "emulated-mma" */
static void write_unit_name(char name[32], const opencl_units *units)
{
    snprintf(name, 32, "%s%s", units->emulated ? "emulated-" : "", opencl_unit_name(units->unit));
}

/* "wgmma", "emulated-mma:2", … */
static ttm_status read_wish(opencl_units *units, const char *wish)
{
    char name[32];
    char rest[32] = "";
    units->forced = 1;
    const int fields = sscanf(wish, "%31[a-z-]:%d%31s", name, &units->only, rest);
    if (fields > 0 && strncmp(name, "emulated-", 9) == 0) {
        units->emulated = 1;
        memmove(name, name + 9, strlen(name + 9) + 1);
    }
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    units->unit = fields > 0 ? opencl_unit_named(name) : OPENCL_UNIT_NONE;
    if (fields < 1 || fields > 2 || units->unit == OPENCL_UNIT_NONE || units->only >= count ||
        (fields == 2 && (units->only < 0 || variants[units->only].unit != units->unit))) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "TTM_OPENCL_MATRIX_UNITS is '%s'; use auto, off, mma, wgmma, dpas, "
                           "mfma or one of these units with emulated- before it; with :N for "
                           "variant N of that unit",
                           wish);
    }
    return TTM_OK;
}

ttm_status opencl_units_open(opencl_units **units, const ttm_backend_device *device,
                             int32_t device_index)
{
    const char *wish = getenv("TTM_OPENCL_MATRIX_UNITS");
    const char *products = getenv("TTM_OPENCL_FP32");
    opencl_units *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device's matrix units");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->device_index = device_index;
    made->only = -1;
    made->is_probe = getenv("TTM_OPENCL_MATRIX_UNITS_PROBE") != NULL;
    made->splits = products != NULL && strcmp(products, "split") == 0;
    ttm_status status = TTM_OK;
    if (products != NULL && !made->splits && strcmp(products, "strict") != 0) {
        status = opencl_fail(TTM_ERROR_ARGUMENT, "TTM_OPENCL_FP32 is '%s'; use strict or split",
                             products);
    } else if (wish == NULL || strcmp(wish, "auto") == 0) {
        made->unit = opencl_unit_of_device(device->description);
        if (made->unit != OPENCL_UNIT_NONE && !opencl_unit_is_tried(made->unit)) {
            opencl_log(TTM_LOG_DEBUG,
                       "%s has matrix units that nobody has tried; TTM_OPENCL_MATRIX_UNITS=%s "
                       "does",
                       device->description->name, opencl_unit_name(made->unit));
            made->unit = OPENCL_UNIT_NONE;
        }
    } else if (strcmp(wish, "off") != 0) {
        status = read_wish(made, wish);
    }
    if (status != TTM_OK) {
        opencl_units_close(made);
        return status;
    }
    *units = made;
    return TTM_OK;
}

void opencl_units_close(opencl_units *units)
{
    if (units == NULL) {
        return;
    }
    while (units->first != NULL) {
        proven *old = units->first;
        units->first = old->next;
        free(old);
    }
    pthread_mutex_destroy(&units->lock);
    free(units);
}

/* ---- Which variant ---- */

static int64_t extent(const ttm_tensor *tensor, int from_last)
{
    return tensor->shape[tensor->rank - 1 - from_last];
}

/* The cheapest in time, as far as that follows from sizes: rounds of groups over the device, times
 * the work of a group, times what it loads for it. */
static int choose_variant(const opencl_units *units, const opencl_product *product, int parts,
                          uint32_t compute_units)
{
    int count = 0;
    int best = -1;
    double best_cost = 0.0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int i = 0; i < count; i++) {
        const opencl_unit_variant *variant = &variants[i];
        if (!opencl_unit_variant_is_valid(variant) || variant->unit != units->unit ||
            variant->parts != parts || (units->only >= 0 && units->only != i)) {
            continue;
        }
        const double rows = variant->tile_rows;
        const double cols = variant->tile_cols;
        const int64_t tiles = opencl_parts(extent(&product->out, 1), variant->tile_rows) *
                              opencl_parts(extent(&product->out, 0), variant->tile_cols) *
                              opencl_product_batches(product);
        const int64_t rounds = opencl_parts(tiles, compute_units > 0 ? compute_units : 1);
        const double cost = (double)rounds * rows * cols * (1.0 + 32.0 / rows + 32.0 / cols);
        if (best < 0 || cost < best_cost) {
            best = i;
            best_cost = cost;
        }
    }
    return best;
}

static int is_multiple(int64_t value)
{
    return value % CHUNK == 0;
}

/* How an operand is read whose lines are `line_dim` from the last dimension (1 for a, 0 for b);
 * `copies`: the device brings bf16 to local memory without registers. */
static operand_way way_of(const ttm_tensor *tensor, int line_dim, int copies)
{
    const int depth_dim = 1 - line_dim;
    const int64_t line_stride = tensor->stride[tensor->rank - 1 - line_dim];
    const int64_t depth_stride = tensor->stride[tensor->rank - 1 - depth_dim];
    operand_way way = {.runs = depth_stride != 1 && line_stride == 1};
    const int64_t run_stride = way.runs ? line_stride : depth_stride;
    const int64_t other_stride = way.runs ? depth_stride : line_stride;
    int aligned = run_stride == 1 && is_multiple(other_stride) &&
                  tensor->offset % (tensor->dtype == TTM_BF16 ? 16 : 32) == 0;
    for (int32_t dim = 0; dim < tensor->rank - 2; dim++) {
        aligned = aligned && is_multiple(tensor->stride[dim]);
    }
    if (aligned) {
        way.access = tensor->dtype == TTM_BF16 && copies ? ACCESS_DIRECT : ACCESS_CHUNKS;
    }
    return way;
}

static void write_options(char *options, const opencl_units *units,
                          const opencl_unit_variant *variant, const opencl_product *product,
                          operand_way a, operand_way b)
{
    opencl_unit_variant_write(options, variant);
    const size_t used = strlen(options);
    snprintf(options + used, OPENCL_UNIT_OPTIONS_BYTES - used,
             " -DDATA=%d -DRESULT=%d -DEMULATED=%d -DA_RUNS=%d -DB_RUNS=%d -DA_ACCESS=%d "
             "-DB_ACCESS=%d%s",
             (int)product->a.dtype, (int)product->out.dtype, units->emulated, a.runs, b.runs,
             a.access, b.access,
             units->unit == OPENCL_UNIT_DPAS && !units->emulated ? INTEL_REGISTERS : "");
}

static opencl_family family_of(opencl_unit unit)
{
    switch (unit) {
    case OPENCL_UNIT_WGMMA:
        return OPENCL_MATRIX_UNITS_WGMMA;
    case OPENCL_UNIT_DPAS:
        return OPENCL_MATRIX_UNITS_DPAS;
    case OPENCL_UNIT_MFMA:
        return OPENCL_MATRIX_UNITS_MFMA;
    default:
        return OPENCL_MATRIX_UNITS_MMA;
    }
}

/* 1 or 3, or 0 for products that matrix units don't take. */
static int parts_for(const opencl_units *units, const opencl_product *product)
{
    const ttm_dtype data = product->a.dtype;
    const ttm_dtype result = product->out.dtype;
    const int64_t rows = extent(&product->out, 1);
    const int64_t cols = extent(&product->out, 0);
    const int64_t depth = extent(&product->a, 0);
    if (depth < 1 || rows > INT32_MAX / 2 || cols > INT32_MAX / 2 ||
        (!units->forced && (rows < 32 || cols < 32 || rows * cols * depth < LEAST_MULTIPLIES))) {
        return 0;
    }
    if (data == TTM_BF16 && (result == TTM_BF16 || result == TTM_F32)) {
        return 1;
    }
    return data == TTM_F32 && result == TTM_F32 && units->splits &&
                   units->unit == OPENCL_UNIT_MMA &&
                   depth >= (units->forced ? 16 : LEAST_SPLIT_DEPTH)
               ? 3
               : 0;
}

/* ---- Proof ---- */

static opencl_cache_key verdict_key(const ttm_backend_device *device, opencl_family family,
                                    const char *what)
{
    opencl_cache_key key = opencl_programs_key(device->programs, family, what);
    opencl_cache_key_add(&key, "verdict");
    return key;
}

static void demote(opencl_units *units, const ttm_backend_device *device,
                   const opencl_cache_key *unit_key, const char *reason)
{
    char name[32];
    write_unit_name(name, units);
    opencl_log(TTM_LOG_WARNING,
               "matrix units (%s) of %s aren't used: %s; products go to other kernels", name,
               device->description->name, reason);
    opencl_verdict_write(unit_key, OPENCL_VERDICT_FAILED);
    units->unit =
        units->unit == OPENCL_UNIT_WGMMA && !units->forced ? OPENCL_UNIT_MMA : OPENCL_UNIT_NONE;
}

static int is_proven_here(const opencl_units *units, const char *options)
{
    const proven *known = units->first;
    while (known != NULL && strcmp(known->options, options) != 0) {
        known = known->next;
    }
    return known != NULL;
}

static void remember(opencl_units *units, const char *options)
{
    proven *made = calloc(1, sizeof *made);
    if (made != NULL) {
        snprintf(made->options, sizeof made->options, "%s", options);
        made->next = units->first;
        units->first = made;
    }
}

/* What a child is asked about a product: the arguments of ttm-opencl-probe. */
static opencl_probe_request make_request(const opencl_product *product, operand_way a,
                                         operand_way b)
{
    const int numbers[OPENCL_PROBE_WORDS] = {
        (int)product->a.dtype, (int)product->out.dtype, a.runs, b.runs, a.access, b.access};
    opencl_probe_request request = {.word_count = OPENCL_PROBE_WORDS};
    for (int i = 0; i < OPENCL_PROBE_WORDS; i++) {
        snprintf(request.words[i], sizeof request.words[i], "%d", numbers[i]);
    }
    return request;
}

/* Whether the kernel may be used; finds that out where nobody knows. The lock is held. */
static int is_proven(opencl_units *units, const ttm_backend_device *device, opencl_family family,
                     const char *options, opencl_probe_request *request, int variant)
{
    char reason[512] = "";
    char name[32];
    if (units->is_probe || is_proven_here(units, options)) {
        return 1;
    }
    const opencl_cache_key key = verdict_key(device, family, options);
    write_unit_name(name, units);
    const opencl_cache_key unit_key = verdict_key(device, family, name);
    opencl_verdict verdict = opencl_verdict_read(&key);
    if (!units->forced && opencl_verdict_read(&unit_key) == OPENCL_VERDICT_FAILED) {
        demote(units, device, &unit_key, "they failed their probe in an earlier run");
        return 0;
    }
    if (verdict != OPENCL_VERDICT_PASSED) {
        snprintf(request->variable, sizeof request->variable, "TTM_OPENCL_MATRIX_UNITS=%s:%d", name,
                 variant);
        request->device_index = units->device_index;
        opencl_log(TTM_LOG_DEBUG, "probing matrix units: %s", options);
        verdict = opencl_probe_run(reason, sizeof reason, request);
        if (verdict != OPENCL_VERDICT_PASSED) {
            demote(units, device, &unit_key, reason);
            return 0;
        }
        opencl_verdict_write(&key, verdict);
    }
    remember(units, options);
    return 1;
}

/* ---- The launch ---- */

/* Queues the kernel; *done = 1 unless it can't be built here, when other kernels must do. */
static ttm_status launch(int *done, ttm_backend_stream *stream, const opencl_product *product,
                         opencl_family family, const opencl_unit_variant *variant,
                         const char *options)
{
    opencl_call call = opencl_call_start(stream, family, "matmul_matrix_units", "%s", options);
    if (call.status != TTM_OK && !stream->device->units->is_probe) {
        return TTM_OK; /* it was built in the child, so this is no fault of the kernel's: done stays
                          0 */
    }
    *done = 1;
    opencl_product_arguments(&call, product);
    const size_t items = (size_t)opencl_unit_variant_items(variant);
    const size_t local[3] = {items, 1, 1};
    const size_t global[3] = {(size_t)(opencl_parts(extent(&product->out, 1), variant->tile_rows) *
                                       opencl_parts(extent(&product->out, 0), variant->tile_cols)) *
                                  items,
                              1, (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

ttm_status opencl_product_by_matrix_units(int *done, ttm_backend_stream *stream,
                                          const opencl_product *product)
{
    char options[OPENCL_UNIT_OPTIONS_BYTES];
    int count = 0;
    const ttm_backend_device *device = stream->device;
    opencl_units *units = device->units;
    *done = 0;
    pthread_mutex_lock(&units->lock);
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    const opencl_unit_variant *variant = NULL;
    opencl_family family = OPENCL_MATRIX_UNITS_MMA;
    while (units->unit != OPENCL_UNIT_NONE && variant == NULL) {
        const int parts = parts_for(units, product);
        const int number = parts > 0 ? choose_variant(units, product, parts,
                                                      device->description->limits.compute_units)
                                     : -1;
        if (number < 0) {
            break;
        }
        const int copies = units->unit == OPENCL_UNIT_MMA || units->unit == OPENCL_UNIT_WGMMA;
        const operand_way a = way_of(&product->a, 1, copies);
        const operand_way b = way_of(&product->b, 0, copies);
        opencl_probe_request request = make_request(product, a, b);
        family = family_of(units->unit);
        write_options(options, units, &variants[number], product, a, b);
        if (is_proven(units, device, family, options, &request, number)) {
            variant = &variants[number];
        }
    }
    pthread_mutex_unlock(&units->lock);
    if (variant == NULL) {
        return TTM_OK;
    }
    return launch(done, stream, product, family, variant, options);
}
