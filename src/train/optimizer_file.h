/* optimizer.safetensors: the moments of AdamW as NAME.first_moment and NAME.second_moment with the
 * shape of parameter NAME, so that the file doesn't depend on how the flat buffer is laid out. */
#ifndef TTM_TRAIN_OPTIMIZER_FILE_H
#define TTM_TRAIN_OPTIMIZER_FILE_H

#include "train/buffers.h"

#include <ttm/model.h>

/** Writes FOLDER/optimizer.safetensors piece by piece from the device. TTM_ERROR_IO,
 * TTM_ERROR_OUT_OF_MEMORY, and those of the device. */
TTM_CHECKED ttm_status ttm_optimizer_file_write(const char *folder,
                                                const ttm_parameter_table *table,
                                                const ttm_train_buffers *buffers,
                                                ttm_stream *stream);

/** Reads FOLDER/optimizer.safetensors into the moments. TTM_ERROR_NOT_FOUND for a missing file or
 * tensor, TTM_ERROR_FORMAT for tensors that don't fit, TTM_ERROR_IO. */
TTM_CHECKED ttm_status ttm_optimizer_file_read(const char *folder, const ttm_parameter_table *table,
                                               ttm_train_buffers *buffers, ttm_stream *stream);

#endif
