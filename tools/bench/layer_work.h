/* One linear layer with all that its passes need: dense weight, cores, gradients, x and dy. */
#ifndef TTM_TOOLS_BENCH_LAYER_WORK_H
#define TTM_TOOLS_BENCH_LAYER_WORK_H

#include "bench/measure.h"

#include <ttm/compute.h>
#include <ttm/tt_plan.h>

/** What a call does. */
typedef enum bench_layer_pass {
    BENCH_DENSE_FORWARD,      /**< y = x·W */
    BENCH_DENSE_BACKWARD,     /**< dx = dy·Wᵀ, dW = xᵀ·dy */
    BENCH_BUILD,              /**< W from the cores */
    BENCH_REDUCE,             /**< core gradients from dW */
    BENCH_BUILT_FORWARD,      /**< build, then y = x·W */
    BENCH_BUILT_STEP,         /**< build, y, dx, dW, core gradients: a training step of the layer */
    BENCH_DENSE_STEP,         /**< y, dx, dW */
    BENCH_TT_LINEAR,          /**< the op TT_LINEAR */
    BENCH_TT_LINEAR_BACKWARD, /**< the op TT_LINEAR_BACKWARD */
    BENCH_WAY                 /**< one given order of contraction */
} bench_layer_pass;

/** The layer. */
typedef struct bench_layer {
    bench_session *session;
    ttm_tt_shape shape;
    int64_t rows;
    bench_layer_pass pass;
    const ttm_tt_plan *plan; /* Of BENCH_WAY. */
    ttm_tensor x;
    ttm_tensor y;
    ttm_tensor dx;
    ttm_tensor dy;
    ttm_tensor w;  /* [1, in, out] */
    ttm_tensor dw; /* [1, in, out] */
    ttm_tensor cores[TTM_TT_MAX_CORES];
    ttm_tensor dcores[TTM_TT_MAX_CORES];
} bench_layer;

/** Allocates and fills a layer; freed with bench_layer_free after success and failure. */
ttm_status bench_layer_open(bench_layer *layer, bench_session *session, const ttm_tt_shape *shape,
                            int64_t rows);

/** Frees its tensors. */
void bench_layer_free(bench_layer *layer);

/** Times one pass and adds an entry; *entry_out (may be NULL) = it. */
ttm_status bench_layer_time(bench_entry **entry_out, bench_layer *layer, bench_layer_pass pass,
                            const char *group, const char *name, double operations, double bytes);

/** The cost that the definition of a pass has: multiply-adds of the dense product, and bytes of
 * what is read and written. */
void bench_layer_cost(double *operations, double *bytes, const bench_layer *layer,
                      bench_layer_pass pass);

#endif
