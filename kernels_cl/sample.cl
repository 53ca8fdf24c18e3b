/* SAMPLE: a token drawn from each row of logits, in two launches.
 *
 * Shapes: logits [rows, vocab], tokens [rows], random [rows, 2]; parts f32 [rows, PARTS, 2] is scratch.
 * strides = (logits row, col, tokens, random row, col, 0, 0, 0).
 * A row is cut into PARTS runs of neighbouring tokens.
 *   sample_parts: a group of GROUP a part: global rows·PARTS·GROUP. The largest logit of each part and
 *     the sum of exp((x − largest)·scale); the largest is infinite where a logit is NaN or +∞. Bound by
 *     reading the logits once.
 *   sample_row: a group a row: global rows·GROUP. Without top_k and top_p it looks at the one part that
 *     has the token. With them it first finds the threshold that logits must exceed, by sweeps that
 *     measure what lies above PARTS thresholds at once: at most eight a limit, from the cache, bound by
 *     PARTS comparisons and additions a logit.
 * Thresholds are found between floats numbered in ascending order, so ties of logits are exact, and by
 * number among equal ones. Sums are added in an order that doesn't depend on the data: what lies above a
 * threshold never grows with it, and the same logits give the same token.
 * Macros: DATA, VECTOR, GROUP. vocab ≤ 2^24: tokens and counts are exact in f32. */

#define PARTS 16

/* Weights of parts below this are rounding, next to a largest weight of 1. */
#define NO_WEIGHT 1e-30f

#if VECTOR == 1
typedef int ivec;
#else
typedef PASTE(int, VECTOR) ivec;
#endif

#if GROUP == 1
#define DECLARE_SUMS(name) __local float *name = 0
#else
#define DECLARE_SUMS(name) __local float name[PARTS * GROUP]
#endif

/* A row, and what of it counts: logits above `edge`, and equal ones up to token `last`. */
typedef struct row_state {
    __global const data_t *logits;
    long stride;
    long vocab;
    float largest;
    float scale;
    float edge;
    float last;
} row_state;

