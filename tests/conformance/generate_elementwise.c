/* Cases of COPY, FILL, ADD, GELU, GELU_BACKWARD, DROPOUT, ADAMW. */
#include "conformance/generate.h"
#include "core/error.h"

#include <math.h>

enum { ELEMENTS = 20000, RANK = 5 };

static const ttm_dtype floats[] = {TTM_F32, TTM_BF16, TTM_F16, TTM_F64};

static ttm_dtype draw_float(conformance_case *made)
{
    return floats[draw_below(&made->random, 4)];
}

ttm_status generate_copy(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, TTM_MAX_RANK, ELEMENTS);
    ttm_dtype to = draw_float(made);
    ttm_dtype from = made->dtype;
    if (case_once_in(made, 6)) {
        to = from = TTM_I32;
    }
    slot_shape(made, TTM_COPY_OUT, to, LAYOUT_ANY, rank, shape);
    return slot_random(made, TTM_COPY_X, from, LAYOUT_BROADCAST, 0.0, from == TTM_I32 ? 1e6 : 1.0,
                       rank, shape);
}

ttm_status generate_fill(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, TTM_MAX_RANK, ELEMENTS);
    const bool whole = case_once_in(made, 5);
    made->params.fill.value =
        whole ? (double)draw_between(&made->random, -1000, 1000) : draw_value(&made->random);
    slot_shape(made, TTM_FILL_OUT, whole ? TTM_I32 : made->dtype, LAYOUT_ANY, rank, shape);
    return TTM_OK;
}

/* Shapes output slot 0 like input `with`, now and then as the very same tensor. Inputs that it may
 * share can't be broadcast, so the choice comes first: see may_share. */
static void output_like(conformance_case *made, bool share, uint32_t with)
{
    if (share) {
        slot_share(made, 0, with);
    } else {
        slot_shape(made, 0, made->dtype, LAYOUT_ANY, made->slots[with].rank,
                   made->slots[with].shape);
    }
}

ttm_status generate_add(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, RANK, ELEMENTS);
    const bool with_b = !case_once_in(made, 4);
    const bool share = case_once_in(made, 3);
    const uint32_t shared = with_b && case_once_in(made, 2) ? TTM_ADD_B : TTM_ADD_A;
    made->params.add.alpha = case_once_in(made, 2) ? 1.0 : draw_value(&made->random);
    made->params.add.beta = case_once_in(made, 2) ? 1.0 : draw_value(&made->random);
    for (uint32_t slot = TTM_ADD_A; slot <= TTM_ADD_B; slot++) {
        const unsigned layout = share && slot == shared ? LAYOUT_ANY : LAYOUT_BROADCAST;
        if (slot == TTM_ADD_A || with_b) {
            TTM_TRY(slot_random(made, slot, made->dtype, layout, 0.0, 1.0, rank, shape));
        }
    }
    output_like(made, share, shared);
    return TTM_OK;
}

ttm_status generate_gelu(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, RANK, ELEMENTS);
    const bool share = case_once_in(made, 3);
    TTM_TRY(slot_random(made, TTM_GELU_X, made->dtype, share ? LAYOUT_ANY : LAYOUT_BROADCAST, 0.0,
                        3.0, rank, shape));
    output_like(made, share, TTM_GELU_X);
    return TTM_OK;
}

ttm_status generate_gelu_backward(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, RANK, ELEMENTS);
    const bool share = case_once_in(made, 3);
    TTM_TRY(slot_random(made, TTM_GELU_BACKWARD_DY, made->dtype,
                        share ? LAYOUT_ANY : LAYOUT_BROADCAST, 0.0, 1.0, rank, shape));
    TTM_TRY(slot_random(made, TTM_GELU_BACKWARD_X, made->dtype, LAYOUT_BROADCAST, 0.0, 3.0, rank,
                        shape));
    output_like(made, share, TTM_GELU_BACKWARD_DY);
    return TTM_OK;
}

