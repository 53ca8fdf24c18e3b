/* ATTENTION forward for few queries that meet many keys: decoding with a cache. The keys of a head are
 * split over groups, so that a few heads fill a device; each group leaves its maximum, sum and weighted
 * values, and attention_few_combine adds them up, in the order of the keys: the same bits each time.
 *
 * Shapes: q, out [B, H, Tq, HEAD_SIZE], k, v [B, H, Tk, HEAD_SIZE], lse [B, H, Tq], Tq ≤ QUERIES; last
 * strides 1. parts (f32): values [B·H, Tq, splits, HEAD_SIZE], then (maximum, sum) [B·H, Tq, splits].
 * Launch: attention_few: groups of GROUP, one a split of a head: global (splits·GROUP, B·H). With one
 *   split it writes out and lse itself.
 * attention_few_combine: an item a vector of the head: global (⌈HEAD_SIZE / VECTOR⌉, B·H·Tq).
 * Macros: DATA, VECTOR, GROUP; HEAD_SIZE; QUERIES 1, 2, 4 or 8; CHUNK, keys between two changes of the
 * running maximum: a multiple of VECTOR·GROUP / QUERIES and of VECTOR; WIDTH, neighbours of the head
 * dimension that an item takes at once: VECTOR, or more where all rows begin at multiples of so many
 * elements and HEAD_SIZE is one; LANES, items that share a key: 4, on CPUs 1.
 * Local memory in floats: QUERIES·(D_PADDED + CHUNK + 3) + DOTS + GROUP. Bound by memory: keys and values
 * are read once, coalesced: LANES·WIDTH neighbours of a key, whole rows of values. */

/* Calls would keep vectors of sums in memory. */
#define INLINE inline __attribute__((always_inline))
#define PART(name, floats) __local float name[floats] __attribute__((aligned(64)))

/* Lanes that share a row of values, a power of two, and the vectors that each has of it. */
#define ROW_VECTORS ((HEAD_SIZE + WIDTH - 1) / WIDTH)
#if GROUP == 1 || ROW_VECTORS == 1
#define ROW_LANES 1
#elif ROW_VECTORS <= 2
#define ROW_LANES 2
#elif ROW_VECTORS <= 4
#define ROW_LANES 4
#elif ROW_VECTORS <= 8
#define ROW_LANES 8
#elif ROW_VECTORS <= 16
#define ROW_LANES 16
#elif ROW_VECTORS <= 32
#define ROW_LANES 32
#else
#define ROW_LANES 64
#endif
#define EACH_D    ((ROW_VECTORS + ROW_LANES - 1) / ROW_LANES)
#define D_PADDED  (EACH_D * ROW_LANES * WIDTH)
#define ROW_SLOTS (GROUP / ROW_LANES)

/* Scores of a chunk, in parts by LANES, and afterwards the slots' sums of a query. */
#define SCORES (QUERIES * CHUNK * LANES)
#define SLOTS  (ROW_SLOTS * D_PADDED)
#define DOTS   (SCORES > SLOTS ? SCORES : SLOTS)

/* Items that share a query's weights, and the vectors of keys that each has. */
#if GROUP == 1
#define QUERY_ITEMS 1
#else
#define QUERY_ITEMS (GROUP / QUERIES)
#endif
#define EACH_KEYS (CHUNK / (QUERY_ITEMS * VECTOR))

/* What all items of a query have, folded: the first FOLDERS of them fold the others' first. */
#define FOLDERS 16
#define ADD_VALUES(a, b) ((a) + (b))
#if GROUP == 1
#define DEFINE_QUERY_FOLD(NAME, OP)                                           \
    INLINE float NAME(float value, __local float *scratch, int item)          \
    {                                                                         \
        return value;                                                         \
    }