/* totals[i] = the sum of sums[i] over the group, by a fixed tree. */
inline void group_totals(float totals[PARTS], const fvec sums[PARTS], __local float *scratch)
{
#if GROUP == 1
    for (int i = 0; i < PARTS; i++) {
        totals[i] = VECTOR_SUM(sums[i]);
    }
#else
    const int item = get_local_id(0);
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        scratch[i * GROUP + item] = VECTOR_SUM(sums[i]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        for (int pair = item; pair < PARTS * half_size; pair += GROUP) {
            const int place = pair / half_size * GROUP + pair % half_size;
            scratch[place] += scratch[place + half_size];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        totals[i] = scratch[i * GROUP];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
}

inline long part_length(long vocab)
{
    return (vocab + PARTS - 1) / PARTS;
}

/* Numbers floats in ascending order, without gaps. */
inline uint order_of(float value)
{
    const uint bits = as_uint(value);
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

inline float float_of(uint order)
{
    return as_float((order & 0x80000000u) != 0u ? order & 0x7fffffffu : ~order);
}

/* Logits j … of a row, −∞ from `end` on. */
inline fvec logits_at(const row_state *row, long j, long end)
{
    return load_data(row->logits + j * row->stride, row->stride, end - j, -INFINITY);
}

inline ivec is_kept(const row_state *row, fvec x, long j)
{
    const fvec number = LANE_NUMBERS + (fvec)((float)j);
    return (x > (fvec)(row->edge)) | ((x == (fvec)(row->edge)) & (number <= (fvec)(row->last)));
}

inline fvec weight_of(const row_state *row, fvec x, long j)
{
    return select((fvec)(0.0f), exp((x - row->largest) * row->scale), is_kept(row, x, j));
}

/* The same for one token. */
inline float token_weight(const row_state *row, long j)
{
    const float x = LOAD_DATA(row->logits, j * row->stride);
    const int kept = x > row->edge || (x == row->edge && (float)j <= row->last);
    return kept ? exp((x - row->largest) * row->scale) : 0.0f;
}

/* ---- The parts ---- */

ROW_KERNEL void sample_parts(__global float *parts, long parts_start, __global const data_t *logits,
                             long logits_start, long vocab, long8 strides, float scale)
{
    DECLARE_SCRATCH(scratch);
    const long row = get_group_id(0) / PARTS;
    const long part = get_group_id(0) - row * PARTS;
    const long begin = part * part_length(vocab) + (long)get_local_id(0) * VECTOR;
    const long end = min((part + 1) * part_length(vocab), vocab);
    const long step = (long)GROUP * VECTOR;
    logits += logits_start + row * strides.s0;
    fvec largest = (fvec)(-INFINITY);
    for (long j = begin; j < end; j += step) {
        const fvec x = load_data(logits + j * strides.s1, strides.s1, end - j, -INFINITY);
        largest = fmax(largest, select((fvec)(INFINITY), x, x < (fvec)(INFINITY)));
    }
    const float maximum = group_max(VECTOR_MAX(largest), scratch);
    fvec sum = (fvec)(0.0f);
    for (long j = begin; j < end && isfinite(maximum); j += step) {
        const fvec x = load_data(logits + j * strides.s1, strides.s1, end - j, -INFINITY);
        sum += exp((x - maximum) * scale);
    }
    const float total = group_sum(VECTOR_SUM(sum), scratch);
    if (get_local_id(0) == 0) {
        parts[parts_start + 2 * get_group_id(0)] = maximum;
        parts[parts_start + 2 * get_group_id(0) + 1] = total;
    }
}

/* ---- What is kept ---- */

/* sums[i] += what of the row counts and lies above thresholds[i]: numbers, or their weights. */
inline void add_above(fvec sums[PARTS], const row_state *row, const float thresholds[PARTS],
                      int counted)
{
    for (long j = (long)get_local_id(0) * VECTOR; j < row->vocab; j += (long)GROUP * VECTOR) {
        const fvec x = logits_at(row, j, row->vocab);
        const fvec weight = counted != 0 ? (fvec)(1.0f) : weight_of(row, x, j);
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            sums[i] += select((fvec)(0.0f), weight, x > (fvec)(thresholds[i]));
        }
    }
}

/* sums[i] += the logits that equal `edge`, count, and have numbers up to bounds[i]. */
inline void add_equal(fvec sums[PARTS], const row_state *row, float edge, const float bounds[PARTS])
{
    for (long j = (long)get_local_id(0) * VECTOR; j < row->vocab; j += (long)GROUP * VECTOR) {
        const fvec x = logits_at(row, j, row->vocab);
        const fvec number = LANE_NUMBERS + (fvec)((float)j);
        const ivec equal = (x == (fvec)(edge)) & is_kept(row, x, j);
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            sums[i] += select((fvec)(0.0f), (fvec)(1.0f), equal & (number <= (fvec)(bounds[i])));
        }
    }
}

/* The number of the token that is the `wanted`-th of those equal to `edge`; the last token where they
 * are no more. */
inline float last_of_equal(const row_state *row, float edge, float wanted, __local float *scratch)
{
    long low = -1;
    long high = row->vocab - 1;
    while (high - low > 1 || low < 0) {
        fvec sums[PARTS];
        float bounds[PARTS];
        float totals[PARTS];
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            bounds[i] = (float)(low + (high - low) * (i + 1) / PARTS);
            sums[i] = (fvec)(0.0f);
        }
        add_equal(sums, row, edge, bounds);
        group_totals(totals, sums, scratch);
        if (high == row->vocab - 1 && totals[PARTS - 1] <= wanted) {
            return (float)high;
        }
        long below = low;
        long above = high;
#pragma unroll
        for (int i = PARTS - 1; i >= 0; i--) {
            above = totals[i] >= wanted ? (long)bounds[i] : above;
        }
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            below = totals[i] < wanted ? (long)bounds[i] : below;
        }
        low = below;
        high = above;
        if (high == 0) {
            break;
        }
    }
    return (float)high;
}

