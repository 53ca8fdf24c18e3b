/* LAYER_NORM and LAYER_NORM_BACKWARD.
 *
 * layer_norm: s = x + residual; out = (s − mean)·rstd·gamma + beta. A group of GROUP a row; the
 *   variance comes from centred values in a second pass over the row, which the cache serves.
 *   An element of `sum`, which may be x or residual, is written by the item that read it, last.
 *   Launch: global rows·GROUP.
 * layer_norm_dx: dx = dx_beta·dx + rstd·(g − mean(g) − n·mean(g·n)), g = dy·gamma,
 *   n = (x − mean)·rstd. Launch: global rows·GROUP.
 * layer_norm_parts: parts [2, chunks, cols]: Σ dy·n and Σ dy over `chunk` rows each; an item takes
 *   VECTOR columns. Launch: global (⌈cols / VECTOR⌉, chunks). It runs before layer_norm_dx, which
 *   may overwrite dy.
 * layer_norm_totals: adds the parts to dgamma and dbeta. Launch: groups of (COL_ITEMS, PART_ITEMS),
 *   global (⌈cols / VECTOR⌉, PART_ITEMS); see group_reduce.cl.
 * Macros: DATA, RESULT, VECTOR, GROUP, WHOLE_ROWS (types.cl). Bound by memory bandwidth. On GPUs rows of
 * whole vectors have groups of few items, for to add up over a group takes as long as some loads, and EACH vectors
 * an item, at most: they are all read before any is used, once. EACH 0: rows of any length. */

#ifndef EACH
#define EACH 0
#endif

/* Begins a loop over the item's vectors of a row; the one from column j on, in registers where EACH says how many
 * there are: KEPT declares them, KEEP puts one there, and WHAT_IS_KEPT is that one or what is read again. */
