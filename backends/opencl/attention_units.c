/* Which attention goes to matrix units, by which, and the launch. */
#include "opencl/attention_units.h"

#include "opencl/attention_call.h"
#include "opencl/attention_proof.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewer queries leave most of a tile empty. */
#define LEAST_QUERIES 16

/* From so many groups a compute unit on the larger shapes are worth it. */
#define MANY_GROUPS 2

#define LOG2_E 1.4426950408889634

/* Queries of a head that have statistics are padded to tiles of the largest size. */
enum { PADDING = 64, ROW_ALIGNMENT = 16, MOST_ROWS = 1 << 29 };

struct opencl_attention_units {
    pthread_mutex_t lock; /* of what a failure changes, policy.usable, and of the proof */
    opencl_attention_policy policy;
    opencl_attention_proof proof;
    opencl_tuned_attention tuned;
    int planned[OPENCL_ATTENTION_KINDS]; /* What units took at first: what is said to be supported,
                                            and what scratch is asked for, whatever fails. */
    int is_trial;
    opencl_unit trial;
};

ttm_status opencl_attention_units_open(opencl_attention_units **units,
                                       const ttm_backend_device *device, int32_t device_index)
{
    opencl_attention_units *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device's matrix units");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->proof.device_index = device_index;
    const ttm_status status = opencl_attention_policy_read(&made->policy, device->description);
    if (status != TTM_OK) {
        opencl_attention_units_close(made);
        return status;
    }
    for (int kind = 0; kind < OPENCL_ATTENTION_KINDS; kind++) {
        made->planned[kind] =
            opencl_attention_policy_allows(&made->policy, (opencl_attention_kind)kind);
    }
    *units = made;
    return TTM_OK;
}

void opencl_attention_units_close(opencl_attention_units *units)
{
    if (units != NULL) {
        pthread_mutex_destroy(&units->lock);
        free(units);
    }
}

/* ---- What is taken ---- */

/* The tensors of ATTENTION and ATTENTION_BACKWARD by the same names; the forward pass has no
 * gradients. */
typedef struct attention_tensors {
    const ttm_tensor *q;
    const ttm_tensor *k;
    const ttm_tensor *v;
    const ttm_tensor *out;
    const ttm_tensor *lse; /* may be absent in the forward pass */
    const ttm_tensor *dout;
    const ttm_tensor *dq;
    const ttm_tensor *dk;
    const ttm_tensor *dv;
} attention_tensors;

static attention_tensors forward_tensors(const ttm_op *op)
{
    const ttm_tensor *t = op->tensors;
    return (attention_tensors){.q = &t[TTM_ATTENTION_Q],
                               .k = &t[TTM_ATTENTION_K],
                               .v = &t[TTM_ATTENTION_V],
                               .out = &t[TTM_ATTENTION_OUT],
                               .lse = &t[TTM_ATTENTION_LSE]};
}

static attention_tensors backward_tensors(const ttm_op *op)
{
    const ttm_tensor *t = op->tensors;
    return (attention_tensors){.q = &t[TTM_ATTENTION_BACKWARD_Q],
                               .k = &t[TTM_ATTENTION_BACKWARD_K],
                               .v = &t[TTM_ATTENTION_BACKWARD_V],
                               .out = &t[TTM_ATTENTION_BACKWARD_OUT],
                               .lse = &t[TTM_ATTENTION_BACKWARD_LSE],
                               .dout = &t[TTM_ATTENTION_BACKWARD_DOUT],
                               .dq = &t[TTM_ATTENTION_BACKWARD_DQ],
                               .dk = &t[TTM_ATTENTION_BACKWARD_DK],
                               .dv = &t[TTM_ATTENTION_BACKWARD_DV]};
}

static attention_tensors find_tensors(const ttm_op *op)
{
    return op->opcode == TTM_OP_ATTENTION ? forward_tensors(op) : backward_tensors(op);
}

/* Whether there are kernels for the tensors' type. */
static int has_kernels(const ttm_op *op)
{
    const ttm_tensor *q = find_tensors(op).q;
    const int is_split = q->dtype == TTM_TF32 || q->dtype == TTM_F32;
    return (q->shape[3] == 64 && (is_split || q->dtype == TTM_BF16)) ||
           (q->shape[3] == 128 && q->dtype == TTM_BF16);
}

