#include "cpu/memory.h"

#include "common/host_plugin.h"
#include "cpu/device.h"
#include "cpu/machine.h"

#include <string.h>

/** Bytes that a thread moves at a time; less isn't worth waking one. */
#define SHARE_BYTES ((int64_t)1 << 20)

ttm_status ttm_cpu_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    /* The kernel promises more than there is and kills whoever takes it up on that. */
    const uint64_t available = ttm_cpu_memory_available();
    if (bytes > available) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY,
                         "can't allocate %zu bytes of host memory: %llu are available; use a "
                         "smaller batch, sequence or model",
                         bytes, (unsigned long long)available);
    }
    return host_memory_alloc(memory, device, bytes);
}

typedef struct move_job {
    unsigned char *target;
    const unsigned char *source; /**< NULL: zeros. */
} move_job;

static void move_bytes(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const move_job *job = context;
    if (job->source == NULL) {
        memset(job->target + first, 0, (size_t)(last - first));
    } else {
        memcpy(job->target + first, job->source + first, (size_t)(last - first));
    }
}

/** Returns whether a range lies inside an allocation and is long enough to share out. The host's
 * functions do the rest, and report what lies outside. */
static int worth_sharing(const ttm_memory *memory, size_t offset, size_t bytes)
{
    return bytes > (size_t)SHARE_BYTES && offset <= memory->size && bytes <= memory->size - offset;
}

ttm_status ttm_cpu_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                               ttm_memory *source, size_t source_offset, size_t bytes)
{
    if (!worth_sharing(target, target_offset, bytes) ||
        !worth_sharing(source, source_offset, bytes)) {
        return host_memory_copy(stream, target, target_offset, source, source_offset, bytes);
    }
    move_job job = {target->bytes + target_offset, source->bytes + source_offset};
    ttm_cpu_parallel(stream->device, (int64_t)bytes, SHARE_BYTES, move_bytes, &job);
    return TTM_OK;
}

ttm_status ttm_cpu_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               size_t bytes)
{
    if (!worth_sharing(memory, offset, bytes)) {
        return host_memory_zero(stream, memory, offset, bytes);
    }
    move_job job = {memory->bytes + offset, NULL};
    ttm_cpu_parallel(stream->device, (int64_t)bytes, SHARE_BYTES, move_bytes, &job);
    return TTM_OK;
}
