/* Lays out the arena of a pass. */
#include "model/activations.h"

#include "core/array.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "model/logit_rows.h"
#include "model/model_internal.h"
#include "model/recompute.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* Tensors of a layer that is trained, and those besides, at most. */
#define LAYER_TENSORS 13
#define OUTER_TENSORS 12

/* The next free element of an arena. What is behind it is free again when it is set back. */
typedef struct arena_place {
    size_t block;
    int64_t used;
} arena_place;

/* Places in an arena, handed out from its start. While it is being measured they are only counted.
 * Blocks have elements of the wide type, and what is taken begins at multiples of the model's
 * alignment. */
typedef struct place_cursor {
    const ttm_model *model;
    bool measures;
    int64_t capacity; /* of a block, in elements */
    arena_place at;
    ttm_status status; /* the first failure, with its message */
} place_cursor;

static place_cursor start_placing(const ttm_model *model, bool measures)
{
    const uint64_t limit = ttm_device_allocation_limit(model->device) / ttm_model_wide_bytes(model);
    const int64_t largest = INT64_MAX / 16;
    return (place_cursor){.model = model,
                          .measures = measures,
                          .capacity = limit < (uint64_t)largest ? (int64_t)limit : largest};
}

/* Finds room for `count` elements: behind what is taken, or in the next block. */
static ttm_tensor take_elements(place_cursor *arena, int64_t count)
{
    if (arena->at.used > 0 && count > arena->capacity - arena->at.used) {
        arena->at = (arena_place){.block = arena->at.block + 1};
    }
    const int64_t start = arena->at.used;
    const int64_t end = ttm_model_align(arena->model, start + count);
    const ttm_arena *blocks = &arena->model->arena;
    arena->at.used = end < arena->capacity ? end : arena->capacity;
    if (arena->measures) {
        int64_t *needed = &blocks->needed[arena->at.block];
        *needed = arena->at.used > *needed ? arena->at.used : *needed;
        return (ttm_tensor){0};
    }
    return ttm_tensor_at1(&blocks->blocks[arena->at.block], start, count);
}

static ttm_status refuse(const place_cursor *arena, const ttm_tensor *tensor, const char *name)
{
    char text[160];
    char what[256];
    if (!ttm_tensor_present(tensor)) {
        return ttm_fail(TTM_ERROR_SHAPE, "the activations '%s' can't be addressed", name);
    }
    const uint64_t bytes =
        (uint64_t)ttm_tensor_count(tensor) * (uint64_t)ttm_dtype_bytes(tensor->dtype);
    snprintf(what, sizeof what, "the activations '%s', %s,", name,
             ttm_tensor_print(text, sizeof text, tensor));
    TTM_TRY(ttm_device_allocation_check(arena->model->device, bytes, what,
                                        "use a smaller batch or a shorter sequence"));
    return ttm_fail(TTM_ERROR_SHAPE, "%s can't be addressed", what);
}

static ttm_tensor take(place_cursor *arena, const char *name, ttm_dtype dtype, int32_t rank,
                       const int64_t *shape)
{
    const int64_t base_bytes = (int64_t)ttm_model_wide_bytes(arena->model);
    const ttm_tensor tensor = ttm_tensor_describe(dtype, rank, shape);
    const int64_t bytes = ttm_tensor_count(&tensor) * (int64_t)ttm_dtype_bytes(dtype);
    const int64_t elements = bytes / base_bytes + (bytes % base_bytes != 0);
    if (arena->status != TTM_OK) {
        return tensor;
    }
    if (!ttm_tensor_present(&tensor) || elements > arena->capacity) {
        arena->status = refuse(arena, &tensor, name);
        return tensor;
    }
    const ttm_tensor room = take_elements(arena, elements);
    return arena->measures ? tensor : ttm_tensor_view(&room, 0, dtype, rank, shape);
}

/* Statistics and losses [count]: of the wide type. */
static ttm_tensor take1(place_cursor *arena, const char *name, int64_t count)
{
    return take(arena, name, arena->model->master_dtype, 1, &count);
}

