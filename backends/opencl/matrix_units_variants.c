/* The table of variants, and what a variant must fulfil. */
#include "opencl/matrix_units.h"

#include <stdio.h>
#include <string.h>

/* Eight groups are what every device with clusters runs in one. */
enum { MOST_LOCAL_BYTES = 48 * 1024, MOST_ITEMS = 512, MOST_CLUSTER = 8, CHUNK = 8 };

/* What kernels_cl/matrix_units.cl knows of each unit. A warp's part is made of `rows` by `cols`,
 * what is loaded at a time: two fragments of mma's and wgmma's side by side. */
typedef struct unit_description {
    const char *name;
    int lanes;
    int fragment_rows;
    int rows;
    int cols;
} unit_description;

static const unit_description units[OPENCL_UNIT_COUNT] = {
    [OPENCL_UNIT_NONE] = {"none", 1, 1, 1, 1},       [OPENCL_UNIT_MMA] = {"mma", 32, 16, 16, 16},
    [OPENCL_UNIT_WGMMA] = {"wgmma", 32, 16, 16, 16}, [OPENCL_UNIT_DPAS] = {"dpas", 8, 8, 8, 8},
    [OPENCL_UNIT_MFMA] = {"mfma", 64, 16, 16, 16},
};

/* Unit, parts, tile (rows, cols, depth), warp (rows, cols), stages, packed, overlaps, cluster
 * (rows, cols), mapped, halves. Of those for a unit and its parts the first is taken where several
 * cost the same.
 */
static const opencl_unit_variant variants[] = {
    {OPENCL_UNIT_MMA, 1, 128, 128, 32, 64, 32, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 1, 128, 64, 32, 32, 32, 4, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 1, 64, 64, 64, 32, 32, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 1, 64, 64, 32, 32, 32, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 3, 128, 128, 16, 64, 32, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 3, 64, 64, 16, 32, 32, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 16, 128, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 192, 32, 16, 192, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 64, 128, 64, 16, 128, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 64, 64, 32, 16, 64, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_DPAS, 1, 128, 128, 32, 32, 16, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_DPAS, 1, 64, 64, 32, 16, 16, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MFMA, 1, 128, 128, 32, 64, 64, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MFMA, 1, 64, 64, 32, 32, 32, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 96, 32, 16, 96, 3, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 192, 16, 16, 192, 4, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 16, 128, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 64, 128, 32, 16, 128, 3, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 128, 128, 16, 16, 128, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 64, 64, 16, 16, 64, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 128, 96, 16, 16, 96, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 128, 64, 16, 16, 64, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 64, 128, 16, 16, 128, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 3, 64, 64, 16, 16, 64, 3, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 2, 128, 128, 16, 64, 32, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_MMA, 2, 64, 64, 32, 32, 32, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 128, 16, 16, 128, 3, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 64, 64, 32, 16, 64, 2, 0, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 128, 16, 16, 128, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 96, 16, 16, 96, 3, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 64, 128, 16, 16, 128, 3, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 64, 64, 32, 16, 64, 2, 1, 0, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 6, 0, 1, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 16, 128, 3, 0, 1, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 128, 16, 16, 128, 3, 0, 1, 1, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 2, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 2, 2, 0, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 128, 16, 16, 128, 2, 1, 0, 2, 1, 0, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 1, 1, 1, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 96, 32, 16, 96, 3, 1, 0, 1, 1, 1, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 2, 1, 1, 0},
    {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 2, 2, 1, 0},
    {OPENCL_UNIT_WGMMA, 2, 128, 96, 16, 16, 96, 3, 1, 0, 1, 1, 0, 1},
    {OPENCL_UNIT_WGMMA, 2, 128, 64, 16, 16, 64, 3, 1, 0, 1, 1, 0, 1},
    {OPENCL_UNIT_WGMMA, 2, 64, 64, 32, 16, 64, 2, 1, 0, 1, 1, 0, 1},
    {OPENCL_UNIT_MMA, 2, 128, 128, 16, 64, 32, 3, 1, 0, 1, 1, 0, 1},
    {OPENCL_UNIT_MMA, 2, 64, 64, 32, 32, 32, 3, 1, 0, 1, 1, 0, 1},
};

