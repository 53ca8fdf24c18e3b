/* The inner loops of the cpu plugin: one table of functions per instruction-set level.
 *
 * A kernel works on one thread's share, on float rows with unit stride unless it says more. Rows
 * that are void pointers are of the table's element type, float or bf16; distances between them are
 * in elements. A kernel
 * never allocates and never fails. Sums have a fixed order, so results don't depend on how the
 * caller shares out the work. */
#ifndef TTM_CPU_KERNELS_H
#define TTM_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/** What a dropout draws: element i is kept when word start + i of the Philox stream of `seed` is at
 * least `threshold` (see ttm/random.h), and then multiplied by `scale`. */
typedef struct ttm_cpu_dropout {
    uint64_t seed;
    uint64_t start;
    uint64_t threshold; /**< probability·2^32 rounded up. 0 keeps everything. */
    float scale;        /**< 1/(1 − probability). */
} ttm_cpu_dropout;

/** Constants of one AdamW step on one segment. */
typedef struct ttm_cpu_adamw {
    float gradient_factor; /**< Clip factor times gradient scale. */
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float decay;           /**< 1 − learning rate·weight decay. */
    float step_size;       /**< Learning rate/(1 − beta1^step). */
    float root_correction; /**< 1/√(1 − beta2^step). */
    float epsilon;
} ttm_cpu_adamw;

/** A product c = a·b (or c += a·b) of small strided matrices. Only b's and c's last stride is 1. */
typedef struct ttm_cpu_tile {
    float *c; /**< [rows, cols] */
    ptrdiff_t c_row;
    const float *a; /**< [rows, depth] */
    ptrdiff_t a_row;
    ptrdiff_t a_col;
    const float *b; /**< [depth, cols] */
    ptrdiff_t b_row;
    ptrdiff_t rows;
    ptrdiff_t cols;
    ptrdiff_t depth;
    int accumulate; /**< 0: c = a·b, else c += a·b. */
} ttm_cpu_tile;

/** One (batch, head) of an attention. Rows are `…_row` floats apart. */
typedef struct ttm_cpu_attention {
    const void *q; /**< [queries, size] */
    const void *k; /**< [keys, size] */
    const void *v; /**< [keys, size] */
    void *out;     /**< [queries, size]; only read by the backward pass */
    float *lse;    /**< [queries]; may be NULL in the forward pass */
    ptrdiff_t q_row;
    ptrdiff_t k_row;
    ptrdiff_t v_row;
    ptrdiff_t out_row;
    ptrdiff_t lse_row;
    int64_t queries;
    int64_t keys;
    int64_t size;
    int causal;
    float scale;
    ttm_cpu_dropout dropout; /**< start: element number of (query 0, key 0). */
    const void *dout;        /**< [queries, size] */
    void *dq;                /**< [queries, size] */
    void *dk;                /**< [keys, size] */
    void *dv;                /**< [keys, size] */
    ptrdiff_t dout_row;
    ptrdiff_t dq_row;
    ptrdiff_t dk_row;
    ptrdiff_t dv_row;
    float *scratch; /**< Of this thread alone; how much is in op_attention.c. */
} ttm_cpu_attention;

/** A layer norm over some rows. */
typedef struct ttm_cpu_layer_norm {
    const void *x;
    const void *residual; /**< May be NULL. */
    void *sum;            /**< May be NULL. */
    void *out;
    const void *gamma;
    const void *beta;
    float *mean; /**< May be NULL. */
    float *rstd; /**< May be NULL. */
    ptrdiff_t x_row;
    ptrdiff_t residual_row;
    ptrdiff_t sum_row;
    ptrdiff_t out_row;
    size_t cols;
    double epsilon;
    int wide_out; /**< out is floats, whatever the elements of the others are. */
} ttm_cpu_layer_norm;

/** The backward pass of a layer norm over some rows. */
typedef struct ttm_cpu_layer_norm_backward {
    void *dx;
    const void *dy;
    const void *x;
    const void *gamma;
    const float *mean;
    const float *rstd;
    float *dgamma; /**< [cols] this share's sums, accumulated. */
    float *dbeta;  /**< [cols] likewise. */
    ptrdiff_t dx_row;
    ptrdiff_t dy_row;
    ptrdiff_t x_row;
    size_t cols;
    int accumulate; /**< dx += instead of dx =. */
} ttm_cpu_layer_norm_backward;

