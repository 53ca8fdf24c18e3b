/* What the attention kernels share: tiles of rows, masks, dropout.
 *
 * A group of (COL_ITEMS, ROW_ITEMS) items works on a block of BLOCK_ROWS rows (queries; keys in
 * attention_dkdv) and walks over tiles of TILE_COLS columns. Row (step, i) of an item is
 * (step·EACH_ROWS + i)·ROW_ITEMS + its row number; column vector j is COL_ITEMS·j + its column number,
 * VECTOR columns each. On GPUs STEPS and VECTOR are 1; on CPUs there is one item, and steps go
 * through the rows with their sums in registers.
 * Tiles are kept with the head dimension outside, [HEAD_SIZE, rows]: products of rows with rows then
 * read neighbours, and the odd pitch keeps other accesses free of bank conflicts.
 * Macros: DATA, VECTOR; HEAD_SIZE; COL_ITEMS, ROW_ITEMS; EACH_ROWS, EACH_COLS (vectors); STEPS;
 * DROPOUT 0 or 1. COL_ITEMS·ROW_ITEMS > 1 needs VECTOR 1 and STEPS 1. */

#define ALL_ITEMS  (COL_ITEMS * ROW_ITEMS)
#define STEP_ROWS  (ROW_ITEMS * EACH_ROWS)
#define BLOCK_ROWS (STEPS * STEP_ROWS)
#define TILE_COLS  (COL_ITEMS * EACH_COLS * VECTOR)
#define EACH_D     ((HEAD_SIZE + COL_ITEMS * VECTOR - 1) / (COL_ITEMS * VECTOR))
#if VECTOR == 1
#define ROW_PITCH (BLOCK_ROWS + 1)
#define COL_PITCH (TILE_COLS + 1)
#else
#define ROW_PITCH BLOCK_ROWS
#define COL_PITCH TILE_COLS
#endif

#define ROW_OF(step, i) (((step)*EACH_ROWS + (i)) * ROW_ITEMS + row_item)
#define COL_OF(j)       (((j)*COL_ITEMS + col_item) * VECTOR)

#define ATTENTION_KERNEL __kernel __attribute__((reqd_work_group_size(COL_ITEMS, ROW_ITEMS, 1)))
#define DECLARE_ITEMS                                          \
    const int col_item = COL_ITEMS == 1 ? 0 : get_local_id(0); \
    const int row_item = ROW_ITEMS == 1 ? 0 : get_local_id(1); \
    const int item = row_item * COL_ITEMS + col_item;

/* tile[d, r] = rows[first + r, d] for r < tile_rows; 0 behind row `count`. */
inline void load_tile(__local float *tile, int pitch, int tile_rows, __global const data_t *rows,
                      long stride, long first, long count, int item)
{
    for (int place = item; place < tile_rows * HEAD_SIZE; place += ALL_ITEMS) {
        const int r = place / HEAD_SIZE;
        const int d = place - r * HEAD_SIZE;
        tile[d * pitch + r] =
            first + r < count ? LOAD_DATA(rows, (first + r) * stride + d) : 0.0f;
    }
}

/* products[i][j] = Σ_d row_tile[d, row i]·col_tile[d, columns j] */
#define MULTIPLY_TILES(products, row_tile, col_tile, step)                                         \
    _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                          \
    {                                                                                              \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++) products[i][j] = (fvec)(0.0f);       \
    }                                                                                              \
    for (int d = 0; d < HEAD_SIZE; d++) {                                                          \
        fvec col_part[EACH_COLS];                                                                  \
        _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                      \
        {                                                                                          \
            col_part[j] = LOAD_VECTOR(col_tile + d * COL_PITCH + COL_OF(j));                       \
        }                                                                                          \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                      \
        {                                                                                          \
            const fvec row_part = (fvec)(row_tile[d * ROW_PITCH + ROW_OF(step, i)]);               \
            _Pragma("unroll") for (int j = 0; j < EACH_COLS; j++)                                  \
            {                                                                                      \
                products[i][j] = MULTIPLY_ADD(row_part, col_part[j], products[i][j]);              \
            }                                                                                      \
        }                                                                                          \
    }

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

/* Elements COL_OF(j) … of row r of a [HEAD_SIZE, rows] tile: on a CPU from the tensor itself, where
 * they are neighbours. Columns behind HEAD_SIZE repeat the last; what comes of them isn't stored. */
#if VECTOR == 1
#define ROW_PART(tile, pitch, rows, stride, first, count, r, j) \
    (tile)[min(COL_OF(j), HEAD_SIZE - 1) * (pitch) + (r)]
#else
#define ROW_PART(tile, pitch, rows, stride, first, count, r, j)                                \
    load_data((rows) + min((first) + (r), (count)-1) * (stride) + COL_OF(j), 1,                \
              HEAD_SIZE - COL_OF(j), 0.0f)
#endif

/* sums[i][j] += Σ_c weights[row i, c]·rows[first + c, columns j], over the columns c of a tile.
 * weights [STEP_ROWS, COL_PITCH] are those of one step. */
#define ADD_WEIGHTED_ROWS(sums, weights, tile, rows, stride, first, count)                        \
    for (int c = 0; c < TILE_COLS; c++) {                                                         \
        fvec row_part[EACH_D];                                                                    \
        _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                                        \
        {                                                                                         \
            row_part[j] = ROW_PART(tile, COL_PITCH, rows, stride, first, count, c, j);            \
        }                                                                                         \
        _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                                     \
        {                                                                                         \
            const fvec weight = (fvec)(weights[ROW_OF(0, i) * COL_PITCH + c]);                    \
            _Pragma("unroll") for (int j = 0; j < EACH_D; j++)                                    \
            {                                                                                     \
                sums[i][j] = MULTIPLY_ADD(weight, row_part[j], sums[i][j]);                       \
            }                                                                                     \
        }                                                                                         \
    }
