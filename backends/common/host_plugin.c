/* Host memory, synchronous streams and time-stamp events behind the plugin table. */
#include "common/host_plugin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Allocations of at least this size start on a huge page and ask for huge pages: large products
 * otherwise spend a good part of their time in TLB misses. */
#define HUGE_PAGE_BYTES    ((size_t)2 << 20)
#define HUGE_PAGE_WORTH_IT (2 * HUGE_PAGE_BYTES)

/** A time stamp. */
struct ttm_backend_event {
    uint64_t nanoseconds;
};

static const ttm_backend_host *libttm;

void host_plugin_start(const ttm_backend_host *host)
{
    libttm = host;
}

ttm_status host_fail(ttm_status status, const char *format, ...)
{
    if (libttm != NULL && libttm->error != NULL) {
        char message[512];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(message, sizeof message, format, arguments);
        va_end(arguments);
        libttm->error(message);
    }
    return status;
}

void host_log(ttm_log_level level, const char *format, ...)
{
    if (libttm != NULL && libttm->log != NULL) {
        char line[512];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        libttm->log(level, line);
    }
}

static uint64_t pages_in_bytes(int sysconf_name)
{
    const long pages = sysconf(sysconf_name);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

void host_describe_machine(ttm_device_info *info)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    info->kind = TTM_DEVICE_CPU;
    info->memory_bytes = pages_in_bytes(_SC_PHYS_PAGES);
    info->memory_free_bytes = pages_in_bytes(_SC_AVPHYS_PAGES);
    info->max_allocation_bytes = info->memory_bytes;
    info->alignment_bytes = HOST_ALIGNMENT_BYTES;
    info->compute_units = processors > 0 ? (uint32_t)processors : 0;
}

void host_copy_info(ttm_device_info *target, const ttm_device_info *source)
{
    const size_t room = target->struct_size;
    const size_t bytes = room < sizeof *source ? room : sizeof *source;
    if (bytes > sizeof room) {
        memcpy((unsigned char *)target + sizeof room, (const unsigned char *)source + sizeof room,
               bytes - sizeof room);
    }
}

/* ---- Memory ---- */

ttm_status host_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    (void)device;
    const uint64_t physical = pages_in_bytes(_SC_PHYS_PAGES);
    ttm_memory *made = NULL;
    void *start = NULL;

    /* The kernel promises more memory than there is and kills the process that touches it, hence
     * the comparison with what the machine has. */
    if (physical != 0 && bytes > physical) {
        goto short_of_memory;
    }
    made = malloc(sizeof *made);
    const int huge = bytes >= HUGE_PAGE_WORTH_IT;
    if (made == NULL ||
        posix_memalign(&start, huge ? HUGE_PAGE_BYTES : HOST_ALIGNMENT_BYTES, bytes) != 0) {
        goto short_of_memory;
    }
    if (huge) {
        madvise(start, bytes, MADV_HUGEPAGE); /* a hint: where it fails, pages stay small */
    }
    made->bytes = start;
    made->size = bytes;
    *memory = made;
    return TTM_OK;

short_of_memory:
    free(made);
    return host_fail(TTM_ERROR_OUT_OF_MEMORY,
                     "can't allocate %zu bytes: the machine has %llu bytes, %llu of them free; use "
                     "a smaller batch or model",
                     bytes, (unsigned long long)physical,
                     (unsigned long long)pages_in_bytes(_SC_AVPHYS_PAGES));
}

void host_memory_free(ttm_backend_device *device, ttm_memory *memory)
{
    (void)device;
    if (memory != NULL) {
        free(memory->bytes);
        free(memory);
    }
}

static ttm_status check_range(const ttm_memory *memory, size_t offset, size_t bytes)
{
    if (offset > memory->size || bytes > memory->size - offset) {
        return host_fail(TTM_ERROR_ARGUMENT,
                         "%zu bytes at offset %zu lie outside an allocation of %zu bytes", bytes,
                         offset, memory->size);
    }
    return TTM_OK;
}

ttm_status host_memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                             const void *source, size_t bytes)
{
    (void)stream;
    const ttm_status status = check_range(memory, offset, bytes);
    if (status == TTM_OK && bytes > 0) {
        memcpy(memory->bytes + offset, source, bytes);
    }
    return status;
}

ttm_status host_memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                            size_t offset, size_t bytes)
{
    (void)stream;
    const ttm_status status = check_range(memory, offset, bytes);
    if (status == TTM_OK && bytes > 0) {
        memcpy(target, memory->bytes + offset, bytes);
    }
    return status;
}

ttm_status host_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                            ttm_memory *source, size_t source_offset, size_t bytes)
{
    (void)stream;
    ttm_status status = check_range(target, target_offset, bytes);
    if (status == TTM_OK) {
        status = check_range(source, source_offset, bytes);
    }
    if (status == TTM_OK && bytes > 0) {
        memcpy(target->bytes + target_offset, source->bytes + source_offset, bytes);
    }
    return status;
}

ttm_status host_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                            size_t bytes)
{
    (void)stream;
    const ttm_status status = check_range(memory, offset, bytes);
    if (status == TTM_OK) {
        memset(memory->bytes + offset, 0, bytes);
    }
    return status;
}

void *host_memory_map(ttm_backend_device *device, ttm_memory *memory)
{
    (void)device;
    return memory->bytes;
}

/* ---- Streams and events ---- */

ttm_status host_stream_create(ttm_backend_stream **stream, ttm_backend_device *device)
{
    ttm_backend_stream *made = malloc(sizeof *made);
    if (made == NULL) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a stream");
    }
    made->device = device;
    *stream = made;
    return TTM_OK;
}

void host_stream_destroy(ttm_backend_stream *stream)
{
    free(stream);
}

ttm_status host_stream_synchronize(ttm_backend_stream *stream)
{
    (void)stream;
    return TTM_OK;
}

ttm_status host_event_record(ttm_backend_event **event, ttm_backend_stream *stream)
{
    (void)stream;
    ttm_backend_event *made = malloc(sizeof *made);
    if (made == NULL) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an event");
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    made->nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    *event = made;
    return TTM_OK;
}

ttm_status host_event_wait(ttm_backend_stream *stream, ttm_backend_event *event)
{
    (void)stream;
    (void)event;
    return TTM_OK;
}

ttm_status host_event_synchronize(ttm_backend_event *event)
{
    (void)event;
    return TTM_OK;
}

ttm_status host_event_elapsed_ns(uint64_t *elapsed_ns, ttm_backend_event *start,
                                 ttm_backend_event *end)
{
    *elapsed_ns = end->nanoseconds - start->nanoseconds;
    return TTM_OK;
}

void host_event_destroy(ttm_backend_event *event)
{
    free(event);
}