#else
#define DEFINE_QUERY_FOLD(NAME, OP)                                           \
    INLINE float NAME(float value, __local float *scratch, int item)          \
    {                                                                         \
        const int part = item % QUERY_ITEMS;                                  \
        __local float *const values = scratch + (item - part);                \
        barrier(CLK_LOCAL_MEM_FENCE);                                         \
        values[part] = value;                                                 \
        barrier(CLK_LOCAL_MEM_FENCE);                                         \
        if (QUERY_ITEMS > FOLDERS) {                                          \
            if (part < FOLDERS) {                                             \
                for (int other = part + FOLDERS; other < QUERY_ITEMS; other += FOLDERS) { \
                    value = OP(value, values[other]);                         \
                }                                                             \
                values[part] = value;                                         \
            }                                                                 \
            barrier(CLK_LOCAL_MEM_FENCE);                                     \
        }                                                                     \
        value = values[0];                                                    \
        for (int other = 1; other < QUERY_ITEMS && other < FOLDERS; other++) { \
            value = OP(value, values[other]);                                 \
        }                                                                     \
        return value;                                                         \
    }
#endif
DEFINE_QUERY_FOLD(query_max, fmax)
DEFINE_QUERY_FOLD(query_sum, ADD_VALUES)

/* dots[query, key, lane] = what the lane has of the scores of `count` keys, rounded up to VECTOR. */
INLINE void multiply_keys(__local float *dots, __local const float *q_tile,
                          __global const data_t *k, long stride, int count, int item)
{
    const int rounded = (count + VECTOR - 1) / VECTOR * VECTOR;
#pragma unroll 4
    for (int place = item; place < rounded * LANES; place += GROUP) {
        const int key = place / LANES;
        const int lane = place % LANES;
        __global const data_t *const row = k + min(key, count - 1) * stride;
        wvec dot[QUERIES];
#pragma unroll
        for (int i = 0; i < QUERIES; i++) {
            dot[i] = (wvec)(0.0f);
        }
#pragma unroll
        for (int d = lane * WIDTH; d < HEAD_SIZE; d += LANES * WIDTH) {
            const wvec part = LOAD_WIDE(row + d, HEAD_SIZE - d);
#pragma unroll
            for (int i = 0; i < QUERIES; i++) {
                dot[i] = MULTIPLY_ADD(part, WIDE(q_tile + i * D_PADDED + d), dot[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < QUERIES; i++) {
            dots[(i * CHUNK + key) * LANES + lane] = WIDE_SUM(dot[i]);
        }
    }
}

/* The scores of VECTOR keys from `key` on; −∞ from `visible` on, where nothing is read. */
INLINE fvec read_scores(__local const float *dots, int key, int visible, float scale)
{
    if (key >= visible) {
        return (fvec)(-INFINITY);
    }
#if LANES == 1
    const fvec dot = LOAD_VECTOR(dots + key);
    const fvec column = LANE_NUMBERS + (fvec)((float)key);
    return select((fvec)(-INFINITY), scale * dot, column < (fvec)((float)visible));
#else
    const float4 dot = *(__local const float4 *)(dots + key * LANES);
    return scale * ((dot.s0 + dot.s1) + (dot.s2 + dot.s3));
#endif
}

/* Turns the scores of a query into weights below its running maximum. running = (maximum, sum, factor
 * for what was summed before) of each query. */
INLINE void weigh_keys(__local float *weights, __local float *running, __local const float *dots,
                       int query, int visible, float scale, __local float *scratch, int item)
{
    const int part = item % QUERY_ITEMS;
    fvec scores[EACH_KEYS];
    fvec largest = (fvec)(-INFINITY);
#pragma unroll
    for (int n = 0; n < EACH_KEYS; n++) {
        scores[n] = read_scores(dots + query * CHUNK * LANES, (n * QUERY_ITEMS + part) * VECTOR,
                                visible, scale);
        largest = fmax(largest, scores[n]);
    }
    const float before = running[query * 3];
    const float maximum = fmax(before, query_max(VECTOR_MAX(largest), scratch, item));
    /* A query that has seen nothing yet has nothing to rescale either. */
    const float base = maximum == -INFINITY ? 0.0f : maximum;
    const float shrink = exp(before - base);
    fvec total = (fvec)(0.0f);
#pragma unroll
    for (int n = 0; n < EACH_KEYS; n++) {
        const fvec weight = exp(scores[n] - base);
        total += weight;
        STORE_VECTOR(weight, weights + query * CHUNK + (n * QUERY_ITEMS + part) * VECTOR);
    }
    const float sum = query_sum(VECTOR_SUM(total), scratch, item);
    if (part == 0) {
        running[query * 3] = maximum;
        running[query * 3 + 1] = running[query * 3 + 1] * shrink + sum;
        running[query * 3 + 2] = shrink;
    }
}

/* sums[query] = sums[query]·factor + Σ weight·value over the keys of the item's slot. */
INLINE void add_values(wvec (*sums)[EACH_D], __local const float *weights,
                       __local const float *running, __global const data_t *v, long stride,
                       int count, int item)
{
    const int lane = item % ROW_LANES;
#pragma unroll
    for (int i = 0; i < QUERIES; i++) {
#pragma unroll
        for (int j = 0; j < EACH_D; j++) {
            sums[i][j] *= running[i * 3 + 2];
        }
    }
#pragma unroll 4
    for (int key = item / ROW_LANES; key < count; key += ROW_SLOTS) {
        __global const data_t *const row = v + key * stride;
#pragma unroll
        for (int j = 0; j < EACH_D; j++) {
            const int d = (j * ROW_LANES + lane) * WIDTH;
            if (d < HEAD_SIZE) {
                const wvec value = LOAD_WIDE(row + d, HEAD_SIZE - d);
#pragma unroll
                for (int i = 0; i < QUERIES; i++) {
                    sums[i][j] = MULTIPLY_ADD((wvec)(weights[i * CHUNK + key]), value, sums[i][j]);
                }
            }
        }
    }
}

/* Puts a query's sums of each slot into local memory: [ROW_SLOTS, D_PADDED]. */
INLINE void share_sums(__local float *slots, wvec *sums, int item)
{
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int j = 0; j < EACH_D; j++) {
        WIDE(slots + item / ROW_LANES * D_PADDED + (j * ROW_LANES + item % ROW_LANES) * WIDTH) =
            sums[j];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* The sum of all slots at VECTOR neighbours of the head. */
INLINE fvec slots_total(__local const float *slots)
{
    fvec total = LOAD_VECTOR(slots);
    for (int slot = 1; slot < ROW_SLOTS; slot++) {
        total += LOAD_VECTOR(slots + slot * D_PADDED);
    }
    return total;
}

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, out batch,
 * head, row, 0, 0); lse_strides = (batch, head, row, 0…) */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
attention_few(__global data_t *out, long out_start, __global const data_t *q,
                              long q_start, __global const data_t *k, long k_start,
                              __global const data_t *v, long v_start, __global float *lse,
                              long lse_start, long heads, long queries, long keys, long8 strides,
                              long8 more, long8 lse_strides, float scale, int causal, int has_lse,
                              __global float *parts, long parts_start, long splits, long split_keys)
{
    PART(q_tile, QUERIES * D_PADDED);
    PART(dots, DOTS);
    PART(weights, QUERIES * CHUNK);
    __local float running[QUERIES * 3];
    __local float scratch[GROUP];
    const int item = GROUP == 1 ? 0 : get_local_id(0);
    const long split = get_group_id(0);
    const long head_number = get_group_id(1);
    const long batch = head_number / heads;
    const long head = head_number - batch * heads;
    q += q_start + batch * strides.s0 + head * strides.s1;
    k += k_start + batch * strides.s3 + head * strides.s4;
    v += v_start + batch * more.s0 + head * more.s1;

    for (int place = item; place < QUERIES * D_PADDED; place += GROUP) {
        const int i = place / D_PADDED;
        const int d = place - i * D_PADDED;
        q_tile[place] =
            i < queries && d < HEAD_SIZE ? LOAD_DATA(q, i * strides.s2 + d) : 0.0f;
    }
    for (int i = item; i < QUERIES; i += GROUP) {
        running[i * 3] = -INFINITY;
        running[i * 3 + 1] = 0.0f;
    }
    wvec sums[QUERIES][EACH_D];
#pragma unroll
    for (int i = 0; i < QUERIES; i++) {
#pragma unroll
        for (int j = 0; j < EACH_D; j++) {
            sums[i][j] = (wvec)(0.0f);
        }
    }
    const long end = min(keys, (split + 1) * split_keys);
    for (long start = split * split_keys; start < end; start += CHUNK) {
        const int count = min((long)CHUNK, end - start);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply_keys(dots, q_tile, k + start * strides.s5, strides.s5, count, item);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = item / QUERY_ITEMS; i < QUERIES; i += GROUP / QUERY_ITEMS) {
            const long seen = causal != 0 ? i + (keys - queries) + 1 - start : count;
            const int visible = clamp(seen, 0L, (long)count);
            weigh_keys(weights, running, dots, i, visible, scale, scratch, item);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        add_values(sums, weights, running, v + start * more.s2, more.s2, count, item);
    }
#pragma unroll
    for (int i = 0; i < QUERIES; i++) {
        share_sums(dots, sums[i], item);
        if (i >= queries) {
            continue;
        }
        const long row = head_number * queries + i;
        const float total = running[i * 3 + 1];
        const float inverse = total > 0.0f ? 1.0f / total : 0.0f;
        for (int d = item * VECTOR; d < HEAD_SIZE; d += GROUP * VECTOR) {
            const fvec value = slots_total(dots + d);
            if (splits == 1) {
                __global data_t *const to =
                    out + out_start + batch * more.s3 + head * more.s4 + i * more.s5;
                store_data(to + d, 1, HEAD_SIZE - d, value * inverse);
            } else {
                __global float *const to = parts + parts_start + (row * splits + split) * HEAD_SIZE;
                store_f32(to + d, 1, HEAD_SIZE - d, value);
            }
        }
        if (item == 0 && splits > 1) {
            __global float *const to = parts + parts_start +
                                       get_num_groups(1) * queries * splits * HEAD_SIZE +
                                       (row * splits + split) * 2;
            to[0] = running[i * 3];
            to[1] = total;
        } else if (item == 0 && has_lse != 0) {
            lse[lse_start + batch * lse_strides.s0 + head * lse_strides.s1 + i * lse_strides.s2] =
                running[i * 3] + log(total);
        }
    }
}

/* strides = (out batch, head, row, lse batch, head, row, 0, 0) */
__kernel void attention_few_combine(__global data_t *out, long out_start, __global float *lse,
                                    long lse_start, __global const float *parts, long parts_start,
                                    long heads, long queries, long splits, long8 strides,
                                    int has_lse)
{
    const int d = get_global_id(0) * VECTOR;
    const long row = get_global_id(1);
    const long head_number = row / queries;
    const long i = row - head_number * queries;
    const long batch = head_number / heads;
    const long head = head_number - batch * heads;
    __global const float *const values = parts + parts_start + row * splits * HEAD_SIZE;
    __global const float *const statistics =
        parts + parts_start + get_global_size(1) * splits * HEAD_SIZE + row * splits * 2;
    if (d >= HEAD_SIZE) {
        return;
    }
    float maximum = -INFINITY;
    for (long split = 0; split < splits; split++) {
        maximum = fmax(maximum, statistics[split * 2]);
    }
    const float base = maximum == -INFINITY ? 0.0f : maximum;
    float total = 0.0f;
    fvec sum = (fvec)(0.0f);
    for (long split = 0; split < splits; split++) {
        const float factor = exp(statistics[split * 2] - base);
        const fvec value = load_f32(values + split * HEAD_SIZE + d, 1, HEAD_SIZE - d, 0.0f);
        total = MULTIPLY_ADD(factor, statistics[split * 2 + 1], total);
        sum = MULTIPLY_ADD((fvec)(factor), value, sum);
    }
    store_data(out + out_start + batch * strides.s0 + head * strides.s1 + i * strides.s2 + d, 1,
               HEAD_SIZE - d, sum * (total > 0.0f ? 1.0f / total : 0.0f));
    if (d == 0 && has_lse != 0) {
        lse[lse_start + batch * strides.s3 + head * strides.s4 + i * strides.s5] =
            maximum + log(total);
    }
}
