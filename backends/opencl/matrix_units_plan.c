/* The rule that chooses. Costs are multiply-adds of one compute unit. */
#include "opencl/matrix_units_plan.h"

/* What a byte of memory costs a compute unit: an A100 does 100 multiply-adds in the time of one, an
 * H100 150. */
#define COST_OF_BYTE 128.0

/* A second launch: some microseconds. */
#define COST_OF_LAUNCH 1e7

/* What a group's copies cost beside its multiply-adds, by the lines of its tile: by cp.async, and
 * by bulk copies of packed operands. These, and the two below, are fitted to what prototypes did on
 * an H100 at 8448x8448x8192: 500 TFLOP/s by cp.async; packed 627 (128x128x16, 5 stages), 508
 * (128x96x32, 3), 464 (128x192x16, 4) and 396 (128x128x32, 2). */
#define COPIES_BY_ITEMS 32.0
#define COPIES_BY_BULK  4.0

/* The products of an operand's parts that are summed: those whose parts' numbers are below it. */
static double products_of_parts(int parts)
{
    return 0.5 * parts * (parts + 1);
}

/* Few stages leave the units waiting. */
static double wait_for_stages(int stages)
{
    return 1.0 + 3.0 / (double)(stages * stages);
}

/* Wider tiles have so many sums in registers that no second group runs beside, to multiply while
 * one writes. */
enum { MOST_SHARING_COLS = 128 };
#define COST_OF_BEING_ALONE 1.3

/* Packed operands take scratch, and nothing of this is measured: they must be worth it. */
#define LEAST_PACKED_GAIN 0.95

/* Less depth isn't worth a group's beginning and end. */
#define LEAST_PIECE_DEPTH 256

static const int pieces_tried[] = {1, 2, 3, 4, 6, 8, 12, OPENCL_MOST_PIECES};

size_t opencl_unit_pieces_bytes(const opencl_unit_sizes *sizes, int pieces)
{
    const double bytes = (double)opencl_parts(sizes->cols, 4) * 16.0 * (double)sizes->rows *
                         (double)sizes->batches * pieces;
    return bytes < (double)INT64_MAX ? (size_t)bytes : (size_t)INT64_MAX;
}

size_t opencl_unit_packed_bytes(const opencl_unit_variant *variant, int64_t lines, int64_t depth,
                                int tile_lines)
{
    const int whole = opencl_unit_variant_depth(variant);
    const double padded = (double)opencl_parts(lines, tile_lines) * tile_lines;
    const double bytes =
        padded * (2.0 * variant->parts * (double)opencl_parts(depth, whole) * whole +
                  variant->halves * OPENCL_LINE_SIZES_BYTES);
    return bytes < (double)INT64_MAX ? (size_t)bytes : (size_t)INT64_MAX;
}

size_t opencl_unit_maps_bytes(const opencl_unit_sizes *sizes)
{
    return (size_t)(sizes->a_matrices + sizes->b_matrices + 1) * OPENCL_MAP_BYTES;
}

/* The bytes of both operands packed, of their maps, or 0 for a variant that takes them as they are.
 */
static double packed_bytes(const opencl_unit_variant *variant, const opencl_unit_sizes *sizes)
{
    return variant->mapped ? (double)opencl_unit_maps_bytes(sizes)
           : variant->packed == 0
               ? 0.0
               : (double)opencl_unit_packed_bytes(variant, sizes->rows, sizes->depth,
                                                  variant->tile_rows) *
                         (double)sizes->a_matrices +
                     (double)opencl_unit_packed_bytes(variant, sizes->cols, sizes->depth,
                                                      variant->tile_cols) *
                         (double)sizes->b_matrices;
}

size_t opencl_unit_most_packed_bytes(const opencl_unit_sizes *sizes)
{
    int count = 0;
    double most = 0.0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int i = 0; i < count; i++) {
        const double bytes = packed_bytes(&variants[i], sizes);
        most = bytes > most && bytes <= OPENCL_MOST_PACKED_BYTES ? bytes : most;
    }
    return (size_t)most;
}

size_t opencl_unit_plan_bytes(const opencl_unit_plan *plan, const opencl_unit_sizes *sizes)
{
    int count = 0;
    const double bytes =
        packed_bytes(&opencl_unit_variants(&count)[plan->variant], sizes) +
        (plan->pieces > 1 ? (double)opencl_unit_pieces_bytes(sizes, plan->pieces) : 0.0);
    return bytes < (double)INT64_MAX ? (size_t)bytes : (size_t)INT64_MAX;
}

/* Cuts the depth into `pieces`, or fewer where slices don't allow so many. */
static void cut(opencl_unit_plan *plan, const opencl_unit_variant *variant,
                const opencl_unit_sizes *sizes, int pieces)
{
    const int whole = opencl_unit_variant_depth(variant);
    const int64_t slices = opencl_parts(sizes->depth, whole);
    const int64_t piece_slices = opencl_parts(slices, pieces);
    plan->piece_depth = piece_slices * whole;
    plan->pieces = (int)opencl_parts(slices, piece_slices);
}

/* Rounds of groups over the device, times the work of a group, times what it loads for it; and
 * what writing and reading of the pieces' sums, reading and writing of what is packed takes. */
