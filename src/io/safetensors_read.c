/* Getting data out of a safetensors file: raw, converted to f32, and as a hash. */
#include <ttm/safetensors.h>

#include "core/checked.h"
#include "core/error.h"
#include "io/content_hash.h"
#include "io/float_decode.h"
#include "io/safetensors_format.h"
#include <string.h>

ttm_status ttm_safetensors_read(void *out, const ttm_safetensors *file,
                                const ttm_safetensors_tensor *tensor, size_t offset, size_t bytes)
{
    const ttm_safetensors_record *record = (const ttm_safetensors_record *)tensor;
    if (offset > tensor->bytes || bytes > tensor->bytes - offset) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "cannot read %zu bytes at %zu of tensor \"%.200s\" in '%s': it has %zu",
                        bytes, offset, tensor->name, tensor->path, tensor->bytes);
    }
    return ttm_mapped_file_read_at(&file->shards[record->shard].file, out,
                                   record->file_offset + offset, bytes);
}

/** Reads and converts in pieces that stay in the cache. */
static ttm_status read_converted(float *out, const ttm_safetensors *file,
                                 const ttm_safetensors_tensor *tensor, size_t first, size_t count)
{
    union {
        uint16_t halves[16384];
        double doubles[4096];
    } piece = {0};
    bool wide = tensor->dtype == TTM_SAFETENSORS_F64;
    size_t element_bytes = wide ? sizeof piece.doubles[0] : sizeof piece.halves[0];
    size_t most = sizeof piece / element_bytes;
    while (count > 0) {
        size_t taken = count < most ? count : most;
        TTM_TRY(ttm_safetensors_read(&piece, file, tensor, first * element_bytes,
                                     taken * element_bytes));
        for (size_t index = 0; index < taken; index++) {
            out[index] = wide ? (float)piece.doubles[index]
                         : tensor->dtype == TTM_SAFETENSORS_F16
                             ? ttm_decode_f16(piece.halves[index])
                             : ttm_decode_bf16(piece.halves[index]);
        }
        out += taken;
        first += taken;
        count -= taken;
    }
    return TTM_OK;
}

ttm_status ttm_safetensors_read_f32(float *out, const ttm_safetensors *file,
                                    const ttm_safetensors_tensor *tensor, size_t first,
                                    size_t count)
{
    if (first > tensor->count || count > tensor->count - first) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "cannot read %zu elements at %zu of tensor \"%.200s\" in '%s': it has %zu",
                        count, first, tensor->name, tensor->path, tensor->count);
    }
    switch (tensor->dtype) {
    case TTM_SAFETENSORS_F32:
        return ttm_safetensors_read(out, file, tensor, first * sizeof *out, count * sizeof *out);
    case TTM_SAFETENSORS_BF16:
    case TTM_SAFETENSORS_F16:
    case TTM_SAFETENSORS_F64:
        return read_converted(out, file, tensor, first, count);
    default:
        return ttm_fail(TTM_ERROR_DTYPE,
                        "tensor \"%.200s\" in '%s' has the type %s; F32, BF16, F16 or F64 is "
                        "needed here",
                        tensor->name, tensor->path, ttm_safetensors_dtype_name(tensor->dtype));
    }
}

static void hash_text(ttm_content_hash *hash, const char *text)
{
    ttm_content_hash_add(hash, text, strlen(text) + 1);
}

ttm_status ttm_safetensors_hash(uint64_t *out, const ttm_safetensors *file)
{
    ttm_content_hash hash;
    ttm_content_hash_begin(&hash, 0);
    for (size_t index = 0; index < file->record_count; index++) {
        const ttm_safetensors_tensor *tensor = &file->by_name[index]->tensor;
        hash_text(&hash, tensor->name);
        hash_text(&hash, ttm_safetensors_dtype_name(tensor->dtype));
        ttm_content_hash_add_uint64(&hash, tensor->rank);
        for (size_t dimension = 0; dimension < tensor->rank; dimension++) {
            ttm_content_hash_add_uint64(&hash, tensor->shape[dimension]);
        }
        ttm_content_hash_add(&hash, tensor->data, tensor->bytes);
    }
    *out = ttm_content_hash_value(&hash);
    return TTM_OK;
}
