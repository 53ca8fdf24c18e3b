/* Lays out the arena of a pass. */
#include "model/activations.h"

#include "core/error.h"
#include "model/model_internal.h"

#include <inttypes.h>
#include <ttm/compute.h>

/* With fewer rows the product that gives dwte would be bound by reading and writing dwte. */
#define LEAST_LOGIT_ROWS 512

/* Places in a flat tensor, handed out from its start. Without a base they are only counted. The
 * base has elements of the wide type, and what is taken of it begins at multiples of the model's
 * alignment. */
typedef struct place_cursor {
    const ttm_model *model;
    ttm_tensor base;
    int64_t used; /* elements of the base */
    int64_t peak;
    bool overflow;
} place_cursor;

static ttm_tensor take(place_cursor *arena, ttm_dtype dtype, int32_t rank, const int64_t *shape)
{
    const int64_t base_bytes = (int64_t)ttm_dtype_bytes(arena->model->master_dtype);
    ttm_tensor tensor = ttm_tensor_describe(dtype, rank, shape);
    if (!ttm_tensor_present(&tensor) || ttm_tensor_count(&tensor) > INT64_MAX / 16 - arena->used) {
        arena->overflow = true;
        return tensor;
    }
    if (ttm_tensor_present(&arena->base)) {
        tensor = ttm_tensor_view(&arena->base, arena->used, dtype, rank, shape);
    }
    const int64_t bytes = ttm_tensor_count(&tensor) * (int64_t)ttm_dtype_bytes(dtype);
    arena->used += ttm_model_align(arena->model, (bytes + base_bytes - 1) / base_bytes);
    arena->peak = arena->used > arena->peak ? arena->used : arena->peak;
    return tensor;
}

/* Statistics and losses [count]: of the wide type. */
static ttm_tensor take1(place_cursor *arena, int64_t count)
{
    return take(arena, arena->model->master_dtype, 1, &count);
}

/* Activations [rows, cols]: of the model's type. */
static ttm_tensor take2(place_cursor *arena, int64_t rows, int64_t cols)
{
    const int64_t shape[2] = {rows, cols};
    return take(arena, arena->model->options.dtype, 2, shape);
}

/* Logits [rows, vocab] that nothing but a loss or a sampler reads: of the wide type. */
static ttm_tensor take_final_logits(place_cursor *arena, int64_t rows, int64_t vocab)
{
    const int64_t shape[2] = {rows, vocab};
    return take(arena, arena->model->master_dtype, 2, shape);
}

static void place_training_layers(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    const int64_t lse_shape[3] = {pass->batch, config->heads, pass->seq};
    ttm_tensor input = take2(arena, rows, width);
    pass->first_input = input;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        ttm_layer_activations *kept = &pass->layers[layer];
        kept->input = input;
        kept->mean_1 = take1(arena, rows);
        kept->rstd_1 = take1(arena, rows);
        kept->qkv = take2(arena, rows, 3 * width);
        kept->attention = take2(arena, rows, width);
        kept->lse = take(arena, pass->model->master_dtype, 3, lse_shape);
        kept->middle = take2(arena, rows, width);
        kept->mean_2 = take1(arena, rows);
        kept->rstd_2 = take1(arena, rows);
        kept->pre = take2(arena, rows, config->inner_width);
        kept->output = take2(arena, rows, width);
        input = kept->output;
    }
    pass->final_input = input;
    pass->final_mean = take1(arena, rows);
    pass->final_rstd = take1(arena, rows);
}

static void place_training(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    place_training_layers(pass, arena);
    pass->normed = take2(arena, rows, width);
    pass->scratch = take2(arena, rows, width);
    pass->residual_gradient = take2(arena, rows, width);
    pass->losses = take1(arena, rows);
    /* The head runs between the layers' forward and backward passes, when their buffers are idle.
     */
    const int64_t shared = arena->used;
    pass->logits = take2(arena, pass->logit_rows, config->vocab_size);
    arena->used = shared;
    pass->attention_gradient = take2(arena, rows, width);
    pass->qkv_gradient = take2(arena, rows, 3 * width);
    arena->used = shared;
    /* The output of GELU is last read before the gradient of its input is written. */
    pass->expanded = take2(arena, rows, config->inner_width);
    pass->pre_gradient = pass->expanded;
}

