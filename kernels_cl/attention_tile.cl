/* What the attention kernels share: tiles of rows, masks, dropout.
 *
 * A group of (COL_ITEMS, ROW_ITEMS) items works on a block of BLOCK_ROWS rows (queries; keys in
 * attention_dkdv) and walks over tiles of TILE_COLS columns. An item has EACH_ROWS neighbouring rows a
 * step, and of columns every COL_ITEMS-th vector of VECTOR. On GPUs STEPS and VECTOR are 1; on CPUs
 * there is one item, and steps go through the rows with their sums in registers.
 * On GPUs a multiply-add is four times as fast as a load from local memory, so that loads are of four
 * floats: tiles of rows are [rows, D_PITCH], weights of a tile [TILE_COLS, WEIGHT_PITCH] with the rows
 * inside. Eight lanes that load four floats each from neighbouring rows of D_PITCH, 4 modulo 32, touch
 * every bank once. A tile of scores costs 2 loads for 8 multiply-adds of a warp, one of weighted rows 3
 * for 16, about what a multiprocessor does at once.
 * On CPUs tiles have the head dimension outside, [HEAD_SIZE, rows], and weights their columns inside:
 * products then read vectors of neighbours.
 * Macros: DATA, VECTOR; HEAD_SIZE; COL_ITEMS, ROW_ITEMS; EACH_ROWS, EACH_COLS (vectors); STEPS;
 * DROPOUT 0 or 1. COL_ITEMS·ROW_ITEMS > 1 needs VECTOR 1 and STEPS 1, and COL_ITEMS a multiple of 4. */

#define ALL_ITEMS  (COL_ITEMS * ROW_ITEMS)
#define STEP_ROWS  (ROW_ITEMS * EACH_ROWS)
#define BLOCK_ROWS (STEPS * STEP_ROWS)
#define TILE_COLS  (COL_ITEMS * EACH_COLS * VECTOR)
#define EACH_D     ((HEAD_SIZE + COL_ITEMS * VECTOR - 1) / (COL_ITEMS * VECTOR))

#define ROW_OF(step, i) (((step)*ROW_ITEMS + row_item) * EACH_ROWS + (i))
#define COL_OF(j)       (((j)*COL_ITEMS + col_item) * VECTOR)

#if VECTOR == 1
#define D_PADDED     ((HEAD_SIZE + 3) / 4 * 4)
#define D_PITCH      (D_PADDED + 4)
#define WEIGHT_PITCH (STEP_ROWS + EACH_ROWS)
#define ROW_TILE     (BLOCK_ROWS * D_PITCH)
#define COL_TILE     (TILE_COLS * D_PITCH)
#define WEIGHT_TILE  (TILE_COLS * WEIGHT_PITCH)
/* Neighbours of the head dimension that an item has; element j of its EACH_D is D_OF(j). */
#if HEAD_SIZE % (4 * COL_ITEMS) == 0
#define D_WIDTH 4
#elif HEAD_SIZE % (2 * COL_ITEMS) == 0
#define D_WIDTH 2
#else
#define D_WIDTH 1
#endif
#define D_OF(j) ((((j) / D_WIDTH) * COL_ITEMS + col_item) * D_WIDTH + (j) % D_WIDTH)
#else
#define ROW_TILE    (HEAD_SIZE * BLOCK_ROWS)
#define COL_TILE    (HEAD_SIZE * TILE_COLS)
#define WEIGHT_TILE (STEP_ROWS * TILE_COLS)
#define D_OF(j)     COL_OF(j)
#endif

/* A tile in local memory, aligned for vectors of four. */
#define TILE(name, floats) __local float name[floats] __attribute__((aligned(16)))

#define ATTENTION_KERNEL __kernel __attribute__((reqd_work_group_size(COL_ITEMS, ROW_ITEMS, 1)))
#define DECLARE_ITEMS                                          \
    const int col_item = COL_ITEMS == 1 ? 0 : get_local_id(0); \
    const int row_item = ROW_ITEMS == 1 ? 0 : get_local_id(1); \
    const int item = row_item * COL_ITEMS + col_item;

/* Fills a tile of `tile_rows` rows from first on; 0 behind row `count`. */
inline void load_tile(__local float *tile, int tile_rows, __global const data_t *rows, long stride,
                      long first, long count, int item)
{
#if VECTOR == 1
    for (int place = item; place < tile_rows * D_PADDED; place += ALL_ITEMS) {
        const int r = place / D_PADDED;
        const int d = place - r * D_PADDED;
        tile[r * D_PITCH + d] = first + r < count && d < HEAD_SIZE
                                    ? LOAD_DATA(rows, (first + r) * stride + d)
                                    : 0.0f;
    }
#else
    for (int place = item; place < tile_rows * HEAD_SIZE; place += ALL_ITEMS) {
        const int r = place / HEAD_SIZE;
        const int d = place - r * HEAD_SIZE;
        tile[d * tile_rows + r] =
            first + r < count ? LOAD_DATA(rows, (first + r) * stride + d) : 0.0f;
    }
#endif
}

