/* Reads the header of one safetensors file and believes none of it: every number is checked against
 * the file before a tensor is offered. */
#include "io/safetensors_format.h"

#include "core/array.h"
#include "core/error.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/** Reads the 8 bytes that give the header's length, and checks it against the file. */
static ttm_status read_header_length(size_t *length, const ttm_mapped_file *file)
{
    uint64_t stored = 0;
    if (file->size < TTM_SAFETENSORS_PREFIX_BYTES) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' isn't a safetensors file: it has %zu bytes, too few for the header's "
                        "length; it is empty or was cut off",
                        file->path, file->size);
    }
    TTM_TRY(ttm_mapped_file_read_at(file, &stored, 0, sizeof stored));
    stored = le64toh(stored);
    if (stored > TTM_SAFETENSORS_MAX_HEADER) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' isn't a safetensors file: its header would have %llu bytes, more "
                        "than the %zu that the format allows",
                        file->path, (unsigned long long)stored, TTM_SAFETENSORS_MAX_HEADER);
    }
    if (stored > file->size - TTM_SAFETENSORS_PREFIX_BYTES) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' is cut off: its header should have %llu bytes, the whole file has "
                        "%zu; fetch or write it again",
                        file->path, (unsigned long long)stored, file->size);
    }
    *length = (size_t)stored;
    return TTM_OK;
}

/** Reads and parses the header's JSON. It is read, not mapped, so that nobody can change it between
 * check and use. */
static ttm_status parse_header(ttm_safetensors_shard *shard, size_t length)
{
    const char *path = shard->file.path;
    char *text = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_array_new(&text, length, 1, "a safetensors header"));
    TTM_TRY_OUT(ttm_mapped_file_read_at(&shard->file, text, TTM_SAFETENSORS_PREFIX_BYTES, length));
    if (length == 0 || text[0] != '{') {
        status = ttm_fail(TTM_ERROR_FORMAT,
                          "'%s' isn't a safetensors file: its header doesn't start with '{'", path);
        goto out;
    }
    TTM_TRY_OUT(ttm_json_parse(&shard->header, text, length, path));
out:
    free(text);
    return status;
}

static ttm_status check_metadata(ttm_json_value metadata)
{
    const char *text = NULL;
    TTM_TRY(ttm_json_expect_object(metadata));
    for (ttm_json_value item = ttm_json_first(metadata); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        TTM_TRY(ttm_json_as_string(&text, item));
    }
    return TTM_OK;
}

/** Reads "shape" into the record, which owns it from then on. */
static ttm_status read_shape(ttm_safetensors_record *record, ttm_json_value description)
{
    ttm_json_value shape;
    TTM_TRY(ttm_json_get_array(&shape, description, "shape"));
    size_t rank = ttm_json_count(shape);
    TTM_TRY(ttm_array_new(&record->shape, rank, sizeof *record->shape, "a tensor's shape"));
    size_t index = 0;
    for (ttm_json_value item = ttm_json_first(shape); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        int64_t size = 0;
        TTM_TRY(ttm_json_as_int64(&size, item, 0, TTM_JSON_MAX_INTEGER));
        record->shape[index++] = (size_t)size;
    }
    record->tensor.rank = rank;
    record->tensor.shape = record->shape;
    return TTM_OK;
}

static ttm_status read_dtype(ttm_safetensors_record *record, ttm_json_value description)
{
    const char *name = NULL;
    TTM_TRY(ttm_json_get_string(&name, description, "dtype"));
    record->tensor.dtype = ttm_safetensors_dtype_parse(name);
    if (record->tensor.dtype == TTM_SAFETENSORS_NONE) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "'%s': tensor \"%.200s\" has the element type \"%.40s\", which libttm "
                        "can't read",
                        record->tensor.path, record->tensor.name, name);
    }
    return TTM_OK;
}

