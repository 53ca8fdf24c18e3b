/* metrics.jsonl and the folder of a run: cutting back, locking, links, removing old checkpoints. */
#include "../io/scratch_folder.h"

#include <math.h>

#include "io/atomic_directory.h"
#include "train/metrics.h"
#include "train/run_folder.h"

static void append_steps(int64_t open_at, int64_t first, int64_t last)
{
    ttm_metrics metrics;
    assert_int_equal(ttm_metrics_open(&metrics, scratch_folder, open_at), TTM_OK);
    for (int64_t step = first; step <= last; step++) {
        const ttm_trainer_step line = {.step = step, .loss = 0.5f * (float)step};
        assert_int_equal(ttm_metrics_step(&metrics, &line), TTM_OK);
    }
    const ttm_trainer_validation validation = {
        .step = last, .loss = 1.5, .perplexity = 4.5, .bits_per_byte = (double)NAN};
    assert_int_equal(ttm_metrics_validation(&metrics, &validation), TTM_OK);
    assert_int_equal(ttm_metrics_sync(&metrics), TTM_OK);
    ttm_metrics_close(&metrics);
}

static char *read_metrics(void)
{
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_file_read(&text, &bytes, scratch_path("metrics.jsonl"), 1 << 20), TTM_OK);
    assert_int_equal(strlen(text), bytes);
    return text;
}

static void a_metrics_line_is_one_json_object(void **state)
{
    (void)state;
    append_steps(0, 1, 1);
    assert_file_holds(scratch_path("metrics.jsonl"),
                      "{\"step\":1,\"loss\":0.5,\"learning_rate\":0,\"gradient_norm\":0,"
                      "\"tokens\":0,\"seconds\":0,\"tokens_per_second\":0}\n"
                      "{\"step\":1,\"validation_loss\":1.5,\"perplexity\":4.5,"
                      "\"validation_tokens\":0,\"best\":false}\n");
}

static void going_on_at_a_step_gives_the_file_of_a_run_that_never_stopped(void **state)
{
    (void)state;
    append_steps(0, 1, 12);
    char *whole = read_metrics();
    append_steps(0, 1, 7); /* a shorter file of the same beginning */
    char *part = read_metrics();
    append_steps(7, 8, 12);
    char *resumed = read_metrics();
    /* The part's validation line after step 7 stays: it belongs to that step. */
    assert_memory_equal(resumed, part, strlen(part));
    assert_string_equal(resumed + strlen(part), strstr(whole, "{\"step\":8,"));
    free(whole);
    free(part);
    free(resumed);
}

static void later_and_torn_lines_are_cut_off(void **state)
{
    (void)state;
    static const char *const tails[] = {"{\"step\":4,\"loss\":1}\n{\"step\":5,\"loss\"",
                                        "{\"step\":3,\"los", "rubbish\n{\"step\":3,\"loss\":1}\n",
                                        "{\"step\":999999999999999999999,\"loss\":1}\n"};
    static const char good[] = "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n"
                               "{\"step\":2,\"validation_loss\":2}\n";
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        char text[512];
        ttm_metrics metrics;
        snprintf(text, sizeof text, "%s%s", good, tails[i]);
        scratch_write(scratch_path("metrics.jsonl"), text, strlen(text));
        assert_int_equal(ttm_metrics_open(&metrics, scratch_folder, 3), TTM_OK);
        ttm_metrics_close(&metrics);
        assert_file_holds(scratch_path("metrics.jsonl"), good);
    }
}

/* Makes a complete checkpoint folder of a step. */
static void make_checkpoint(const char *run, int64_t step)
{
    char name[TTM_CHECKPOINT_NAME_BYTES];
    char path[512];
    ttm_atomic_directory *folder = NULL;
    ttm_checkpoint_name(name, step);
    snprintf(path, sizeof path, "%s/%s", run, name);
    assert_int_equal(ttm_atomic_directory_begin(&folder, path), TTM_OK);
    assert_int_equal(ttm_atomic_directory_commit(&folder), TTM_OK);
}

static void a_folder_is_locked_against_a_second_run(void **state)
{
    (void)state;
    ttm_run_folder first;
    ttm_run_folder second;
    assert_int_equal(ttm_run_folder_create(&first, scratch_path("run")), TTM_OK);
    assert_int_equal(ttm_run_folder_open(&second, scratch_path("run")), TTM_ERROR_IO);
    assert_message_has("another process");
    ttm_run_folder_close(&first, false);
    assert_int_equal(ttm_run_folder_open(&second, scratch_path("run")), TTM_OK);
    ttm_run_folder_close(&second, false);
}

static void a_folder_with_a_run_or_a_model_is_refused_and_kept(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "metrics.jsonl", "latest"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ttm_run_folder folder;
        char name[64];
        mkdir(scratch_path("used"), 0777);
        snprintf(name, sizeof name, "used/%s", names[i]);
        scratch_write(scratch_path(name), "mine", 4);
        assert_int_equal(ttm_run_folder_create(&folder, scratch_path("used")), TTM_ERROR_ARGUMENT);
        assert_message_has(names[i]);
        assert_file_holds(scratch_path(name), "mine");
        unlink(scratch_path(name));
    }
    ttm_run_folder folder;
    make_checkpoint(scratch_path("used"), 3);
    assert_int_equal(ttm_run_folder_create(&folder, scratch_path("used")), TTM_ERROR_ARGUMENT);
    assert_message_has("checkpoint-000003");
}

