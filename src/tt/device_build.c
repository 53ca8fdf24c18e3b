/* TT_BUILD and TT_GRADIENT in terms of products and copies, for backends that don't have them.
 *
 * Cores are joined two neighbours at a time in the cheapest order (ttm/tt_split.h). A partial
 * product of cores f … l − 1 is held as [r_f, N, M, r_l]; joining L [r_f, N1, M1, r] with R [r, N2,
 * M2, r_l] is one product and one permutation. The gradient runs the joins backwards over the same
 * partial products, which are computed once. */
#include "core/error.h"
#include "core/op_dispatch.h"

/* Of a wide matrix that is only a step to a narrow one: 32 MiB of f32. */
#define MOST_WIDE_ELEMENTS ((int64_t)1 << 23)

/* The cores of one layer, the order of their joins, and every partial product: slot k < core_count
 * is core k, slot core_count + j the result of join j. */
typedef struct chain {
    ttm_tt_build_order order;
    ttm_tensor parts[2 * TTM_TT_MAX_CORES];
    int32_t left[TTM_TT_MAX_CORES];  /* Slot of a join's left part. */
    int32_t right[TTM_TT_MAX_CORES]; /* Slot of a join's right part. */
} chain;

/* Core [layers, r, n, m, r'] of one layer, as [r, n, m, r']. */
static ttm_tensor core_of_layer(const ttm_tensor *core, int64_t layer)
{
    ttm_tensor view = ttm_tensor_slice(core, 0, layer, 1);
    view.rank = 4;
    for (int32_t dim = 0; dim < 4; dim++) {
        view.shape[dim] = core->shape[dim + 1];
    }
    /* The last four dimensions are contiguous, whatever strides an extent of 1 was given. */
    int64_t stride = 1;
    for (int32_t dim = 3; dim >= 0; dim--) {
        view.stride[dim] = stride;
        stride *= view.shape[dim];
    }
    return view;
}

/* Matrix [layers, in, out] of one layer, as [1, in, out, 1]. */
static ttm_tensor matrix_of_layer(const ttm_tensor *w, int64_t layer)
{
    ttm_tensor view = ttm_tensor_slice(w, 0, layer, 1);
    view.rank = 4;
    view.shape[3] = 1;
    view.stride[3] = 1;
    return view;
}

static void describe_order(chain *links, const ttm_tensor *cores)
{
    ttm_build_order_of_cores(&links->order, cores);
    const int32_t count = links->order.core_count;
    int32_t slot_of_first[TTM_TT_MAX_CORES]; /* Slot of the part that begins at a core now. */
    for (int32_t core = 0; core < count; core++) {
        slot_of_first[core] = core;
    }
    for (int32_t j = 0; j < links->order.join_count; j++) {
        const ttm_tt_join *join = &links->order.joins[j];
        links->left[j] = slot_of_first[join->first];
        links->right[j] = slot_of_first[join->middle];
        slot_of_first[join->first] = count + j;
    }
}

/* A part [r, N, M, r'] as the matrix [r·N·M, r'] or [r, N·M·r']. */
static ttm_tensor as_left(const ttm_tensor *part)
{
    return ttm_tensor_at2(part, 0, part->shape[0] * part->shape[1] * part->shape[2],
                          part->shape[3]);
}

static ttm_tensor as_right(const ttm_tensor *part)
{
    return ttm_tensor_at2(part, 0, part->shape[0],
                          part->shape[1] * part->shape[2] * part->shape[3]);
}

/* A joined part [r_f, N1·N2, M1·M2, r_l], of any strides, as [r_f, N1, M1, N2, M2, r_l]: the order
 * in which a product has it. */
static ttm_tensor in_product_order(const ttm_tensor *joined, const ttm_tensor *left,
                                   const ttm_tensor *right)
{
    const ttm_tensor modes = ttm_tensor_split(joined, 2, left->shape[2], right->shape[2]);
    const ttm_tensor split = ttm_tensor_split(&modes, 1, left->shape[1], right->shape[1]);
    return ttm_tensor_transpose(&split, 2, 3);
}

static ttm_status take_product(ttm_tensor *product, ttm_stream *stream, const ttm_tensor *left,
                               const ttm_tensor *right)
{
    return ttm_scratch_take(product, stream, left->dtype, 6,
                            (int64_t[]){left->shape[0], left->shape[1], left->shape[2],
                                        right->shape[1], right->shape[2], right->shape[3]});
}

