/* Ops: what a backend computes. One opcode, its tensors, its parameters and its contract each.
 *
 * Common to all ops:
 * - Shapes are written [a, b]; every tensor may have any non-negative strides unless its contract
 * says more. The core has checked shapes, types and bounds before a backend sees an op.
 * - "out" tensors are written, "inout" ones read and written, all others only read. Outputs don't
 * overlap anything else unless the contract says that two slots may name the same elements.
 * Overlapping strides in outputs aren't allowed.
 * - An extent of 0 is valid: there is nothing to do (sums over nothing are 0).
 * - Float tensors of one op have one type, and sums are accumulated in f32 or better, unless the
 * contract says more. Results are rounded once, on writing. `mean`, `rstd`, `lse`, `loss` and sums
 * are f32 (f64 where the other tensors are f64).
 * - Accuracy is stated against the same op in double precision on the same inputs; u is the unit
 * round-off of the output type (2^-24 for f32, 2^-8 for bf16, 2^-11 for f16), and |x|_abs is the
 * sum of absolute values that the result is a sum of. "Elementwise c·u" means |result − exact| ≤
 * c·u·|exact| + tiny.
 * - What MATMUL says of numbers beside the largest of their line holds of all f32 products.
 * - Every op is deterministic: the same inputs on the same device and build give the same bits.
 *
 * A backend is only run with ops that its op_supported accepted, on memory of its own device. It
 * may take some types, strides or epilogues of an op and leave the others to libttm. What lies
 * between the elements of a strided tensor, and the rest of its allocation, belongs to somebody
 * else. */
#ifndef TTM_OPS_H
#define TTM_OPS_H

#include <ttm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The ops. The numbers are part of the plugin ABI: new ops are added at the end. */
typedef enum ttm_opcode {
    TTM_OP_COPY = 0,
    TTM_OP_FILL = 1,
    TTM_OP_ADD = 2,
    TTM_OP_MATMUL = 3,
    TTM_OP_REDUCE_ROWS = 4,
    TTM_OP_SUM_OF_SQUARES = 5,
    TTM_OP_GELU = 6,
    TTM_OP_GELU_BACKWARD = 7,
    TTM_OP_DROPOUT = 8,
    TTM_OP_SOFTMAX = 9,
    TTM_OP_LAYER_NORM = 10,
    TTM_OP_LAYER_NORM_BACKWARD = 11,
    TTM_OP_ATTENTION = 12,
    TTM_OP_ATTENTION_BACKWARD = 13,
    TTM_OP_CROSS_ENTROPY = 14,
    TTM_OP_EMBEDDING = 15,
    TTM_OP_EMBEDDING_BACKWARD = 16,
    TTM_OP_ADAMW = 17,
    TTM_OP_TT_BUILD = 18,
    TTM_OP_TT_GRADIENT = 19,
    TTM_OP_TT_LINEAR = 20,
    TTM_OP_TT_LINEAR_BACKWARD = 21,
    TTM_OP_SAMPLE = 22,      /* since minor version 3 */
    TTM_OP_NORM_MATMUL = 23, /* since minor version 4 */
    TTM_OP_COUNT = 24
} ttm_opcode;

/** The most TT cores in one op. */
#define TTM_OP_MAX_CORES 8

/** The most tensors in one op (TT_LINEAR_BACKWARD with 8 cores). */
#define TTM_OP_MAX_TENSORS 20

/* ---- COPY
 * ---------------------------------------------------------------------------------------------------------
 * out[i…] = x[i…], converting the element type. Both have one shape of rank 0 to 8. The general way
 * to permute, to cast and to make a view contiguous; x may have stride 0. Between i32 and float
 * types nothing is defined. Accuracy: one rounding. */
enum { TTM_COPY_OUT = 0, TTM_COPY_X = 1, TTM_COPY_TENSORS = 2 };

/* ---- FILL
 * ---------------------------------------------------------------------------------------------------------
 * out[i…] = value. Any shape; any type (i32: value is a whole number). */
enum { TTM_FILL_OUT = 0, TTM_FILL_TENSORS = 1 };
typedef struct ttm_fill_params {
    double value;
} ttm_fill_params;

/* ---- ADD
 * ----------------------------------------------------------------------------------------------------------
 * out[i…] = alpha·a[i…] + beta·b[i…]; without b, alpha·a. One shape of rank 0 to 8; a and b may
 * have stride 0 (a bias is a matrix whose rows repeat). out may be exactly a or exactly b.
 * Accuracy: 3·u·(|alpha·a| + |beta·b|). */
