/* What all generators use: shaping slots, filling them, drawing shapes. */
#include "conformance/generate.h"

#include "core/error.h"

#include <string.h>

static ttm_status no_memory(const conformance_case *made)
{
    return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the values of case %llu",
                    (unsigned long long)made->index);
}

void slot_shape(conformance_case *made, uint32_t slot, ttm_dtype dtype, unsigned layout,
                int32_t rank, const int64_t *shape)
{
    struct operand *operand = &made->slots[slot];
    operand->dtype = dtype;
    operand->rank = rank;
    memcpy(operand->shape, shape, (size_t)rank * sizeof shape[0]);
    /* Now and then one tensor is as odd as can be among orderly ones: a plugin may take just that.
     */
    const bool odd = made->style == STYLE_PADDED && case_once_in(made, 4);
    operand_arrange(operand, layout, odd ? STYLE_WILD : made->style, &made->random);
}

ttm_status slot_random(conformance_case *made, uint32_t slot, ttm_dtype dtype, unsigned layout,
                       double shift, double scale, int32_t rank, const int64_t *shape)
{
    slot_shape(made, slot, dtype, layout, rank, shape);
    return operand_fill_random(&made->slots[slot], shift, scale, &made->random) ? TTM_OK
                                                                                : no_memory(made);
}

void slot_share(conformance_case *made, uint32_t slot, uint32_t with)
{
    made->slots[slot] = made->slots[with];
    made->slots[slot].values = NULL;
    made->same_as[slot] = (int32_t)with;
}

ttm_status slot_fill(conformance_case *made, uint32_t slot, const double *source)
{
    return operand_fill(&made->slots[slot], source) ? TTM_OK : no_memory(made);
}

bool case_once_in(conformance_case *made, int64_t times)
{
    return draw_once_in(&made->random, times);
}

int64_t case_extent(conformance_case *made, int64_t largest)
{
    if (made->index >= PLAIN_CASES && case_once_in(made, 40)) {
        return 0;
    }
    return draw_extent(&made->random, largest);
}

int32_t case_shape(conformance_case *made, int64_t *shape, int32_t largest_rank,
                   int64_t largest_count)
{
    const int32_t rank = (int32_t)draw_between(&made->random, 0, largest_rank);
    int64_t budget = largest_count;
    for (int32_t dim = rank - 1; dim >= 0; dim--) {
        const int64_t largest = dim < rank - 2 && budget > 5 ? 5 : budget;
        shape[dim] = case_extent(made, largest);
        budget /= shape[dim] > 0 ? shape[dim] : 1;
    }
    return rank;
}

int32_t case_batch(conformance_case *made, int64_t *shape)
{
    const int32_t rank = (int32_t)draw_between(&made->random, 0, 2);
    for (int32_t dim = 0; dim < rank; dim++) {
        shape[dim] = draw_between(&made->random, 1, 3);
    }
    return rank;
}

ttm_dtype case_result_type(conformance_case *made)
{
    const bool is_f32 = made->dtype != TTM_F64 && case_once_in(made, 2);
    return is_f32 ? TTM_F32 : case_stored_type(made);
}

ttm_dtype case_stored_type(const conformance_case *made)
{
    return made->dtype == TTM_TF32 ? TTM_F32 : made->dtype;
}

ttm_dtype case_sum_type(const conformance_case *made)
{
    return made->dtype == TTM_F64 ? TTM_F64 : TTM_F32;
}

ttm_status slot_output(conformance_case *made, uint32_t slot, ttm_dtype dtype, unsigned layout,
                       bool read, int32_t rank, const int64_t *shape)
{
    if (read) {
        return slot_random(made, slot, dtype, layout, 0.0, 1.0, rank, shape);
    }
    slot_shape(made, slot, dtype, layout, rank, shape);
    return TTM_OK;
}
