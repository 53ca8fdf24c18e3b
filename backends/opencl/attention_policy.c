/* The environment's variables, and what a device has where they say nothing. */
#include "opencl/attention_policy.h"

#include "opencl/attention_shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[2][OPENCL_ATTENTION_UNITS_END] = {
    {[OPENCL_UNIT_NONE] = "", [OPENCL_UNIT_MMA] = "mma", [OPENCL_UNIT_WGMMA] = "wgmma"},
    {[OPENCL_UNIT_NONE] = "",
     [OPENCL_UNIT_MMA] = "emulated-mma",
     [OPENCL_UNIT_WGMMA] = "emulated-wgmma"}};

const char *opencl_attention_unit_name(const opencl_attention_policy *policy, opencl_unit unit)
{
    return names[policy->is_emulated][unit];
}

/* All that the unit has kernels for. */
static void use_unit(opencl_attention_policy *policy, opencl_unit unit)
{
    for (int kind = 0; kind < OPENCL_ATTENTION_KINDS; kind++) {
        const int is_split =
            kind == OPENCL_ATTENTION_SPLIT || kind == OPENCL_ATTENTION_SPLIT_DROPPING;
        policy->usable[unit][kind] = unit == OPENCL_UNIT_MMA || !is_split;
    }
}

int opencl_attention_policy_allows(const opencl_attention_policy *policy,
                                   opencl_attention_kind kind)
{
    int allowed = 0;
    for (int unit = OPENCL_UNIT_MMA; unit < OPENCL_ATTENTION_UNITS_END; unit++) {
        allowed = allowed || policy->usable[unit][kind];
    }
    return allowed;
}

/* "mma", "emulated-wgmma:1", … */
static ttm_status read_wish(opencl_attention_policy *policy, const char *wish)
{
    char name[32];
    char rest[32] = "";
    const int fields = sscanf(wish, "%31[a-z-]:%d%31s", name, &policy->only, rest);
    int is_known = 0;
    for (int i = 0; i < 2 * OPENCL_ATTENTION_UNITS_END && fields > 0 && !is_known; i++) {
        const opencl_unit unit = (opencl_unit)(i / 2);
        if (unit != OPENCL_UNIT_NONE && strcmp(name, names[i % 2][unit]) == 0) {
            policy->is_emulated = i % 2;
            use_unit(policy, unit);
            is_known = 1;
        }
    }
    policy->is_forced = 1;
    if (!is_known || fields > 2 ||
        (fields == 2 && (policy->only < 0 || policy->only >= OPENCL_ATTENTION_CHOICES))) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "TTM_OPENCL_ATTENTION is '%s'; use auto, off, mma, wgmma, "
                           "emulated-mma or emulated-wgmma, with :0 or :1 for one choice of shapes",
                           wish);
    }
    return TTM_OK;
}

ttm_status opencl_attention_policy_read(opencl_attention_policy *policy,
                                        const opencl_description *description)
{
    const char *wish = getenv("TTM_OPENCL_ATTENTION");
    const char *products = getenv("TTM_OPENCL_MATRIX_UNITS");
    memset(policy, 0, sizeof *policy);
    policy->only = -1;
    policy->is_probe = getenv("TTM_OPENCL_MATRIX_UNITS_PROBE") != NULL;
    const ttm_status status = opencl_split_policy_read(&policy->splits, policy->is_probe);
    if (status != TTM_OK || (wish != NULL && strcmp(wish, "off") == 0)) {
        return status;
    }
    if (wish != NULL && strcmp(wish, "auto") != 0) {
        return read_wish(policy, wish);
    }
    if (products == NULL || strcmp(products, "off") != 0) {
        const opencl_unit unit = opencl_unit_of_device(description);
        if (unit == OPENCL_UNIT_MMA || unit == OPENCL_UNIT_WGMMA) {
            use_unit(policy, OPENCL_UNIT_MMA);
        }
        if (unit == OPENCL_UNIT_WGMMA) {
            use_unit(policy, OPENCL_UNIT_WGMMA);
        }
    }
    return TTM_OK;
}
