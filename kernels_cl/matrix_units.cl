/* What kernels on matrix units share: the description of a variant, how a tile lies in local memory, and
 * the interface that each kind of unit fills (matrix_units_mma.cl, _wgmma.cl, _dpas.cl, _mfma.cl).
 *
 * Macros from the host, one variant of the table in backends/opencl/matrix_units_variants.c:
 *   UNIT                  1 mma (and where it isn't given), 2 wgmma, 3 dpas, 4 mfma
 *   TILE_ROWS, TILE_COLS  part of out that a group computes
 *   TILE_DEPTH            16, 32 or 64: depth of the slices of a and b that are in local memory at a time
 *   WARP_ROWS, WARP_COLS  part of the tile that one warp (LANES work-items in step) computes
 *   STAGES                slices in local memory: one is used while the next STAGES - 1 arrive
 *   PARTS                 1: a and b are bf16. 2 and 3: they are f32, split into so many bf16 parts each; 2 leave 16 of their bits
 *   HALVES                1, with PARTS 2 and PACKED: the parts are f16, and leave 22 bits (matrix_units_halves.cl)
 *   A_RUNS, B_RUNS        0: the operand's neighbours in memory differ in k; 1: in the row of a, the column of b
 *   A_ACCESS, B_ACCESS    0: element by element, any strides; 1: 16 or 32 bytes at once through registers;
 *                         2: 16 bytes at once straight to local memory (bf16 only, NVIDIA only)
 *   RESULT                1 or 2: out is f32 or bf16
 *   PIECES                1: a group computes sums over a piece of the depth, which matmul_pieces.cl adds up
 *   PACKED                1: operands come packed in slices (pack.cl), for matmul_packed.cl or, of mma, matmul_packed_copies.cl; ACCESS has
 *                         no meaning there
 *   MAPPED                1, with PACKED: operands are as they are, and a copy of a slice of them goes by a tensor map (tensor_maps.cl)
 *   CLUSTER_ROWS, _COLS   groups below and beside each other that fetch slices for each other, with PACKED; 1 where they aren't given
 *   OVERLAPS              1: a unit that works by itself still has a slice when the next one begins; from three stages on, not with PARTS 3
 *   EMULATED              1: the unit's instructions are functions of matrix_units_emulated.cl
 *
 * A slice lies in local memory in chunks of 8 bf16 (16 bytes), swizzled so that neither copies nor the units'
 * reads meet in one bank. RUNS 0: line l (a row of a, a column of b) is TILE_DEPTH elements. RUNS 1: blocks of 64
 * lines (of 32 where 64 don't divide the tile); in a block, each k is one row of the block's lines. These are the layouts that
 * wgmma's descriptors can name, so that all kinds of units share the copies. */

#undef VECTOR
#define VECTOR 4 /* for the epilogue: an item finishes four neighbours */

#define INLINE inline __attribute__((always_inline))

#ifndef UNIT
#define UNIT 1
#endif

/* Work-items that a unit's instruction is for, the part of out that it adds to, and 32-bit registers that its emulation exchanges. */
#if UNIT == 3
#define LANES          8
#define FRAGMENT_ROWS  8
#define FRAGMENT_COLS  8
#define EXCHANGE_WORDS 8
#elif UNIT == 4
#define LANES          64
#define FRAGMENT_ROWS  16
#define FRAGMENT_COLS  16
#define EXCHANGE_WORDS 4
#else
#define LANES          32
#define FRAGMENT_ROWS  16
#define FRAGMENT_COLS  8
#define EXCHANGE_WORDS 6
#endif
/* Whether multiplications go on while a warp does something else: then they are begun first. */
#define UNIT_IS_ASYNCHRONOUS (UNIT == 2)

#define FRAGMENT_SUMS (FRAGMENT_ROWS * FRAGMENT_COLS / LANES)

#define WARPS_DOWN (TILE_ROWS / WARP_ROWS)
#define WARPS_ACROSS (TILE_COLS / WARP_COLS)
#define WARPS (WARPS_DOWN * WARPS_ACROSS)
#define ITEMS (WARPS * LANES)

