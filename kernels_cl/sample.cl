/* SAMPLE: a token drawn from each row of logits, in two launches.
 *
 * Shapes: logits [rows, vocab], tokens [rows], random [rows, 2]; parts f32 [rows, PARTS, 2] is scratch.
 * strides = (logits row, col, tokens, random row, col, 0, 0, 0).
 * A row is cut into PARTS runs of neighbouring tokens.
 *   sample_parts: a group of GROUP a part: global rows·PARTS·GROUP. The largest logit of each part and
 *     the sum of exp((x − largest)·scale); the largest is infinite where a logit is NaN or +∞. Bound by
 *     reading the logits once.
 *   Then a group a row: global rows·GROUP, by one of three kernels.
 *   sample_first: the first of the largest logits.
 *   sample_all: without top_k and top_p; looks at the one part that has the token.
 *   sample_kept: with them. It first finds what each lets in, by sweeps that measure what lies above
 *     PARTS thresholds at once: at most eight a limit, from the cache, bound by PARTS comparisons and
 *     additions a logit.
 * No barrier lies in a branch, and sweeps of all kinds are one loop: PoCL copies all that comes behind
 * a barrier in a branch.
 * Thresholds are found between floats numbered in ascending order, so ties of logits are exact, and by
 * number among equal ones. Sums are added in an order that doesn't depend on the data: what lies above a
 * threshold never grows with it, and the same logits give the same token.
 * Macros: DATA, VECTOR, GROUP. vocab ≤ 2^24: tokens and counts are exact in f32. */

/* Of an inline function that a compiler finds too large nothing is left to call; and PoCL 3.1 dies of
 * static ones with barriers. */
#define INLINE inline __attribute__((always_inline))

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
INLINE void group_totals(float totals[PARTS], const fvec sums[PARTS], __local float *scratch)
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

INLINE long part_length(long vocab)
{
    return (vocab + PARTS - 1) / PARTS;
}

/* Numbers floats in ascending order, without gaps. */
INLINE uint order_of(float value)
{
    const uint bits = as_uint(value);
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

INLINE float float_of(uint order)
{
    return as_float((order & 0x80000000u) != 0u ? order & 0x7fffffffu : ~order);
}

/* Logits j … of a row, −∞ from `end` on. */
INLINE fvec logits_at(const row_state *row, long j, long end)
{
    return load_data(row->logits + j * row->stride, row->stride, end - j, -INFINITY);
}

INLINE ivec is_kept(const row_state *row, fvec x, long j)
{
    const fvec number = LANE_NUMBERS + (fvec)((float)j);
    return (x > (fvec)(row->edge)) | ((x == (fvec)(row->edge)) & (number <= (fvec)(row->last)));
}

INLINE fvec weight_of(const row_state *row, fvec x, long j)
{
    return select((fvec)(0.0f), exp((x - row->largest) * row->scale), is_kept(row, x, j));
}

/* The same for one token. */
INLINE float token_weight(const row_state *row, long j)
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

/* What a sweep measures. */
#define NUMBERS 0 /* how many logits lie above thresholds, for top_k */
#define WEIGHTS 1 /* what they weigh, for top_p */
#define TIES 2    /* how many logits equal to the edge have numbers up to bounds */
#define NOTHING 3 /* all limits are applied */

/* The search for what a limit lets in: first the edge between two neighbouring floats, by number in
 * ascending order, then how many of the logits that are equal to it. */
typedef struct search {
    int measure;
    float top_p;  /* What comes next; 1: nothing. */
    float wanted; /* What is to be measured. */
    int is_first; /* `wanted` is still a share of the sum that the first sweep measures. */
    long low;     /* Floats from here on, or tokens up to here, measure enough, or too little; */
    long high;    /* for those from, or up to, here it is the other way round. */
    float above;  /* What was measured above `high`. */
    float edge;
} search;

INLINE void search_limit(search *state, const row_state *row, int measure, float limit)
{
    state->measure = measure;
    state->wanted = limit;
    state->is_first = 1;
    state->low = order_of(-INFINITY);
    state->high = order_of(row->largest);
    state->above = 0.0f;
}

INLINE void search_next_limit(search *state, const row_state *row)
{
    search_limit(state, row, state->top_p < 1.0f ? WEIGHTS : NOTHING, state->top_p);
    state->top_p = 1.0f;
}

/* The i-th of PARTS places between low and high: a float, or a token. */
INLINE long search_place(const search *state, int i)
{
    const long length = state->high - state->low;
    return state->low + length * (state->measure == TIES ? i + 1 : i) / PARTS;
}

/* sums[i] += what lies above the i-th threshold, or up to the i-th bound. */
INLINE void sweep(fvec sums[PARTS], const search *state, const row_state *row)
{
    float thresholds[PARTS];
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        const long place = search_place(state, i);
        thresholds[i] = state->measure == TIES ? -(float)(place + 1) : float_of((uint)place);
    }
    for (long j = (long)get_local_id(0) * VECTOR; j < row->vocab; j += (long)GROUP * VECTOR) {
        const fvec x = logits_at(row, j, row->vocab);
        fvec amount = (fvec)(1.0f);
        fvec key = x;
        if (state->measure == WEIGHTS) {
            amount = weight_of(row, x, j);
        } else if (state->measure == TIES) {
            amount = select((fvec)(0.0f), amount, x == (fvec)(state->edge));
            key = -(LANE_NUMBERS + (fvec)((float)j));
        }
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            sums[i] += select((fvec)(0.0f), amount, key > (fvec)(thresholds[i]));
        }
    }
}

