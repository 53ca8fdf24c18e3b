/* The end of a product whose depth was cut into pieces: their sums, added in order, and product.cl's formula.
 *
 * Launch: global (⌈N / VECTOR⌉, at most M, batches). partial [batches, pieces, M, pitch], f32, pitch = N rounded up to 4.
 * Bound by memory bandwidth. */

__kernel void matmul_pieces(PRODUCT_PARAMETERS, __global const float *partial, long partial_start, int pieces)
{
    const long col = (long)get_global_id(0) * VECTOR;
    const long pitch = (cols + 3) / 4 * 4;
    const long batch = get_global_id(2);
    GO_TO_BATCH(batch)
    partial += partial_start + batch * pieces * rows * pitch;
    for (long row = get_global_id(1); col < cols && row < rows; row += get_global_size(1)) {
        __global const float *from = partial + row * pitch + col;
        fvec sum = load_f32(from, 1, cols - col, 0.0f);
        for (int piece = 1; piece < pieces; piece++) {
            sum += load_f32(from + piece * rows * pitch, 1, cols - col, 0.0f);
        }
        FINISH(row, col, cols - col, sum);
    }
}
