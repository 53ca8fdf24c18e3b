/* Messages of the opencl plugin: OpenCL's error numbers by name, errors and log lines to libttm. */
#ifndef TTM_OPENCL_REPORT_H
#define TTM_OPENCL_REPORT_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif

#include <CL/cl.h>
#include <ttm/backend.h>

/** Keeps what libttm offers. Call it first in ttm_backend_entry. */
void opencl_report_start(const ttm_backend_host *host);

/** Reports an error message (printf format) to libttm and returns `status`. */
ttm_status opencl_fail(ttm_status status, const char *format, ...) TTM_PRINTF(2, 3);

/** Logs one line (printf format) through libttm. */
void opencl_log(ttm_log_level level, const char *format, ...) TTM_PRINTF(2, 3);

/** Returns the name of an OpenCL error, such as "CL_OUT_OF_RESOURCES". */
const char *opencl_error_name(cl_int error);

/** Reports that an OpenCL call failed: "can't DOING on DEVICE: NAME (number)", with what to do
 * where that is known. Returns the status that fits: out of memory or device. */
ttm_status opencl_fail_call(cl_int error, const char *device_name, const char *doing);

#endif
