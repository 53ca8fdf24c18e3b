/* Step 4 of the guide: TT_LINEAR, y = x·W + bias with W held as the cores of a TT-matrix.
 *
 * One row at a time is contracted with core after core, from the left. After core k the state is
 *     [j_0 … j_k, r_{k+1}, i_{k+1} … i_{d-1}]
 * and the next core sums over (r, i) and brings (j, r'):
 *     next[J, j, r', I] = Σ_{r, i} state[J, r, i, I] · core[r, i, j, r']
 * J being the outputs so far and I the inputs to come. No matrix is ever built, and two states are
 * all the scratch there is. On a device, all rows go at once and each core is one product. */
#include "plugin.h"

static int32_t core_count(const ttm_op *op)
{
    int32_t count = 0;
    while (count < TTM_OP_MAX_CORES &&
           ttm_tensor_present(&op->tensors[TTM_TT_LINEAR_CORE + count])) {
        count++;
    }
    return count;
}

int template_tt_linear_supported(const ttm_op *op)
{
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (ttm_tensor_present(tensor) &&
            (tensor->dtype != TTM_F32 || tensor->layout != TTM_LAYOUT_STRIDED)) {
            return 0;
        }
    }
    return 1;
}

/* The largest state of one row, in elements. */
static int64_t largest_state(const ttm_op *op)
{
    int64_t elements = op->tensors[TTM_TT_LINEAR_X].shape[1];
    int64_t largest = elements;
    for (int32_t k = 0; k < core_count(op) && elements > 0; k++) {
        const int64_t *shape = op->tensors[TTM_TT_LINEAR_CORE + k].shape; /* [1, r, n, m, r'] */
        elements = elements / (shape[1] * shape[2]) * (shape[3] * shape[4]);
        largest = elements > largest ? elements : largest;
    }
    return largest;
}

size_t template_tt_linear_workspace_bytes(const ttm_op *op)
{
    return 2 * (size_t)largest_state(op) * sizeof(float);
}

/* next[J, j, r', I] from state[J, r, i, I]; `outputs` and `inputs` are the extents of J and I. */
static void contract(float *next, const float *state, const ttm_tensor *core, int64_t outputs,
                     int64_t inputs)
{
    const float *values = template_data(core); /* its last four dimensions are contiguous */
    const int64_t sums = core->shape[1] * core->shape[2];
    const int64_t results = core->shape[3] * core->shape[4];
    for (int64_t output = 0; output < outputs; output++) {
        for (int64_t result = 0; result < results; result++) {
            for (int64_t input = 0; input < inputs; input++) {
                double sum = 0.0;
                for (int64_t s = 0; s < sums; s++) {
                    sum += (double)state[(output * sums + s) * inputs + input] *
                           (double)values[s * results + result];
                }
                next[(output * results + result) * inputs + input] = (float)sum;
            }
        }
    }
}

/* Runs a row in state[0], which holds x, through all cores; returns the state that holds y. */
static const float *contract_row(float *state[2], const ttm_op *op)
{
    int64_t outputs = 1;
    int64_t inputs = op->tensors[TTM_TT_LINEAR_X].shape[1];
    const int32_t count = core_count(op);
    for (int32_t k = 0; k < count; k++) {
        const ttm_tensor *core = &op->tensors[TTM_TT_LINEAR_CORE + k];
        inputs /= core->shape[2];
        contract(state[(k + 1) % 2], state[k % 2], core, outputs, inputs);
        outputs *= core->shape[3];
    }
    return state[count % 2];
}

/* y's row `row` from the state that holds it; without a state (a sum over no inputs) zeros. */
static void write_row(const ttm_op *op, int64_t row, const float *result)
{
    const ttm_tensor *y = &op->tensors[TTM_TT_LINEAR_Y];
    const ttm_tensor *bias = &op->tensors[TTM_TT_LINEAR_BIAS];
    const float *added = ttm_tensor_present(bias) ? template_data(bias) : NULL;
    float *target = (float *)template_data(y) + row * y->stride[0];
    for (int64_t j = 0; j < y->shape[1]; j++) {
        target[j * y->stride[1]] = (result != NULL ? result[j] : 0.0f) +
                                   (added != NULL ? added[j * bias->stride[0]] : 0.0f);
    }
}

void template_tt_linear(const ttm_op *op)
{
    const ttm_tensor *x = &op->tensors[TTM_TT_LINEAR_X];
    const int64_t inputs = x->shape[1];
    for (int64_t row = 0; row < x->shape[0]; row++) {
        if (inputs == 0) {
            write_row(op, row, NULL);
            continue;
        }
        float *scratch = template_data(&op->workspace);
        float *state[2] = {scratch, scratch + largest_state(op)};
        const float *source = (const float *)template_data(x) + row * x->stride[0];
        for (int64_t i = 0; i < inputs; i++) {
            state[0][i] = source[i * x->stride[1]];
        }
        write_row(op, row, contract_row(state, op));
    }
}