/* Activations [rows, cols]: of the model's type. */
static ttm_tensor take2(place_cursor *arena, const char *name, int64_t rows, int64_t cols)
{
    const int64_t shape[2] = {rows, cols};
    return take(arena, name, arena->model->options.dtype, 2, shape);
}

/* Logits [rows, vocab] that nothing but a loss or a sampler reads: of the wide type. */
static ttm_tensor take_final_logits(place_cursor *arena, int64_t rows, int64_t vocab)
{
    const int64_t shape[2] = {rows, vocab};
    return take(arena, "logits", arena->model->master_dtype, 2, shape);
}

/* Logits [rows, vocab] that products read again: of the model's type, with columns left out behind
 * each row. */
static ttm_tensor take_logits(place_cursor *arena, int64_t rows, int64_t vocab)
{
    const int64_t bytes = (int64_t)ttm_dtype_bytes(arena->model->options.dtype);
    const int64_t unit = bytes > 0 && bytes < TTM_LOGIT_ROW_BYTES ? TTM_LOGIT_ROW_BYTES / bytes : 1;
    const ttm_tensor padded = take2(arena, "logits", rows, (vocab + unit - 1) / unit * unit);
    return ttm_tensor_slice(&padded, 1, 0, vocab);
}

/* What layer norms and GELU give: a layer's own, or one place of all layers. */
static void place_outputs(ttm_pass *pass, place_cursor *arena, ttm_layer_activations *kept)
{
    const ttm_gpt2_config *config = &pass->model->config;
    if (pass->recomputes) {
        kept->normed_1 = pass->normed;
        kept->normed_2 = pass->normed;
        return; /* expanded is placed when all else is */
    }
    kept->normed_1 = take2(arena, "normed_1", pass->rows, config->width);
    kept->normed_2 = take2(arena, "normed_2", pass->rows, config->width);
    kept->expanded = take2(arena, "expanded", pass->rows, config->inner_width);
}

static void place_training_layers(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    const int64_t lse_shape[3] = {pass->batch, config->heads, pass->seq};
    ttm_tensor input = take2(arena, "input", rows, width);
    pass->first_input = input;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        ttm_layer_activations *kept = &pass->layers[layer];
        place_outputs(pass, arena, kept);
        kept->input = input;
        kept->mean_1 = take1(arena, "mean_1", rows);
        kept->rstd_1 = take1(arena, "rstd_1", rows);
        kept->qkv = take2(arena, "qkv", rows, 3 * width);
        kept->attention = take2(arena, "attention", rows, width);
        kept->lse = take(arena, "lse", pass->model->master_dtype, 3, lse_shape);
        kept->middle = take2(arena, "middle", rows, width);
        kept->mean_2 = take1(arena, "mean_2", rows);
        kept->rstd_2 = take1(arena, "rstd_2", rows);
        kept->pre = take2(arena, "pre", rows, config->inner_width);
        kept->output = take2(arena, "output", rows, width);
        input = kept->output;
    }
    pass->final_input = input;
    pass->final_mean = take1(arena, "final_mean", rows);
    pass->final_rstd = take1(arena, "final_rstd", rows);
}

static void place_training(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    pass->normed = take2(arena, "normed", rows, width);
    place_training_layers(pass, arena);
    pass->scratch = take2(arena, "scratch", rows, width);
    pass->residual_gradient = take2(arena, "residual_gradient", rows, width);
    pass->losses = take1(arena, "losses", rows);
    /* The head runs between the layers' forward and backward passes, when their buffers are idle.
     */
    const arena_place shared = arena->at;
    pass->logits = take_logits(arena, pass->logit_rows, config->vocab_size);
    arena->at = shared;
    pass->attention_gradient = take2(arena, "attention_gradient", rows, width);
    pass->qkv_gradient = take2(arena, "qkv_gradient", rows, 3 * width);
    if (pass->recomputes) {
        arena->at = shared;
        const ttm_tensor expanded = take2(arena, "expanded", rows, config->inner_width);
        for (int64_t layer = 0; layer < config->layers; layer++) {
            pass->layers[layer].expanded = expanded;
        }
    }
}

