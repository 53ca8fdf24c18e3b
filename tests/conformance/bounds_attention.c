/* The bounds of attention: what rounding every number once makes of a result, to first order, with
 * the case's own scores, weights and values. docs/conformance.md derives it.
 *
 * Each rounding is an error of at most u times what is rounded, and unrelated to the others: a
 * variance of u²/3. A sum of n terms gathers n of them, each of at most the sum of absolute values:
 * n/3 times its square. All variances below are in units of u32². Weights and the gradients of
 * scores may be rounded once more, to bf16, where the tensors are bf16.
 *
 * Operands of TF32 are rounded to 11 bits, each number once for many sums, so that these errors
 * aren't independent: they are added up as they are, two for each product. */
#include "conformance/bounds_attention.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>

/* How many standard deviations an error may have. */
#define DEVIATIONS 8.0

/* One head, and of the query that is looked at: for each key the score, its Σ|q·k|·scale, the
 * probability, and the variance of the probability's relative error. */
typedef struct head {
    const ttm_attention_params *params;
    int64_t number; /* b·H + h */
    int64_t queries;
    int64_t keys;
    int64_t size;
    double rounding; /* Variance of rounding a weight to bf16, relative; 0 for other types. */
    double coarse;   /* What rounding two operands of TF32 makes, relative; 0 for other types. */
    const double *q; /* [queries, size] of this head, and so on */
    const double *k;
    const double *v;
    double *score;
    double *absolute;
    double *probability;
    double *variance;
} head;

static double square(double x)
{
    return x * x;
}

/* Variance of what a sum of `terms` gathers whose terms' absolute values add up to `absolute`. */
static double sum_variance(int64_t terms, double absolute)
{
    return (double)terms / 3.0 * square(absolute);
}

static int64_t visible_keys(const head *h, int64_t query)
{
    return h->params->causal ? query + (h->keys - h->queries) + 1 : h->keys;
}

/* What dropout multiplies a probability by. */
static double keep_factor(const head *h, int64_t query, int64_t key)
{
    const double dropout = h->params->dropout;
    const int64_t number = (h->number * h->queries + query) * h->keys + key;
    if (dropout == 0.0) {
        return 1.0;
    }
    const bool kept = ttm_philox_u32(h->params->seed, (uint64_t)number) * 0x1p-32 >= dropout;
    return kept ? 1.0 / (1.0 - dropout) : 0.0;
}

/* Returns Σ a·b; *absolute = Σ |a·b|. */
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

/* Fills scores and their absolute values for one query; returns the largest score. */
static double score_query(const head *h, int64_t query, int64_t visible)
{
    double largest = -(double)INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        h->score[j] = h->params->scale *
                      dot(&h->absolute[j], h->q + query * h->size, h->k + j * h->size, h->size);
        h->absolute[j] *= fabs(h->params->scale);
        largest = fmax(largest, h->score[j]);
    }
    return largest;
}

/* Fills probabilities exp(score − lse) and their variances. An exponent is a score less `shift`:
 * the score is a sum of D products, scaled; the difference is rounded, and so is its product with
 * log2 e; exp itself is off by up to four roundings. */
static void weigh_query(const head *h, int64_t visible, double shift, double lse)
{
    for (int64_t j = 0; j < visible; j++) {
        h->probability[j] = exp(h->score[j] - lse);
        h->variance[j] = sum_variance(h->size + 2, h->absolute[j]) +
                         (4.0 * square(h->score[j] - shift) + 16.0) / 3.0;
    }
}

static ttm_status allocate(head *h)
{
    const size_t count = (size_t)h->keys + 1;
    h->score = calloc(4 * count, sizeof *h->score);
    if (h->score == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for attention's error bounds");
    }
    h->absolute = h->score + count;
    h->probability = h->absolute + count;
    h->variance = h->probability + count;
    return TTM_OK;
}

static double rounding_variance(ttm_dtype dtype, double sum_unit)
{
    return dtype == TTM_BF16 ? square(0x1p-8 / sum_unit) / 3.0 : 0.0;
}

static head first_head(const bound_question *question, double sum_unit, uint32_t q_slot,
                       uint32_t k_slot, uint32_t v_slot)
{
    const struct operand *slots = question->made->slots;
    return (head){.params = &question->made->params.attention,
                  .queries = slots[q_slot].shape[2],
                  .keys = slots[k_slot].shape[2],
                  .size = slots[q_slot].shape[3],
                  .rounding = rounding_variance(question->made->dtype, sum_unit),
                  .coarse = question->made->dtype == TTM_TF32 ? 0x1p-10 / sum_unit : 0.0,
                  .q = slots[q_slot].values,
                  .k = slots[k_slot].values,
                  .v = slots[v_slot].values};
}

static void next_head(head *h)
{
    h->number++;
    h->q += h->queries * h->size;
    h->k += h->keys * h->size;
    h->v += h->keys * h->size;
}

static int64_t head_count(const bound_question *question)
{
    const struct operand *out = &question->made->slots[question->slot];
    return out->shape[0] * out->shape[1];
}

/* ---- Forward ---- */

