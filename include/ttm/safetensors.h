/* Safetensors files: named arrays behind a JSON header
 * (https://github.com/huggingface/safetensors), for reading by memory mapping and for writing
 * atomically.
 *
 * Reading trusts nothing: the header's length, JSON, shapes and offsets are checked before any
 * tensor is offered, and the data must be covered without holes or overlaps. A file that another
 * program truncates while it is open raises SIGBUS where `data` is touched; the
 * ttm_safetensors_read functions report an error instead. An open file is read-only: any number of
 * threads may use it at once. All numbers in files are little-endian. */
#ifndef TTM_SAFETENSORS_H
#define TTM_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types of the format. The numbers are libttm's own. */
typedef enum ttm_safetensors_dtype {
    TTM_SAFETENSORS_NONE = 0,
    TTM_SAFETENSORS_BOOL = 1,
    TTM_SAFETENSORS_U8 = 2,
    TTM_SAFETENSORS_I8 = 3,
    TTM_SAFETENSORS_F8_E5M2 = 4,
    TTM_SAFETENSORS_F8_E4M3 = 5,
    TTM_SAFETENSORS_I16 = 6,
    TTM_SAFETENSORS_U16 = 7,
    TTM_SAFETENSORS_F16 = 8,
    TTM_SAFETENSORS_BF16 = 9,
    TTM_SAFETENSORS_I32 = 10,
    TTM_SAFETENSORS_U32 = 11,
    TTM_SAFETENSORS_F32 = 12,
    TTM_SAFETENSORS_F64 = 13,
    TTM_SAFETENSORS_I64 = 14,
    TTM_SAFETENSORS_U64 = 15
} ttm_safetensors_dtype;

/** Returns the size of one element in bytes, 0 for TTM_SAFETENSORS_NONE and unknown values. */
TTM_API size_t ttm_safetensors_dtype_bytes(ttm_safetensors_dtype dtype);

/** Returns the type's name as it stands in files: "F32", "BF16", …, "none". */
TTM_API const char *ttm_safetensors_dtype_name(ttm_safetensors_dtype dtype);

/** One tensor of an open file. All pointers live as long as the file is open. */
typedef struct ttm_safetensors_tensor {
    const char *name; /**< UTF-8. */
    ttm_safetensors_dtype dtype;
    size_t rank;         /**< Number of dimensions; 0 is a scalar. */
    const size_t *shape; /**< [rank], outermost first; row-major data. */
    size_t count;        /**< Elements: the product of the shape, 1 for a scalar. */
    size_t bytes;        /**< count × element size. */
    const void *data; /**< The mapped bytes. Aligned to the element size only when the writer cared:
                         use memcpy. */
    const char *path; /**< The file that holds it. */
} ttm_safetensors_tensor;

/** An open file, or the open shards of one checkpoint. */
typedef struct ttm_safetensors ttm_safetensors;

/** Opens `path`: a .safetensors file; a Hugging Face index (NAME.safetensors.index.json) with its
 * shards beside it; or a folder that holds model.safetensors or else model.safetensors.index.json.
 * A sharded checkpoint is complete: every tensor of the index is in the shard it names. After
 * success the caller closes. TTM_ERROR_NOT_FOUND for a missing file or shard, TTM_ERROR_FORMAT with
 * the file and tensor for anything untrue in it, TTM_ERROR_UNSUPPORTED for an element type not
 * listed above, TTM_ERROR_IO, TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_open(ttm_safetensors **out, const char *path);

/** Unmaps and closes. NULL is allowed. */
TTM_API void ttm_safetensors_close(ttm_safetensors *file);

/** Returns the number of tensors. */
TTM_API size_t ttm_safetensors_count(const ttm_safetensors *file);

/** Returns tensor `index` in the order of the data (of the shards, by file name), NULL from
 * ttm_safetensors_count on. */
TTM_API const ttm_safetensors_tensor *ttm_safetensors_at(const ttm_safetensors *file, size_t index);

/** Returns the tensor of that name, NULL when there is none. Takes logarithmic time. */
TTM_API const ttm_safetensors_tensor *ttm_safetensors_find(const ttm_safetensors *file,
                                                           const char *name);

/** *out = the tensor of that name; TTM_ERROR_NOT_FOUND names the file and the tensor. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_get(const ttm_safetensors_tensor **out,
                                                   const ttm_safetensors *file, const char *name);

/** Returns the string that `__metadata__` has for `key`, NULL without one. Of a sharded checkpoint,
 * the first shard's. */
TTM_API const char *ttm_safetensors_metadata(const ttm_safetensors *file, const char *key);

/** Copies `bytes` raw bytes from byte `offset` of the tensor into `out`, by reading rather than
 * through the mapping. TTM_ERROR_ARGUMENT when the range exceeds the tensor, TTM_ERROR_IO when the
 * file can't be read or shrank. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_read(void *out, const ttm_safetensors *file,
                                                    const ttm_safetensors_tensor *tensor,
                                                    size_t offset, size_t bytes);

/** Converts elements first … first + count − 1 of a F32, BF16, F16 or F64 tensor into out[count];
 * F64 rounds to nearest. TTM_ERROR_DTYPE for any other type, otherwise as ttm_safetensors_read. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_read_f32(float *out, const ttm_safetensors *file,
                                                        const ttm_safetensors_tensor *tensor,
                                                        size_t first, size_t count);

/** *out = a 64-bit hash of all tensors, the same however they are ordered or sharded and whatever
 * the metadata: XXH64 with seed 0 over, for each tensor in ascending byte order of names: the name,
 * a 0 byte, the type's name, a 0 byte, the rank and each dimension as 64-bit integers, the data;
 * all little-endian. It finds accidents, not forgeries. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_hash(uint64_t *out, const ttm_safetensors *file);

/** Supplies bytes offset … offset + bytes − 1 of a tensor that is being written. Called with
 * ascending offsets that leave nothing out. Anything but TTM_OK ends the writing with that status.
 */
typedef ttm_status (*ttm_safetensors_source)(void *user, void *out, size_t offset, size_t bytes);

/** A tensor to write. Exactly one of `data` and `source` is set, unless the tensor is empty. */
typedef struct ttm_safetensors_entry {
    const char *name; /**< UTF-8, unique, not "__metadata__". */
    ttm_safetensors_dtype dtype;
    size_t rank;
    const size_t *shape; /**< [rank]; may be NULL for rank 0. */
    const void *data;    /**< All bytes, row-major, little-endian. */
    ttm_safetensors_source
        source; /**< Or a function that supplies them piece by piece, of up to 1 MiB. */
    void *user; /**< Passed to `source`. */
} ttm_safetensors_entry;

/** One string pair of `__metadata__`, both UTF-8. */
typedef struct ttm_safetensors_pair {
    const char *key;
    const char *value;
} ttm_safetensors_pair;

/** Writes `path` with entries[count] in the given order; metadata[metadata_count] goes into
 * `__metadata__`, and "format": "pt" unless it names a format. The file appears whole or not at all
 * (temporary name, sync, rename); the data is never copied as a whole. After any failure an
 * existing file is as it was. TTM_ERROR_ARGUMENT for names or pairs that don't fit, TTM_ERROR_SHAPE
 * for sizes that overflow, TTM_ERROR_IO for a full disk and its like, or what a source returned. */
TTM_API TTM_CHECKED ttm_status ttm_safetensors_write(const char *path,
                                                     const ttm_safetensors_entry *entries,
                                                     size_t count,
                                                     const ttm_safetensors_pair *metadata,
                                                     size_t metadata_count);

#ifdef __cplusplus
}
#endif

#endif
