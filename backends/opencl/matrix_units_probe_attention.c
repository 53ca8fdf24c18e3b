/* Tries ATTENTION or ATTENTION_BACKWARD on matrix units: whole tiles and edges, more keys than
 * queries, causal and not, heads interleaved with others' rows, with dropout or without. Results
 * are compared with sums in double, under bounds of the kind that ttm/ops.h states: one rounding of
 * the result and of each weight to the tensors' type, and a little for sums in f32. */
#include "opencl/attention_shapes.h"
#include "opencl/matrix_units_probe_runner.h"

#include <ttm/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = TTM_ATTENTION_BACKWARD_TENSORS, HEADS = 2, LSE = TTM_ATTENTION_BACKWARD_LSE };

/* How far things may be off, relative to what they are sums of. */
typedef struct trial_units {
    double weight; /* A weight, with what the scores' f32 sums add to it. */
    double result;
    double sum; /* In f32, of which a matrix unit cuts the last bits off. */
} trial_units;

/* One head of one batch after the other, [rows, size] each; lse [rows]. Slots are those of
 * ATTENTION_BACKWARD. `bounds` is how far a result may be off. */
typedef struct attention_trial {
    ttm_attention_params params;
    int64_t batches;
    int64_t queries;
    int64_t keys;
    int64_t size;
    int aligned;
    int backward;
    int parts; /* 1: tensors are bf16; 2: they are TF32, 3: f32, which the kernels split. */
    trial_units units;
    uint64_t random;
    double *values[SLOTS];
    double *bounds[SLOTS];
    ttm_tensor tensors[SLOTS];
    unsigned char *bytes[SLOTS];
    size_t byte_counts[SLOTS];
} attention_trial;

static int64_t rows_of(const attention_trial *t, int slot)
{
    const int is_of_keys = slot == TTM_ATTENTION_BACKWARD_K || slot == TTM_ATTENTION_BACKWARD_V ||
                           slot == TTM_ATTENTION_BACKWARD_DK || slot == TTM_ATTENTION_BACKWARD_DV;
    return is_of_keys ? t->keys : t->queries;
}

static int64_t size_of(const attention_trial *t, int slot)
{
    return slot == LSE ? 1 : t->size;
}

static int64_t head_elements(const attention_trial *t, int slot)
{
    return rows_of(t, slot) * size_of(t, slot);
}

/* The value as a tensor has it. */
static double rounded_for(const attention_trial *t, double value)
{
    const float narrow = (float)value;
    uint32_t bits;
    float rounded;
    if (t->parts > 1) {
        return narrow;
    }
    memcpy(&bits, &narrow, sizeof bits);
    bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
    memcpy(&rounded, &bits, sizeof rounded);
    return rounded;
}

/* ---- What is right ---- */

/* Pointers to one head's part of every slot's values or bounds. */
static void find_head(double *parts[SLOTS], double *const *all, const attention_trial *t,
                      int64_t head)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        parts[slot] = all[slot] + head * head_elements(t, slot);
    }
}

static double dot(double *absolute, const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    *absolute = 0.0;
    for (int64_t d = 0; d < count; d++) {
        sum += a[d] * b[d];
        *absolute += fabs(a[d] * b[d]);
    }
    return sum;
}

/* scores of query i and their number; *error = what the largest may be off by, relative to a
 * weight. */
static int64_t score(double *scores, double *error, const attention_trial *t,
                     double *const v[SLOTS], int64_t i)
{
    const int64_t visible = t->params.causal ? i + t->keys - t->queries + 1 : t->keys;
    *error = 0.0;
    for (int64_t j = 0; j < visible; j++) {
        double absolute = 0.0;
        scores[j] = t->params.scale * dot(&absolute, v[TTM_ATTENTION_BACKWARD_Q] + i * t->size,
                                          v[TTM_ATTENTION_BACKWARD_K] + j * t->size, t->size);
        *error = fmax(*error, t->units.sum * (1.0 + t->params.scale * absolute));
    }
    return visible;
}

/* What dropout multiplies the weight of query i and key j of a head by. */
static double dropout_factor(const attention_trial *t, int64_t head, int64_t i, int64_t j)
{
    const double dropout = t->params.dropout;
    const uint64_t number = (uint64_t)((head * t->queries + i) * t->keys + j);
    if (dropout == 0.0) {
        return 1.0;
    }
    return ttm_philox_u32(t->params.seed, number) * 0x1p-32 >= dropout ? 1.0 / (1.0 - dropout)
                                                                       : 0.0;
}

