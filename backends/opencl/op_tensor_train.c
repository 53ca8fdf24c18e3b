/* TT_BUILD and TT_GRADIENT: all layers of one shape at once, as batched products and permutations.
 *
 * Cores are joined two neighbours at a time in the cheapest order (ttm/tt_split.h). A part, the
 * product of cores f … l − 1, is held as [layers, r_f, N, M, r_l]; joining [r_f, N1, M1, r] with
 * [r, N2, M2, r_l] is one product a layer, in the order [r_f, N1, M1, N2, M2, r_l], and one
 * permutation. The gradient runs the joins backwards over the same parts. */
#include "opencl/product.h"

#include <string.h>
#include <ttm/tt_split.h>

enum { ALIGNMENT = 256 };

/* Scratch that is handed out in order, and given back in reverse. Without a stream nothing is run:
 * that is how the size is found. */
typedef struct arena {
    const ttm_backend_device *device;
    ttm_backend_stream *stream;
    ttm_tensor workspace;
    size_t used;
    size_t peak;
} arena;

/* The cores, the order of their joins, and every part: slot k < core_count is core k, slot
 * core_count + j the result of join j. */
typedef struct chain {
    arena *scratch;
    ttm_tt_build_order order;
    ttm_tensor parts[2 * TTM_TT_MAX_CORES];
    int32_t left[TTM_TT_MAX_CORES];
    int32_t right[TTM_TT_MAX_CORES];
} chain;

static void make_contiguous(ttm_tensor *tensor, int32_t from_dim)
{
    int64_t stride = 1;
    for (int32_t dim = tensor->rank - 1; dim >= from_dim; dim--) {
        tensor->stride[dim] = stride;
        stride *= tensor->shape[dim];
    }
}

static ttm_tensor take(arena *scratch, int32_t rank, const int64_t *shape)
{
    ttm_tensor tensor = scratch->workspace;
    tensor.dtype = TTM_F32;
    tensor.rank = rank;
    memcpy(tensor.shape, shape, (size_t)rank * sizeof shape[0]);
    make_contiguous(&tensor, 0);
    tensor.offset = scratch->workspace.offset + scratch->used;
    const size_t bytes = (size_t)opencl_count(&tensor) * sizeof(float);
    scratch->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (scratch->used > scratch->peak) {
        scratch->peak = scratch->used;
    }
    return tensor;
}

/* ---- Views ---- */

/* A part as matrices [layers, rows, cols]; its last four dimensions are contiguous. */
static ttm_tensor as_matrices(const ttm_tensor *part, int64_t rows, int64_t cols)
{
    ttm_tensor view = *part;
    view.rank = 3;
    view.shape[1] = rows;
    view.shape[2] = cols;
    view.stride[1] = cols;
    view.stride[2] = 1;
    return view;
}

static ttm_tensor as_left(const ttm_tensor *part)
{
    return as_matrices(part, part->shape[1] * part->shape[2] * part->shape[3], part->shape[4]);
}

static ttm_tensor as_right(const ttm_tensor *part)
{
    return as_matrices(part, part->shape[1], part->shape[2] * part->shape[3] * part->shape[4]);
}

static ttm_tensor transposed(const ttm_tensor *matrices)
{
    ttm_tensor view = *matrices;
    view.shape[1] = matrices->shape[2];
    view.shape[2] = matrices->shape[1];
    view.stride[1] = matrices->stride[2];
    view.stride[2] = matrices->stride[1];
    return view;
}

/* Matrices [layers, in, out] as the part [layers, 1, in, out, 1]. */
static ttm_tensor as_part(const ttm_tensor *w)
{
    ttm_tensor view = *w;
    view.rank = 5;
    view.shape[1] = 1;
    view.shape[2] = w->shape[1];
    view.shape[3] = w->shape[2];
    view.shape[4] = 1;
    view.stride[1] = 1;
    view.stride[2] = w->stride[1];
    view.stride[3] = w->stride[2];
    view.stride[4] = 1;
    return view;
}