/* Narrows what counts to the first ones, in order, that measure `limit`: numbers where counted, else
 * weights, of which the limit is a share of all. */
inline void keep_first(row_state *row, float limit, int counted, __local float *scratch)
{
    uint low = order_of(-INFINITY);
    uint high = order_of(row->largest);
    float above = 0.0f;
    int is_first = 1;
    while (high - low > 1u) {
        fvec sums[PARTS];
        float thresholds[PARTS];
        float totals[PARTS];
        const uint from = low;
        const uint length = high - low;
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            thresholds[i] = float_of(from + (uint)(((ulong)length * i) / PARTS));
            sums[i] = (fvec)(0.0f);
        }
        add_above(sums, row, thresholds, counted);
        group_totals(totals, sums, scratch);
        if (is_first != 0) {
            limit = counted != 0 ? limit : limit * totals[0];
            is_first = 0;
            if (totals[0] < limit) {
                return;
            }
        }
        /* The last that measures the limit, and the first that doesn't. */
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            const uint here = from + (uint)(((ulong)length * i) / PARTS);
            if (totals[i] >= limit) {
                low = here;
            }
        }
#pragma unroll
        for (int i = PARTS - 1; i >= 0; i--) {
            const uint here = from + (uint)(((ulong)length * i) / PARTS);
            if (totals[i] < limit) {
                high = here;
                above = totals[i];
            }
        }
    }
    const float edge = float_of(high);
    const float each = counted != 0 ? 1.0f : exp((edge - row->largest) * row->scale);
    const float ties = ceil((limit - above) / fmax(each, FLT_MIN));
    const float last = last_of_equal(row, edge, fmax(ties, 1.0f), scratch);
    row->last = edge == row->edge ? fmin(last, row->last) : last;
    row->edge = edge;
}

/* totals[i] = the weight of what counts in part i. */
inline void weigh_parts(float totals[PARTS], const row_state *row, __local float *scratch)
{
    fvec sums[PARTS];
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        const long first = i * part_length(row->vocab);
        const long end = min(first + part_length(row->vocab), row->vocab);
        sums[i] = (fvec)(0.0f);
        for (long j = first + (long)get_local_id(0) * VECTOR; j < end; j += (long)GROUP * VECTOR) {
            sums[i] += weight_of(row, logits_at(row, j, end), j);
        }
    }
    group_totals(totals, sums, scratch);
}

/* ---- The token ---- */

/* The lowest token of part `part` with the largest logit. */
inline float first_of_largest(const row_state *row, int part, __local float *scratch)
{
    const long first = part * part_length(row->vocab);
    const long end = min(first + part_length(row->vocab), row->vocab);
    fvec lowest = (fvec)(-INFINITY);
    for (long j = first + (long)get_local_id(0) * VECTOR; j < end; j += (long)GROUP * VECTOR) {
        const fvec number = LANE_NUMBERS + (fvec)((float)j);
        const ivec found = logits_at(row, j, end) == (fvec)(row->largest);
        lowest = fmax(lowest, select((fvec)(-INFINITY), -number, found));
    }
    return -group_max(VECTOR_MAX(lowest), scratch);
}

/* Goes through tokens first … end − 1: the first at which the sum of weights exceeds `left`, or the
 * last with a weight. */
inline long draw_serially(const row_state *row, long first, long end, float left)
{
    long drawn = first;
    for (long j = first; j < end && left >= 0.0f; j++) {
        const float weight = token_weight(row, j);
        drawn = weight > 0.0f ? j : drawn;
        left -= weight;
    }
    return drawn;
}