const opencl_unit_variant *opencl_unit_variants(int *count)
{
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const char *opencl_unit_name(opencl_unit unit)
{
    return units[unit].name;
}

opencl_unit opencl_unit_named(const char *name)
{
    for (int unit = OPENCL_UNIT_NONE + 1; unit < OPENCL_UNIT_COUNT; unit++) {
        if (strcmp(units[unit].name, name) == 0) {
            return (opencl_unit)unit;
        }
    }
    return OPENCL_UNIT_NONE;
}

int opencl_unit_variant_cluster(const opencl_unit_variant *variant)
{
    return variant->cluster_rows * variant->cluster_cols;
}

int opencl_unit_variant_operands(const opencl_unit_variant *variant)
{
    return variant->halves ? 3 : variant->parts;
}

int opencl_unit_variant_depth(const opencl_unit_variant *variant)
{
    /* The sums of 32 in halves are taken together. */
    return variant->halves && variant->tile_depth == 16 ? 32 : variant->tile_depth;
}

opencl_unit_manner opencl_unit_variant_manner(const opencl_unit_variant *variant)
{
    const int shares = opencl_unit_variant_cluster(variant) > 1;
    if (variant->mapped) {
        return shares ? OPENCL_MAPPED_SHARED : OPENCL_MAPPED;
    }
    if (variant->halves) {
        return OPENCL_PACKED_HALVES;
    }
    return !variant->packed ? OPENCL_AS_THEY_ARE : shares ? OPENCL_PACKED_SHARED : OPENCL_PACKED;
}

void opencl_unit_variant_write(char options[OPENCL_UNIT_OPTIONS_BYTES],
                               const opencl_unit_variant *variant)
{
    snprintf(options, OPENCL_UNIT_OPTIONS_BYTES,
             "-DUNIT=%d -DPARTS=%d -DTILE_ROWS=%d -DTILE_COLS=%d -DTILE_DEPTH=%d -DWARP_ROWS=%d "
             "-DWARP_COLS=%d -DSTAGES=%d%s%s%s%s",
             (int)variant->unit, variant->parts, variant->tile_rows, variant->tile_cols,
             variant->tile_depth, variant->warp_rows, variant->warp_cols, variant->stages,
             variant->packed ? " -DPACKED=1" : "", variant->overlaps ? " -DOVERLAPS=1" : "",
             variant->mapped ? " -DMAPPED=1" : "", variant->halves ? " -DHALVES=1" : "");
    if (opencl_unit_variant_cluster(variant) > 1) {
        const size_t used = strlen(options);
        snprintf(options + used, OPENCL_UNIT_OPTIONS_BYTES - used,
                 " -DCLUSTER_ROWS=%d -DCLUSTER_COLS=%d", variant->cluster_rows,
                 variant->cluster_cols);
    }
}

const char *opencl_unit_variant_compiler(const opencl_unit_variant *variant)
{
    if (variant->unit == OPENCL_UNIT_DPAS) {
        /* Twice the registers for half the threads: without, sums are spilled. */
        return " -cl-intel-256-GRF-per-thread";
    }
    /* Two groups share a multiprocessor's 65,536 registers, 288 items each where a warp of its own
     * begins copies, else 256; the compiler would take a few more without need. */
    if (variant->unit != OPENCL_UNIT_WGMMA || variant->tile_rows != 128 ||
        opencl_unit_variant_operands(variant) != 2 + variant->packed) {
        return "";
    }
    return variant->packed ? " -cl-nv-maxrregcount=112" : " -cl-nv-maxrregcount=128";
}

/* Warps that multiply. */
static int warps_of(const opencl_unit_variant *variant)
{
    return variant->tile_rows / variant->warp_rows * (variant->tile_cols / variant->warp_cols);
}

/* Whether slices come by bulk copies, which a warp of its own begins. */
static int has_producer(const opencl_unit_variant *variant)
{
    return variant->packed && variant->unit == OPENCL_UNIT_WGMMA;
}

int opencl_unit_variant_items(const opencl_unit_variant *variant)
{
    return (warps_of(variant) + has_producer(variant)) * units[variant->unit].lanes;
}

/* The epilogue's columns at a time, as in matrix_units.cl. */
static int segment_of(const opencl_unit_variant *variant)
{
    const int cols = variant->warp_cols;
    return cols % 64 == 0 ? 64 : (cols % 32 == 0 ? 32 : cols);
}

int opencl_unit_variant_bytes(const opencl_unit_variant *variant)
{
    const int slices = variant->stages * variant->parts *
                       (variant->tile_rows + variant->tile_cols) * variant->tile_depth * 2;
    const int scratch =
        warps_of(variant) * units[variant->unit].fragment_rows * (segment_of(variant) + 8) * 4;
    /* Two mbarriers a stage, and the tile's place where sums leave no registers for it. */
    const int place = opencl_unit_variant_operands(variant) == 3 ? 8 : 0;
    return (slices > scratch ? slices : scratch) +
           has_producer(variant) * (16 * variant->stages + place);
}

static int divides(int part, int whole)
{
    return part > 0 && whole > 0 && whole % part == 0;
}

/* Lines of a block, as in matrix_units.cl. */
static int block_of(int lines)
{
    return lines % 64 == 0 ? 64 : 32;
}

int opencl_unit_variant_is_valid(const opencl_unit_variant *variant)
{
    const int depth = variant->tile_depth;
    const unit_description *unit = &units[variant->unit];
    if (!divides(variant->warp_rows, variant->tile_rows) ||
        !divides(variant->warp_cols, variant->tile_cols) ||
        !divides(unit->rows, variant->warp_rows) || !divides(unit->cols, variant->warp_cols) ||
        (depth != 16 && depth != 32 && depth != 64) || variant->stages < 2 || variant->parts < 1 ||
        variant->parts > 3) {
        return 0;
    }
    /* Blocks of 64 or 32 lines. */
    const int is_blocked = divides(32, variant->tile_rows) && divides(32, variant->tile_cols);
    const int items = opencl_unit_variant_items(variant);
    /* Bulk copies take slices as they are; else each item copies as many chunks as all others. */
    const int chunks = (variant->packed ? variant->parts : 1) * depth / CHUNK;
    const int is_shared_evenly =
        has_producer(variant) || (divides(items, variant->tile_rows * chunks) &&
                                  divides(items, variant->tile_cols * chunks));
    const int has_slices = !variant->packed || variant->unit == OPENCL_UNIT_WGMMA ||
                           (variant->unit == OPENCL_UNIT_MMA && variant->halves);
    const int is_wide = variant->unit != OPENCL_UNIT_WGMMA ||
                        (variant->warp_rows == 16 && variant->warp_cols == variant->tile_cols &&
                         divides(64, variant->tile_rows) &&
                         (variant->tile_cols == 64 || variant->tile_cols == 96 ||
                          variant->tile_cols == 128 || variant->tile_cols == 192) &&
                         (variant->parts < 3 || depth == 16));
    /* Sums of three parts have to be added before the next ones begin. */
    const int may_overlap =
        variant->unit == OPENCL_UNIT_WGMMA && variant->parts < 3 && variant->stages > 2;
    const int is_in_order = !variant->overlaps || (may_overlap && !variant->packed);
    /* Each group of a row fetches as much of the slice that they share, and so does each of a
     * column. */
    const int has_cluster =
        variant->cluster_rows > 0 && variant->cluster_cols > 0 &&
        opencl_unit_variant_cluster(variant) <= MOST_CLUSTER &&
        (opencl_unit_variant_cluster(variant) == 1 ||
         (variant->packed && divides(variant->cluster_cols * 8, variant->tile_rows) &&
          divides(variant->cluster_rows * 8, variant->tile_cols)));
    /* A copy by a map is of whole blocks of lines, of operands as they are. */
    const int rows_of_copy = variant->tile_rows / (has_cluster ? variant->cluster_cols : 1);
    const int cols_of_copy = variant->tile_cols / (has_cluster ? variant->cluster_rows : 1);
    const int has_boxes =
        !variant->mapped || (variant->packed && variant->parts == 1 &&
                             divides(block_of(variant->tile_rows), rows_of_copy) &&
                             divides(block_of(variant->tile_cols), cols_of_copy));
    /* Halves are of lines whose sizes are known, and no group is without a tile. */
    const int has_halves =
        !variant->halves || (variant->packed && !variant->mapped && variant->parts == 2 &&
                             opencl_unit_variant_cluster(variant) == 1);
    /* Copies without registers, and f32 in parts, are there on NVIDIA alone. */
    const int is_plain = variant->unit == OPENCL_UNIT_DPAS || variant->unit == OPENCL_UNIT_MFMA;
    const int is_simple = !is_plain || (variant->stages == 2 && variant->parts == 1);
    return is_simple && is_in_order && has_cluster && has_boxes && has_halves && has_slices &&
           is_blocked && is_shared_evenly && is_wide && items <= MOST_ITEMS &&
           opencl_unit_variant_bytes(variant) <= MOST_LOCAL_BYTES;
}
