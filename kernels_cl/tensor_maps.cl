/* Tensor maps of a product's operands: 128 bytes each that say where a matrix lies and which box of it a copy takes, so that one
 * instruction brings a slice of it to local memory, swizzled, what lies outside zeroed.
 *
 * Shapes: a [batches, rows, depth], b [batches, depth, cols], bf16; of each the neighbours in one dimension are 2 bytes apart, those in the
 * others whole 16 bytes. Launch: groups of one item; global (2: a and b, matrices).
 * Macros: matrix_units.cl with MAPPED.
 *
 * CUDA's driver makes such maps on the host (cuTensorMapEncodeTiled), OpenCL's doesn't. But tensormap.replace (PTX ISA 8.3, sm_90a) sets every
 * field of one that lies in memory; beginning with zeros it makes a map of nothing, as Triton's kernels do. */

typedef struct operand_shape {
    __global const ushort *start;
    long count;    /* of neighbours, */
    long lines;    /* which stand in so many lines, */
    long stride;   /* elements from one to the next */
    int box_count; /* what a copy takes */
    int box_lines;
} operand_shape;

#if EMULATED
/* In place of NVIDIA's fields, which nobody but a GPU knows. */
INLINE void write_map(__global uchar *map, const operand_shape *shape)
{
    __global long *fields = (__global long *)map;
    fields[0] = (long)shape->start;
    fields[1] = shape->count;
    fields[2] = shape->lines;
    fields[3] = shape->stride;
    fields[4] = shape->box_count;
    fields[5] = shape->box_lines;
}
#else
#define REPLACE(field, type, letter, value) \
    asm volatile("//@ tensormap.replace.tile." field ".global.b1024." type " [%0], %1;" ::"l"(map), letter(value) : "memory")
#define REPLACE_OF(field, type, letter, dimension, value)                                                                               \
    asm volatile("//@ tensormap.replace.tile." field ".global.b1024." type " [%0], " dimension ", %1;" ::"l"(map), letter(value) \
                 : "memory")
INLINE void write_map(__global uchar *map, const operand_shape *shape)
{
    for (int i = 0; i < 8; i++) {
        *(__global ulong2 *)(map + 16 * i) = (ulong2)(0);
    }
    REPLACE("global_address", "b64", "l", shape->start);
    REPLACE("rank", "b32", "n", 1); /* dimensions but one */
    REPLACE_OF("box_dim", "b32", "r", "0", shape->box_count);
    REPLACE_OF("box_dim", "b32", "r", "1", shape->box_lines);
    REPLACE_OF("global_dim", "b32", "r", "0", (int)shape->count);
    REPLACE_OF("global_dim", "b32", "r", "1", (int)shape->lines);
    REPLACE_OF("global_stride", "b64", "l", "0", shape->stride * 2);
    REPLACE_OF("element_stride", "b32", "r", "0", 1);
    REPLACE_OF("element_stride", "b32", "r", "1", 1);
    REPLACE("elemtype", "b32", "n", 10); /* bf16 */
    REPLACE("interleave_layout", "b32", "n", 0);
    /* An immediate only. */
    if (shape->box_count == 64) {
        REPLACE("swizzle_mode", "b32", "n", 3);
    } else if (shape->box_count == 32) {
        REPLACE("swizzle_mode", "b32", "n", 2);
    } else {
        REPLACE("swizzle_mode", "b32", "n", 1);
    }
    REPLACE("fill_mode", "b32", "n", 0); /* zeros */
    asm volatile("//@ fence.proxy.tensormap::generic.release.gpu;" ::: "memory");
}
#endif

/* The maps of a lie from byte a_place of scratch on, a multiple of 128, one behind the other, those of b from b_place on: as many as there are
 * matrices. strides, in elements: of a from row to row, along depth, in the outer and the inner of the batches' dimensions; of b from column
 * to column and as a's. batches: of the inner dimension. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void tensor_maps(__global float *scratch, long scratch_start, long a_place,
                                                                         long b_place, __global const ushort *a, long a_start,
                                                                         __global const ushort *b, long b_start, long rows, long cols,
                                                                         long depth, long8 strides, long a_matrices, long b_matrices,
                                                                         long batches)
{
    const int is_b = (int)get_group_id(0);
    const long matrix = get_group_id(1);
    const long4 of_operand = is_b ? strides.hi : strides.lo;
    const int along_lines = is_b ? B_RUNS : A_RUNS;
    const long lines = is_b ? cols : rows;
    operand_shape shape = {.start = is_b ? b + b_start : a + a_start};
    if (matrix >= (is_b ? b_matrices : a_matrices)) {
        return;
    }
    shape.start += matrix / batches * of_operand.s2 + matrix % batches * of_operand.s3;
    shape.count = along_lines ? lines : depth;
    shape.lines = along_lines ? depth : lines;
    /* One line has no next one, but its stride must be one. */
    shape.stride = max(along_lines ? of_operand.s1 : of_operand.s0, 8L);
    shape.box_count = along_lines ? BLOCK_LINES(is_b ? TILE_COLS : TILE_ROWS) : TILE_DEPTH;
    shape.box_lines = along_lines ? TILE_DEPTH : is_b ? B_SHARE_LINES : A_SHARE_LINES;
    write_map((__global uchar *)(scratch + scratch_start) + (is_b ? b_place : a_place) + 128 * matrix, &shape);
}