enum { TTM_ADD_OUT = 0, TTM_ADD_A = 1, TTM_ADD_B = 2 /* optional */, TTM_ADD_TENSORS = 3 };
typedef struct ttm_add_params {
    double alpha;
    double beta;
} ttm_add_params;

/* ---- MATMUL
 * -------------------------------------------------------------------------------------------------------
 * value = alpha·(a · b) + beta·out + bias, then
 *   activation NONE:           out = value + residual
 *   activation GELU:           out = gelu(value) + residual; pre = value, where present
 *   activation GELU_BACKWARD:  out = value · gelu'(pre) + residual; pre is read
 * a [batch…, M, K], b [batch…, K, N], out, pre and residual [batch…, M, N], bias [N]; 0 to 2 batch
 * dimensions, the same number in all. A transposed operand is a view with exchanged strides; batch
 * strides of a, b and residual may be 0. beta is 0 or 1; with beta = 0 out isn't read (it may hold
 * NaN). residual may be exactly out (then beta = 0). gelu is the tanh form of the op GELU. a, b of
 * one type; out of that type or f32; bias, residual and pre of out's type. Since minor version 5 a
 * and b may be TF32, with an f32 out; where a backend refuses that, the core makes f32 of them.
 * Backends may refuse an a or b with no unit stride in its last two dimensions, or an out whose
 * last stride isn't 1: the core then copies. Accuracy of value: (K + 4)·u32·(|alpha·a·b| +
 * |beta·out| + |bias| + |residual|)_abs + one rounding to the output type, with u32 = 2^-24. Where
 * a and b are TF32, 2^-10·|alpha·a·b|_abs more, what two roundings to 11 bits can make. Where they
 * are f32, K·2^-38·|alpha|·max_k|a_mk|·max_k|b_kn| more, with maxima of 2^-98 at least: a number
 * may be off by 2^-39 of the largest in its row of a or column of b, which is nothing beside u32
 * but where that one is multiplied by next to nothing. */
enum {
    TTM_MATMUL_OUT = 0, /* inout if beta = 1, else out */
    TTM_MATMUL_A = 1,
    TTM_MATMUL_B = 2,
    TTM_MATMUL_BIAS = 3,     /* optional */
    TTM_MATMUL_RESIDUAL = 4, /* optional */
    TTM_MATMUL_PRE = 5,      /* GELU: optional out; GELU_BACKWARD: required in */
    TTM_MATMUL_TENSORS = 6
};
typedef enum ttm_activation {
    TTM_ACTIVATION_NONE = 0,
    TTM_ACTIVATION_GELU = 1,
    TTM_ACTIVATION_GELU_BACKWARD = 2
} ttm_activation;
typedef struct ttm_matmul_params {
    double alpha;
    double beta; /**< 0 or 1. */
    ttm_activation activation;
} ttm_matmul_params;

/* ---- REDUCE_ROWS
 * --------------------------------------------------------------------------------------------------
 * out[j] = beta·out[j] + alpha·Σ_i x[i, j]. x [rows, cols], out [cols] of x's type or f32; beta is
 * 0 or 1. The gradient of a bias; with cols = 1 the sum of a vector. Accuracy: (rows +
 * 2)·u32·|x|_abs. */
enum { TTM_REDUCE_ROWS_OUT = 0, TTM_REDUCE_ROWS_X = 1, TTM_REDUCE_ROWS_TENSORS = 2 };
typedef struct ttm_reduce_rows_params {
    double alpha;
    double beta; /**< 0 or 1. */
} ttm_reduce_rows_params;

/* ---- SUM_OF_SQUARES
 * -----------------------------------------------------------------------------------------------
 * out = beta·out + Σ x². x [n] with stride 1, out [1]; beta is 0 or 1. Backends sum blockwise so
 * that the error doesn't grow with n: relative error at most 64·u32. */
enum { TTM_SUM_OF_SQUARES_OUT = 0, TTM_SUM_OF_SQUARES_X = 1, TTM_SUM_OF_SQUARES_TENSORS = 2 };
typedef struct ttm_sum_of_squares_params {
    double beta; /**< 0 or 1. */
} ttm_sum_of_squares_params;

/* ---- GELU
 * ---------------------------------------------------------------------------------------------------------
 * out = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), GPT-2's form. One shape. out may be exactly x.
 * Accuracy: 16·u·max(|x|, tiny). */
enum { TTM_GELU_OUT = 0, TTM_GELU_X = 1, TTM_GELU_TENSORS = 2 };

