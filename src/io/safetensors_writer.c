/* Writes a safetensors file: a header from names and shapes, then the data straight from where it
 * lies. */
#include <ttm/safetensors.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/safetensors_format.h"
#include "io/string_builder.h"
#include "io/utf8.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/json.h>

/* What a source is asked for at once. */
enum { PIECE_BYTES = 1 << 20 };

static ttm_status check_text(const char *text, const char *what, const char *path)
{
    if (text == NULL || !ttm_utf8_valid(text, strlen(text))) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "cannot write '%s': %s \"%.200s\" isn't UTF-8 text",
                        path, what, text == NULL ? "(NULL)" : text);
    }
    return TTM_OK;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/** Refuses names that occur twice. */
static ttm_status check_unique(const char **names, size_t count, const char *path)
{
    if (count > 1) {
        qsort(names, count, sizeof *names, compare_names);
    }
    for (size_t index = 1; index < count; index++) {
        if (strcmp(names[index - 1], names[index]) == 0) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "cannot write '%s': the name \"%.200s\" occurs twice", path,
                            names[index]);
        }
    }
    return TTM_OK;
}

/** Checks one entry and finds its size. */
static ttm_status check_entry(size_t *bytes, const ttm_safetensors_entry *entry, const char *path)
{
    size_t count = 0;
    TTM_TRY(check_text(entry->name, "the tensor name", path));
    if (strcmp(entry->name, TTM_SAFETENSORS_METADATA_KEY) == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "cannot write '%s': no tensor may be named \"%s\"",
                        path, entry->name);
    }
    if (ttm_safetensors_dtype_bytes(entry->dtype) == 0) {
        return ttm_fail(TTM_ERROR_DTYPE, "cannot write '%s': tensor \"%.200s\" has no type (%d)",
                        path, entry->name, (int)entry->dtype);
    }
    if (entry->rank > 0 && entry->shape == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "cannot write '%s': tensor \"%.200s\" has no shape",
                        path, entry->name);
    }
    if (!ttm_safetensors_size(&count, bytes, entry->shape, entry->rank, entry->dtype)) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "cannot write '%s': the size of tensor \"%.200s\" overflows", path,
                        entry->name);
    }
    if (*bytes > 0 && (entry->data == NULL) == (entry->source == NULL)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "cannot write '%s': tensor \"%.200s\" needs data or a source, not %s", path,
                        entry->name, entry->data == NULL ? "neither" : "both");
    }
    return TTM_OK;
}

/** Checks all entries; bytes[count] receives their sizes. */
static ttm_status check_entries(size_t *bytes, const ttm_safetensors_entry *entries, size_t count,
                                const char *path)
{
    const char **names = NULL;
    size_t total = 0;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_array_new(&names, count, sizeof *names, "tensor names"));
    for (size_t index = 0; index < count; index++) {
        TTM_TRY_OUT(check_entry(&bytes[index], &entries[index], path));
        names[index] = entries[index].name;
        if (!ttm_checked_add(&total, total, bytes[index]) || total > (size_t)TTM_JSON_MAX_INTEGER) {
            status = ttm_fail(TTM_ERROR_SHAPE, "cannot write '%s': its size overflows", path);
            goto out;
        }
    }
    TTM_TRY_OUT(check_unique(names, count, path));
out:
    free(names);
    return status;
}

/** Writes `__metadata__`. */
static ttm_status describe_metadata(ttm_json_writer *json, const ttm_safetensors_pair *metadata,
                                    size_t count, const char *path)
{
    const char **keys = NULL;
    bool has_format = false;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_array_new(&keys, count, sizeof *keys, "metadata keys"));
    ttm_json_key(json, TTM_SAFETENSORS_METADATA_KEY);
    ttm_json_begin_object(json);
    for (size_t index = 0; index < count; index++) {
        TTM_TRY_OUT(check_text(metadata[index].key, "the metadata key", path));
        TTM_TRY_OUT(check_text(metadata[index].value, "the metadata value", path));
        keys[index] = metadata[index].key;
        has_format = has_format || strcmp(keys[index], "format") == 0;
        ttm_json_member_string(json, metadata[index].key, metadata[index].value);
    }
    if (!has_format) {
        ttm_json_member_string(json, "format", "pt");
    }
    ttm_json_end_object(json);
    status = check_unique(keys, count, path);
out:
    free(keys);
    return status;
}

