/* The plugin searches; what it brought is measured here, through the same dispatch as training. */
#include "bench/tune_plugin.h"

#include "bench/cases.h"

#include <stdlib.h>
#include <string.h>

static bool is_attention(const bench_case *item)
{
    return item->opcode == TTM_OP_ATTENTION || item->opcode == TTM_OP_ATTENTION_BACKWARD;
}

/* The type of a model's products where the device multiplies them: TF32 means nothing to those that
 * haven't got it. */
static ttm_dtype tuned_dtype(const bench_session *session)
{
    const uint32_t mask = ttm_device_get_info(session->device)->dtype_mask;
    return session->dtype == TTM_TF32 && (mask & (1U << TTM_TF32)) == 0 ? TTM_F32 : session->dtype;
}

/* Keeps what plugins have settings for: products and attention. */
static void keep_tunable(bench_case *cases, size_t *count)
{
    size_t kept = 0;
    for (size_t k = 0; k < *count; k++) {
        if (cases[k].opcode == TTM_OP_MATMUL || is_attention(&cases[k])) {
            cases[kept++] = cases[k];
        }
    }
    *count = kept;
}

/* Times each case; the entries' names end in `when`. *total_ns is of the products. */
static ttm_status time_cases(double *total_ns, bench_session *session, const bench_case *cases,
                             size_t count, const char *when)
{
    ttm_status status = TTM_OK;
    *total_ns = 0.0;
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        bench_case item = cases[k];
        snprintf(item.name, sizeof item.name, "%.50s, %s", cases[k].name, when);
        const size_t before = session->result.entry_count;
        status = bench_case_run(session, &item);
        if (status == TTM_OK && session->result.entry_count > before && !is_attention(&item)) {
            *total_ns += bench_entry_median(&session->result.entries[before]);
        }
    }
    return status;
}

/* The descriptions that ops have when they run. */
static ttm_op *describe_ops(ttm_tensor (**tensors)[TTM_OP_MAX_TENSORS], const bench_case *cases,
                            size_t count)
{
    ttm_op *ops = calloc(count, sizeof *ops);
    *tensors = calloc(count, sizeof **tensors);
    if (ops == NULL || *tensors == NULL) {
        free(ops);
        return NULL;
    }
    for (size_t k = 0; k < count; k++) {
        const bench_case *item = &cases[k];
        for (uint32_t slot = 0; slot < item->tensor_count; slot++) {
            const ttm_tensor *tensor = &item->tensors[slot];
            const int32_t rank = tensor->rank;
            (*tensors)[k][slot] =
                item->transposed[slot] ? ttm_tensor_transpose(tensor, rank - 2, rank - 1) : *tensor;
        }
        ops[k] = (ttm_op){.struct_size = sizeof ops[k],
                          .opcode = item->opcode,
                          .tensor_count = item->tensor_count,
                          .tensors = (*tensors)[k],
                          .params = &item->params,
                          .params_bytes = item->params_bytes};
    }
    return ops;
}

static ttm_status tune(bench_session *session, const bench_case *cases, size_t count)
{
    double before_ns = 0.0;
    double after_ns = 0.0;
    int has_settings = 0;
    ttm_tensor(*tensors)[TTM_OP_MAX_TENSORS] = NULL;
    ttm_op *ops = describe_ops(&tensors, cases, count);
    ttm_status status = TTM_OK;
    if (ops == NULL) {
        session->result.out_of_memory = true;
        goto out;
    }
    status = time_cases(&before_ns, session, cases, count, "before");
    if (status == TTM_OK) {
        bench_progress(session, "the plugin tunes its products and attention");
        status = ttm_device_tune(&has_settings, session->device, ops, count,
                                 session->arguments->tune_seconds);
        bench_progress(session, NULL);
    }
    if (status == TTM_OK) {
        status = time_cases(&after_ns, session, cases, count, "after");
    }
    if (status == TTM_OK) {
        bench_set_number(&session->result, "tuned", "products_before_ns", before_ns);
        bench_set_number(&session->result, "tuned", "products_after_ns", after_ns);
    }
out:
    free(ops);
    free(tensors);
    return status;
}

ttm_status bench_tune_plugin(bench_session *session)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    bench_case *cases = NULL;
    size_t count = 0;
    int has_settings = 0;
    bench_arguments whole = *session->arguments;
    whole.op = NULL;
    if (whole.tune_seconds <= 0.0) {
        return TTM_OK;
    }
    ttm_status status =
        ttm_device_tune(&has_settings, session->device, NULL, 0, whole.tune_seconds);
    if (status != TTM_OK || !has_settings) {
        return status;
    }
    if (whole.product != NULL) {
        status = bench_cases_of_products(&cases, &count, whole.product);
    } else {
        status = bench_configure(&config, &whole);
        if (status == TTM_OK) {
            status = bench_cases_new(&cases, &count, &config, &whole, tuned_dtype(session));
            keep_tunable(cases, &count);
        }
    }
    if (status == TTM_OK && count > 0) {
        status = tune(session, cases, count);
    }
    free(cases);
    ttm_gpt2_config_free(&config);
    return status;
}