/* ---- GELU_BACKWARD
 * ------------------------------------------------------------------------------------------------
 * dx = dy·gelu'(x). One shape. dx may be exactly dy. Accuracy: 16·u·|dy|·(1 + |x|). */
enum {
    TTM_GELU_BACKWARD_DX = 0,
    TTM_GELU_BACKWARD_DY = 1,
    TTM_GELU_BACKWARD_X = 2,
    TTM_GELU_BACKWARD_TENSORS = 3
};

/* ---- DROPOUT
 * ------------------------------------------------------------------------------------------------------
 * out = residual + x·keep/(1 − probability); keep(i) = 1 where ttm_philox_u32(seed, start + i) /
 * 2^32 ≥ probability (see ttm/random.h), i being the element's row-major number in x's shape. One
 * shape; out may be exactly x or residual. Its own backward: apply it to dy. 0 ≤ probability < 1.
 * Accuracy: 3·u·(|residual| + |x|/(1 − probability)). */
enum {
    TTM_DROPOUT_OUT = 0,
    TTM_DROPOUT_X = 1,
    TTM_DROPOUT_RESIDUAL = 2 /* optional */,
    TTM_DROPOUT_TENSORS = 3
};
typedef struct ttm_dropout_params {
    double probability;
    uint64_t seed;
    uint64_t start;
} ttm_dropout_params;

/* ---- SOFTMAX
 * ------------------------------------------------------------------------------------------------------
 * out[…, i, j] = exp(scale·x[…, i, j] − m_i) / Σ_j over the columns that row i sees, m_i their
 * maximum; 0 elsewhere. With causal set, row i sees columns j ≤ i + (cols − rows); else all. x, out
 * [batch…, rows, cols], 0 to 2 batch dimensions. out may be exactly x. A row that sees nothing
 * becomes 0. Accuracy: 32·u·out + u. */
enum { TTM_SOFTMAX_OUT = 0, TTM_SOFTMAX_X = 1, TTM_SOFTMAX_TENSORS = 2 };
typedef struct ttm_softmax_params {
    double scale;
    int32_t causal;
} ttm_softmax_params;

/* ---- LAYER_NORM
 * ---------------------------------------------------------------------------------------------------
 * s = x + residual (x alone without it); out = (s − mean)·rstd·gamma + beta, mean and variance (the
 * biased one) over each row, rstd = 1/√(variance + epsilon). x, residual, sum, out [rows, cols];
 * gamma, beta [cols]; mean, rstd [rows]. `sum` receives s and may be exactly x or residual. The
 * variance is computed from centred values (two passes or Welford), never as a difference of
 * squares. Accuracy: sum (u + u32)·|s|; mean 16·u·mean|s|, the roundings of a tree of sums; rstd
 * 16·u·rstd·(1 + |s|_max·rstd); out 16·u·(|s − mean|·rstd·|gamma| + |beta|) +
 * 16·u·rstd·|s|_max·|gamma|. */
enum {
    TTM_LAYER_NORM_OUT = 0,
    TTM_LAYER_NORM_X = 1,
    TTM_LAYER_NORM_GAMMA = 2,
    TTM_LAYER_NORM_BETA = 3,
    TTM_LAYER_NORM_MEAN = 4,     /* optional out */
    TTM_LAYER_NORM_RSTD = 5,     /* optional out */
    TTM_LAYER_NORM_RESIDUAL = 6, /* optional */
    TTM_LAYER_NORM_SUM = 7,      /* optional out */
    TTM_LAYER_NORM_TENSORS = 8
};
typedef struct ttm_layer_norm_params {
    double epsilon;
} ttm_layer_norm_params;

/* ---- LAYER_NORM_BACKWARD
 * ------------------------------------------------------------------------------------------ With n
 * = (x − mean)·rstd and g = dy·gamma: dx = dx_beta·dx + rstd·(g − mean_row(g) − n·mean_row(g·n));
 * dgamma += Σ_rows dy·n; dbeta += Σ_rows dy. Shapes as in LAYER_NORM; x is what was normalised (its
 * `sum`). dx may be exactly dy when dx_beta = 0. dgamma and dbeta are [cols]. Accuracy: dx
 * 64·u·rstd·(|g| + mean|g| + |n|·mean|g·n|); dgamma, dbeta (rows + 32)·u32·|·|_abs. */
