/* The rule's plan is measured first, and stays unless another is faster by more than times vary. An
 * f32 product must be faster on units than by all other kernels: else nothing is kept of it.
 * Results need no check: a kernel runs only once its probe has passed. */
#include "opencl/matrix_units_tune.h"

#include "opencl/clock.h"
#include "opencl/measure.h"
#include "opencl/stream.h"

#include <math.h>

#define LEAST_ROWS 16 /* Fewer go to a kernel of their own. */

enum { OUT, A, B, SCRATCH, BUFFERS };

/* A product with memory. */
typedef struct placed {
    ttm_backend_device *device;
    ttm_backend_stream *stream;
    opencl_product product;
    ttm_memory *memory[BUFFERS];
    int is_split_off; /* It's measured by other kernels than units'. */
} placed;

/* ---- Memory ---- */

/* The scratch is as large as any variant in any number of pieces may want. */
static ttm_status place(placed *state)
{
    ttm_tensor *const tensors[] = {&state->product.out, &state->product.a, &state->product.b};
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(&state->product);
    const size_t limit = (size_t)state->device->description->limits.allocation_bytes / 4;
    size_t scratch = opencl_unit_pieces_bytes(&sizes, OPENCL_MOST_PIECES);
    scratch = scratch > OPENCL_MOST_PIECES_BYTES ? OPENCL_MOST_PIECES_BYTES : scratch;
    scratch += opencl_unit_most_packed_bytes(&sizes);
    scratch = scratch > limit ? limit : scratch;
    ttm_status status = opencl_stream_create(&state->stream, state->device);
    for (int k = OUT; k < SCRATCH && status == TTM_OK; k++) {
        const size_t count = opencl_product_extent(tensors[k]);
        status = opencl_memory_alloc(&state->memory[k], state->device,
                                     count * ttm_dtype_bytes(tensors[k]->dtype));
        if (status == TTM_OK) {
            tensors[k]->memory = state->memory[k];
            status = opencl_fill_random(state->stream, state->memory[k], tensors[k]->dtype, count);
        }
    }
    if (status == TTM_OK) {
        status = opencl_memory_alloc(&state->memory[SCRATCH], state->device, scratch);
    }
    state->product.workspace = (ttm_tensor){.dtype = TTM_F32,
                                            .rank = 1,
                                            .shape = {(int64_t)(scratch / sizeof(float))},
                                            .stride = {1},
                                            .memory = state->memory[SCRATCH]};
    return status;
}

static void clean_up(placed *state)
{
    opencl_stream_destroy(state->stream);
    for (int k = 0; k < BUFFERS; k++) {
        opencl_memory_free(state->device, state->memory[k]);
    }
}

/* ---- Measuring ---- */

static ttm_status run(int *done, const void *context)
{
    const placed *state = context;
    return state->is_split_off
               ? opencl_product_run(state->stream, &state->product)
               : opencl_product_by_matrix_units(done, state->stream, &state->product);
}

static ttm_status measure(double *seconds, const placed *state, double most)
{
    const opencl_measured measured = {state->stream, run, state};
    return opencl_measure(seconds, &measured, most);
}

/* Whether a variant in so many pieces is a plan of its own for the product. */
static int is_plan(const opencl_unit_plan *plan, int variant, int pieces,
                   const opencl_unit_plan *rule)
{
    return plan->variant == variant && plan->pieces == pieces &&
           (variant != rule->variant || pieces != rule->pieces);
}

/* *seconds = the time that a plan must be below: of an f32 product, what other kernels take. */
static ttm_status measure_others(double *seconds, placed *state)
{
    *seconds = INFINITY;
    if (state->product.a.dtype != TTM_F32 || state->product.rounds_operands) {
        return TTM_OK;
    }
    state->is_split_off = 1;
    opencl_units_try_split(state->device->units, OPENCL_SPLIT_NONE);
    const ttm_status status = measure(seconds, state, INFINITY);
    opencl_units_try_split(state->device->units, OPENCL_SPLIT_ALL);
    state->is_split_off = 0;
    *seconds *= OPENCL_WORTH_CHANGING;
    return status;
}