static void compute_forward(const attention_trial *t, int64_t head, double *scores)
{
    double *v[SLOTS];
    double *b[SLOTS];
    find_head(v, t->values, t, head);
    find_head(b, t->bounds, t, head);
    for (int64_t i = 0; i < t->queries; i++) {
        double error = 0.0;
        double total = 0.0;
        const int64_t visible = score(scores, &error, t, v, i);
        for (int64_t j = 0; j < visible; j++) {
            total += exp(scores[j]);
        }
        v[LSE][i] = log(total);
        b[LSE][i] = error;
        for (int64_t j = 0; j < visible; j++) {
            scores[j] = exp(scores[j]) / total * dropout_factor(t, head, i, j);
        }
        double *out = v[TTM_ATTENTION_BACKWARD_OUT] + i * t->size;
        double *bound = b[TTM_ATTENTION_BACKWARD_OUT] + i * t->size;
        for (int64_t d = 0; d < t->size; d++) {
            double absolute = 0.0;
            out[d] = 0.0;
            for (int64_t j = 0; j < visible; j++) {
                const double term = scores[j] * v[TTM_ATTENTION_BACKWARD_V][j * t->size + d];
                out[d] += term;
                absolute += fabs(term);
            }
            bound[d] = t->units.result * fabs(out[d]) + (t->units.weight + 2.0 * error) * absolute;
        }
    }
}

/* Adds weight·rows to a result, and what that may be off by to its bound. */
static void add_row(double *result, double *bound, const double *row, double weight, double off,
                    int64_t size)
{
    for (int64_t d = 0; d < size; d++) {
        result[d] += weight * row[d];
        bound[d] += off * fabs(row[d]);
    }
}

/* From out and lse as they are passed. */
static void compute_backward(const attention_trial *t, int64_t head, double *scores)
{
    double *v[SLOTS];
    double *b[SLOTS];
    find_head(v, t->values, t, head);
    find_head(b, t->bounds, t, head);
    for (int64_t i = 0; i < t->queries; i++) {
        double error = 0.0;
        double delta_absolute = 0.0;
        const int64_t visible = score(scores, &error, t, v, i);
        const double *dout = v[TTM_ATTENTION_BACKWARD_DOUT] + i * t->size;
        const double delta =
            dot(&delta_absolute, dout, v[TTM_ATTENTION_BACKWARD_OUT] + i * t->size, t->size);
        for (int64_t j = 0; j < visible; j++) {
            double absolute = 0.0;
            const double p = exp(scores[j] - v[LSE][i]);
            const double w = dropout_factor(t, head, i, j);
            const double dp =
                w * dot(&absolute, dout, v[TTM_ATTENTION_BACKWARD_V] + j * t->size, t->size);
            const double ds = t->params.scale * p * (dp - delta);
            const double off = t->units.weight * fabs(ds) +
                               t->params.scale * p * 2.0 * error * (w * absolute + delta_absolute);
            add_row(v[TTM_ATTENTION_BACKWARD_DQ] + i * t->size,
                    b[TTM_ATTENTION_BACKWARD_DQ] + i * t->size,
                    v[TTM_ATTENTION_BACKWARD_K] + j * t->size, ds, off, t->size);
            add_row(v[TTM_ATTENTION_BACKWARD_DK] + j * t->size,
                    b[TTM_ATTENTION_BACKWARD_DK] + j * t->size,
                    v[TTM_ATTENTION_BACKWARD_Q] + i * t->size, ds, off, t->size);
            add_row(v[TTM_ATTENTION_BACKWARD_DV] + j * t->size,
                    b[TTM_ATTENTION_BACKWARD_DV] + j * t->size, dout, w * p,
                    (t->units.weight + 2.0 * error) * w * p, t->size);
        }
    }
    for (int slot = TTM_ATTENTION_BACKWARD_DQ; slot <= TTM_ATTENTION_BACKWARD_DV; slot++) {
        for (int64_t i = 0; i < head_elements(t, slot); i++) {
            b[slot][i] += t->units.result * fabs(v[slot][i]);
        }
    }
}

static int compute(attention_trial *t)
{
    double *scores = calloc((size_t)t->keys, sizeof *scores);
    if (scores == NULL) {
        return probe_say("no memory", "");
    }
    for (int64_t head = 0; head < t->batches * HEADS; head++) {
        compute_forward(t, head, scores);
        for (int64_t i = 0; i < head_elements(t, TTM_ATTENTION_BACKWARD_OUT); i++) {
            double *out = t->values[TTM_ATTENTION_BACKWARD_OUT] +
                          head * head_elements(t, TTM_ATTENTION_BACKWARD_OUT) + i;
            *out = t->backward ? rounded_for(t, *out) : *out;
        }
        if (t->backward) {
            compute_backward(t, head, scores);
        }
    }
    free(scores);
    return 0;
}

/* ---- Tensors ---- */

static ttm_dtype type_of(const attention_trial *t, int slot)
{
    const int is_operand = slot >= TTM_ATTENTION_BACKWARD_DOUT && slot <= TTM_ATTENTION_BACKWARD_V;
    if (t->parts == 1 && slot != LSE) {
        return TTM_BF16;
    }
    return t->parts == 2 && is_operand ? TTM_TF32 : TTM_F32;
}

