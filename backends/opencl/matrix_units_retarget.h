/* From the PTX of a kernel whose wgmma instructions are comments (kernels_cl/matrix_units_wgmma.cl)
 * to PTX for sm_90a that has them. */
#ifndef TTM_OPENCL_MATRIX_UNITS_RETARGET_H
#define TTM_OPENCL_MATRIX_UNITS_RETARGET_H

#include <stddef.h>

/** Returns a copy of `ptx` (text of `bytes` bytes, with or without a final 0) for the target
 * sm_90a, in which what stood behind each mark "//@" is an instruction. *new_bytes = its length.
 * NULL when the text is no PTX for sm_90 or has no mark, or without memory. The caller frees it. */
char *opencl_ptx_retarget(size_t *new_bytes, const char *ptx, size_t bytes);

#endif
