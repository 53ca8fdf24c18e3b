/* What was measured on a device, kept on disk, and used by everything that runs there: the speeds
 * that the planner of contractions counts with, and the order of contraction that was fastest for
 * a shape and a number of rows. `ttm-bench tune` measures and writes it.
 *
 * A device's file is `tune-BACKEND-HASH.txt` in $TTM_TUNE_DIR, else $XDG_CACHE_HOME/ttm, else
 * ~/.cache/ttm; an empty TTM_TUNE_DIR means that there is none. It is read once a process and
 * device. A file that is damaged, of another driver or not the user's own is ignored, with one log
 * line. What it says changes which products compute a result, never what is computed: results
 * differ by rounding. Training builds W whatever is tuned, so its bits don't depend on it.
 *
 * All functions are thread-safe. */
#ifndef TTM_TUNE_H
#define TTM_TUNE_H

#include <stdbool.h>
#include <ttm/compute.h>
#include <ttm/tt_plan.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A contraction that was measured to be the fastest. */
typedef struct ttm_tuned_plan {
    ttm_tt_direction direction;
    int64_t rows;
    char shape[TTM_TT_SHAPE_TEXT_BYTES]; /**< As ttm_tt_shape_print writes it. */
    char tree[64];                       /**< As ttm_tt_plan_parse reads it. */
} ttm_tuned_plan;

/** Everything that was measured on a device. */
typedef struct ttm_tuning {
    size_t struct_size;
    ttm_tt_cost_model model; /**< For f32. */
    const ttm_tuned_plan *plans;
    size_t plan_count;
} ttm_tuning;

/** *model = the measured costs of `device` for elements of `dtype` if there are any, else
 * TTM_TT_COST_MODEL_INIT with that element size. Returns whether they were measured. */
TTM_API bool ttm_tt_cost_model_for_device(ttm_tt_cost_model *model, const ttm_device *device,
                                          ttm_dtype dtype);

/** *plan = the plan that was measured to be the fastest, else the cheapest by
 * ttm_tt_cost_model_for_device. Errors as ttm_tt_plan_find. */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_find_for_device(ttm_tt_plan *plan,
                                                           const ttm_device *device,
                                                           ttm_dtype dtype,
                                                           const ttm_tt_shape *shape, int64_t rows,
                                                           ttm_tt_direction direction);

/** Writes the device's file, which appears whole or not at all, and uses it from now on.
 * TTM_ERROR_IO, TTM_ERROR_NOT_FOUND when the environment names no folder for it,
 * TTM_ERROR_ARGUMENT for speeds that aren't positive and finite. */
TTM_API TTM_CHECKED ttm_status ttm_tuning_save(const ttm_tuning *tuning, const ttm_device *device);

/** Writes the path of the device's file to path[path_bytes]; it needn't exist.
 * TTM_ERROR_NOT_FOUND as ttm_tuning_save, TTM_ERROR_ARGUMENT when it doesn't fit. */
TTM_API TTM_CHECKED ttm_status ttm_tuning_path(char *path, size_t path_bytes,
                                               const ttm_device *device);

/** Runs a forward or input-gradient plan: result [rows, out] (or [rows, in]) from x (or dy) and the
 * cores, each [1, r, n, m, r']. For measuring plans; ttm_tt_linear chooses one itself. On a
 * planning stream it tells the scratch that is needed. TTM_ERROR_ARGUMENT for a plan of core
 * gradients, TTM_ERROR_SHAPE, TTM_ERROR_UNSUPPORTED as for ttm_tt_linear. */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_apply(ttm_stream *stream, const ttm_tt_plan *plan,
                                                 const ttm_tensor *result, const ttm_tensor *x,
                                                 const ttm_tensor *cores);

/** Runs a plan for core gradients: dcores are added to. Otherwise as ttm_tt_plan_apply. */
TTM_API TTM_CHECKED ttm_status
ttm_tt_plan_apply_gradients(ttm_stream *stream, const ttm_tt_plan *plan, const ttm_tensor *dcores,
                            const ttm_tensor *dy, const ttm_tensor *x, const ttm_tensor *cores);

#ifdef __cplusplus
}
#endif

#endif