ttm_status generate_dropout(conformance_case *made, const struct target *oracle)
{
    static const double probabilities[] = {0.0, 0.1, 0.5, 0.9};
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t rank = case_shape(made, shape, RANK, ELEMENTS);
    const bool with_residual = case_once_in(made, 2);
    const bool share = case_once_in(made, 3);
    const uint32_t shared =
        with_residual && case_once_in(made, 2) ? TTM_DROPOUT_RESIDUAL : TTM_DROPOUT_X;
    made->params.dropout.probability = probabilities[draw_below(&made->random, 4)];
    made->params.dropout.seed = (uint64_t)ttm_random_u32(&made->random) << 32 | made->index;
    /* Numbers that cross a multiple of 2^32, and ones that don't start on a Philox block. */
    made->params.dropout.start = case_once_in(made, 2) ? (UINT64_C(1) << 32) - 37
                                                       : (uint64_t)draw_below(&made->random, 1000);
    for (uint32_t slot = TTM_DROPOUT_X; slot <= TTM_DROPOUT_RESIDUAL; slot++) {
        const unsigned layout = share && slot == shared ? LAYOUT_ANY : LAYOUT_BROADCAST;
        if (slot == TTM_DROPOUT_X || with_residual) {
            TTM_TRY(slot_random(made, slot, made->dtype, layout, 0.0, 1.0, rank, shape));
        }
    }
    output_like(made, share, shared);
    return TTM_OK;
}

/* Cuts [0, count) into ascending segments with gaps between them. */
static void draw_segments(conformance_case *made, int64_t count)
{
    int64_t start = 0;
    ttm_adamw_params *params = &made->params.adamw;
    params->segments = made->segments;
    params->segment_count = draw_between(&made->random, 1, CASE_SEGMENTS);
    for (int64_t s = 0; s < params->segment_count; s++) {
        const int64_t gap = count > start ? draw_below(&made->random, 2) : 0;
        const int64_t left = count - start - gap;
        const bool last = s == params->segment_count - 1;
        made->segments[s] =
            (ttm_adamw_segment){.start = start + gap,
                                .count = last ? left : draw_between(&made->random, 0, left),
                                .learning_rate_scale = case_once_in(made, 2) ? 1.0 : 0.3,
                                .weight_decay = case_once_in(made, 2) ? 0.1 : 0.0};
        start = made->segments[s].start + made->segments[s].count;
    }
}

/* Whether gradients overflowed in this case: one in seven, so that each type meets it. */
static bool is_overflow(const conformance_case *made)
{
    return made->index >= PLAIN_CASES && made->index % 7 == 3;
}

static ttm_status draw_norm(conformance_case *made)
{
    static const int64_t one = 1;
    double norm_squared = fabs(draw_value(&made->random)) * 100.0;
    if (is_overflow(made)) {
        norm_squared = made->index % 2 == 0 ? (double)NAN : (double)INFINITY;
    }
    slot_shape(made, TTM_ADAMW_NORM_SQUARED, made->dtype, LAYOUT_DENSE, 1, &one);
    return slot_fill(made, TTM_ADAMW_NORM_SQUARED, &norm_squared);
}

ttm_status generate_adamw(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const int64_t count = draw_extent(&made->random, ELEMENTS);
    const ttm_dtype gradient_type = made->dtype;
    made->dtype = gradient_type == TTM_F64 ? TTM_F64 : TTM_F32;
    made->params.adamw = (ttm_adamw_params){.learning_rate = 1e-3,
                                            .beta1 = 0.9,
                                            .beta2 = case_once_in(made, 2) ? 0.999 : 0.95,
                                            .epsilon = 1e-8,
                                            .max_norm = case_once_in(made, 3) ? 0.0 : 1.0,
                                            .gradient_scale = case_once_in(made, 2) ? 1.0 : 0.125,
                                            .step = draw_extent(&made->random, 10000)};
    draw_segments(made, count);
    TTM_TRY(
        slot_random(made, TTM_ADAMW_PARAMETERS, made->dtype, LAYOUT_DENSE, 0.0, 0.1, 1, &count));
    TTM_TRY(
        slot_random(made, TTM_ADAMW_GRADIENTS, gradient_type, LAYOUT_DENSE, 0.0, 0.1, 1, &count));
    const ttm_dtype moment_type =
        made->dtype == TTM_F32 && case_once_in(made, 3) ? TTM_BF16 : made->dtype;
    TTM_TRY(
        slot_random(made, TTM_ADAMW_FIRST_MOMENT, moment_type, LAYOUT_DENSE, 0.0, 0.1, 1, &count));
    TTM_TRY(
        slot_random(made, TTM_ADAMW_SECOND_MOMENT, moment_type, LAYOUT_DENSE, 0.0, 0.1, 1, &count));
    struct operand *second = &made->slots[TTM_ADAMW_SECOND_MOMENT];
    for (int64_t i = 0; i < count; i++) {
        second->values[i] = fabs(second->values[i]);
    }
    if (!case_once_in(made, 3) || is_overflow(made)) {
        TTM_TRY(draw_norm(made));
    }
    if (case_once_in(made, 2)) {
        slot_shape(made, TTM_ADAMW_WORKING, gradient_type, LAYOUT_DENSE, 1, &count);
    }
    return TTM_OK;
}