/** c += alpha·a·b with few rows, bound by the bandwidth of reading b. */
typedef struct ttm_cpu_thin_product {
    float *c; /**< [rows, cols] */
    ptrdiff_t c_row;
    const float *a; /**< [rows, depth], last stride 1 */
    ptrdiff_t a_row;
    const void *b; /**< [depth, cols] (thin_rows) or [cols, depth] (thin_columns) */
    ptrdiff_t b_row;
    int rows;    /**< 1 to TTM_CPU_THIN_ROWS. */
    int one_run; /**< Read b as one unbroken run of memory, not as several side by side. */
    int64_t cols;
    int64_t depth;
    float alpha;
} ttm_cpu_thin_product;

/** What a large product does with its sums. */
typedef enum ttm_cpu_activation {
    TTM_CPU_IDENTITY,
    TTM_CPU_GELU,         /**< out = gelu(value); value is kept in pre unless that is NULL. */
    TTM_CPU_GELU_BACKWARD /**< out = value·gelu'(pre) */
} ttm_cpu_activation;

/** A large product of strided matrices: value = alpha·a·b + out (if add_out) + bias, and
 * out = activation(value) + residual. Matrices have a last stride of 1 but for a and b. a and b are
 * of the table's element type; out, bias, residual and pre are too, or of f32 where wide_out. */
typedef struct ttm_cpu_product {
    const void *a; /**< [rows, depth], any strides */
    ptrdiff_t a_row;
    ptrdiff_t a_col;
    const void *b; /**< [depth, cols], one stride 1 */
    ptrdiff_t b_row;
    ptrdiff_t b_col;
    void *out; /**< [rows, cols] */
    ptrdiff_t out_row;
    float *partial; /**< [rows, cols]: keeps sums of a part of the depth; unused where the depth is
                         one part. May be out or pre where these are f32. */
    ptrdiff_t partial_row;
    const void *bias;     /**< [cols], may be NULL */
    const void *residual; /**< May be NULL; may be out where partial isn't. */
    ptrdiff_t residual_row;
    void *pre; /**< May be NULL but for TTM_CPU_GELU_BACKWARD. */
    ptrdiff_t pre_row;
    ttm_cpu_activation activation;
    int wide_out;
    int add_out;
    ptrdiff_t rows;
    ptrdiff_t cols;
    ptrdiff_t depth;
    float alpha;
    int64_t first_part; /**< Parts of the depth to do, out of product_parts(depth); sums of those */
    int64_t last_part;  /**< before are in partial, and only the last one finishes out. */
    const float *packed_b; /**< These parts of b by product_pack, or NULL: packed on the way. */
    ptrdiff_t packed_cols; /**< Columns of packed_b, a multiple of TTM_CPU_PACKED_COLS. */
    ptrdiff_t packed_col;  /**< Where b's first column lies among them. */
    float *scratch;        /**< product_scratch floats; with packed_b those for 0 columns. */
} ttm_cpu_product;

/** What columns of a packed b come in, at every level. */
#define TTM_CPU_PACKED_COLS 48

/** The most rows of a that the thin products take. */
#define TTM_CPU_THIN_ROWS 8

/** Keys in one block of the attention. */
#define TTM_CPU_ATTENTION_KEYS 64
/** Queries in one block of the attention. */
#define TTM_CPU_ATTENTION_QUERIES 96

/** How SAMPLE draws. */
typedef struct ttm_cpu_sample {
    int takes_first; /**< The most probable token, whatever is drawn. */
    float scale;     /**< 1/temperature, a normal number. */
    double top_p;
    int64_t top_k; /**< 0: no limit. */
} ttm_cpu_sample;

