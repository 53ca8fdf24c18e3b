/* One bound function an op; attention's are in bounds_attention.c, NORM_MATMUL's in
 * bounds_norm_matmul.c. u is the unit round-off of the
 * output's type, sum_unit that of sums (f32, or f64 where everything is); where a contract says
 * "plus one rounding", that is u·|exact|.
 *
 * To each bound comes a smallest absolute error, the size of the type's smallest normal number:
 * results below it may be flushed to zero. */
#include "conformance/bounds.h"

#include "conformance/bounds_attention.h"
#include "conformance/bounds_norm_matmul.h"
#include "core/error.h"

#include <float.h>
#include <math.h>

static double unit(ttm_dtype dtype)
{
    switch (dtype) {
    case TTM_F64:
        return 0x1p-53;
    case TTM_BF16:
        return 0x1p-8; /* 8 significant bits */
    case TTM_F16:
        return 0x1p-11;
    case TTM_F32:
    case TTM_TF32:
    case TTM_I32:
    case TTM_DTYPE_NONE:
        break;
    }
    return 0x1p-24;
}

static double tiny(ttm_dtype dtype)
{
    switch (dtype) {
    case TTM_F64:
        return DBL_MIN;
    case TTM_F16:
        return 0x1p-24; /* subnormal f16 numbers are normal in the f32 that they are computed in */
    case TTM_F32:
    case TTM_TF32:
    case TTM_BF16:
    case TTM_I32:
    case TTM_DTYPE_NONE:
        break;
    }
    return FLT_MIN;
}

static double sum_unit(const conformance_case *made)
{
    return made->dtype == TTM_F64 ? 0x1p-53 : 0x1p-24;
}

static const double *values(const bound_question *q, uint32_t slot)
{
    return q->made->slots[slot].values;
}

/* The absolute value of element i of a slot that may be absent. */
static double magnitude(const bound_question *q, uint32_t slot, int64_t i)
{
    return values(q, slot) != NULL ? fabs(values(q, slot)[i]) : 0.0;
}

/* The largest number of an operand, as MATMUL's contract counts that of a line: 2^-98 at least. */
static double largest_of(const bound_question *q, uint32_t slot)
{
    double largest = 0x1p-98;
    for (int64_t i = 0; i < q->made->slots[slot].count; i++) {
        largest = fmax(largest, magnitude(q, slot, i));
    }
    return largest;
}

static double output_unit(const bound_question *q)
{
    return unit(q->made->slots[q->slot].dtype);
}

static const double *exact_values(const bound_question *q)
{
    return q->exact->values[q->slot];
}

static int64_t count_of(const bound_question *q)
{
    return q->made->slots[q->slot].count;
}

/* The length of rows of the slot. */
static int64_t cols_of(const bound_question *q)
{
    const struct operand *out = &q->made->slots[q->slot];
    return out->rank == 0 ? 1 : out->shape[out->rank - 1];
}

/* One rounding of the exact value. */
static void rounding(double *bounds, const bound_question *q)
{
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = output_unit(q) * fabs(exact_values(q)[i]);
    }
}

/* factor·|·|_abs plus one rounding. */
static void sum_of_products(double *bounds, const bound_question *q, double factor)
{
    const double *absolute = q->absolute->values[q->slot];
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = factor * absolute[i] + output_unit(q) * fabs(exact_values(q)[i]);
    }
}

static void add(double *bounds, const bound_question *q)
{
    const ttm_add_params *params = &q->made->params.add;
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = 3.0 * output_unit(q) *
                    (fabs(params->alpha) * magnitude(q, TTM_ADD_A, i) +
                     fabs(params->beta) * magnitude(q, TTM_ADD_B, i));
    }
}

static void dropout(double *bounds, const bound_question *q)
{
    const double keep = 1.0 - q->made->params.dropout.probability;
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = 3.0 * output_unit(q) *
                    (magnitude(q, TTM_DROPOUT_RESIDUAL, i) + magnitude(q, TTM_DROPOUT_X, i) / keep);
    }
}

static void gelu(double *bounds, const bound_question *q)
{
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = 16.0 * output_unit(q) * magnitude(q, TTM_GELU_X, i);
    }
}

