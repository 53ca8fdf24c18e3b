/* The judgement of one case: it ran, it wrote what it should and nothing else, its results are
 * within their bounds, and running it again gives the same bits. */
#include "conformance/check.h"

#include "conformance/bounds.h"
#include "conformance/judge_sample.h"
#include "core/error.h"
#include "core/op_table.h"
#include "core/op_validate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A case's images on the host: what was uploaded, and what came back of each run. */
struct images {
    unsigned char *before[TTM_OP_MAX_TENSORS];
    unsigned char *after[2][TTM_OP_MAX_TENSORS];
};

static const char *slot_name(const conformance_case *made, uint32_t slot)
{
    return ttm_op_get_info(made->opcode)->slots[slot].name;
}

static uint32_t slot_count(const conformance_case *made)
{
    return ttm_op_get_info(made->opcode)->slot_count;
}

/* Whether the slot has an allocation of its own. */
static bool owns_memory(const conformance_case *made, uint32_t slot)
{
    return made->slots[slot].dtype != TTM_DTYPE_NONE && made->same_as[slot] == (int32_t)slot;
}

/* Whether any slot that shares this one's tensor is written. */
static bool written(const conformance_case *made, uint32_t slot)
{
    for (uint32_t other = 0; other < slot_count(made); other++) {
        if (made->same_as[other] == (int32_t)slot && case_writes(made, other)) {
            return true;
        }
    }
    return false;
}

static ttm_status prepare(struct images *images, const conformance_case *made)
{
    for (uint32_t slot = 0; slot < slot_count(made); slot++) {
        const struct operand *operand = &made->slots[slot];
        if (!owns_memory(made, slot)) {
            continue;
        }
        const size_t bytes = operand_bytes(operand);
        images->before[slot] = malloc(bytes);
        images->after[0][slot] = malloc(bytes);
        images->after[1][slot] = malloc(bytes);
        if (images->before[slot] == NULL || images->after[0][slot] == NULL ||
            images->after[1][slot] == NULL) {
            return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for images of %zu bytes", bytes);
        }
        operand_write_image(images->before[slot], operand, operand->values != NULL);
    }
    return TTM_OK;
}

static void release(struct images *images)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        free(images->before[slot]);
        free(images->after[0][slot]);
        free(images->after[1][slot]);
    }
}

/* Runs the op once from fresh memory. */
static ttm_status run_once(unsigned char *const after[TTM_OP_MAX_TENSORS],
                           const struct images *images, const conformance_case *made,
                           const struct target *tested)
{
    ttm_tensor tensors[TTM_OP_MAX_TENSORS] = {0};
    ttm_memory *memory[TTM_OP_MAX_TENSORS] = {0};
    const ttm_op op = case_op(made, tensors);
    ttm_status status = TTM_OK;
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (owns_memory(made, slot)) {
            TTM_TRY_OUT(target_upload(&memory[slot], tested, images->before[slot],
                                      operand_bytes(&made->slots[slot])));
        }
    }
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            tensors[slot] = operand_tensor(&made->slots[slot], memory[made->same_as[slot]]);
        }
    }
    TTM_TRY_OUT(ttm_op_validate(&op, false));
    TTM_TRY_OUT(target_run(tested, &op));
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (memory[slot] != NULL) {
            TTM_TRY_OUT(target_download(after[slot], tested, memory[slot],
                                        operand_bytes(&made->slots[slot])));
        }
    }
out:
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        target_free(tested, memory[slot]);
    }
    return status;
}

static void fail(check_verdict *verdict, const char *message)
{
    verdict->outcome = CHECK_FAILED;
    snprintf(verdict->message, sizeof verdict->message, "%s", message);
}

/* Inputs are as they were; of outputs, only elements have changed. */
static void check_untouched(check_verdict *verdict, const struct images *images,
                            const conformance_case *made)
{
    for (uint32_t slot = 0; slot < slot_count(made) && verdict->outcome == CHECK_PASSED; slot++) {
        if (!owns_memory(made, slot)) {
            continue;
        }
        const int64_t where = operand_first_difference(images->before[slot], images->after[0][slot],
                                                       &made->slots[slot], !written(made, slot));
        if (where >= 0) {
            char text[256];
            snprintf(text, sizeof text, "byte %lld of %s was changed, which belongs to no output",
                     (long long)(where - GUARD_BYTES), slot_name(made, slot));
            fail(verdict, text);
        }
    }
}

static void check_repeated(check_verdict *verdict, const struct images *images,
                           const conformance_case *made)
{
    for (uint32_t slot = 0; slot < slot_count(made) && verdict->outcome == CHECK_PASSED; slot++) {
        const unsigned char *first = images->after[0][slot];
        const unsigned char *second = images->after[1][slot];
        if (first != NULL && second != NULL &&
            memcmp(first, second, operand_bytes(&made->slots[slot])) != 0) {
            char text[256];
            snprintf(text, sizeof text, "%s differs when the op is run again",
                     slot_name(made, slot));
            fail(verdict, text);
        }
    }
}

