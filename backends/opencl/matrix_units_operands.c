/* Strides, and what they allow. */
#include "opencl/matrix_units_operands.h"

#include "opencl/matrix_units_plan.h"

enum { ACCESS_CHUNKS = 1, ACCESS_DIRECT = 2, CHUNK = 8 };

/* A map each, in one launch. */
enum { MOST_MAPPED_MATRICES = 4096 };

/* Elements of bf16: 2⁴⁰ bytes. */
#define MOST_MAPPED_STRIDE ((int64_t)1 << 39)

static int is_multiple(int64_t value)
{
    return value % CHUNK == 0;
}

opencl_operand_way opencl_operand_way_of(const ttm_tensor *tensor, int line_dim, int copies)
{
    const int depth_dim = 1 - line_dim;
    const int64_t line_stride = tensor->stride[tensor->rank - 1 - line_dim];
    const int64_t depth_stride = tensor->stride[tensor->rank - 1 - depth_dim];
    opencl_operand_way way = {.runs = depth_stride != 1 && line_stride == 1};
    const int64_t run_stride = way.runs ? line_stride : depth_stride;
    const int64_t other_stride = way.runs ? depth_stride : line_stride;
    int aligned = run_stride == 1 && is_multiple(other_stride) &&
                  tensor->offset % (tensor->dtype == TTM_BF16 ? 16 : 32) == 0;
    for (int32_t dim = 0; dim < tensor->rank - 2; dim++) {
        aligned = aligned && is_multiple(tensor->stride[dim]);
    }
    if (aligned) {
        way.access = tensor->dtype == TTM_BF16 && copies ? ACCESS_DIRECT : ACCESS_CHUNKS;
    }
    return way;
}

/* What a map can say of a matrix: sizes of 32 bits, and strides that go forward. */
static int may_be_mapped(const ttm_tensor *tensor, int line_dim)
{
    int fits = tensor->dtype == TTM_BF16 &&
               opencl_operand_way_of(tensor, line_dim, 1).access == ACCESS_DIRECT;
    for (int32_t dim = tensor->rank - 2; dim < tensor->rank; dim++) {
        fits = fits && tensor->shape[dim] <= INT32_MAX &&
               tensor->stride[dim] < MOST_MAPPED_STRIDE &&
               (tensor->stride[dim] > 0 || tensor->shape[dim] == 1);
    }
    return fits;
}

int opencl_operands_may_be_mapped(const opencl_product *product)
{
    return opencl_product_batches(product) <= MOST_MAPPED_MATRICES &&
           may_be_mapped(&product->a, 1) && may_be_mapped(&product->b, 0);
}

int64_t opencl_operand_matrices(const ttm_tensor *tensor, int64_t batches)
{
    for (int32_t dim = 0; dim < tensor->rank - 2; dim++) {
        if (tensor->shape[dim] > 1 && tensor->stride[dim] != 0) {
            return batches;
        }
    }
    return 1;
}

static int64_t extent(const ttm_tensor *tensor, int from_last)
{
    return tensor->shape[tensor->rank - 1 - from_last];
}

opencl_unit_sizes opencl_unit_sizes_of(const opencl_product *product)
{
    const int64_t batches = opencl_product_batches(product);
    return (opencl_unit_sizes){.rows = extent(&product->out, 1),
                               .cols = extent(&product->out, 0),
                               .depth = extent(&product->a, 0),
                               .batches = batches,
                               .a_matrices = opencl_operand_matrices(&product->a, batches),
                               .b_matrices = opencl_operand_matrices(&product->b, batches)};
}
