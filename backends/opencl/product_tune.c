/* Which parameters of CLBlast's are fastest for given products.
 *
 * Each of CLBlast's two kernels is searched by itself: a few known combinations, random ones for
 * half of the time, then changes of the best one. A combination counts only if its result is that
 * of our own kernels. It is dropped as soon as it has taken longer than the best one, so that most
 * cost a compilation and one product. Afterwards each product's times by both kernels and by our
 * own say from which size on which of them is used. */
#include "opencl/product_tune.h"

#include "opencl/attention_tune.h"
#include "opencl/attention_units.h"
#include "opencl/clock.h"
#include "opencl/matrix_units_tune.h"
#include "opencl/measure.h"
#include "opencl/product_settings.h"
#include "opencl/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PRODUCTS = 48, MOST_TRIED = 2048, LEAST_EXTENT = 16 };

#define NEVER_LARGE     ((uint64_t)1 << 20)
#define ALWAYS_LARGE    ((uint64_t)1)
#define LEAST_FOR_LARGE 256 /* Sizes that a kernel is searched with. */
#define MOST_FOR_DIRECT 1024

/* Times of all products, infinite where unknown. */
typedef struct product_times {
    double seconds[MOST_PRODUCTS];
} product_times;

typedef struct tuner {
    ttm_backend_device *device;
    ttm_backend_stream *stream;
    opencl_product products[MOST_PRODUCTS];
    double size[MOST_PRODUCTS]; /* Cube roots of their multiply-adds. */
    int count;
    size_t bytes[3]; /* Of the largest out, a and b, */
    ttm_memory *memory[3];
    float *expected; /* Result of the product that is checked. */
    float *result;
    opencl_product_settings settings;
    opencl_parameters tried[MOST_TRIED];
    int tried_count;
} tuner;

/* A product and where it runs. */
typedef struct placed_product {
    const ttm_backend_device *device;
    ttm_backend_stream *stream;
    const opencl_product *product;
} placed_product;

/* ---- The products ---- */

static size_t extent_bytes(const ttm_tensor *tensor)
{
    return opencl_product_extent(tensor) * sizeof(float);
}

static int same_layout(const ttm_tensor *x, const ttm_tensor *y)
{
    return x->rank == y->rank && memcmp(x->shape, y->shape, sizeof x->shape) == 0 &&
           memcmp(x->stride, y->stride, sizeof x->stride) == 0;
}

static int is_known(const tuner *state, const opencl_product *product)
{
    for (int k = 0; k < state->count; k++) {
        const opencl_product *other = &state->products[k];
        if (same_layout(&other->out, &product->out) && same_layout(&other->a, &product->a) &&
            same_layout(&other->b, &product->b)) {
            return 1;
        }
    }
    return 0;
}

/* Products that only our own kernels take are none of this tuner's business, thin ones among them.
 * Bias, activation and residual cost the same whoever multiplies. */
static void add_product(tuner *state, const ttm_op *op)
{
    opencl_product product = {.out = op->tensors[TTM_MATMUL_OUT],
                              .a = op->tensors[TTM_MATMUL_A],
                              .b = op->tensors[TTM_MATMUL_B],
                              .alpha = 1.0};
    ttm_tensor *const tensors[3] = {&product.out, &product.a, &product.b};
    const double multiplies =
        (double)opencl_count(&product.out) * (double)product.a.shape[product.a.rank - 1];
    for (int k = 0; k < 3; k++) {
        tensors[k]->offset = 0;
        tensors[k]->memory = NULL;
        if (tensors[k]->dtype != TTM_F32) {
            return;
        }
    }
    const int32_t rank = product.out.rank;
    if (product.out.shape[rank - 2] < LEAST_EXTENT || product.out.shape[rank - 1] < LEAST_EXTENT ||
        multiplies < 1.0 || state->count == MOST_PRODUCTS || is_known(state, &product) ||
        !opencl_product_fits_clblast(&product)) {
        return;
    }
    for (int k = 0; k < 3; k++) {
        const size_t bytes = extent_bytes(tensors[k]);
        state->bytes[k] = bytes > state->bytes[k] ? bytes : state->bytes[k];
    }
    state->size[state->count] = cbrt(multiplies);
    state->products[state->count++] = product;
}

static ttm_status place(tuner *state)
{
    ttm_status status = opencl_stream_create(&state->stream, state->device);
    for (int k = 0; k < 3 && status == TTM_OK; k++) {
        status = opencl_memory_alloc(&state->memory[k], state->device, state->bytes[k]);
        if (status == TTM_OK) {
            status = opencl_fill_random(state->stream, state->memory[k], TTM_F32,
                                        state->bytes[k] / sizeof(float));
        }
    }
    for (int k = 0; k < state->count; k++) {
        state->products[k].out.memory = state->memory[0];
        state->products[k].a.memory = state->memory[1];
        state->products[k].b.memory = state->memory[2];
    }
    state->expected = malloc(state->bytes[0]);
    state->result = malloc(state->bytes[0]);
    if (status == TTM_OK && (state->expected == NULL || state->result == NULL)) {
        status = opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for results of %zu bytes",
                             state->bytes[0]);
    }
    return status;
}