#define CLEAR_PRODUCTS(products)                                                             \
    _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                    \
    {                                                                                        \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++) products[i][j] = (fvec)(0.0f); \
    }

/* products[i][j] = Σ_d row_tile[row i, d]·col_tile[columns j, d] */
#if VECTOR == 1
#define FOUR(place) (*(__local const float4 *)(place))
#define MULTIPLY_TILES(products, row_tile, col_tile, step)                                         \
    CLEAR_PRODUCTS(products)                                                                       \
    _Pragma("unroll 2") for (int d = 0; d < D_PADDED; d += 4)                                      \
    {                                                        \
        float4 col_part[EACH_COLS];                                                                \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                      \
        {                                                                                          \
            col_part[j] = FOUR(col_tile + COL_OF(j) * D_PITCH + d);                                \
        }                                                                                          \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                      \
        {                                                                                          \
            const float4 row_part = FOUR(row_tile + ROW_OF(step, i) * D_PITCH + d);                \
            _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                  \
            {                                                                                      \
                float sum = MULTIPLY_ADD(row_part.s0, col_part[j].s0, products[i][j]);             \
                sum = MULTIPLY_ADD(row_part.s1, col_part[j].s1, sum);                              \
                sum = MULTIPLY_ADD(row_part.s2, col_part[j].s2, sum);                              \
                products[i][j] = MULTIPLY_ADD(row_part.s3, col_part[j].s3, sum);                   \
            }                                                                                      \
        }                                                                                          \
    }
#else
#define MULTIPLY_TILES(products, row_tile, col_tile, step)                                         \
    CLEAR_PRODUCTS(products)                                                                       \
    for (int d = 0; d < HEAD_SIZE; d++) {                                                          \
        fvec col_part[EACH_COLS];                                                                  \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                      \
        {                                                                                          \
            col_part[j] = LOAD_VECTOR(col_tile + d * TILE_COLS + COL_OF(j));                       \
        }                                                                                          \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                      \
        {                                                                                          \
            const fvec row_part = (fvec)(row_tile[d * BLOCK_ROWS + ROW_OF(step, i)]);              \
            _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                  \
            {                                                                                      \
                products[i][j] = MULTIPLY_ADD(row_part, col_part[j], products[i][j]);              \
            }                                                                                      \
        }                                                                                          \
    }
#endif

/* `value` in columns first … first + VECTOR − 1 of a tile, `other` in those outside [low, high). */
inline fvec keep_between(fvec value, float other, int first, long low, long high)
{
    const fvec number = (fvec)((float)first) + LANE_NUMBERS;
    const fvec from = (fvec)((float)clamp(low, 0L, (long)TILE_COLS));
    const fvec end = (fvec)((float)clamp(high, 0L, (long)TILE_COLS));
    return select(select(value, (fvec)(other), number < from), (fvec)(other), number >= end);
}

/* What dropout multiplies VECTOR probabilities by, whose numbers are `step` apart. */
inline fvec dropout_factors(ulong seed, ulong number, ulong step, uint threshold, float keep_scale)
{
#if DROPOUT == 0
    return (fvec)(1.0f);
#elif VECTOR == 1
    return dropout_factor(seed, number, threshold, keep_scale);
#else
    float factors[VECTOR];
    for (int lane = 0; lane < VECTOR; lane++) {
        factors[lane] = dropout_factor(seed, number + lane * step, threshold, keep_scale);
    }
    return LOAD_VECTOR(factors);
#endif
}

/* Puts the weights [EACH_ROWS][EACH_COLS] of an item into a tile of weights. */
#if VECTOR == 1
#if EACH_ROWS == 4
#define STORE_ROWS(place, w, j) \
    *(__local float4 *)(place) = (float4)((w)[0][j], (w)[1][j], (w)[2][j], (w)[3][j])
#elif EACH_ROWS == 2
#define STORE_ROWS(place, w, j) *(__local float2 *)(place) = (float2)((w)[0][j], (w)[1][j])
#else
#define STORE_ROWS(place, w, j)               \
    for (int each = 0; each < EACH_ROWS; each++) \
        (place)[each] = (w)[each][j];
