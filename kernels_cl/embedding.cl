/* EMBEDDING and EMBEDDING_BACKWARD.
 *
 * embedding: out[i, :] = table[tokens[i], :] + positions[…, :]. Launch: global (⌈cols / VECTOR⌉, at
 *   most rows).
 * The backward pass is deterministic without float atomics: rows are sorted by (token, row number),
 * so that the rows of one token are neighbours in ascending order, and each token's rows are added
 * by one item a column.
 * sort_start: keys [padded] = token << 32 | row, with `vocab` for tokens outside the table, and sorts
 *   blocks of 2·SORT_ITEMS in local memory. Launch: groups of SORT_ITEMS, global padded / 2.
 * sort_step: one compare-exchange distance of the bitonic network in global memory. Launch: global
 *   padded / 2.
 * sort_blocks: the remaining distances of a stage, in local memory. Launch as sort_start.
 * add_rows: dtable rows of the runs of equal tokens. Launch: global (⌈cols / VECTOR⌉, at most rows).
 * add_positions: dpositions. Launch: global (⌈cols / VECTOR⌉, at most positions).
 * Macros: DATA, RESULT, VECTOR; SORT_ITEMS a power of two. Bound by memory bandwidth; a token that is
 * most of the batch by the latency of its one chain of additions. */

__kernel void embedding(__global data_t *out, long out_start, __global const int *tokens,
                        long tokens_start, __global const data_t *table, long table_start,
                        __global const data_t *positions, long positions_start, long rows,
                        long cols, long vocab, long8 strides, long token_stride,
                        long sequence_length, long position_start, int has_positions)
{
    /* strides = (out row, col, table row, col, positions row, col, 0, 0) */
    const long col = (long)get_global_id(0) * VECTOR;
    const long count = cols - col;
    for (long row = get_global_id(1); count > 0 && row < rows; row += get_global_size(1)) {
        const long token = tokens[tokens_start + row * token_stride];
        /* Some compilers run both sides of a branch: the address is always a valid one. */
        const long known = clamp(token, 0L, max(vocab - 1, 0L));
        fvec value = (fvec)(0.0f);
        if (known == token && vocab > 0) {
            value = load_data(table + table_start + known * strides.s2 + col * strides.s3,
                              strides.s3, count, 0.0f);
        }
        if (has_positions != 0) {
            const long place = position_start + row % sequence_length;
            value += load_data(positions + positions_start + place * strides.s4 + col * strides.s5,
                               strides.s5, count, 0.0f);
        }
        store_data(out + out_start + row * strides.s0 + col * strides.s1, strides.s1, count, value);
    }
}

#ifdef SORT_ITEMS
#define SORT_BLOCK (2 * SORT_ITEMS)

/* Puts keys low < high of a pair in the order that stage `size` of the network wants at `low`. */
inline void exchange(__local ulong *keys, int low, int high, int ascending)
{
    const ulong a = keys[low];
    const ulong b = keys[high];
    if ((a > b) == (ascending != 0)) {
        keys[low] = b;
        keys[high] = a;
    }
}

/* All distances below SORT_BLOCK of the stage that merges runs of `size`. `first` is the block's
 * place in the whole. */
