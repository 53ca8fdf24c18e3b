/* Device memory with accounting. */
#include "core/device_memory.h"

#include "core/device_internal.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <inttypes.h>

static void raise_peak(ttm_device *device, size_t used)
{
    size_t peak = atomic_load(&device->memory_peak);
    while (used > peak && !atomic_compare_exchange_weak(&device->memory_peak, &peak, used)) {
    }
}

ttm_status ttm_device_memory_alloc(ttm_memory **memory, ttm_device *device, size_t bytes)
{
    *memory = NULL;
    if (bytes == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "device %s (%s): 0 bytes can't be allocated",
                        device->backend->name, device->info.name);
    }
    ttm_memory *made = NULL;
    ttm_plugin_begin();
    ttm_status status = ttm_plugin_end(device->backend, "memory_alloc",
                                       device->backend->memory_alloc(&made, device->handle, bytes));
    if (status == TTM_OK && made == NULL) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "the plugin reports success but allocated nothing");
    }
    if (status != TTM_OK) {
        return ttm_fail_context(status,
                                "device %s (%s): allocating %zu bytes, with %zu in use of %" PRIu64,
                                device->backend->name, device->info.name, bytes,
                                atomic_load(&device->memory_used), device->info.memory_bytes);
    }
    raise_peak(device, atomic_fetch_add(&device->memory_used, bytes) + bytes);
    *memory = made;
    return TTM_OK;
}

uint64_t ttm_device_allocation_limit(const ttm_device *device)
{
    const uint64_t most = device->info.max_allocation_bytes;
    const uint64_t memory = device->info.memory_bytes;
    return most == 0 || (memory != 0 && most >= memory) ? UINT64_MAX : most;
}

ttm_status ttm_device_allocation_check(const ttm_device *device, uint64_t bytes, const char *what,
                                       const char *advice)
{
    const uint64_t limit = ttm_device_allocation_limit(device);
    if (bytes <= limit) {
        return TTM_OK;
    }
    return ttm_fail(TTM_ERROR_OUT_OF_MEMORY,
                    "device %s (%s): %s take %" PRIu64
                    " bytes, but a single allocation may have %" PRIu64 " there; %s",
                    device->backend->name, device->info.name, what, bytes, limit, advice);
}

void ttm_device_memory_free(ttm_device *device, ttm_memory *memory, size_t bytes)
{
    if (memory != NULL) {
        device->backend->memory_free(device->handle, memory);
        atomic_fetch_sub(&device->memory_used, bytes);
    }
}