static void clean_up(tuner *state)
{
    opencl_stream_destroy(state->stream);
    for (int k = 0; k < 3; k++) {
        opencl_memory_free(state->device, state->memory[k]);
    }
    free(state->expected);
    free(state->result);
    free(state);
}

/* ---- Measuring ---- */

/* By CLBlast alone, or by what there is without it. */
static ttm_status run(int *done, const void *context)
{
    const placed_product *placed = context;
    return placed->device->tuning.clblast == OPENCL_CLBLAST_NEVER
               ? opencl_product_run(placed->stream, placed->product)
               : opencl_product_by_clblast(done, placed->stream, placed->product);
}

static placed_product place_of(const tuner *state, int number)
{
    return (placed_product){state->device, state->stream, &state->products[number]};
}

static ttm_status time_product(double *seconds, const tuner *state, int number)
{
    const placed_product placed = place_of(state, number);
    const opencl_measured measured = {state->stream, run, &placed};
    return opencl_measure(seconds, &measured, INFINITY);
}

static ttm_status time_all(product_times *times, tuner *state)
{
    ttm_status status = TTM_OK;
    for (int k = 0; k < state->count && status == TTM_OK; k++) {
        status = time_product(&times->seconds[k], state, k);
    }
    return status;
}

/* The smallest product of a set: what is checked. */
static int smallest(const tuner *state, const int *is_wanted)
{
    int found = -1;
    for (int k = 0; k < state->count; k++) {
        if (is_wanted[k] && (found < 0 || state->size[k] < state->size[found])) {
            found = k;
        }
    }
    return found;
}

static ttm_status compute(float *result, const tuner *state, int number)
{
    const placed_product placed = place_of(state, number);
    const size_t bytes = extent_bytes(&placed.product->out);
    int done = 0;
    ttm_status status = opencl_memory_zero(state->stream, state->memory[0], 0, bytes);
    if (status == TTM_OK) {
        status = run(&done, &placed);
    }
    return status == TTM_OK ? opencl_memory_read(state->stream, result, state->memory[0], 0, bytes)
                            : status;
}

/* Whether the current parameters give the result of our own kernels, within what the order of a sum
 * of products in ±1 can make. */
static int is_right(tuner *state, int number)
{
    const opencl_product *product = &state->products[number];
    const size_t count = extent_bytes(&product->out) / sizeof(float);
    const double depth = (double)product->a.shape[product->a.rank - 1];
    if (compute(state->result, state, number) != TTM_OK) {
        return 0;
    }
    for (size_t k = 0; k < count; k++) {
        if (!(fabs((double)state->result[k] - (double)state->expected[k]) <= 1e-6 * depth + 1e-5)) {
            return 0;
        }
    }
    return 1;
}

/* ---- The search ---- */

/* Adds a combination to those that were tried; 0 if it was among them. */
static int is_new(tuner *state, const opencl_parameters *parameters)
{
    for (int k = 0; k < state->tried_count; k++) {
        if (memcmp(&state->tried[k], parameters, sizeof *parameters) == 0) {
            return 0;
        }
    }
    if (state->tried_count < MOST_TRIED) {
        state->tried[state->tried_count++] = *parameters;
    }
    return 1;
}

/* Returns the time of the wanted products, infinite if a result is wrong, the device refuses, or
 * the time has passed `most` already. */
static double judge(tuner *state, opencl_product_kernel kernel, const opencl_parameters *parameters,
                    const int *is_wanted, double most)
{
    double total = 0.0;
    if (opencl_product_settings_use(state->device, kernel, parameters) != TTM_OK ||
        !is_right(state, smallest(state, is_wanted))) {
        return INFINITY;
    }
    for (int k = 0; k < state->count && total < most; k++) {
        double seconds = INFINITY;
        if (is_wanted[k] && time_product(&seconds, state, k) != TTM_OK) {
            return INFINITY;
        }
        total += is_wanted[k] ? seconds : 0.0;
    }
    return total < most ? total : INFINITY;
}

/* The next combination to try; 0 when there is none. */
static int draw(opencl_parameters *next, tuner *state, opencl_product_kernel kernel, int *known,
                const opencl_parameters *near, uint64_t *random)
{
    const opencl_limits *limits = &state->device->description->limits;
    while (opencl_parameters_known(next, kernel, *known)) {
        (*known)++;
        if (opencl_parameters_valid(next, kernel, limits) && is_new(state, next)) {
            return 1;
        }
    }
    for (int attempt = 0; attempt < 64; attempt++) {
        if (opencl_parameters_draw(next, near, kernel, limits, random) && is_new(state, next)) {
            return 1;
        }
    }
    return 0;
}