#endif
#define STORE_WEIGHTS(tile, w)                                                   \
    _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                        \
    {                                                                            \
        STORE_ROWS((tile) + COL_OF(j) * WEIGHT_PITCH + ROW_OF(0, 0), w, j);      \
    }
#else
#define STORE_WEIGHTS(tile, w)                                                     \
    _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                          \
    {                                                                              \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                      \
        {                                                                          \
            STORE_VECTOR((w)[i][j], (tile) + ROW_OF(0, i) * TILE_COLS + COL_OF(j)); \
        }                                                                          \
    }
#endif

/* parts[j] = elements D_OF(j) of row r of a tile: on a CPU from the tensor itself, where they are
 * neighbours. What lies behind HEAD_SIZE is some number, and isn't stored. */
#if VECTOR == 1
#if D_WIDTH == 4
#define LOAD_ROW_PART(parts, tile, r)                              \
    _Pragma("unroll") for (int j = 0; j < EACH_D; j += 4)          \
    {                                                              \
        const float4 four = FOUR((tile) + (r)*D_PITCH + D_OF(j));  \
        parts[j] = four.s0;                                        \
        parts[j + 1] = four.s1;                                    \
        parts[j + 2] = four.s2;                                    \
        parts[j + 3] = four.s3;                                    \
    }
#elif D_WIDTH == 2
#define LOAD_ROW_PART(parts, tile, r)                                                          \
    _Pragma("unroll") for (int j = 0; j < EACH_D; j += 2)                                      \
    {                                                                                          \
        const float2 two = *(__local const float2 *)((tile) + (r)*D_PITCH + D_OF(j));          \
        parts[j] = two.s0;                                                                     \
        parts[j + 1] = two.s1;                                                                 \
    }
#else
#define LOAD_ROW_PART(parts, tile, r)                                  \
    _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                 \
    {                                                                  \
        parts[j] = (tile)[(r)*D_PITCH + min(D_OF(j), HEAD_SIZE - 1)];  \
    }
#endif
#if EACH_ROWS == 4
#define LOAD_WEIGHTS(w, place)             \
    {                                      \
        const float4 four = FOUR(place);   \
        w[0] = four.s0;                    \
        w[1] = four.s1;                    \
        w[2] = four.s2;                    \
        w[3] = four.s3;                    \
    }
#elif EACH_ROWS == 2
#define LOAD_WEIGHTS(w, place)                                   \
    {                                                            \
        const float2 two = *(__local const float2 *)(place);     \
        w[0] = two.s0;                                           \
        w[1] = two.s1;                                           \
    }
#else
#define LOAD_WEIGHTS(w, place)                   \
    for (int each = 0; each < EACH_ROWS; each++) \
        w[each] = (place)[each];
#endif
#endif

/* sums[i][j] += Σ_c weights[row i, c]·rows[first + c, elements j], over the columns c of a tile.
 * The weights are those of one step. */
#if VECTOR == 1
#define ADD_WEIGHTED_ROWS(sums, weights, tile, rows, stride, first, count)                        \
    _Pragma("unroll 2") for (int c = 0; c < TILE_COLS; c++)                                       \
    {                                                         \
        float row_part[EACH_D];                                                                   \
        float weight[EACH_ROWS];                                                                  \
        LOAD_ROW_PART(row_part, tile, c)                                                          \
        LOAD_WEIGHTS(weight, (weights) + c * WEIGHT_PITCH + ROW_OF(0, 0))                         \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                     \
        {                                                                                         \
            _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                                    \
            {                                                                                     \
                sums[i][j] = MULTIPLY_ADD(weight[i], row_part[j], sums[i][j]);                    \
            }                                                                                     \
        }                                                                                         \
    }
#else
#define ADD_WEIGHTED_ROWS(sums, weights, tile, rows, stride, first, count)                        \
    for (int c = 0; c < TILE_COLS; c++) {                                                         \
        fvec row_part[EACH_D];                                                                    \
        _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                                        \
        {                                                                                         \
            row_part[j] = load_data((rows) + min((first) + c, (count)-1) * (stride) + COL_OF(j),  \
                                    1, HEAD_SIZE - COL_OF(j), 0.0f);                              \
        }                                                                                         \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                     \
        {                                                                                         \
            const fvec weight = (fvec)((weights)[ROW_OF(0, i) * TILE_COLS + c]);                  \
            _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                                    \
            {                                                                                     \
                sums[i][j] = MULTIPLY_ADD(weight, row_part[j], sums[i][j]);                       \
            }                                                                                     \
        }                                                                                         \
    }
#endif
