/* Options by name: setting, ranges, presets, automatic values. */
#include "../io/scratch_folder.h"

#include <math.h>

#include "core/device_internal.h"
#include "train/options.h"
#include "train/resolve.h"

static void every_option_is_described_and_can_be_set_by_name(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    for (size_t i = 0; i < ttm_trainer_option_count(); i++) {
        const ttm_trainer_option_info info = ttm_trainer_option_describe(i);
        const ttm_trainer_field *field = ttm_trainer_field_find(info.name);
        assert_non_null(field);
        assert_non_null(info.help);
        const char *value = field->kind == TTM_FIELD_BOOL     ? NULL
                            : field->kind == TTM_FIELD_CHOICE ? field->choices[(int)field->maximum]
                            : field->kind == TTM_FIELD_REAL   ? "0.5"
                                                              : "3";
        assert_int_equal(ttm_trainer_options_set(&options, info.name, value), TTM_OK);
    }
    assert_null(ttm_trainer_option_describe(ttm_trainer_option_count()).name);
    assert_int_equal(options.steps, 3);
    assert_int_equal(options.schedule, TTM_SCHEDULE_COSINE);
    assert_true(options.learning_rate == 0.5);
    assert_true(options.core_learning_rate);
    assert_int_equal(options.seed, 3);
    assert_string_equal(options.sample_prompt, "3");
    assert_int_equal(options.dtype, TTM_PRECISION_TF32);
    assert_int_equal(options.moments, TTM_PRECISION_BF16);
    assert_int_equal(options.recompute, TTM_RECOMPUTE_OFF);
    assert_int_equal(ttm_trainer_options_check(&options), TTM_OK);
}

static void an_option_reads_back_as_it_can_be_set(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {"steps", "2147483647"}, {"warmup", "-1"},          {"learning-rate", "6.25e-05"},
        {"schedule", "linear"},  {"dtype", "auto"},         {"seed", "18446744073709551615"},
        {"moments", "bf16"},     {"sample-prompt", "Once"}, {"core-learning-rate", "true"},
        {"recompute", "on"},     {"dtype", "tf32"},
    };
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    char text[TTM_TRAINER_PROMPT_BYTES];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(ttm_trainer_options_set(&options, values[i][0], values[i][1]), TTM_OK);
        assert_string_equal(ttm_trainer_options_get(text, sizeof text, &options, values[i][0]),
                            values[i][1]);
    }
    assert_string_equal(ttm_trainer_options_get(text, sizeof text, &options, "no-such"), "");
    assert_string_equal(ttm_trainer_options_get(text, 4, &options, "schedule"), "lin");
}

static void a_refused_value_is_named_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"steps", "0"},
        {"steps", "1.5"},
        {"steps", "ten"},
        {"steps", ""},
        {"steps", "1e9999"},
        {"batch", "-1"},
        {"beta1", "1"},
        {"beta2", "nan"},
        {"epsilon", "1e-50"},
        {"learning-rate", "0"},
        {"learning-rate", "inf"},
        {"learning-rate", "1x"},
        {"schedule", "step"},
        {"seed", "-1"},
        {"seed", "18446744073709551616"},
        {"clip-norm", "-0.1"},
        {"core-learning-rate", "maybe"},
        {"sample-prompt", "\xff"},
        {"dtype", "f16"},
        {"moments", "auto"},
        {"moments", "tf32"},
        {"recompute", "yes"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
        const ttm_trainer_options before = options;
        assert_int_equal(ttm_trainer_options_set(&options, wrong[i][0], wrong[i][1]),
                         TTM_ERROR_ARGUMENT);
        assert_message_has(wrong[i][0]);
        assert_memory_equal(&options, &before, sizeof options);
    }
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    assert_int_equal(ttm_trainer_options_set(&options, "stepz", "3"), TTM_ERROR_NOT_FOUND);
    assert_message_has("stepz");
    assert_int_equal(ttm_trainer_options_set(&options, "steps", NULL), TTM_ERROR_ARGUMENT);
}

static void a_prompt_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char prompt[TTM_TRAINER_PROMPT_BYTES + 1];
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    memset(prompt, 'a', sizeof prompt);
    prompt[TTM_TRAINER_PROMPT_BYTES] = '\0';
    assert_int_equal(ttm_trainer_options_set(&options, "sample-prompt", prompt),
                     TTM_ERROR_ARGUMENT);
    prompt[TTM_TRAINER_PROMPT_BYTES - 1] = '\0';
    assert_int_equal(ttm_trainer_options_set(&options, "sample-prompt", prompt), TTM_OK);
}