static void gelu_backward(double *bounds, const bound_question *q)
{
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = 16.0 * output_unit(q) * magnitude(q, TTM_GELU_BACKWARD_DY, i) *
                    (1.0 + magnitude(q, TTM_GELU_BACKWARD_X, i));
    }
}

/* What rounding operands of TF32 may cost: 2^-10 of |alpha·a·b|_abs, without what is added to it.
 */
static double operand_rounding(const bound_question *q, int64_t i)
{
    const ttm_matmul_params *params = &q->made->params.matmul;
    if (q->made->dtype != TTM_TF32) {
        return 0.0;
    }
    const double product = q->absolute->values[TTM_MATMUL_OUT][i] -
                           magnitude(q, TTM_MATMUL_BIAS, i % cols_of(q)) -
                           params->beta * magnitude(q, TTM_MATMUL_OUT, i);
    return 0x1p-10 * fabs(product);
}

/* What f32 numbers far below the largest of their line may cost, by the largest of all lines: of
 * numbers as the cases have them a ten-thousandth of the rest. */
static double range_of_lines(const bound_question *q)
{
    const struct operand *a = &q->made->slots[TTM_MATMUL_A];
    if (q->made->dtype != TTM_F32) {
        return 0.0;
    }
    return (double)a->shape[a->rank - 1] * 0x1p-38 * fabs(q->made->params.matmul.alpha) *
           largest_of(q, TTM_MATMUL_A) * largest_of(q, TTM_MATMUL_B);
}

/* The product's own error (K + 4)·u32·|·|_abs goes through the activation, whose slope is at most
 * 1.13; the activation adds its own, as stated for GELU and GELU_BACKWARD, and a residual one more
 * addition. */
static void matmul(double *bounds, const bound_question *q)
{
    const struct operand *a = &q->made->slots[TTM_MATMUL_A];
    const double factor = (double)(a->shape[a->rank - 1] + 4) * sum_unit(q->made);
    const ttm_activation activation = q->made->params.matmul.activation;
    const double *absolute = q->absolute->values[TTM_MATMUL_OUT];
    const double range = range_of_lines(q);
    for (int64_t i = 0; i < count_of(q); i++) {
        double error = factor * absolute[i] + operand_rounding(q, i) + range;
        if (q->slot == TTM_MATMUL_OUT && activation != TTM_ACTIVATION_NONE) {
            const double pre = activation == TTM_ACTIVATION_GELU_BACKWARD
                                   ? 1.0 + magnitude(q, TTM_MATMUL_PRE, i)
                                   : 1.0;
            error = 1.13 * error + 16.0 * sum_unit(q->made) * absolute[i] * pre;
        }
        if (q->slot == TTM_MATMUL_OUT) {
            error += sum_unit(q->made) * magnitude(q, TTM_MATMUL_RESIDUAL, i);
        }
        bounds[i] = error + output_unit(q) * fabs(exact_values(q)[i]);
    }
}

/* Masked elements are exactly 0. */
static void softmax(double *bounds, const bound_question *q)
{
    for (int64_t i = 0; i < count_of(q); i++) {
        const double exact = exact_values(q)[i];
        bounds[i] = exact == 0.0 ? 0.0 : output_unit(q) * (32.0 * exact + 1.0);
    }
}

/* Element i of s = x + residual. */
static double layer_norm_input(const bound_question *q, int64_t i)
{
    const double *residual = values(q, TTM_LAYER_NORM_RESIDUAL);
    return values(q, TTM_LAYER_NORM_X)[i] + (residual != NULL ? residual[i] : 0.0);
}

/* What the bounds of a row of s are made of. */
typedef struct norm_row {
    double mean;
    double mean_magnitude; /* of |s| */
    double largest;        /* of |s| */
    double rstd;           /* 1/√(variance + epsilon) */
} norm_row;

static norm_row layer_norm_row(const bound_question *q, int64_t row, int64_t cols)
{
    norm_row found = {0};
    double squares = 0.0;
    for (int64_t j = row * cols; j < (row + 1) * cols; j++) {
        const double s = layer_norm_input(q, j);
        found.mean += s / (double)cols;
        found.mean_magnitude += fabs(s) / (double)cols;
        found.largest = fmax(found.largest, fabs(s));
    }
    for (int64_t j = row * cols; j < (row + 1) * cols; j++) {
        const double centred = layer_norm_input(q, j) - found.mean;
        squares += centred * centred;
    }
    found.rstd = 1.0 / sqrt(squares / (double)cols + q->made->params.layer_norm.epsilon);
    return found;
}

