/* An operand of a product packed: slices of TILE_LINES lines (rows of a, columns of b) by TILE_DEPTH in the layout that they have in
 * local memory (matrix_units.cl), one behind the other, for copies of whole slices. An f32 operand is split, and its parts of a slice
 * lie one behind the other.
 *
 * Shapes: x [batches, lines, depth], any strides; packed [batches, tiles of lines, slices of depth, PARTS, TILE_LINES·TILE_DEPTH], bf16,
 * or f16 with HALVES, where RUNS is 1: then the sizes of lines lie before each matrix (matrix_units_halves.cl), found from what line_maxima.cl has
 * left there.
 * What lies outside of x is 0. Launch: groups of 256; global (⌈depth / SPAN⌉·TILE_LINES·SPAN / 8, tiles, batches).
 * Macros: PARTS, HALVES, TILE_LINES, TILE_DEPTH, and RUNS and ACCESS (0 or 1) as A_RUNS and A_ACCESS in matrix_units.cl.
 *
 * An item moves a chunk of 8 elements. Neighbouring items take what neighbours in memory: RUNS 0: 64 elements of a line, whose chunks
 * go to one slice or several; RUNS 1: lines of one k. Either way every 32 bytes that are read or written are used. Bound by memory
 * bandwidth: of bf16 as many bytes are written as are read, of f32 half as many again. */

#define SPAN 64 /* depth that a line's neighbouring items read */
#define CHUNKS_OF_SPAN (TILE_LINES * SPAN / 8)
#define PART_BYTES (TILE_LINES * TILE_DEPTH * 2)

#if HALVES
/* The sizes of a tile's lines, from their maxima, which are `padded` apart from piece to piece. All items of the group call it. */
INLINE void find_sizes(__local float *line_sizes, __global const uint *maxima, long padded)
{
    const int item = get_local_id(0);
    if (item < TILE_LINES) {
        uint largest = 0;
        UNROLL
        for (int piece = 0; piece < DEPTH_PIECES; piece++) {
            const uint bits = maxima[piece * padded + item];
            largest = LARGER(largest, bits);
        }
        line_sizes[item] = size_of(largest);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Lines `line` to line + 7 at depth k, whose sizes it also leaves at `sizes` for the product. */
INLINE void split_lines(ushort8 *parts, float8 chunk, __local const float *line_sizes, __global float *sizes, int line, long k)
{
    float scales[8];
    UNROLL
    for (int i = 0; i < 8; i++) {
        const float size = line_sizes[line + i];
        scales[i] = scale_of(size);
        if (k == 0) {
            sizes[line + i] = size;
        }
    }
    split_in_halves(parts, chunk * vload8(0, scales));
}
#define SPLIT(parts, chunk) split_lines(parts, chunk, line_sizes, sizes, line, k)
#else
#define SPLIT(parts, chunk) split_eight(parts, chunk)
#endif

/* batches: of the inner dimension; outer and inner: x's strides from matrix to matrix. */
__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void pack(__global float *scratch, long scratch_start, long packed_place,
                                                                    __global const data_t *x, long x_start, long lines, long depth,
                                                                    long line_stride, long k_stride, long batches, long outer,
                                                                    long inner)
{
    const long batch = get_global_id(2);
    const long first_line = (long)get_group_id(1) * TILE_LINES;
    const int number = get_global_id(0) % CHUNKS_OF_SPAN;
    const long span = get_global_id(0) / CHUNKS_OF_SPAN;
#if RUNS == 0
    const int line = number / (SPAN / 8);
    const long k = span * SPAN + number % (SPAN / 8) * 8;
    const long there = first_line + line < lines ? depth - k : 0;
    const int place = PLACE_ALONG_DEPTH(line, (int)(k % TILE_DEPTH) / 8);
    const long stride = k_stride;
#else
    const int line = number % (TILE_LINES / 8) * 8;
    const long k = span * SPAN + number / (TILE_LINES / 8);
    const long there = k < depth ? lines - first_line - line : 0;
    const int place = PLACE_ALONG_LINES((int)(k % TILE_DEPTH), line / 8, TILE_LINES);
    const long stride = line_stride;
#endif
    const long slices = SLICES_OF(depth);
    const long slice = k / TILE_DEPTH;
    __global uchar *packed = (__global uchar *)(scratch + scratch_start) + packed_place;
#if HALVES
    const long padded = (long)get_num_groups(1) * TILE_LINES;
    packed += batch * padded * LINE_BYTES(slices);
    __global float *sizes = (__global float *)packed + first_line;
    __local float line_sizes[TILE_LINES];
    find_sizes(line_sizes, (__global const uint *)(sizes + padded), padded);
    packed += padded * SIZES_BYTES;
#else
    packed += batch * get_num_groups(1) * slices * PARTS * PART_BYTES;
#endif
    if (slice >= slices) {
        return;
    }
    const int count = (int)clamp(there, 0L, 8L);
    raw_chunk chunk = ZERO_CHUNK;
    if (count > 0) {
        __global const data_t *from = x + x_start + batch / batches * outer + batch % batches * inner +
                                      (first_line + line) * line_stride + k * k_stride;
        chunk = ACCESS == 1 ? read_chunk(from, count) : read_elements(from, stride, count);
    }
    packed += (get_group_id(1) * slices + slice) * PARTS * PART_BYTES + place;
#if PARTS == 1
    *(__global ushort8 *)packed = chunk;
#else
    ushort8 parts[PARTS];
    SPLIT(parts, chunk);
    for (int part = 0; part < PARTS; part++) {
        *(__global ushort8 *)(packed + part * PART_BYTES) = parts[part];
    }
#endif
}
