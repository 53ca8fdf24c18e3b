/* The order and the names of cases. */
#include "conformance/plan.h"

#include "conformance/device_tests.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>

/* Of an op's cases, one in so many is run through libttm too. */
enum { LIBTTM_SHARE = 4 };

void plan_name(char name[PLAN_NAME_BYTES], const plan_position *position)
{
    const char *op = ttm_op_name((ttm_opcode)position->item);
    const unsigned long long index = position->index;
    switch (position->section) {
    case PLAN_DEVICE:
        snprintf(name, PLAN_NAME_BYTES, "%s", device_test_get((uint64_t)position->item)->name);
        break;
    case PLAN_OPS:
        snprintf(name, PLAN_NAME_BYTES, "%s/%llu", op, index);
        break;
    case PLAN_LIBTTM:
        snprintf(name, PLAN_NAME_BYTES, "libttm/%s/%llu", op, index);
        break;
    case PLAN_REFUSALS:
        snprintf(name, PLAN_NAME_BYTES, "errors/%s", op);
        break;
    default:
        snprintf(name, PLAN_NAME_BYTES, "device/close");
        break;
    }
}

void plan_group(char name[PLAN_NAME_BYTES], const plan_position *position)
{
    plan_name(name, position);
    name[strcspn(name, "/")] = '\0';
}

bool plan_selects(const char *filter, const char *name)
{
    if (filter == NULL || fnmatch(filter, name, 0) == 0) {
        return true;
    }
    const size_t length = strlen(filter);
    return strncmp(filter, name, length) == 0 && name[length] == '/';
}

static int32_t item_count(int32_t section)
{
    if (section == PLAN_CLOSE) {
        return 1;
    }
    return section == PLAN_DEVICE ? (int32_t)device_test_count() : TTM_OP_COUNT;
}

static uint64_t index_count(int32_t section, uint64_t cases)
{
    switch (section) {
    case PLAN_OPS:
        return cases;
    case PLAN_LIBTTM:
        return (cases + LIBTTM_SHARE - 1) / LIBTTM_SHARE;
    default:
        return 1;
    }
}

bool plan_find(plan_position *position, const char *filter, uint64_t cases)
{
    for (; position->section < PLAN_END; position->section++, position->item = 0) {
        for (; position->item < item_count(position->section);
             position->item++, position->index = 0) {
            for (; position->index < index_count(position->section, cases); position->index++) {
                char name[PLAN_NAME_BYTES];
                plan_name(name, position);
                if (plan_selects(filter, name)) {
                    return true;
                }
            }
        }
    }
    return false;
}
