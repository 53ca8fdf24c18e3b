/* The passes of a linear layer as calls of ops. */
#include "bench/layer_work.h"

#include <math.h>
#include <string.h>
#include <ttm/tune.h>

ttm_status bench_layer_open(bench_layer *layer, bench_session *session, const ttm_tt_shape *shape,
                            int64_t rows)
{
    const int64_t in = ttm_tt_shape_in(shape);
    const int64_t out = ttm_tt_shape_out(shape);
    memset(layer, 0, sizeof *layer);
    layer->session = session;
    layer->shape = *shape;
    layer->rows = rows;
    struct {
        ttm_tensor *tensor;
        int32_t rank;
        int64_t sizes[5];
    } wanted[6 + 2 * TTM_TT_MAX_CORES] = {
        {&layer->x, 2, {rows, in}},   {&layer->y, 2, {rows, out}},  {&layer->dx, 2, {rows, in}},
        {&layer->dy, 2, {rows, out}}, {&layer->w, 3, {1, in, out}}, {&layer->dw, 3, {1, in, out}},
    };
    size_t count = 6;
    for (int32_t k = 0; k < shape->core_count; k++) {
        for (int which = 0; which < 2; which++) {
            wanted[count].tensor = which == 0 ? &layer->cores[k] : &layer->dcores[k];
            wanted[count].rank = 5;
            const int64_t sizes[] = {1, shape->ranks[k], shape->in_modes[k], shape->out_modes[k],
                                     shape->ranks[k + 1]};
            memcpy(wanted[count++].sizes, sizes, sizeof sizes);
        }
    }
    ttm_status status = TTM_OK;
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        status = ttm_tensor_alloc(wanted[k].tensor, session->device, TTM_F32, wanted[k].rank,
                                  wanted[k].sizes);
        if (status == TTM_OK) {
            status = bench_fill_random(session, wanted[k].tensor, 0.05, 0);
        }
    }
    return status;
}

void bench_layer_free(bench_layer *layer)
{
    enum { OWN = 6 };
    ttm_tensor *const own[OWN] = {&layer->x,  &layer->y, &layer->dx,
                                  &layer->dy, &layer->w, &layer->dw};
    ttm_stream_drain(layer->session->stream); /* after a failure something may be queued */
    for (size_t k = 0; k < OWN; k++) {
        ttm_tensor_free(own[k], layer->session->device);
    }
    for (int32_t k = 0; k < layer->shape.core_count; k++) {
        ttm_tensor_free(&layer->cores[k], layer->session->device);
        ttm_tensor_free(&layer->dcores[k], layer->session->device);
    }
}

static ttm_tensor as_matrix(const ttm_tensor *w)
{
    const int64_t shape[] = {w->shape[1], w->shape[2]};
    return ttm_tensor_reshape(w, 2, shape);
}

/* out = a·b as in a model of the command line's type. */
static ttm_status multiply(const bench_layer *layer, const ttm_tensor *out, const ttm_tensor *a,
                           const ttm_tensor *b)
{
    ttm_tensor left = *a;
    ttm_tensor right = *b;
    left.dtype = layer->session->dtype;
    right.dtype = layer->session->dtype;
    return ttm_matmul(layer->session->stream, out, &left, &right, NULL);
}

static ttm_status dense_forward(const bench_layer *layer)
{
    const ttm_tensor w = as_matrix(&layer->w);
    return multiply(layer, &layer->y, &layer->x, &w);
}

static ttm_status dense_backward(const bench_layer *layer)
{
    const ttm_tensor w = as_matrix(&layer->w);
    const ttm_tensor dw = as_matrix(&layer->dw);
    const ttm_tensor w_transposed = ttm_tensor_transpose(&w, 0, 1);
    const ttm_tensor x_transposed = ttm_tensor_transpose(&layer->x, 0, 1);
    const ttm_status status = multiply(layer, &layer->dx, &layer->dy, &w_transposed);
    return status != TTM_OK ? status : multiply(layer, &dw, &x_transposed, &layer->dy);
}

static ttm_status build(const bench_layer *layer)
{
    return ttm_tt_build(layer->session->stream, &layer->w, layer->shape.core_count, layer->cores);
}

static ttm_status reduce(const bench_layer *layer)
{
    return ttm_tt_gradient(layer->session->stream, layer->shape.core_count, layer->dcores, 0.0,
                           &layer->dw, layer->cores);
}

static ttm_status run_way(const bench_layer *layer)
{
    ttm_stream *stream = layer->session->stream;
    switch (layer->plan->direction) {
    case TTM_TT_FORWARD:
        return ttm_tt_plan_apply(stream, layer->plan, &layer->y, &layer->x, layer->cores);
    case TTM_TT_INPUT_GRADIENT:
        return ttm_tt_plan_apply(stream, layer->plan, &layer->dx, &layer->dy, layer->cores);
    case TTM_TT_CORE_GRADIENTS:
        break;
    }
    return ttm_tt_plan_apply_gradients(stream, layer->plan, layer->dcores, &layer->dy, &layer->x,
                                       layer->cores);
}

