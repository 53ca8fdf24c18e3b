/* ATTENTION and ATTENTION_BACKWARD, one head after another and one query after another.
 *
 * Forward, for query i:   s_ij = scale·q_i·k_j,  lse_i = log Σ_j exp(s_ij),  p_ij = exp(s_ij −
 * lse_i) out_i = Σ_j w_ij·p_ij·v_j,  w_ij the dropout factor (1 without dropout). Backward: dv_j =
 * Σ_i w_ij·p_ij·dout_i ds_ij = p_ij·(w_ij·dout_i·v_j − dout_i·out_i) dq_i = scale·Σ_j ds_ij·k_j,
 * dk_j = scale·Σ_i ds_ij·q_i where dout_i·out_i = Σ_j w_ij·p_ij·dout_i·v_j is the row sum of the
 * softmax's derivative. */
#include <math.h>

#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* One head: its extents and its rows as doubles. */
struct head {
    const ttm_attention_params *params;
    int64_t number;    /* b·H + h */
    int64_t queries;   /* Tq */
    int64_t keys;      /* Tk */
    int64_t head_size; /* D */
    double *k;         /* [Tk, D] */
    double *v;         /* [Tk, D] */
    double *p;         /* [Tk] */
    double *lse;       /* [Tq] */
};

static struct head make_head(struct scratch *scratch, const ttm_op *op, const ttm_tensor *q,
                             const ttm_tensor *k)
{
    struct head head = {.params = op->params,
                        .queries = q->shape[2],
                        .keys = k->shape[2],
                        .head_size = q->shape[3]};
    head.k = scratch_take(scratch, head.keys, head.head_size);
    head.v = scratch_take(scratch, head.keys, head.head_size);
    head.p = scratch_take(scratch, 1, head.keys);
    head.lse = scratch_take(scratch, 1, head.queries);
    return head;
}

static void load_keys_and_values(const struct head *head, const ttm_tensor *k, const ttm_tensor *v)
{
    for (int64_t j = 0; j < head->keys; j++) {
        load_row(head->k + j * head->head_size, k, head->number * head->keys + j);
        load_row(head->v + j * head->head_size, v, head->number * head->keys + j);
    }
}

static int64_t visible_keys(const struct head *head, int64_t i)
{
    return head->params->causal ? i + (head->keys - head->queries) + 1 : head->keys;
}

static double weight(const struct head *head, int64_t i, int64_t j)
{
    const int64_t number = (head->number * head->queries + i) * head->keys + j;
    return dropout_factor(head->params->dropout, head->params->seed, (uint64_t)number);
}

/* p[0 … visible) = scale·q·k_j; returns log Σ exp of them. */
static double scores(const struct head *head, const double *q, int64_t visible)
{
    double maximum = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        head->p[j] = head->params->scale * dot(q, head->k + j * head->head_size, head->head_size);
        maximum = fmax(maximum, head->p[j]);
    }
    double sum = 0.0;
    for (int64_t j = 0; j < visible; j++) {
        sum += exp(head->p[j] - maximum);
    }
    return visible > 0 ? maximum + log(sum) : -INFINITY;
}

ttm_status run_attention(const ttm_op *op)
{
    const ttm_tensor *q_tensor = &op->tensors[TTM_ATTENTION_Q];
    const ttm_tensor *k_tensor = &op->tensors[TTM_ATTENTION_K];
    const ttm_tensor *lse_tensor = &op->tensors[TTM_ATTENTION_LSE];
    struct scratch scratch = {0};
    struct head head = make_head(&scratch, op, q_tensor, k_tensor);
    double *q = scratch_take(&scratch, 1, head.head_size);
    double *out = scratch_take(&scratch, 1, head.head_size);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    for (head.number = 0; head.number < q_tensor->shape[0] * q_tensor->shape[1]; head.number++) {
        load_keys_and_values(&head, k_tensor, &op->tensors[TTM_ATTENTION_V]);
        for (int64_t i = 0; i < head.queries; i++) {
            const int64_t visible = visible_keys(&head, i);
            load_row(q, q_tensor, head.number * head.queries + i);
            head.lse[i] = scores(&head, q, visible);
            for (int64_t d = 0; d < head.head_size; d++) {
                out[d] = 0.0;
            }
            for (int64_t j = 0; j < visible; j++) {
                const double p = exp(head.p[j] - head.lse[i]);
                add_scaled(out, weight(&head, i, j) * p, head.v + j * head.head_size,
                           head.head_size);
            }
            store_row(&op->tensors[TTM_ATTENTION_OUT], head.number * head.queries + i, out);
        }
        if (ttm_tensor_present(lse_tensor)) {
            store_row(lse_tensor, head.number, head.lse);
        }
    }
    return scratch_end(&scratch);
}

