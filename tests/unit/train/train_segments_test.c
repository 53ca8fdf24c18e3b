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
    ttm_segments segments;
    size_t count; /* of the one span */
} made;

/* With spans of at most `span_elements` (0: one span for all). */
static made make_in_spans(const ttm_trainer_options *options, const char *tt, int64_t span_elements)
{
    made result = {.config = TTM_GPT2_CONFIG_EMPTY};
    assert_int_equal(ttm_gpt2_config_init(&result.config, 257, 32, 2, 2, 64), TTM_OK);
    assert_int_equal(ttm_gpt2_config_apply_tt_spec(&result.config, tt), TTM_OK);
    assert_int_equal(ttm_parameter_table_new(&result.table, &result.config, 0, span_elements),
                     TTM_OK);
    assert_int_equal(ttm_segments_new(&result.segments, &result.table, &result.config, options),
                     TTM_OK);
    result.count = result.segments.first[result.table.span_count];
    return result;
}

static made make(const ttm_trainer_options *options, const char *tt)
{
    made result = make_in_spans(options, tt, 0);
    assert_int_equal(result.table.span_count, 1);
    return result;
}

static void destroy(made *result)
{
    ttm_segments_free(&result->segments);
    ttm_parameter_table_free(&result->table);
    ttm_gpt2_config_free(&result->config);
}

/* Returns the segment that holds an element; there must be exactly one. */
static const ttm_adamw_segment *segment_of(const made *result, int64_t element)
{
    const ttm_adamw_segment *found = NULL;
    for (size_t i = 0; i < result->count; i++) {
        const ttm_adamw_segment *segment = &result->segments.items[i];
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
        const ttm_adamw_segment *before = &result.segments.items[i - 1];
        const ttm_adamw_segment *after = &result.segments.items[i];
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
    assert_int_equal(result.segments.items[0].start, 0);
    assert_int_equal(result.segments.items[0].count, last->offset + last->count);
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

/* Each span has its own segments, counted from its start, that treat every parameter as those of
 * one span do. */
static void segments_of_spans_treat_every_parameter_alike(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.weight_decay = 0.125;
    options.core_learning_rate = true;
    made whole = make(&options, "mlp=4x4,4x4,4x16:8");
    made parts = make_in_spans(&options, "mlp=4x4,4x4,4x16:8", 16500);
    assert_true(parts.table.span_count > 3);
    assert_int_equal(parts.table.buffer_count, whole.table.buffer_count);
    for (size_t i = 0; i < parts.table.count; i++) {
        const ttm_parameter *parameter = &parts.table.items[i];
        const size_t span = (size_t)parameter->span;
        const ttm_adamw_params params =
            ttm_segments_params(&parts.segments, span, &(ttm_adamw_params){.beta1 = 0.5});
        const int64_t start = parameter->offset - parts.table.spans[span].offset;
        const ttm_adamw_segment *alike = segment_of(&whole, parameter->offset);
        int found = 0;
        assert_true(params.beta1 == 0.5);
        assert_true(start >= 0 && start + parameter->count <= parts.table.spans[span].count);
        for (int64_t k = 0; k < params.segment_count; k++) {
            const ttm_adamw_segment *segment = &params.segments[k];
            assert_true(segment->start + segment->count <= parts.table.spans[span].count);
            if (start >= segment->start && start < segment->start + segment->count) {
                assert_true(start + parameter->count <= segment->start + segment->count);
                assert_true(segment->weight_decay == alike->weight_decay &&
                            segment->learning_rate_scale == alike->learning_rate_scale);
                found++;
            }
        }
        assert_int_equal(found, 1);
    }
    destroy(&parts);
    destroy(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_lies_in_one_segment_with_its_own_treatment),
        cmocka_unit_test(segments_ascend_and_no_two_neighbours_are_alike),
        cmocka_unit_test(without_decay_the_whole_buffer_is_one_segment),
        cmocka_unit_test(core_rates_follow_the_fan_in_rule),
        cmocka_unit_test(segments_of_spans_treat_every_parameter_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
