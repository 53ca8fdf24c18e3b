/* What the two files of the plugin `faultydevice` share. */
#ifndef TTM_TEST_FAULTY_DEVICE_H
#define TTM_TEST_FAULTY_DEVICE_H

#include <stdbool.h>
#include <ttm/backend.h>

/** The plugin that does the work, and libttm. */
extern ttm_backend faulty_base;
extern const ttm_backend_host *faulty_host;

/** Whether TTM_FAULTY says this. */
int faulty_is(const char *name);

/** Whether this call, one that can fail, is the one that has to: number TTM_FAULTY_CALL of the
 * process. What was queued before it stays queued. */
bool faulty_fails(void);

/** Forgets some memory. */
void faulty_leak(void);

/** Puts an op off, if it can be; false: it has to be run now. */
bool faulty_run_late(ttm_backend_stream *stream, const ttm_op *op);

/** Does the write or op that was put off, of whatever stream. */
void faulty_finish_late(void);

/** Does what is held back of a stream. */
ttm_status faulty_flush(ttm_backend_stream *stream);

/** Names the functions for streams, events and ops in a table. */
void faulty_take_queue(ttm_backend *table);

#endif
