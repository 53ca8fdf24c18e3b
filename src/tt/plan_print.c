/* A plan for people: the tree, then one line for each product. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <ttm/tt_plan.h>

#include "core/error.h"

typedef struct writer {
    char *text;
    size_t bytes;
    size_t used;
    bool full;
} writer;

static void put(writer *out, const char *format, ...) TTM_PRINTF(2, 3);

static void put(writer *out, const char *format, ...)
{
    if (out->full) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(out->text + out->used, out->bytes - out->used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= out->bytes - out->used) {
        out->full = true;
    } else {
        out->used += (size_t)length;
    }
}

static void put_operand(writer *out, const ttm_tt_plan *plan, int32_t index, bool permuted)
{
    const ttm_tt_operand *operand = &plan->operands[index];
    const char *mark = permuted ? "'" : "";
    switch (operand->kind) {
    case TTM_TT_OPERAND_X:
        put(out, "%s%s", plan->direction == TTM_TT_INPUT_GRADIENT ? "dy" : "x", mark);
        break;
    case TTM_TT_OPERAND_CORE:
        put(out, "G%" PRId32 "%s", operand->core + 1, mark);
        break;
    case TTM_TT_OPERAND_DY:
        put(out, "dy%s", mark);
        break;
    default: /* results are numbered like the steps */
        put(out, "T%" PRId32 "%s", index - (plan->operand_count - plan->step_count) + 1, mark);
    }
}

ttm_status ttm_tt_plan_print(char *text, size_t text_bytes, const ttm_tt_plan *plan)
{
    writer out = {text, text_bytes, 0, text_bytes == 0};
    put(&out, "%s\n", plan->text);
    for (int32_t i = 0; i < plan->step_count; i++) {
        const ttm_tt_step *step = &plan->steps[i];
        put(&out, "T%" PRId32 " = ", i + 1);
        put_operand(&out, plan, step->left, step->permute_left != 0);
        put(&out, " * ");
        put_operand(&out, plan, step->right, step->permute_right != 0);
        put(&out, "  m %.0f n %.0f k %.0f", step->m, step->n, step->k);
        if (step->gradient_core >= 0) {
            put(&out, "  = dG%" PRId32, step->gradient_core + 1);
        }
        put(&out, "%s\n", step->permute_result ? "  permuted" : "");
    }
    return out.full ? ttm_fail(TTM_ERROR_ARGUMENT, "%zu bytes are too few for the text of a plan",
                               text_bytes)
                    : TTM_OK;
}