static opencl_attention_dropout dropout_of(const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    return opencl_keeps_all(params->dropout)       ? OPENCL_ATTENTION_KEEPS_ALL
           : find_tensors(op).k->shape[2] % 4 == 0 ? OPENCL_ATTENTION_DROPS_OF_FOURS
                                                   : OPENCL_ATTENTION_DROPS;
}

static int parts_of(const ttm_tensor *q)
{
    return q->dtype == TTM_F32 ? 3 : q->dtype == TTM_TF32 ? 2 : 1;
}

/* Whether the kernels could take the op, as far as that follows from the policy and the op alone.
 */
static int could_take(const opencl_attention_policy *policy, const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    const attention_tensors t = find_tensors(op);
    const int64_t queries = t.q->shape[2];
    const int64_t keys = t.k->shape[2];
    const int64_t heads = t.q->shape[0] * t.q->shape[1];
    return (policy->is_forced || queries >= LEAST_QUERIES) && has_kernels(op) &&
           (t.q->dtype != TTM_F32 || policy->splits != OPENCL_SPLIT_NEVER) &&
           (!ttm_tensor_present(t.lse) || t.lse->dtype == TTM_F32) && params->scale > 0.0 &&
           isfinite(params->scale) && queries >= 1 && keys >= 1 && heads >= 1 &&
           queries <= MOST_ROWS && keys <= MOST_ROWS &&
           heads <= MOST_ROWS / opencl_parts(queries > keys ? queries : keys, PADDING);
}

/* What tuning has found of the op; NULL where that is nothing, or says that other kernels do what
 * was asked of units by name. */
static const opencl_attention_choice *find_tuned(const opencl_attention_units *units,
                                                 const ttm_op *op)
{
    const opencl_attention_policy *policy = &units->policy;
    const opencl_attention_class what = opencl_attention_class_of(op, policy->is_emulated);
    const opencl_attention_choice *tuned = opencl_tuned_attention_find(&units->tuned, &what);
    const int is_asked_for =
        what.type == TTM_F32 ? opencl_split_policy_is_sure(policy->splits) : policy->is_forced;
    return tuned != NULL && tuned->unit == OPENCL_UNIT_NONE && is_asked_for ? NULL : tuned;
}

/* Writes the units that the op may go to, the one to be tried first in front. What wasn't tuned is
 * by account fastest on wgmma, and f32 tensors in parts by far faster than by other kernels
 * (docs/opencl-matrix-units.md). Returns their number. The lock is held. */
static int find_units(opencl_unit found[OPENCL_ATTENTION_UNITS_END],
                      const opencl_attention_units *units, const ttm_op *op)
{
    int count = 0;
    const opencl_attention_policy *policy = &units->policy;
    if (!could_take(policy, op)) {
        return 0;
    }
    const ttm_tensor *q = find_tensors(op).q;
    const opencl_attention_kind kind = opencl_attention_kind_of(parts_of(q), dropout_of(op));
    if (units->is_trial) {
        found[0] = units->trial;
        return found[0] != OPENCL_UNIT_NONE && policy->usable[found[0]][kind];
    }
    const opencl_attention_choice *tuned = find_tuned(units, op);
    if (tuned != NULL && tuned->unit == OPENCL_UNIT_NONE) {
        return 0;
    }
    for (int unit = OPENCL_ATTENTION_UNITS_END - 1; unit > OPENCL_UNIT_NONE; unit--) {
        if (policy->usable[unit][kind]) {
            found[count++] = (opencl_unit)unit;
        }
    }
    if (tuned != NULL && count == 2 && found[1] == tuned->unit) {
        found[1] = found[0];
        found[0] = tuned->unit;
    }
    return count;
}

/* Whether every row of the tensor begins at a multiple of 16 bytes. */
static int is_aligned(const ttm_tensor *tensor)
{
    if (tensor == NULL) {
        return 1;
    }
    const int64_t neighbours = ROW_ALIGNMENT / (tensor->dtype == TTM_BF16 ? 2 : 4);
    return tensor->offset % ROW_ALIGNMENT == 0 && tensor->stride[0] % neighbours == 0 &&
           tensor->stride[1] % neighbours == 0 && tensor->stride[2] % neighbours == 0;
}

