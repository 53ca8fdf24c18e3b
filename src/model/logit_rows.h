/* How many rows of logits exist at once. */
#ifndef TTM_MODEL_LOGIT_ROWS_H
#define TTM_MODEL_LOGIT_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <ttm/device.h>
#include <ttm/gpt2_config.h>

/** Logits begin each row at multiples of so many bytes: a cache line, and whole accesses of 16
 * bytes for devices that copy operands by these, though 50257 columns are odd. */
#define TTM_LOGIT_ROW_BYTES 64

/** Returns how many of the `rows` ≥ 1 rows of logits of a pass exist at once, 1 to `rows`: the head
 * and the cross entropy take so many at a time. `dtype` is the logits' type. Few rows are little
 * memory, but in training the gradient of the token embedding is read and written once for each
 * such chunk. */
int64_t ttm_logit_rows_choose(const ttm_device *device, const ttm_gpt2_config *config,
                              ttm_dtype dtype, bool training, int64_t rows);

#endif