/* *best = the fastest plan found before `until`; variant -1 where other kernels are as fast. */
static ttm_status search(opencl_tuned_unit *best, placed *state, double until)
{
    int count = 0;
    int tried = 1;
    double fastest = 0.0;
    double others = 0.0;
    opencl_units *units = state->device->units;
    (void)opencl_unit_variants(&count);
    const opencl_unit_plan rule = opencl_units_plan(state->device, &state->product);
    ttm_status status = measure_others(&others, state);
    if (status == TTM_OK) {
        status = measure(&fastest, state, INFINITY);
    }
    const double before = fastest;
    best->variant = rule.variant;
    best->pieces = rule.pieces;
    for (int candidate = 0; candidate < count * OPENCL_MOST_PIECES && status == TTM_OK;
         candidate++) {
        /* The last of the table first: what the rule never takes is there for tuning alone. */
        const int variant = count - 1 - candidate / OPENCL_MOST_PIECES;
        const int pieces = candidate % OPENCL_MOST_PIECES + 1;
        double seconds = INFINITY;
        opencl_units_try(units, variant, pieces);
        const opencl_unit_plan plan = opencl_units_plan(state->device, &state->product);
        if (opencl_seconds() > until || !is_plan(&plan, variant, pieces, &rule)) {
            continue;
        }
        status = measure(&seconds, state, fastest);
        tried++;
        if (status == TTM_OK && seconds < OPENCL_WORTH_CHANGING * fastest) {
            fastest = seconds;
            best->variant = variant;
            best->pieces = pieces;
        }
    }
    opencl_units_try(units, -1, 0);
    if (status == TTM_OK && best->variant >= 0) {
        char text[OPENCL_TUNED_UNIT_BYTES];
        opencl_tuned_unit_print(text, best);
        opencl_log(TTM_LOG_INFO, "%s: %.3f ms by rule, %.3f ms by the best of %d plans%s", text,
                   before * 1e3, fastest * 1e3, tried,
                   fastest < others ? "" : "; not kept, other kernels are as fast");
        best->variant = fastest < others ? best->variant : -1;
    }
    return status;
}

static ttm_status tune_product(opencl_tuned_units *tuned, ttm_backend_device *device,
                               const opencl_product *product, double until)
{
    placed state = {.device = device, .product = *product};
    opencl_tuned_unit entry = {.variant = -1};
    ttm_status status = place(&state);
    if (status == TTM_OK && opencl_units_class(&entry.products, device, product)) {
        status = search(&entry, &state, until);
        if (status == TTM_OK && entry.variant < 0) {
            opencl_tuned_units_remove(tuned, &entry.products);
        } else if (status == TTM_OK && !opencl_tuned_units_set(tuned, &entry)) {
            opencl_log(TTM_LOG_INFO, "no more than %d classes of products are kept",
                       OPENCL_MOST_TUNED_UNITS);
        }
    }
    clean_up(&state);
    return status;
}

/* ---- The products ---- */

/* *product = the op's, without epilogue; 0 if its class isn't for units or is among `known`. */
static int read_product(opencl_product *product, opencl_tuned_units *known,
                        const ttm_backend_device *device, const ttm_op *op)
{
    opencl_tuned_unit entry = {.pieces = 1};
    if (op->opcode != TTM_OP_MATMUL) {
        return 0;
    }
    const ttm_matmul_params *params = op->params;
    *product = (opencl_product){.out = op->tensors[TTM_MATMUL_OUT],
                                .a = op->tensors[TTM_MATMUL_A],
                                .b = op->tensors[TTM_MATMUL_B],
                                .alpha = 1.0,
                                .adds_out = params->beta != 0.0};
    opencl_product_take_tf32(product);
    product->out.offset = product->a.offset = product->b.offset = 0;
    return opencl_count(&product->out) > 0 &&
           product->out.shape[product->out.rank - 2] >= LEAST_ROWS &&
           opencl_units_class(&entry.products, device, product) &&
           opencl_tuned_units_find(known, &entry.products) == NULL &&
           opencl_tuned_units_set(known, &entry);
}

int opencl_units_can_tune(const ttm_backend_device *device)
{
    return opencl_units_present(device->units);
}

ttm_status opencl_units_tune(opencl_tuned_units *tuned, ttm_backend_device *device,
                             const ttm_op *ops, size_t op_count, double seconds)
{
    opencl_product product;
    opencl_tuned_units known = {.count = 0};
    ttm_status status = TTM_OK;
    int left = 0;
    opencl_units_use(device->units, &known); /* nothing: the rule is what is compared with */
    opencl_units_try_split(device->units, OPENCL_SPLIT_ALL);
    for (size_t k = 0; k < op_count; k++) {
        left += read_product(&product, &known, device, &ops[k]);
    }
    const double end = opencl_seconds() + seconds;
    known.count = 0;
    for (size_t k = 0; k < op_count && status == TTM_OK; k++) {
        if (read_product(&product, &known, device, &ops[k])) {
            status = tune_product(tuned, device, &product,
                                  opencl_seconds() + (end - opencl_seconds()) / left);
            left--;
        }
    }
    opencl_units_try_split(device->units, OPENCL_SPLIT_BY_POLICY);
    return status;
}