/* What the backward pass holds besides a head: one query's rows, and sums over the queries. */
struct gradients {
    double *q, *out, *dout, *dq; /* [D] each */
    double *dk, *dv;             /* [Tk, D] each */
};

static void clear(double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] = 0.0;
    }
}

/* Adds what query i contributes to dk and dv, and sets dq. */
static void query_gradients(const struct head *head, const struct gradients *g, int64_t i)
{
    const int64_t size = head->head_size;
    const double scale = head->params->scale;
    const int64_t visible = visible_keys(head, i);
    const double dout_out = dot(g->dout, g->out, size);
    scores(head, g->q, visible);
    clear(g->dq, size);
    for (int64_t j = 0; j < visible; j++) {
        const double p = exp(head->p[j] - head->lse[i]);
        const double w = weight(head, i, j);
        const double ds = p * (w * dot(g->dout, head->v + j * size, size) - dout_out);
        add_scaled(g->dv + j * size, w * p, g->dout, size);
        add_scaled(g->dq, scale * ds, head->k + j * size, size);
        add_scaled(g->dk + j * size, scale * ds, g->q, size);
    }
}

ttm_status run_attention_backward(const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *q_tensor = &tensors[TTM_ATTENTION_BACKWARD_Q];
    const ttm_tensor *k_tensor = &tensors[TTM_ATTENTION_BACKWARD_K];
    struct scratch scratch = {0};
    struct head head = make_head(&scratch, op, q_tensor, k_tensor);
    const struct gradients g = {.q = scratch_take(&scratch, 1, head.head_size),
                                .out = scratch_take(&scratch, 1, head.head_size),
                                .dout = scratch_take(&scratch, 1, head.head_size),
                                .dq = scratch_take(&scratch, 1, head.head_size),
                                .dk = scratch_take(&scratch, head.keys, head.head_size),
                                .dv = scratch_take(&scratch, head.keys, head.head_size)};
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    for (head.number = 0; head.number < q_tensor->shape[0] * q_tensor->shape[1]; head.number++) {
        load_keys_and_values(&head, k_tensor, &tensors[TTM_ATTENTION_BACKWARD_V]);
        load_row(head.lse, &tensors[TTM_ATTENTION_BACKWARD_LSE], head.number);
        clear(g.dk, head.keys * head.head_size);
        clear(g.dv, head.keys * head.head_size);
        for (int64_t i = 0; i < head.queries; i++) {
            const int64_t row = head.number * head.queries + i;
            load_row(g.q, q_tensor, row);
            load_row(g.out, &tensors[TTM_ATTENTION_BACKWARD_OUT], row);
            load_row(g.dout, &tensors[TTM_ATTENTION_BACKWARD_DOUT], row);
            query_gradients(&head, &g, i);
            store_row(&tensors[TTM_ATTENTION_BACKWARD_DQ], row, g.dq);
        }
        for (int64_t j = 0; j < head.keys; j++) {
            const int64_t row = head.number * head.keys + j;
            store_row(&tensors[TTM_ATTENTION_BACKWARD_DK], row, g.dk + j * head.head_size);
            store_row(&tensors[TTM_ATTENTION_BACKWARD_DV], row, g.dv + j * head.head_size);
        }
    }
    return scratch_end(&scratch);
}
