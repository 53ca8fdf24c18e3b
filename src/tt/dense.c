/* Product and permutation. The product packs both operands and keeps a 4 × 4 tile of the result in
 * registers; that is enough to stay near the speed of baseline vector instructions, and needs no
 * library. */
#include "tt/dense.h"

#include <string.h>

enum { TILE = 4, BLOCK_M = 64, BLOCK_N = 128, BLOCK_K = 128 };

/* One panel: TILE rows of a (or columns of b) side by side for each k, zero-filled at the edge. */
static void pack(double *packed, ttm_dense_view matrix, size_t first, size_t lines, size_t k_first,
                 size_t k_count)
{
    for (size_t line = 0; line < lines; line += TILE) {
        const size_t width = lines - line < TILE ? lines - line : TILE;
        const double *source =
            matrix.data + (first + line) * matrix.row_stride + k_first * matrix.column_stride;
        for (size_t k = 0; k < k_count; k++) {
            for (size_t i = 0; i < TILE; i++) {
                *packed++ =
                    i < width ? source[i * matrix.row_stride + k * matrix.column_stride] : 0.0;
            }
        }
    }
}

/* Two doubles side by side, spelt out because compilers find them in the loop below at some
 * optimisation levels only. */
typedef double pair __attribute__((vector_size(16)));

static void multiply_tile(double tile[TILE][TILE], const double *restrict a,
                          const double *restrict b, size_t k_count)
{
    pair sum[TILE][TILE / 2] = {{{0.0, 0.0}}};
    for (size_t k = 0; k < k_count; k++) {
        pair values[TILE / 2];
        memcpy(values, b, sizeof values);
        for (int i = 0; i < TILE; i++) {
            const pair factor = {a[i], a[i]};
            sum[i][0] += factor * values[0];
            sum[i][1] += factor * values[1];
        }
        a += TILE;
        b += TILE;
    }
    memcpy(tile, sum, sizeof sum);
}

static void multiply_block(double *c, size_t c_stride, double scale, const double *packed_a,
                           const double *packed_b, size_t m, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j += TILE) {
        const size_t width = n - j < TILE ? n - j : TILE;
        for (size_t i = 0; i < m; i += TILE) {
            const size_t height = m - i < TILE ? m - i : TILE;
            double tile[TILE][TILE];
            multiply_tile(tile, packed_a + i * k, packed_b + j * k, k);
            for (size_t row = 0; row < height; row++) {
                for (size_t column = 0; column < width; column++) {
                    c[(i + row) * c_stride + j + column] += scale * tile[row][column];
                }
            }
        }
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void ttm_dense_multiply_add(double *c, size_t c_stride, double scale, ttm_dense_view a,
                            ttm_dense_view b, size_t m, size_t n, size_t k)
{
    double packed_a[BLOCK_M * BLOCK_K];
    double packed_b[BLOCK_N * BLOCK_K];
    const ttm_dense_view b_transposed = {b.data, b.column_stride, b.row_stride};
    for (size_t k_first = 0; k_first < k; k_first += BLOCK_K) {
        const size_t k_count = smaller(BLOCK_K, k - k_first);
        for (size_t j = 0; j < n; j += BLOCK_N) {
            const size_t width = smaller(BLOCK_N, n - j);
            pack(packed_b, b_transposed, j, width, k_first, k_count);
            for (size_t i = 0; i < m; i += BLOCK_M) {
                const size_t height = smaller(BLOCK_M, m - i);
                pack(packed_a, a, i, height, k_first, k_count);
                multiply_block(c + i * c_stride + j, c_stride, scale, packed_a, packed_b, height,
                               width, k_count);
            }
        }
    }
}

void ttm_dense_multiply(double *c, const double *a, const double *b, size_t m, size_t n, size_t k)
{
    memset(c, 0, m * n * sizeof *c);
    ttm_dense_multiply_add(c, n, 1.0, (ttm_dense_view){a, k, 1}, (ttm_dense_view){b, n, 1}, m, n,
                           k);
}

void ttm_dense_transpose(double *b, const double *a, size_t rows, size_t columns)
{
    enum { SQUARE = 16 };
    for (size_t row = 0; row < rows; row += SQUARE) {
        const size_t row_end = smaller(row + SQUARE, rows);
        for (size_t column = 0; column < columns; column += SQUARE) {
            const size_t column_end = smaller(column + SQUARE, columns);
            for (size_t i = row; i < row_end; i++) {
                for (size_t j = column; j < column_end; j++) {
                    b[j * rows + i] = a[i * columns + j];
                }
            }
        }
    }
}

void ttm_dense_permute(double *to, const double *from, int axis_count, const int64_t *sizes,
                       const int *order)
{
    size_t from_strides[TTM_DENSE_MAX_AXES] = {0};
    size_t steps[TTM_DENSE_MAX_AXES] = {0};
    size_t counts[TTM_DENSE_MAX_AXES] = {0};
    size_t place[TTM_DENSE_MAX_AXES] = {0};
    size_t total = 1;
    for (int axis = axis_count - 1; axis >= 0; axis--) {
        from_strides[axis] = total;
        total *= (size_t)sizes[axis];
    }
    for (int axis = 0; axis < axis_count; axis++) {
        steps[axis] = from_strides[order[axis]];
        counts[axis] = (size_t)sizes[order[axis]];
    }
    const size_t inner_count = axis_count > 0 ? counts[axis_count - 1] : 1;
    const size_t inner_step = axis_count > 0 ? steps[axis_count - 1] : 1;
    size_t offset = 0;
    for (size_t done = 0; done < total; done += inner_count) {
        for (size_t i = 0; i < inner_count; i++) {
            to[done + i] = from[offset + i * inner_step];
        }
        for (int axis = axis_count - 2; axis >= 0; axis--) {
            offset += steps[axis];
            if (++place[axis] < counts[axis]) {
                break;
            }
            offset -= steps[axis] * counts[axis];
            place[axis] = 0;
        }
    }
}