static ttm_status join_parts(ttm_stream *stream, const ttm_tensor *joined, const ttm_tensor *left,
                             const ttm_tensor *right)
{
    const size_t mark = ttm_scratch_mark(stream);
    ttm_tensor product;
    TTM_TRY(take_product(&product, stream, left, right));
    const ttm_tensor a = as_left(left);
    const ttm_tensor b = as_right(right);
    const ttm_tensor flat = ttm_tensor_at2(&product, 0, a.shape[0], b.shape[1]);
    TTM_TRY(ttm_matmul(stream, &flat, &a, &b, NULL));
    const ttm_tensor target = in_product_order(joined, left, right);
    TTM_TRY(ttm_copy(stream, &target, &product));
    ttm_scratch_release(stream, mark);
    return TTM_OK;
}

/* Joins the parts up to, not including, join `end`; their results go to scratch. */
static ttm_status run_joins(chain *links, ttm_stream *stream, int32_t end)
{
    for (int32_t j = 0; j < end; j++) {
        const ttm_tensor *left = &links->parts[links->left[j]];
        const ttm_tensor *right = &links->parts[links->right[j]];
        ttm_tensor *joined = &links->parts[links->order.core_count + j];
        TTM_TRY(ttm_scratch_take(joined, stream, left->dtype, 4,
                                 (int64_t[]){left->shape[0], left->shape[1] * right->shape[1],
                                             left->shape[2] * right->shape[2], right->shape[3]}));
        TTM_TRY(join_parts(stream, joined, left, right));
    }
    return TTM_OK;
}

static void take_cores(chain *links, const ttm_tensor *cores, int64_t layer)
{
    for (int32_t k = 0; k < links->order.core_count; k++) {
        links->parts[k] = core_of_layer(&cores[k], layer);
    }
}

/* A matrix of a narrower type than its cores: built in theirs, some layers at a time, then rounded
 * once. */
static ttm_status build_and_round(ttm_stream *stream, const ttm_tensor *w, const ttm_tensor *cores)
{
    const int64_t matrix = w->shape[1] * w->shape[2];
    const int64_t fitting = matrix > 0 ? MOST_WIDE_ELEMENTS / matrix : w->shape[0];
    const int64_t step = fitting < 1 ? 1 : fitting;
    const size_t mark = ttm_scratch_mark(stream);
    for (int64_t first = 0; first < w->shape[0]; first += step) {
        const int64_t layers = w->shape[0] - first < step ? w->shape[0] - first : step;
        const ttm_tensor narrow = ttm_tensor_slice(w, 0, first, layers);
        ttm_tensor some[TTM_TT_MAX_CORES];
        ttm_tensor wide;
        int32_t count = 0;
        for (; count < TTM_TT_MAX_CORES && ttm_tensor_present(&cores[count]); count++) {
            some[count] = ttm_tensor_slice(&cores[count], 0, first, layers);
        }
        ttm_scratch_release(stream, mark);
        TTM_TRY(ttm_scratch_take(&wide, stream, cores->dtype, 3, narrow.shape));
        TTM_TRY(ttm_tt_build(stream, &wide, count, some));
        TTM_TRY(ttm_copy(stream, &narrow, &wide));
    }
    return TTM_OK;
}

ttm_status ttm_decompose_tt_build(ttm_stream *stream, const ttm_op *op)
{
    const ttm_tensor *w = &op->tensors[TTM_TT_BUILD_W];
    const ttm_tensor *cores = &op->tensors[TTM_TT_BUILD_CORE];
    if (w->dtype != cores->dtype) {
        return build_and_round(stream, w, cores);
    }
    if (w->dtype != TTM_F32 && w->dtype != TTM_F64) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "tt_build: no decomposition for a narrow type");
    }
    chain links;
    describe_order(&links, cores);
    const size_t mark = ttm_scratch_mark(stream);
    for (int64_t layer = 0; layer < w->shape[0]; layer++) {
        ttm_scratch_release(stream, mark);
        const ttm_tensor matrix = matrix_of_layer(w, layer);
        take_cores(&links, cores, layer);
        const int32_t last = links.order.join_count - 1;
        if (last < 0) {
            TTM_TRY(ttm_copy(stream, &matrix, &links.parts[0]));
            continue;
        }
        TTM_TRY(run_joins(&links, stream, last));
        TTM_TRY(join_parts(stream, &matrix, &links.parts[links.left[last]],
                           &links.parts[links.right[last]]));
    }
    return TTM_OK;
}

