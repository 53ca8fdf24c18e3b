/* Where packed operands lie in the scratch (pack.cl), for products that take them. A matrix of them begins with the sizes of its lines, where
 * it is in halves (matrix_units_halves.cl).
 *
 * Macros: matrix_units.cl with PACKED. Kernels have parameters named as here, and LOCATE_TILE. */

#define PACKED_PARAMETERS                                                                                                    \
    __global float *scratch, long scratch_start, long a_place, long a_bytes, long b_place, long b_bytes, long sums_place, \
        long piece_depth

#define A_SLICE_BYTES (PARTS * A_BYTES)
#define B_SLICE_BYTES (PARTS * B_BYTES)

#define OPERAND_AT(place, bytes) ((__global const uchar *)(scratch + scratch_start) + (place) + get_group_id(2) * (bytes))

#if HALVES
#define BEFORE_SLICES(tiles, tile_lines) ((tiles) * (tile_lines)*SIZES_BYTES)
#define SIZES_ARGUMENTS , (__global const float *)OPERAND_AT(a_place, a_bytes), (__global const float *)OPERAND_AT(b_place, b_bytes)
#else
#define BEFORE_SLICES(tiles, tile_lines) 0
#define SIZES_ARGUMENTS
#endif

/* The slices of the group's piece of the depth: `steps` of them from `first_slice` on, of all `slices`. */
#define LOCATE_SLICES                                                                \
    const long first_slice = (long)get_group_id(1) * (piece_depth / TILE_DEPTH);     \
    const long slices = SLICES_OF(depth);                                            \
    const int steps = (int)min(slices - first_slice, piece_depth / TILE_DEPTH);

/* Slice first_slice of the tile with this number. */
#define SLICES_AT(place, bytes, tile, tiles, tile_lines, slice_bytes) \
    (OPERAND_AT(place, bytes) + BEFORE_SLICES(tiles, tile_lines) + ((tile)*slices + first_slice) * (slice_bytes))

/* Where the sums of the piece go. */
#if PIECES
#define LOCATE_SUMS                                                                                                      \
    const long pitch = (cols + 3) / 4 * 4;                                                                              \
    __global float *partial = (__global float *)((__global uchar *)(scratch + scratch_start) + sums_place) +             \
                              ((long)get_group_id(2) * get_num_groups(1) + get_group_id(1)) * rows * pitch;
#else
#define LOCATE_SUMS
#endif
