/* Opening what a run reads. Paths are noted in their absolute form, so that a run can be resumed
 * from another folder. */
#include "train/inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char data_key[] = "data";
static const char validation_key[] = "validation_data";
static const char fraction_key[] = "validation_fraction";

/* Copies the values that the notes have for `key`. */
static int collect_notes(const char ***values, size_t *value_count, const ttm_trainer_note *notes,
                         size_t note_count, const char *key)
{
    const char **found = calloc(note_count + 1, sizeof *found);
    size_t used = 0;
    if (found == NULL) {
        return tool_fail_text("out of memory");
    }
    for (size_t i = 0; i < note_count; i++) {
        if (strcmp(notes[i].key, key) == 0) {
            found[used++] = notes[i].value;
        }
    }
    *values = found;
    *value_count = used;
    return TOOL_GO_ON;
}

static int copy_list(const char ***values, size_t *count, const tool_list *list)
{
    const char **copy = calloc(list->count + 1, sizeof *copy);
    if (copy == NULL) {
        return tool_fail_text("out of memory");
    }
    for (size_t i = 0; i < list->count; i++) {
        copy[i] = list->items[i];
    }
    *values = copy;
    *count = list->count;
    return TOOL_GO_ON;
}

/* Takes a list of paths from the command line, else from the notes. */
static int choose_paths(const char ***values, size_t *value_count, const tool_list *given,
                        const ttm_trainer_note *notes, size_t note_count, const char *key)
{
    return given->count > 0 ? copy_list(values, value_count, given)
                            : collect_notes(values, value_count, notes, note_count, key);
}

int train_inputs_find(train_inputs *inputs, const train_arguments *arguments)
{
    size_t count = 0;
    *inputs =
        (train_inputs){.validation_fraction = arguments->validation_fraction,
                       .fraction_given = tool_given(&arguments->program, "validation-fraction")};
    if (arguments->resume) {
        const ttm_status status =
            ttm_trainer_read_notes(&inputs->saved_notes, &count, arguments->out);
        if (status != TTM_OK) {
            return tool_fail(status);
        }
    }
    int code = choose_paths(&inputs->paths, &inputs->path_count, &arguments->data,
                            inputs->saved_notes, count, data_key);
    if (code == TOOL_GO_ON) {
        code =
            choose_paths(&inputs->validation_paths, &inputs->validation_path_count,
                         &arguments->validation_data, inputs->saved_notes, count, validation_key);
    }
    for (size_t i = 0; i < count && !inputs->fraction_given; i++) {
        if (strcmp(inputs->saved_notes[i].key, fraction_key) == 0) {
            inputs->validation_fraction = strtod(inputs->saved_notes[i].value, NULL);
        }
    }
    if (code == TOOL_GO_ON && arguments->resume && inputs->path_count == 0) {
        return tool_usage_error("the run in '%s' doesn't say what it was trained on: give --data",
                                arguments->out);
    }
    return code;
}

static bool is_there(const char *folder, const char *name)
{
    char path[4096];
    struct stat information;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && stat(path, &information) == 0;
}

int train_inputs_open_tokenizer(train_inputs *inputs, const char *given, const char *folder,
                                bool byte_level)
{
    const char *source = given;
    if (source == NULL && folder != NULL &&
        (is_there(folder, "tokenizer.json") || is_there(folder, "vocab.json"))) {
        source = folder;
    }
    if (source == NULL && byte_level) {
        source = "bytes";
    }
    if (source == NULL) {
        return TOOL_GO_ON;
    }
    const ttm_status status = ttm_tokenizer_open(&inputs->tokenizer, source);
    return status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
}

static bool holds_tokens(const char *path)
{
    const size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".bin") == 0;
}

static int check_tokenizer(const train_inputs *inputs)
{
    for (size_t i = 0; i < inputs->path_count + inputs->validation_path_count; i++) {
        const char *path = i < inputs->path_count
                               ? inputs->paths[i]
                               : inputs->validation_paths[i - inputs->path_count];
        if (inputs->tokenizer == NULL && !holds_tokens(path)) {
            return tool_usage_error("'%s' is text: give --tokenizer FILE (or --tokenizer bytes)",
                                    path);
        }
    }
    return TOOL_GO_ON;
}