enum {
    TTM_LAYER_NORM_BACKWARD_DX = 0, /* inout if dx_beta = 1, else out */
    TTM_LAYER_NORM_BACKWARD_DY = 1,
    TTM_LAYER_NORM_BACKWARD_X = 2,
    TTM_LAYER_NORM_BACKWARD_GAMMA = 3,
    TTM_LAYER_NORM_BACKWARD_MEAN = 4,
    TTM_LAYER_NORM_BACKWARD_RSTD = 5,
    TTM_LAYER_NORM_BACKWARD_DGAMMA = 6, /* inout */
    TTM_LAYER_NORM_BACKWARD_DBETA = 7,  /* inout */
    TTM_LAYER_NORM_BACKWARD_TENSORS = 8
};
typedef struct ttm_layer_norm_backward_params {
    double dx_beta; /**< 0 or 1. */
} ttm_layer_norm_backward_params;

/* ---- ATTENTION
 * ----------------------------------------------------------------------------------------------------
 * For each batch b and head h: p = softmax(scale·q·kᵀ) over the keys that a query sees, out =
 * dropped(p)·v, lse_i = log Σ exp(scale·q_i·k_j). q, out [B, H, Tq, D]; k, v [B, H, Tk, D]; lse [B,
 * H, Tq]. With causal set query i sees keys j ≤ i + (Tk − Tq), Tk ≥ Tq; else all. dropped(p)_ij =
 * p_ij·keep/(1 − dropout) with keep by DROPOUT's rule at element number ((b·H + h)·Tq + i)·Tk + j.
 * A backend shouldn't hold B·H·Tq·Tk scores at once. The last stride of q, k, v and out is 1.
 *
 * Accuracy: that of independent roundings in f32, 8 standard deviations. For query i, s_ij the
 * scores and m_i their maximum, n the keys that it sees and sums going over these, w_ij =
 * keep/(1 − dropout), A_ij = |scale|·Σ_d |q_id·k_jd|, the relative error of p_ij has, in units of
 * u32², the variance V_ij = ((D + 2)·A_ij² + 4·(s_ij − m_i)² + 16)/3. Errors are at most
 * - lse_i: 8·u32·√(Σ_j p_ij²·V_ij + n/3) + 4·u32·(1 + |lse_i|)
 * - out_id: 8·u32·√(Σ_j p_ij²·((w_ij·v_jd − out_id)²·V_ij + R·w_ij²·v_jd²) +
 *   n/3·(Σ_j p_ij·|w_ij·v_jd|)² + n/3·out_id²) + (2·u32 + u)·|out_id|
 * R lets a device round p to bf16 before it multiplies v, where these are bf16, as matrix units
 * want it: R = (u/u32)²/3 then, and 0 for all other types. lse comes from unrounded p.
 *
 * Since minor version 6 q, k and v may be TF32, with an f32 out; where a backend refuses that, the
 * core makes f32 of them. They, and p before it multiplies v, may then be rounded to 11 bits. To
 * first order, and however roundings of one row agree, that is at most 2^-10 times
 * - lse_i: Σ_j p_ij·A_ij
 * - out_id: Σ_j p_ij·(|w_ij·v_jd − out_id|·A_ij + |w_ij·v_jd|)
 * which is added to the errors above. */
enum {
    TTM_ATTENTION_OUT = 0,
    TTM_ATTENTION_Q = 1,
    TTM_ATTENTION_K = 2,
    TTM_ATTENTION_V = 3,
    TTM_ATTENTION_LSE = 4, /* optional out */
    TTM_ATTENTION_TENSORS = 5
};
typedef struct ttm_attention_params {
    double scale;
    double dropout; /**< 0 ≤ dropout < 1. */
    uint64_t seed;
    int32_t causal;
} ttm_attention_params;

