/* A model's weights to model.safetensors, and their fingerprint. Values leave the device in pieces,
 * so that no second copy of the model is needed on the host. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/error.h"
#include "io/string_builder.h"
#include "model/host_copy.h"
#include "text/fingerprint.h"

#include <stdlib.h>
#include <ttm/safetensors.h>

/* Where the bytes of one parameter come from. */
typedef struct parameter_source {
    ttm_stream *stream;
    ttm_tensor tensor;
} parameter_source;

static ttm_status supply(void *user, void *out, size_t offset, size_t bytes)
{
    const parameter_source *source = user;
    const size_t element_bytes = source->tensor.dtype == TTM_F64 ? 8 : 4;
    if (offset % element_bytes != 0 || bytes % element_bytes != 0) {
        return ttm_fail(TTM_ERROR_INTERNAL, "a piece of a tensor doesn't consist of elements");
    }
    return ttm_host_read(source->stream, out, &source->tensor, (int64_t)(offset / element_bytes),
                         (int64_t)(bytes / element_bytes));
}

static ttm_status write_weights(ttm_model *model, ttm_stream *stream, const char *path)
{
    const size_t count = model->table.count;
    ttm_safetensors_entry *entries = NULL;
    parameter_source *sources = NULL;
    size_t(*shapes)[4] = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&entries, count, sizeof *entries, "a list of weights"));
    TTM_TRY_OUT(ttm_array_new(&sources, count, sizeof *sources, "a list of weights"));
    TTM_TRY_OUT(ttm_array_new(&shapes, count, sizeof *shapes, "a list of weights"));
    for (size_t index = 0; index < count; index++) {
        const ttm_parameter *parameter = &model->table.items[index];
        for (int32_t dim = 0; dim < parameter->rank; dim++) {
            shapes[index][dim] = (size_t)parameter->shape[dim];
        }
        sources[index].stream = stream;
        sources[index].tensor = ttm_model_parameter(model, parameter);
        const ttm_safetensors_entry entry = {
            .name = parameter->name,
            .dtype = model->master_dtype == TTM_F64 ? TTM_SAFETENSORS_F64 : TTM_SAFETENSORS_F32,
            .rank = (size_t)parameter->rank,
            .shape = shapes[index],
            .source = supply,
            .user = &sources[index]};
        entries[index] = entry;
    }
    status = ttm_safetensors_write(path, entries, count, NULL, 0);
out:
    free(shapes);
    free(sources);
    free(entries);
    return status;
}

ttm_status ttm_model_save(ttm_model *model, ttm_stream *stream, const char *directory)
{
    ttm_string path = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_string_append_format(&path, "%s/model.safetensors", directory));
    TTM_TRY_OUT(ttm_gpt2_config_write(&model->config, directory));
    status = write_weights(model, stream, path.text);
out:
    ttm_string_free(&path);
    return status;
}

static ttm_status hash_parameter(ttm_fingerprint *fingerprint, ttm_model *model, ttm_stream *stream,
                                 const ttm_parameter *parameter, void *piece)
{
    const ttm_tensor tensor = ttm_model_parameter(model, parameter);
    const size_t element_bytes = ttm_dtype_bytes(tensor.dtype);
    for (const char *letter = parameter->name; *letter != '\0'; letter++) {
        ttm_fingerprint_add(fingerprint, letter, 1);
    }
    for (int32_t dim = 0; dim < parameter->rank; dim++) {
        ttm_fingerprint_add_number(fingerprint, (uint64_t)parameter->shape[dim]);
    }
    for (int64_t first = 0; first < parameter->count; first += TTM_HOST_PIECE) {
        const int64_t left = parameter->count - first;
        const int64_t count = left < TTM_HOST_PIECE ? left : TTM_HOST_PIECE;
        TTM_TRY(ttm_host_read(stream, piece, &tensor, first, count));
        ttm_fingerprint_add(fingerprint, piece, (size_t)count * element_bytes);
    }
    return TTM_OK;
}

ttm_status ttm_model_weights_hash(char hash[33], ttm_model *model, ttm_stream *stream)
{
    ttm_fingerprint fingerprint;
    void *piece = NULL;
    ttm_status status = TTM_OK;
    hash[0] = '\0';
    TTM_TRY(
        ttm_array_new(&piece, (size_t)TTM_HOST_PIECE, sizeof(double), "a piece of the weights"));
    ttm_fingerprint_begin(&fingerprint);
    for (size_t index = 0; index < model->table.count && status == TTM_OK; index++) {
        status = hash_parameter(&fingerprint, model, stream, &model->table.items[index], piece);
    }
    if (status == TTM_OK) {
        ttm_fingerprint_text(&fingerprint, hash);
    }
    free(piece);
    return status;
}
