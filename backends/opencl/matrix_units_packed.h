/* Operands packed in slices for kernels_cl/matmul_packed.cl, or their tensor maps: where they lie
 * in a product's scratch, and how they come there. */
#ifndef TTM_OPENCL_MATRIX_UNITS_PACKED_H
#define TTM_OPENCL_MATRIX_UNITS_PACKED_H

#include "opencl/matrix_units.h"

/** Places in the scratch, in bytes. */
typedef struct opencl_packed_places {
    int64_t a_place;
    int64_t a_bytes; /**< From a matrix of a to the next; 0 where all share one. */
    int64_t b_place;
    int64_t b_bytes;
    int64_t end; /**< What lies behind both. */
} opencl_packed_places;

/** Returns where a variant's operands lie. */
opencl_packed_places opencl_packed_places_of(const opencl_product *product,
                                             const opencl_unit_variant *variant);

/** Queues the kernel that makes tensor maps of both operands in the product's scratch; `options`
 * are those of the kernel that uses them. */
ttm_status opencl_map_operands(ttm_backend_stream *stream, const opencl_product *product,
                               const opencl_packed_places *places, const char *options);

/** Queues the kernels that pack both operands into the product's scratch, which has room;
 * is_emulated: without instructions of NVIDIA's. */
ttm_status opencl_pack_operands(ttm_backend_stream *stream, const opencl_product *product,
                                const opencl_unit_variant *variant, int is_emulated,
                                const opencl_packed_places *places);

/** Adds the arguments of matmul_packed that say where all that lies, up to sums_place. */
void opencl_packed_arguments(opencl_call *call, const opencl_product *product,
                             const opencl_packed_places *places);

#endif
