/* Whole runs of a small model on the reference backend: memory as planned, bits as promised, and
 * what happens when something is wrong. */
#include "../io/scratch_folder.h"

#include "io/atomic_directory.h"
#include <math.h>

#include <ttm/compute.h>
#include <ttm/trainer.h>

enum { VOCABULARY = 17, CONTEXT = 8, TRAINING_TOKENS = 600, VALIDATION_TOKENS = 100 };

/* What a run needs, opened afresh for each test. */
typedef struct fixture {
    ttm_device *device;
    ttm_gpt2_config config;
    ttm_dataset *training;
    ttm_dataset *validation;
    ttm_trainer_options options;
    ttm_trainer_setup setup;
} fixture;

static ttm_dataset *make_data(size_t count, int32_t stride)
{
    int32_t tokens[TRAINING_TOKENS];
    ttm_dataset *data = NULL;
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)((i * (size_t)stride + i / 7) % VOCABULARY);
    }
    assert_int_equal(ttm_dataset_from_tokens(&data, tokens, count, NULL, VOCABULARY), TTM_OK);
    return data;
}

static int setup(void **state)
{
    static fixture made;
    scratch_setup(state);
    memset(&made, 0, sizeof made);
    assert_int_equal(ttm_device_open(&made.device, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_gpt2_config_init(&made.config, VOCABULARY, CONTEXT, 2, 2, 16), TTM_OK);
    assert_int_equal(ttm_gpt2_config_apply_tt_spec(&made.config, "mlp=4x8,4x8:6"), TTM_OK);
    made.config.residual_dropout = 0.1;
    made.config.attention_dropout = 0.1;
    made.config.embedding_dropout = 0.1;
    made.training = make_data(TRAINING_TOKENS, 3);
    made.validation = make_data(VALIDATION_TOKENS, 5);
    made.options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    made.options.steps = 10;
    made.options.batch = 3;
    made.options.accumulation = 2;
    made.options.learning_rate = 1e-2;
    made.options.validation_interval = 4;
    made.options.validation_windows = 7;
    made.options.checkpoint_interval = 3;
    made.setup = (ttm_trainer_setup)TTM_TRAINER_SETUP_INIT;
    made.setup.device = made.device;
    made.setup.config = &made.config;
    made.setup.training_data = made.training;
    made.setup.validation_data = made.validation;
    *state = &made;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    ttm_dataset_close(f->training);
    ttm_dataset_close(f->validation);
    ttm_gpt2_config_free(&f->config);
    assert_int_equal(ttm_device_memory_used(f->device), 0);
    ttm_device_close(f->device);
    return scratch_teardown(state);
}

#define trainer_case(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* A trainer of a new run in the scratch folder. */
static ttm_trainer *open_run(fixture *f, const char *name)
{
    ttm_trainer *trainer = NULL;
    f->setup.directory = scratch_path(name);
    if (ttm_trainer_open(&trainer, &f->setup, &f->options) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    return trainer;
}

static ttm_trainer *resume_run(fixture *f, const char *name)
{
    ttm_trainer *trainer = NULL;
    f->setup.directory = scratch_path(name);
    if (ttm_trainer_resume(&trainer, &f->setup, NULL) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    return trainer;
}

static void finish(ttm_trainer *trainer)
{
    if (ttm_trainer_run(trainer) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    ttm_trainer_close(trainer);
}

static void assert_same_file(const char *left, const char *right)
{
    char *a = NULL;
    char *b = NULL;
    size_t a_bytes = 0;
    size_t b_bytes = 0;
    assert_int_equal(ttm_file_read(&a, &a_bytes, scratch_path(left), 1 << 24), TTM_OK);
    assert_int_equal(ttm_file_read(&b, &b_bytes, scratch_path(right), 1 << 24), TTM_OK);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    free(a);
    free(b);
}

/* Blanks what depends on the clock: from `,"seconds"` to the end of each line. */
static char *metrics_without_times(const char *name)
{
    char *text = NULL;
    size_t bytes = 0;
    char path[64];
    snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    assert_int_equal(ttm_file_read(&text, &bytes, scratch_path(path), 1 << 24), TTM_OK);
    char *target = text;
    for (const char *source = text; *source != '\0';) {
        if (strncmp(source, ",\"seconds\"", 10) == 0) {
            source = strchr(source, '\n');
        }
        *target++ = *source++;
    }
    *target = '\0';
    return text;
}

static void assert_same_run(const char *left, const char *right)
{
    char left_path[96];
    char right_path[96];
    static const char *const files[] = {"model.safetensors", "optimizer.safetensors",
                                        "config.json"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(left_path, sizeof left_path, "%s/latest/%s", left, files[i]);
        snprintf(right_path, sizeof right_path, "%s/latest/%s", right, files[i]);
        assert_same_file(left_path, right_path);
    }
    char *a = metrics_without_times(left);
    char *b = metrics_without_times(right);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

/* ---- Memory ---- */

static void the_devices_peak_is_exactly_the_plan(void **state)
{
    fixture *f = *state;
    ttm_trainer_memory memory = {.struct_size = sizeof memory};
    for (int64_t accumulation = 1; accumulation <= 2; accumulation++) {
        char name[16];
        snprintf(name, sizeof name, "run%d", (int)accumulation);
        ttm_device_close(f->device);
        assert_int_equal(ttm_device_open(&f->device, "reference", NULL), TTM_OK);
        f->setup.device = f->device;
        f->options.accumulation = accumulation;
        assert_int_equal(ttm_trainer_plan_memory(&memory, f->device, &f->config, &f->options),
                         TTM_OK);
        assert_int_equal(ttm_device_memory_peak(f->device), 0);
        finish(open_run(f, name));
        assert_int_equal(ttm_device_memory_peak(f->device), memory.device_bytes);
        assert_true(memory.memory_bytes == memory.device_bytes + memory.host_bytes);
    }
}

/* ---- Bits ---- */

static void equal_runs_give_equal_bits_and_other_seeds_dont(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "a"));
    finish(open_run(f, "b"));
    assert_same_run("a", "b");
    f->options.seed = 1;
    finish(open_run(f, "c"));
    char *a = metrics_without_times("a");
    char *c = metrics_without_times("c");
    assert_string_not_equal(a, c);
    free(a);
    free(c);
}

/* Asks for a stop when the step in `stop_at` has been done. */
typedef struct stopper {
    ttm_trainer *trainer;
    int64_t stop_at;
} stopper;

static void stop_after(void *user, const ttm_trainer_step *step)
{
    const stopper *when = user;
    if (step->step == when->stop_at) {
        ttm_trainer_request_stop(when->trainer);
    }
}

static void a_run_stopped_at_any_step_and_resumed_gives_the_same_bits(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "whole"));
    for (int64_t step = 1; step < f->options.steps; step++) {
        char name[16];
        stopper when = {.stop_at = step};
        snprintf(name, sizeof name, "stop%d", (int)step);
        f->setup.events = (ttm_trainer_events){.user = &when, .step = stop_after};
        when.trainer = open_run(f, name);
        assert_int_equal(ttm_trainer_run(when.trainer), TTM_ERROR_INTERRUPTED);
        ttm_trainer_close(when.trainer);
        f->setup.events = (ttm_trainer_events){0};
        finish(resume_run(f, name));
        assert_same_run("whole", name);
    }
}

/* As on file systems that can't exchange two folders, when the machine stops between two renames.
 */
static void a_checkpoint_that_was_moved_aside_is_the_newest_again(void **state)
{
    fixture *f = *state;
    ttm_trainer_summary summary = {.struct_size = sizeof summary};
    stopper when = {.stop_at = 6};
    f->options.checkpoint_keep = 2;
    f->setup.events = (ttm_trainer_events){.user = &when, .step = stop_after};
    when.trainer = open_run(f, "run");
    assert_int_equal(ttm_trainer_run(when.trainer), TTM_ERROR_INTERRUPTED);
    ttm_trainer_close(when.trainer);
    f->setup.events = (ttm_trainer_events){0};
    /* Of a process that is gone: no pid is that large. */
    assert_int_equal(rename(scratch_path("run/checkpoint-000006"),
                            scratch_path("run/.checkpoint-000006.ttm-2147483647-0.old")),
                     0);
    ttm_trainer *trainer = resume_run(f, "run");
    ttm_trainer_summarise(&summary, trainer);
    assert_int_equal(summary.step, 6);
    finish(trainer);
    finish(open_run(f, "whole"));
    assert_same_run("whole", "run");
}

/* Notes the seconds of each step, and stops as stop_after does. */
typedef struct timekeeper {
    stopper when;
    double seconds[16];
} timekeeper;

static void note_seconds(void *user, const ttm_trainer_step *step)
{
    timekeeper *keeper = user;
    keeper->seconds[step->step] = step->seconds;
    stop_after(&keeper->when, step);
}

static void a_run_stopped_and_called_again_goes_on(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "whole"));
    timekeeper keeper = {.when.stop_at = 5};
    f->setup.events = (ttm_trainer_events){.user = &keeper, .step = note_seconds};
    keeper.when.trainer = open_run(f, "again");
    assert_int_equal(ttm_trainer_run(keeper.when.trainer), TTM_ERROR_INTERRUPTED);
    finish(keeper.when.trainer);
    assert_same_run("whole", "again");
    for (int64_t step = 1; step <= f->options.steps; step++) {
        assert_true(keeper.seconds[step] >= keeper.seconds[step - 1]);
    }
}