/** Reads "data_offsets" and checks them against the data's size and the shape. */
static ttm_status read_offsets(ttm_safetensors_record *record, ttm_json_value description,
                               size_t data_bytes)
{
    ttm_json_value offsets;
    int64_t begin = 0;
    int64_t end = 0;
    TTM_TRY(ttm_json_get_array(&offsets, description, "data_offsets"));
    if (ttm_json_count(offsets) != 2) {
        return ttm_json_fail(offsets, "must have 2 elements, it has %zu", ttm_json_count(offsets));
    }
    ttm_json_value first = ttm_json_first(offsets);
    TTM_TRY(ttm_json_as_int64(&begin, first, 0, TTM_JSON_MAX_INTEGER));
    TTM_TRY(ttm_json_as_int64(&end, ttm_json_next(first), 0, TTM_JSON_MAX_INTEGER));
    if (begin > end) {
        return ttm_json_fail(offsets, "begin at %lld, after their end at %lld", (long long)begin,
                             (long long)end);
    }
    if ((uint64_t)end > data_bytes) {
        return ttm_json_fail(offsets,
                             "end at byte %lld, but the file has %zu bytes of data; it was cut off "
                             "or its header is wrong",
                             (long long)end, data_bytes);
    }
    ttm_safetensors_tensor *tensor = &record->tensor;
    if (!ttm_safetensors_size(&tensor->count, &tensor->bytes, tensor->shape, tensor->rank,
                              tensor->dtype)) {
        return ttm_json_fail(description, "has a shape whose size overflows");
    }
    if ((uint64_t)(end - begin) != tensor->bytes) {
        return ttm_json_fail(description,
                             "has %lld bytes by its data_offsets, but %zu by its shape and dtype",
                             (long long)(end - begin), tensor->bytes);
    }
    record->begin = (size_t)begin;
    record->end = (size_t)end;
    return TTM_OK;
}

/** Appends the tensor that one member of the header describes. */
static ttm_status add_tensor(ttm_safetensors *file, ttm_json_value description, size_t data_start)
{
    const ttm_safetensors_shard *shard = &file->shards[file->shard_count - 1];
    TTM_TRY(ttm_array_reserve(&file->records, &file->record_capacity, file->record_count + 1,
                              sizeof *file->records, "the list of tensors"));
    ttm_safetensors_record *record = &file->records[file->record_count++];
    *record = (ttm_safetensors_record){
        .tensor = {.name = ttm_json_member_name(description), .path = shard->file.path},
        .shard = file->shard_count - 1,
    };
    TTM_TRY(ttm_json_expect_object(description));
    TTM_TRY(read_dtype(record, description));
    TTM_TRY(read_shape(record, description));
    TTM_TRY(read_offsets(record, description, shard->file.size - data_start));
    record->file_offset = data_start + record->begin;
    record->tensor.data = shard->file.data + record->file_offset;
    return TTM_OK;
}

static int compare_offsets(const void *left, const void *right)
{
    const ttm_safetensors_record *a = left;
    const ttm_safetensors_record *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end < b->end ? -1 : 1;
    }
    return strcmp(a->tensor.name, b->tensor.name);
}

/** Sorts a file's tensors by their data and checks that they cover it exactly, as the format
 * demands. */
static ttm_status check_coverage(ttm_safetensors_record *records, size_t count, size_t data_bytes,
                                 const char *path)
{
    size_t covered = 0;
    if (count > 1) {
        qsort(records, count, sizeof *records, compare_offsets);
    }
    for (size_t index = 0; index < count; index++) {
        const ttm_safetensors_record *record = &records[index];
        if (record->begin != covered) {
            return ttm_fail(TTM_ERROR_FORMAT,
                            "'%s': tensor \"%.200s\" begins at byte %zu of the data, but the one "
                            "before it ends at %zu: %s aren't allowed",
                            path, record->tensor.name, record->begin, covered,
                            record->begin < covered ? "overlaps" : "holes");
        }
        covered = record->end;
    }
    if (covered != data_bytes) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' has %zu bytes of data, its tensors cover %zu: the rest is of no "
                        "tensor",
                        path, data_bytes, covered);
    }
    return TTM_OK;
}

ttm_status ttm_safetensors_read_header(ttm_safetensors *file)
{
    ttm_safetensors_shard *shard = &file->shards[file->shard_count - 1];
    size_t first_record = file->record_count;
    size_t length = 0;
    TTM_TRY(read_header_length(&length, &shard->file));
    TTM_TRY(parse_header(shard, length));
    size_t data_start = TTM_SAFETENSORS_PREFIX_BYTES + length;
    for (ttm_json_value item = ttm_json_first(ttm_json_root(shard->header)); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        if (strcmp(ttm_json_member_name(item), TTM_SAFETENSORS_METADATA_KEY) == 0) {
            TTM_TRY(check_metadata(item));
        } else {
            TTM_TRY(add_tensor(file, item, data_start));
        }
    }
    if (file->records == NULL) {
        return shard->file.size == data_start
                   ? TTM_OK
                   : check_coverage(NULL, 0, shard->file.size - data_start, shard->file.path);
    }
    return check_coverage(file->records + first_record, file->record_count - first_record,
                          shard->file.size - data_start, shard->file.path);
}