/** The kernels of one level. */
typedef struct ttm_cpu_kernels {
    const char *level;                  /**< "baseline", "avx2", "avx512", "avx512_bf16", "neon". */
    const struct ttm_cpu_kernels *bf16; /**< The same kernels for bf16 elements. */
    int multiplies_pairs;               /**< bf16 products without becoming floats first. */

    /* elementwise.c */
    void (*add)(void *out, const void *a, float alpha, const void *b, float beta, size_t count);
    void (*gelu)(void *out, const void *x, size_t count);
    void (*gelu_backward)(void *dx, const void *dy, const void *x, size_t count);
    void (*dropout)(void *out, const void *x, const void *residual, const ttm_cpu_dropout *rule,
                    size_t count);
    void (*adamw)(float *parameters, const float *gradients, float *first, float *second,
                  const ttm_cpu_adamw *constants, size_t count);
    /** With bf16 moments; `number` is that of the first element in the whole buffer. */
    void (*adamw_bf16)(float *parameters, const float *gradients, uint16_t *first, uint16_t *second,
                       const ttm_cpu_adamw *constants, uint64_t step, uint64_t number,
                       size_t count);

    /* convert.c: unit strides */
    void (*f32_to_bf16)(uint16_t *out, const float *x, size_t count);
    void (*bf16_to_f32)(float *out, const uint16_t *x, size_t count);
    void (*f32_to_f16)(uint16_t *out, const float *x, size_t count);
    void (*f16_to_f32)(float *out, const uint16_t *x, size_t count);

    /* reduce.c */
    double (*sum_of_squares)(const void *x, size_t count);
    /** out[j] += Σ_i x[i, j] over `rows` rows. */
    void (*sum_rows)(float *out, const void *x, ptrdiff_t x_row, size_t rows, size_t cols);

    /* softmax.c */
    /** Softmax of one row of `cols` elements, of which the first `seen` count. */
    void (*softmax)(void *out, const void *x, float scale, size_t seen, size_t cols);
    /** Returns the loss of one row; writes dlogits unless it is NULL. 0 ≤ target < vocab. */
    float (*cross_entropy)(void *dlogits, const void *logits, size_t vocab, size_t target,
                           float gradient_scale);

    /* sample.c */
    /** Returns the token that SAMPLE draws from one row with u = uniform, or −1. weights [vocab] is
     * scratch. */
    int32_t (*sample)(float *weights, const float *logits, size_t vocab, const ttm_cpu_sample *rule,
                      double uniform);

    /* layer_norm.c */
    void (*layer_norm)(const ttm_cpu_layer_norm *job, size_t first_row, size_t last_row);
    void (*layer_norm_backward)(const ttm_cpu_layer_norm_backward *job, size_t first_row,
                                size_t last_row);

    /* tile.c */
    void (*tile)(const ttm_cpu_tile *tile);

    /* product.c */
    void (*product)(const ttm_cpu_product *job);
    /** Makes out of sums that somebody else has left in partial, which isn't out; a and b aren't
     * looked at. */
    void (*product_finish)(const ttm_cpu_product *job);
    /** Returns the floats of scratch that `product` needs for as many columns and such a depth. */
    size_t (*product_scratch)(int64_t cols, int64_t depth);
    /** Returns in how many parts `product` does such a depth. */
    int64_t (*product_parts)(int64_t depth);
    /** Returns the most floats that a part of such a depth takes for each column of a packed b. */
    int64_t (*product_part_floats)(int64_t depth);
    /** Packs columns first_col (a multiple of TTM_CPU_PACKED_COLS) … last_col − 1 of the job's
     * parts of b into their place in `packed`: for each part product_part_floats × packed_cols. */
    void (*product_pack)(float *packed, const ttm_cpu_product *job, int64_t first_col,
                         int64_t last_col);

    /* store_rows.c */
    void (*store_rows)(void *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols);

    /* transpose.c */
    /** out[j, i] = x[i, j], x [rows, cols]. */
    void (*transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                      size_t cols);

    /* thin.c */
    void (*thin_rows)(const ttm_cpu_thin_product *job);
    void (*thin_columns)(const ttm_cpu_thin_product *job);

    /* attention.c, attention_backward.c, attention_decode.c */
    void (*attention)(const ttm_cpu_attention *job, int64_t first_query, int64_t last_query);
    void (*attention_backward)(const ttm_cpu_attention *job);
    void (*attention_decode)(const ttm_cpu_attention *job, int64_t query);
} ttm_cpu_kernels;

extern const ttm_cpu_kernels ttm_cpu_kernels_baseline; /**< Not on aarch64, … */
extern const ttm_cpu_kernels ttm_cpu_kernels_neon;     /**< … where every processor has this. */
extern const ttm_cpu_kernels ttm_cpu_kernels_avx2;
extern const ttm_cpu_kernels ttm_cpu_kernels_avx512;
extern const ttm_cpu_kernels ttm_cpu_kernels_avx512_bf16; /**< If TTM_CPU_HAVE_PAIRS. */

#endif