static void a_folder_that_was_made_for_nothing_is_removed(void **state)
{
    (void)state;
    ttm_run_folder folder;
    assert_int_equal(ttm_run_folder_create(&folder, scratch_path("new")), TTM_OK);
    ttm_run_folder_close(&folder, true);
    assert_false(exists(scratch_path("new")));
    assert_int_equal(ttm_run_folder_create(&folder, scratch_path("no/parent")),
                     TTM_ERROR_NOT_FOUND);
}

static void only_complete_checkpoints_are_found_in_the_order_of_steps(void **state)
{
    (void)state;
    int64_t *steps = NULL;
    size_t count = 0;
    make_checkpoint(scratch_folder, 1000000);
    make_checkpoint(scratch_folder, 20);
    mkdir(scratch_path("checkpoint-000030"), 0777); /* without the marker */
    mkdir(scratch_path("checkpoint-7"), 0777);
    mkdir(scratch_path("checkpoint-x"), 0777);
    assert_int_equal(ttm_run_folder_checkpoints(&steps, &count, scratch_folder), TTM_OK);
    assert_int_equal(count, 2);
    assert_int_equal(steps[0], 20);
    assert_int_equal(steps[1], 1000000);
    free(steps);
}

static void old_checkpoints_go_but_never_the_newest_or_the_best(void **state)
{
    (void)state;
    ttm_run_folder folder;
    assert_int_equal(ttm_run_folder_open(&folder, scratch_folder), TTM_OK);
    for (int64_t step = 0; step <= 50; step += 10) {
        make_checkpoint(scratch_folder, step);
        assert_int_equal(ttm_run_folder_link(&folder, step, step == 10, true), TTM_OK);
    }
    assert_int_equal(ttm_run_folder_prune(&folder, 2, 10), TTM_OK);
    static const bool kept[] = {false, true, false, false, true, true};
    for (int64_t step = 0; step <= 50; step += 10) {
        char name[TTM_CHECKPOINT_NAME_BYTES];
        ttm_checkpoint_name(name, step);
        assert_int_equal(exists(scratch_path(name)), kept[step / 10]);
    }
    assert_true(exists(scratch_path("latest/.ttm-complete")));
    char target[64] = "";
    assert_true(readlink(scratch_path("latest"), target, sizeof target - 1) > 0);
    assert_string_equal(target, "checkpoint-000050");
    memset(target, 0, sizeof target);
    assert_true(readlink(scratch_path("best"), target, sizeof target - 1) > 0);
    assert_string_equal(target, "checkpoint-000010");
    ttm_run_folder_close(&folder, false);
}

/* The best is kept besides the number that was asked for, also when it is one of the newest. */
static void a_recent_best_takes_nobodys_place(void **state)
{
    (void)state;
    ttm_run_folder folder;
    assert_int_equal(ttm_run_folder_open(&folder, scratch_folder), TTM_OK);
    for (int64_t step = 0; step <= 50; step += 10) {
        make_checkpoint(scratch_folder, step);
    }
    assert_int_equal(ttm_run_folder_prune(&folder, 2, 50), TTM_OK);
    static const bool kept[] = {false, false, false, true, true, true};
    for (int64_t step = 0; step <= 50; step += 10) {
        char name[TTM_CHECKPOINT_NAME_BYTES];
        ttm_checkpoint_name(name, step);
        assert_int_equal(exists(scratch_path(name)), kept[step / 10]);
    }
    ttm_run_folder_close(&folder, false);
}

static void leftovers_of_killed_processes_are_removed_when_a_run_is_opened(void **state)
{
    (void)state;
    ttm_run_folder folder;
    /* Our own pid counts as gone when nobody holds the lock: see io/folder_sync.h. */
    char name[128];
    snprintf(name, sizeof name, ".checkpoint-000040.ttm-%ld-1.folder", (long)getpid());
    mkdir(scratch_path(name), 0777);
    make_checkpoint(scratch_folder, 10);
    assert_int_equal(symlink("checkpoint-000010", scratch_path(".latest.ttm-1-2.link")), 0);
    assert_int_equal(symlink("latest/config.json", scratch_path(".config.json.ttm-1-3.link")), 0);
    assert_int_equal(symlink("elsewhere", scratch_path(".mine.ttm-1-4.link")), 0);
    assert_int_equal(ttm_run_folder_open(&folder, scratch_folder), TTM_OK);
    ttm_run_folder_close(&folder, false);
    assert_false(exists(scratch_path(name)));
    assert_true(exists(scratch_path("checkpoint-000010")));
    char target[64];
    const char *const gone[] = {".latest.ttm-1-2.link", ".config.json.ttm-1-3.link"};
    for (int i = 0; i < 2; i++) {
        assert_true(readlink(scratch_path(gone[i]), target, sizeof target) < 0);
    }
    assert_true(readlink(scratch_path(".mine.ttm-1-4.link"), target, sizeof target) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_metrics_line_is_one_json_object),
        scratch_test(going_on_at_a_step_gives_the_file_of_a_run_that_never_stopped),
        scratch_test(later_and_torn_lines_are_cut_off),
        scratch_test(a_folder_is_locked_against_a_second_run),
        scratch_test(a_folder_with_a_run_or_a_model_is_refused_and_kept),
        scratch_test(a_folder_that_was_made_for_nothing_is_removed),
        scratch_test(only_complete_checkpoints_are_found_in_the_order_of_steps),
        scratch_test(old_checkpoints_go_but_never_the_newest_or_the_best),
        scratch_test(a_recent_best_takes_nobodys_place),
        scratch_test(leftovers_of_killed_processes_are_removed_when_a_run_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
