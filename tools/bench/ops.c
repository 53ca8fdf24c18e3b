/* ttm-bench devices and ttm-bench ops: what the device does at most, and what each op reaches. */
#include "bench/cases.h"
#include "bench/commands.h"

#include <stdlib.h>
#include <string.h>

ttm_status bench_run_devices(bench_session *session)
{
    return bench_measure_roofs(session, true);
}

/* "MxNxK,…" */
static ttm_status run_products(bench_session *session, const char *list)
{
    ttm_status status = TTM_OK;
    while (*list != '\0' && status == TTM_OK) {
        long long m = 0;
        long long n = 0;
        long long k = 0;
        int length = 0;
        char name[80];
        if (sscanf(list, "%lldx%lldx%lld%n", &m, &n, &k, &length) != 3) {
            break; /* The command line was checked. */
        }
        bench_case item;
        snprintf(name, sizeof name, "matmul %lldx%lldx%lld", m, n, k);
        bench_case_product(&item, name, m, n, k);
        status = bench_case_run(session, &item);
        list += length + (list[length] == ',' ? 1 : 0);
    }
    return status;
}

static ttm_status run_cases(bench_session *session)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    bench_case *cases = NULL;
    size_t count = 0;
    ttm_status status = bench_configure(&config, session->arguments);
    if (status == TTM_OK) {
        status = bench_cases_new(&cases, &count, &config, session->arguments);
    }
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        status = bench_case_run(session, &cases[k]);
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
    return session->arguments->product != NULL ? run_products(session, session->arguments->product)
                                               : run_cases(session);
}
