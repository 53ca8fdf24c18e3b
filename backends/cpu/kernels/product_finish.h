/* What a product does with its sums: bias, activation and residual, applied as blocks are stored.
 */
#ifndef TTM_CPU_KERNELS_PRODUCT_FINISH_H
#define TTM_CPU_KERNELS_PRODUCT_FINISH_H

#include "cpu/kernels/gelu_pieces.h"
#include "cpu/kernels/product_block.h"

ALWAYS_INLINE vector load_some(const float *source, size_t count)
{
    return count < LANES ? vector_load_part(source, count) : vector_load(source);
}

ALWAYS_INLINE void store_some(float *target, vector value, size_t count)
{
    if (count < LANES) {
        vector_store_part(target, value, count);
    } else {
        vector_store(target, value);
    }
}

/* ---- out, bias, residual and pre, which are elements or, where wide_out, floats ---- */

ALWAYS_INLINE size_t out_bytes(const ttm_cpu_product *job)
{
    return job->wide_out ? sizeof(float) : sizeof(element);
}

ALWAYS_INLINE const void *out_at(const ttm_cpu_product *job, const void *base, ptrdiff_t index)
{
    return (const unsigned char *)base + index * (ptrdiff_t)out_bytes(job);
}

ALWAYS_INLINE vector out_load(const ttm_cpu_product *job, const void *base, ptrdiff_t index,
                              size_t count)
{
    const void *source = out_at(job, base, index);
    if (job->wide_out) {
        return load_some(source, count);
    }
    return count < LANES ? element_load_part(source, count) : element_load(source);
}

ALWAYS_INLINE void out_store(const ttm_cpu_product *job, void *base, ptrdiff_t index, vector value,
                             size_t count)
{
    void *target = (unsigned char *)base + index * (ptrdiff_t)out_bytes(job);
    if (job->wide_out) {
        store_some(target, value, count);
    } else if (count < LANES) {
        element_store_part(target, value, count);
    } else {
        element_store(target, value);
    }
}

/** Stores a vector of pre, which nobody reads before the backward pass: past the caches. */
ALWAYS_INLINE void out_store_for_later(const ttm_cpu_product *job, void *base, ptrdiff_t index,
                                       vector value, size_t count)
{
#if !defined(TTM_CPU_ELEMENT_BF16) && defined(__AVX2__)
    float *target = (float *)base + index;
    if (count >= LANES && (uintptr_t)target % VECTOR_BYTES == 0) {
#if defined(__AVX512F__)
        _mm512_stream_ps(target, value);
#else
        _mm256_stream_ps(target, value);
#endif
        return;
    }
#endif
    out_store(job, base, index, value, count);
}

/* ---- Finishing ---- */

/** Up to a vector of finished values at (row, col) of out. */
ALWAYS_INLINE void finish_vector(const ttm_cpu_product *job, vector value, ptrdiff_t row,
                                 ptrdiff_t col, size_t count)
{
    const ptrdiff_t index = row * job->out_row + col;
    if (job->add_out && (const void *)job->partial != job->out) {
        value += out_load(job, job->out, index, count);
    }
    if (job->bias != NULL) {
        value += out_load(job, job->bias, col, count);
    }
    if (job->activation == TTM_CPU_GELU) {
        if (job->pre != NULL) {
            out_store_for_later(job, job->pre, row * job->pre_row + col, value, count);
        }
        value = job->wide_out ? vector_gelu(value) : element_gelu(value);
    } else if (job->activation == TTM_CPU_GELU_BACKWARD) {
        const vector pre = out_load(job, job->pre, row * job->pre_row + col, count);
        value *= job->wide_out ? vector_gelu_derivative(pre) : element_gelu_derivative(pre);
    }
    if (job->residual != NULL) {
        value += out_load(job, job->residual, row * job->residual_row + col, count);
    }
    out_store(job, job->out, index, value, count);
}

/** Finishes a register block of sums that lie in `sums` [ROWS, STRIP], adding what earlier parts of
 * the depth (or out itself) have left in partial where `accumulate` says so. */
