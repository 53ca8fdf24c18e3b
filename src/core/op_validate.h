/* Checks an op once, so that no backend has to. */
#ifndef TTM_CORE_OP_VALIDATE_H
#define TTM_CORE_OP_VALIDATE_H

#include <stdbool.h>
#include <ttm/export.h>
#include <ttm/ops.h>
#include <ttm/status.h>

/** Checks an op's tensors (presence, types, shapes, strides, bounds, forbidden aliasing) and
 * parameters against its contract. With `planning`, tensors need no memory. Errors:
 * TTM_ERROR_ARGUMENT, _SHAPE, _DTYPE; the message names op, slot and value. */
TTM_CHECKED ttm_status ttm_op_validate(const ttm_op *op, bool planning);

/** Checks the parameters alone, and what relates parameters to shapes. Called by ttm_op_validate.
 */
TTM_CHECKED ttm_status ttm_op_validate_params(const ttm_op *op);

/** Returns the bytes from element (0, …, 0) of a strided tensor to the end of its last element; 0
 * when it has no elements. Strides must have been checked. */
size_t ttm_tensor_extent_bytes(const ttm_tensor *tensor);

#endif
