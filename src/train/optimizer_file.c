/* Moments to and from a file through a small host buffer: a checkpoint takes no memory that the run
 * doesn't have anyway. */
#include "train/optimizer_file.h"

#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/safetensors.h>

enum { NAME_BYTES = 160, CHUNK_ELEMENTS = 1 << 18, MOMENTS = 2 };

static const char file_name[] = "optimizer.safetensors";
static const char *const suffixes[MOMENTS] = {"first_moment", "second_moment"};

/* One moment of one parameter. */
typedef struct moment {
    ttm_stream *stream;
    const ttm_tensor *flat; /* of the parameter's span */
    int64_t start;          /* the parameter's first element there */
    const ttm_parameter *parameter;
    char name[NAME_BYTES];
    size_t shape[4];
} moment;

static ttm_safetensors_dtype stored_dtype(const moment *described)
{
    return described->flat->dtype == TTM_BF16 ? TTM_SAFETENSORS_BF16 : TTM_SAFETENSORS_F32;
}

/* Moment number `number` of a table: two for each parameter. */
static ttm_status describe_moment(moment *out, const ttm_parameter_table *table, size_t number,
                                  const ttm_train_buffers *buffers, ttm_stream *stream)
{
    const ttm_parameter *parameter = &table->items[number / MOMENTS];
    const size_t which = number % MOMENTS;
    out->stream = stream;
    out->flat = which == 0 ? &buffers->first_moment[parameter->span]
                           : &buffers->second_moment[parameter->span];
    out->start = parameter->offset - table->spans[parameter->span].offset;
    out->parameter = parameter;
    for (int32_t i = 0; i < parameter->rank; i++) {
        out->shape[i] = (size_t)parameter->shape[i];
    }
    const int length =
        snprintf(out->name, sizeof out->name, "%s.%s", parameter->name, suffixes[which]);
    if (length < 0 || (size_t)length >= sizeof out->name) {
        return ttm_fail(TTM_ERROR_INTERNAL, "the parameter name '%s' is too long", parameter->name);
    }
    return TTM_OK;
}

static ttm_status supply_moment(void *user, void *out, size_t offset, size_t bytes)
{
    const moment *source = user;
    const size_t element_bytes = source->flat->dtype == TTM_BF16 ? 2 : sizeof(float);
    const ttm_tensor piece =
        ttm_tensor_at1(source->flat, source->start + (int64_t)(offset / element_bytes),
                       (int64_t)(bytes / element_bytes));
    return ttm_tensor_read(source->stream, out, &piece);
}

ttm_status ttm_optimizer_file_write(const char *folder, const ttm_parameter_table *table,
                                    const ttm_train_buffers *buffers, ttm_stream *stream)
{
    ttm_status status = TTM_OK;
    const size_t count = table->count * MOMENTS;
    char *path = NULL;
    moment *moments = NULL;
    ttm_safetensors_entry *entries = NULL;
    TTM_TRY_OUT(ttm_path_join(&path, folder, file_name));
    TTM_TRY_OUT(ttm_array_new(&moments, count, sizeof *moments, "optimiser tensors"));
    TTM_TRY_OUT(ttm_array_new(&entries, count, sizeof *entries, "optimiser tensors"));
    for (size_t i = 0; i < count; i++) {
        TTM_TRY_OUT(describe_moment(&moments[i], table, i, buffers, stream));
        const ttm_parameter *parameter = moments[i].parameter;
        entries[i] = (ttm_safetensors_entry){.name = moments[i].name,
                                             .dtype = stored_dtype(&moments[i]),
                                             .rank = (size_t)parameter->rank,
                                             .shape = moments[i].shape,
                                             .source = supply_moment,
                                             .user = &moments[i]};
    }
    status = ttm_safetensors_write(path, entries, count, NULL, 0);
out:
    free(entries);
    free(moments);
    free(path);
    return status;
}

static ttm_status check_moment(const ttm_safetensors_tensor *tensor, const moment *expected)
{
    const size_t rank = (size_t)expected->parameter->rank;
    if (tensor->dtype != stored_dtype(expected) || tensor->rank != rank ||
        memcmp(tensor->shape, expected->shape, rank * sizeof(size_t)) != 0) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s': '%s' isn't %s of the shape of its parameter: the checkpoint is "
                        "damaged, remove it to resume from the one before",
                        tensor->path, tensor->name,
                        expected->flat->dtype == TTM_BF16 ? "BF16" : "F32");
    }
    return TTM_OK;
}

static ttm_status read_moment(const ttm_safetensors *file, const moment *target, void *chunk)
{
    const ttm_safetensors_tensor *tensor = NULL;
    TTM_TRY(ttm_safetensors_get(&tensor, file, target->name));
    TTM_TRY(check_moment(tensor, target));
    const size_t element_bytes = ttm_dtype_bytes(target->flat->dtype);
    for (size_t first = 0; first < tensor->count; first += CHUNK_ELEMENTS) {
        const size_t left = tensor->count - first;
        const size_t count = left < CHUNK_ELEMENTS ? left : CHUNK_ELEMENTS;
        const ttm_tensor piece =
            ttm_tensor_at1(target->flat, target->start + (int64_t)first, (int64_t)count);
        TTM_TRY(ttm_safetensors_read(chunk, file, tensor, first * element_bytes,
                                     count * element_bytes));
        TTM_TRY(ttm_tensor_write(target->stream, &piece, chunk));
    }
    return TTM_OK;
}

ttm_status ttm_optimizer_file_read(const char *folder, const ttm_parameter_table *table,
                                   ttm_train_buffers *buffers, ttm_stream *stream)
{
    ttm_status status = TTM_OK;
    char *path = NULL;
    void *chunk = NULL;
    ttm_safetensors *file = NULL;
    TTM_TRY_OUT(ttm_path_join(&path, folder, file_name));
    TTM_TRY_OUT(ttm_array_new(&chunk, CHUNK_ELEMENTS, sizeof(float), "optimiser tensors"));
    TTM_TRY_OUT(ttm_safetensors_open(&file, path));
    for (size_t i = 0; i < table->count * MOMENTS; i++) {
        moment target;
        TTM_TRY_OUT(describe_moment(&target, table, i, buffers, stream));
        TTM_TRY_OUT(read_moment(file, &target, chunk));
    }
out:
    ttm_safetensors_close(file);
    free(chunk);
    free(path);
    return status;
}