/* Narrows the search to the last place that measures enough, where `falling`, and the first that
 * doesn't; else the other way round. */
INLINE void search_narrow(search *state, const float totals[PARTS], int falling)
{
    const search before = *state;
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        if ((totals[i] >= before.wanted) == (falling != 0)) {
            state->low = search_place(&before, i);
        }
    }
#pragma unroll
    for (int i = PARTS - 1; i >= 0; i--) {
        if ((totals[i] >= before.wanted) != (falling != 0)) {
            state->high = search_place(&before, i);
            state->above = totals[i];
        }
    }
}

/* After a sweep over thresholds. */
INLINE void search_edge(search *state, const row_state *row, const float totals[PARTS])
{
    if (state->is_first != 0) {
        state->is_first = 0;
        state->wanted *= state->measure == WEIGHTS ? totals[0] : 1.0f;
        if (totals[0] < state->wanted) {
            search_next_limit(state, row);
            return;
        }
    }
    search_narrow(state, totals, 1);
    if (state->high - state->low > 1) {
        return;
    }
    state->edge = float_of((uint)state->high);
    const float each =
        state->measure == WEIGHTS ? exp((state->edge - row->largest) * row->scale) : 1.0f;
    state->wanted = fmax(ceil((state->wanted - state->above) / fmax(each, FLT_MIN)), 1.0f);
    state->measure = TIES;
    state->low = -1;
    state->high = row->vocab - 1;
}

/* After a sweep over bounds: the token that is the `wanted`-th of those equal to the edge, or the last
 * of all, ends what is kept; unless top_k left it out. */
INLINE void search_last(search *state, row_state *row, const float totals[PARTS])
{
    if (state->high < row->vocab - 1 || totals[PARTS - 1] > state->wanted) {
        search_narrow(state, totals, 0);
        if (state->high > 0 && (state->high - state->low > 1 || state->low < 0)) {
            return;
        }
    }
    const float last = (float)state->high;
    row->last = state->edge == row->edge ? fmin(last, row->last) : last;
    row->edge = state->edge;
    search_next_limit(state, row);
}

