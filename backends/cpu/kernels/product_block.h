/* The blocks that a product (product.c) is cut into, for those who pack them and those who store
 * them. Included once by product.c for each instruction set and element type. */
#ifndef TTM_CPU_KERNELS_PRODUCT_BLOCK_H
#define TTM_CPU_KERNELS_PRODUCT_BLOCK_H

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/simd.h"

/** The register block: ROWS × STRIP sums. */
#if VECTOR_BYTES == 64 || defined(__aarch64__) /* 32 registers */
#define ROWS    8
#define VECTORS 3
#else
#define ROWS    6
#define VECTORS 2
#endif
#define STRIP (VECTORS * LANES)

/** The deepest product that is done in one go. */
#define DEPTH (1024 * WORD_ELEMENTS)
/** Rows of a that are packed at once: with a strip of b they take half of L2. */
#define BLOCK_ROWS 96
/** Columns of b that are packed at once. */
#define BLOCK_COLS 1008
_Static_assert(BLOCK_ROWS % ROWS == 0, "panels fill a block");
_Static_assert(BLOCK_COLS % STRIP == 0, "strips fill a block");

/** Rows, columns and steps of the depth that are multiplied at a time. */
typedef struct extent_of_block {
    ptrdiff_t first_row;
    ptrdiff_t rows;
    ptrdiff_t first_col;
    ptrdiff_t cols;
    ptrdiff_t first_depth;
    ptrdiff_t depth;
    ptrdiff_t
        rows_in_place; /**< The first rows, which are read where they lie; others are packed. */
} extent_of_block;

/** Where a register block lies. */
typedef struct place {
    ptrdiff_t row;
    ptrdiff_t col;
    ptrdiff_t rows; /**< At most ROWS. */
    ptrdiff_t cols; /**< At most STRIP. */
} place;

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

#endif