/* A joined part [layers, r_f, N1·N2, M1·M2, r_l] of any strides as [layers, r_f, N1, M1, N2, M2,
 * r_l], the order in which a product has it. */
static ttm_tensor in_product_order(const ttm_tensor *joined, const ttm_tensor *left,
                                   const ttm_tensor *right)
{
    ttm_tensor view = *joined;
    view.rank = 7;
    for (int32_t k = 0; k < 2; k++) { /* N, then M */
        const int64_t stride = joined->stride[2 + k];
        view.shape[2 + k] = left->shape[2 + k];
        view.stride[2 + k] = stride * right->shape[2 + k];
        view.shape[4 + k] = right->shape[2 + k];
        view.stride[4 + k] = stride;
    }
    view.shape[6] = joined->shape[4];
    view.stride[6] = joined->stride[4];
    return view;
}

/* ---- Steps ---- */

static ttm_status copy(const arena *scratch, const ttm_tensor *out, const ttm_tensor *x)
{
    const ttm_tensor tensors[TTM_COPY_TENSORS] = {[TTM_COPY_OUT] = *out, [TTM_COPY_X] = *x};
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = TTM_OP_COPY,
                       .tensor_count = TTM_COPY_TENSORS,
                       .tensors = tensors};
    return scratch->stream == NULL ? TTM_OK : opencl_op_copy.run(scratch->stream, &op);
}

/* out += x */
static ttm_status accumulate(const arena *scratch, const ttm_tensor *out, const ttm_tensor *x)
{
    const ttm_add_params params = {.alpha = 1.0, .beta = 1.0};
    const ttm_tensor tensors[TTM_ADD_TENSORS] = {
        [TTM_ADD_OUT] = *out, [TTM_ADD_A] = *out, [TTM_ADD_B] = *x};
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = TTM_OP_ADD,
                       .tensor_count = TTM_ADD_TENSORS,
                       .tensors = tensors,
                       .params = &params,
                       .params_bytes = sizeof params};
    return scratch->stream == NULL ? TTM_OK : opencl_op_add.run(scratch->stream, &op);
}

static ttm_status multiply(arena *scratch, const ttm_tensor *out, const ttm_tensor *a,
                           const ttm_tensor *b, int adds_out)
{
    const size_t mark = scratch->used;
    opencl_product product = {.out = *out, .a = *a, .b = *b, .alpha = 1.0, .adds_out = adds_out};
    const int64_t floats =
        (int64_t)(opencl_product_workspace_bytes(scratch->device, &product) / sizeof(float));
    if (floats > 0) {
        product.workspace = take(scratch, 1, &floats);
    }
    scratch->used = mark;
    return scratch->stream == NULL ? TTM_OK : opencl_product_run(scratch->stream, &product);
}

static ttm_tensor take_product(arena *scratch, const ttm_tensor *left, const ttm_tensor *right)
{
    const int64_t shape[7] = {left->shape[0],  left->shape[1],  left->shape[2], left->shape[3],
                              right->shape[2], right->shape[3], right->shape[4]};
    return take(scratch, 7, shape);
}

/* The product as matrices [layers, rows of left, cols of right]. */
static ttm_tensor flatten(const ttm_tensor *product, const ttm_tensor *a, const ttm_tensor *b)
{
    ttm_tensor flat = *product;
    flat.rank = 3;
    flat.shape[1] = a->shape[1];
    flat.shape[2] = b->shape[2];
    make_contiguous(&flat, 0);
    return flat;
}