/* ---- ATTENTION_BACKWARD
 * -------------------------------------------------------------------------------------------
 * Gradients of ATTENTION with the same parameters: dq, dk, dv (written, not accumulated) from dout,
 * q, k, v, out and lse. Shapes as there; dq like q, dk like k, dv like v, dout like out; last
 * strides 1. Deterministic: no atomic sums. p is exp(scale·q·kᵀ − lse) with the lse that is given,
 * and Δ_i = Σ_d dout_id·out_id with the out that is given.
 *
 * Accuracy: as ATTENTION's, with lse_i for m_i in V_ij. With dp_ij = w_ij·Σ_d dout_id·v_jd, ds_ij =
 * p_ij·(dp_ij − Δ_i), B_ij and C_i the sums of absolute values that dp_ij and Δ_i are sums of, n
 * the terms of the sum in question, W_ij = p_ij²·((dp_ij − Δ_i)²·(V_ij + 2) + (D + 2)/3·B_ij² +
 * (dp_ij² + Δ_i²)/3) and Y_i = D/3·C_i², errors are at most 8·u32·√variance + (2·u32 + u)·|exact|:
 * - dq_id: scale²·(Σ_j k_jd²·(W_ij + R·ds_ij²) + (Σ_j p_ij·k_jd)²·Y_i + n/3·(Σ_j |ds_ij·k_jd|)²)
 * - dk_jd: scale²·(Σ_i q_id²·(W_ij + R·ds_ij² + p_ij²·Y_i) + n/3·(Σ_i |ds_ij·q_id|)²)
 * - dv_jd: Σ_i (w_ij·p_ij·dout_id)²·(V_ij + R + 1) + n/3·(Σ_i |w_ij·p_ij·dout_id|)²
 * with ATTENTION's R, for p and ds may be rounded to bf16 before they are multiplied.
 *
 * Since minor version 6 dout, q, k and v may be TF32, with all else f32, as in ATTENTION. With E_ij
 * = p_ij·(|dp_ij − Δ_i|·A_ij + B_ij) that adds 2^-10 times
 * - dq_id: |scale|·Σ_j (E_ij + |ds_ij|)·|k_jd|
 * - dk_jd: |scale|·Σ_i (E_ij + |ds_ij|)·|q_id|
 * - dv_jd: Σ_i |w_ij·p_ij·dout_id|·(A_ij + 1) */
enum {
    TTM_ATTENTION_BACKWARD_DQ = 0,
    TTM_ATTENTION_BACKWARD_DK = 1,
    TTM_ATTENTION_BACKWARD_DV = 2,
    TTM_ATTENTION_BACKWARD_DOUT = 3,
    TTM_ATTENTION_BACKWARD_Q = 4,
    TTM_ATTENTION_BACKWARD_K = 5,
    TTM_ATTENTION_BACKWARD_V = 6,
    TTM_ATTENTION_BACKWARD_OUT = 7,
    TTM_ATTENTION_BACKWARD_LSE = 8,
    TTM_ATTENTION_BACKWARD_TENSORS = 9
};

/* ---- CROSS_ENTROPY
 * ------------------------------------------------------------------------------------------------
 * loss_i = log Σ_j exp(logits_ij) − logits_i,target_i; dlogits_ij =
 * gradient_scale·(softmax(logits_i)_j − [j = target_i]). logits, dlogits [rows, vocab]; targets i32
 * [rows]; loss [rows]. A target < 0 is ignored: loss 0, dlogits 0; a target ≥ vocab is treated
 * alike. dlogits may be exactly logits, and normally is. Accuracy: loss 16·u32·(max|logits_i| + 1);
 * dlogits 64·u·gradient_scale·(softmax + [j = target]). */
enum {
    TTM_CROSS_ENTROPY_LOSS = 0,
    TTM_CROSS_ENTROPY_LOGITS = 1,
    TTM_CROSS_ENTROPY_TARGETS = 2,
    TTM_CROSS_ENTROPY_DLOGITS = 3, /* optional out */
    TTM_CROSS_ENTROPY_TENSORS = 4
};
typedef struct ttm_cross_entropy_params {
    double gradient_scale;
} ttm_cross_entropy_params;

/* ---- EMBEDDING
 * ----------------------------------------------------------------------------------------------------
 * out[i, :] = table[tokens[i], :] + positions[position_start + i mod sequence_length, :]. out
 * [rows, cols]; tokens i32 [rows]; table [vocab, cols]; positions [context, cols], with
 * position_start + min(rows, sequence_length) ≤ context. A token outside [0, vocab) adds nothing.
 * Accuracy: one addition. */
enum {
    TTM_EMBEDDING_OUT = 0,
    TTM_EMBEDDING_TOKENS = 1,
    TTM_EMBEDDING_TABLE = 2,
    TTM_EMBEDDING_POSITIONS = 3, /* optional */
    TTM_EMBEDDING_TENSORS = 4
};
typedef struct ttm_embedding_params {
    int64_t sequence_length; /**< ≥ 1. */
    int64_t position_start;
} ttm_embedding_params;

/* ---- EMBEDDING_BACKWARD
 * -------------------------------------------------------------------------------------------
 * dtable[tokens[i], :] += dout[i, :]; dpositions[position_start + i mod sequence_length, :] +=
 * dout[i, :]. Shapes and parameters as in EMBEDDING. Deterministic: the rows of one token are added
 * in ascending order of i (or by a fixed tree), never by atomics. Accuracy: (n + 2)·u32·|·|_abs, n
 * the number of rows added. */
