/* ttm-bench devices and ttm-bench ops: what the device does at most, and what each op reaches. */
#include "bench/cases.h"
#include "bench/commands.h"

#include <stdlib.h>

ttm_status bench_run_devices(bench_session *session)
{
    return bench_measure_roofs(session, true);
}

static ttm_status run_cases(bench_session *session)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    bench_case *cases = NULL;
    size_t count = 0;
    ttm_status status = TTM_OK;
    if (session->arguments->product != NULL) {
        status = bench_cases_of_products(&cases, &count, session->arguments->product);
    } else {
        status = bench_configure(&config, session->arguments);
        if (status == TTM_OK) {
            status = bench_cases_new(&cases, &count, &config, session->arguments, session->dtype);
        }
    }
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        status = bench_case_run(session, &cases[k]);
    }
    if (count == 0 && status == TTM_OK) {
        tool_fail_text("no op of this model has '%s' in its name: without --op all are measured",
                       session->arguments->op);
        session->failure_told = true;
        status = TTM_ERROR_ARGUMENT;
    }
    free(cases);
    ttm_gpt2_config_free(&config);
    return status;
}

ttm_status bench_run_ops(bench_session *session)
{
    const ttm_status status = bench_measure_roofs(session, false);
    if (status != TTM_OK) {
        return status;
    }
    return run_cases(session);
}