static ttm_status join_parts(arena *scratch, const ttm_tensor *joined, const ttm_tensor *left,
                             const ttm_tensor *right)
{
    const size_t mark = scratch->used;
    const ttm_tensor product = take_product(scratch, left, right);
    const ttm_tensor a = as_left(left);
    const ttm_tensor b = as_right(right);
    const ttm_tensor flat = flatten(&product, &a, &b);
    const ttm_tensor target = in_product_order(joined, left, right);
    ttm_status status = multiply(scratch, &flat, &a, &b, 0);
    if (status == TTM_OK) {
        status = copy(scratch, &target, &product);
    }
    scratch->used = mark;
    return status;
}

static void start_chain(chain *links, arena *scratch, const ttm_tensor *cores)
{
    int64_t in_modes[TTM_TT_MAX_CORES];
    int64_t out_modes[TTM_TT_MAX_CORES];
    int64_t ranks[TTM_TT_MAX_CORES + 1];
    int32_t slot_of_first[TTM_TT_MAX_CORES]; /* the part that begins at a core now */
    int32_t count = 0;
    while (count < TTM_TT_MAX_CORES && ttm_tensor_present(&cores[count])) {
        links->parts[count] = cores[count];
        make_contiguous(&links->parts[count], 1);
        ranks[count] = cores[count].shape[1];
        in_modes[count] = cores[count].shape[2];
        out_modes[count] = cores[count].shape[3];
        ranks[count + 1] = cores[count].shape[4];
        slot_of_first[count] = count;
        count++;
    }
    links->scratch = scratch;
    ttm_tt_build_split(&links->order, count, in_modes, out_modes, ranks);
    for (int32_t j = 0; j < links->order.join_count; j++) {
        const ttm_tt_join *join = &links->order.joins[j];
        links->left[j] = slot_of_first[join->first];
        links->right[j] = slot_of_first[join->middle];
        slot_of_first[join->first] = count + j;
    }
}

/* Joins up to, not including, join `end`, into scratch. */
static ttm_status run_joins(chain *links, int32_t end)
{
    ttm_status status = TTM_OK;
    for (int32_t j = 0; status == TTM_OK && j < end; j++) {
        const ttm_tensor *left = &links->parts[links->left[j]];
        const ttm_tensor *right = &links->parts[links->right[j]];
        const int64_t shape[5] = {left->shape[0], left->shape[1], left->shape[2] * right->shape[2],
                                  left->shape[3] * right->shape[3], right->shape[4]};
        ttm_tensor *joined = &links->parts[links->order.core_count + j];
        *joined = take(links->scratch, 5, shape);
        status = join_parts(links->scratch, joined, left, right);
    }
    return status;
}

/* ---- TT_BUILD ---- */

static ttm_status build(arena *scratch, const ttm_op *op)
{
    chain links;
    const ttm_tensor matrix = as_part(&op->tensors[TTM_TT_BUILD_W]);
    start_chain(&links, scratch, &op->tensors[TTM_TT_BUILD_CORE]);
    const int32_t last = links.order.join_count - 1;
    if (last < 0) {
        return copy(scratch, &matrix, &links.parts[0]);
    }
    const ttm_status status = run_joins(&links, last);
    return status != TTM_OK ? status
                            : join_parts(scratch, &matrix, &links.parts[links.left[last]],
                                         &links.parts[links.right[last]]);
}

/* ---- TT_GRADIENT ---- */

/* Where the gradient of a part goes: a core's own gradient, or scratch, which isn't added to. */
static ttm_tensor place_gradient(int *adds, const chain *links, int32_t slot,
                                 const ttm_tensor *dcores)
{
    if (slot < links->order.core_count) {
        ttm_tensor dcore = dcores[slot];
        make_contiguous(&dcore, 1);
        return dcore;
    }
    *adds = 0;
    return take(links->scratch, 5, links->parts[slot].shape);
}

