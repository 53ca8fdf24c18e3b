/* COPY: out[i…] = x[i…], any strides on both sides, converting the element type.
 *
 * Shapes: rows of `inner` elements, see strided.cl.
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

__kernel void copy(__global to_t *out, long out_start, __global const from_t *x, long x_start,
                   ROWS_PARAMETERS, long8 out_strides, long8 x_strides, long out_stride,
                   long x_stride)
{
    const long first_col = (long)get_global_id(0) * EACH;
    const long end = min(first_col + EACH, inner);
    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {
        long out_at = out_start;
        long x_at = x_start;
        long unused = 0;
        LOCATE_ROW(row, out_at, x_at, unused, out_strides, x_strides, (long8)(0))
#if EACH > 1
        if (out_stride == 1 && x_stride == 1) {
            for (long i = first_col; i < end; i++) {
                out[out_at + i] = CONVERT(x[x_at + i]);
            }
            continue;
        }
#endif
        for (long i = first_col; i < end; i++) {
            out[out_at + i * out_stride] = CONVERT(x[x_at + i * x_stride]);
        }
    }
}

#ifdef RAW_BYTES
/* FILL of a strided tensor: the same launch. */
__kernel void fill(__global to_t *out, long out_start, ulong bits, ROWS_PARAMETERS,
                   long8 out_strides, long out_stride)
{
    const long first_col = (long)get_global_id(0) * EACH;
    const long end = min(first_col + EACH, inner);
    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {
        long at = out_start;
        long ignored = 0;
        LOCATE_ROW(row, at, ignored, ignored, out_strides, (long8)(0), (long8)(0))
        for (long i = first_col; i < end; i++) {
            out[at + i * out_stride] = (to_t)bits;
        }
    }
}
#endif
