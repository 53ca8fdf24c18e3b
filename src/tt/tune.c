/* Tunings in use: found on disk the first time that a device is asked about, then kept until the
 * process ends. */
#include <ttm/tune.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/tune_file.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a device; there are as many of these as a process has seen kinds of device. */
typedef struct known_device {
    struct known_device *next;
    uint64_t identity;
    bool tuned;
    ttm_tuning tuning;
    ttm_tuned_plan *plans; /* Behind tuning.plans. */
} known_device;

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static known_device *known_devices;

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    }
    return (hash ^ 255u) * UINT64_C(0x100000001B3);
}

/* What makes two devices the same for a measurement. */
static uint64_t identity_of(const ttm_device *device)
{
    const ttm_device_info *info = ttm_device_get_info(device);
    uint64_t hash = hash_text(UINT64_C(0xCBF29CE484222325), ttm_device_backend_name(device));
    hash = hash_text(hash, info->name);
    return (hash ^ info->compute_units) * UINT64_C(0x100000001B3);
}

ttm_status ttm_tuning_path(char *path, size_t path_bytes, const ttm_device *device)
{
    const char *own = secure_getenv("TTM_TUNE_DIR");
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    char file[128];
    int length = -1;
    snprintf(file, sizeof file, "tune-%.40s-%016" PRIx64 ".txt", ttm_device_backend_name(device),
             identity_of(device));
    if (own != NULL) {
        length = own[0] == '/' ? snprintf(path, path_bytes, "%s/%s", own, file) : -1;
    } else if (cache != NULL && cache[0] == '/') {
        length = snprintf(path, path_bytes, "%s/ttm/%s", cache, file);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, path_bytes, "%s/.cache/ttm/%s", home, file);
    }
    if (length < 0) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "there is no folder for tuned settings: set TTM_TUNE_DIR, XDG_CACHE_HOME "
                        "or HOME to an absolute path");
    }
    if ((size_t)length >= path_bytes) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the path of the tuned settings is too long");
    }
    return TTM_OK;
}

static void load(known_device *known, const ttm_device *device)
{
    char path[4096];
    if (ttm_tuning_path(path, sizeof path, device) != TTM_OK) {
        return;
    }
    const ttm_status status = ttm_tune_file_read(&known->tuning, path, device);
    known->tuned = status == TTM_OK;
    known->plans = known->tuned ? (ttm_tuned_plan *)known->tuning.plans : NULL;
    if (known->tuned) {
        ttm_log(TTM_LOG_INFO, "tuned settings of %s from '%s'", ttm_device_get_info(device)->name,
                path);
    } else if (status != TTM_ERROR_NOT_FOUND) {
        ttm_log(TTM_LOG_WARNING,
                "tuned settings are ignored: %s; 'ttm-bench tune' writes them anew",
                ttm_error_message());
    }
}

/* Returns what is known of a device, NULL without memory. The lock is held. */
static known_device *find_known(const ttm_device *device, bool loading)
{
    const uint64_t identity = identity_of(device);
    for (known_device *known = known_devices; known != NULL; known = known->next) {
        if (known->identity == identity) {
            return known;
        }
    }
    known_device *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->identity = identity;
        if (loading) {
            load(made, device);
        }
        made->next = known_devices;
        known_devices = made;
    }
    return made;
}

bool ttm_tt_cost_model_for_device(ttm_tt_cost_model *model, const ttm_device *device,
                                  ttm_dtype dtype)
{
    const double element_bytes = (double)ttm_dtype_bytes(dtype);
    const ttm_tt_cost_model untuned = TTM_TT_COST_MODEL_INIT;
    *model = untuned;
    pthread_mutex_lock(&known_lock);
    const known_device *known = find_known(device, true);
    const bool tuned = known != NULL && known->tuned;
    if (tuned) {
        *model = known->tuning.model;
    }
    pthread_mutex_unlock(&known_lock);
    if (element_bytes > 0.0) {
        model->element_bytes = element_bytes;
    }
    return tuned;
}

/* Copies the tree that was tuned for exactly this, if there is one. */
static bool find_tree(char *tree, size_t tree_bytes, const ttm_device *device,
                      const ttm_tt_shape *shape, int64_t rows, ttm_tt_direction direction)
{
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    bool found = false;
    pthread_mutex_lock(&known_lock);
    const known_device *known = find_known(device, true);
    if (known != NULL && known->tuned && known->tuning.plan_count > 0 &&
        ttm_tt_shape_print(text, sizeof text, shape) == TTM_OK) {
        for (size_t k = 0; k < known->tuning.plan_count && !found; k++) {
            const ttm_tuned_plan *plan = &known->plans[k];
            found = plan->rows == rows && plan->direction == direction &&
                    strcmp(plan->shape, text) == 0;
            if (found) {
                snprintf(tree, tree_bytes, "%s", plan->tree);
            }
        }
    }
    pthread_mutex_unlock(&known_lock);
    return found;
}

ttm_status ttm_tt_plan_find_for_device(ttm_tt_plan *plan, const ttm_device *device, ttm_dtype dtype,
                                       const ttm_tt_shape *shape, int64_t rows,
                                       ttm_tt_direction direction)
{
    ttm_tt_cost_model model;
    char tree[64];
    if (dtype == TTM_F32 && ttm_tt_shape_check(shape) == TTM_OK &&
        find_tree(tree, sizeof tree, device, shape, rows, direction) &&
        ttm_tt_plan_parse(plan, tree, shape, rows, direction) == TTM_OK) {
        return TTM_OK;
    }
    ttm_tt_cost_model_for_device(&model, device, dtype);
    return ttm_tt_plan_find(plan, shape, rows, direction, &model);
}

/* Replaces what is known by a copy of `tuning`. */
static ttm_status replace_known(const ttm_tuning *tuning, const ttm_device *device)
{
    ttm_tuned_plan *plans = NULL;
    TTM_TRY(ttm_array_new(&plans, tuning->plan_count + 1, sizeof *plans, "tuned plans"));
    if (tuning->plan_count > 0) {
        memcpy(plans, tuning->plans, tuning->plan_count * sizeof *plans);
    }
    pthread_mutex_lock(&known_lock);
    known_device *known = find_known(device, false);
    if (known != NULL) {
        free(known->plans);
        known->tuning = *tuning;
        known->tuning.plans = plans;
        known->plans = plans;
        known->tuned = true;
    } else {
        free(plans);
    }
    pthread_mutex_unlock(&known_lock);
    return TTM_OK;
}

/* What ttm_tune_file_read takes back. */
static bool is_speed(double value)
{
    return value > 0.0 && isfinite(value);
}

ttm_status ttm_tuning_save(const ttm_tuning *tuning, const ttm_device *device)
{
    char path[4096];
    const ttm_tt_cost_model *model = &tuning->model;
    if (!is_speed(model->product_flops) || !is_speed(model->copy_bytes) ||
        !is_speed(model->launch_seconds)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a tuning of %g flop/s, %g B/s and %g s a launch: all must be positive and "
                        "finite",
                        model->product_flops, model->copy_bytes, model->launch_seconds);
    }
    TTM_TRY(ttm_tuning_path(path, sizeof path, device));
    TTM_TRY(ttm_tune_file_write(path, tuning, device));
    return replace_known(tuning, device);
}
