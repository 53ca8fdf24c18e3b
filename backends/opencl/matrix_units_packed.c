/* A launch of pack.cl for each operand; in halves one of pack_lines.cl where lines run along the
 * depth, else one of line_maxima.cl before. Or one of tensor_maps.cl for both. */
#include "opencl/matrix_units_packed.h"

#include "opencl/matrix_units_operands.h"
#include "opencl/matrix_units_plan.h"

/* Depth that pack.cl's neighbouring items read of a line, and work-items of a group. */
enum { SPAN = 64, CHUNK = 8, ITEMS = 256 };

/* Lines of a group of line_maxima.cl, and work-items for a line of pack_lines.cl. */
enum { MAXIMA_LINES = 32, LINE_ITEMS = 32 };

opencl_packed_places opencl_packed_places_of(const opencl_product *product,
                                             const opencl_unit_variant *variant)
{
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(product);
    if (variant->mapped) {
        const int64_t behind = (int64_t)(product->workspace.offset % OPENCL_MAP_BYTES);
        const int64_t place = (OPENCL_MAP_BYTES - behind) % OPENCL_MAP_BYTES;
        return (opencl_packed_places){.a_place = place,
                                      .a_bytes = sizes.a_matrices > 1 ? OPENCL_MAP_BYTES : 0,
                                      .b_place = place + sizes.a_matrices * OPENCL_MAP_BYTES,
                                      .b_bytes = sizes.b_matrices > 1 ? OPENCL_MAP_BYTES : 0,
                                      .end = (int64_t)opencl_unit_maps_bytes(&sizes)};
    }
    const int64_t a =
        (int64_t)opencl_unit_packed_bytes(variant, sizes.rows, sizes.depth, variant->tile_rows);
    const int64_t b =
        (int64_t)opencl_unit_packed_bytes(variant, sizes.cols, sizes.depth, variant->tile_cols);
    return (opencl_packed_places){.a_bytes = sizes.a_matrices > 1 ? a : 0,
                                  .b_place = a * sizes.a_matrices,
                                  .b_bytes = sizes.b_matrices > 1 ? b : 0,
                                  .end = a * sizes.a_matrices + b * sizes.b_matrices};
}

/* Of a dimension that there may not be. */
static int64_t stride_of(const ttm_tensor *tensor, int32_t dim)
{
    return dim >= 0 ? tensor->stride[dim] : 0;
}

/* An operand that is being packed. */
typedef struct packing {
    const opencl_product *product;
    const ttm_tensor *operand;
    int line_dim; /* of its lines, from the last dimension: 1 a, 0 b. */
    const opencl_unit_variant *variant;
    int is_emulated;
    int64_t place; /* in the scratch, in bytes. */
} packing;

/* Queues one of the kernels that take the operand, over `across` work-items by `down` groups. */
static ttm_status run_packing(ttm_backend_stream *stream, const packing *p, opencl_family family,
                              const char *name, size_t across, size_t down)
{
    const ttm_tensor *operand = p->operand;
    const opencl_unit_variant *variant = p->variant;
    const int32_t last = operand->rank - 1;
    const int32_t line_dim = last - p->line_dim;
    const int32_t depth_dim = last - (1 - p->line_dim);
    const int tile_lines = p->line_dim == 1 ? variant->tile_rows : variant->tile_cols;
    const opencl_operand_way way = opencl_operand_way_of(operand, p->line_dim, 0);
    opencl_call call = opencl_call_start(
        stream, family, name,
        "-DDATA=%d -DPARTS=%d -DHALVES=%d -DEMULATED=%d -DTILE_LINES=%d -DTILE_DEPTH=%d "
        "-DRUNS=%d -DACCESS=%d",
        (int)operand->dtype, variant->parts, variant->halves, p->is_emulated, tile_lines,
        variant->tile_depth, way.runs, way.access);
    opencl_call_tensor(&call, &p->product->workspace, &p->product->workspace);
    opencl_call_long(&call, p->place);
    opencl_call_tensor(&call, operand, operand);
    opencl_call_long(&call, operand->shape[line_dim]);
    opencl_call_long(&call, operand->shape[depth_dim]);
    opencl_call_long(&call, operand->stride[line_dim]);
    opencl_call_long(&call, operand->stride[depth_dim]);
    opencl_call_long(&call, operand->rank > 2 ? operand->shape[last - 2] : 1);
    opencl_call_long(&call, stride_of(operand, last - 3));
    opencl_call_long(&call, stride_of(operand, last - 2));
    const size_t local[3] = {ITEMS, 1, 1};
    const size_t global[3] = {
        across, down, (size_t)opencl_operand_matrices(operand, opencl_product_batches(p->product))};
    return opencl_call_run(&call, 3, global, local);
}