static int all_aligned(const attention_tensors *t)
{
    return is_aligned(t->q) && is_aligned(t->k) && is_aligned(t->v) && is_aligned(t->out) &&
           is_aligned(t->dout) && is_aligned(t->dq) && is_aligned(t->dk) && is_aligned(t->dv);
}

static int64_t padded_queries(const ttm_tensor *q)
{
    return opencl_parts(q->shape[2], PADDING) * PADDING;
}

size_t opencl_attention_units_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    const opencl_attention_units *units = device->attention_units;
    const ttm_tensor *q = find_tensors(op).q;
    const opencl_attention_kind kind = opencl_attention_kind_of(parts_of(q), dropout_of(op));
    if (!units->planned[kind] || !could_take(&units->policy, op)) {
        return 0;
    }
    return (size_t)(q->shape[0] * q->shape[1] * padded_queries(q)) * 2 * sizeof(float);
}

/* ---- Tuning ---- */

int opencl_attention_takes_tf32(const opencl_attention_units *units)
{
    return units->planned[OPENCL_ATTENTION_TF32];
}

int opencl_attention_can_tune(const opencl_attention_units *units)
{
    int count = 0;
    for (int kind = 0; kind < OPENCL_ATTENTION_KINDS; kind++) {
        count += opencl_attention_policy_allows(&units->policy, (opencl_attention_kind)kind);
    }
    return count > 0;
}

void opencl_attention_find_ways(opencl_attention_ways *ways, const opencl_attention_units *units,
                                const ttm_op *op)
{
    const int is_attention =
        op->opcode == TTM_OP_ATTENTION || op->opcode == TTM_OP_ATTENTION_BACKWARD;
    *ways = (opencl_attention_ways){.count = 0};
    if (!is_attention || !could_take(&units->policy, op)) {
        return;
    }
    const attention_tensors t = find_tensors(op);
    const opencl_attention_kind kind = opencl_attention_kind_of(parts_of(t.q), dropout_of(op));
    ways->what = opencl_attention_class_of(op, units->policy.is_emulated);
    if (t.q->dtype != TTM_TF32) { /* what others do then is f32, which is a class of its own */
        ways->units[ways->count++] = OPENCL_UNIT_NONE;
    }
    for (int unit = OPENCL_UNIT_MMA; unit < OPENCL_ATTENTION_UNITS_END; unit++) {
        if (units->policy.usable[unit][kind] && (parts_of(t.q) == 1 || all_aligned(&t))) {
            ways->units[ways->count++] = (opencl_unit)unit;
        }
    }
}

void opencl_attention_use(opencl_attention_units *units, const opencl_tuned_attention *tuned)
{
    units->tuned = *tuned;
}

void opencl_attention_try(opencl_attention_units *units, opencl_unit unit)
{
    units->is_trial = 1;
    units->trial = unit;
}

void opencl_attention_end_trial(opencl_attention_units *units)
{
    units->is_trial = 0;
}

/* ---- The launch ---- */

static void choose_kernel(opencl_attention_pass *pass, opencl_attention_kernel kernel,
                          int is_emulated)
{
    static const opencl_family families[] = {OPENCL_ATTENTION_UNITS, OPENCL_ATTENTION_UNITS_DQ,
                                             OPENCL_ATTENTION_UNITS_DKDV};
    static const char *const names[] = {"attention_matrix_units", "attention_dq_matrix_units",
                                        "attention_dkdv_matrix_units"};
    const opencl_attention_request request = {.unit = pass->unit,
                                              .kernel = kernel,
                                              .parts = pass->parts,
                                              .head_size = pass->head_size,
                                              .choice = pass->choice,
                                              .dropout = pass->dropout};
    opencl_attention_chosen *made = &pass->kernels[pass->kernel_count++];
    made->shape = opencl_attention_find(&request);
    made->family = families[kernel];
    made->name = names[kernel];
    opencl_attention_shape_options(made->options, made->shape, pass->dropout);
    const size_t used = strlen(made->options);
    snprintf(made->options + used, sizeof made->options - used, " -DALIGNED=%d -DEMULATED=%d%s",
             pass->aligned, is_emulated,
             is_emulated ? "" : opencl_attention_shape_compiler(made->shape, pass->dropout));
}