/* [batches, HEADS, rows, size] as a model lays them out: [batches, rows, HEADS, size], rows a bit
 * farther apart, so that they are multiples of 16 bytes or none. Between them are NaN. */
static int make_tensor(attention_trial *t, int slot)
{
    ttm_tensor *tensor = &t->tensors[slot];
    const int64_t rows = rows_of(t, slot);
    const int64_t size = size_of(t, slot);
    const int64_t row_stride = HEADS * size + (t->aligned ? 8 : 1);
    *tensor = (ttm_tensor){.dtype = type_of(t, slot), .rank = slot == LSE ? 3 : 4};
    const int64_t shape[] = {t->batches, HEADS, rows, size};
    const int64_t strides[] = {rows * row_stride, size, row_stride, 1};
    memcpy(tensor->shape, shape, sizeof shape[0] * (size_t)tensor->rank);
    memcpy(tensor->stride, strides, sizeof strides[0] * (size_t)tensor->rank);
    t->byte_counts[slot] =
        (size_t)(t->batches * rows * row_stride) * ttm_dtype_bytes(tensor->dtype);
    t->bytes[slot] = malloc(t->byte_counts[slot]);
    t->values[slot] = calloc((size_t)(t->batches * HEADS * rows * size), sizeof(double));
    t->bounds[slot] = calloc((size_t)(t->batches * HEADS * rows * size), sizeof(double));
    if (t->bytes[slot] == NULL || t->values[slot] == NULL || t->bounds[slot] == NULL) {
        return probe_say("no memory", "");
    }
    memset(t->bytes[slot], 0xff, t->byte_counts[slot]);
    return 0;
}

/* Where element i of a slot's values is in its tensor. */
static unsigned char *find_element(const attention_trial *t, int slot, int64_t i)
{
    const ttm_tensor *tensor = &t->tensors[slot];
    const int64_t size = size_of(t, slot);
    const int64_t row = i / size % rows_of(t, slot);
    const int64_t head = i / head_elements(t, slot);
    const int64_t at = head / HEADS * tensor->stride[0] + head % HEADS * tensor->stride[1] +
                       row * tensor->stride[2] + i % size;
    return t->bytes[slot] + (size_t)at * ttm_dtype_bytes(tensor->dtype);
}

static void write_values(const attention_trial *t, int slot)
{
    const int is_whole = t->tensors[slot].dtype != TTM_BF16;
    for (int64_t i = 0; i < t->batches * HEADS * head_elements(t, slot); i++) {
        const float value = (float)t->values[slot][i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        const uint16_t upper = (uint16_t)(bits >> 16);
        memcpy(find_element(t, slot, i), is_whole ? (void *)&bits : (void *)&upper,
               is_whole ? sizeof bits : sizeof upper);
    }
}

static double read_value(const attention_trial *t, int slot, int64_t i)
{
    uint32_t bits = 0;
    uint16_t upper = 0;
    float value;
    if (t->tensors[slot].dtype != TTM_BF16) {
        memcpy(&bits, find_element(t, slot, i), sizeof bits);
    } else {
        memcpy(&upper, find_element(t, slot, i), sizeof upper);
        bits = (uint32_t)upper << 16;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int prepare(attention_trial *t)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        if (make_tensor(t, slot)) {
            return 1;
        }
    }
    for (int slot = TTM_ATTENTION_BACKWARD_DOUT; slot <= TTM_ATTENTION_BACKWARD_V; slot++) {
        for (int64_t i = 0; i < t->batches * HEADS * head_elements(t, slot); i++) {
            t->values[slot][i] = rounded_for(t, 3.0 * probe_uniform(&t->random));
        }
        write_values(t, slot);
    }
    if (compute(t)) {
        return 1;
    }
    if (t->backward) {
        write_values(t, TTM_ATTENTION_BACKWARD_OUT);
        write_values(t, LSE);
    }
    return 0;
}

static void free_trial(attention_trial *t)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        free(t->bytes[slot]);
        free(t->values[slot]);
        free(t->bounds[slot]);
    }
}

/* ---- Running ---- */

/* Slots in the order of the op. */
static int order_slots(int order[SLOTS], int backward)
{
    static const int forward[] = {TTM_ATTENTION_BACKWARD_OUT, TTM_ATTENTION_BACKWARD_Q,
                                  TTM_ATTENTION_BACKWARD_K, TTM_ATTENTION_BACKWARD_V, LSE};
    for (int i = 0; i < SLOTS; i++) {
        order[i] = backward ? i : forward[i % TTM_ATTENTION_TENSORS];
    }
    return backward ? TTM_ATTENTION_BACKWARD_TENSORS : TTM_ATTENTION_TENSORS;
}