/* Narrows what counts to the first ones, in order, that top_k and top_p let in. */
INLINE void keep_first(row_state *row, float top_k, float top_p, __local float *scratch)
{
    search state = {.top_p = top_p};
    if (!isfinite(row->largest)) {
        state.measure = NOTHING;
    } else if (top_k > 0.0f) {
        search_limit(&state, row, NUMBERS, top_k);
    } else {
        search_next_limit(&state, row);
    }
    while (state.measure != NOTHING) {
        fvec sums[PARTS];
        float totals[PARTS];
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            sums[i] = (fvec)(0.0f);
        }
        sweep(sums, &state, row);
        group_totals(totals, sums, scratch);
        if (state.measure == TIES) {
            search_last(&state, row, totals);
        } else {
            search_edge(&state, row, totals);
        }
    }
}

/* totals[i] = the weight of what counts in part i. */
INLINE void weigh_parts(float totals[PARTS], const row_state *row, __local float *scratch)
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
INLINE float first_of_largest(const row_state *row, int part, __local float *scratch)
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
INLINE long draw_serially(const row_state *row, long first, long end, float left)
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
INLINE long draw_from(const row_state *row, long first, long end, float left, __local float *scratch)
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

/* What is known of a row by its parts; the first part with its largest logit. */
INLINE int read_parts(row_state *row, __global const float *parts)
{
    int largest_part = 0;
    row->largest = -INFINITY;
    for (int i = 0; i < PARTS; i++) {
        largest_part = parts[2 * i] > row->largest ? i : largest_part;
        row->largest = fmax(row->largest, parts[2 * i]);
    }
    return largest_part;
}

/* The token that a random word draws from parts of these weights; in item 0. */
INLINE long draw(const row_state *row, const float totals[PARTS], uint word, __local float *scratch)
{
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        total += totals[i];
    }
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
    const long first = chosen * part_length(row->vocab);
    return draw_from(row, first, min(first + part_length(row->vocab), row->vocab), left_there,
                     scratch);
}

#define ROW_ARGUMENTS                                                                      \
    __global int *tokens, long tokens_start, __global const data_t *logits,                \
        long logits_start, __global const int *random, long random_start,                  \
        __global const float *parts, long parts_start, long vocab, long8 strides, float scale
#define ROW_NUMBER ((long)get_group_id(0))
#define ROW_PARTS (parts + parts_start + 2 * PARTS * ROW_NUMBER)
#define ROW_WORD ((uint)random[random_start + ROW_NUMBER * strides.s3])
#define ROW_STATE                                                                          \
    {                                                                                      \
        logits + logits_start + ROW_NUMBER * strides.s0, strides.s1, vocab, 0.0f, scale,   \
            -INFINITY, -1.0f                                                               \
    }

/* A row without distribution has token −1. */
#define WRITE_TOKEN(row, token)                                                            \
    if (get_local_id(0) == 0) {                                                            \
        tokens[tokens_start + ROW_NUMBER * strides.s2] =                                   \
            isfinite((row).largest) ? (int)(token) : -1;                                   \
    }

ROW_KERNEL void sample_first(ROW_ARGUMENTS)
{
    DECLARE_SCRATCH(scratch);
    row_state row = ROW_STATE;
    const int largest_part = read_parts(&row, ROW_PARTS);
    const float token = first_of_largest(&row, largest_part, scratch);
    WRITE_TOKEN(row, token)
}

ROW_KERNEL void sample_all(ROW_ARGUMENTS)
{
    DECLARE_SCRATCH(scratch);
    row_state row = ROW_STATE;
    float totals[PARTS];
    read_parts(&row, ROW_PARTS);
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        totals[i] = ROW_PARTS[2 * i + 1] * exp((ROW_PARTS[2 * i] - row.largest) * scale);
    }
    const long token = draw(&row, totals, ROW_WORD, scratch);
    WRITE_TOKEN(row, token)
}

ROW_KERNEL void sample_kept(ROW_ARGUMENTS, float top_k, float top_p)
{
    DECLARE_SUMS(scratch);
    row_state row = ROW_STATE;
    float totals[PARTS];
    read_parts(&row, ROW_PARTS);
    keep_first(&row, top_k, top_p, scratch);
    weigh_parts(totals, &row, scratch);
    const long token = draw(&row, totals, ROW_WORD, scratch);
    WRITE_TOKEN(row, token)
}
