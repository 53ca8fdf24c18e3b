/* Reading and writing trainer_state.json. Options are walked by their table, so that a new one is
 * stored and compared without a change here. */
#include "train/state.h"

#include "core/array.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/folder_sync.h"
#include "io/json.h"
#include "train/options.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/json.h>

enum { STATE_FORMAT = 1, MAX_STATE_BYTES = 1 << 26, KEY_BYTES = 64, VALUE_BYTES = 600 };

static const char file_name[] = "trainer_state.json";

/* Files use underscores where the command line uses dashes. */
static const char *field_key(char key[KEY_BYTES], const ttm_trainer_field *field)
{
    snprintf(key, KEY_BYTES, "%s", field->name);
    for (char *place = key; *place != '\0'; place++) {
        if (*place == '-') {
            *place = '_';
        }
    }
    return key;
}

static void write_field(ttm_json_writer *writer, const ttm_trainer_options *options,
                        const ttm_trainer_field *field)
{
    char key[KEY_BYTES];
    char seed[24];
    const void *place = ttm_trainer_field_in(options, field);
    ttm_json_key(writer, field_key(key, field));
    switch (field->kind) {
    case TTM_FIELD_INT:
        ttm_json_write_int(writer, *(const int64_t *)place);
        break;
    case TTM_FIELD_REAL:
        ttm_json_write_double(writer, *(const double *)place);
        break;
    case TTM_FIELD_BOOL:
        ttm_json_write_bool(writer, *(const bool *)place);
        break;
    case TTM_FIELD_SEED:
        /* As text: JSON numbers are doubles to most readers, which would round it. */
        snprintf(seed, sizeof seed, "%" PRIu64, *(const uint64_t *)place);
        ttm_json_write_string(writer, seed);
        break;
    case TTM_FIELD_CHOICE:
        ttm_json_write_string(writer, ttm_trainer_field_choice(options, field));
        break;
    case TTM_FIELD_TEXT:
        ttm_json_write_string(writer, place);
        break;
    }
}

static void write_options(ttm_json_writer *writer, const ttm_trainer_options *options)
{
    size_t count = 0;
    const ttm_trainer_field *fields = ttm_trainer_fields(&count);
    ttm_json_key(writer, "options");
    ttm_json_begin_object(writer);
    for (size_t i = 0; i < count; i++) {
        write_field(writer, options, &fields[i]);
    }
    ttm_json_end_object(writer);
}

/* An array of [key, value] pairs: keys may repeat, their order counts. */
static void write_notes(ttm_json_writer *writer, const ttm_trainer_note *notes, size_t count)
{
    ttm_json_key(writer, "notes");
    ttm_json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        ttm_json_begin_array(writer);
        ttm_json_write_string(writer, notes[i].key);
        ttm_json_write_string(writer, notes[i].value);
        ttm_json_end_array(writer);
    }
    ttm_json_end_array(writer);
}

static void write_members(ttm_json_writer *writer, const ttm_train_state *state)
{
    ttm_json_member_int(writer, "format", STATE_FORMAT);
    ttm_json_member_int(writer, "step", state->step);
    ttm_json_member_uint(writer, "tokens", state->tokens);
    ttm_json_member_uint(writer, "next_batch", state->next_batch);
    ttm_json_member_double(writer, "seconds", state->seconds);
    ttm_json_member_double(writer, "best_validation_loss", state->best_validation_loss);
    ttm_json_member_int(writer, "best_step", state->best_step);
    ttm_json_member_string(writer, "training_data_hash", state->training_hash);
    ttm_json_member_string(writer, "validation_data_hash", state->validation_hash);
    ttm_json_member_string(writer, "tokenizer_hash", state->tokenizer_hash);
    ttm_json_member_string(writer, "device", state->device);
    write_options(writer, &state->options);
}

ttm_status ttm_train_state_write(const ttm_train_state *state, const ttm_trainer_note *notes,
                                 size_t note_count, const char *folder)
{
    ttm_json_writer *writer = NULL;
    char *path = NULL;
    const char *text = NULL;
    size_t bytes = 0;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_path_join(&path, folder, file_name));
    TTM_TRY_OUT(ttm_json_writer_new(&writer, TTM_JSON_INDENTED));
    ttm_json_begin_object(writer);
    write_members(writer, state);
    write_notes(writer, notes, note_count);
    ttm_json_end_object(writer);
    TTM_TRY_OUT(ttm_json_writer_finish(&text, &bytes, writer));
    status = ttm_atomic_file_save(path, text, bytes);
out:
    ttm_json_writer_free(writer);
    free(path);
    return status;
}

