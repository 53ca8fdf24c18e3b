/* ttm-bench layer: a dense layer against the TT layer that replaces it, for several numbers of
 * rows: every pass, and every order of contraction that could be the fastest. */
#include "bench/commands.h"
#include "bench/layer_work.h"
#include "bench/ways.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/tune.h>

enum { WAYS_MEASURED = 5 };

static const struct {
    bench_layer_pass pass;
    const char *name;
} passes[] = {
    {BENCH_DENSE_FORWARD, "dense forward"},
    {BENCH_DENSE_BACKWARD, "dense backward"},
    {BENCH_DENSE_STEP, "dense forward and backward"},
    {BENCH_BUILD, "TT build W"},
    {BENCH_BUILT_FORWARD, "TT forward, W built"},
    {BENCH_BUILT_STEP, "TT forward and backward, W built"},
    {BENCH_REDUCE, "TT core gradients from dW"},
    {BENCH_TT_LINEAR, "TT forward, tt_linear"},
    {BENCH_TT_LINEAR_BACKWARD, "TT backward, tt_linear_backward"},
};

static ttm_status time_ways(bench_layer *layer, ttm_tt_direction direction)
{
    bench_way *ways = calloc(BENCH_MOST_WAYS, sizeof *ways);
    ttm_tt_cost_model model;
    size_t count = 0;
    size_t considered = 0;
    double operations = 0.0;
    double bytes = 0.0;
    if (ways == NULL) {
        return TTM_OK;
    }
    ttm_tt_cost_model_for_device(&model, layer->session->device, TTM_F32);
    ttm_status status = bench_ways_find(ways, &count, &considered, WAYS_MEASURED, &layer->shape,
                                        layer->rows, direction, &model);
    bench_layer_cost(&operations, &bytes, layer, BENCH_WAY);
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        char name[160];
        layer->plan = &ways[k].plan;
        snprintf(name, sizeof name, "%s, %lld row%s: %s", bench_direction_name(direction),
                 (long long)layer->rows, layer->rows == 1 ? "" : "s", ways[k].plan.text);
        status = bench_layer_time(NULL, layer, BENCH_WAY, "way", name, operations, bytes);
    }
    free(ways);
    return status;
}

static ttm_status time_layer(bench_session *session, const ttm_tt_shape *shape, int64_t rows)
{
    bench_layer layer;
    ttm_status status = bench_layer_open(&layer, session, shape, rows);
    for (size_t k = 0; k < sizeof passes / sizeof *passes && status == TTM_OK; k++) {
        char name[96];
        double operations = 0.0;
        double bytes = 0.0;
        snprintf(name, sizeof name, "%s, %lld row%s", passes[k].name, (long long)rows,
                 rows == 1 ? "" : "s");
        bench_layer_cost(&operations, &bytes, &layer, passes[k].pass);
        status = bench_layer_time(NULL, &layer, passes[k].pass, "layer", name, operations, bytes);
    }
    for (int direction = 0; direction < 3 && status == TTM_OK; direction++) {
        status = time_ways(&layer, (ttm_tt_direction)direction);
    }
    bench_layer_free(&layer);
    return status;
}

ttm_status bench_run_layer(bench_session *session)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_tt_shape shape;
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    ttm_status status = bench_configure(&config, session->arguments);
    if (status == TTM_OK) {
        const ttm_tt_shape *own = ttm_gpt2_config_tt(&config, 0, TTM_GPT2_MLP_C_FC);
        status = TTM_OK;
        if (own != NULL) {
            shape = *own;
        } else {
            status = ttm_tt_shape_from_rule(&shape, config.width, config.inner_width, 64);
        }
    }
    if (status == TTM_OK) {
        status = ttm_tt_shape_print(text, sizeof text, &shape);
        bench_set_text(&session->result, "settings", "tt_shape", text);
    }
    if (status == TTM_OK) {
        status = bench_measure_roofs(session, false);
    }
    const char *list = session->arguments->rows;
    int64_t rows = 0;
    bool bad = false;
    while (status == TTM_OK && bench_next_number(&rows, &list, &bad)) {
        status = time_layer(session, &shape, rows);
    }
    ttm_gpt2_config_free(&config);
    return status;
}