/* *best = the fastest combination found within `seconds`; *total = its time, infinite for none. */
static int search(opencl_parameters *best, double *total, tuner *state,
                  opencl_product_kernel kernel, const int *is_wanted, double seconds)
{
    const double start = opencl_seconds();
    uint64_t random = 0x243f6a8885a308d3u;
    int known = 0;
    int judged = 0;
    opencl_parameters next;
    *total = INFINITY;
    state->tried_count = 0;
    while (opencl_seconds() - start < seconds || judged == 0) {
        const int refines = isfinite(*total) && opencl_seconds() - start > 0.5 * seconds;
        if (!draw(&next, state, kernel, &known, refines ? best : NULL, &random)) {
            break;
        }
        const double time = judge(state, kernel, &next, is_wanted, *total);
        judged++;
        if (time < *total) {
            *total = time;
            *best = next;
        }
    }
    return judged;
}

static double total_of(const product_times *times, const tuner *state, const int *is_wanted)
{
    double total = 0.0;
    for (int k = 0; k < state->count; k++) {
        total += is_wanted[k] ? times->seconds[k] : 0.0;
    }
    return total;
}

/* The products that a kernel is for, and at least one. */
static void choose_products(int *is_wanted, const tuner *state, opencl_product_kernel kernel)
{
    int count = 0;
    int nearest = 0;
    for (int k = 0; k < state->count; k++) {
        const int is_large = kernel == OPENCL_XGEMM;
        is_wanted[k] =
            is_large ? state->size[k] >= LEAST_FOR_LARGE : state->size[k] <= MOST_FOR_DIRECT;
        count += is_wanted[k];
        if (is_large ? state->size[k] > state->size[nearest]
                     : state->size[k] < state->size[nearest]) {
            nearest = k;
        }
    }
    if (count == 0) {
        is_wanted[nearest] = 1;
    }
}

/* Tunes one kernel with all products forced to it; *times = what it reaches. */
static ttm_status tune_kernel(product_times *times, tuner *state, opencl_product_kernel kernel,
                              double seconds)
{
    int is_wanted[MOST_PRODUCTS] = {0};
    double found = INFINITY;
    opencl_parameters best = {{0}};
    choose_products(is_wanted, state, kernel);
    ttm_status status = opencl_product_settings_use_size(
        state->device, kernel == OPENCL_XGEMM ? ALWAYS_LARGE : NEVER_LARGE);
    state->device->tuning.clblast = OPENCL_CLBLAST_NEVER;
    if (status == TTM_OK) {
        status = compute(state->expected, state, smallest(state, is_wanted));
    }
    state->device->tuning.clblast = OPENCL_CLBLAST_ALWAYS;
    if (status == TTM_OK) {
        status = time_all(times, state);
    }
    if (status != TTM_OK) {
        return status;
    }
    const double before = total_of(times, state, is_wanted);
    const int judged = search(&best, &found, state, kernel, is_wanted, seconds);
    const char *name = opencl_product_kernel_name(kernel);
    if (found > OPENCL_WORTH_CHANGING * before) {
        opencl_log(TTM_LOG_INFO,
                   "%s: none of %d combinations is faster than what CLBlast had, %.3f ms", name,
                   judged, before * 1e3);
        return TTM_OK;
    }
    state->settings.is_chosen[kernel] = 1;
    state->settings.parameters[kernel] = best;
    opencl_log(TTM_LOG_INFO, "%s: %.3f ms before, %.3f ms with the best of %d combinations", name,
               before * 1e3, found * 1e3, judged);
    status = opencl_product_settings_use(state->device, kernel, &best);
    return status == TTM_OK ? time_all(times, state) : status;
}

/* Returns the size from which `large` is better than `small`, so that the sum of times is least: 0
 * if always, infinite if never. */
static double best_limit(const tuner *state, const product_times *small, const product_times *large)
{
    double best = INFINITY;
    double limit = INFINITY;
    for (int candidate = 0; candidate <= state->count; candidate++) {
        const double from = candidate < state->count ? state->size[candidate] : INFINITY;
        double total = 0.0;
        for (int k = 0; k < state->count; k++) {
            total += state->size[k] >= from ? large->seconds[k] : small->seconds[k];
        }
        if (total < best) {
            best = total;
            limit = from;
        }
    }
    for (int k = 0; k < state->count; k++) {
        if (state->size[k] < limit) {
            return limit;
        }
    }
    return 0.0; /* Smaller ones are like the smallest that was seen. */
}