/* Gradients of both parts of join `j` from that of its result. */
static ttm_status split_gradient(chain *links, ttm_tensor *gradients, int32_t j,
                                 const ttm_tensor *dcores, int adds)
{
    arena *scratch = links->scratch;
    int left_adds = adds;
    int right_adds = adds;
    const ttm_tensor *left = &links->parts[links->left[j]];
    const ttm_tensor *right = &links->parts[links->right[j]];
    ttm_tensor *dleft = &gradients[links->left[j]];
    ttm_tensor *dright = &gradients[links->right[j]];
    *dleft = place_gradient(&left_adds, links, links->left[j], dcores);
    *dright = place_gradient(&right_adds, links, links->right[j], dcores);
    const size_t mark = scratch->used;
    const ttm_tensor product = take_product(scratch, left, right);
    const ttm_tensor ordered =
        in_product_order(&gradients[links->order.core_count + j], left, right);
    const ttm_tensor a = as_left(left);
    const ttm_tensor b = as_right(right);
    const ttm_tensor flat = flatten(&product, &a, &b);
    const ttm_tensor a_transposed = transposed(&a);
    const ttm_tensor b_transposed = transposed(&b);
    const ttm_tensor da = as_left(dleft);
    const ttm_tensor db = as_right(dright);
    ttm_status status = copy(scratch, &product, &ordered);
    if (status == TTM_OK) {
        status = multiply(scratch, &da, &flat, &b_transposed, left_adds);
    }
    if (status == TTM_OK) {
        status = multiply(scratch, &db, &a_transposed, &flat, right_adds);
    }
    scratch->used = mark;
    return status;
}

static ttm_status compute_gradient(arena *scratch, const ttm_op *op)
{
    chain links;
    ttm_tensor gradients[2 * TTM_TT_MAX_CORES];
    const ttm_tt_gradient_params *params = op->params;
    const int adds = params->beta != 0.0;
    const ttm_tensor *dcores = &op->tensors[TTM_TT_GRADIENT_DCORE];
    const ttm_tensor dmatrix = as_part(&op->tensors[TTM_TT_GRADIENT_DW]);
    start_chain(&links, scratch, &op->tensors[TTM_TT_GRADIENT_CORE]);
    const int32_t last = links.order.join_count - 1;
    if (last < 0) {
        ttm_tensor target = dcores[0];
        make_contiguous(&target, 1);
        return adds ? accumulate(scratch, &target, &dmatrix) : copy(scratch, &target, &dmatrix);
    }
    ttm_status status = run_joins(&links, last);
    gradients[links.order.core_count + last] = dmatrix;
    for (int32_t j = last; status == TTM_OK && j >= 0; j--) {
        status = split_gradient(&links, gradients, j, dcores, adds);
    }
    return status;
}

/* ---- Table ---- */

/* The matrix of TT_BUILD may be of a lower type: the last permutation rounds. */
static int tt_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const int builds = op->opcode == TTM_OP_TT_BUILD;
    if (builds && !opencl_is_float(op->tensors[TTM_TT_BUILD_W].dtype)) {
        return 0;
    }
    for (uint32_t i = builds ? TTM_TT_BUILD_CORE : 0; i < op->tensor_count; i++) {
        if (ttm_tensor_present(&op->tensors[i]) && op->tensors[i].dtype != TTM_F32) {
            return 0;
        }
    }
    return opencl_count(&op->tensors[0]) > 0;
}

static ttm_status walk(arena *scratch, const ttm_op *op)
{
    return op->opcode == TTM_OP_TT_BUILD ? build(scratch, op) : compute_gradient(scratch, op);
}

static size_t tt_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    arena scratch = {.device = device};
    (void)walk(&scratch, op);
    return scratch.peak;
}

static ttm_status tt_run(ttm_backend_stream *stream, const ttm_op *op)
{
    arena scratch = {.device = stream->device, .stream = stream, .workspace = op->workspace};
    return walk(&scratch, op);
}

const opencl_op opencl_op_tt_build = {tt_supported, tt_workspace, tt_run};
const opencl_op opencl_op_tt_gradient = {tt_supported, tt_workspace, tt_run};