static ttm_status built_step(const bench_layer *layer)
{
    ttm_status status = build(layer);
    status = status == TTM_OK ? dense_forward(layer) : status;
    status = status == TTM_OK ? dense_backward(layer) : status;
    return status == TTM_OK ? reduce(layer) : status;
}

static ttm_status run_pass(void *user, uint64_t call)
{
    const bench_layer *layer = user;
    ttm_stream *stream = layer->session->stream;
    ttm_status status = TTM_OK;
    (void)call;
    switch (layer->pass) {
    case BENCH_DENSE_FORWARD:
        return dense_forward(layer);
    case BENCH_DENSE_BACKWARD:
        return dense_backward(layer);
    case BENCH_BUILD:
        return build(layer);
    case BENCH_REDUCE:
        return reduce(layer);
    case BENCH_BUILT_FORWARD:
        status = build(layer);
        return status == TTM_OK ? dense_forward(layer) : status;
    case BENCH_BUILT_STEP:
        return built_step(layer);
    case BENCH_DENSE_STEP:
        status = dense_forward(layer);
        return status == TTM_OK ? dense_backward(layer) : status;
    case BENCH_TT_LINEAR:
        return ttm_tt_linear(stream, &layer->y, &layer->x, NULL, layer->shape.core_count,
                             layer->cores);
    case BENCH_TT_LINEAR_BACKWARD:
        return ttm_tt_linear_backward(stream, &layer->dx, NULL, layer->shape.core_count,
                                      layer->dcores, &layer->dy, &layer->x, layer->cores);
    case BENCH_WAY:
        return run_way(layer);
    }
    return TTM_OK;
}

void bench_layer_cost(double *operations, double *bytes, const bench_layer *layer,
                      bench_layer_pass pass)
{
    const double in = (double)ttm_tt_shape_in(&layer->shape);
    const double out = (double)ttm_tt_shape_out(&layer->shape);
    const double rows = (double)layer->rows;
    const double product = 2.0 * rows * in * out;
    const double ends = 4.0 * rows * (in + out);
    const double dense = 4.0 * in * out;
    const double cores = 4.0 * (double)ttm_tt_shape_elements(&layer->shape);
    switch (pass) {
    case BENCH_DENSE_FORWARD:
    case BENCH_BUILT_FORWARD:
        *operations = product;
        *bytes = ends + (pass == BENCH_DENSE_FORWARD ? dense : cores);
        break;
    case BENCH_DENSE_BACKWARD:
        *operations = 2.0 * product;
        *bytes = 2.0 * ends + 2.0 * dense;
        break;
    case BENCH_DENSE_STEP:
    case BENCH_BUILT_STEP:
        *operations = 3.0 * product;
        *bytes = 3.0 * ends + (pass == BENCH_DENSE_STEP ? 3.0 * dense : 3.0 * cores);
        break;
    case BENCH_BUILD:
    case BENCH_REDUCE:
        *operations = (double)NAN; /* Depends on the order; the op itself says it. */
        *bytes = dense + cores;
        break;
    case BENCH_TT_LINEAR:
    case BENCH_TT_LINEAR_BACKWARD:
    case BENCH_WAY: {
        const double passes = pass == BENCH_TT_LINEAR_BACKWARD ? 2.0 : 1.0;
        *operations = passes * product;
        *bytes = passes * (ends + cores);
        break;
    }
    }
}

/* The others contract with cores, or make W and dW of them. */
static bool multiplies_with_w(bench_layer_pass pass)
{
    return pass == BENCH_DENSE_FORWARD || pass == BENCH_DENSE_BACKWARD ||
           pass == BENCH_DENSE_STEP || pass == BENCH_BUILT_FORWARD || pass == BENCH_BUILT_STEP;
}

ttm_status bench_layer_time(bench_entry **entry_out, bench_layer *layer, bench_layer_pass pass,
                            const char *group, const char *name, double operations, double bytes)
{
    char shapes[96];
    bench_timing timing;
    bench_session *session = layer->session;
    layer->pass = pass;
    snprintf(shapes, sizeof shapes, "[%lld,%lld]·[%lld,%lld]", (long long)layer->rows,
             (long long)ttm_tt_shape_in(&layer->shape), (long long)ttm_tt_shape_in(&layer->shape),
             (long long)ttm_tt_shape_out(&layer->shape));
    bench_progress(session, name);
    bench_entry *entry = bench_add_entry(&session->result, group, name, "", shapes);
    if (entry_out != NULL) {
        *entry_out = entry;
    }
    if (entry == NULL) {
        return TTM_OK;
    }
    entry->operations = operations;
    entry->bytes = bytes;
    const ttm_status status = bench_measure(&entry->series, &timing, session, run_pass, layer);
    if (status == TTM_OK) {
        entry->wall_ns = timing.wall_ns;
        bench_judge(session, entry, multiplies_with_w(pass) ? session->dtype : TTM_F32);
    }
    bench_progress(session, NULL);
    return status;
}