/* Leaves a run between checkpoints, as a killed process does: without a word. */
static void a_run_abandoned_between_checkpoints_and_resumed_gives_the_same_bits(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "whole"));
    finish(open_run(f, "part"));
    /* What a kill after step 10 but before its checkpoint leaves: the one of step 9, all metrics.
     */
    assert_int_equal(ttm_directory_remove(scratch_path("part/checkpoint-000010")), TTM_OK);
    finish(resume_run(f, "part"));
    assert_same_run("whole", "part");
}

/* What a kill between a checkpoint and its links leaves. */
static void resuming_mends_links_that_fell_behind(void **state)
{
    fixture *f = *state;
    static const char *const links[] = {"run/latest", "run/best"};
    f->options.validation_interval = f->options.steps;
    finish(open_run(f, "run"));
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) {
        assert_int_equal(ttm_symlink_replace(scratch_path(links[k]), "checkpoint-000009"), TTM_OK);
    }
    ttm_trainer_close(resume_run(f, "run"));
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) {
        char target[32] = "";
        assert_true(readlink(scratch_path(links[k]), target, sizeof target - 1) > 0);
        assert_string_equal(target, "checkpoint-000010");
    }
}

static void a_run_killed_before_its_first_step_can_be_resumed(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "whole"));
    ttm_trainer_close(open_run(f, "begun"));
    finish(resume_run(f, "begun"));
    assert_same_run("whole", "begun");
}

