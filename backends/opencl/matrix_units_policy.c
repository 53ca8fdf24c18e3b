/* The environment's variables, and what a device has where they say nothing. */
#include "opencl/matrix_units_policy.h"

#include "opencl/matrix_units_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "wgmma", "emulated-mma:2", … */
static ttm_status read_wish(opencl_unit_policy *policy, const char *wish)
{
    char name[32];
    char rest[32] = "";
    policy->is_forced = 1;
    const int fields = sscanf(wish, "%31[a-z-]:%d%31s", name, &policy->only, rest);
    if (fields > 0 && strncmp(name, "emulated-", 9) == 0) {
        policy->is_emulated = 1;
        memmove(name, name + 9, strlen(name + 9) + 1);
    }
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    const opencl_unit unit = fields > 0 ? opencl_unit_named(name) : OPENCL_UNIT_NONE;
    policy->unit = unit;
    if (fields < 1 || fields > 2 || unit == OPENCL_UNIT_NONE || policy->only >= count ||
        (fields == 2 && (policy->only < 0 || variants[policy->only].unit != unit))) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "TTM_OPENCL_MATRIX_UNITS is '%s'; use auto, off, mma, wgmma, dpas, "
                           "mfma or one of these units with emulated- before it; with :N for "
                           "variant N of that unit",
                           wish);
    }
    return TTM_OK;
}

/* TTM_OPENCL_PIECES: for tests. */
static ttm_status read_pieces(opencl_unit_policy *policy)
{
    char rest[2] = "";
    const char *wish = getenv("TTM_OPENCL_PIECES");
    if (wish == NULL) {
        return TTM_OK;
    }
    if (sscanf(wish, "%d%1s", &policy->pieces, rest) != 1 || policy->pieces < 1 ||
        policy->pieces > OPENCL_MOST_PIECES) {
        return opencl_fail(TTM_ERROR_ARGUMENT, "TTM_OPENCL_PIECES is '%s'; use 1 to %d", wish,
                           OPENCL_MOST_PIECES);
    }
    return TTM_OK;
}

ttm_status opencl_split_policy_read(opencl_split_policy *splits, int is_probe)
{
    static const char *const names[] = {[OPENCL_SPLIT_WHERE_FASTER] = "auto",
                                        [OPENCL_SPLIT_ALWAYS] = "split",
                                        [OPENCL_SPLIT_IN_PARTS] = "parts",
                                        [OPENCL_SPLIT_NEVER] = "strict"};
    const char *wish = getenv("TTM_OPENCL_FP32");
    for (int policy = OPENCL_SPLIT_WHERE_FASTER; policy <= OPENCL_SPLIT_NEVER; policy++) {
        if (wish == NULL || strcmp(wish, names[policy]) == 0) {
            *splits = policy == OPENCL_SPLIT_WHERE_FASTER && is_probe ? OPENCL_SPLIT_ALWAYS
                                                                      : (opencl_split_policy)policy;
            return TTM_OK;
        }
    }
    return opencl_fail(TTM_ERROR_ARGUMENT,
                       "TTM_OPENCL_FP32 is '%s'; use auto, split, parts or strict", wish);
}

int opencl_split_policy_is_sure(opencl_split_policy splits)
{
    return splits == OPENCL_SPLIT_ALWAYS || splits == OPENCL_SPLIT_IN_PARTS;
}

int opencl_unit_splits(opencl_unit unit)
{
    return unit == OPENCL_UNIT_MMA || unit == OPENCL_UNIT_WGMMA;
}

ttm_status opencl_unit_policy_read(opencl_unit_policy *policy,
                                   const opencl_description *description)
{
    const char *wish = getenv("TTM_OPENCL_MATRIX_UNITS");
    *policy = (opencl_unit_policy){.only = -1};
    policy->is_probe = getenv("TTM_OPENCL_MATRIX_UNITS_PROBE") != NULL;
    ttm_status status = opencl_split_policy_read(&policy->splits, policy->is_probe);
    if (status == TTM_OK && (wish == NULL || strcmp(wish, "auto") == 0)) {
        const opencl_unit unit = opencl_unit_of_device(description);
        *(opencl_unit_is_tried(unit) ? &policy->unit : &policy->untried) = unit;
    } else if (status == TTM_OK && strcmp(wish, "off") != 0) {
        status = read_wish(policy, wish);
    }
    return status == TTM_OK ? read_pieces(policy) : status;
}
