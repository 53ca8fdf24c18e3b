/* Weights from safetensors files, ours or Hugging Face's, into a model. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/error.h"
#include "model/host_copy.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/safetensors.h>

/* Of "transformer.", which the names of parameters begin with. */
enum { PREFIX_BYTES = sizeof "transformer." - 1 };

/* An open checkpoint on its way into a model. */
typedef struct weights_reader {
    ttm_model *model;
    ttm_stream *stream;
    ttm_safetensors *file;
    const char *directory;
    float *piece;       /* [TTM_HOST_PIECE] */
    float *other_piece; /* [TTM_HOST_PIECE], for comparisons */
} weights_reader;

/* Returns the file's tensor for a parameter, with or without the prefix; NULL when it isn't there.
 */
static const ttm_safetensors_tensor *find_tensor(const weights_reader *reader,
                                                 const ttm_parameter *parameter)
{
    const ttm_safetensors_tensor *tensor = ttm_safetensors_find(reader->file, parameter->name);
    return tensor != NULL ? tensor
                          : ttm_safetensors_find(reader->file, parameter->name + PREFIX_BYTES);
}

static ttm_status check_shape(const weights_reader *reader, const ttm_parameter *parameter,
                              const ttm_safetensors_tensor *tensor)
{
    bool same = tensor->rank == (size_t)parameter->rank;
    for (int32_t dim = 0; same && dim < parameter->rank; dim++) {
        same = tensor->shape[dim] == (size_t)parameter->shape[dim];
    }
    if (same) {
        return TTM_OK;
    }
    char wanted[160];
    char found[160];
    const ttm_tensor described =
        ttm_tensor_describe(reader->model->master_dtype, parameter->rank, parameter->shape);
    int64_t shape[TTM_MAX_RANK] = {0};
    for (size_t dim = 0; dim < tensor->rank && dim < TTM_MAX_RANK; dim++) {
        shape[dim] = tensor->shape[dim] <= INT32_MAX ? (int64_t)tensor->shape[dim] : INT32_MAX;
    }
    const int32_t rank = tensor->rank < TTM_MAX_RANK ? (int32_t)tensor->rank : TTM_MAX_RANK;
    ttm_tensor stored = {.dtype = reader->model->master_dtype, .rank = rank};
    memcpy(stored.shape, shape, sizeof shape);
    return ttm_fail(TTM_ERROR_FORMAT, "'%s': tensor '%s' has shape%s, but config.json makes it%s",
                    tensor->path, tensor->name,
                    strchr(ttm_tensor_print(found, sizeof found, &stored), ' '),
                    strchr(ttm_tensor_print(wanted, sizeof wanted, &described), ' '));
}

static ttm_status check_finite(const ttm_safetensors_tensor *tensor, const float *values,
                               int64_t first, int64_t count)
{
    for (int64_t index = 0; index < count; index++) {
        if (!isfinite(values[index])) {
            return ttm_fail(TTM_ERROR_NUMERIC,
                            "'%s': tensor '%s' holds %s at element %" PRId64
                            ": the weights are damaged",
                            tensor->path, tensor->name, isnan(values[index]) ? "NaN" : "infinity",
                            first + index);
        }
    }
    return TTM_OK;
}

static ttm_status read_parameter(const weights_reader *reader, const ttm_parameter *parameter,
                                 const ttm_safetensors_tensor *tensor)
{
    const ttm_tensor target = ttm_model_parameter(reader->model, parameter);
    const bool exact =
        tensor->dtype == TTM_SAFETENSORS_F64 && reader->model->master_dtype == TTM_F64;
    TTM_TRY(check_shape(reader, parameter, tensor));
    const int64_t most = TTM_HOST_PIECE;
    for (int64_t first = 0; first < parameter->count; first += most) {
        const int64_t left = parameter->count - first;
        const int64_t count = left < most ? left : most;
        TTM_TRY(ttm_safetensors_read_f32(reader->piece, reader->file, tensor, (size_t)first,
                                         (size_t)count));
        TTM_TRY(check_finite(tensor, reader->piece, first, count));
        if (exact) {
            const ttm_tensor part = ttm_tensor_at1(&target, first, count);
            TTM_TRY(ttm_safetensors_read(reader->piece, reader->file, tensor,
                                         (size_t)first * sizeof(double),
                                         (size_t)count * sizeof(double)));
            TTM_TRY(ttm_tensor_write(reader->stream, &part, reader->piece));
        } else {
            TTM_TRY(ttm_host_write_f32(reader->stream, &target, first, reader->piece, count));
        }
    }
    return TTM_OK;
}