enum {
    TTM_EMBEDDING_BACKWARD_DTABLE = 0,     /* inout */
    TTM_EMBEDDING_BACKWARD_DPOSITIONS = 1, /* optional inout */
    TTM_EMBEDDING_BACKWARD_DOUT = 2,
    TTM_EMBEDDING_BACKWARD_TOKENS = 3,
    TTM_EMBEDDING_BACKWARD_TENSORS = 4
};

/* ---- ADAMW
 * --------------------------------------------------------------------------------------------------------
 * One step of AdamW (arXiv 1711.05101) over flat buffers [n] with stride 1. With c =
 * clip·gradient_scale, clip = 1 without norm_squared or with max_norm ≤ 0, else min(1, max_norm /
 * (gradient_scale·√norm_squared + 1e-6)); g = c·gradients: m = beta1·m + (1 − beta1)·g;  v =
 * beta2·v + (1 − beta2)·g² p = p − lr·weight_decay·p − lr·(m/(1 − beta1^step)) / (√(v/(1 −
 * beta2^step)) + epsilon), lr = learning_rate·segment's scale `segments` (host memory, read during
 * the call) are ascending, don't overlap, and tell which elements are updated and how. parameters,
 * m and v are f32 (or all f64); gradients may be of a lower type; `working`, where present,
 * receives the new parameters rounded to its type. A norm_squared that isn't finite makes every
 * parameter NaN-free: nothing is updated. Accuracy: 32·u32 per term.
 *
 * Since minor version 1, m and v may be bf16 beside f32 parameters. They are then rounded
 * stochastically: as f32 numbers whose lower 16 bits are carried up when they and 16 random bits
 * make 2^16, so that means are exact; a v that changes by less than half a unit a step would
 * otherwise never change. The bits for element i are those of ttm_philox_u32(step, i) (see
 * ttm/random.h), the lower 16 for m, the upper for v. p comes from the unrounded moments. Accuracy
 * of m and v: 2·u more. */
enum {
    TTM_ADAMW_PARAMETERS = 0, /* inout */
    TTM_ADAMW_GRADIENTS = 1,
    TTM_ADAMW_FIRST_MOMENT = 2,  /* inout */
    TTM_ADAMW_SECOND_MOMENT = 3, /* inout */
    TTM_ADAMW_NORM_SQUARED = 4,  /* optional [1]: Σ gradients² over everything */
    TTM_ADAMW_WORKING = 5,       /* optional out */
    TTM_ADAMW_TENSORS = 6
};
/** A run of parameters that share their treatment. */
typedef struct ttm_adamw_segment {
    int64_t start; /**< First element. */
    int64_t count; /**< Number of elements. */
    double learning_rate_scale;
    double weight_decay;
} ttm_adamw_segment;
typedef struct ttm_adamw_params {
    double learning_rate;
    double beta1;
    double beta2;
    double epsilon;
    double max_norm; /**< Clip the global norm to this; ≤ 0: don't. */
    double
        gradient_scale; /**< Multiplies every gradient first, as for a mean over micro-batches. */
    int64_t step;       /**< Number of this step, from 1. */
    const ttm_adamw_segment *segments;
    int64_t segment_count;
} ttm_adamw_params;

/* ---- TT ops
 * -------------------------------------------------------------------------------------------------------
 * A TT-matrix W [in, out] of d cores: core k is [layers, r_k, n_k, m_k, r_{k+1}], r_0 = r_d = 1, in
 * = Π n_k, out = Π m_k, W[(i_0 … i_{d-1}), (j_0 … j_{d-1})] = G_0[i_0, j_0] · … · G_{d-1}[i_{d-1},
 * j_{d-1}]   (arXiv 2306.02697) The last four dimensions of a core (and of its gradient) are
 * contiguous; the layer stride is free. All layers of one shape go in one call. K below is the
 * largest product of ranks summed over for one element, Σ_k of inner dimensions of the order
 * chosen; |·|_abs is the same expression with absolute values. */

/* TT_BUILD: w [layers, in, out] (last stride 1) = the matrix of the cores. Since minor version 1, w
 * may be bf16 with f32 cores. Accuracy: (Σ r_k + 8)·u32·|·|_abs plus one rounding. */
enum { TTM_TT_BUILD_W = 0, TTM_TT_BUILD_CORE = 1 /* … 8 */, TTM_TT_BUILD_TENSORS = 9 };

/* TT_GRADIENT: dcore_k = beta·dcore_k + ∂(Σ dw·W)/∂core_k, from dw [layers, in, out] (last stride
 * 1) and the cores. beta is 0 or 1. Accuracy: that of independent roundings in f32, 8 standard
 * deviations, for inputs of unrelated signs: (in·out/(n_k·m_k) + Σ r_k + 8)^½·8·u32·|·|_rss plus
 * one rounding. |·|_rss is the root of the same expression with every input squared: what the sum
 * amounts to when signs are unrelated, where |·|_abs is what it amounts to when all are alike. */
