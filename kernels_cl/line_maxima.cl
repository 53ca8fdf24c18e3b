/* The largest magnitude in each line of an operand that is to be packed in halves (matrix_units_halves.cl) and whose neighbours in memory are
 * lines, by pieces of the depth: pack.cl takes the largest of these.
 *
 * Shapes: as in pack.cl; maxima [batches, DEPTH_PIECES, lines of whole tiles], behind the sizes of the packed matrix's lines. Launch: groups of
 * 256; global (lines of whole tiles / GROUP_LINES·256, DEPTH_PIECES, batches). Macros: as in pack.cl, whose HALVES and RUNS are 1; ACCESS has no
 * meaning. Neighbouring items read what neighbours in memory. Bound by memory bandwidth: each number is read once. */

#define GROUP_LINES 32
#define LINE_OF(item) ((item) % 32)
#define FIRST_OF(item) ((item) / 32)
#define STEP (256 / GROUP_LINES)
#define AHEAD 8 /* loads of an item in flight */

__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void line_maxima(__global float *scratch, long scratch_start, long packed_place,
                                                                           __global const data_t *x, long x_start, long lines, long depth,
                                                                           long line_stride, long k_stride, long batches, long outer,
                                                                           long inner)
{
    __local uint found[256];
    const int item = get_local_id(0);
    const long batch = get_global_id(2);
    const long padded = (long)get_num_groups(0) * GROUP_LINES;
    const long line = (long)get_group_id(0) * GROUP_LINES + LINE_OF(item);
    const long piece_depth = (depth + DEPTH_PIECES - 1) / DEPTH_PIECES;
    const long begin = get_group_id(1) * piece_depth;
    const long end = line < lines ? min(begin + piece_depth, depth) : begin;
    __global const data_t *from = x + x_start + batch / batches * outer + batch % batches * inner + line * line_stride;
    uint most = 0;
    for (long k = begin + FIRST_OF(item); k < end; k += AHEAD * STEP) {
        float numbers[AHEAD];
        UNROLL
        for (int i = 0; i < AHEAD; i++) {
            numbers[i] = k + i * STEP < end ? from[(k + i * STEP) * k_stride] : 0.0f;
        }
        UNROLL
        for (int i = 0; i < AHEAD; i++) {
            const uint bits = finite_bits(numbers[i]);
            most = LARGER(most, bits);
        }
    }
    found[FIRST_OF(item) * GROUP_LINES + LINE_OF(item)] = most;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < GROUP_LINES) {
        most = found[item];
        __global uchar *packed =
            (__global uchar *)(scratch + scratch_start) + packed_place + batch * padded * LINE_BYTES(SLICES_OF(depth));
        __global uint *maxima = (__global uint *)packed + padded;
        for (int i = 1; i < STEP; i++) {
            most = LARGER(most, found[i * GROUP_LINES + item]);
        }
        maxima[get_group_id(1) * padded + get_group_id(0) * GROUP_LINES + item] = most;
    }
}