/* Sets from which size on which kernel is used. */
static ttm_status choose_limits(tuner *state, const product_times *direct,
                                const product_times *large)
{
    product_times own = {{0}};
    product_times clblast = {{0}};
    state->device->tuning.clblast = OPENCL_CLBLAST_NEVER;
    const ttm_status status = time_all(&own, state);
    if (status != TTM_OK) {
        return status;
    }
    const double large_from = best_limit(state, direct, large);
    for (int k = 0; k < state->count; k++) {
        clblast.seconds[k] = state->size[k] >= large_from ? large->seconds[k] : direct->seconds[k];
        opencl_log(TTM_LOG_DEBUG,
                   "size %.0f: %.1f µs by XgemmDirect, %.1f by Xgemm, %.1f by our own",
                   state->size[k], direct->seconds[k] * 1e6, large->seconds[k] * 1e6,
                   own.seconds[k] * 1e6);
    }
    const double clblast_from = best_limit(state, &own, &clblast);
    opencl_product_settings *settings = &state->settings;
    /* A little below, so that the product that was measured is on the right side. */
    settings->large_size = isfinite(large_from) ? (uint64_t)(large_from * 0.999) : NEVER_LARGE;
    settings->large_size = settings->large_size > 0 ? settings->large_size : ALWAYS_LARGE;
    settings->clblast_multiplies =
        isfinite(clblast_from) ? (int64_t)(pow(clblast_from, 3.0) * 0.999) : INT64_MAX;
    state->device->tuning.clblast_multiplies = settings->clblast_multiplies;
    return opencl_product_settings_use_size(state->device, settings->large_size);
}

static ttm_status tune(tuner *state, double seconds)
{
    product_times direct = {{0}};
    product_times large = {{0}};
    ttm_status status = place(state);
    if (status == TTM_OK) {
        status = tune_kernel(&large, state, OPENCL_XGEMM, 0.6 * seconds);
    }
    if (status == TTM_OK) {
        status = tune_kernel(&direct, state, OPENCL_XGEMM_DIRECT, 0.4 * seconds);
    }
    return status == TTM_OK ? choose_limits(state, &direct, &large) : status;
}

/* Tunes CLBlast for the f32 products among `ops`; *count says how many there are. */
static ttm_status tune_clblast(opencl_product_settings *settings, size_t *count,
                               ttm_backend_device *device, const ttm_op *ops, size_t op_count,
                               double seconds)
{
    const opencl_clblast_use use = device->tuning.clblast;
    ttm_status status = TTM_OK;
    tuner *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for tuning");
    }
    state->device = device;
    for (size_t k = 0; k < op_count; k++) {
        if (ops[k].opcode == TTM_OP_MATMUL) {
            add_product(state, &ops[k]);
        }
    }
    *count = (size_t)state->count;
    if (state->count > 0) {
        state->settings.units = settings->units;
        state->settings.attention = settings->attention;
        status = tune(state, seconds);
        device->tuning.clblast = use;
        *settings = status == TTM_OK ? state->settings : *settings;
    }
    clean_up(state);
    return status;
}

ttm_status opencl_device_tune(ttm_backend_device *device, const ttm_op *ops, size_t op_count,
                              double seconds)
{
    size_t count = 0;
    opencl_product_settings settings;
    const int has_clblast = device->tuning.clblast != OPENCL_CLBLAST_NEVER;
    const int has_units = opencl_units_can_tune(device);
    const int has_attention = opencl_attention_can_tune(device->attention_units);
    if (!has_clblast && !has_units && !has_attention) {
        return opencl_fail(TTM_ERROR_UNSUPPORTED,
                           "%s has nothing to tune: its products don't go to CLBlast",
                           device->description->name);
    }
    opencl_product_settings_read(&settings, device);
    const int kept = settings.units.count; /* may be gone afterwards */
    const double share = has_clblast && has_units ? 0.5 * seconds : seconds;
    ttm_status status = TTM_OK;
    if (has_clblast) {
        opencl_units_try_split(device->units, OPENCL_SPLIT_NONE);
        status = tune_clblast(&settings, &count, device, ops, op_count, share);
        opencl_units_try_split(device->units, OPENCL_SPLIT_BY_POLICY);
    }
    /* Behind CLBlast, which an f32 product on units must be faster than. */
    if (has_units && op_count > 0 && status == TTM_OK) {
        status = opencl_units_tune(&settings.units, device, ops, op_count, share);
        opencl_units_use(device->units, &settings.units);
        count += (size_t)settings.units.count;
    }
    /* Three ways at most for a few classes: hardly ever long enough to count. */
    if (has_attention && op_count > 0 && status == TTM_OK) {
        status = opencl_attention_tune(&settings.attention, device, ops, op_count, share);
        count += (size_t)settings.attention.count;
    }
    return status == TTM_OK && op_count > 0 && (count > 0 || kept > 0)
               ? opencl_product_settings_save(device, &settings)
               : status;
}
