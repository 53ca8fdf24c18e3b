/* COPY: out[i…] = x[i…], any strides on both sides, converting the element type.
 *
 * Shapes: the host merges neighbouring dimensions where it can; what is left is `outer_rank` ≤ 7
 * outer dimensions (shape, strides) and an inner one of `inner` elements.
 * Launch: global (⌈inner / EACH⌉, at most rows), EACH elements of a row an item, rows by stride; rows =
 * Π outer extents.
 * Macros: FROM, TO: 1 f32, 2 bf16, 3 f16 (conversion), or RAW_BYTES 1, 2, 4, 8: elements of one
 * type are moved as they are. EACH: 1 on GPUs, where neighbours belong to neighbouring items; on CPUs
 * 64, a loop of one item.
 * Bound by memory bandwidth; by the shorter run of neighbours where dimensions are exchanged. */

#ifdef RAW_BYTES
#define RAW_1 uchar
#define RAW_2 ushort
#define RAW_4 uint
#define RAW_8 ulong
typedef PASTE(RAW_, RAW_BYTES) from_t;
typedef PASTE(RAW_, RAW_BYTES) to_t;
#define CONVERT(v) (v)
#else
typedef PASTE(type_, FROM) from_t;
typedef PASTE(type_, TO) to_t;
#define CONVERT(v) PASTE(ENCODE_, TO)(PASTE(DECODE_, FROM)(v))
#endif

/* Where rows of two tensors begin: Σ index·step over the outer dimensions. */
inline void row_starts(long *out_at, long *x_at, long row, int outer_rank, const long *extents,
                       const long *out_steps, const long *x_steps)
{
    for (int dim = outer_rank - 1; dim >= 0; dim--) {
        const long quotient = dim > 0 ? row / extents[dim] : 0;
        const long index = dim > 0 ? row - quotient * extents[dim] : row;
        *out_at += index * out_steps[dim];
        *x_at += index * x_steps[dim];
        row = quotient;
    }
}

__kernel void copy(__global to_t *out, long out_start, __global const from_t *x, long x_start,
                   long inner, long rows, int outer_rank, long8 shape, long8 out_strides,
                   long8 x_strides, long out_stride, long x_stride)
{
    const long first = (long)get_global_id(0) * EACH;
    const long end = min(first + EACH, inner);
    long extents[8], out_steps[8], x_steps[8];
    vstore8(shape, 0, extents);
    vstore8(out_strides, 0, out_steps);
    vstore8(x_strides, 0, x_steps);
    for (long row = get_global_id(1); first < end && row < rows; row += get_global_size(1)) {
        long out_at = out_start;
        long x_at = x_start;
        row_starts(&out_at, &x_at, row, outer_rank, extents, out_steps, x_steps);
#if EACH > 1
        if (out_stride == 1 && x_stride == 1) {
            for (long i = first; i < end; i++) {
                out[out_at + i] = CONVERT(x[x_at + i]);
            }
            continue;
        }
#endif
        for (long i = first; i < end; i++) {
            out[out_at + i * out_stride] = CONVERT(x[x_at + i * x_stride]);
        }
    }
}

#ifdef RAW_BYTES
/* FILL of a strided tensor: the same launch. */
__kernel void fill(__global to_t *out, long out_start, ulong bits, long inner, long rows,
                   int outer_rank, long8 shape, long8 out_strides, long out_stride)
{
    const long first = (long)get_global_id(0) * EACH;
    const long end = min(first + EACH, inner);
    long extents[8], out_steps[8];
    vstore8(shape, 0, extents);
    vstore8(out_strides, 0, out_steps);
    for (long row = get_global_id(1); first < end && row < rows; row += get_global_size(1)) {
        long at = out_start;
        long ignored = 0;
        row_starts(&at, &ignored, row, outer_rank, extents, out_steps, out_steps);
        for (long i = first; i < end; i++) {
            out[at + i * out_stride] = (to_t)bits;
        }
    }
}
#endif
