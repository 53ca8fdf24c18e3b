/* Products with the matrices of a layer. With a TT-matrix, training always works with W, built once
 * a step; passes without gradient may contract x with the cores instead, which for few rows and
 * small ranks reads far less memory. */
#include "model/linear.h"

#include "core/error.h"
#include "model/product.h"
#include "model/tt_groups.h"

#include <ttm/tune.h>

/* Up to so many rows a layer norm is computed at the beginning of the product that reads it, which
 * saves a launch. Each part of a product normalises all rows anew: many rows are better normalised
 * once, and into a buffer of the pass, where they would take scratch on devices that can't do both
 * at once. */
enum { MOST_NORMED_ROWS = 8 };

/* Estimates whether contraction of `rows` rows beats one product with W. Only for CPUs and for
 * devices that were tuned: the untuned cost model knows nothing of other devices, where the
 * launches of a contraction count for more. */
static bool contraction_is_cheaper(const ttm_model *model, const ttm_tt_group *group, int64_t rows)
{
    ttm_tt_cost_model costs;
    const bool measured = ttm_tt_cost_model_for_device(&costs, model->device, model->options.dtype);
    const double in = (double)ttm_tt_shape_in(group->shape);
    const double out = (double)ttm_tt_shape_out(group->shape);
    ttm_tt_plan plan;
    ttm_tt_plan_price price;
    if ((ttm_device_get_info(model->device)->kind != TTM_DEVICE_CPU && !measured) ||
        ttm_tt_plan_find(&plan, group->shape, rows, TTM_TT_FORWARD, &costs) != TTM_OK ||
        ttm_tt_plan_cost(&price, &plan, &costs) != TTM_OK) {
        return false;
    }
    const double product = 2.0 * (double)rows * in * out / costs.product_flops;
    const double reading = in * out * costs.element_bytes / costs.copy_bytes;
    const double with_matrix = (product > reading ? product : reading) + costs.launch_seconds;
    const double cores =
        (double)ttm_tt_shape_elements(group->shape) * costs.element_bytes / costs.copy_bytes;
    return price.seconds + cores < with_matrix;
}

static bool contracts(const ttm_pass *pass, ttm_tt_group *group)
{
    const ttm_model *model = pass->model;
    if (model->options.training || model->options.execution == TTM_TT_CACHED) {
        return false;
    }
    if (model->options.execution == TTM_TT_CONTRACT) {
        return true;
    }
    if (model->has_working) {
        return false; /* partial products would be rounded to bf16, or computed on the host */
    }
    if (group->priced_rows != pass->rows) {
        group->priced_rows = pass->rows;
        group->contracts = contraction_is_cheaper(model, group, pass->rows);
    }
    return group->contracts;
}

/* *weight = W as a dense matrix. */
static ttm_status dense_weight(ttm_tensor *weight, const ttm_pass *pass,
                               const ttm_model_matrix *matrix)
{
    *weight = matrix->weight;
    if (matrix->group == NULL) {
        return TTM_OK;
    }
    TTM_TRY(ttm_tt_group_build(pass->model, matrix->group, pass->stream));
    *weight = ttm_tt_group_matrix(matrix->group, matrix->place);
    return TTM_OK;
}

/* TT_LINEAR has no epilogue of its own. */
static ttm_status contract(const ttm_pass *pass, const ttm_model_matrix *matrix,
                           const ttm_tensor *out, const ttm_tensor *x,
                           const ttm_linear_epilogue *epilogue)
{
    const ttm_tt_group *group = matrix->group;
    ttm_tensor cores[TTM_TT_MAX_CORES];
    for (int32_t core = 0; core < group->shape->core_count; core++) {
        const ttm_tensor master = ttm_tensor_slice(&group->cores[core], 0, matrix->place, 1);
        cores[core] = ttm_model_working_view(pass->model, group->span, &master);
    }
    const ttm_tensor *y = epilogue->residual != NULL ? epilogue->scratch : out;
    TTM_TRY(ttm_tt_linear(pass->stream, y, x, ttm_optional(&matrix->bias), group->shape->core_count,
                          cores));
    if (epilogue->gelu) {
        TTM_TRY(ttm_gelu(pass->stream, y, y));
    }
    if (epilogue->residual != NULL) {
        return ttm_add(pass->stream, out, 1.0, y, 1.0, epilogue->residual);
    }
    return TTM_OK;
}

