/* ADAMW: the segments are cut into chunks of one treatment each, whose table stays on the device
 * from step to step; then one launch does everything. */
#include "opencl/op.h"

#include <math.h>
#include <stdlib.h>

#define CHUNK_ELEMENTS 8192

/* As in adamw.cl. */
typedef struct adamw_chunk {
    int64_t first;
    int64_t count;
    float rate_scale;
    float decay;
} adamw_chunk;

static int adamw_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_dtype moments = op->tensors[TTM_ADAMW_FIRST_MOMENT].dtype;
    return opencl_all_floats(op) && op->tensors[TTM_ADAMW_PARAMETERS].dtype == TTM_F32 &&
           op->tensors[TTM_ADAMW_SECOND_MOMENT].dtype == moments &&
           (moments == TTM_F32 || moments == TTM_BF16);
}

static int64_t count_chunks(const ttm_adamw_params *params)
{
    int64_t chunks = 0;
    for (int64_t s = 0; s < params->segment_count; s++) {
        chunks += opencl_parts(params->segments[s].count, CHUNK_ELEMENTS);
    }
    return chunks;
}

static void fill_chunks(adamw_chunk *chunks, const ttm_adamw_params *params)
{
    for (int64_t s = 0; s < params->segment_count; s++) {
        const ttm_adamw_segment *segment = &params->segments[s];
        for (int64_t done = 0; done < segment->count; done += CHUNK_ELEMENTS) {
            *chunks++ = (adamw_chunk){.first = segment->start + done,
                                      .count = opencl_least(segment->count - done, CHUNK_ELEMENTS),
                                      .rate_scale = (float)segment->learning_rate_scale,
                                      .decay = (float)segment->weight_decay};
        }
    }
}

static ttm_status upload_chunks(ttm_backend_stream *stream, const ttm_adamw_params *params,
                                int64_t count)
{
    adamw_chunk *chunks = calloc((size_t)count, sizeof *chunks);
    if (chunks == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a table of parameter segments");
    }
    fill_chunks(chunks, params);
    const ttm_status status =
        opencl_stream_keep(&stream->adamw_chunks, stream, chunks, (size_t)count * sizeof *chunks);
    free(chunks);
    return status;
}

static void add_factors(opencl_call *call, const ttm_adamw_params *params)
{
    const double step = (double)params->step;
    cl_float8 factors;
    factors.s[0] = (cl_float)params->learning_rate;
    factors.s[1] = (cl_float)params->beta1;
    factors.s[2] = (cl_float)(1.0 - params->beta1);
    factors.s[3] = (cl_float)params->beta2;
    factors.s[4] = (cl_float)(1.0 - params->beta2);
    factors.s[5] = (cl_float)(1.0 / (1.0 - pow(params->beta1, step)));
    factors.s[6] = (cl_float)(1.0 / (1.0 - pow(params->beta2, step)));
    factors.s[7] = (cl_float)params->epsilon;
    opencl_call_float8(call, factors);
}

static ttm_status adamw_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_adamw_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *parameters = &tensors[TTM_ADAMW_PARAMETERS];
    const ttm_tensor *norm = &tensors[TTM_ADAMW_NORM_SQUARED];
    const ttm_tensor *working = &tensors[TTM_ADAMW_WORKING];
    const int64_t chunks = count_chunks(params);
    if (chunks == 0) {
        return TTM_OK;
    }
    const ttm_status status = upload_chunks(stream, params, chunks);
    if (status != TTM_OK) {
        return status;
    }
    const opencl_tuning *tuning = &stream->device->tuning;
    const size_t items = tuning->is_cpu ? 1 : tuning->group;
    opencl_call call = opencl_call_start(stream, OPENCL_ADAMW, "adamw",
                                         "-DDATA=%d -DRESULT=%d -DMOMENT=%d -DITEMS=%zu",
                                         (int)tensors[TTM_ADAMW_GRADIENTS].dtype,
                                         ttm_tensor_present(working) ? (int)working->dtype : 1,
                                         (int)tensors[TTM_ADAMW_FIRST_MOMENT].dtype, items);
    opencl_call_tensor(&call, parameters, parameters);
    opencl_call_tensor(&call, &tensors[TTM_ADAMW_GRADIENTS], parameters);
    opencl_call_tensor(&call, &tensors[TTM_ADAMW_FIRST_MOMENT], parameters);
    opencl_call_tensor(&call, &tensors[TTM_ADAMW_SECOND_MOMENT], parameters);
    opencl_call_tensor(&call, norm, parameters);
    opencl_call_tensor(&call, working, parameters);
    opencl_call_buffer(&call, stream->adamw_chunks.buffer, 0);
    add_factors(&call, params);
    opencl_call_float(&call, params->max_norm);
    opencl_call_float(&call, params->gradient_scale);
    opencl_call_int(&call, ttm_tensor_present(norm));
    opencl_call_int(&call, ttm_tensor_present(working));
    opencl_call_ulong(&call, (uint64_t)params->step);
    const size_t global = (size_t)chunks * items;
    return opencl_call_run(&call, 1, &global, &items);
}

const opencl_op opencl_op_adamw = {adamw_supported, NULL, adamw_run};