/* lse = max + log Σ exp(score − max). */
static double lse_bound(const head *h, int64_t visible, double lse)
{
    double variance = sum_variance(visible, 1.0);
    double rounded = 0.0;
    for (int64_t j = 0; j < visible; j++) {
        variance += square(h->probability[j]) * h->variance[j];
        rounded += h->probability[j] * h->absolute[j];
    }
    return DEVIATIONS * sqrt(variance) + 4.0 * (1.0 + fabs(lse)) + h->coarse * rounded;
}

/* out = Σ w·e·v / Σ e: a score moves it by p·(w·v − out). */
static double out_bound(const head *h, int64_t query, int64_t visible, int64_t column, double out)
{
    double variance = 0.0;
    double absolute = 0.0;
    double rounded = 0.0;
    for (int64_t j = 0; j < visible; j++) {
        const double value = keep_factor(h, query, j) * h->v[j * h->size + column];
        variance += square(h->probability[j] * (value - out)) * h->variance[j] +
                    square(h->probability[j] * value) * h->rounding;
        absolute += h->probability[j] * fabs(value);
        rounded += h->probability[j] * fabs(value - out) * h->absolute[j];
    }
    variance += sum_variance(visible, absolute) + sum_variance(visible, out);
    return DEVIATIONS * sqrt(variance) + 2.0 * fabs(out) + h->coarse * (rounded + absolute);
}

ttm_status bound_attention(double *bounds, const bound_question *question, double sum_unit,
                           double output_unit)
{
    const double *exact = question->exact->values[question->slot];
    head h = first_head(question, sum_unit, TTM_ATTENTION_Q, TTM_ATTENTION_K, TTM_ATTENTION_V);
    TTM_TRY(allocate(&h));
    for (; h.number < head_count(question); next_head(&h)) {
        for (int64_t i = 0; i < h.queries; i++) {
            const int64_t row = h.number * h.queries + i;
            const int64_t visible = visible_keys(&h, i);
            const double largest = score_query(&h, i, visible);
            double sum = 0.0;
            for (int64_t j = 0; j < visible; j++) {
                sum += exp(h.score[j] - largest);
            }
            weigh_query(&h, visible, largest, largest + log(sum));
            if (question->slot == TTM_ATTENTION_LSE) {
                bounds[row] = visible > 0 ? sum_unit * lse_bound(&h, visible, exact[row]) : 0.0;
            }
            for (int64_t d = 0; d < h.size && question->slot == TTM_ATTENTION_OUT; d++) {
                const double out = exact[row * h.size + d];
                bounds[row * h.size + d] =
                    sum_unit * out_bound(&h, i, visible, d, out) + output_unit * fabs(out);
            }
        }
    }
    free(h.score);
    return TTM_OK;
}

/* ---- Backward ---- */

/* What the gradients of one query are made of, and sums over the queries for each element of a
 * gradient of keys or values. */
typedef struct gradients {
    head head;
    const double *dout;
    const double *out;
    const double *lse;
    double delta;          /* Σ_d dout·out */
    double delta_variance; /* of delta */
    double *variance;      /* [keys, size] */
    double *absolute;      /* [keys, size] */
    double *coarse;        /* [keys, size]: what is off by head.coarse */
    int64_t *terms;        /* [keys]: queries that see the key */
} gradients;

/* ds = p·(w·dout·v − delta), the variance that it has beside delta's, and what of it is off by
 * head.coarse, as an operand too. */
static double score_gradient(double *variance, double *coarse, const gradients *g, int64_t query,
                             int64_t key)
{
    const head *h = &g->head;
    const double keep = keep_factor(h, query, key);
    double absolute = 0.0;
    const double dp =
        keep * dot(&absolute, g->dout + query * h->size, h->v + key * h->size, h->size);
    const double p = h->probability[key];
    *variance =
        square(p) * (square(dp - g->delta) * (h->variance[key] + 2.0) +
                     sum_variance(h->size + 2, keep * absolute) +
                     (square(dp) + square(g->delta)) / 3.0 + square(dp - g->delta) * h->rounding);
    *coarse = p * (fabs(dp - g->delta) * (h->absolute[key] + 1.0) + keep * absolute);
    return p * (dp - g->delta);
}

/* dq = scale·Σ_j ds·k. delta is the same for all keys: its error moves dq by scale·Σ p·k. */
static void query_bounds(double *bounds, double *variance, const gradients *g, int64_t query,
                         int64_t visible)
{
    const head *h = &g->head;
    for (int64_t d = 0; d < 3 * h->size; d++) {
        variance[d] = 0.0;
    }
    for (int64_t d = 0; d < h->size; d++) {
        g->coarse[d] = 0.0;
    }
    double *absolute = variance + h->size;
    double *shared = absolute + h->size;
    for (int64_t j = 0; j < visible; j++) {
        double own = 0.0;
        double coarse = 0.0;
        const double ds = score_gradient(&own, &coarse, g, query, j);
        for (int64_t d = 0; d < h->size; d++) {
            const double key = h->k[j * h->size + d];
            variance[d] += square(key) * own;
            absolute[d] += fabs(ds * key);
            shared[d] += h->probability[j] * key;
            g->coarse[d] += coarse * fabs(key);
        }
    }
    for (int64_t d = 0; d < h->size; d++) {
        const double all = variance[d] + square(shared[d]) * g->delta_variance +
                           sum_variance(visible, absolute[d]);
        bounds[query * h->size + d] =
            fabs(h->params->scale) * (DEVIATIONS * sqrt(all) + h->coarse * g->coarse[d]);
    }
}

