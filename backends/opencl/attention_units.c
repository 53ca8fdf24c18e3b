/* Which attention goes to matrix units, the proof that the kernels must give, and the launch. */
#include "opencl/attention_units.h"

#include "opencl/attention_call.h"
#include "opencl/matrix_units_policy.h"
#include "opencl/matrix_units_probe.h"

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

/* Three kernels of two head sizes in each choice of shapes, aligned or not, in three ways of
 * dropout; in two parts of one head size, aligned; and in three parts in one shape. */
enum { MOST_PROVEN = 3 * 3 * ((2 * 2 + 1) * OPENCL_ATTENTION_CHOICES + 1) };

/* What a probe is told: head size, 1 for aligned rows, 1 for the backward pass, the way of
 * dropout, parts of the operands. */
enum { NUMBERS = 5 };

/* What fails on its own. */
typedef enum attention_kind {
    KEEPING_ALL,
    DROPPING,
    SPLIT,
    SPLIT_DROPPING,
    TF32,
    TF32_DROPPING,
    KINDS
} attention_kind;

/* A kernel, its shape, and what it is built with. */
typedef struct chosen {
    const opencl_attention_shape *shape;
    opencl_family family;
    const char *name;
    char options[OPENCL_ATTENTION_OPTIONS_BYTES];
} chosen;

struct opencl_attention_units {
    pthread_mutex_t lock;
    int32_t device_index;
    int usable[KINDS];          /* Until a failure. */
    int takes_tf32;             /* At the beginning. */
    opencl_split_policy splits; /* Which f32 tensors are taken. */
    opencl_split_trial split_trial;
    opencl_tuned_attention tuned;
    int emulated;
    int only;     /* The one choice of shapes to use, or -1. */
    int forced;   /* Named by the user: small ones too, and kept failures don't count. */
    int is_probe; /* In a child: nothing is proven. */
    chosen proven[MOST_PROVEN]; /* In this process. */
    int proven_count;
};

static const char *unit_name(const opencl_attention_units *units)
{
    return units->emulated ? "emulated" : "mma";
}

static void use_all(opencl_attention_units *units, int usable)
{
    for (int kind = 0; kind < KINDS; kind++) {
        units->usable[kind] = usable;
    }
}

/* "mma", "emulated:1", … */
static ttm_status read_wish(opencl_attention_units *units, const char *wish)
{
    char name[16];
    char rest[16] = "";
    const int fields = sscanf(wish, "%15[a-z]:%d%15s", name, &units->only, rest);
    units->forced = 1;
    use_all(units, 1);
    units->emulated = fields > 0 && strcmp(name, "emulated") == 0;
    if (fields < 1 || fields > 2 || (!units->emulated && strcmp(name, "mma") != 0) ||
        (fields == 2 && (units->only < 0 || units->only >= OPENCL_ATTENTION_CHOICES))) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "TTM_OPENCL_ATTENTION is '%s'; use auto, off, mma or emulated, with :0 "
                           "or :1 for one choice of shapes",
                           wish);
    }
    return TTM_OK;
}

