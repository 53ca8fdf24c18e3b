/* The proof that a kernel on matrix units must give before it is used: a child process
 * (ttm-opencl-probe) runs it on this device and compares it with the reference backend. A fault on
 * a GPU can end a process or spoil its context; in a child it costs nothing.
 *
 * A verdict is kept beside the cached programs, for this device, driver, source and build options;
 * a failure is kept for the unit as a whole. */
#ifndef TTM_OPENCL_MATRIX_UNITS_PROBE_H
#define TTM_OPENCL_MATRIX_UNITS_PROBE_H

#include "opencl/program_cache.h"

#include <stdint.h>

enum { OPENCL_PROBE_WORDS = 7 };

/** Room for why a probe failed: a compiler's message is the most useful part of it. */
enum { OPENCL_PROBE_REASON_BYTES = 3600 };

/** What a child is asked to try. */
typedef struct opencl_probe_request {
    int32_t device_index;
    char variable[80];                  /**< Names the kernel in the child's environment:
                                           "TTM_OPENCL_MATRIX_UNITS=mma:0". */
    char words[OPENCL_PROBE_WORDS][16]; /**< The child's arguments behind plugin and device. */
    int word_count;
} opencl_probe_request;

/** How it went. */
typedef enum opencl_verdict {
    OPENCL_VERDICT_UNKNOWN,
    OPENCL_VERDICT_PASSED,
    OPENCL_VERDICT_FAILED
} opencl_verdict;

/** Runs the child. `reason` receives what went wrong. Waits TTM_OPENCL_PROBE_SECONDS, else 60. */
opencl_verdict opencl_probe_run(char *reason, size_t reason_bytes,
                                const opencl_probe_request *request);

/** Returns the kept verdict. */
opencl_verdict opencl_verdict_read(const opencl_cache_key *key);

/** Keeps a verdict. */
void opencl_verdict_write(const opencl_cache_key *key, opencl_verdict verdict);

#endif