static void place_inference(ttm_pass *pass, place_cursor *arena)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t rows = pass->rows;
    const int64_t width = config->width;
    ttm_layer_activations shared = {0};
    const ttm_tensor residual = take2(arena, "residual", rows, width);
    pass->normed = take2(arena, "normed", rows, width);
    pass->losses = take1(arena, "losses", rows);
    const arena_place layers = arena->at;
    pass->scratch = take2(arena, "scratch", rows, width);
    shared.input = residual;
    shared.normed_1 = pass->normed;
    shared.middle = residual;
    shared.normed_2 = pass->normed;
    shared.output = residual;
    const arena_place branch = arena->at;
    shared.qkv = take2(arena, "qkv", rows, 3 * width);
    shared.attention = take2(arena, "attention", rows, width);
    arena->at = branch;
    shared.expanded = take2(arena, "expanded", rows, config->inner_width);
    arena->at = layers;
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

/* Makes the blocks of the model's arena as large as was measured. */
static ttm_status reserve(ttm_model *model, ttm_stream *stream)
{
    const ttm_arena *arena = &model->arena;
    bool waited = false;
    for (size_t block = 0; block < arena->most && arena->needed[block] > 0; block++) {
        ttm_tensor *memory = &arena->blocks[block];
        if (ttm_tensor_present(memory)) {
            if (ttm_tensor_count(memory) >= arena->needed[block]) {
                continue;
            }
            if (!waited) {
                TTM_TRY(ttm_stream_synchronize(stream));
                waited = true;
            }
            ttm_tensor_free(memory, model->device);
        }
        TTM_TRY(ttm_model_allocate(memory, model, "activations", model->master_dtype,
                                   arena->needed[block]));
    }
    return TTM_OK;
}

ttm_status ttm_arena_init(ttm_arena *arena, int64_t layers)
{
    const size_t most = (size_t)layers * LAYER_TENSORS + OUTER_TENSORS;
    TTM_TRY(ttm_array_new(&arena->blocks, most, sizeof *arena->blocks, "an arena"));
    TTM_TRY(ttm_array_new(&arena->needed, most, sizeof *arena->needed, "an arena"));
    arena->most = most;
    return TTM_OK;
}

void ttm_arena_free(ttm_arena *arena, ttm_device *device)
{
    for (size_t block = 0; block < arena->most; block++) {
        ttm_tensor_free(&arena->blocks[block], device);
    }
    free(arena->blocks);
    free(arena->needed);
    *arena = (ttm_arena){0};
}

int64_t ttm_arena_count(const ttm_arena *arena)
{
    int64_t count = 0;
    for (size_t block = 0; block < arena->most; block++) {
        count += ttm_tensor_count(&arena->blocks[block]);
    }
    return count;
}

static int64_t choose_logit_rows(const ttm_pass *pass)
{
    const ttm_model *model = pass->model;
    const ttm_dtype dtype = pass->training ? model->options.dtype : model->master_dtype;
    return ttm_logit_rows_choose(model->device, &model->config, dtype, pass->training, pass->rows);
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
    pass->recomputes =
        training && ttm_recompute_decide(model->options.recompute, model->device, &model->config,
                                         model->options.dtype, pass->rows);
    pass->logit_rows = logit_rows > 0 ? logit_rows : model->options.logit_rows;
    if (pass->logit_rows <= 0) {
        pass->logit_rows = choose_logit_rows(pass);
    }
    pass->logit_rows = pass->logit_rows < pass->rows ? pass->logit_rows : pass->rows;
    memset(model->arena.needed, 0, model->arena.most * sizeof *model->arena.needed);
    place_cursor measure = start_placing(model, true);
    place(pass, &measure);
    TTM_TRY(measure.status);
    TTM_TRY(reserve(model, stream));
    place_cursor real = start_placing(model, false);
    place(pass, &real);
    return real.status;
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
