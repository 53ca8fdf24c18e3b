/* AdamW's segments: what is decayed, what has its own learning rate, and what is merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "train/segments.h"

/* The segments of a small TT model, with everything they were made from. */
typedef struct made {
    ttm_gpt2_config config;
    ttm_parameter_table table;
    ttm_adamw_segment *segments;
    size_t count;
} made;

static made make(const ttm_trainer_options *options, const char *tt)
{
    made result = {.config = TTM_GPT2_CONFIG_EMPTY};
    assert_int_equal(ttm_gpt2_config_init(&result.config, 257, 32, 2, 2, 64), TTM_OK);
    assert_int_equal(ttm_gpt2_config_apply_tt_spec(&result.config, tt), TTM_OK);
    assert_int_equal(ttm_parameter_table_new(&result.table, &result.config, 0), TTM_OK);
    assert_int_equal(
        ttm_segments_new(&result.segments, &result.count, &result.table, &result.config, options),
        TTM_OK);
    return result;
}

static void destroy(made *result)
{
    free(result->segments);
    ttm_parameter_table_free(&result->table);
    ttm_gpt2_config_free(&result->config);
}

/* Returns the segment that holds an element; there must be exactly one. */
static const ttm_adamw_segment *segment_of(const made *result, int64_t element)
{
    const ttm_adamw_segment *found = NULL;
    for (size_t i = 0; i < result->count; i++) {
        const ttm_adamw_segment *segment = &result->segments[i];
        if (element >= segment->start && element < segment->start + segment->count) {
            assert_null(found);
            found = segment;
        }
    }
    assert_non_null(found);
    return found;
}

static void every_parameter_lies_in_one_segment_with_its_own_treatment(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.weight_decay = 0.125;
    options.core_learning_rate = true;
    made result = make(&options, "mlp=4x4,4x4,4x16:8");
    for (size_t i = 0; i < result.table.count; i++) {
        const ttm_parameter *parameter = &result.table.items[i];
        const ttm_adamw_segment *segment = segment_of(&result, parameter->offset);
        assert_ptr_equal(segment, segment_of(&result, parameter->offset + parameter->count - 1));
        assert_true(segment->weight_decay == (parameter->weight_decay ? 0.125 : 0.0));
        assert_true(segment->learning_rate_scale ==
                    ttm_parameter_learning_rate_scale(parameter, &result.config, &options));
    }
    destroy(&result);
}

static void segments_ascend_and_no_two_neighbours_are_alike(void **state)
{
    (void)state;
    const ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    made result = make(&options, "mlp=4x4,4x4,4x16:8");
    for (size_t i = 1; i < result.count; i++) {
        const ttm_adamw_segment *before = &result.segments[i - 1];
        const ttm_adamw_segment *after = &result.segments[i];
        assert_true(before->start + before->count <= after->start);
        assert_true(before->weight_decay != after->weight_decay ||
                    before->learning_rate_scale != after->learning_rate_scale);
    }
    destroy(&result);
}

static void without_decay_the_whole_buffer_is_one_segment(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.weight_decay = 0.0;
    made result = make(&options, "none");
    assert_int_equal(result.count, 1);
    const ttm_parameter *last = &result.table.items[result.table.count - 1];
    assert_int_equal(result.segments[0].start, 0);
    assert_int_equal(result.segments[0].count, last->offset + last->count);
    destroy(&result);
}

static void core_rates_follow_the_fan_in_rule(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.core_learning_rate = true;
    made result = make(&options, "mlp=4x4,4x4,4x16:8");
    /* c_fc has fan-in 64 and 3 cores; its cores have fan-ins 1·4, 8·4, 8·4. */
    const double expected[3] = {64.0 / 4.0 / 3.0, 64.0 / 32.0 / 3.0, 64.0 / 32.0 / 3.0};
    int seen = 0;
    for (size_t i = 0; i < result.table.count; i++) {
        const ttm_parameter *parameter = &result.table.items[i];
        const double scale = ttm_parameter_learning_rate_scale(parameter, &result.config, &options);
        if (parameter->kind == TTM_PARAMETER_CORE && parameter->matrix == TTM_GPT2_MLP_C_FC) {
            assert_true(scale == expected[parameter->core]);
            seen++;
        } else if (parameter->kind != TTM_PARAMETER_CORE) {
            assert_true(scale == 1.0);
        }
    }
    assert_int_equal(seen, 6);
    destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_lies_in_one_segment_with_its_own_treatment),
        cmocka_unit_test(segments_ascend_and_no_two_neighbours_are_alike),
        cmocka_unit_test(without_decay_the_whole_buffer_is_one_segment),
        cmocka_unit_test(core_rates_follow_the_fan_in_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
