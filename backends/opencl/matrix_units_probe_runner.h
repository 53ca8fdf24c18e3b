/* What the parts of ttm-opencl-probe share: backends with a device open, random numbers, and how a
 * failure is told. */
#ifndef TTM_OPENCL_MATRIX_UNITS_PROBE_RUNNER_H
#define TTM_OPENCL_MATRIX_UNITS_PROBE_RUNNER_H

#include <ttm/backend.h>

/** A backend with one device and one stream open. */
typedef struct probe_runner {
    const ttm_backend *table;
    ttm_backend_device *device;
    ttm_backend_stream *stream;
} probe_runner;

/** Prints what is wrong, for the process that started this one. Returns 1. */
int probe_say(const char *what, const char *more);

/** Opens device `index` of the backend in `file`. Returns 0, or 1 after saying why not. */
int probe_runner_open(probe_runner *made, const char *file, int32_t index);

/** Returns the message of the last error of any backend. */
const char *probe_last_message(void);

/** Runs an op with the scratch that it asks for, and waits. */
ttm_status probe_run_op(const probe_runner *with, ttm_op *op);

/** Returns a random number in [−1, 1) and moves `state` on. */
double probe_uniform(uint64_t *state);

enum { PROBE_ATTENTION_NUMBERS = 5 };

/** Tries attention on matrix units; numbers = head size, 1 for aligned rows, 1 for the backward
 * pass, dropout as opencl_attention_dropout has it, parts of the operands. Returns 0, or 1 after
 * saying what is wrong. */
int probe_attention(const probe_runner *probed, const int numbers[PROBE_ATTENTION_NUMBERS]);

#endif