static int run(const probe_runner *with, attention_trial *t)
{
    int order[SLOTS];
    ttm_tensor tensors[SLOTS];
    ttm_status status = TTM_OK;
    const int count = order_slots(order, t->backward);
    for (int i = 0; i < count && status == TTM_OK; i++) {
        const int slot = order[i];
        tensors[i] = t->tensors[slot];
        status = with->table->memory_alloc(&tensors[i].memory, with->device, t->byte_counts[slot]);
        if (status == TTM_OK) {
            status = with->table->memory_write(with->stream, tensors[i].memory, 0, t->bytes[slot],
                                               t->byte_counts[slot]);
        }
    }
    ttm_op op = {.struct_size = sizeof op,
                 .opcode = t->backward ? TTM_OP_ATTENTION_BACKWARD : TTM_OP_ATTENTION,
                 .tensor_count = (uint32_t)count,
                 .tensors = tensors,
                 .params = &t->params,
                 .params_bytes = sizeof t->params};
    if (status == TTM_OK) {
        status = probe_run_op(with, &op);
    }
    for (int i = 0; i < count && status == TTM_OK; i++) {
        status = with->table->memory_read(with->stream, t->bytes[order[i]], tensors[i].memory, 0,
                                          t->byte_counts[order[i]]);
        with->table->memory_free(with->device, tensors[i].memory);
    }
    return status == TTM_OK ? 0 : probe_say("attention can't be run", probe_last_message());
}

static int compare(const attention_trial *t, int slot, const char *name)
{
    for (int64_t i = 0; i < t->batches * HEADS * head_elements(t, slot); i++) {
        const double got = read_value(t, slot, i);
        if (!(fabs(got - t->values[slot][i]) <= t->bounds[slot][i])) {
            char text[160];
            snprintf(text, sizeof text, "%s[%d, %d, %d] is %g instead of %g (bound %.2g)", name,
                     (int)(i / head_elements(t, slot)),
                     (int)(i / size_of(t, slot) % rows_of(t, slot)), (int)(i % size_of(t, slot)),
                     got, t->values[slot][i], t->bounds[slot][i]);
            return probe_say("wrong numbers", text);
        }
    }
    return 0;
}

static int compare_results(const attention_trial *t)
{
    if (!t->backward) {
        return compare(t, TTM_ATTENTION_BACKWARD_OUT, "out") || compare(t, LSE, "lse");
    }
    return compare(t, TTM_ATTENTION_BACKWARD_DQ, "dq") ||
           compare(t, TTM_ATTENTION_BACKWARD_DK, "dk") ||
           compare(t, TTM_ATTENTION_BACKWARD_DV, "dv");
}

/* A number of keys that the kernel in question takes: multiples of 4, or none. */
static int64_t fitting_keys(int64_t keys, int dropout)
{
    const int64_t behind = keys % 4;
    return dropout == OPENCL_ATTENTION_DROPS_OF_FOURS         ? keys + (4 - behind) % 4
           : dropout == OPENCL_ATTENTION_DROPS && behind == 0 ? keys + 2
                                                              : keys;
}

int probe_attention(const probe_runner *probed, const int numbers[PROBE_ATTENTION_NUMBERS])
{
    /* Batches, queries, keys, causal: several blocks and tiles with edges; a cache before the
     * queries; another sequence; whole tiles. */
    static const int sizes[][4] = {
        {1, 201, 201, 1}, {2, 35, 99, 1}, {1, 70, 133, 0}, {1, 128, 128, 1}};
    static const trial_units of_bf16 = {1.05 / 256.0, 1.01 / 256.0, 0x1p-16};
    static const trial_units of_two_parts = {0x1p-13, 0x1p-22, 0x1p-13};
    static const trial_units of_three_parts = {0x1p-20, 0x1p-22, 0x1p-20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        attention_trial t = {
            .params = {.scale = 1.0 / sqrt((double)numbers[0]),
                       .dropout = numbers[3] != OPENCL_ATTENTION_KEEPS_ALL ? 0.3 : 0.0,
                       .seed = 0x123456789abcdef0u + i,
                       .causal = sizes[i][3]},
            .batches = sizes[i][0],
            .queries = sizes[i][1],
            .keys = fitting_keys(sizes[i][2], numbers[3]),
            .size = numbers[0],
            .aligned = numbers[1],
            .backward = numbers[2],
            .parts = numbers[4],
            .units = numbers[4] == 1   ? of_bf16
                     : numbers[4] == 2 ? of_two_parts
                                       : of_three_parts,
            .random = (uint64_t)(i + 1) * 1000003u};
        const int failed = prepare(&t) || run(probed, &t) || compare_results(&t);
        free_trial(&t);
        if (failed) {
            return 1;
        }
    }
    return 0;
}
