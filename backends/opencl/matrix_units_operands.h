/* How the operands of a product lie, for kernels on matrix units. */
#ifndef TTM_OPENCL_MATRIX_UNITS_OPERANDS_H
#define TTM_OPENCL_MATRIX_UNITS_OPERANDS_H

#include "opencl/product.h"

/** How an operand lies and is read: RUNS and ACCESS of kernels_cl/matrix_units.cl. */
typedef struct opencl_operand_way {
    int runs;
    int access;
} opencl_operand_way;

/** Returns how an operand is read whose lines are `line_dim` from the last dimension (1 for a, 0
 * for b); `copies`: the device brings bf16 to local memory without registers. */
opencl_operand_way opencl_operand_way_of(const ttm_tensor *tensor, int line_dim, int copies);

/** Returns whether both operands of a product can have tensor maps: bf16, neighbours next to each
 * other and lines 16 bytes aligned. */
int opencl_operands_may_be_mapped(const opencl_product *product);

/** Returns 1 where all batches share the operand's matrix, else `batches`. */
int64_t opencl_operand_matrices(const ttm_tensor *tensor, int64_t batches);

#endif
