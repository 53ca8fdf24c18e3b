/* Turns errno into one line that names the file and says what to do about it. */
#ifndef TTM_IO_IO_ERROR_H
#define TTM_IO_IO_ERROR_H

#include <ttm/status.h>

/** Fails with "cannot ACTION 'PATH': STRERROR; ADVICE". `action` is a verb such as "open" or
 * "write"; `error_number` an errno value. Missing files are TTM_ERROR_NOT_FOUND, ENOMEM is
 * TTM_ERROR_OUT_OF_MEMORY, all else TTM_ERROR_IO. */
ttm_status ttm_io_fail(const char *action, const char *path, int error_number);

#endif