static void options_of_another_size_or_out_of_range_are_refused(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.struct_size--;
    assert_int_equal(ttm_trainer_options_check(&options), TTM_ERROR_ARGUMENT);
    options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    options.weight_decay = (double)NAN;
    assert_int_equal(ttm_trainer_options_check(&options), TTM_ERROR_ARGUMENT);
    assert_message_has("weight-decay");
    options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    options.schedule = (ttm_schedule)7;
    assert_int_equal(ttm_trainer_options_check(&options), TTM_ERROR_ARGUMENT);
    options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    options.moments = TTM_PRECISION_TF32;
    assert_int_equal(ttm_trainer_options_check(&options), TTM_ERROR_ARGUMENT);
    assert_message_has("moments is 3");
    options.moments = TTM_PRECISION_FP32;
    options.dtype = TTM_PRECISION_TF32 + 1;
    assert_int_equal(ttm_trainer_options_check(&options), TTM_ERROR_ARGUMENT);
    assert_message_has("dtype is 4");
}

static void each_precision_is_a_type_of_models(void **state)
{
    (void)state;
    static const struct {
        ttm_precision precision;
        ttm_dtype dtype;
    } pairs[] = {{TTM_PRECISION_FP32, TTM_F32},
                 {TTM_PRECISION_BF16, TTM_BF16},
                 {TTM_PRECISION_TF32, TTM_TF32}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
        options.dtype = pairs[i].precision;
        assert_int_equal(ttm_trainer_model_options(&options).dtype, pairs[i].dtype);
        assert_int_equal(ttm_trainer_options_settle(&options, NULL), TTM_OK); /* as it is */
        assert_int_equal(options.dtype, pairs[i].precision);
        assert_int_equal(ttm_trainer_moment_dtype(&options), TTM_F32);
    }
}

static void published_presets_get_the_published_settings(void **state)
{
    (void)state;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    ttm_trainer_options_for_preset(&options, "gpt2-small-ttm64");
    assert_int_equal(options.batch * options.accumulation, 16);
    assert_int_equal(options.seq, 512);
    assert_true(options.learning_rate == 6.25e-5 && options.weight_decay == 1e-4);
    ttm_trainer_options_for_preset(&options, "gpt2-medium-ttm72");
    assert_int_equal(options.seq, 1024);
    assert_true(options.beta2 == 0.95 && options.weight_decay == 5e-3);
    ttm_trainer_options_for_preset(&options, "gpt2-tiny");
    const ttm_trainer_options usual = TTM_TRAINER_OPTIONS_INIT;
    assert_memory_equal(&options, &usual, sizeof options);
}

static void automatic_options_are_settled_for_the_model(void **state)
{
    (void)state;
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    ttm_trainer_options resolved;
    ttm_device device = {.info = {.kind = TTM_DEVICE_GPU, .memory_bytes = 1 << 30}};
    assert_int_equal(ttm_gpt2_config_init(&config, 257, 32, 1, 2, 16), TTM_OK);
    options.steps = 70;
    assert_int_equal(ttm_trainer_options_resolve(&resolved, &options, &config, &device), TTM_OK);
    assert_int_equal(resolved.seq, 32);
    assert_int_equal(resolved.warmup_steps, 7);
    assert_int_equal(resolved.recompute, TTM_RECOMPUTE_OFF);
    options.batch = 1048576;
    assert_int_equal(ttm_trainer_options_resolve(&resolved, &options, &config, &device), TTM_OK);
    assert_int_equal(resolved.recompute, TTM_RECOMPUTE_ON);
    options.steps = 1000000;
    assert_int_equal(ttm_trainer_options_resolve(&resolved, &options, &config, &device), TTM_OK);
    assert_int_equal(resolved.warmup_steps, 4000);
    options.seq = 33;
    assert_int_equal(ttm_trainer_options_resolve(&resolved, &options, &config, &device),
                     TTM_ERROR_SHAPE);
    assert_message_has("33");
    assert_message_has("32");
    ttm_gpt2_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_described_and_can_be_set_by_name),
        cmocka_unit_test(an_option_reads_back_as_it_can_be_set),
        cmocka_unit_test(a_refused_value_is_named_and_changes_nothing),
        cmocka_unit_test(a_prompt_that_is_too_long_is_refused),
        cmocka_unit_test(options_of_another_size_or_out_of_range_are_refused),
        cmocka_unit_test(each_precision_is_a_type_of_models),
        cmocka_unit_test(published_presets_get_the_published_settings),
        cmocka_unit_test(automatic_options_are_settled_for_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