/* Text values go the way of the command line, which checks them too. */
static ttm_status read_text_field(ttm_trainer_options *options, ttm_json_value object,
                                  const ttm_trainer_field *field, const char *key)
{
    const char *text = NULL;
    TTM_TRY(ttm_json_get_string(&text, object, key));
    const ttm_status status = ttm_trainer_options_set(options, field->name, text);
    return status == TTM_OK
               ? TTM_OK
               : ttm_json_fail(ttm_json_find(object, key), "is \"%s\": it is damaged", text);
}

static ttm_status read_field(ttm_trainer_options *options, ttm_json_value object,
                             const ttm_trainer_field *field)
{
    char key[KEY_BYTES];
    field_key(key, field);
    void *place = ttm_trainer_field_at(options, field);
    if ((field->traits & TTM_FIELD_LATER) != 0 && !ttm_json_exists(ttm_json_find(object, key))) {
        return TTM_OK;
    }
    switch (field->kind) {
    case TTM_FIELD_INT:
        return ttm_json_get_int64(place, object, key, (int64_t)field->minimum,
                                  (int64_t)field->maximum);
    case TTM_FIELD_REAL:
        return ttm_json_get_double(place, object, key);
    case TTM_FIELD_BOOL:
        return ttm_json_get_bool(place, object, key);
    case TTM_FIELD_CHOICE:
    case TTM_FIELD_SEED:
    case TTM_FIELD_TEXT:
        break;
    }
    return read_text_field(options, object, field, key);
}

static ttm_status read_options(ttm_trainer_options *options, ttm_json_value root)
{
    size_t count = 0;
    const ttm_trainer_field *fields = ttm_trainer_fields(&count);
    ttm_json_value object;
    TTM_TRY(ttm_json_get_object(&object, root, "options"));
    *options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    options->recompute = TTM_RECOMPUTE_ON; /* what runs did before there was a choice */
    for (size_t i = 0; i < count; i++) {
        TTM_TRY(read_field(options, object, &fields[i]));
    }
    const ttm_status status = ttm_trainer_options_check(options);
    return status == TTM_OK ? TTM_OK : ttm_json_fail(object, "are damaged");
}

static ttm_status read_string(char *target, size_t target_bytes, ttm_json_value root,
                              const char *key)
{
    const char *text = NULL;
    TTM_TRY(ttm_json_get_string(&text, root, key));
    if (strlen(text) >= target_bytes) {
        return ttm_json_fail(ttm_json_find(root, key), "has more than %zu bytes: it is damaged",
                             target_bytes - 1);
    }
    snprintf(target, target_bytes, "%s", text);
    return TTM_OK;
}

static ttm_status read_members(ttm_train_state *state, ttm_json_value root)
{
    int64_t format = 0;
    int64_t tokens = 0;
    int64_t next_batch = 0;
    TTM_TRY(ttm_json_expect_object(root));
    TTM_TRY(ttm_json_get_int64(&format, root, "format", 1, TTM_JSON_MAX_INTEGER));
    if (format > STATE_FORMAT) {
        (void)ttm_json_fail(ttm_json_find(root, "format"),
                            "is %" PRId64 ": this libttm reads %d, use a newer one", format,
                            STATE_FORMAT);
        return TTM_ERROR_UNSUPPORTED;
    }
    TTM_TRY(ttm_json_get_int64(&state->step, root, "step", 0, TTM_JSON_MAX_INTEGER));
    TTM_TRY(ttm_json_get_int64(&tokens, root, "tokens", 0, TTM_JSON_MAX_INTEGER));
    TTM_TRY(ttm_json_get_int64(&next_batch, root, "next_batch", 0, TTM_JSON_MAX_INTEGER));
    state->tokens = (uint64_t)tokens;
    state->next_batch = (uint64_t)next_batch;
    TTM_TRY(ttm_json_get_double(&state->seconds, root, "seconds"));
    state->best_validation_loss = (double)NAN;
    TTM_TRY(ttm_json_optional_double(&state->best_validation_loss, root, "best_validation_loss"));
    TTM_TRY(ttm_json_get_int64(&state->best_step, root, "best_step", 0, TTM_JSON_MAX_INTEGER));
    TTM_TRY(
        read_string(state->training_hash, sizeof state->training_hash, root, "training_data_hash"));
    TTM_TRY(read_string(state->validation_hash, sizeof state->validation_hash, root,
                        "validation_data_hash"));
    TTM_TRY(
        read_string(state->tokenizer_hash, sizeof state->tokenizer_hash, root, "tokenizer_hash"));
    TTM_TRY(read_string(state->device, sizeof state->device, root, "device"));
    return read_options(&state->options, root);
}