#if EACH > 0
#define FOR_ROW_VECTORS                     \
    _Pragma("unroll")                       \
    for (int i = 0; i < EACH; i++) {        \
        const long j = begin + i * step;    \
        if (j >= cols) {                    \
            continue;                       \
        }
#define KEPT(name)                 fvec name[EACH];
#define KEEP(name, value)          name[i] = value;
#define WHAT_IS_KEPT(name, value)  name[i]
#else
#define FOR_ROW_VECTORS for (long j = begin; j < cols; j += step) {
#define KEPT(name)
#define KEEP(name, value)
#define WHAT_IS_KEPT(name, value)  (value)
#endif
#define END_ROW_VECTORS }

#define LAYER_NORM_RESIDUAL 1
#define LAYER_NORM_SUM      2
#define LAYER_NORM_MEAN     4
#define LAYER_NORM_RSTD     8

/* strides = (x row, x col, residual row, col, sum row, col, out row, out col); more = (gamma, beta,
 * mean, rstd, 0…). */
ROW_KERNEL void layer_norm(__global data_t *out, long out_start, __global const data_t *x,
                           long x_start, __global const data_t *gamma, long gamma_start,
                           __global const data_t *beta, long beta_start, __global float *mean_out,
                           long mean_start, __global float *rstd_out, long rstd_start,
                           __global const data_t *residual, long residual_start,
                           __global data_t *sum_out, long sum_start, long cols, long8 strides,
                           long8 more, float epsilon, int flags)
{
    DECLARE_SCRATCH(scratch);
    const long row = get_group_id(0);
    const long begin = (long)get_local_id(0) * VECTOR;
    const long step = (long)GROUP * VECTOR;
    x += x_start + row * strides.s0;
    residual += residual_start + row * strides.s2;
    sum_out += sum_start + row * strides.s4;
    out += out_start + row * strides.s6;
    gamma += gamma_start;
    beta += beta_start;

#define LOAD_S(j)                                                                             \
    (load_data(x + (j)*strides.s1, strides.s1, cols - (j), 0.0f) +                            \
     ((flags & LAYER_NORM_RESIDUAL) != 0                                                      \
          ? load_data(residual + (j)*strides.s3, strides.s3, cols - (j), 0.0f)                \
          : (fvec)(0.0f)))

    KEPT(row_s)
    FOR_ROW_VECTORS
        KEEP(row_s, LOAD_S(j))
    END_ROW_VECTORS
    fvec sum = (fvec)(0.0f);
    FOR_ROW_VECTORS
        sum += WHAT_IS_KEPT(row_s, LOAD_S(j));
    END_ROW_VECTORS
    const float mean = group_sum(VECTOR_SUM(sum), scratch) / (float)cols;
    fvec squares = (fvec)(0.0f);
    FOR_ROW_VECTORS
        fvec centred = WHAT_IS_KEPT(row_s, LOAD_S(j)) - mean;
#if VECTOR > 1 && !WHOLE_ROWS
        /* Lanes behind the last column count for nothing. */
        centred = select(centred, (fvec)(0.0f), LANE_NUMBERS >= (fvec)((float)min(cols - j, 64L)));
#endif
        squares = MULTIPLY_ADD(centred, centred, squares);
    END_ROW_VECTORS
    const float variance = group_sum(VECTOR_SUM(squares), scratch) / (float)cols;
    const float rstd = 1.0f / sqrt(variance + epsilon);
    FOR_ROW_VECTORS
        const fvec s = WHAT_IS_KEPT(row_s, LOAD_S(j));
        const fvec g = load_data(gamma + j * more.s0, more.s0, cols - j, 0.0f);
        const fvec b = load_data(beta + j * more.s1, more.s1, cols - j, 0.0f);
        store_data(out + j * strides.s7, strides.s7, cols - j, (s - mean) * rstd * g + b);
        if ((flags & LAYER_NORM_SUM) != 0) {
            store_data(sum_out + j * strides.s5, strides.s5, cols - j, s);
        }
    END_ROW_VECTORS
    if (get_local_id(0) == 0) {
        if ((flags & LAYER_NORM_MEAN) != 0) {
            mean_out[mean_start + row * more.s2] = mean;
        }
        if ((flags & LAYER_NORM_RSTD) != 0) {
            rstd_out[rstd_start + row * more.s3] = rstd;
        }
    }
}

/* strides = (dx row, dx col, dy row, dy col, x row, x col, gamma, 0); moment_strides of mean, rstd. */
ROW_KERNEL void layer_norm_dx(__global data_t *dx, long dx_start, __global const data_t *dy,
                              long dy_start, __global const data_t *x, long x_start,
                              __global const data_t *gamma, long gamma_start,
                              __global const float *means, long mean_start,
                              __global const float *rstds, long rstd_start, long cols,
                              long8 strides, long mean_stride, long rstd_stride, float dx_beta)
{
    DECLARE_SCRATCH(scratch);
    const long row = get_group_id(0);
    const long begin = (long)get_local_id(0) * VECTOR;
    const long step = (long)GROUP * VECTOR;
    const float mean = means[mean_start + row * mean_stride];
    const float rstd = rstds[rstd_start + row * rstd_stride];
    dx += dx_start + row * strides.s0;
    dy += dy_start + row * strides.s2;
    x += x_start + row * strides.s4;
    gamma += gamma_start;
#define LOAD_G(j)                                                       \
    (load_data(dy + (j)*strides.s3, strides.s3, cols - (j), 0.0f) *     \
     load_data(gamma + (j)*strides.s6, strides.s6, cols - (j), 0.0f))
#define LOAD_N(j) ((load_data(x + (j)*strides.s5, strides.s5, cols - (j), mean) - mean) * rstd)
#define LOAD_DX(j) \
    (dx_beta != 0.0f ? dx_beta * load_data(dx + (j)*strides.s1, strides.s1, cols - (j), 0.0f) : (fvec)(0.0f))

    KEPT(row_g)
    KEPT(row_n)
    KEPT(row_dx)
    FOR_ROW_VECTORS
        KEEP(row_g, LOAD_G(j))
        KEEP(row_n, LOAD_N(j))
        KEEP(row_dx, LOAD_DX(j))
    END_ROW_VECTORS
    fvec sum_g = (fvec)(0.0f);
    fvec sum_gn = (fvec)(0.0f);
    FOR_ROW_VECTORS
        const fvec g = WHAT_IS_KEPT(row_g, LOAD_G(j));
        sum_g += g;
        sum_gn = MULTIPLY_ADD(g, WHAT_IS_KEPT(row_n, LOAD_N(j)), sum_gn);
    END_ROW_VECTORS
    const float mean_g = group_sum(VECTOR_SUM(sum_g), scratch) / (float)cols;
    const float mean_gn = group_sum(VECTOR_SUM(sum_gn), scratch) / (float)cols;
    FOR_ROW_VECTORS
        const fvec g = WHAT_IS_KEPT(row_g, LOAD_G(j));
        const fvec n = WHAT_IS_KEPT(row_n, LOAD_N(j));
        const fvec value = rstd * (g - mean_g - n * mean_gn) + WHAT_IS_KEPT(row_dx, LOAD_DX(j));
        store_data(dx + j * strides.s1, strides.s1, cols - j, value);
    END_ROW_VECTORS
}

/* strides as for layer_norm_dx. */
__kernel void layer_norm_parts(__global float *parts, long parts_start,
                               __global const data_t *dy, long dy_start, __global const data_t *x,
                               long x_start, __global const float *means, long mean_start,
                               __global const float *rstds, long rstd_start, long rows, long cols,
                               long8 strides, long mean_stride, long rstd_stride, long chunk,
                               long chunks)
{
    const long col = (long)get_global_id(0) * VECTOR;
    const long part = get_global_id(1);
    const long end = min((part + 1) * chunk, rows);
    if (col >= cols || part >= chunks) {
        return;
    }
    fvec sum_gamma = (fvec)(0.0f);
    fvec sum_beta = (fvec)(0.0f);
    dy += dy_start + col * strides.s3;
    x += x_start + col * strides.s5;
    for (long row = part * chunk; row < end; row++) {
        const float mean = means[mean_start + row * mean_stride];
        const float rstd = rstds[rstd_start + row * rstd_stride];
        const fvec gradient = load_data(dy + row * strides.s2, strides.s3, cols - col, 0.0f);
        const fvec value = load_data(x + row * strides.s4, strides.s5, cols - col, 0.0f);
        sum_gamma = MULTIPLY_ADD(gradient, (value - mean) * rstd, sum_gamma);
        sum_beta += gradient;
    }
    parts += parts_start;
    store_f32(parts + part * cols + col, 1, cols - col, sum_gamma);
    store_f32(parts + (chunks + part) * cols + col, 1, cols - col, sum_beta);
}

#ifdef PART_ITEMS
COLUMN_KERNEL void layer_norm_totals(__global result_t *dgamma, long dgamma_start,
                                     __global result_t *dbeta, long dbeta_start,
                                     __global const float *parts, long parts_start, long chunks,
                                     long cols, long dgamma_stride, long dbeta_stride)
{
    DECLARE_COLUMN_SCRATCH(scratch);
    const long col = (long)get_global_id(0) * VECTOR;
    parts += parts_start + col;
    fvec sum_gamma = (fvec)(0.0f);
    fvec sum_beta = (fvec)(0.0f);
    for (long part = get_local_id(1); col < cols && part < chunks; part += PART_ITEMS) {
        sum_gamma += load_f32(parts + part * cols, 1, cols - col, 0.0f);
        sum_beta += load_f32(parts + (chunks + part) * cols, 1, cols - col, 0.0f);
    }
    sum_gamma = column_total(sum_gamma, scratch);
    sum_beta = column_total(sum_beta, scratch);
    if (col >= cols || get_local_id(1) > 0) {
        return;
    }
    dgamma += dgamma_start + col * dgamma_stride;
    dbeta += dbeta_start + col * dbeta_stride;
    sum_gamma += load_result(dgamma, dgamma_stride, cols - col, 0.0f);
    sum_beta += load_result(dbeta, dbeta_stride, cols - col, 0.0f);
    store_result(dgamma, dgamma_stride, cols - col, sum_gamma);
    store_result(dbeta, dbeta_stride, cols - col, sum_beta);
}
#endif