enum {
    TTM_TT_GRADIENT_DW = 0,
    TTM_TT_GRADIENT_CORE = 1,  /* … 8 */
    TTM_TT_GRADIENT_DCORE = 9, /* … 16, inout */
    TTM_TT_GRADIENT_TENSORS = 17
};
typedef struct ttm_tt_gradient_params {
    double beta; /**< 0 or 1. */
} ttm_tt_gradient_params;

/* TT_LINEAR: y = x·W + bias. x [rows, in], y [rows, out], bias [out]; cores with layers = 1. By
 * whatever order of contraction is cheapest; W needn't ever exist. Accuracy: (in + Σ r_k +
 * 8)·u32·|·|_abs. */
enum {
    TTM_TT_LINEAR_Y = 0,
    TTM_TT_LINEAR_X = 1,
    TTM_TT_LINEAR_BIAS = 2 /* optional */,
    TTM_TT_LINEAR_CORE = 3,
    TTM_TT_LINEAR_TENSORS = 11
};

/* TT_LINEAR_BACKWARD: dx = dy·Wᵀ (where present); dcore_k += ∂(Σ dy·y)/∂core_k; dbias += Σ_rows dy
 * (where present). No activation of the forward chain is needed. Accuracy: dx as TT_LINEAR's with
 * `out` for `in`; dcore_k as TT_GRADIENT's with `rows` more terms; dbias as REDUCE_ROWS's. */
enum {
    TTM_TT_LINEAR_BACKWARD_DX = 0, /* optional out */
    TTM_TT_LINEAR_BACKWARD_DY = 1,
    TTM_TT_LINEAR_BACKWARD_X = 2,
    TTM_TT_LINEAR_BACKWARD_DBIAS = 3,  /* optional inout */
    TTM_TT_LINEAR_BACKWARD_CORE = 4,   /* … 11 */
    TTM_TT_LINEAR_BACKWARD_DCORE = 12, /* … 19, inout */
    TTM_TT_LINEAR_BACKWARD_TENSORS = 20
};

/* ---- SAMPLE (since minor version 3)
 * -------------------------------------------------------------------------------
 * tokens[i] = a token drawn from softmax(logits[i, :]/temperature), cut off by top_k and top_p.
 * logits [rows, vocab]; random i32 [rows, 2], any 32 bits; tokens i32 [rows]. For each row:
 *   order: by descending logit, of equal logits (0 and −0 are equal) the lower token first;
 *   weight of token j: w_j = exp((logits_ij − max_i)/temperature), of −∞ 0;
 *   kept: the first top_k in that order (0: all); of these the shortest run from the first one on
 *     whose weights make up at least top_p of all of theirs (1: all);
 *   drawn: going through the kept tokens by number, the first one at which the sum of weights
 *     exceeds u·(sum over all kept), u = ttm_uniform_f64(random[i, 0], random[i, 1]) of
 *     ttm/random.h, the words taken as unsigned. A token without weight is never drawn.
 * With temperature 0 or top_k 1 the first in that order is taken. Where a logit is NaN or +∞, or
 * none is above −∞, the token is −1. ttm/sample_row.h has all this as code for one row.
 * Accuracy: the order is exact, but that logits below the smallest normal number may count as 0.
 * Sums may be off: a token is right if it is drawn by the rule above for some top_p' and u' with
 * |top_p' − top_p| and |u' − u| at most e = u32·(8·√(vocab/3) + Σ_j p_j·(16 + 4·|ln w_j|)), p the
 * weights divided by their sum: a sum of vocab positive terms, 8 standard deviations of independent
 * roundings, and the weights' own errors. */
enum {
    TTM_SAMPLE_TOKENS = 0, /* out */
    TTM_SAMPLE_LOGITS = 1,
    TTM_SAMPLE_RANDOM = 2,
    TTM_SAMPLE_TENSORS = 3
};
typedef struct ttm_sample_params {
    double temperature; /**< ≥ 0. */
    double top_p;       /**< In (0, 1]; 1: no limit. */
    int64_t top_k;      /**< ≥ 0; 0: no limit. */
} ttm_sample_params;

