/* Work for threads that share a device: ops on small tensors, whose results are kept as bytes. */
#ifndef TTM_TESTS_OPENCL_THREAD_JOBS_H
#define TTM_TESTS_OPENCL_THREAD_JOBS_H

#include <ttm/device.h>

enum { THREAD_JOBS = 16 };

/* The bytes of a job's results, one behind the other. */
typedef struct job_result {
    unsigned char *bytes;
    size_t count;
} job_result;

const char *job_name(int job);

/* Runs a job on a stream and waits for it. *result is the caller's, to be freed by job_forget, also
 * after a failure. */
ttm_status job_run(job_result *result, ttm_stream *stream, int job);

/* *workspace_bytes = the scratch that a job's ops want, as the plugin says without running any. */
ttm_status job_plan(size_t *workspace_bytes, ttm_device *device, int job);

/* Whether both are the same, bit for bit. */
int job_same(const job_result *one, const job_result *other);

/* Frees the bytes; there are none then. */
void job_forget(job_result *result);

#endif
