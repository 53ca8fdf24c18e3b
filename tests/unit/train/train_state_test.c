/* trainer_state.json: everything comes back, damage is named, other options are refused. */
#include "../io/scratch_folder.h"

#include <math.h>

#include "train/state.h"

static ttm_train_state sample_state(void)
{
    ttm_train_state state;
    memset(&state, 0, sizeof state);
    state.step = 123456;
    state.tokens = 9876543210;
    state.next_batch = 246912;
    state.seconds = 1.0 / 3.0;
    state.best_validation_loss = 3.141592653589793;
    state.best_step = 120000;
    snprintf(state.training_hash, sizeof state.training_hash, "%s",
             "0123456789abcdef0123456789abcdef");
    snprintf(state.tokenizer_hash, sizeof state.tokenizer_hash, "%s",
             "fedcba9876543210fedcba9876543210");
    snprintf(state.device, sizeof state.device, "cpu: \"é\" device");
    state.options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    state.options.seed = UINT64_MAX;
    state.options.learning_rate = 0.1 + 0.2;
    state.options.schedule = TTM_SCHEDULE_LINEAR;
    state.options.core_learning_rate = true;
    snprintf(state.options.sample_prompt, sizeof state.options.sample_prompt,
             "line\n\t\"quoted\" é");
    return state;
}

static void a_state_comes_back_exactly(void **unused)
{
    (void)unused;
    const ttm_train_state written = sample_state();
    ttm_train_state read;
    assert_int_equal(ttm_train_state_write(&written, NULL, 0, scratch_folder), TTM_OK);
    assert_int_equal(ttm_train_state_read(&read, scratch_folder), TTM_OK);
    assert_int_equal(read.step, written.step);
    assert_int_equal(read.tokens, written.tokens);
    assert_int_equal(read.next_batch, written.next_batch);
    assert_true(read.seconds == written.seconds);
    assert_true(read.best_validation_loss == written.best_validation_loss);
    assert_int_equal(read.best_step, written.best_step);
    assert_string_equal(read.training_hash, written.training_hash);
    assert_string_equal(read.validation_hash, "");
    assert_string_equal(read.tokenizer_hash, written.tokenizer_hash);
    assert_string_equal(read.device, written.device);
    assert_memory_equal(&read.options, &written.options, sizeof read.options);
}

static void a_run_without_validation_has_no_best_loss(void **unused)
{
    (void)unused;
    ttm_train_state state = sample_state();
    state.best_validation_loss = (double)NAN;
    assert_int_equal(ttm_train_state_write(&state, NULL, 0, scratch_folder), TTM_OK);
    assert_int_equal(ttm_train_state_read(&state, scratch_folder), TTM_OK);
    assert_true(isnan(state.best_validation_loss));
}

static void notes_come_back_in_their_order(void **unused)
{
    (void)unused;
    const ttm_train_state state = sample_state();
    const ttm_trainer_note notes[] = {
        {"data", "/a b/c"}, {"data", ""}, {"fraction", "0.05"}, {"data", "é\n"}};
    ttm_trainer_note *read = NULL;
    size_t count = 0;
    assert_int_equal(ttm_train_state_write(&state, notes, 4, scratch_folder), TTM_OK);
    assert_int_equal(ttm_train_notes_read(&read, &count, scratch_folder), TTM_OK);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(read[i].key, notes[i].key);
        assert_string_equal(read[i].value, notes[i].value);
    }
    free(read);
}

/* Writes a good state with one piece of its text replaced, and expects reading it to fail. */
static void assert_damage_is_found(const char *from, const char *to, ttm_status expected)
{
    const ttm_train_state state = sample_state();
    ttm_train_state read;
    char *text = NULL;
    size_t bytes = 0;
    const char *path = scratch_path("trainer_state.json");
    assert_int_equal(ttm_train_state_write(&state, NULL, 0, scratch_folder), TTM_OK);
    assert_int_equal(ttm_file_read(&text, &bytes, path, 1 << 20), TTM_OK);
    const char *place = strstr(text, from);
    assert_non_null(place);
    char changed[8192];
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(place - text), text, to,
             place + strlen(from));
    scratch_write(path, changed, strlen(changed));
    free(text);
    assert_int_equal(ttm_train_state_read(&read, scratch_folder), expected);
    assert_message_has("trainer_state.json");
}

static void damaged_states_are_refused_by_file_and_key(void **unused)
{
    (void)unused;
    assert_damage_is_found("\"step\": 123456", "\"step\": -1", TTM_ERROR_FORMAT);
    assert_message_has("step");
    assert_damage_is_found("\"tokens\": 9876543210", "\"tokens\": \"many\"", TTM_ERROR_FORMAT);
    assert_damage_is_found("\"beta1\": 0.9", "\"beta1\": 1.5", TTM_ERROR_FORMAT);
    assert_damage_is_found("\"linear\"", "\"zigzag\"", TTM_ERROR_FORMAT);
    assert_damage_is_found("\"batch\":", "\"butch\":", TTM_ERROR_FORMAT);
    assert_damage_is_found("0123456789abcdef0", "0123456789abcdef00", TTM_ERROR_FORMAT);
    assert_damage_is_found("\"format\": 1", "\"format\": 2", TTM_ERROR_UNSUPPORTED);
    assert_damage_is_found("{", "", TTM_ERROR_FORMAT);
}

static void a_missing_state_is_not_found(void **unused)
{
    (void)unused;
    ttm_train_state state;
    assert_int_equal(ttm_train_state_read(&state, scratch_folder), TTM_ERROR_NOT_FOUND);
}

static void only_changeable_options_may_differ_on_resume(void **unused)
{
    (void)unused;
    const ttm_trainer_options saved = TTM_TRAINER_OPTIONS_INIT;
    ttm_trainer_options wanted = saved;
    wanted.steps *= 2;
    wanted.checkpoint_keep = 7;
    assert_int_equal(ttm_train_options_compatible(&saved, &wanted), TTM_OK);
    wanted.learning_rate = 0.125;
    assert_int_equal(ttm_train_options_compatible(&saved, &wanted), TTM_ERROR_ARGUMENT);
    assert_message_has("learning-rate is 0.125");
    wanted = saved;
    wanted.seed = 1;
    assert_int_equal(ttm_train_options_compatible(&saved, &wanted), TTM_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_state_comes_back_exactly),
        scratch_test(a_run_without_validation_has_no_best_loss),
        scratch_test(notes_come_back_in_their_order),
        scratch_test(damaged_states_are_refused_by_file_and_key),
        scratch_test(a_missing_state_is_not_found),
        cmocka_unit_test(only_changeable_options_may_differ_on_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