ttm_status opencl_attention_units_open(opencl_attention_units **units,
                                       const ttm_backend_device *device, int32_t device_index)
{
    const char *wish = getenv("TTM_OPENCL_ATTENTION");
    const char *products = getenv("TTM_OPENCL_MATRIX_UNITS");
    opencl_attention_units *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device's matrix units");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->device_index = device_index;
    made->only = -1;
    made->is_probe = getenv("TTM_OPENCL_MATRIX_UNITS_PROBE") != NULL;
    ttm_status status = opencl_split_policy_read(&made->splits, made->is_probe);
    if (status == TTM_OK && (wish == NULL || strcmp(wish, "auto") == 0)) {
        const opencl_unit unit = opencl_unit_of_device(device->description);
        use_all(made, (unit == OPENCL_UNIT_MMA || unit == OPENCL_UNIT_WGMMA) &&
                          (products == NULL || strcmp(products, "off") != 0));
    } else if (status == TTM_OK && strcmp(wish, "off") != 0) {
        status = read_wish(made, wish);
    }
    if (status != TTM_OK) {
        opencl_attention_units_close(made);
        return status;
    }
    made->takes_tf32 = made->usable[TF32];
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

/* Whether f32 tensors are split: unless tuning has found that to be slower, for by account it
 * isn't, by far (docs/opencl-matrix-units.md). */
static int is_split(const opencl_attention_units *units, const ttm_op *op)
{
    if (units->split_trial != OPENCL_SPLIT_BY_POLICY) {
        return units->split_trial == OPENCL_SPLIT_ALL;
    }
    const opencl_attention_class what = opencl_attention_class_of(op, units->emulated);
    const opencl_attention_choice *tuned = opencl_tuned_attention_find(&units->tuned, &what);
    return units->splits == OPENCL_SPLIT_ALWAYS ||
           (units->splits == OPENCL_SPLIT_WHERE_FASTER && (tuned == NULL || tuned->is_split));
}

/* Whether the kernels could take the op, as far as that follows from the device and the op alone.
 */
static int could_take(const opencl_attention_units *units, const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    const attention_tensors t = find_tensors(op);
    const int64_t queries = t.q->shape[2];
    const int64_t keys = t.k->shape[2];
    const int64_t heads = t.q->shape[0] * t.q->shape[1];
    return (units->forced || queries >= LEAST_QUERIES) && has_kernels(op) &&
           (!ttm_tensor_present(t.lse) || t.lse->dtype == TTM_F32) && params->scale > 0.0 &&
           isfinite(params->scale) && queries >= 1 && keys >= 1 && heads >= 1 &&
           queries <= MOST_ROWS && keys <= MOST_ROWS &&
           heads <= MOST_ROWS / opencl_parts(queries > keys ? queries : keys, PADDING);
}

static int is_taken(const opencl_attention_units *units, const ttm_op *op)
{
    return could_take(units, op) && (find_tensors(op).q->dtype != TTM_F32 || is_split(units, op));
}

static opencl_attention_dropout dropout_of(const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    return opencl_keeps_all(params->dropout)       ? OPENCL_ATTENTION_KEEPS_ALL
           : find_tensors(op).k->shape[2] % 4 == 0 ? OPENCL_ATTENTION_DROPS_OF_FOURS
                                                   : OPENCL_ATTENTION_DROPS;
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
    const ttm_tensor *q = find_tensors(op).q;
    if (!is_taken(device->attention_units, op)) {
        return 0;
    }
    return (size_t)(q->shape[0] * q->shape[1] * padded_queries(q)) * 2 * sizeof(float);
}

/* ---- Tuning ---- */

int opencl_attention_takes_tf32(const opencl_attention_units *units)
{
    return units->takes_tf32;
}

int opencl_attention_splits(const opencl_attention_units *units)
{
    return units->usable[SPLIT] && units->splits != OPENCL_SPLIT_NEVER;
}

int opencl_attention_can_split(opencl_attention_class *what, const opencl_attention_units *units,
                               const ttm_op *op)
{
    const int is_attention =
        op->opcode == TTM_OP_ATTENTION || op->opcode == TTM_OP_ATTENTION_BACKWARD;
    if (!is_attention || !opencl_attention_splits(units) || find_tensors(op).q->dtype != TTM_F32 ||
        !could_take(units, op)) {
        return 0;
    }
    const attention_tensors t = find_tensors(op);
    *what = opencl_attention_class_of(op, units->emulated);
    return all_aligned(&t);
}

void opencl_attention_use(opencl_attention_units *units, const opencl_tuned_attention *tuned)
{
    units->tuned = *tuned;
}

void opencl_attention_try_split(opencl_attention_units *units, opencl_split_trial trial)
{
    units->split_trial = trial;
}

/* ---- Proof ---- */

static void demote(opencl_attention_units *units, const ttm_backend_device *device,
                   attention_kind kind, const opencl_cache_key *unit_key, const char *reason)
{
    static const char *const kinds[KINDS] = {"without dropout", "with dropout",
                                             "of f32 tensors",  "of f32 tensors with dropout",
                                             "of tf32 tensors", "of tf32 tensors with dropout"};
    opencl_log(TTM_LOG_WARNING,
               "matrix units (%s) of %s aren't used for attention %s: %s; it goes to other kernels",
               unit_name(units), device->description->name, kinds[kind], reason);
    opencl_verdict_write(unit_key, OPENCL_VERDICT_FAILED);
    units->usable[kind] = 0;
}

static opencl_cache_key verdict_key(const ttm_backend_device *device, const chosen *kernel,
                                    const char *what)
{
    opencl_cache_key key = opencl_programs_key(device->programs, kernel->family, what);
    opencl_cache_key_add(&key, "attention verdict");
    return key;
}

static int is_proven_here(const opencl_attention_units *units, const chosen *kernel)
{
    for (int i = 0; i < units->proven_count; i++) {
        if (units->proven[i].family == kernel->family &&
            strcmp(units->proven[i].options, kernel->options) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Runs the child. */
static opencl_verdict probe(char *reason, size_t reason_bytes, const opencl_attention_units *units,
                            int choice, const int numbers[NUMBERS])
{
    opencl_probe_request request = {
        .device_index = units->device_index, .words = {"attention"}, .word_count = 1 + NUMBERS};
    snprintf(request.variable, sizeof request.variable, "TTM_OPENCL_ATTENTION=%s:%d",
             unit_name(units), choice);
    for (int i = 0; i < NUMBERS; i++) {
        snprintf(request.words[1 + i], sizeof request.words[1 + i], "%d", numbers[i]);
    }
    return opencl_probe_run(reason, reason_bytes, &request);
}

/* Whether the kernels of a pass have passed in an earlier process. */
static int have_passed(const ttm_backend_device *device, const chosen *kernels, int count)
{
    for (int i = 0; i < count; i++) {
        const opencl_cache_key key = verdict_key(device, &kernels[i], kernels[i].options);
        if (opencl_verdict_read(&key) != OPENCL_VERDICT_PASSED) {
            return 0;
        }
    }
    return 1;
}

static void remember(opencl_attention_units *units, const chosen *kernels, int count)
{
    for (int i = 0; i < count; i++) {
        if (!is_proven_here(units, &kernels[i]) && units->proven_count < MOST_PROVEN) {
            units->proven[units->proven_count++] = kernels[i];
        }
    }
}

static attention_kind kind_of(const int numbers[NUMBERS])
{
    const int drops = numbers[3] != OPENCL_ATTENTION_KEEPS_ALL;
    switch (numbers[4]) {
    case 3:
        return drops ? SPLIT_DROPPING : SPLIT;
    case 2:
        return drops ? TF32_DROPPING : TF32;
    default:
        return drops ? DROPPING : KEEPING_ALL;
    }
}

/* Whether the kernels of a pass may be used; finds that out where nobody knows. The lock is held.
 */
static int are_proven(opencl_attention_units *units, const ttm_backend_device *device,
                      const chosen *kernels, int count, int choice, const int numbers[NUMBERS])
{
    char reason[OPENCL_PROBE_REASON_BYTES] = "";
    char unit[32];
    static const char *const marks[KINDS] = {"",       ", dropout",      ", f32", ", f32, dropout",
                                             ", tf32", ", tf32, dropout"};
    const attention_kind kind = kind_of(numbers);
    if (!units->usable[kind] || units->is_probe ||
        (is_proven_here(units, &kernels[0]) && is_proven_here(units, &kernels[count - 1]))) {
        return units->usable[kind];
    }
    snprintf(unit, sizeof unit, "%s%s", unit_name(units), marks[kind]);
    const opencl_cache_key unit_key = verdict_key(device, &kernels[0], unit);
    if (!units->forced && opencl_verdict_read(&unit_key) == OPENCL_VERDICT_FAILED) {
        demote(units, device, kind, &unit_key, "they failed their probe in an earlier run");
        return 0;
    }
    if (!have_passed(device, kernels, count)) {
        opencl_log(TTM_LOG_DEBUG, "probing matrix units: %s %s", kernels[0].name,
                   kernels[0].options);
        if (probe(reason, sizeof reason, units, choice, numbers) != OPENCL_VERDICT_PASSED) {
            demote(units, device, kind, &unit_key, reason);
            return 0;
        }
        for (int i = 0; i < count; i++) {
            const opencl_cache_key key = verdict_key(device, &kernels[i], kernels[i].options);
            opencl_verdict_write(&key, OPENCL_VERDICT_PASSED);
        }
    }
    remember(units, kernels, count);
    return 1;
}

/* ---- The launch ---- */

static chosen choose(const opencl_attention_units *units, opencl_attention_kernel kernel,
                     int choice, const int numbers[NUMBERS])
{
    static const opencl_family families[] = {OPENCL_ATTENTION_UNITS, OPENCL_ATTENTION_UNITS_DQ,
                                             OPENCL_ATTENTION_UNITS_DKDV};
    static const char *const names[] = {"attention_matrix_units", "attention_dq_matrix_units",
                                        "attention_dkdv_matrix_units"};
    const opencl_attention_dropout dropout = (opencl_attention_dropout)numbers[3];
    chosen made = {.shape = opencl_attention_find(kernel, numbers[4], numbers[0], choice, dropout),
                   .family = families[kernel],
                   .name = names[kernel]};
    opencl_attention_shape_options(made.options, made.shape, dropout);
    const size_t used = strlen(made.options);
    snprintf(made.options + used, sizeof made.options - used, " -DALIGNED=%d -DEMULATED=%d",
             numbers[1], units->emulated);
    return made;
}

static int parts_of(const ttm_tensor *q)
{
    return q->dtype == TTM_F32 ? 3 : q->dtype == TTM_TF32 ? 2 : 1;
}

static int choose_size(const ttm_backend_device *device, const attention_tensors *t)
{
    const opencl_attention_units *units = device->attention_units;
    const opencl_attention_shape *large =
        opencl_attention_find(OPENCL_ATTENTION_FORWARD, parts_of(t->q), (int)t->q->shape[3], 0,
                              OPENCL_ATTENTION_KEEPS_ALL);
    const int64_t groups =
        t->q->shape[0] * t->q->shape[1] * opencl_parts(t->q->shape[2], large->tile_rows);
    return units->only >= 0
               ? units->only
               : groups < MANY_GROUPS * (int64_t)device->description->limits.compute_units;
}

static ttm_status run_blocks(opencl_call *call, const chosen *kernel, int64_t rows, int64_t heads)
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
                              const chosen *kernel)
{
    const ttm_attention_params *params = op->params;
    const attention_tensors t = forward_tensors(op);
    opencl_call call =
        opencl_call_start(stream, kernel->family, kernel->name, "%s", kernel->options);
    if (call.status != TTM_OK && !stream->device->attention_units->is_probe) {
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
                               const chosen *for_dq, const chosen *for_dkdv)
{
    const attention_tensors t = backward_tensors(op);
    const int64_t heads = t.q->shape[0] * t.q->shape[1];
    opencl_call dq = opencl_call_start(stream, for_dq->family, for_dq->name, "%s", for_dq->options);
    opencl_call dkdv =
        opencl_call_start(stream, for_dkdv->family, for_dkdv->name, "%s", for_dkdv->options);
    if ((dq.status != TTM_OK || dkdv.status != TTM_OK) &&
        !stream->device->attention_units->is_probe) {
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
    const attention_tensors t = find_tensors(op);
    *done = 0;
    if (!is_taken(units, op) || (backward && op->workspace.offset % ROW_ALIGNMENT != 0)) {
        return TTM_OK;
    }
    const int choice = choose_size(device, &t);
    const int numbers[NUMBERS] = {(int)t.q->shape[3], all_aligned(&t), backward,
                                  (int)dropout_of(op), parts_of(t.q)};
    if (numbers[4] > 1 && !numbers[1]) {
        return TTM_OK; /* rows that aren't aligned are split nowhere */
    }
    chosen kernels[2];
    kernels[0] =
        choose(units, backward ? OPENCL_ATTENTION_DQ : OPENCL_ATTENTION_FORWARD, choice, numbers);
    kernels[1] = choose(units, OPENCL_ATTENTION_DKDV, choice, numbers);
    pthread_mutex_lock(&units->lock);
    const int proven = are_proven(units, device, kernels, backward ? 2 : 1, choice, numbers);
    pthread_mutex_unlock(&units->lock);
    if (!proven) {
        return TTM_OK;
    }
    return backward ? run_backward(done, stream, op, &kernels[0], &kernels[1])
                    : run_forward(done, stream, op, &kernels[0]);
}