static void a_finished_run_can_be_made_longer(void **state)
{
    fixture *f = *state;
    ttm_trainer *trainer = NULL;
    finish(open_run(f, "run"));
    f->options.schedule = TTM_SCHEDULE_COSINE;
    ttm_trainer_options longer;
    assert_int_equal(ttm_trainer_read_options(&longer, f->setup.directory), TTM_OK);
    longer.steps = 12;
    assert_int_equal(ttm_trainer_resume(&trainer, &f->setup, &longer), TTM_OK);
    assert_int_equal(ttm_trainer_run(trainer), TTM_OK);
    ttm_trainer_summary summary = {.struct_size = sizeof summary};
    ttm_trainer_summarise(&summary, trainer);
    assert_int_equal(summary.step, 12);
    assert_int_equal(summary.tokens, 12 * 2 * 3 * CONTEXT);
    assert_true(isfinite(summary.validation_loss) && summary.best_step > 0);
    ttm_trainer_close(trainer);
    assert_true(exists(scratch_path("run/checkpoint-000012")));
}

static void weights_of_another_run_are_a_starting_point(void **state)
{
    fixture *f = *state;
    char from[512];
    finish(open_run(f, "first"));
    snprintf(from, sizeof from, "%s", scratch_path("first"));
    f->setup.weights = from;
    ttm_trainer_close(open_run(f, "second"));
    assert_same_file("first/latest/model.safetensors", "second/latest/model.safetensors");
}

/* ---- What goes wrong ---- */

static void assert_resume_fails(fixture *f, const ttm_trainer_options *options, ttm_status expected,
                                const char *message)
{
    ttm_trainer *trainer = NULL;
    assert_int_equal(ttm_trainer_resume(&trainer, &f->setup, options), expected);
    assert_null(trainer);
    assert_message_has(message);
}

static void a_run_isnt_resumed_with_other_data_model_or_options(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "run"));
    ttm_dataset *other = make_data(TRAINING_TOKENS, 2);
    f->setup.training_data = other;
    assert_resume_fails(f, NULL, TTM_ERROR_ARGUMENT, "training data");
    f->setup.training_data = f->training;
    f->setup.validation_data = other;
    assert_resume_fails(f, NULL, TTM_ERROR_ARGUMENT, "validation data");
    f->setup.validation_data = f->validation;
    ttm_dataset_close(other);
    ttm_trainer_options changed = f->options;
    changed.batch++;
    assert_resume_fails(f, &changed, TTM_ERROR_ARGUMENT, "batch is 4");
    assert_int_equal(ttm_trainer_read_options(&changed, f->setup.directory), TTM_OK);
    changed.steps = 9;
    assert_resume_fails(f, &changed, TTM_ERROR_ARGUMENT, "steps is 9");
    f->config.residual_dropout = 0.2;
    assert_resume_fails(f, NULL, TTM_ERROR_ARGUMENT, "model");
    f->config.residual_dropout = 0.1;
    f->setup.directory = scratch_path("nowhere");
    assert_resume_fails(f, NULL, TTM_ERROR_NOT_FOUND, "nowhere");
}