/* 0 for many groups of the larger shapes, 1 for few. */
static int choose_size(const ttm_backend_device *device, const opencl_attention_pass *pass,
                       const ttm_tensor *q)
{
    const opencl_attention_units *units = device->attention_units;
    const opencl_attention_request request = {.unit = pass->unit,
                                              .kernel = OPENCL_ATTENTION_FORWARD,
                                              .parts = pass->parts,
                                              .head_size = pass->head_size,
                                              .dropout = OPENCL_ATTENTION_KEEPS_ALL};
    const opencl_attention_shape *large = opencl_attention_find(&request);
    const int64_t groups = q->shape[0] * q->shape[1] * opencl_parts(q->shape[2], large->tile_rows);
    return units->policy.only >= 0
               ? units->policy.only
               : groups < MANY_GROUPS * (int64_t)device->description->limits.compute_units;
}

/* What the op is done with on a unit. */
static void plan_pass(opencl_attention_pass *pass, const ttm_backend_device *device,
                      const ttm_op *op, opencl_unit unit)
{
    const attention_tensors t = find_tensors(op);
    const int is_emulated = device->attention_units->policy.is_emulated;
    *pass = (opencl_attention_pass){.unit = unit,
                                    .head_size = (int)t.q->shape[3],
                                    .aligned = all_aligned(&t),
                                    .backward = op->opcode == TTM_OP_ATTENTION_BACKWARD,
                                    .parts = parts_of(t.q),
                                    .dropout = dropout_of(op)};
    pass->choice = choose_size(device, pass, t.q);
    if (pass->backward) {
        choose_kernel(pass, OPENCL_ATTENTION_DQ, is_emulated);
        choose_kernel(pass, OPENCL_ATTENTION_DKDV, is_emulated);
    } else {
        choose_kernel(pass, OPENCL_ATTENTION_FORWARD, is_emulated);
    }
}

static ttm_status run_blocks(opencl_call *call, const opencl_attention_chosen *kernel, int64_t rows,
                             int64_t heads)
{
    const size_t items = (size_t)opencl_attention_shape_items(kernel->shape);
    const size_t global[1] = {(size_t)(opencl_parts(rows, kernel->shape->tile_rows) * heads) *
                              items};
    return opencl_call_run(call, 1, global, &items);
}

/* The strides of two tensors' batches, heads and rows. */
static void add_strides(opencl_call *call, const ttm_tensor *a, const ttm_tensor *b)
{
    const int64_t strides[8] = {a->stride[0], a->stride[1], a->stride[2],
                                b->stride[0], b->stride[1], b->stride[2]};
    opencl_call_longs8(call, strides);
}

static ttm_status run_forward(int *done, ttm_backend_stream *stream, const ttm_op *op,
                              const opencl_attention_chosen *kernel)
{
    const ttm_attention_params *params = op->params;
    const attention_tensors t = forward_tensors(op);
    opencl_call call =
        opencl_call_start(stream, kernel->family, kernel->name, "%s", kernel->options);
    if (call.status != TTM_OK && !stream->device->attention_units->policy.is_probe) {
        return TTM_OK; /* it was built in the child, so this is no fault of the kernel's: done stays
                          0 */
    }
    *done = 1;
    opencl_call_tensor(&call, t.out, t.out);
    opencl_call_tensor(&call, t.q, t.out);
    opencl_call_tensor(&call, t.k, t.out);
    opencl_call_tensor(&call, t.v, t.out);
    opencl_call_tensor(&call, t.lse, t.out);
    opencl_call_int(&call, (int32_t)t.q->shape[1]);
    opencl_call_int(&call, (int32_t)t.q->shape[2]);
    opencl_call_int(&call, (int32_t)t.k->shape[2]);
    add_strides(&call, t.q, t.k);
    add_strides(&call, t.v, t.out);
    add_strides(&call, t.lse, t.lse);
    opencl_call_float(&call, params->scale * LOG2_E);
    opencl_call_int(&call, params->causal != 0);
    opencl_call_int(&call, ttm_tensor_present(t.lse));
    opencl_attention_dropout_arguments(&call, params);
    return run_blocks(&call, kernel, t.q->shape[2], t.q->shape[0] * t.q->shape[1]);
}