/* `sum` is one addition and one rounding. The mean is off by the roundings of a tree of sums, which
 * moves every centred value alike; 1/√… by that relative to the deviation. */
static void layer_norm(double *bounds, const bound_question *q)
{
    const int64_t cols = q->made->slots[TTM_LAYER_NORM_X].shape[1];
    const int64_t rows = q->made->slots[TTM_LAYER_NORM_X].shape[0];
    const double u = output_unit(q);
    for (int64_t row = 0; row < rows; row++) {
        const norm_row s = layer_norm_row(q, row, cols);
        if (q->slot == TTM_LAYER_NORM_MEAN) {
            bounds[row] = 16.0 * u * s.mean_magnitude;
        } else if (q->slot == TTM_LAYER_NORM_RSTD) {
            bounds[row] = 16.0 * u * s.rstd * (1.0 + s.largest * s.rstd);
        }
        for (int64_t j = 0; j < cols && q->slot == TTM_LAYER_NORM_SUM; j++) {
            bounds[row * cols + j] =
                (u + sum_unit(q->made)) * fabs(exact_values(q)[row * cols + j]);
        }
        for (int64_t j = 0; j < cols && q->slot == TTM_LAYER_NORM_OUT; j++) {
            const double gamma = magnitude(q, TTM_LAYER_NORM_GAMMA, j);
            const double centred = fabs(layer_norm_input(q, row * cols + j) - s.mean);
            bounds[row * cols + j] =
                16.0 * u *
                (centred * s.rstd * gamma + magnitude(q, TTM_LAYER_NORM_BETA, j) +
                 s.rstd * s.largest * gamma);
        }
    }
}

/* dx of one row: 64·u·rstd·(|g| + mean|g| + |n|·mean|g·n|), and the addition to what was there. */
static void layer_norm_dx_row(double *bounds, const bound_question *q, int64_t row, int64_t cols)
{
    const double *x = values(q, TTM_LAYER_NORM_BACKWARD_X) + row * cols;
    const double *dy = values(q, TTM_LAYER_NORM_BACKWARD_DY) + row * cols;
    const double *gamma = values(q, TTM_LAYER_NORM_BACKWARD_GAMMA);
    const double mean = values(q, TTM_LAYER_NORM_BACKWARD_MEAN)[row];
    const double rstd = values(q, TTM_LAYER_NORM_BACKWARD_RSTD)[row];
    double mean_g = 0.0;
    double mean_gn = 0.0;
    for (int64_t j = 0; j < cols; j++) {
        mean_g += fabs(dy[j] * gamma[j]) / (double)cols;
        mean_gn += fabs(dy[j] * gamma[j] * (x[j] - mean) * rstd) / (double)cols;
    }
    for (int64_t j = 0; j < cols; j++) {
        const double n = fabs((x[j] - mean) * rstd);
        const double before = magnitude(q, TTM_LAYER_NORM_BACKWARD_DX, row * cols + j);
        bounds[row * cols + j] =
            64.0 * output_unit(q) * rstd * (fabs(dy[j] * gamma[j]) + mean_g + n * mean_gn) +
            2.0 * output_unit(q) * before;
    }
}

static void layer_norm_backward(double *bounds, const bound_question *q)
{
    const int64_t rows = q->made->slots[TTM_LAYER_NORM_BACKWARD_X].shape[0];
    const int64_t cols = q->made->slots[TTM_LAYER_NORM_BACKWARD_X].shape[1];
    const double *x = values(q, TTM_LAYER_NORM_BACKWARD_X);
    const double factor = (double)(rows + 32) * sum_unit(q->made);
    if (q->slot == TTM_LAYER_NORM_BACKWARD_DX) {
        for (int64_t row = 0; row < rows; row++) {
            layer_norm_dx_row(bounds, q, row, cols);
        }
        return;
    }
    for (int64_t j = 0; j < cols; j++) {
        double absolute = magnitude(q, q->slot, j);
        for (int64_t row = 0; row < rows; row++) {
            const double n = (x[row * cols + j] - values(q, TTM_LAYER_NORM_BACKWARD_MEAN)[row]) *
                             values(q, TTM_LAYER_NORM_BACKWARD_RSTD)[row];
            absolute += magnitude(q, TTM_LAYER_NORM_BACKWARD_DY, row * cols + j) *
                        (q->slot == TTM_LAYER_NORM_BACKWARD_DGAMMA ? fabs(n) : 1.0);
        }
        bounds[j] = factor * absolute + output_unit(q) * fabs(exact_values(q)[j]);
    }
}