/* ---- NORM_MATMUL (since minor version 4)
 * -------------------------------------------------------------------------------
 * With n = (x − mean)·rstd·gamma + beta, mean and rstd of each row of x as in LAYER_NORM:
 *   value = n·b + bias
 *   activation NONE: out = value;  activation GELU: out = gelu(value)
 * x [M, K], gamma, beta [K], b [K, N], bias [N], out [M, N]. x, gamma, beta, b of one type; out of
 * that type or f32; bias of out's type. gelu is the tanh form of the op GELU; other activations
 * aren't allowed. For few rows, where a launch costs more than normalising them in every part of
 * the product: n needn't exist in memory. It may be rounded to x's type before it is multiplied, or
 * not.
 * Accuracy of value: with LAYER_NORM's error of n in f32, whatever x's type is,
 *   e_ik = 16·u32·(|x_ik − mean_i|·rstd_i·|gamma_k| + |beta_k| + rstd_i·|x_i|_max·|gamma_k|),
 * MATMUL's error and what both become:
 *   (K + 4)·u32·(Σ_k |n_ik·b_kj| + |bias_j|) + Σ_k e_ik·|b_kj| + r_ij + one rounding to the output
 *   type.
 * r_ij is for rounding n, if x is bf16 or f16, else 0. With u_x the round-off of x's type it is
 *   u_x·min(Σ_k |n_ik·b_kj|, 8·√(Σ_k (n_ik·b_kj)²/3)):
 * what K roundings can make at most, and 8 standard deviations of independent ones. */
enum {
    TTM_NORM_MATMUL_OUT = 0,
    TTM_NORM_MATMUL_X = 1,
    TTM_NORM_MATMUL_GAMMA = 2,
    TTM_NORM_MATMUL_BETA = 3,
    TTM_NORM_MATMUL_B = 4,
    TTM_NORM_MATMUL_BIAS = 5, /* optional */
    TTM_NORM_MATMUL_TENSORS = 6
};
typedef struct ttm_norm_matmul_params {
    double epsilon;            /**< > 0. */
    ttm_activation activation; /**< TTM_ACTIVATION_NONE or TTM_ACTIVATION_GELU. */
} ttm_norm_matmul_params;

/** Returns the slots that may be TF32 where the op's data are f32, bit (1 << slot) for each: the
 * operands of its matrix products. Either all of them are, or none. */
static inline uint32_t ttm_op_tf32_slots(ttm_opcode opcode)
{
    switch (opcode) {
    case TTM_OP_MATMUL:
        return 1U << TTM_MATMUL_A | 1U << TTM_MATMUL_B;
    case TTM_OP_ATTENTION:
        return 1U << TTM_ATTENTION_Q | 1U << TTM_ATTENTION_K | 1U << TTM_ATTENTION_V;
    case TTM_OP_ATTENTION_BACKWARD:
        return 1U << TTM_ATTENTION_BACKWARD_DOUT | 1U << TTM_ATTENTION_BACKWARD_Q |
               1U << TTM_ATTENTION_BACKWARD_K | 1U << TTM_ATTENTION_BACKWARD_V;
    default:
        return 0;
    }
}

/** One op, as a backend receives it. Everything it points at stays valid until the call returns,
 * the memory until the stream has finished the op. */
typedef struct ttm_op {
    size_t struct_size;        /**< sizeof(ttm_op) of the caller. */
    ttm_opcode opcode;         /**< Which op. */
    uint32_t tensor_count;     /**< Number of slots in `tensors`: the op's TTM_…_TENSORS. */
    const ttm_tensor *tensors; /**< The slots, absent optional ones zeroed. */
    const void *params;        /**< The op's parameter struct, NULL for an op without. */
    size_t params_bytes;       /**< Its size. */
    ttm_tensor workspace; /**< Bytes of scratch as asked for by op_workspace_bytes (f32, rank 1), or
                             absent. */
    const char
        *label; /**< What the op is for, such as "layer 3 mlp.c_fc"; may be NULL. For profiles. */
} ttm_op;

/** *plain = the op with f32 in place of TF32: itself, or where there is any with its tensors in
 * `slots`, which must live as long as it. Returns whether there was any. */
static inline int ttm_op_without_tf32(ttm_op *plain, ttm_tensor slots[TTM_OP_MAX_TENSORS],
                                      const ttm_op *op)
{
    *plain = *op;
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        if (op->tensors[i].dtype == TTM_TF32) {
            plain->tensors = slots;
        }
    }
    for (uint32_t i = 0; i < op->tensor_count && plain->tensors == slots; i++) {
        slots[i] = op->tensors[i];
        slots[i].dtype = slots[i].dtype == TTM_TF32 ? TTM_F32 : slots[i].dtype;
    }
    return plain->tensors == slots;
}

#ifdef __cplusplus
}
#endif

#endif
