/* How a product is done on matrix units: which variant of the kernel, and into how many pieces its
 * depth is cut. */
#ifndef TTM_OPENCL_MATRIX_UNITS_PLAN_H
#define TTM_OPENCL_MATRIX_UNITS_PLAN_H

#include "opencl/matrix_units.h"

/** Scratch for the tensor map of a matrix, which lies at a multiple of as much. */
enum { OPENCL_MAP_BYTES = 128 };

/** Pieces that a depth is cut into at most, and the scratch that their sums and packed operands
 * take at most. */
enum {
    OPENCL_MOST_PIECES = 16,
    OPENCL_MOST_PIECES_BYTES = 64 << 20,
    OPENCL_MOST_PACKED_BYTES = 512 << 20
};

/** Scratch for the size of a line that is packed in halves, and for how it's found: SIZES_BYTES of
 * kernels_cl/matrix_units_halves.cl, with its DEPTH_PIECES. */
enum { OPENCL_LINE_PIECES = 8, OPENCL_LINE_SIZES_BYTES = 4 * (1 + OPENCL_LINE_PIECES) };

/** The sizes of a product. */
typedef struct opencl_unit_sizes {
    int64_t rows;
    int64_t cols;
    int64_t depth;
    int64_t batches;
    int64_t a_matrices; /**< 1 where all batches share a, else as many as batches. */
    int64_t b_matrices;
} opencl_unit_sizes;

/** What may be chosen. */
typedef struct opencl_unit_choice {
    opencl_unit unit;
    int parts;              /**< The operands: 1: bf16; 2 and 3: f32, split. */
    int only;               /**< The one variant to use, or -1. */
    int pieces;             /**< The one number of pieces to use where they fit, or 0. */
    uint32_t compute_units; /**< Of the device. */
    size_t room;            /**< Bytes of scratch. */
    unsigned never;         /**< 1 << manner: variants of such manners have failed. */
    int may_map;            /**< 1: the operands can have tensor maps. */
} opencl_unit_choice;

/** What was chosen. */
struct opencl_unit_plan {
    int variant;         /**< -1: none. */
    int pieces;          /**< 1: the depth isn't cut. */
    int64_t piece_depth; /**< A multiple of what the variant takes as a whole, where it is. */
};

/** Returns the sizes of a product. */
opencl_unit_sizes opencl_unit_sizes_of(const opencl_product *product);

/** Returns the bytes that the sums of so many pieces take: rows of whole float4. */
size_t opencl_unit_pieces_bytes(const opencl_unit_sizes *sizes, int pieces);

/** Returns the bytes of a matrix of so many lines, packed for a variant in tiles of `tile_lines`:
 * whole slices. */
size_t opencl_unit_packed_bytes(const opencl_unit_variant *variant, int64_t lines, int64_t depth,
                                int tile_lines);

/** Returns the bytes of all maps of a product's operands, wherever the scratch begins. */
size_t opencl_unit_maps_bytes(const opencl_unit_sizes *sizes);

/** Returns the bytes of scratch that a plan takes: a packed, b packed, the pieces' sums. */
size_t opencl_unit_plan_bytes(const opencl_unit_plan *plan, const opencl_unit_sizes *sizes);

/** Returns the bytes that packed operands take by the variant that takes most, or as many as are
 * allowed. */
size_t opencl_unit_most_packed_bytes(const opencl_unit_sizes *sizes);

/** Returns the cheapest plan, as far as that follows from sizes. */
opencl_unit_plan opencl_unit_plan_for(const opencl_unit_choice *choice,
                                      const opencl_unit_sizes *sizes);

#endif
