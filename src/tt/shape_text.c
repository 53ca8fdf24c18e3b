/* The textual form of a shape, `8x8,8x8,12x8,1x6:64`: read and written. */
#include <inttypes.h>
#include <stdbool.h>
#include <ttm/tt.h>

#include "core/error.h"
#include "tt/text_writer.h"

typedef struct reader {
    const char *text;
    const char *next;
} reader;

static ttm_status fail_at(const reader *in, const char *wanted)
{
    return ttm_fail(TTM_ERROR_ARGUMENT,
                    "shape '%s', character %d: %s expected; write modes and rank like "
                    "8x8,8x8,12x8,1x6:64",
                    in->text, (int)(in->next - in->text) + 1, wanted);
}

static bool accept(reader *in, char wanted)
{
    if (*in->next != wanted) {
        return false;
    }
    in->next++;
    return true;
}

static ttm_status read_number(int64_t *number, reader *in)
{
    if (*in->next < '0' || *in->next > '9') {
        return fail_at(in, "a number");
    }
    int64_t value = 0;
    for (; *in->next >= '0' && *in->next <= '9'; in->next++) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*in->next - '0'), &value)) {
            return fail_at(in, "a number below 2^63");
        }
    }
    *number = value;
    return TTM_OK;
}

static ttm_status read_modes(ttm_tt_shape *shape, reader *in)
{
    do {
        if (shape->core_count == TTM_TT_MAX_CORES) {
            return ttm_fail(TTM_ERROR_SHAPE, "shape '%s' has more than %d cores", in->text,
                            TTM_TT_MAX_CORES);
        }
        TTM_TRY(read_number(&shape->in_modes[shape->core_count], in));
        if (!accept(in, 'x')) {
            return fail_at(in, "'x'");
        }
        TTM_TRY(read_number(&shape->out_modes[shape->core_count], in));
        shape->core_count++;
    } while (accept(in, ','));
    return TTM_OK;
}

static ttm_status read_ranks(ttm_tt_shape *shape, reader *in)
{
    const int32_t bonds = shape->core_count - 1;
    shape->ranks[0] = shape->ranks[shape->core_count] = 1;
    if (bonds == 0) {
        return *in->next == '\0' ? TTM_OK : fail_at(in, "the end (a single core has no rank)");
    }
    if (!accept(in, ':')) {
        return fail_at(in, "':' and the rank");
    }
    int32_t count = 0;
    do {
        if (count == bonds) {
            return fail_at(in, "the end (there are more ranks than bonds between cores)");
        }
        count++;
        TTM_TRY(read_number(&shape->ranks[count], in));
    } while (accept(in, ','));
    if (*in->next != '\0') {
        return fail_at(in, "',' or the end");
    }
    if (count == 1) {
        ttm_tt_shape_set_rank(shape, shape->ranks[1]);
    } else if (count != bonds) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "shape '%s' has %" PRId32 " ranks for %" PRId32
                        " bonds: give one for all or one for each",
                        in->text, count, bonds);
    }
    return TTM_OK;
}

ttm_status ttm_tt_shape_parse(ttm_tt_shape *shape, const char *text)
{
    reader in = {text, text};
    ttm_tt_shape result = {0};
    TTM_TRY(read_modes(&result, &in));
    TTM_TRY(read_ranks(&result, &in));
    const ttm_status status = ttm_tt_shape_check(&result);
    if (status != TTM_OK) {
        return ttm_fail_context(status, "shape '%s'", text);
    }
    *shape = result;
    return TTM_OK;
}

ttm_status ttm_tt_shape_print(char *text, size_t text_bytes, const ttm_tt_shape *shape)
{
    ttm_text_writer out = {text, text_bytes, 0, false};
    bool uniform = true;
    for (int32_t core = 0; core < shape->core_count; core++) {
        ttm_text_put(&out, "%s%" PRId64 "x%" PRId64, core == 0 ? "" : ",", shape->in_modes[core],
                     shape->out_modes[core]);
    }
    for (int32_t bond = 2; bond < shape->core_count; bond++) {
        uniform = uniform && shape->ranks[bond] == shape->ranks[1];
    }
    for (int32_t bond = 1; bond < (uniform && shape->core_count > 1 ? 2 : shape->core_count);
         bond++) {
        ttm_text_put(&out, "%c%" PRId64, bond == 1 ? ':' : ',', shape->ranks[bond]);
    }
    return ttm_text_finish(&out, "the text of a shape");
}