static ttm_status open_document(ttm_json_document **document, const char *folder)
{
    char *path = NULL;
    TTM_TRY(ttm_path_join(&path, folder, file_name));
    const ttm_status status = ttm_json_read_file(document, path, MAX_STATE_BYTES);
    free(path);
    return status;
}

ttm_status ttm_train_state_read(ttm_train_state *state, const char *folder)
{
    ttm_json_document *document = NULL;
    memset(state, 0, sizeof *state);
    TTM_TRY(open_document(&document, folder));
    const ttm_status status = read_members(state, ttm_json_root(document));
    ttm_json_free(document);
    return status;
}

static ttm_status read_note(ttm_trainer_note *note, ttm_json_value pair)
{
    if (!ttm_json_is_array(pair) || ttm_json_count(pair) != 2) {
        return ttm_json_fail(pair, "must be a key and a value");
    }
    const ttm_json_value key = ttm_json_first(pair);
    TTM_TRY(ttm_json_as_string(&note->key, key));
    return ttm_json_as_string(&note->value, ttm_json_next(key));
}

/* Moves the strings of notes behind the array, into one allocation that outlives the document. */
static ttm_status pack_notes(ttm_trainer_note **packed, const ttm_trainer_note *notes, size_t count)
{
    size_t bytes = (count + 1) * sizeof **packed;
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(notes[i].key) + strlen(notes[i].value) + 2;
    }
    TTM_TRY(ttm_array_new(packed, bytes, 1, "notes"));
    char *place = (char *)(*packed + count + 1);
    for (size_t i = 0; i < count; i++) {
        (*packed)[i].key = place;
        place = stpcpy(place, notes[i].key) + 1;
        (*packed)[i].value = place;
        place = stpcpy(place, notes[i].value) + 1;
    }
    return TTM_OK;
}

ttm_status ttm_train_notes_read(ttm_trainer_note **notes, size_t *count, const char *folder)
{
    ttm_status status = TTM_OK;
    ttm_json_document *document = NULL;
    ttm_json_value array;
    ttm_trainer_note *found = NULL;
    size_t used = 0;
    *notes = NULL;
    *count = 0;
    TTM_TRY_OUT(open_document(&document, folder));
    TTM_TRY_OUT(ttm_json_get_array(&array, ttm_json_root(document), "notes"));
    TTM_TRY_OUT(ttm_array_new(&found, ttm_json_count(array), sizeof *found, "notes"));
    for (ttm_json_value pair = ttm_json_first(array); ttm_json_exists(pair);
         pair = ttm_json_next(pair)) {
        TTM_TRY_OUT(read_note(&found[used], pair));
        used++;
    }
    TTM_TRY_OUT(pack_notes(notes, found, used));
    *count = used;
out:
    free(found);
    ttm_json_free(document);
    return status;
}

static void print_field(char text[VALUE_BYTES], const ttm_trainer_options *options,
                        const ttm_trainer_field *field)
{
    const void *place = ttm_trainer_field_in(options, field);
    switch (field->kind) {
    case TTM_FIELD_INT:
        snprintf(text, VALUE_BYTES, "%" PRId64, *(const int64_t *)place);
        break;
    case TTM_FIELD_REAL:
        snprintf(text, VALUE_BYTES, "%.17g", *(const double *)place);
        break;
    case TTM_FIELD_BOOL:
        snprintf(text, VALUE_BYTES, "%s", *(const bool *)place ? "true" : "false");
        break;
    case TTM_FIELD_SEED:
        snprintf(text, VALUE_BYTES, "%" PRIu64, *(const uint64_t *)place);
        break;
    case TTM_FIELD_CHOICE:
        snprintf(text, VALUE_BYTES, "%s", ttm_trainer_field_choice(options, field));
        break;
    case TTM_FIELD_TEXT:
        snprintf(text, VALUE_BYTES, "%s", (const char *)place);
        break;
    }
}

ttm_status ttm_train_options_compatible(const ttm_trainer_options *saved,
                                        const ttm_trainer_options *wanted)
{
    size_t count = 0;
    const ttm_trainer_field *fields = ttm_trainer_fields(&count);
    for (size_t i = 0; i < count; i++) {
        char before[VALUE_BYTES];
        char now[VALUE_BYTES];
        print_field(before, saved, &fields[i]);
        print_field(now, wanted, &fields[i]);
        if ((fields[i].traits & TTM_FIELD_CHANGEABLE) == 0 && strcmp(before, now) != 0) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "%s is %s, but the run was started with %s: leave it out to go on "
                            "with the run, or start a new one in another folder",
                            fields[i].name, now, before);
        }
    }
    return TTM_OK;
}