static void place_inference(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    ttm_layer_activations shared = {0};
    const ttm_tensor residual = take2(arena, rows, width);
    pass->normed = take2(arena, rows, width);
    pass->losses = take1(arena, rows);
    const int64_t layers = arena->used;
    pass->scratch = take2(arena, rows, width);
    shared.input = residual;
    shared.middle = residual;
    shared.output = residual;
    const int64_t branch = arena->used;
    shared.qkv = take2(arena, rows, 3 * width);
    shared.attention = take2(arena, rows, width);
    arena->used = branch;
    pass->expanded = take2(arena, rows, config->inner_width);
    arena->used = layers;
    pass->logits = take_final_logits(arena, pass->logit_rows, config->vocab_size);
    pass->first_input = residual;
    pass->final_input = residual;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        pass->layers[layer] = shared;
    }
}

static void place(ttm_pass *pass, place_cursor *arena)
{
    if (pass->training) {
        place_training(pass, arena);
    } else {
        place_inference(pass, arena);
    }
}

/* Makes the model's arena at least `count` elements large. */
static ttm_status reserve(ttm_model *model, ttm_stream *stream, int64_t count)
{
    if (ttm_tensor_present(&model->arena) && ttm_tensor_count(&model->arena) >= count) {
        return TTM_OK;
    }
    if (ttm_tensor_present(&model->arena)) {
        TTM_TRY(ttm_stream_synchronize(stream));
        ttm_tensor_free(&model->arena, model->device);
    }
    const ttm_status status = ttm_model_allocate(&model->arena, model, model->master_dtype, count);
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "activations");
}

/* As many rows as the buffers that the logits share memory with have room for, but enough to keep
 * the products large. */
static int64_t choose_logit_rows(const ttm_pass *pass)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const double room = (double)pass->rows * (double)config->inner_width;
    int64_t rows = (int64_t)(room / (double)config->vocab_size);
    rows = rows > LEAST_LOGIT_ROWS ? rows : LEAST_LOGIT_ROWS;
    return rows < pass->rows ? rows : pass->rows;
}

ttm_status ttm_pass_begin(ttm_pass *pass, ttm_model *model, ttm_stream *stream, bool training,
                          int64_t batch, int64_t seq, int64_t logit_rows)
{
    const ttm_pass fresh = {.model = model,
                            .stream = stream,
                            .training = training,
                            .batch = batch,
                            .seq = seq,
                            .layers = model->activations};
    *pass = fresh;
    if (stream != NULL) {
        ttm_stream_set_layer(stream, -1); /* A pass that failed may have left one. */
        TTM_TRY(ttm_model_refresh_working(model, stream));
    }
    if (__builtin_mul_overflow(batch, seq, &pass->rows) || pass->rows > INT32_MAX) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%" PRId64 " sequences of %" PRId64 " tokens are too many for one pass",
                        batch, seq);
    }
    pass->logit_rows = logit_rows > 0 ? logit_rows : model->options.logit_rows;
    if (pass->logit_rows <= 0) {
        pass->logit_rows = choose_logit_rows(pass);
    }
    pass->logit_rows = pass->logit_rows < pass->rows ? pass->logit_rows : pass->rows;
    place_cursor measure = {.model = model};
    place(pass, &measure);
    if (measure.overflow) {
        return ttm_fail(TTM_ERROR_SHAPE, "activations of %" PRId64 " tokens can't be addressed",
                        pass->rows);
    }
    TTM_TRY(reserve(model, stream, measure.peak));
    place_cursor real = {.model = model, .base = model->arena};
    place(pass, &real);
    return TTM_OK;
}

ttm_status ttm_check_tokens(const ttm_model *model, const ttm_tensor *tokens, const char *name)
{
    char text[160];
    if (tokens->dtype != TTM_I32 || tokens->rank != 2 || tokens->shape[0] < 1 ||
        tokens->shape[1] < 1 || !ttm_tensor_is_contiguous(tokens)) {
        return ttm_fail(TTM_ERROR_SHAPE, "%s must be a contiguous i32 [batch, seq], not %s", name,
                        ttm_tensor_print(text, sizeof text, tokens));
    }
    if (tokens->shape[1] > model->config.context) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "sequences of %" PRId64 " tokens exceed the model's context of %" PRId64,
                        tokens->shape[1], model->config.context);
    }
    return TTM_OK;
}

ttm_tensor ttm_pass_heads(const ttm_pass *pass, const ttm_tensor *tensor, int64_t part)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t shape[3] = {pass->batch, pass->seq, tensor->shape[1]};
    ttm_tensor view = ttm_tensor_reshape(tensor, 3, shape);
    view = ttm_tensor_slice(&view, 2, part * config->width, config->width);
    view = ttm_tensor_split(&view, 2, config->heads, config->width / config->heads);
    return ttm_tensor_transpose(&view, 1, 2);
}