static void a_run_in_tf32_is_resumed_in_it_and_in_nothing_else(void **state)
{
    fixture *f = *state;
    f->options.dtype = TTM_PRECISION_TF32;
    finish(open_run(f, "run"));
    ttm_trainer_options saved;
    assert_int_equal(ttm_trainer_read_options(&saved, f->setup.directory), TTM_OK);
    assert_int_equal(saved.dtype, TTM_PRECISION_TF32);
    saved.dtype = TTM_PRECISION_FP32;
    assert_resume_fails(f, &saved, TTM_ERROR_ARGUMENT, "dtype is fp32");
    saved.dtype = TTM_PRECISION_AUTO;
    ttm_trainer *trainer = NULL;
    assert_int_equal(ttm_trainer_resume(&trainer, &f->setup, &saved), TTM_OK);
    assert_int_equal(ttm_trainer_get_options(trainer)->dtype, TTM_PRECISION_TF32);
    ttm_trainer_close(trainer);
}

static void a_damaged_checkpoint_is_reported_and_the_one_before_still_serves(void **state)
{
    fixture *f = *state;
    finish(open_run(f, "whole"));
    finish(open_run(f, "run"));
    assert_int_equal(truncate(scratch_path("run/checkpoint-000010/optimizer.safetensors"), 100), 0);
    assert_resume_fails(f, NULL, TTM_ERROR_FORMAT, "checkpoint-000010");
    assert_int_equal(ttm_directory_remove(scratch_path("run/checkpoint-000010")), TTM_OK);
    finish(resume_run(f, "run"));
    assert_same_run("whole", "run");
}

static void a_loss_that_isnt_finite_stops_the_run_and_keeps_the_last_checkpoint(void **state)
{
    fixture *f = *state;
    f->options.learning_rate = 1e30;
    f->options.warmup_steps = 0;
    f->options.checkpoint_interval = 1;
    f->options.validation_interval = 0;
    ttm_trainer *trainer = open_run(f, "run");
    assert_int_equal(ttm_trainer_run(trainer), TTM_ERROR_NUMERIC);
    assert_message_has("step ");
    ttm_trainer_close(trainer);
    assert_true(exists(scratch_path("run/checkpoint-000000")));
    assert_false(exists(scratch_path("run/checkpoint-000002")));
    ttm_trainer_close(resume_run(f, "run"));
}

static void unusable_data_and_settings_are_refused_before_anything_is_written(void **state)
{
    fixture *f = *state;
    ttm_trainer *trainer = NULL;
    f->setup.directory = scratch_path("run");
    ttm_dataset *little = make_data(CONTEXT, 3);
    f->setup.training_data = little;
    assert_int_equal(ttm_trainer_open(&trainer, &f->setup, &f->options), TTM_ERROR_ARGUMENT);
    assert_message_has("8 tokens");
    f->setup.training_data = f->training;
    f->setup.validation_data = little;
    assert_int_equal(ttm_trainer_open(&trainer, &f->setup, &f->options), TTM_ERROR_ARGUMENT);
    f->setup.validation_data = f->validation;
    ttm_dataset_close(little);
    f->options.seq = CONTEXT + 1;
    assert_int_equal(ttm_trainer_open(&trainer, &f->setup, &f->options), TTM_ERROR_SHAPE);
    f->options.seq = 0;
    f->options.steps = 0;
    assert_int_equal(ttm_trainer_open(&trainer, &f->setup, &f->options), TTM_ERROR_ARGUMENT);
    f->options.steps = 1;
    f->config.vocab_size = VOCABULARY - 1;
    assert_int_equal(ttm_trainer_open(&trainer, &f->setup, &f->options), TTM_ERROR_ARGUMENT);
    assert_message_has("token 16");
    f->config.vocab_size = VOCABULARY;
    assert_false(exists(scratch_path("run")));
    assert_null(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        trainer_case(the_devices_peak_is_exactly_the_plan),
        trainer_case(equal_runs_give_equal_bits_and_other_seeds_dont),
        trainer_case(a_run_stopped_at_any_step_and_resumed_gives_the_same_bits),
        trainer_case(a_checkpoint_that_was_moved_aside_is_the_newest_again),
        trainer_case(a_run_stopped_and_called_again_goes_on),
        trainer_case(a_run_abandoned_between_checkpoints_and_resumed_gives_the_same_bits),
        trainer_case(resuming_mends_links_that_fell_behind),
        trainer_case(a_run_killed_before_its_first_step_can_be_resumed),
        trainer_case(a_finished_run_can_be_made_longer),
        trainer_case(weights_of_another_run_are_a_starting_point),
        trainer_case(a_run_isnt_resumed_with_other_data_model_or_options),
        trainer_case(a_run_in_tf32_is_resumed_in_it_and_in_nothing_else),
        trainer_case(a_damaged_checkpoint_is_reported_and_the_one_before_still_serves),
        trainer_case(a_loss_that_isnt_finite_stops_the_run_and_keeps_the_last_checkpoint),
        trainer_case(unusable_data_and_settings_are_refused_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