/* Adds what one query contributes to dk = scale·Σ_i ds·q, or to dv = Σ_i w·p·dout. */
static void add_query(const gradients *g, int64_t query, int64_t visible, bool values)
{
    const head *h = &g->head;
    const double *factor = (values ? g->dout : h->q) + query * h->size;
    for (int64_t j = 0; j < visible; j++) {
        double own = 0.0;
        double coarse = 0.0;
        double term = 0.0;
        if (values) {
            term = keep_factor(h, query, j) * h->probability[j];
            own = square(term) * (h->variance[j] + h->rounding + 1.0);
            coarse = term * (h->absolute[j] + 1.0);
        } else {
            term = score_gradient(&own, &coarse, g, query, j);
            own += square(h->probability[j]) * g->delta_variance;
        }
        for (int64_t d = 0; d < h->size; d++) {
            g->variance[j * h->size + d] += square(factor[d]) * own;
            g->absolute[j * h->size + d] += fabs(term * factor[d]);
            g->coarse[j * h->size + d] += coarse * fabs(factor[d]);
        }
        g->terms[j]++;
    }
}

static void key_bounds(double *bounds, const gradients *g, bool values)
{
    const head *h = &g->head;
    for (int64_t i = 0; i < h->keys * h->size; i++) {
        const double all = g->variance[i] + sum_variance(g->terms[i / h->size], g->absolute[i]);
        bounds[i] = (values ? 1.0 : fabs(h->params->scale)) *
                    (DEVIATIONS * sqrt(all) + h->coarse * g->coarse[i]);
        g->variance[i] = 0.0;
        g->absolute[i] = 0.0;
        g->coarse[i] = 0.0;
    }
    for (int64_t j = 0; j < h->keys; j++) {
        g->terms[j] = 0;
    }
}

/* One head's bounds, in units of u32, without the last rounding. */
static void head_bounds(double *bounds, gradients *g, uint32_t slot)
{
    const head *h = &g->head;
    for (int64_t i = 0; i < h->queries; i++) {
        const int64_t visible = visible_keys(h, i);
        double absolute = 0.0;
        g->delta = dot(&absolute, g->dout + i * h->size, g->out + i * h->size, h->size);
        g->delta_variance = sum_variance(h->size, absolute);
        score_query(h, i, visible);
        weigh_query(h, visible, g->lse[i], g->lse[i]);
        if (slot == TTM_ATTENTION_BACKWARD_DQ) {
            query_bounds(bounds, g->variance, g, i, visible);
        } else {
            add_query(g, i, visible, slot == TTM_ATTENTION_BACKWARD_DV);
        }
    }
    if (slot != TTM_ATTENTION_BACKWARD_DQ) {
        key_bounds(bounds, g, slot == TTM_ATTENTION_BACKWARD_DV);
    }
}

ttm_status bound_attention_backward(double *bounds, const bound_question *question, double sum_unit,
                                    double output_unit)
{
    const struct operand *slots = question->made->slots;
    const struct operand *result = &slots[question->slot];
    const int64_t per_head = result->shape[2] * result->shape[3];
    gradients g = {.head = first_head(question, sum_unit, TTM_ATTENTION_BACKWARD_Q,
                                      TTM_ATTENTION_BACKWARD_K, TTM_ATTENTION_BACKWARD_V),
                   .dout = slots[TTM_ATTENTION_BACKWARD_DOUT].values,
                   .out = slots[TTM_ATTENTION_BACKWARD_OUT].values,
                   .lse = slots[TTM_ATTENTION_BACKWARD_LSE].values};
    head *h = &g.head;
    const size_t count = (size_t)((h->keys + 3) * h->size);
    ttm_status status = allocate(h);
    g.variance = calloc(3 * count, sizeof *g.variance);
    g.absolute = g.variance != NULL ? g.variance + count : NULL;
    g.coarse = g.variance != NULL ? g.absolute + count : NULL;
    g.terms = calloc((size_t)h->keys + 1, sizeof *g.terms);
    if (h->score == NULL || g.variance == NULL || g.terms == NULL) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for attention's error bounds");
        goto out;
    }
    for (; h->number < head_count(question); next_head(h)) {
        head_bounds(bounds + h->number * per_head, &g, question->slot);
        g.dout += h->queries * h->size;
        g.out += h->queries * h->size;
        g.lse += h->queries;
    }
    for (int64_t i = 0; i < result->count; i++) {
        const double exact = fabs(question->exact->values[question->slot][i]);
        bounds[i] = sum_unit * (bounds[i] + 2.0 * exact) + output_unit * exact;
    }
out:
    free(g.terms);
    free(g.variance);
    free(h->score);
    return status;
}
