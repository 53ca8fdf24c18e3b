/* What the safetensors reader and writer share: limits, the table of element types, sizes of
 * tensors, and the reader's structures. */
#ifndef TTM_IO_SAFETENSORS_FORMAT_H
#define TTM_IO_SAFETENSORS_FORMAT_H

#include "io/json.h"
#include "io/mapped_file.h"
#include <stdbool.h>
#include <ttm/safetensors.h>

/** The format allows headers of at most this many bytes. */
#define TTM_SAFETENSORS_MAX_HEADER ((size_t)100000000)

/** The header's length stands before it as a little-endian 64-bit integer. */
#define TTM_SAFETENSORS_PREFIX_BYTES ((size_t)8)

#define TTM_SAFETENSORS_METADATA_KEY "__metadata__"

/** A tensor and where it lies. */
typedef struct ttm_safetensors_record {
    ttm_safetensors_tensor tensor; /* first, so that the public pointer is the record's */
    size_t *shape;                 /* owned; tensor.shape points here */
    size_t shard;
    size_t begin; /* first byte, counted from the end of the header */
    size_t end;
    size_t file_offset; /* first byte, counted from the start of the file */
} ttm_safetensors_record;

/** One open file. Tensor names and metadata live in its header's document. */
typedef struct ttm_safetensors_shard {
    ttm_mapped_file file;
    ttm_json_document *header;
} ttm_safetensors_shard;

struct ttm_safetensors {
    char *path; /* as given when opened, for messages */
    ttm_safetensors_shard *shards;
    size_t shard_count;
    size_t shard_capacity;
    ttm_safetensors_record *records;
    size_t record_count;
    size_t record_capacity;
    const ttm_safetensors_record **by_name; /* sorted */
};

/** Returns the type of that name, TTM_SAFETENSORS_NONE for an unknown one. */
ttm_safetensors_dtype ttm_safetensors_dtype_parse(const char *name);

/** *count = the product of shape[rank], *bytes = count × element size; false when one doesn't fit
 * into size_t. */
bool ttm_safetensors_size(size_t *count, size_t *bytes, const size_t *shape, size_t rank,
                          ttm_safetensors_dtype dtype);

/** Reads and checks the header of the last shard, whose file is open, and appends its tensors to
 * file->records in the order of the data. On failure the appended records stay, for
 * ttm_safetensors_close to free. */
TTM_CHECKED ttm_status ttm_safetensors_read_header(ttm_safetensors *file);

/** Opens `path` as the next shard and appends its tensors. */
TTM_CHECKED ttm_status ttm_safetensors_add_file(ttm_safetensors *file, const char *path);

/** Opens every shard that the index file `path` names. ttm_safetensors_check_index comes after the
 * tensors are sorted. */
TTM_CHECKED ttm_status ttm_safetensors_add_shards(ttm_safetensors *file, ttm_json_value weight_map,
                                                  const char *path);

/** Checks that every tensor of the index is in the shard it names. */
TTM_CHECKED ttm_status ttm_safetensors_check_index(const ttm_safetensors *file,
                                                   ttm_json_value weight_map);

#endif
