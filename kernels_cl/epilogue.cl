/* The epilogue of a product that a library has written to `value` [M, N] (which may be out or pre
 * itself, or scratch): product.cl's formula in one pass, with a·b already summed.
 *
 * Launch: global (⌈N / VECTOR⌉, at most M, batches). `a` is value, its row stride strides.s0.
 * Bound by memory bandwidth. */

__kernel void epilogue(PRODUCT_PARAMETERS)
{
    const long col = (long)get_global_id(0) * VECTOR;
    GO_TO_BATCH((long)get_global_id(2))
    for (long row = get_global_id(1); col < cols && row < rows; row += get_global_size(1)) {
        const fvec sum = load_data(a + row * strides.s0 + col, 1, cols - col, 0.0f);
        FINISH(row, col, cols - col, sum);
    }
}