/* exact of dlogits is scale·(softmax − [target]), so |exact| is what the bound multiplies for all
 * columns but the target's, where it is at most scale. */
static void cross_entropy(double *bounds, const bound_question *q)
{
    const int64_t vocab = q->made->slots[TTM_CROSS_ENTROPY_LOGITS].shape[1];
    const double *targets = values(q, TTM_CROSS_ENTROPY_TARGETS);
    const double scale = q->made->params.cross_entropy.gradient_scale;
    for (int64_t i = 0; i < count_of(q); i++) {
        if (q->slot == TTM_CROSS_ENTROPY_DLOGITS) {
            const int at_target = targets[i / vocab] == (double)(i % vocab);
            const double exact = fabs(exact_values(q)[i]);
            bounds[i] = 64.0 * output_unit(q) * (at_target ? 2.0 * scale - exact : exact);
            continue;
        }
        double logit = 0.0;
        for (int64_t j = 0; j < vocab; j++) {
            logit = fmax(logit, magnitude(q, TTM_CROSS_ENTROPY_LOGITS, i * vocab + j));
        }
        bounds[i] = exact_values(q)[i] == 0.0 ? 0.0 : 16.0 * sum_unit(q->made) * (logit + 1.0);
        if (vocab == 1) {
            bounds[i] = 16.0 * sum_unit(q->made) * (logit + 1.0);
        }
    }
}

/* One addition in f32 or better, one rounding. */
static void embedding(double *bounds, const bound_question *q)
{
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = (output_unit(q) + sum_unit(q->made)) * fabs(exact_values(q)[i]);
    }
}

/* (n + 2)·u32·|·|_abs, n the rows added to this one. */
static void embedding_backward(double *bounds, const bound_question *q)
{
    const ttm_embedding_params *params = &q->made->params.embedding;
    const struct operand *tokens = &q->made->slots[TTM_EMBEDDING_BACKWARD_TOKENS];
    const int64_t cols = cols_of(q);
    const double *absolute = q->absolute->values[q->slot];
    for (int64_t row = 0; cols > 0 && row < count_of(q) / cols; row++) {
        int64_t added = 0;
        for (int64_t i = 0; i < tokens->count; i++) {
            added += q->slot == TTM_EMBEDDING_BACKWARD_DTABLE
                         ? tokens->values[i] == (double)row
                         : params->position_start + i % params->sequence_length == row;
        }
        for (int64_t j = row * cols; j < (row + 1) * cols; j++) {
            bounds[j] = (double)(added + 2) * sum_unit(q->made) * absolute[j] +
                        output_unit(q) * fabs(exact_values(q)[j]);
            if (added == 0) {
                bounds[j] = 0.0; /* rows of other tokens stay as they are */
            }
        }
    }
}

/* 32·u32 of every term of m, v and p, and for bf16 moments a whole unit, since they are rounded to
 * either side; the segment tells which elements are touched at all. */
