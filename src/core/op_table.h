/* What the core knows of each op: its name, and of each slot its role, type and shape. Validation,
 * staging and cost are driven by this table, so that an op's contract is written once. */
#ifndef TTM_CORE_OP_TABLE_H
#define TTM_CORE_OP_TABLE_H

#include <stdbool.h>
#include <ttm/ops.h>

/** What an op does with a slot. */
typedef enum ttm_slot_role { TTM_SLOT_IN, TTM_SLOT_OUT, TTM_SLOT_INOUT } ttm_slot_role;

/** How a slot's type follows from the others'. */
typedef enum ttm_slot_type {
    TTM_TYPE_DATA,       /* The op's float type: one for all slots of this kind. */
    TTM_TYPE_RESULT,     /* One type for all slots of this kind: the data type, or f32. */
    TTM_TYPE_STORED,     /* One type for all slots of this kind: the data type, or bf16 where that
                            is f32. */
    TTM_TYPE_ACCUMULATE, /* f32; f64 where the data are f64. */
    TTM_TYPE_INDEX,      /* i32. */
    TTM_TYPE_FLOAT,      /* Any float type. */
    TTM_TYPE_ANY         /* Any type. */
} ttm_slot_type;

/** One slot. The shape is a pattern of letters, one a dimension: equal letters in one op mean equal
 * extents. A leading '.' stands for 0 to 2 batch dimensions, the same in all slots; "@" for one
 * whole shape of any rank; "#" for a TT core. */
typedef struct ttm_slot_info {
    const char *name;
    const char *shape;
    ttm_slot_role role;
    ttm_slot_type type;
    bool optional;
} ttm_slot_info;

/** One op. */
typedef struct ttm_op_info {
    const char *name;
    uint32_t slot_count;
    size_t params_bytes;
    ttm_slot_info slots[TTM_OP_MAX_TENSORS];
} ttm_op_info;

/** Returns the table's entry, or NULL for an opcode that doesn't exist. */
const ttm_op_info *ttm_op_get_info(ttm_opcode opcode);

/** Returns the minor version of the plugin ABI that first had the op, or allowed its combination of
 * types: older plugins aren't asked for it. */
uint16_t ttm_op_since_minor(const ttm_op *op);

/** Returns whether the operands of an op's matrix products, ttm_op_tf32_slots, are TF32. */
bool ttm_op_has_tf32(const ttm_op *op);

/** Returns what this very op does with a slot: the table's role, sharpened by the op's parameters
 * (a product with beta = 0 only writes its output, for instance). */
ttm_slot_role ttm_op_slot_role(const ttm_op *op, uint32_t slot);

#endif
