/* Device memory with accounting: what is allocated on a device now, and at most so far. */
#ifndef TTM_CORE_DEVICE_MEMORY_H
#define TTM_CORE_DEVICE_MEMORY_H

#include <stddef.h>
#include <ttm/device.h>

/** *memory = `bytes` > 0 bytes of the device, content undefined; the caller gives them back with
 * ttm_device_memory_free. On failure *memory is NULL and the message names the device and both
 * what was asked for and what is in use. Thread-safe. */
TTM_CHECKED ttm_status ttm_device_memory_alloc(ttm_memory **memory, ttm_device *device,
                                               size_t bytes);

/** Returns the most bytes that a single allocation may have, UINT64_MAX where nothing but the
 * device's memory limits it. */
uint64_t ttm_device_allocation_limit(const ttm_device *device);

/** Fails with TTM_ERROR_OUT_OF_MEMORY when `bytes` are more than a single allocation may have. The
 * message says that `what` (in the plural: "the parameters of 'wte.weight'") take so much, the
 * limit, and `advice` ("use a smaller batch"). */
TTM_CHECKED ttm_status ttm_device_allocation_check(const ttm_device *device, uint64_t bytes,
                                                   const char *what, const char *advice);

/** Frees an allocation of `bytes` bytes, which no unfinished op uses. NULL memory is allowed.
 * Thread-safe. */
void ttm_device_memory_free(ttm_device *device, ttm_memory *memory, size_t bytes);

#endif