inline void merge_block(__local ulong *keys, ulong first, ulong size)
{
    const int item = get_local_id(0);
    const int begin = (int)min(size / 2, (ulong)SORT_ITEMS);
    for (int distance = begin; distance > 0; distance /= 2) {
        const int low = item / distance * distance * 2 + item % distance;
        barrier(CLK_LOCAL_MEM_FENCE);
        exchange(keys, low, low + distance, ((first + low) & size) == 0);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

#define SORT_KERNEL __kernel __attribute__((reqd_work_group_size(SORT_ITEMS, 1, 1)))

SORT_KERNEL void sort_start(__global ulong *keys, long keys_start, __global const int *tokens,
                            long tokens_start, long rows, long token_stride, long vocab)
{
    __local ulong block[SORT_BLOCK];
    const int item = get_local_id(0);
    const ulong first = (ulong)get_group_id(0) * SORT_BLOCK;
    for (int half_number = 0; half_number < 2; half_number++) {
        const int place = item + half_number * SORT_ITEMS;
        const long row = first + place;
        const long token = tokens[tokens_start + min(row, rows - 1) * token_stride];
        /* What isn't in the table sorts behind it. */
        const long kept = row < rows && token >= 0 ? min(token, vocab) : vocab;
        block[place] = ((ulong)kept << 32) | (ulong)row;
    }
    for (ulong size = 2; size <= SORT_BLOCK; size *= 2) {
        merge_block(block, first, size);
    }
    keys[keys_start + first + item] = block[item];
    keys[keys_start + first + item + SORT_ITEMS] = block[item + SORT_ITEMS];
}

__kernel void sort_step(__global ulong *keys, long keys_start, ulong size, ulong distance)
{
    const ulong item = get_global_id(0);
    const ulong low = item / distance * distance * 2 + item % distance;
    const ulong a = keys[keys_start + low];
    const ulong b = keys[keys_start + low + distance];
    if ((a > b) == ((low & size) == 0)) {
        keys[keys_start + low] = b;
        keys[keys_start + low + distance] = a;
    }
}

SORT_KERNEL void sort_blocks(__global ulong *keys, long keys_start, ulong size)
{
    __local ulong block[SORT_BLOCK];
    const int item = get_local_id(0);
    const ulong first = (ulong)get_group_id(0) * SORT_BLOCK;
    block[item] = keys[keys_start + first + item];
    block[item + SORT_ITEMS] = keys[keys_start + first + item + SORT_ITEMS];
    merge_block(block, first, size);
    keys[keys_start + first + item] = block[item];
    keys[keys_start + first + item + SORT_ITEMS] = block[item + SORT_ITEMS];
}

/* strides = (dtable row, col, dpositions row, col, dout row, col, 0, 0) */
__kernel void add_rows(__global result_t *dtable, long dtable_start, __global const data_t *dout,
                       long dout_start, __global const ulong *keys, long keys_start, long rows,
                       long cols, long vocab, long8 strides)
{
    const long col = (long)get_global_id(0) * VECTOR;
    const long count = cols - col;
    keys += keys_start;
    for (long place = get_global_id(1); count > 0 && place < rows; place += get_global_size(1)) {
        const ulong key = keys[place];
        const ulong token = key >> 32;
        const int begins =
            token < (ulong)vocab && (place == 0 || keys[max(place - 1, 0L)] >> 32 != token);
        long end = begins ? place + 1 : place;
        while (begins && end < rows && keys[min(end, rows - 1)] >> 32 == token) {
            end++;
        }
        fvec sum = (fvec)(0.0f);
        for (long next = place; next < end; next++) {
            const long row = min((long)(keys[next] & 0xffffffff), rows - 1);
            sum += load_data(dout + dout_start + row * strides.s4 + col * strides.s5, strides.s5,
                             count, 0.0f);
        }
        if (begins) {
            __global result_t *target =
                dtable + dtable_start + min((long)token, vocab - 1) * strides.s0 + col * strides.s1;
            store_result(target, strides.s1, count,
                         load_result(target, strides.s1, count, 0.0f) + sum);
        }
    }
}

__kernel void add_positions(__global result_t *dpositions, long dpositions_start,
                            __global const data_t *dout, long dout_start, long rows, long cols,
                            long8 strides, long sequence_length, long position_start,
                            long positions)
{
    const long col = (long)get_global_id(0) * VECTOR;
    const long count = cols - col;
    for (long place = get_global_id(1); count > 0 && place < positions; place += get_global_size(1)) {
        fvec sum = (fvec)(0.0f);
        for (long row = place; row < rows; row += sequence_length) {
            sum += load_data(dout + dout_start + row * strides.s4 + col * strides.s5, strides.s5,
                             count, 0.0f);
        }
        __global result_t *target = dpositions + dpositions_start +
                                    (position_start + place) * strides.s2 + col * strides.s3;
        store_result(target, strides.s3, count, load_result(target, strides.s3, count, 0.0f) + sum);
    }
}
#endif
