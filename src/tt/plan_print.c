/* A plan for people: the tree, then one line for each product. */
#include <inttypes.h>
#include <stdbool.h>
#include <ttm/tt_plan.h>

#include "tt/text_writer.h"

static void put_operand(ttm_text_writer *out, const ttm_tt_plan *plan, int32_t index, bool permuted)
{
    const ttm_tt_operand *operand = &plan->operands[index];
    const char *mark = permuted ? "'" : "";
    switch (operand->kind) {
    case TTM_TT_OPERAND_X:
        ttm_text_put(out, "%s%s", plan->direction == TTM_TT_INPUT_GRADIENT ? "dy" : "x", mark);
        break;
    case TTM_TT_OPERAND_CORE:
        ttm_text_put(out, "G%" PRId32 "%s", operand->core + 1, mark);
        break;
    case TTM_TT_OPERAND_DY:
        ttm_text_put(out, "dy%s", mark);
        break;
    default: /* results are numbered like the steps */
        ttm_text_put(out, "T%" PRId32 "%s", index - (plan->operand_count - plan->step_count) + 1,
                     mark);
    }
}

ttm_status ttm_tt_plan_print(char *text, size_t text_bytes, const ttm_tt_plan *plan)
{
    ttm_text_writer out = {text, text_bytes, 0, false};
    ttm_text_put(&out, "%s\n", plan->text);
    for (int32_t i = 0; i < plan->step_count; i++) {
        const ttm_tt_step *step = &plan->steps[i];
        ttm_text_put(&out, "T%" PRId32 " = ", i + 1);
        put_operand(&out, plan, step->left, step->permute_left != 0);
        ttm_text_put(&out, " * ");
        put_operand(&out, plan, step->right, step->permute_right != 0);
        ttm_text_put(&out, "  m %.0f n %.0f k %.0f", step->m, step->n, step->k);
        if (step->gradient_core >= 0) {
            ttm_text_put(&out, "  = dG%" PRId32, step->gradient_core + 1);
        }
        ttm_text_put(&out, "%s\n", step->permute_result ? "  permuted" : "");
    }
    return ttm_text_finish(&out, "the text of a plan");
}