static void adamw_segment(double *bounds, const bound_question *q, const ttm_adamw_segment *segment,
                          double gradient_factor)
{
    const ttm_adamw_params *params = &q->made->params.adamw;
    const double factor = 32.0 * sum_unit(q->made);
    const bool narrow = q->made->slots[TTM_ADAMW_FIRST_MOMENT].dtype == TTM_BF16;
    const double stochastic = narrow ? 2.0 * unit(TTM_BF16) : 0.0;
    const double rate = params->learning_rate * segment->learning_rate_scale;
    for (int64_t i = segment->start; i < segment->start + segment->count; i++) {
        const double g = gradient_factor * magnitude(q, TTM_ADAMW_GRADIENTS, i);
        const double m =
            params->beta1 * magnitude(q, TTM_ADAMW_FIRST_MOMENT, i) + (1.0 - params->beta1) * g;
        const double v = params->beta2 * magnitude(q, TTM_ADAMW_SECOND_MOMENT, i) +
                         (1.0 - params->beta2) * g * g;
        const double m_hat = m / (1.0 - pow(params->beta1, (double)params->step));
        const double v_hat = v / (1.0 - pow(params->beta2, (double)params->step));
        const double p = magnitude(q, TTM_ADAMW_PARAMETERS, i);
        const double p_error = factor * (p * (1.0 + rate * segment->weight_decay) +
                                         rate * m_hat / (sqrt(v_hat) + params->epsilon));
        switch (q->slot) {
        case TTM_ADAMW_FIRST_MOMENT:
            bounds[i] = factor * m + stochastic * fabs(exact_values(q)[i]);
            break;
        case TTM_ADAMW_SECOND_MOMENT:
            bounds[i] = factor * v + stochastic * fabs(exact_values(q)[i]);
            break;
        case TTM_ADAMW_WORKING:
            bounds[i] = p_error + output_unit(q) * fabs(exact_values(q)[i]);
            break;
        default:
            bounds[i] = p_error;
        }
    }
}

static void adamw(double *bounds, const bound_question *q)
{
    const ttm_adamw_params *params = &q->made->params.adamw;
    const double *norm_squared = values(q, TTM_ADAMW_NORM_SQUARED);
    double factor = params->gradient_scale;
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = 0.0; /* outside the segments nothing changes */
    }
    if (norm_squared != NULL && !isfinite(norm_squared[0])) {
        return;
    }
    if (norm_squared != NULL && params->max_norm > 0.0) {
        const double norm = params->gradient_scale * sqrt(norm_squared[0]);
        factor *= fmin(1.0, params->max_norm / (norm + 1e-6));
    }
    for (int64_t s = 0; s < params->segment_count; s++) {
        adamw_segment(bounds, q, &params->segments[s], factor);
    }
}

/* Σ r_k over all cores, both ends included. */
static double sum_of_ranks(const bound_question *q, uint32_t first_core)
{
    double sum = 1.0;
    for (uint32_t k = 0; k < TTM_OP_MAX_CORES; k++) {
        const struct operand *core = &q->made->slots[first_core + k];
        sum += core->dtype != TTM_DTYPE_NONE ? (double)core->shape[4] : 0.0;
    }
    return sum;
}

/* (terms + Σ r_k + 8)^½·8·u32·|·|_rss plus one rounding. */
static void core_gradient(double *bounds, const bound_question *q, double terms, double ranks)
{
    const double *squared = q->squared->values[q->slot];
    const double factor = 8.0 * sqrt(terms + ranks + 8.0) * sum_unit(q->made);
    for (int64_t i = 0; i < count_of(q); i++) {
        bounds[i] = factor * squared[i] + output_unit(q) * fabs(exact_values(q)[i]);
    }
}

static double modes_of(const struct operand *core)
{
    return (double)(core->shape[2] * core->shape[3]);
}

static void tt_gradient(double *bounds, const bound_question *q)
{
    const struct operand *dw = &q->made->slots[TTM_TT_GRADIENT_DW];
    const double elements = (double)(dw->shape[1] * dw->shape[2]);
    core_gradient(bounds, q, elements / modes_of(&q->made->slots[q->slot]),
                  sum_of_ranks(q, TTM_TT_GRADIENT_CORE));
}

static void tt_linear_backward(double *bounds, const bound_question *q)
{
    const struct operand *dy = &q->made->slots[TTM_TT_LINEAR_BACKWARD_DY];
    const struct operand *x = &q->made->slots[TTM_TT_LINEAR_BACKWARD_X];
    const double ranks = sum_of_ranks(q, TTM_TT_LINEAR_BACKWARD_CORE);
    const double rows = (double)dy->shape[0];
    if (q->slot == TTM_TT_LINEAR_BACKWARD_DX) {
        sum_of_products(bounds, q, ((double)dy->shape[1] + ranks + 8.0) * sum_unit(q->made));
    } else if (q->slot == TTM_TT_LINEAR_BACKWARD_DBIAS) {
        sum_of_products(bounds, q, (rows + 2.0) * sum_unit(q->made));
    } else {
        const double elements = (double)(x->shape[1] * dy->shape[1]);
        core_gradient(bounds, q, rows + elements / modes_of(&q->made->slots[q->slot]), ranks);
    }
}

