/* ttm-bench tune: measures what the planner of contractions counts with, then which of the orders
 * that should be fast are fastest, and keeps both for everything that runs on this device. */
#include "bench/commands.h"
#include "bench/layer_work.h"
#include "bench/tune_plugin.h"
#include "bench/ways.h"
#include "common/tool_output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/tune.h>
#include <unistd.h>

enum { WAYS_MEASURED = 4, MOST_PLANS = 512 };

typedef struct tuner {
    bench_session *session;
    ttm_tuning tuning;
    ttm_tuned_plan plans[MOST_PLANS];
} tuner;

/* A permuting copy is what plans copy by: [64, 48, 64] with its outer axes exchanged. */
static ttm_status permute(void *user, uint64_t call)
{
    const ttm_tensor *pair = ((const bench_layer *)user)->cores;
    const ttm_tensor exchanged = ttm_tensor_transpose(&pair[1], 0, 1);
    const int64_t shape[] = {exchanged.shape[0], exchanged.shape[1], exchanged.shape[2]};
    const ttm_tensor out = ttm_tensor_reshape(&pair[0], 3, shape);
    (void)call;
    return ttm_copy(((const bench_layer *)user)->session->stream, &out, &exchanged);
}

static ttm_status measure_copies(double *bytes_per_second, bench_session *session)
{
    const int64_t shape[] = {512, 48, 64};
    bench_layer layer = {.session = session};
    bench_series series = {0};
    bench_timing timing = {0};
    ttm_status status = TTM_OK;
    for (int k = 0; k < 2 && status == TTM_OK; k++) {
        status = ttm_tensor_alloc(&layer.cores[k], session->device, TTM_F32, 3, shape);
        if (status == TTM_OK) {
            status = bench_fill_random(session, &layer.cores[k], 1.0, 0);
        }
    }
    if (status == TTM_OK && bench_series_begin_round(&series)) {
        status = bench_measure(&series, &timing, session, permute, &layer);
        *bytes_per_second = 8e9 * (double)ttm_tensor_count(&layer.cores[0]) /
                            bench_median(series.values, series.count);
    }
    bench_series_free(&series);
    ttm_stream_drain(session->stream); /* after a failure something may be queued */
    ttm_tensor_free(&layer.cores[0], session->device);
    ttm_tensor_free(&layer.cores[1], session->device);
    return status;
}

static ttm_status measure_model(tuner *state)
{
    bench_session *session = state->session;
    ttm_tt_cost_model *model = &state->tuning.model;
    ttm_status status = bench_measure_roofs(session, false);
    if (status == TTM_OK) {
        status = measure_copies(&model->copy_bytes, session);
    }
    model->struct_size = sizeof *model;
    model->element_bytes = 4.0;
    model->product_flops = session->roofs.product_flops[TTM_F32];
    model->launch_seconds = fmax(session->roofs.launch_ns * 1e-9, 1e-9);
    bench_set_number(&session->result, "tuned", "product_flops", model->product_flops);
    bench_set_number(&session->result, "tuned", "permute_bytes_per_second", model->copy_bytes);
    bench_set_number(&session->result, "tuned", "launch_ns", model->launch_seconds * 1e9);
    return status;
}

static bool known(const tuner *state, const char *shape, int64_t rows, ttm_tt_direction direction)
{
    for (size_t k = 0; k < state->tuning.plan_count; k++) {
        const ttm_tuned_plan *plan = &state->plans[k];
        if (plan->rows == rows && plan->direction == direction && strcmp(plan->shape, shape) == 0) {
            return true;
        }
    }
    return false;
}