/* Fragments of sums that a warp holds; FRAGMENT_SUMS of each are a work-item's. */
#define FRAGMENTS_DOWN (WARP_ROWS / FRAGMENT_ROWS)
#define FRAGMENTS_ACROSS (WARP_COLS / FRAGMENT_COLS)

#ifndef HALVES
#define HALVES 0
#endif

/* Sums that a warp keeps: wgmma takes as many again for the 16 of depth that it is multiplying, or 32 in halves, where these are summed by
 * themselves: as many terms in either case. */
#define SUMS_APART (UNIT == 2 && (PARTS == 3 || HALVES))
#define SUMS_DOWN  (FRAGMENTS_DOWN * (1 + SUMS_APART))
/* Slices whose sums are apart together. */
#define SLICES_APART (HALVES && TILE_DEPTH == 16 ? 2 : 1)
/* Slices of a depth that is packed. */
#define SLICES_OF(depth) (((depth) + TILE_DEPTH * SLICES_APART - 1) / (TILE_DEPTH * SLICES_APART) * SLICES_APART)

/* Groups of a cluster, which run at the same time and fetch slices for each other (slice_ring.cl); the first in number lie below each
 * other. A group of a cluster at the edge may have no tile, then its rows or columns lie outside of out. */
#ifndef CLUSTER_ROWS
#define CLUSTER_ROWS 1
#define CLUSTER_COLS 1
#endif
#define CLUSTER (CLUSTER_ROWS * CLUSTER_COLS)
/* Of a slice, what one of them fetches. */
#define A_SHARE_LINES (TILE_ROWS / CLUSTER_COLS)
#define B_SHARE_LINES (TILE_COLS / CLUSTER_ROWS)

#define A_BYTES (TILE_ROWS * TILE_DEPTH * 2)
#define B_BYTES (TILE_COLS * TILE_DEPTH * 2)
#define STAGE_BYTES (PARTS * (A_BYTES + B_BYTES))

/* The epilogue's scratch: a fragment's rows of SEGMENT columns of sums a warp; 8 floats keep the banks apart. */
#define SEGMENT (WARP_COLS % 64 == 0 ? 64 : WARP_COLS % 32 == 0 ? 32 : WARP_COLS)
#define SEGMENT_PITCH (SEGMENT + 8)
#define SEGMENT_BYTES (FRAGMENT_ROWS * SEGMENT_PITCH * 4)

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define MEMORY_BYTES LARGER(STAGES *STAGE_BYTES, WARPS *SEGMENT_BYTES)

/* Chunk `chunk` of a line of `chunks` chunks (2, 4 or 8). */
#define SWIZZLE(chunk, line, chunks) ((chunk) ^ (((line) / (8 / (chunks))) & ((chunks)-1)))

#define BLOCK_LINES(lines) ((lines) % 64 == 0 ? 64 : 32)

/* Byte offset in a slice of 8 neighbours: RUNS 0 from k = 8·chunk on of line `line`. */
#define PLACE_ALONG_DEPTH(line, chunk) \
    ((line) * (TILE_DEPTH * 2) + SWIZZLE(chunk, line, TILE_DEPTH / 8) * 16)
/* RUNS 1: lines 8·chunk on at depth `k`, in a slice of `lines` lines. */
#define PLACE_ALONG_LINES(k, chunk, lines)                                     \
    ((chunk) / (BLOCK_LINES(lines) / 8) * (TILE_DEPTH * BLOCK_LINES(lines) * 2) + \
     (k) * (BLOCK_LINES(lines) * 2) +                                          \
     SWIZZLE((chunk) % (BLOCK_LINES(lines) / 8), k, BLOCK_LINES(lines) / 8) * 16)

/* Emulated instructions exchange registers through local memory and meet at barriers, so loops with them must stay
 * loops; in the real ones every index of a register must be known. */
#if EMULATED
#define UNROLL
#define UNIT_PARAMETERS , __local uchar *memory, __local uint *exchange
#define UNIT_ARGUMENTS , memory, exchange
#elif UNIT >= 3
#define UNROLL _Pragma("unroll")
#define UNIT_PARAMETERS , __local uchar *memory
#define UNIT_ARGUMENTS , memory
#else
#define UNROLL _Pragma("unroll")
#define UNIT_PARAMETERS
#define UNIT_ARGUMENTS
#endif