static void finish_registers(const ttm_cpu_product *job, const float *sums, place at,
                             int accumulate)
{
    for (ptrdiff_t i = 0; i < at.rows; i++) {
        const ptrdiff_t row = at.row + i;
        for (ptrdiff_t j = 0; j < at.cols; j += LANES) {
            const size_t count = (size_t)smaller(LANES, at.cols - j);
            vector value = vector_load(sums + i * STRIP + j) * job->alpha;
            if (accumulate) {
                value += load_some(job->partial + row * job->partial_row + at.col + j, count);
            }
            finish_vector(job, value, row, at.col + j, count);
        }
    }
}

/** Returns whether a block's sums can be finished while they are in registers: nothing but sums,
 * bias and residual goes into elements. */
static int finishes_in_registers(const ttm_cpu_product *job)
{
    return job->activation == TTM_CPU_IDENTITY && job->alpha == 1.0F &&
           out_bytes(job) == sizeof(element) &&
           (!job->add_out || (const void *)job->partial == job->out);
}

/** The same as finish_registers for a whole block of such a product, still in registers. */
ALWAYS_INLINE void finish_sums(vector sum[ROWS][VECTORS], const ttm_cpu_product *job,
                               const place *at, int accumulate)
{
    element *out = (element *)job->out + at->row * job->out_row + at->col;
    vector bias[VECTORS] = {0};
    for (int j = 0; job->bias != NULL && j < VECTORS; j++) {
        bias[j] = element_load((const element *)job->bias + at->col + j * LANES);
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        const ptrdiff_t row = at->row + i;
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            const ptrdiff_t col = at->col + j * LANES;
            if (accumulate) {
                sum[i][j] += vector_load(job->partial + row * job->partial_row + col);
            }
            sum[i][j] += bias[j];
            if (job->residual != NULL) {
                const element *residual = job->residual;
                sum[i][j] += element_load(residual + row * job->residual_row + col);
            }
            element_store(out + i * job->out_row + j * LANES, sum[i][j]);
        }
    }
}

/** Stores or adds sums of a part of the depth that isn't the last. */
static void keep_registers(const ttm_cpu_product *job, const float *sums, place at, int accumulate)
{
    for (ptrdiff_t i = 0; i < at.rows; i++) {
        float *target = job->partial + (at.row + i) * job->partial_row + at.col;
        for (ptrdiff_t j = 0; j < at.cols; j++) {
            const float value = sums[i * STRIP + j] * job->alpha;
            target[j] = accumulate ? target[j] + value : value;
        }
    }
}

/** Finishes sums that lie in partial, all rows and columns. */
static void finish_all(const ttm_cpu_product *job)
{
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        for (ptrdiff_t col = 0; col < job->cols; col += LANES) {
            const size_t count = (size_t)smaller(LANES, job->cols - col);
            const vector sum = load_some(job->partial + row * job->partial_row + col, count);
            finish_vector(job, sum * job->alpha, row, col, count);
        }
    }
}

ALWAYS_INLINE void touch_row(const ttm_cpu_product *job, const void *base, ptrdiff_t index,
                             ptrdiff_t cols)
{
    touch(out_at(job, base, index));
    touch(out_at(job, base, index + cols / 2));
    touch(out_at(job, base, index + cols - 1));
}

/** Asks for what finishing a block will read: it is there when the sums are. GELU's two outputs too
 * are more stores than can wait for their lines; other products' are fewer, and gain nothing. */
static void touch_block(const ttm_cpu_product *job, place at)
{
    for (ptrdiff_t row = at.row; row < at.row + at.rows; row++) {
        if (job->add_out || job->activation == TTM_CPU_GELU) {
            touch_row(job, job->out, row * job->out_row + at.col, at.cols);
        }
        if (job->residual != NULL) {
            touch_row(job, job->residual, row * job->residual_row + at.col, at.cols);
        }
        if (job->pre != NULL) {
            touch_row(job, job->pre, row * job->pre_row + at.col, at.cols);
        }
    }
}

#endif
