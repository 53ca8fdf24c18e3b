/* TT_BUILD: the joins of the train, the last straight into w, which may be bf16. All layers go
 * through each join together. */
#include "cpu/tt_train.h"

/** Returns the floats of the partial products of all layers. */
static int64_t partial_floats(const ttm_cpu_tt_train *train)
{
    int64_t sum = 0;
    for (int i = train->core_count; i < train->node_count - 1; i++) {
        sum += train->layers * train->nodes[i].value_layer;
    }
    return (sum + 15) / 16 * 16;
}

static int tt_build_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *w = &op->tensors[TTM_TT_BUILD_W];
    return (w->dtype == TTM_F32 || w->dtype == TTM_BF16) && unit_last(w) &&
           ttm_cpu_tt_cores_supported(&op->tensors[TTM_TT_BUILD_CORE], TTM_OP_MAX_CORES);
}

static size_t tt_build_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    ttm_cpu_tt_train train;
    ttm_cpu_tt_plan(&train, &op->tensors[TTM_TT_BUILD_CORE]);
    return (size_t)(partial_floats(&train) +
                    device->threads * ttm_cpu_tt_panel_floats(device, &train)) *
           sizeof(float);
}

/** A single core is the matrix itself. */
static void copy_core(const ttm_backend_device *device, const ttm_cpu_tt_train *train,
                      const ttm_tensor *w)
{
    const ttm_cpu_tt_node *core = &train->nodes[0];
    for (int64_t layer = 0; layer < train->layers; layer++) {
        kernels_for(device, w->dtype)
            ->store_rows(moved(data_of(w), layer * w->stride[0], ttm_dtype_bytes(w->dtype)),
                         w->stride[1], core->value + layer * core->value_layer, core->cols,
                         (size_t)core->rows, (size_t)core->cols);
    }
}

static void tt_build_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *w = &op->tensors[TTM_TT_BUILD_W];
    float *place = floats(&op->workspace);
    ttm_cpu_tt_train train;
    ttm_cpu_tt_plan(&train, &op->tensors[TTM_TT_BUILD_CORE]);
    if (train.core_count == 1) {
        copy_core(device, &train, w);
        return;
    }
    float *panels = place + partial_floats(&train);
    for (int i = train.core_count; i < train.node_count; i++) {
        ttm_cpu_tt_node *node = &train.nodes[i];
        if (i < train.node_count - 1) {
            node->value = place;
            place += train.layers * node->value_layer;
        } else {
            node->value = w->dtype == TTM_F32 ? floats(w) : NULL;
            node->narrow = w->dtype == TTM_BF16 ? data_of(w) : NULL;
            node->value_layer = w->stride[0];
            node->row = w->stride[1];
        }
        ttm_cpu_tt_join(device, &train, i, panels);
    }
}

const ttm_cpu_op ttm_cpu_op_tt_build = {tt_build_supported, tt_build_workspace_bytes,
                                        tt_build_op_run};