/* The token of tokens first … end − 1 at which the sum of weights exceeds `left`; in item 0. */
inline long draw_from(const row_state *row, long first, long end, float left, __local float *scratch)
{
#if GROUP == 1
    const long chunk = 8 * VECTOR;
    const long chunks = (end - first + chunk - 1) / chunk;
#else
    const long chunk = (end - first + GROUP - 1) / GROUP;
    const long chunks = GROUP;
    const long own = first + (long)get_local_id(0) * chunk;
    float sum = 0.0f;
    for (long j = own; j < min(own + chunk, end); j++) {
        sum += token_weight(row, j);
    }
    scratch[get_local_id(0)] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) != 0) {
        return 0;
    }
#endif
    long chosen = 0;
    float left_there = left;
    for (long k = 0; k < chunks && left >= 0.0f; k++) {
#if GROUP == 1
        fvec sums = (fvec)(0.0f);
        const long stop = min(first + (k + 1) * chunk, end);
        for (long j = first + k * chunk; j < stop; j += VECTOR) {
            sums += weight_of(row, logits_at(row, j, stop), j);
        }
        const float weight = VECTOR_SUM(sums);
#else
        const float weight = scratch[k];
#endif
        chosen = weight > 0.0f ? k : chosen;
        left_there = weight > 0.0f ? left : left_there;
        left -= weight;
    }
    return draw_serially(row, first + chosen * chunk, min(first + (chosen + 1) * chunk, end),
                         left_there);
}

ROW_KERNEL void sample_row(__global int *tokens, long tokens_start, __global const data_t *logits,
                           long logits_start, __global const int *random, long random_start,
                           __global const float *parts, long parts_start, long vocab, long8 strides,
                           float scale, float top_k, float top_p, int takes_first)
{
    DECLARE_SUMS(scratch);
    const long number = get_group_id(0);
    float totals[PARTS];
    row_state row = {logits + logits_start + number * strides.s0,
                     strides.s1,
                     vocab,
                     -INFINITY,
                     scale,
                     -INFINITY,
                     -1.0f};
    int largest_part = 0;
    parts += parts_start + 2 * PARTS * number;
    for (int i = 0; i < PARTS; i++) {
        largest_part = parts[2 * i] > row.largest ? i : largest_part;
        row.largest = fmax(row.largest, parts[2 * i]);
    }
    tokens += tokens_start + number * strides.s2;
    if (!isfinite(row.largest)) {
        if (get_local_id(0) == 0) {
            *tokens = -1;
        }
        return;
    }
    if (takes_first != 0) {
        const float token = first_of_largest(&row, largest_part, scratch);
        if (get_local_id(0) == 0) {
            *tokens = (int)token;
        }
        return;
    }
    if (top_k > 0.0f) {
        keep_first(&row, top_k, 1, scratch);
    }
    if (top_p < 1.0f) {
        keep_first(&row, top_p, 0, scratch);
    }
    if (top_k > 0.0f || top_p < 1.0f) {
        weigh_parts(totals, &row, scratch);
    } else {
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            totals[i] = parts[2 * i + 1] * exp((parts[2 * i] - row.largest) * scale);
        }
    }
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        total += totals[i];
    }
    const uint word = (uint)random[random_start + number * strides.s3];
    float left = (float)(word >> 8) * 0x1p-24f * total;
    float left_there = left;
    int chosen = 0;
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        const float weight = totals[i] > NO_WEIGHT ? totals[i] : 0.0f;
        const int reached = left >= 0.0f && weight > 0.0f;
        chosen = reached ? i : chosen;
        left_there = reached ? left : left_there;
        left -= weight;
    }
    const long first = chosen * part_length(vocab);
    const long token =
        draw_from(&row, first, min(first + part_length(vocab), vocab), left_there, scratch);
    if (get_local_id(0) == 0) {
        *tokens = (int)token;
    }
}