bool bound_needs_absolute(ttm_opcode opcode)
{
    switch (opcode) {
    case TTM_OP_MATMUL:
    case TTM_OP_REDUCE_ROWS:
    case TTM_OP_EMBEDDING_BACKWARD:
    case TTM_OP_TT_BUILD:
    case TTM_OP_TT_LINEAR:
    case TTM_OP_TT_LINEAR_BACKWARD:
        return true;
    default:
        return false;
    }
}

bool bound_needs_squared(ttm_opcode opcode)
{
    return opcode == TTM_OP_TT_GRADIENT || opcode == TTM_OP_TT_LINEAR_BACKWARD;
}

static void reduce_rows(double *bounds, const bound_question *q)
{
    const double rows = (double)q->made->slots[TTM_REDUCE_ROWS_X].shape[0];
    sum_of_products(bounds, q, (rows + 2.0) * sum_unit(q->made));
}

static void sum_of_squares(double *bounds, const bound_question *q)
{
    bounds[0] = 64.0 * sum_unit(q->made) * exact_values(q)[0];
}

static void tt_build(double *bounds, const bound_question *q)
{
    const double ranks = sum_of_ranks(q, TTM_TT_BUILD_CORE);
    sum_of_products(bounds, q, (ranks + 8.0) * sum_unit(q->made));
}

static void tt_linear(double *bounds, const bound_question *q)
{
    const double terms = (double)q->made->slots[TTM_TT_LINEAR_X].shape[1];
    const double ranks = sum_of_ranks(q, TTM_TT_LINEAR_CORE);
    sum_of_products(bounds, q, (terms + ranks + 8.0) * sum_unit(q->made));
}

static void (*const bound_functions[TTM_OP_COUNT])(double *bounds, const bound_question *q) = {
    [TTM_OP_COPY] = rounding,
    [TTM_OP_FILL] = rounding,
    [TTM_OP_ADD] = add,
    [TTM_OP_MATMUL] = matmul,
    [TTM_OP_REDUCE_ROWS] = reduce_rows,
    [TTM_OP_SUM_OF_SQUARES] = sum_of_squares,
    [TTM_OP_GELU] = gelu,
    [TTM_OP_GELU_BACKWARD] = gelu_backward,
    [TTM_OP_DROPOUT] = dropout,
    [TTM_OP_SOFTMAX] = softmax,
    [TTM_OP_LAYER_NORM] = layer_norm,
    [TTM_OP_LAYER_NORM_BACKWARD] = layer_norm_backward,
    [TTM_OP_CROSS_ENTROPY] = cross_entropy,
    [TTM_OP_EMBEDDING] = embedding,
    [TTM_OP_EMBEDDING_BACKWARD] = embedding_backward,
    [TTM_OP_ADAMW] = adamw,
    [TTM_OP_TT_BUILD] = tt_build,
    [TTM_OP_TT_GRADIENT] = tt_gradient,
    [TTM_OP_TT_LINEAR] = tt_linear,
    [TTM_OP_TT_LINEAR_BACKWARD] = tt_linear_backward,
};

ttm_status bound_compute(double *bounds, const bound_question *question)
{
    if (question->made->opcode == TTM_OP_ATTENTION) {
        TTM_TRY(bound_attention(bounds, question, sum_unit(question->made), output_unit(question)));
    } else if (question->made->opcode == TTM_OP_ATTENTION_BACKWARD) {
        TTM_TRY(bound_attention_backward(bounds, question, sum_unit(question->made),
                                         output_unit(question)));
    } else if (question->made->opcode == TTM_OP_NORM_MATMUL) {
        const ttm_dtype type = question->made->dtype;
        const norm_matmul_units units = {.sum = sum_unit(question->made),
                                         .output = output_unit(question),
                                         .normed = type == TTM_BF16 || type == TTM_F16 ? unit(type)
                                                                                       : 0.0};
        TTM_TRY(bound_norm_matmul(bounds, question, &units));
    } else {
        bound_functions[question->made->opcode](bounds, question);
    }
    for (int64_t i = 0; i < count_of(question); i++) {
        if (bounds[i] > 0.0) {
            bounds[i] += tiny(question->made->slots[question->slot].dtype);
        }
    }
    return TTM_OK;
}