static ttm_status pack(ttm_backend_stream *stream, const packing *p)
{
    const ttm_tensor *operand = p->operand;
    const int tile_lines = p->line_dim == 1 ? p->variant->tile_rows : p->variant->tile_cols;
    const int64_t lines = operand->shape[operand->rank - 1 - p->line_dim];
    const int64_t depth = operand->shape[operand->rank - 2 + p->line_dim];
    const int64_t tiles = opencl_parts(lines, tile_lines);
    const size_t padded = (size_t)(tiles * tile_lines);
    if (p->variant->halves && !opencl_operand_way_of(operand, p->line_dim, 0).runs) {
        return run_packing(stream, p, OPENCL_PACK_LINES, "pack_lines", padded * LINE_ITEMS, 1);
    }
    if (p->variant->halves) {
        const ttm_status status = run_packing(stream, p, OPENCL_LINE_MAXIMA, "line_maxima",
                                              padded / MAXIMA_LINES * ITEMS, OPENCL_LINE_PIECES);
        if (status != TTM_OK) {
            return status;
        }
    }
    return run_packing(stream, p, OPENCL_PACK, "pack",
                       (size_t)(opencl_parts(depth, SPAN) * tile_lines * (SPAN / CHUNK)),
                       (size_t)tiles);
}

ttm_status opencl_map_operands(ttm_backend_stream *stream, const opencl_product *product,
                               const opencl_packed_places *places, const char *options)
{
    const ttm_tensor *a = &product->a;
    const ttm_tensor *b = &product->b;
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(product);
    const int64_t strides[8] = {a->stride[a->rank - 2],    a->stride[a->rank - 1],
                                stride_of(a, a->rank - 4), stride_of(a, a->rank - 3),
                                b->stride[b->rank - 1],    b->stride[b->rank - 2],
                                stride_of(b, b->rank - 4), stride_of(b, b->rank - 3)};
    opencl_call call = opencl_call_start(stream, OPENCL_TENSOR_MAPS, "tensor_maps", "%s", options);
    opencl_call_tensor(&call, &product->workspace, &product->workspace);
    opencl_call_long(&call, places->a_place);
    opencl_call_long(&call, places->b_place);
    opencl_call_tensor(&call, a, a);
    opencl_call_tensor(&call, b, b);
    opencl_call_long(&call, sizes.rows);
    opencl_call_long(&call, sizes.cols);
    opencl_call_long(&call, sizes.depth);
    opencl_call_longs8(&call, strides);
    opencl_call_long(&call, sizes.a_matrices);
    opencl_call_long(&call, sizes.b_matrices);
    opencl_call_long(&call, a->rank > 2 ? a->shape[a->rank - 3] : 1);
    const size_t local[3] = {1, 1, 1};
    const size_t global[3] = {
        2, (size_t)(sizes.a_matrices > sizes.b_matrices ? sizes.a_matrices : sizes.b_matrices), 1};
    return opencl_call_run(&call, 3, global, local);
}

ttm_status opencl_pack_operands(ttm_backend_stream *stream, const opencl_product *product,
                                const opencl_unit_variant *variant, int is_emulated,
                                const opencl_packed_places *places)
{
    const packing a = {product, &product->a, 1, variant, is_emulated, places->a_place};
    const packing b = {product, &product->b, 0, variant, is_emulated, places->b_place};
    const ttm_status status = pack(stream, &a);
    return status == TTM_OK ? pack(stream, &b) : status;
}

void opencl_packed_arguments(opencl_call *call, const opencl_product *product,
                             const opencl_packed_places *places)
{
    opencl_call_tensor(call, &product->workspace, &product->workspace);
    opencl_call_long(call, places->a_place);
    opencl_call_long(call, places->a_bytes);
    opencl_call_long(call, places->b_place);
    opencl_call_long(call, places->b_bytes);
    opencl_call_long(call, places->end);
}
