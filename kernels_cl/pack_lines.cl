/* An operand packed in halves (matrix_units_halves.cl) whose lines run along the depth: a warp finds the size of a line and packs it, so that the
 * second reading of it comes from the caches.
 *
 * Shapes: as in pack.cl, with the sizes of lines before each matrix. Launch: groups of 256; global (lines of whole tiles·32, 1, batches).
 * Macros: as in pack.cl, whose HALVES is 1 and RUNS 0.
 *
 * An item takes a chunk of 8 elements of every 256. Bound by memory bandwidth: as many bytes are written as are read. */

#define LINE_ITEMS 32
#define LINES_OF_GROUP (256 / LINE_ITEMS)
#define PART_BYTES (TILE_LINES * TILE_DEPTH * 2)

/* Elements k to k + 7 of the line at `from`, of which `there` exist. */
INLINE float8 read_eight(__global const data_t *from, long k, long k_stride, long there)
{
    const int count = (int)clamp(there - k, 0L, 8L);
    return ACCESS == 1 ? read_chunk(from + k, count) : read_elements(from + k * k_stride, k_stride, count);
}

__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void pack_lines(__global float *scratch, long scratch_start, long packed_place,
                                                                          __global const data_t *x, long x_start, long lines, long depth,
                                                                          long line_stride, long k_stride, long batches, long outer,
                                                                          long inner)
{
    __local uint found[256];
    const int item = get_local_id(0);
    const long batch = get_global_id(2);
    const long line = get_global_id(0) / LINE_ITEMS;
    const int first = item % LINE_ITEMS * 8;
    const long padded = (long)get_num_groups(0) * LINES_OF_GROUP;
    const long there = line < lines ? depth : 0;
    __global const data_t *from = x + x_start + batch / batches * outer + batch % batches * inner + line * line_stride;
    uint largest = 0;
    for (long k = first; k < there; k += LINE_ITEMS * 8) {
        float numbers[8];
        vstore8(read_eight(from, k, k_stride, there), 0, numbers);
        UNROLL
        for (int i = 0; i < 8; i++) {
            const uint bits = finite_bits(numbers[i]);
            largest = LARGER(largest, bits);
        }
    }
    found[item] = largest;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < LINE_ITEMS; i++) {
        const uint bits = found[item - item % LINE_ITEMS + i];
        largest = LARGER(largest, bits);
    }
    const float size = size_of(largest);
    const float scale = scale_of(size);
    const long slices = SLICES_OF(depth);
    __global uchar *packed = (__global uchar *)(scratch + scratch_start) + packed_place + batch * padded * LINE_BYTES(slices);
    if (first == 0) {
        ((__global float *)packed)[line] = size;
    }
    packed += padded * SIZES_BYTES + line / TILE_LINES * slices * PARTS * PART_BYTES;
    for (long k = first; k < slices * TILE_DEPTH; k += LINE_ITEMS * 8) {
        ushort8 parts[PARTS];
        split_in_halves(parts, scale * read_eight(from, k, k_stride, there));
        __global uchar *to = packed + k / TILE_DEPTH * PARTS * PART_BYTES +
                             PLACE_ALONG_DEPTH((int)(line % TILE_LINES), (int)(k % TILE_DEPTH) / 8);
        UNROLL
        for (int part = 0; part < PARTS; part++) {
            *(__global ushort8 *)(to + part * PART_BYTES) = parts[part];
        }
    }
}