ttm_status ttm_linear_forward(const ttm_pass *pass, const ttm_model_matrix *matrix,
                              const ttm_tensor *out, const ttm_tensor *x,
                              const ttm_linear_epilogue *epilogue)
{
    const ttm_linear_epilogue nothing = {0};
    ttm_tensor weight;
    epilogue = epilogue != NULL ? epilogue : &nothing;
    ttm_stream_set_label(pass->stream, matrix->label);
    if (matrix->group != NULL && contracts(pass, matrix->group)) {
        return contract(pass, matrix, out, x, epilogue);
    }
    TTM_TRY(dense_weight(&weight, pass, matrix));
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.bias = ttm_optional(&matrix->bias);
    options.activation = epilogue->gelu ? TTM_ACTIVATION_GELU : TTM_ACTIVATION_NONE;
    options.pre = epilogue->pre;
    options.residual = epilogue->residual;
    return ttm_pass_matmul(pass, out, x, &weight, &options);
}

bool ttm_linear_takes_norm(const ttm_pass *pass, const ttm_model_matrix *matrix)
{
    return !pass->training && pass->rows <= MOST_NORMED_ROWS &&
           (matrix->group == NULL || !contracts(pass, matrix->group));
}

ttm_status ttm_linear_forward_normed(const ttm_pass *pass, const ttm_model_matrix *matrix,
                                     const ttm_tensor *out, const ttm_tensor *x,
                                     const ttm_model_norm *norm, bool gelu)
{
    ttm_tensor weight;
    ttm_stream_set_label(pass->stream, matrix->label);
    TTM_TRY(dense_weight(&weight, pass, matrix));
    return ttm_norm_matmul(pass->stream, out, x, &norm->gain, &norm->bias, &weight,
                           ttm_optional(&matrix->bias), pass->model->config.layer_norm_epsilon,
                           gelu ? TTM_ACTIVATION_GELU : TTM_ACTIVATION_NONE);
}

ttm_status ttm_linear_backward_parameters(const ttm_pass *pass, const ttm_model_matrix *matrix,
                                          const ttm_tensor *dy, const ttm_tensor *x)
{
    ttm_tensor target = matrix->weight_gradient;
    const bool per_layer = matrix->group != NULL && !pass->model->reduce_per_step;
    ttm_stream_set_label(pass->stream, matrix->label);
    if (ttm_tensor_present(&matrix->bias)) {
        TTM_TRY(ttm_reduce_rows(pass->stream, &matrix->bias_gradient, pass->keep, 1.0, dy));
    }
    if (matrix->group != NULL) {
        target = ttm_tt_group_matrix_gradient(matrix->group, matrix->place);
    }
    const ttm_tensor transposed = ttm_tensor_transpose(x, 0, 1);
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.beta = per_layer ? 0.0 : pass->keep;
    TTM_TRY(ttm_pass_matmul(pass, &target, &transposed, dy, &options));
    if (per_layer) {
        return ttm_tt_group_reduce_layer(matrix->group, matrix->place, pass->keep, pass->stream);
    }
    return TTM_OK;
}

ttm_status ttm_linear_backward_input(const ttm_pass *pass, const ttm_model_matrix *matrix,
                                     const ttm_tensor *dx, const ttm_tensor *dy,
                                     const ttm_tensor *pre)
{
    ttm_tensor weight;
    ttm_stream_set_label(pass->stream, matrix->label);
    TTM_TRY(dense_weight(&weight, pass, matrix));
    const ttm_tensor transposed = ttm_tensor_transpose(&weight, 0, 1);
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.activation = pre != NULL ? TTM_ACTIVATION_GELU_BACKWARD : TTM_ACTIVATION_NONE;
    options.pre = pre;
    return ttm_pass_matmul(pass, dx, dy, &transposed, &options);
}