/** Writes one tensor's description; its data lies at begin … begin + bytes − 1. */
static void describe_entry(ttm_json_writer *json, const ttm_safetensors_entry *entry, size_t begin,
                           size_t bytes)
{
    ttm_json_key(json, entry->name);
    ttm_json_begin_object(json);
    ttm_json_member_string(json, "dtype", ttm_safetensors_dtype_name(entry->dtype));
    ttm_json_key(json, "shape");
    ttm_json_begin_array(json);
    for (size_t dimension = 0; dimension < entry->rank; dimension++) {
        ttm_json_write_uint(json, entry->shape[dimension]);
    }
    ttm_json_end_array(json);
    ttm_json_key(json, "data_offsets");
    ttm_json_begin_array(json);
    ttm_json_write_uint(json, begin);
    ttm_json_write_uint(json, begin + bytes);
    ttm_json_end_array(json);
    ttm_json_end_object(json);
}

/** Writes the header's length and text, padded with spaces so that the data starts at a multiple
 * of 8. */
static ttm_status write_header(ttm_atomic_file *file, ttm_json_writer *json, const char *path)
{
    const char *text = NULL;
    size_t length = 0;
    size_t padded = 0;
    TTM_TRY(ttm_json_writer_finish(&text, &length, json));
    length--; /* the newline */
    if (!ttm_checked_align(&padded, length, 8) || padded > TTM_SAFETENSORS_MAX_HEADER) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "cannot write '%s': its header of %zu bytes exceeds the format's %zu", path,
                        length, TTM_SAFETENSORS_MAX_HEADER);
    }
    uint64_t stored = htole64(padded);
    TTM_TRY(ttm_atomic_file_write(file, &stored, sizeof stored));
    TTM_TRY(ttm_atomic_file_write(file, text, length));
    return ttm_atomic_file_write(file, "        ", padded - length);
}

/** Writes one tensor's data; piece[PIECE_BYTES] is room for what a source supplies. */
static ttm_status write_data(ttm_atomic_file *file, const ttm_safetensors_entry *entry,
                             size_t bytes, unsigned char *piece)
{
    if (entry->source == NULL) {
        return ttm_atomic_file_write(file, entry->data, bytes);
    }
    for (size_t offset = 0; offset < bytes; offset += PIECE_BYTES) {
        size_t taken = bytes - offset < PIECE_BYTES ? bytes - offset : PIECE_BYTES;
        TTM_TRY(entry->source(entry->user, piece, offset, taken));
        TTM_TRY(ttm_atomic_file_write(file, piece, taken));
    }
    return TTM_OK;
}

ttm_status ttm_safetensors_write(const char *path, const ttm_safetensors_entry *entries,
                                 size_t count, const ttm_safetensors_pair *metadata,
                                 size_t metadata_count)
{
    ttm_atomic_file *file = NULL;
    ttm_json_writer *json = NULL;
    size_t *bytes = NULL;
    unsigned char *piece = NULL;
    ttm_status status = TTM_OK;
    if (path == NULL || path[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no safetensors file given (the name is empty)");
    }
    TTM_TRY_OUT(ttm_array_new(&bytes, count, sizeof *bytes, "tensor sizes"));
    TTM_TRY_OUT(check_entries(bytes, entries, count, path));
    TTM_TRY_OUT(ttm_json_writer_new(&json, TTM_JSON_COMPACT));
    ttm_json_begin_object(json);
    TTM_TRY_OUT(describe_metadata(json, metadata, metadata_count, path));
    size_t begin = 0;
    for (size_t index = 0; index < count; index++) {
        describe_entry(json, &entries[index], begin, bytes[index]);
        begin += bytes[index];
    }
    ttm_json_end_object(json);
    TTM_TRY_OUT(ttm_array_new(&piece, PIECE_BYTES, 1, "a piece of a tensor"));
    TTM_TRY_OUT(ttm_atomic_file_begin(&file, path));
    TTM_TRY_OUT(write_header(file, json, path));
    for (size_t index = 0; index < count; index++) {
        TTM_TRY_OUT(write_data(file, &entries[index], bytes[index], piece));
    }
    TTM_TRY_OUT(ttm_atomic_file_commit(&file));
out:
    ttm_atomic_file_abort(&file);
    ttm_json_writer_free(json);
    free(piece);
    free(bytes);
    return status;
}
