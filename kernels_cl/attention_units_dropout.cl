/* Dropout of attention on matrix units: which weights are kept, found in registers where the scores lie.
 *
 * Weight ((b·H + h)·Tq + i)·Tk + j has one word of a block of Philox, and a block has four (philox.cl): those of four neighbouring keys of
 * a query, where Tk is a multiple of 4. In a fragment two lanes hold these between them where rows are queries, four where rows are keys.
 * So each lane computes one block a fragment, another than its neighbours do, makes bits of the words, and gets the bits of its own scores
 * from the lanes that have them, a slice at a time. No word is computed twice. The factor 1/(1 - dropout) is left to sums and gradients.
 *
 * An element costs a lane 16 instructions where rows are queries and 18 where they are keys: 10 of Philox, whose block is 40, the others
 * for block numbers, comparisons, bits and what is done with them (counted by tests/opencl/attention_units_count.py, sm_80). That is
 * much: the units of an A100 take 16 clocks of a scheduler for all that the forward kernel multiplies for an element of each lane of a
 * warp at a head of 64.
 *
 * Where Tk isn't a multiple of 4, the weights of a query begin at word `shift` of a block, and a block more is needed behind the last: one
 * in four or two more where rows are queries, twice as many where they are keys.
 *
 * Macros: DROPOUT 0: none, and nothing here is built; 1: Tk is a multiple of 4; 2: any Tk. */

#if DROPOUT

/* Bits 0 to 3: which words of a block keep their weights. */
INLINE uint kept_of_block(ulong seed, ulong block, uint threshold)
{
    const uint4 words = philox_block(seed, block);
    return (words.s0 >= threshold ? 1u : 0u) | (words.s1 >= threshold ? 2u : 0u) | (words.s2 >= threshold ? 4u : 0u) |
           (words.s3 >= threshold ? 8u : 0u);
}

/* `left` = the values of a slice whose IS_KEPT(kept, i, lower, j, e) is 1, and 0 for the others. */
#define DROP(left, values, kept, IS_KEPT) \
    FOR_SCORES(SCORE(left, i, j, lower, e) = IS_KEPT(kept, i, lower, j, e) ? SCORE(values, i, j, lower, e) : 0.0f;)

/* Where rows are queries. A lane computes blocks of row lane / 4 + 8·(lane mod 2), of every two neighbours number (lane / 2) mod 2. */

/* Columns whose bits are in a word, and words of a row. */
#define KEPT_COLS (SLICE < 32 ? SLICE : 32)
#define KEPT_WORDS (SLICE / KEPT_COLS)
#define COLUMN_IS_KEPT(kept, i, lower, j, e) ((kept)[i][lower][(j) / 4] >> ((j) % 4 * 8 + (e)) & 1)

/* The number of the weight of column 0 of the first row whose blocks the lane computes; row `first` is the warp's first one. */
INLINE ulong first_weight_of_rows(int head_number, int first, int queries, int keys, int lane)
{
    return ((ulong)head_number * queries + first + lane / 4 + (lane & 1) * 8) * keys;
}

/* kept: of the slice from column `col` on. */
INLINE void choose_columns(uint (*kept)[2][KEPT_WORDS], ulong first_weight, int keys, int col, ulong seed, uint threshold,
                           int lane UNIT_PARAMETERS)
{
    const int second = lane >> 1 & 1;
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int word = 0; word < KEPT_WORDS; word++) {
            const ulong block = first_weight / 4 + (ulong)(i * 4) * keys + (col + word * KEPT_COLS) / 4;
            uint bits = 0;
            uint other;
            UNROLL
            for (int j = KEPT_COLS / 8 - 1; j >= 0; j--) {
                bits = bits << 8 | kept_of_block(seed, block + second + 2 * j, threshold);
            }
            bits <<= second * 4;
            WORD_OF_LANE(other, bits, lane ^ 2);
            bits |= other;
            WORD_OF_LANE(other, bits, lane ^ 1);
#if DROPOUT == 1
            kept[i][0][word] = (lane % 2 == 0 ? bits : other) >> lane % 4 * 2;
            kept[i][1][word] = (lane % 2 == 0 ? other : bits) >> lane % 4 * 2;
#else
            const int shift = (int)(first_weight & 3) + lane % 4 * 2;
            const uint behind = kept_of_block(seed, block + KEPT_COLS / 4, threshold);
            uint other_behind;
            WORD_OF_LANE(other_behind, behind, lane ^ 1);
            const ulong own_row = (ulong)behind << KEPT_COLS | bits;
            const ulong other_row = (ulong)other_behind << KEPT_COLS | other;
            kept[i][0][word] = (uint)((lane % 2 == 0 ? own_row : other_row) >> shift);
            kept[i][1][word] = (uint)((lane % 2 == 0 ? other_row : own_row) >> shift);
#endif
        }
    }
}

/* Where rows are keys, columns queries. Of the four blocks of 16 keys of a query, lane 4·g + t computes one for columns 2·t + g mod 2. */

#define COMPUTED_BLOCK(g) (((g) >> 2) + ((g) & 2))
#define COMPUTING_LANE(block, e, t) ((((block) & 1) * 4 + ((block) & 2) + (e)) * 4 + (t))

#define ROW_IS_KEPT(kept, i, lower, j, e) ((kept)[i][lower][e] >> (4 * (j)) & 1)

/* `weight` is the number of that of the slice's first query and the warp's first key. */
INLINE void choose_rows(uint (*kept)[2][2], ulong weight, int keys, ulong seed, uint threshold, int lane UNIT_PARAMETERS)
{
    FORGET_IN_LOOP(lane);
    FORGET_IN_LOOP(keys);
    const int g = lane / 4;
    const int t = lane % 4;
    const ulong own_weight = weight + (ulong)(2 * t + (g & 1)) * keys;
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        uint bits = 0;
        uint behind = 0;
        UNROLL
        for (int j = SLICE / 8 - 1; j >= 0; j--) {
            const ulong block = own_weight / 4 + i * 4 + (ulong)(2 * j) * keys;
            bits = bits << 4 | kept_of_block(seed, block + COMPUTED_BLOCK(g), threshold);
#if DROPOUT == 2
            behind = behind << 4 | kept_of_block(seed, block + 4, threshold);
#endif
        }
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            UNROLL
            for (int e = 0; e < 2; e++) {
                const int shift = DROPOUT == 1 ? 0 : (int)(weight + (ulong)(2 * t + e) * keys) & 3;
                const int place = g + lower * 8 + shift;
                uint word;
                WORD_OF_LANE(word, bits, COMPUTING_LANE(place >> 2, e, t));
#if DROPOUT == 2
                uint word_behind;
                WORD_OF_LANE(word_behind, behind, e * 4 + t);
                word = place >= 16 ? word_behind : word;
#endif
                kept[i][lower][e] = word >> (place & 3);
            }
        }
    }
}

#endif