/* The arguments that both kernels of the backward pass end with. */
static void add_backward_inputs(opencl_call *call, const ttm_op *op, const ttm_tensor *result,
                                const ttm_tensor *other_result)
{
    const ttm_attention_params *params = op->params;
    const attention_tensors t = backward_tensors(op);
    opencl_call_tensor(call, t.dout, t.dq);
    opencl_call_tensor(call, t.q, t.dq);
    opencl_call_tensor(call, t.k, t.dq);
    opencl_call_tensor(call, t.v, t.dq);
    opencl_call_tensor(call, &op->workspace, &op->workspace);
    opencl_call_int(call, (int32_t)t.q->shape[1]);
    opencl_call_int(call, (int32_t)t.q->shape[2]);
    opencl_call_int(call, (int32_t)t.k->shape[2]);
    opencl_call_int(call, (int32_t)padded_queries(t.q));
    add_strides(call, t.q, t.k);
    add_strides(call, t.v, t.dout);
    add_strides(call, result, other_result);
    opencl_call_float(call, params->scale);
    opencl_call_float(call, params->scale * LOG2_E);
    opencl_call_int(call, params->causal != 0);
    opencl_attention_dropout_arguments(call, params);
}

static ttm_status run_backward(int *done, ttm_backend_stream *stream, const ttm_op *op,
                               const opencl_attention_chosen *for_dq,
                               const opencl_attention_chosen *for_dkdv)
{
    const attention_tensors t = backward_tensors(op);
    const int64_t heads = t.q->shape[0] * t.q->shape[1];
    opencl_call dq = opencl_call_start(stream, for_dq->family, for_dq->name, "%s", for_dq->options);
    opencl_call dkdv =
        opencl_call_start(stream, for_dkdv->family, for_dkdv->name, "%s", for_dkdv->options);
    if ((dq.status != TTM_OK || dkdv.status != TTM_OK) &&
        !stream->device->attention_units->policy.is_probe) {
        return TTM_OK; /* as in run_forward */
    }
    *done = 1;
    opencl_call_tensor(&dq, t.dq, t.dq);
    opencl_call_tensor(&dq, t.lse, t.dq);
    opencl_call_tensor(&dq, t.out, t.dq);
    add_strides(&dq, t.lse, t.out);
    add_backward_inputs(&dq, op, t.dq, t.dq);
    const ttm_status status = run_blocks(&dq, for_dq, t.q->shape[2], heads);
    if (status != TTM_OK) {
        return status;
    }
    opencl_call_tensor(&dkdv, t.dk, t.dk);
    opencl_call_tensor(&dkdv, t.dv, t.dk);
    add_backward_inputs(&dkdv, op, t.dk, t.dv);
    return run_blocks(&dkdv, for_dkdv, t.k->shape[2], heads);
}

ttm_status opencl_attention_by_matrix_units(int *done, ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_backend_device *device = stream->device;
    opencl_attention_units *units = device->attention_units;
    const int backward = op->opcode == TTM_OP_ATTENTION_BACKWARD;
    opencl_unit found[OPENCL_ATTENTION_UNITS_END] = {OPENCL_UNIT_NONE};
    ttm_status status = TTM_OK;
    *done = 0;
    if (backward && op->workspace.offset % ROW_ALIGNMENT != 0) {
        return TTM_OK;
    }
    pthread_mutex_lock(&units->lock);
    const int count = find_units(found, units, op);
    pthread_mutex_unlock(&units->lock);
    for (int i = 0; i < count && !*done && status == TTM_OK; i++) {
        opencl_attention_pass pass;
        plan_pass(&pass, device, op, found[i]);
        if (pass.parts > 1 && !pass.aligned) {
            return TTM_OK; /* rows that aren't aligned are split nowhere */
        }
        pthread_mutex_lock(&units->lock);
        const int proven = opencl_attention_is_proven(&units->proof, &units->policy, device, &pass);
        pthread_mutex_unlock(&units->lock);
        if (proven) {
            status = backward ? run_backward(done, stream, op, &pass.kernels[0], &pass.kernels[1])
                              : run_forward(done, stream, op, &pass.kernels[0]);
        }
    }
    return status;
}