/* The row-major number of an element as indices "i, j, k". */
static void print_index(char *text, size_t text_bytes, const struct operand *operand, int64_t index)
{
    int64_t indices[TTM_MAX_RANK] = {0};
    size_t used = 0;
    text[0] = '\0';
    for (int32_t dim = operand->rank - 1; dim >= 0; dim--) {
        indices[dim] = index % operand->shape[dim];
        index /= operand->shape[dim];
    }
    for (int32_t dim = 0; dim < operand->rank && used < text_bytes; dim++) {
        used += (size_t)snprintf(text + used, text_bytes - used, dim > 0 ? ", %lld" : "%lld",
                                 (long long)indices[dim]);
    }
}

/* The error of one element in parts of its bound; infinite where a number should be and isn't. */
static double excess(double got, double exact, double bound)
{
    if (got == exact || (isnan(got) && isnan(exact))) {
        return 0.0;
    }
    const double error = fabs(got - exact);
    return isfinite(error) && bound > 0.0 ? error / bound : (double)INFINITY;
}

static void compare_slot(check_verdict *verdict, const unsigned char *image,
                         const conformance_case *made, uint32_t slot, const double *exact,
                         const double *bounds)
{
    const struct operand *operand = &made->slots[slot];
    int64_t wrong = 0;
    int64_t worst_index = 0;
    double worst = 0.0;
    for (int64_t i = 0; i < operand->count; i++) {
        const double parts = excess(operand_read_image(image, operand, i), exact[i], bounds[i]);
        wrong += parts > 1.0;
        if (parts > worst) {
            worst = parts;
            worst_index = i;
        }
    }
    verdict->worst = fmax(verdict->worst, worst);
    if (wrong > 0) {
        char index_text[128];
        char text[512];
        print_index(index_text, sizeof index_text, operand, worst_index);
        snprintf(text, sizeof text,
                 "%s[%s] is %.9g, not %.9g ± %.3g; %lld of %lld elements are out of bounds",
                 slot_name(made, slot), index_text, operand_read_image(image, operand, worst_index),
                 exact[worst_index], bounds[worst_index], (long long)wrong,
                 (long long)operand->count);
        fail(verdict, text);
    }
}

static ttm_status check_results(check_verdict *verdict, const struct images *images,
                                const conformance_case *made, const struct target *oracle)
{
    if (made->opcode == TTM_OP_SAMPLE) {
        return judge_sample(verdict, images->after[0][TTM_SAMPLE_TOKENS], made);
    }
    case_results exact = {0};
    case_results absolute = {0};
    case_results squared = {0};
    double *bounds = NULL;
    ttm_status status = case_oracle(&exact, made, oracle, CASE_EXACT);
    if (status == TTM_OK && bound_needs_absolute(made->opcode)) {
        status = case_oracle(&absolute, made, oracle, CASE_ABSOLUTE);
    }
    if (status == TTM_OK && bound_needs_squared(made->opcode)) {
        status = case_oracle(&squared, made, oracle, CASE_SQUARED);
    }
    for (uint32_t slot = 0;
         slot < slot_count(made) && status == TTM_OK && verdict->outcome == CHECK_PASSED; slot++) {
        if (exact.values[slot] == NULL) {
            continue;
        }
        const bound_question question = {.made = made,
                                         .exact = &exact,
                                         .absolute = &absolute,
                                         .squared = &squared,
                                         .slot = slot};
        double *larger = realloc(bounds, ((size_t)made->slots[slot].count + 1) * sizeof *bounds);
        if (larger == NULL) {
            status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for error bounds");
            break;
        }
        bounds = larger;
        status = bound_compute(bounds, &question);
        if (status == TTM_OK) {
            compare_slot(verdict, images->after[0][made->same_as[slot]], made, slot,
                         exact.values[slot], bounds);
        }
    }
    free(bounds);
    case_results_free(&squared);
    case_results_free(&absolute);
    case_results_free(&exact);
    return status;
}

bool check_is_native(const conformance_case *made, const struct target *tested)
{
    ttm_tensor tensors[TTM_OP_MAX_TENSORS] = {0};
    const ttm_op op = case_op(made, tensors);
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            tensors[slot] = operand_tensor(&made->slots[slot], NULL);
        }
    }
    return target_is_native(tested, &op) != 0;
}

void check_case(check_verdict *verdict, const conformance_case *made, const struct target *tested,
                const struct target *oracle)
{
    struct images images = {0};
    *verdict = (check_verdict){.outcome = CHECK_PASSED};
    if (tested->through == NULL && !check_is_native(made, tested)) {
        verdict->outcome = CHECK_SKIPPED;
        return;
    }
    ttm_status status = prepare(&images, made);
    for (int run = 0; run < 2 && status == TTM_OK; run++) {
        status = run_once(images.after[run], &images, made, tested);
    }
    if (status == TTM_OK) {
        check_untouched(verdict, &images, made);
        status = check_results(verdict, &images, made, oracle);
    }
    if (status == TTM_OK) {
        check_repeated(verdict, &images, made);
    }
    if (status != TTM_OK) {
        fail(verdict, ttm_error_message());
    }
    release(&images);
}