static ttm_status read_all(const weights_reader *reader)
{
    const ttm_parameter_table *table = &reader->model->table;
    for (size_t index = 0; index < table->count; index++) {
        const ttm_parameter *parameter = &table->items[index];
        const ttm_safetensors_tensor *tensor = find_tensor(reader, parameter);
        if (tensor == NULL) {
            return ttm_fail(TTM_ERROR_FORMAT,
                            "'%s': the weights lack tensor '%s', which config.json asks for",
                            reader->directory, parameter->name);
        }
        TTM_TRY(read_parameter(reader, parameter, tensor));
    }
    return TTM_OK;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text);
    const size_t ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

/* The head may be stored beside the embedding that it is tied to, as long as it is the same. */
static ttm_status check_head(const weights_reader *reader, const ttm_safetensors_tensor *head)
{
    const ttm_parameter *embedding = &reader->model->table.items[0];
    const ttm_safetensors_tensor *tied = find_tensor(reader, embedding);
    if (tied == NULL) {
        return TTM_OK; /* reading the parameters says so */
    }
    TTM_TRY(check_shape(reader, embedding, head));
    TTM_TRY(check_shape(reader, embedding, tied));
    for (int64_t first = 0; first < embedding->count; first += TTM_HOST_PIECE) {
        const int64_t left = embedding->count - first;
        const int64_t count = left < TTM_HOST_PIECE ? left : TTM_HOST_PIECE;
        TTM_TRY(ttm_safetensors_read_f32(reader->piece, reader->file, head, (size_t)first,
                                         (size_t)count));
        TTM_TRY(ttm_safetensors_read_f32(reader->other_piece, reader->file, tied, (size_t)first,
                                         (size_t)count));
        if (memcmp(reader->piece, reader->other_piece, (size_t)count * sizeof(float)) != 0) {
            return ttm_fail(TTM_ERROR_UNSUPPORTED,
                            "'%s': lm_head.weight differs from wte.weight, but only models whose "
                            "head is tied to the embedding are supported",
                            head->path);
        }
    }
    return TTM_OK;
}

/* Every tensor of the file must be a parameter, or one of those known to be no parameters. */
static ttm_status check_extra_tensors(const weights_reader *reader)
{
    for (size_t index = 0; index < ttm_safetensors_count(reader->file); index++) {
        const ttm_safetensors_tensor *tensor = ttm_safetensors_at(reader->file, index);
        if (ttm_parameter_table_find(&reader->model->table, tensor->name) != NULL ||
            ends_with(tensor->name, ".attn.bias") || ends_with(tensor->name, ".attn.masked_bias")) {
            continue;
        }
        if (strcmp(tensor->name, "lm_head.weight") == 0) {
            TTM_TRY(check_head(reader, tensor));
            continue;
        }
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s': tensor '%s' has no place in the model that config.json describes",
                        tensor->path, tensor->name);
    }
    return TTM_OK;
}

ttm_status ttm_model_read_weights(ttm_model *model, ttm_stream *stream, const char *directory)
{
    weights_reader reader = {.model = model, .stream = stream, .directory = directory};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&reader.piece, (size_t)TTM_HOST_PIECE, sizeof(double),
                              "a piece of the weights"));
    TTM_TRY_OUT(ttm_array_new(&reader.other_piece, (size_t)TTM_HOST_PIECE, sizeof(float),
                              "a piece of the weights"));
    TTM_TRY_OUT(ttm_safetensors_open(&reader.file, directory));
    TTM_TRY_OUT(check_extra_tensors(&reader));
    TTM_TRY_OUT(read_all(&reader));
out:
    ttm_model_parameters_changed(model);
    ttm_safetensors_close(reader.file);
    free(reader.other_piece);
    free(reader.piece);
    return status;
}

ttm_status ttm_model_load(ttm_model **model, ttm_device *device, const char *directory,
                          const ttm_model_options *options)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_stream *stream = NULL;
    ttm_status status = TTM_OK;
    *model = NULL;
    TTM_TRY_OUT(ttm_gpt2_config_read(&config, directory));
    TTM_TRY_OUT(ttm_model_create(model, device, &config, options));
    TTM_TRY_OUT(ttm_stream_create(&stream, device));
    TTM_TRY_OUT(ttm_model_read_weights(*model, stream, directory));
    TTM_TRY_OUT(ttm_stream_synchronize(stream));
out:
    ttm_stream_destroy(stream);
    if (status != TTM_OK) {
        ttm_model_destroy(*model);
        *model = NULL;
    }
    ttm_gpt2_config_free(&config);
    return status;
}
