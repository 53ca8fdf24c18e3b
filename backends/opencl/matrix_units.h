/* Products on a GPU's matrix units: which unit a device has, the variants of the kernel, and which
 * one a product takes.
 *
 * A kernel is used only after it has been proven on this device and driver (matrix_units_probe.h).
 */
#ifndef TTM_OPENCL_MATRIX_UNITS_H
#define TTM_OPENCL_MATRIX_UNITS_H

#include "opencl/product.h"

/** Kinds of units. */
typedef enum opencl_unit {
    OPENCL_UNIT_NONE,
    OPENCL_UNIT_MMA,   /**< mma.sync: NVIDIA, compute capability 8.0 and later. */
    OPENCL_UNIT_WGMMA, /**< wgmma: NVIDIA, compute capability 9.0. */
    OPENCL_UNIT_DPAS,  /**< Intel, with cl_intel_subgroup_matrix_multiply_accumulate for 8 items. */
    OPENCL_UNIT_MFMA,  /**< AMD, gfx90a and gfx94x. */
    OPENCL_UNIT_COUNT
} opencl_unit;

/** A shape of the kernel: the macros of kernels_cl/matrix_units.cl. */
typedef struct opencl_unit_variant {
    opencl_unit unit;
    int parts; /**< 1: bf16 operands; 2, 3: f32 operands, split: rounded to 16 bits, or as they are.
                */
    int tile_rows;
    int tile_cols;
    int tile_depth;
    int warp_rows;
    int warp_cols;
    int stages;
    int packed;   /**< 1: operands are packed by pack.cl first, for matmul_packed.cl. */
    int overlaps; /**< 1: the units still have a slice when the next one begins. Packed ones do so
                     anyway. */
    int cluster_rows; /**< Groups below each other that run at the same time and fetch slices for
                         each other; with packed operands only, else 1. */
    int cluster_cols; /**< Such groups beside each other. */
    int mapped;       /**< 1, with packed: operands aren't packed, bulk copies go by tensor maps. */
    int halves; /**< 1, with packed and parts 2: the parts are f16, of lines brought to one size. */
} opencl_unit_variant;

enum { OPENCL_UNIT_OPTIONS_BYTES = 320 };

/** All variants; *count says how many. */
const opencl_unit_variant *opencl_unit_variants(int *count);

/** Returns whether the kernel works in this shape: divisors, work-items, 48 KiB of local memory. */
int opencl_unit_variant_is_valid(const opencl_unit_variant *variant);

/** Returns a unit's name: "mma". */
const char *opencl_unit_name(opencl_unit unit);

/** Returns the unit of a name, NONE for others. */
opencl_unit opencl_unit_named(const char *name);

/** Writes the macros that say which variant it is. */
void opencl_unit_variant_write(char options[OPENCL_UNIT_OPTIONS_BYTES],
                               const opencl_unit_variant *variant);

/** Returns the compiler's options for a device that has the unit, with a space in front, or "". */
const char *opencl_unit_variant_compiler(const opencl_unit_variant *variant);

/** How groups get their operands. Each may fail by itself on a device. */
typedef enum opencl_unit_manner {
    OPENCL_AS_THEY_ARE,   /**< By items, a chunk at a time. */
    OPENCL_PACKED,        /**< By bulk copies of slices that were packed before. */
    OPENCL_MAPPED,        /**< By bulk copies of boxes of the tensors. */
    OPENCL_PACKED_SHARED, /**< The same with groups of a cluster, which share what is copied. */
    OPENCL_MAPPED_SHARED,
    OPENCL_PACKED_HALVES, /**< Packed f32 in two parts of f16. */
    OPENCL_UNIT_MANNERS
} opencl_unit_manner;

/** Returns a variant's. */
opencl_unit_manner opencl_unit_variant_manner(const opencl_unit_variant *variant);

/** Returns which operands it is for: 1 bf16; 2, 3 f32, rounded to 16 bits or as they are. */
int opencl_unit_variant_operands(const opencl_unit_variant *variant);

/** Returns the depth that it takes as a whole: pieces, and depths of packed operands, are multiples
 * of it. */
int opencl_unit_variant_depth(const opencl_unit_variant *variant);

/** Returns the groups of a cluster, 1 where groups run by themselves. */
int opencl_unit_variant_cluster(const opencl_unit_variant *variant);

/** Returns the work-items of a group. */
int opencl_unit_variant_items(const opencl_unit_variant *variant);

/** Returns the bytes of local memory of a group. */
int opencl_unit_variant_bytes(const opencl_unit_variant *variant);

/** Returns the unit of a device, NONE for most. */
opencl_unit opencl_unit_of_device(const opencl_description *description);

/** Returns whether a unit is used without being asked for. Those that nobody has run yet aren't. */
int opencl_unit_is_tried(opencl_unit unit);

/** Chooses the unit of a device that is being opened, from its compute capability and
 * TTM_OPENCL_MATRIX_UNITS. TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_units_open(opencl_units **units, const ttm_backend_device *device,
                             int32_t device_index);

/** Frees it; NULL is allowed. */
void opencl_units_close(opencl_units *units);

/** Returns the bytes of scratch for packed operands, and for the sums of pieces that the product's
 * depth is cut into. */
size_t opencl_units_workspace_bytes(const ttm_backend_device *device,
                                    const opencl_product *product);

/** See matrix_units_plan.h and matrix_units_tuned.h. */
typedef struct opencl_unit_plan opencl_unit_plan;
typedef struct opencl_unit_class opencl_unit_class;
typedef struct opencl_tuned_units opencl_tuned_units;

/** Returns whether the device has units that are used. */
int opencl_units_present(const opencl_units *units);

/** Returns whether products of TF32 operands are to come as such, not as those of f32. Always the
 * same for a device that is open, even if all units have failed. */
int opencl_units_take_tf32(const opencl_units *units);

/** *products = the class of a product; 0 where units don't take it. */
int opencl_units_class(opencl_unit_class *products, const ttm_backend_device *device,
                       const opencl_product *product);

/** Returns the plan that the product, with its workspace, has now; variant -1 for none. */
opencl_unit_plan opencl_units_plan(const ttm_backend_device *device, const opencl_product *product);

/** Uses what was tuned from now on, in place of what was tuned before. */
void opencl_units_use(opencl_units *units, const opencl_tuned_units *tuned);

/** Which f32 products are split while tuning. */
typedef enum opencl_split_trial {
    OPENCL_SPLIT_BY_POLICY, /**< As TTM_OPENCL_FP32 says: not a trial. */
    OPENCL_SPLIT_ALL,       /**< All that may be; none with the policy `strict`. */
    OPENCL_SPLIT_NONE
} opencl_split_trial;

/** Splits f32 products as a trial says, until the next one. */
void opencl_units_try_split(opencl_units *units, opencl_split_trial trial);

/** Uses this variant and number of pieces for all products that they fit; -1: no more. */
void opencl_units_try(opencl_units *units, int variant, int pieces);

/** Queues the product on matrix units where the device has any that take it and are proven; *done
 * says whether. */
ttm_status opencl_product_by_matrix_units(int *done, ttm_backend_stream *stream,
                                          const opencl_product *product);

#endif