/* Measures the orders that should be fastest; the fastest is the tuned one. */
static ttm_status choose_way(tuner *state, bench_layer *layer, const char *shape,
                             ttm_tt_direction direction)
{
    bench_way *ways = calloc(BENCH_MOST_WAYS, sizeof *ways);
    size_t count = 0;
    size_t considered = 0;
    double best = INFINITY;
    if (ways == NULL) {
        return TTM_OK;
    }
    ttm_tuned_plan *plan = &state->plans[state->tuning.plan_count];
    *plan = (ttm_tuned_plan){.direction = direction, .rows = layer->rows};
    snprintf(plan->shape, sizeof plan->shape, "%s", shape);
    ttm_status status = bench_ways_find(ways, &count, &considered, WAYS_MEASURED, &layer->shape,
                                        layer->rows, direction, &state->tuning.model);
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        char name[256];
        double operations = 0.0;
        double bytes = 0.0;
        bench_entry *entry = NULL;
        layer->plan = &ways[k].plan;
        snprintf(name, sizeof name, "%.80s %s, %lld row%s: %s", shape,
                 bench_direction_name(direction), (long long)layer->rows,
                 layer->rows == 1 ? "" : "s", ways[k].plan.text);
        bench_layer_cost(&operations, &bytes, layer, BENCH_WAY);
        status = bench_layer_time(&entry, layer, BENCH_WAY, "way", name, operations, bytes);
        if (status == TTM_OK && entry != NULL && bench_entry_median(entry) < best) {
            best = bench_entry_median(entry);
            snprintf(plan->tree, sizeof plan->tree, "%s", ways[k].plan.text);
        }
    }
    if (status == TTM_OK && isfinite(best)) {
        state->tuning.plan_count++;
    }
    free(ways);
    return status;
}

static ttm_status tune_shape(tuner *state, const ttm_tt_shape *shape)
{
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    const char *list = state->session->arguments->rows;
    int64_t rows = 0;
    bool bad = false;
    ttm_status status = ttm_tt_shape_print(text, sizeof text, shape);
    while (status == TTM_OK && bench_next_number(&rows, &list, &bad)) {
        bench_layer layer;
        if (known(state, text, rows, TTM_TT_FORWARD) || state->tuning.plan_count + 3 > MOST_PLANS) {
            continue;
        }
        status = bench_layer_open(&layer, state->session, shape, rows);
        for (int direction = 0; direction < 3 && status == TTM_OK; direction++) {
            status = choose_way(state, &layer, text, (ttm_tt_direction)direction);
        }
        bench_layer_free(&layer);
    }
    return status;
}

/* The shapes of all TT-matrices of the model; of a dense one those of rank 64 by the rule. */
static ttm_status tune_shapes(tuner *state)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_status status = bench_configure(&config, state->session->arguments);
    size_t tuned = 0;
    for (int64_t layer = 0; layer < config.layers && status == TTM_OK; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT && status == TTM_OK; matrix++) {
            const ttm_tt_shape *shape = ttm_gpt2_config_tt(&config, layer, (ttm_gpt2_matrix)matrix);
            if (shape != NULL) {
                status = tune_shape(state, shape);
                tuned++;
            }
        }
    }
    if (status == TTM_OK && tuned == 0) {
        ttm_tt_shape shape;
        status = ttm_tt_shape_from_rule(&shape, config.width, config.inner_width, 64);
        if (status == TTM_OK) {
            status = tune_shape(state, &shape);
        }
        ttm_tt_shape_transpose(&shape, &shape);
        if (status == TTM_OK) {
            status = tune_shape(state, &shape);
        }
    }
    ttm_gpt2_config_free(&config);
    return status;
}

/* Finds out whether the tuning can be kept, before minutes of measuring. A folder that isn't there
 * is made when there is something to keep. */
static ttm_status check_file(bench_session *session, const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (slash == NULL || access(folder, F_OK) != 0 || tool_output_check(path) == TOOL_GO_ON) {
        return TTM_OK;
    }
    session->failure_told = true;
    return TTM_ERROR_IO;
}

ttm_status bench_run_tune(bench_session *session)
{
    char path[4096];
    tuner *state = calloc(1, sizeof *state);
    if (state == NULL) {
        session->result.out_of_memory = true;
        return TTM_OK;
    }
    state->session = session;
    state->tuning = (ttm_tuning){.struct_size = sizeof state->tuning, .plans = state->plans};
    ttm_status status = ttm_tuning_path(path, sizeof path, session->device);
    if (status == TTM_OK) {
        status = check_file(session, path);
    }
    /* First: the roofs and the orders of contraction depend on it. */
    if (status == TTM_OK) {
        status = bench_tune_plugin(session);
    }
    if (status == TTM_OK) {
        status = measure_model(state);
    }
    if (status == TTM_OK) {
        status = tune_shapes(state);
    }
    if (status == TTM_OK) {
        status = ttm_tuning_save(&state->tuning, session->device);
    }
    if (status == TTM_OK) {
        bench_set_text(&session->result, "tuned", "file", path);
        bench_set_number(&session->result, "tuned", "contractions",
                         (double)state->tuning.plan_count);
    }
    free(state);
    return status;
}