/* *gradient = where the gradient of a part goes: a core's own gradient, or scratch. */
static ttm_status place_gradient(ttm_tensor *gradient, double *beta, ttm_stream *stream,
                                 const chain *links, int32_t slot, const ttm_tensor *dcores,
                                 int64_t layer)
{
    if (slot < links->order.core_count) {
        *gradient = core_of_layer(&dcores[slot], layer);
        return TTM_OK;
    }
    *beta = 0.0;
    const ttm_tensor *part = &links->parts[slot];
    return ttm_scratch_take(gradient, stream, part->dtype, part->rank, part->shape);
}

/* Gradients of a join's two parts from that of its result. */
static ttm_status split_gradient(ttm_stream *stream, const ttm_tensor *dleft, double left_beta,
                                 const ttm_tensor *dright, double right_beta,
                                 const ttm_tensor *djoined, const ttm_tensor *left,
                                 const ttm_tensor *right)
{
    const size_t mark = ttm_scratch_mark(stream);
    ttm_tensor product;
    TTM_TRY(take_product(&product, stream, left, right));
    const ttm_tensor ordered = in_product_order(djoined, left, right);
    TTM_TRY(ttm_copy(stream, &product, &ordered));
    const ttm_tensor a = as_left(left);
    const ttm_tensor b = as_right(right);
    const ttm_tensor flat = ttm_tensor_at2(&product, 0, a.shape[0], b.shape[1]);
    const ttm_tensor a_transposed = ttm_tensor_transpose(&a, 0, 1);
    const ttm_tensor b_transposed = ttm_tensor_transpose(&b, 0, 1);
    const ttm_tensor da = as_left(dleft);
    const ttm_tensor db = as_right(dright);
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.beta = left_beta;
    TTM_TRY(ttm_matmul(stream, &da, &flat, &b_transposed, &options));
    options.beta = right_beta;
    TTM_TRY(ttm_matmul(stream, &db, &a_transposed, &flat, &options));
    ttm_scratch_release(stream, mark);
    return TTM_OK;
}

static ttm_status gradient_of_layer(ttm_stream *stream, chain *links, const ttm_tensor *dmatrix,
                                    const ttm_tensor *dcores, double beta, int64_t layer)
{
    const int32_t core_count = links->order.core_count;
    ttm_tensor gradients[2 * TTM_TT_MAX_CORES];
    if (core_count == 1) {
        const ttm_tensor target = core_of_layer(&dcores[0], layer);
        return beta == 0.0 ? ttm_copy(stream, &target, dmatrix)
                           : ttm_add(stream, &target, 1.0, &target, 1.0, dmatrix);
    }
    const int32_t last = links->order.join_count - 1;
    TTM_TRY(run_joins(links, stream, last));
    gradients[core_count + last] = *dmatrix;
    for (int32_t j = last; j >= 0; j--) {
        double left_beta = beta;
        double right_beta = beta;
        const int32_t left = links->left[j];
        const int32_t right = links->right[j];
        TTM_TRY(place_gradient(&gradients[left], &left_beta, stream, links, left, dcores, layer));
        TTM_TRY(
            place_gradient(&gradients[right], &right_beta, stream, links, right, dcores, layer));
        TTM_TRY(split_gradient(stream, &gradients[left], left_beta, &gradients[right], right_beta,
                               &gradients[core_count + j], &links->parts[left],
                               &links->parts[right]));
    }
    return TTM_OK;
}

ttm_status ttm_decompose_tt_gradient(ttm_stream *stream, const ttm_op *op)
{
    const ttm_tt_gradient_params *params = op->params;
    const ttm_tensor *dw = &op->tensors[TTM_TT_GRADIENT_DW];
    const ttm_tensor *cores = &op->tensors[TTM_TT_GRADIENT_CORE];
    if (dw->dtype != TTM_F32 && dw->dtype != TTM_F64) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "tt_gradient: no decomposition for a narrow type");
    }
    chain links;
    describe_order(&links, cores);
    const size_t mark = ttm_scratch_mark(stream);
    for (int64_t layer = 0; layer < dw->shape[0]; layer++) {
        ttm_scratch_release(stream, mark);
        const ttm_tensor dmatrix = matrix_of_layer(dw, layer);
        take_cores(&links, cores, layer);
        TTM_TRY(gradient_of_layer(stream, &links, &dmatrix, &op->tensors[TTM_TT_GRADIENT_DCORE],
                                  params->beta, layer));
    }
    return TTM_OK;
}