/* Keeps the last part of the data for validation. Too little data for that is only an error when it
 * was asked for. */
static int split_data(train_inputs *inputs, int64_t seq)
{
    const uint64_t tokens = ttm_dataset_token_count(inputs->training);
    const double part = (double)tokens * inputs->validation_fraction;
    ttm_dataset *training = NULL;
    if (inputs->validation_fraction <= 0.0 || tokens <= (uint64_t)seq) {
        return TOOL_GO_ON; /* too little even to train on: the trainer says so */
    }
    if (part < (double)(seq + 1) || (double)tokens - part < (double)(seq + 1)) {
        if (inputs->fraction_given) {
            return tool_fail_text("%" PRIu64 " tokens are too few to keep %g of them for "
                                  "validation: %" PRId64 " are needed in each part; give "
                                  "--validation-fraction 0 to train without validation",
                                  tokens, inputs->validation_fraction, seq + 1);
        }
        fprintf(stderr,
                "ttm-train: too little data to keep a part for validation: training without\n");
        return TOOL_GO_ON;
    }
    const ttm_status status = ttm_dataset_split(&training, &inputs->validation, inputs->training,
                                                inputs->validation_fraction);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    ttm_dataset_close(inputs->training);
    inputs->training = training;
    return TOOL_GO_ON;
}

static int add_notes(train_inputs *inputs, const char *key, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *absolute = realpath(paths[i], NULL);
        if (absolute == NULL) {
            return tool_fail_text("cannot find '%s': %s", paths[i], strerror(errno));
        }
        inputs->absolute[inputs->absolute_count++] = absolute;
        inputs->notes[inputs->note_count++] = (ttm_trainer_note){.key = key, .value = absolute};
    }
    return TOOL_GO_ON;
}

static int write_notes(train_inputs *inputs)
{
    const size_t most = inputs->path_count + inputs->validation_path_count + 1;
    inputs->notes = calloc(most, sizeof *inputs->notes);
    inputs->absolute = calloc(most, sizeof *inputs->absolute);
    if (inputs->notes == NULL || inputs->absolute == NULL) {
        return tool_fail_text("out of memory");
    }
    int code = add_notes(inputs, data_key, inputs->paths, inputs->path_count);
    if (code == TOOL_GO_ON) {
        code = add_notes(inputs, validation_key, inputs->validation_paths,
                         inputs->validation_path_count);
    }
    snprintf(inputs->fraction_text, sizeof inputs->fraction_text, "%.17g",
             inputs->validation_fraction);
    inputs->notes[inputs->note_count++] =
        (ttm_trainer_note){.key = fraction_key, .value = inputs->fraction_text};
    return code;
}

int train_inputs_open_data(train_inputs *inputs, int64_t vocab_size, int64_t seq)
{
    const int code = check_tokenizer(inputs);
    if (code != TOOL_GO_ON) {
        return code;
    }
    ttm_status status = ttm_dataset_open(&inputs->training, inputs->paths, inputs->path_count,
                                         inputs->tokenizer, (size_t)vocab_size, NULL);
    if (status == TTM_OK && inputs->validation_path_count > 0) {
        status = ttm_dataset_open(&inputs->validation, inputs->validation_paths,
                                  inputs->validation_path_count, inputs->tokenizer,
                                  (size_t)vocab_size, NULL);
    }
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (inputs->validation == NULL) {
        const int split = split_data(inputs, seq);
        if (split != TOOL_GO_ON) {
            return split;
        }
    }
    return write_notes(inputs);
}

void train_inputs_close(train_inputs *inputs)
{
    ttm_dataset_close(inputs->validation);
    ttm_dataset_close(inputs->training);
    ttm_tokenizer_close(inputs->tokenizer);
    for (size_t i = 0; i < inputs->absolute_count; i++) {
        free(inputs->absolute[i]);
    }
    free(inputs->absolute);
    free(inputs->notes);
    free(inputs->saved_notes);
    free(inputs->validation_paths);
    free(inputs->paths);
}
