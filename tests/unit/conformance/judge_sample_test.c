/* What the conformance suite says of a token that is wrong: which one it should have been, and why.
 */
#include "conformance/judge_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VOCAB = 4 };

/* Weights 2, 4, 1, 1 of 8: tokens begin at 0, 1/4, 3/4 and 7/8 of the sum. */
static double logits[VOCAB];

static void begin(void)
{
    const double weights[VOCAB] = {2.0, 4.0, 1.0, 1.0};
    for (int j = 0; j < VOCAB; j++) {
        logits[j] = log(weights[j]);
    }
}

/* The words whose ttm_uniform_f64 is `u`, to 32 bits. */
static double high_word(double u)
{
    return (double)(int32_t)(uint32_t)(u * 0x1p32);
}

/* Judges one row. */
static check_verdict judge_token(int32_t token, double u, ttm_sample_params params)
{
    double words[] = {high_word(u), 0.0};
    double tokens[] = {0.0};
    conformance_case made = {.opcode = TTM_OP_SAMPLE, .dtype = TTM_F32, .params.sample = params};
    made.slots[TTM_SAMPLE_LOGITS] = (struct operand){.dtype = TTM_F32,
                                                     .rank = 2,
                                                     .shape = {1, VOCAB},
                                                     .stride = {VOCAB, 1},
                                                     .elements = VOCAB,
                                                     .count = VOCAB,
                                                     .values = logits};
    made.slots[TTM_SAMPLE_RANDOM] = (struct operand){.dtype = TTM_I32,
                                                     .rank = 2,
                                                     .shape = {1, 2},
                                                     .stride = {2, 1},
                                                     .elements = 2,
                                                     .count = 2,
                                                     .values = words};
    made.slots[TTM_SAMPLE_TOKENS] = (struct operand){.dtype = TTM_I32,
                                                     .rank = 1,
                                                     .shape = {1},
                                                     .stride = {1},
                                                     .elements = 1,
                                                     .count = 1,
                                                     .values = tokens};
    unsigned char image[2 * GUARD_BYTES + sizeof token];
    check_verdict verdict = {.outcome = CHECK_PASSED};
    memset(image, GUARD_BYTE, sizeof image);
    memcpy(image + GUARD_BYTES, &token, sizeof token);
    assert_int_equal(judge_sample(&verdict, image, &made), TTM_OK);
    return verdict;
}

static void assert_says(check_verdict verdict, const char *message)
{
    assert_int_equal(verdict.outcome, CHECK_FAILED);
    assert_string_equal(verdict.message, message);
}

static void the_right_token_passes(void **state)
{
    (void)state;
    const ttm_sample_params all = {.temperature = 1.0, .top_p = 1.0};
    assert_int_equal(judge_token(1, 0.5, all).outcome, CHECK_PASSED);
    assert_int_equal(judge_token(0, 0.25 - 1e-7, all).outcome, CHECK_PASSED);
    assert_int_equal(judge_token(1, 0.25 - 1e-7, all).outcome, CHECK_PASSED);
}

static void another_token_is_told_its_part_and_the_right_one(void **state)
{
    (void)state;
    const ttm_sample_params all = {.temperature = 1.0, .top_p = 1.0};
    const check_verdict verdict = judge_token(2, 0.5, all);
    assert_int_equal(verdict.outcome, CHECK_FAILED);
    assert_non_null(strstr(verdict.message,
                           "tokens[0] is 2, not 1: u = 0.5 lies in its part [0.25, 0.75) of the "
                           "weight of the 4 tokens kept; token 2 has [0.75, 0.875), "));
    assert_non_null(strstr(
        verdict.message, " times as far off as rounding may be (temperature 1, top_k 0, top_p 1); "
                         "1 of 1 tokens are wrong"));
}

static void a_token_that_is_not_kept_is_called_so(void **state)
{
    (void)state;
    const ttm_sample_params first_two = {.temperature = 1.0, .top_p = 1.0, .top_k = 2};
    const ttm_sample_params most = {.temperature = 1.0, .top_p = 0.7};
    assert_says(
        judge_token(3, 0.9375, first_two),
        "tokens[0] is 3, not 1: u = 0.9375 lies in its part [0.333333333, 1) of the weight "
        "of the 2 tokens kept; token 3 isn't kept, as number 4 of the order (temperature 1, "
        "top_k 2, top_p 1); 1 of 1 tokens are wrong");
    assert_non_null(strstr(judge_token(3, 0.9375, most).message,
                           "tokens[0] is 3, not 1: u = 0.9375 lies in its part [0.333333333, 1) of "
                           "the weight of the 2 tokens kept; token 3 isn't kept"));
}

static void what_is_no_token_is_called_so(void **state)
{
    (void)state;
    const ttm_sample_params all = {.temperature = 1.0, .top_p = 1.0};
    assert_says(judge_token(1000000000, 0.8, all),
                "tokens[0] is 1000000000, not 2: the row's tokens are 0 to 3 (temperature 1, top_k "
                "0, top_p 1); 1 of 1 tokens are wrong");
}

static void the_largest_logit_is_named(void **state)
{
    (void)state;
    const ttm_sample_params first = {.temperature = 0.0, .top_p = 1.0};
    logits[0] = logits[1] = 2.5;
    assert_says(judge_token(1, 0.5, first),
                "tokens[0] is 1, not 0: temperature 0 or top_k 1 takes the first of the largest "
                "logits, which is 2.5; token 1 has 2.5 (temperature 0, top_k 0, top_p 1); 1 of 1 "
                "tokens are wrong");
    begin();
}

static void a_row_without_distribution_wants_minus_one(void **state)
{
    (void)state;
    const ttm_sample_params all = {.temperature = 1.0, .top_p = 1.0};
    logits[2] = NAN;
    assert_int_equal(judge_token(-1, 0.5, all).outcome, CHECK_PASSED);
    assert_says(
        judge_token(1, 0.5, all),
        "tokens[0] is 1, not -1: a logit is NaN or +inf, or none is above -inf (temperature "
        "1, top_k 0, top_p 1); 1 of 1 tokens are wrong");
    begin();
}

static void a_token_without_weight_is_called_so(void **state)
{
    (void)state;
    const ttm_sample_params all = {.temperature = 1.0, .top_p = 1.0};
    logits[3] = -INFINITY;
    assert_non_null(strstr(judge_token(3, 0.5, all).message, "kept; token 3 has no weight ("));
    begin();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_token_passes),
        cmocka_unit_test(another_token_is_told_its_part_and_the_right_one),
        cmocka_unit_test(a_token_that_is_not_kept_is_called_so),
        cmocka_unit_test(what_is_no_token_is_called_so),
        cmocka_unit_test(the_largest_logit_is_named),
        cmocka_unit_test(a_row_without_distribution_wants_minus_one),
        cmocka_unit_test(a_token_without_weight_is_called_so),
    };
    begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
