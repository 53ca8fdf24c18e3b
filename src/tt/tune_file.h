/* The file in which a device's tuning is kept. */
#ifndef TTM_TT_TUNE_FILE_H
#define TTM_TT_TUNE_FILE_H

#include <ttm/tune.h>

/** *tuning = what the file `path` says of `device`; plans in one allocation that the caller frees.
 * TTM_ERROR_NOT_FOUND where there is no file, TTM_ERROR_FORMAT for a damaged one or one of another
 * device, TTM_ERROR_IO. */
TTM_CHECKED ttm_status ttm_tune_file_read(ttm_tuning *tuning, const char *path,
                                          const ttm_device *device);

/** Writes it: under a temporary name, synced, renamed. Makes the folder. */
TTM_CHECKED ttm_status ttm_tune_file_write(const char *path, const ttm_tuning *tuning,
                                           const ttm_device *device);

#endif