static double cost_of(const opencl_unit_plan *plan, const opencl_unit_variant *variant,
                      const opencl_unit_choice *choice, const opencl_unit_sizes *sizes)
{
    const double rows = variant->tile_rows;
    const double cols = variant->tile_cols;
    const int64_t units = choice->compute_units > 0 ? choice->compute_units : 1;
    const int64_t groups = opencl_parts(sizes->rows, variant->tile_rows) *
                           opencl_parts(sizes->cols, variant->tile_cols) * sizes->batches *
                           plan->pieces;
    const double products = products_of_parts(variant->parts);
    const int by_bulk = variant->packed && variant->unit == OPENCL_UNIT_WGMMA;
    const double copies = (by_bulk ? COPIES_BY_BULK : COPIES_BY_ITEMS) * variant->parts / products;
    const double waits =
        !by_bulk ? 1.0
                 : wait_for_stages(variant->stages) *
                       (variant->tile_cols > MOST_SHARING_COLS ? COST_OF_BEING_ALONE : 1.0);
    /* The largest numbers of lines may take a launch more for each operand, which reads as much as
     * packing writes. */
    const int launches =
        (plan->pieces > 1) + (variant->mapped ? 1 : 2 * (variant->packed + variant->halves));
    const double bytes = 2.0 * (double)opencl_unit_plan_bytes(plan, sizes) +
                         variant->halves * packed_bytes(variant, sizes);
    double cost = (double)opencl_parts(groups, units) * rows * cols * (double)plan->piece_depth *
                  products * (1.0 + copies / rows + copies / cols) * waits;
    cost += launches * COST_OF_LAUNCH + bytes * COST_OF_BYTE / (double)units;
    return variant->packed ? cost / LEAST_PACKED_GAIN : cost;
}

/* Whether the scratch has room, and the pieces are deep enough to be worth it. */
static int is_allowed(const opencl_unit_plan *plan, const opencl_unit_choice *choice,
                      const opencl_unit_sizes *sizes)
{
    const size_t sums = plan->pieces > 1 ? opencl_unit_pieces_bytes(sizes, plan->pieces) : 0;
    return opencl_unit_plan_bytes(plan, sizes) <= choice->room &&
           sums <= OPENCL_MOST_PIECES_BYTES &&
           (plan->pieces == 1 || choice->pieces > 0 || plan->piece_depth >= LEAST_PIECE_DEPTH);
}

/* The cheapest number of pieces for a variant, or the wanted one; *cost says what it costs. Without
 * room for any, the variant is -1. */
static opencl_unit_plan choose_pieces(double *cost, int number, const opencl_unit_choice *choice,
                                      const opencl_unit_sizes *sizes)
{
    int count = 0;
    const opencl_unit_variant *variant = &opencl_unit_variants(&count)[number];
    opencl_unit_plan best = {.variant = number};
    opencl_unit_plan next = best;
    cut(&best, variant, sizes, 1);
    *cost = cost_of(&best, variant, choice, sizes);
    if (!is_allowed(&best, choice, sizes) ||
        packed_bytes(variant, sizes) > OPENCL_MOST_PACKED_BYTES) {
        return (opencl_unit_plan){.variant = -1};
    }
    if (choice->pieces > 0) {
        cut(&next, variant, sizes, choice->pieces);
        return is_allowed(&next, choice, sizes) ? next : best;
    }
    for (size_t i = 1; i < sizeof pieces_tried / sizeof pieces_tried[0]; i++) {
        cut(&next, variant, sizes, pieces_tried[i]);
        const double next_cost = cost_of(&next, variant, choice, sizes);
        if (next.pieces > 1 && next_cost < *cost && is_allowed(&next, choice, sizes)) {
            best = next;
            *cost = next_cost;
        }
    }
    return best;
}

/* Whether nothing is known against a variant. Nobody has seen yet that OpenCL drivers run clusters,
 * or heed tensor maps: these only where tuning has measured them, or who asks for the variant. */
static int may_be_used(const opencl_unit_choice *choice, int number)
{
    int count = 0;
    const opencl_unit_variant *variant = &opencl_unit_variants(&count)[number];
    const opencl_unit_manner manner = opencl_unit_variant_manner(variant);
    const int is_known =
        manner == OPENCL_AS_THEY_ARE || manner == OPENCL_PACKED || manner == OPENCL_PACKED_HALVES;
    return (choice->never >> manner & 1) == 0 && (is_known || choice->only == number) &&
           (!variant->mapped || choice->may_map);
}

opencl_unit_plan opencl_unit_plan_for(const opencl_unit_choice *choice,
                                      const opencl_unit_sizes *sizes)
{
    int count = 0;
    opencl_unit_plan best = {.variant = -1, .pieces = 1, .piece_depth = sizes->depth};
    double best_cost = 0.0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!opencl_unit_variant_is_valid(&variants[i]) || variants[i].unit != choice->unit ||
            opencl_unit_variant_operands(&variants[i]) != choice->parts ||
            (choice->only >= 0 && choice->only != i) || !may_be_used(choice, i)) {
            continue;
        }
        double cost = 0.0;
        const opencl_unit_plan plan = choose_pieces(&cost, i, choice, sizes);
        if (plan.variant >= 0 && (best.variant < 0 || cost < best_cost)) {
            best = plan;
            best_cost = cost;
        }
    }
    return best;
}
