/* The table of element types, and sizes of tensors. */
#include "io/safetensors_format.h"

#include "core/checked.h"
#include <string.h>

/* Data goes between file and memory as it is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little-endian");

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [TTM_SAFETENSORS_NONE] = {"none", 0},       [TTM_SAFETENSORS_BOOL] = {"BOOL", 1},
    [TTM_SAFETENSORS_U8] = {"U8", 1},           [TTM_SAFETENSORS_I8] = {"I8", 1},
    [TTM_SAFETENSORS_F8_E5M2] = {"F8_E5M2", 1}, [TTM_SAFETENSORS_F8_E4M3] = {"F8_E4M3", 1},
    [TTM_SAFETENSORS_I16] = {"I16", 2},         [TTM_SAFETENSORS_U16] = {"U16", 2},
    [TTM_SAFETENSORS_F16] = {"F16", 2},         [TTM_SAFETENSORS_BF16] = {"BF16", 2},
    [TTM_SAFETENSORS_I32] = {"I32", 4},         [TTM_SAFETENSORS_U32] = {"U32", 4},
    [TTM_SAFETENSORS_F32] = {"F32", 4},         [TTM_SAFETENSORS_F64] = {"F64", 8},
    [TTM_SAFETENSORS_I64] = {"I64", 8},         [TTM_SAFETENSORS_U64] = {"U64", 8},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static bool is_listed(ttm_safetensors_dtype dtype)
{
    return (int)dtype >= 0 && (int)dtype < TYPE_COUNT;
}

size_t ttm_safetensors_dtype_bytes(ttm_safetensors_dtype dtype)
{
    return is_listed(dtype) ? types[dtype].bytes : 0;
}

const char *ttm_safetensors_dtype_name(ttm_safetensors_dtype dtype)
{
    return types[is_listed(dtype) ? dtype : TTM_SAFETENSORS_NONE].name;
}

ttm_safetensors_dtype ttm_safetensors_dtype_parse(const char *name)
{
    for (int dtype = TTM_SAFETENSORS_NONE + 1; dtype < TYPE_COUNT; dtype++) {
        if (strcmp(types[dtype].name, name) == 0) {
            return (ttm_safetensors_dtype)dtype;
        }
    }
    return TTM_SAFETENSORS_NONE;
}

bool ttm_safetensors_size(size_t *count, size_t *bytes, const size_t *shape, size_t rank,
                          ttm_safetensors_dtype dtype)
{
    *count = 1;
    for (size_t dimension = 0; dimension < rank; dimension++) {
        if (!ttm_checked_mul(count, *count, shape[dimension])) {
            return false;
        }
    }
    return ttm_checked_mul(bytes, *count, ttm_safetensors_dtype_bytes(dtype));
}
