/* Shapes of TT-matrices: what makes one sound, its sizes, and clipping its ranks to what the bonds
 * can carry. */
#include <inttypes.h>
#include <string.h>
#include <ttm/tt.h>

#include "core/error.h"
#include "tt/shape.h"

bool ttm_tt_multiply(int64_t *product, int64_t a, int64_t b)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* a·b for positive numbers, INT64_MAX when that doesn't fit: good enough where only a minimum is
 * taken. */
static int64_t saturating_multiply(int64_t a, int64_t b)
{
    int64_t product = 0;
    return ttm_tt_multiply(&product, a, b) ? product : INT64_MAX;
}

/* What stands in a shape's arrays can be touched; whether it is sound is for ttm_tt_shape_check. */
static bool has_cores(const ttm_tt_shape *shape)
{
    return shape->core_count >= 1 && shape->core_count <= TTM_TT_MAX_CORES;
}

static ttm_status check_bounds(const ttm_tt_shape *shape)
{
    if (!has_cores(shape)) {
        return ttm_fail(TTM_ERROR_SHAPE, "a TT-matrix has 1 to %d cores, not %" PRId32,
                        TTM_TT_MAX_CORES, shape->core_count);
    }
    for (int32_t core = 0; core < shape->core_count; core++) {
        if (shape->in_modes[core] < 1 || shape->out_modes[core] < 1) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "core %" PRId32 " has modes %" PRId64 "x%" PRId64
                            ": modes must be at least 1",
                            core + 1, shape->in_modes[core], shape->out_modes[core]);
        }
    }
    for (int32_t bond = 0; bond <= shape->core_count; bond++) {
        const bool outer = bond == 0 || bond == shape->core_count;
        if (outer && shape->ranks[bond] != 1) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "the %s rank is %" PRId64 ": the outer ranks must be 1",
                            bond == 0 ? "first" : "last", shape->ranks[bond]);
        }
        if (shape->ranks[bond] < 1) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "the rank between cores %" PRId32 " and %" PRId32 " is %" PRId64
                            ": ranks must be at least 1",
                            bond, bond + 1, shape->ranks[bond]);
        }
    }
    return TTM_OK;
}

ttm_status ttm_tt_shape_check(const ttm_tt_shape *shape)
{
    TTM_TRY(check_bounds(shape));
    int64_t in = 1;
    int64_t out = 1;
    int64_t matrix = 0;
    int64_t total = 0;
    for (int32_t core = 0; core < shape->core_count; core++) {
        int64_t elements = shape->ranks[core];
        if (!ttm_tt_multiply(&in, in, shape->in_modes[core]) ||
            !ttm_tt_multiply(&out, out, shape->out_modes[core]) ||
            !ttm_tt_multiply(&matrix, in, out)) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "the modes of cores 1 to %" PRId32
                            " multiply to more than 2^63 elements",
                            core + 1);
        }
        if (!ttm_tt_multiply(&elements, elements, shape->in_modes[core]) ||
            !ttm_tt_multiply(&elements, elements, shape->out_modes[core]) ||
            !ttm_tt_multiply(&elements, elements, shape->ranks[core + 1]) ||
            __builtin_add_overflow(total, elements, &total)) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "core %" PRId32 " of %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                            " is more than can be counted: lower the ranks",
                            core + 1, shape->ranks[core], shape->in_modes[core],
                            shape->out_modes[core], shape->ranks[core + 1]);
        }
    }
    return TTM_OK;
}

ttm_status ttm_tt_shape_validate(const ttm_tt_shape *shape, int64_t in, int64_t out)
{
    TTM_TRY(ttm_tt_shape_check(shape));
    const int64_t shape_in = ttm_tt_shape_in(shape);
    const int64_t shape_out = ttm_tt_shape_out(shape);
    if (shape_in != in || shape_out != out) {
        char text[TTM_TT_SHAPE_TEXT_BYTES];
        TTM_TRY(ttm_tt_shape_print(text, sizeof text, shape));
        return ttm_fail(TTM_ERROR_SHAPE,
                        "modes %s multiply to %" PRId64 " x %" PRId64 ", but the matrix is %" PRId64
                        " x %" PRId64,
                        text, shape_in, shape_out, in, out);
    }
    return TTM_OK;
}

int64_t ttm_tt_shape_in(const ttm_tt_shape *shape)
{
    int64_t in = 1;
    for (int32_t core = 0; core < shape->core_count; core++) {
        in *= shape->in_modes[core];
    }
    return in;
}

int64_t ttm_tt_shape_out(const ttm_tt_shape *shape)
{
    int64_t out = 1;
    for (int32_t core = 0; core < shape->core_count; core++) {
        out *= shape->out_modes[core];
    }
    return out;
}

int64_t ttm_tt_shape_core_elements(const ttm_tt_shape *shape, int32_t core)
{
    return shape->ranks[core] * shape->in_modes[core] * shape->out_modes[core] *
           shape->ranks[core + 1];
}

int64_t ttm_tt_shape_elements(const ttm_tt_shape *shape)
{
    int64_t total = 0;
    for (int32_t core = 0; core < shape->core_count; core++) {
        total += ttm_tt_shape_core_elements(shape, core);
    }
    return total;
}

int ttm_tt_shape_equal(const ttm_tt_shape *a, const ttm_tt_shape *b)
{
    if (a->core_count != b->core_count) {
        return 0;
    }
    const size_t modes_bytes = (size_t)a->core_count * sizeof a->in_modes[0];
    return memcmp(a->in_modes, b->in_modes, modes_bytes) == 0 &&
           memcmp(a->out_modes, b->out_modes, modes_bytes) == 0 &&
           memcmp(a->ranks, b->ranks, modes_bytes + sizeof a->ranks[0]) == 0;
}

void ttm_tt_shape_transpose(ttm_tt_shape *transposed, const ttm_tt_shape *shape)
{
    ttm_tt_shape swapped = *shape;
    memcpy(swapped.in_modes, shape->out_modes, sizeof swapped.in_modes);
    memcpy(swapped.out_modes, shape->in_modes, sizeof swapped.out_modes);
    *transposed = swapped;
}

void ttm_tt_shape_set_rank(ttm_tt_shape *shape, int64_t rank)
{
    if (!has_cores(shape)) {
        return;
    }
    for (int32_t bond = 0; bond <= shape->core_count; bond++) {
        shape->ranks[bond] = bond == 0 || bond == shape->core_count ? 1 : rank;
    }
}

void ttm_tt_shape_clip(ttm_tt_shape *clipped, const ttm_tt_shape *shape)
{
    ttm_tt_shape result = *shape;
    if (!has_cores(shape)) {
        *clipped = result;
        return;
    }
    for (int32_t bond = 1; bond < result.core_count; bond++) {
        const int64_t modes =
            saturating_multiply(result.in_modes[bond - 1], result.out_modes[bond - 1]);
        const int64_t carried = saturating_multiply(result.ranks[bond - 1], modes);
        result.ranks[bond] = result.ranks[bond] < carried ? result.ranks[bond] : carried;
    }
    for (int32_t bond = result.core_count - 1; bond > 0; bond--) {
        const int64_t modes = saturating_multiply(result.in_modes[bond], result.out_modes[bond]);
        const int64_t carried = saturating_multiply(modes, result.ranks[bond + 1]);
        result.ranks[bond] = result.ranks[bond] < carried ? result.ranks[bond] : carried;
    }
    *clipped = result;
}
