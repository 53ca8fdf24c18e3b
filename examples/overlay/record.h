/* What the overlay keeps of the ops that pass through it, and how it is told. */
#ifndef OVERLAY_RECORD_H
#define OVERLAY_RECORD_H

#include <stdint.h>
#include <ttm/backend.h>

/** How much is told of each op. */
typedef enum record_mode {
    RECORD_COUNT, /**< Calls, printed at the end. */
    RECORD_TIME,  /**< And times: each op is waited for. */
    RECORD_LOG    /**< And a line for every op. */
} record_mode;

/** Sets the mode and where lines go. Call it first. */
void record_start(record_mode mode, const ttm_backend_host *host);

/** Returns the mode. */
record_mode record_get_mode(void);

/** Counts one op that took `elapsed_ns` (0: not timed) and ended with `status`. Thread-safe. */
void record_op(const ttm_op *op, uint64_t elapsed_ns, ttm_status status);

/** Counts `bytes` copied to (or, with `to_host`, from) the device. Thread-safe. */
void record_copy(size_t bytes, int to_host);

/** Logs what has been counted, an op a line, and begins anew. Thread-safe. */
void record_finish(void);

#endif
