/* What holds for every op, and shows only when ops are run more than once: one behind another, on
 * memory that held something else before, a thousand times. */
#include "conformance/check.h"
#include "conformance/device_tests.h"
#include "conformance/loaded_case.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* Where the cases that are taken of each op begin: a plain one, then the large products. A device
 * that takes none of so many from there on lacks the op. */
static const uint64_t first_cases[] = {4, 12, 28, 44};

enum { MOST_CASES = sizeof first_cases / sizeof first_cases[0], CASES_TRIED = 24 };

/* A case of each op that the device has, on the device. */
typedef struct op_sample {
    conformance_case made;
    loaded_case loaded;
} op_sample;

typedef ttm_status sample_function(conformance_case *made, const test_bench *bench);

static ttm_status synchronize(const struct target *target)
{
    ttm_plugin_begin();
    return target_check(target, "stream_synchronize",
                        target->backend->stream_synchronize(target->stream));
}

/* *made = the first f32 case of an op, from case `first` on, that the device does itself; *found =
 * false where there is none. */
static ttm_status next_native(conformance_case *made, bool *found, uint64_t first,
                              ttm_opcode opcode, const test_bench *bench)
{
    *found = false;
    for (uint64_t index = first; !*found && index < first + CASES_TRIED; index++) {
        const ttm_status status =
            case_generate(made, opcode, index, bench->seed, TTM_F32, bench->oracle);
        if (status != TTM_OK) {
            case_free(made);
            return status;
        }
        *found = check_is_native(made, bench->tested);
        if (!*found) {
            case_free(made);
        }
    }
    return TTM_OK;
}

/* Calls `function` for up to `most` cases of each op that the device has. */
static ttm_status for_each_op(const char **skipped, const test_bench *bench, int most,
                              sample_function *function)
{
    int ops = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        bool found = true;
        for (int k = 0; k < most && found; k++) {
            conformance_case made;
            TTM_TRY(next_native(&made, &found, first_cases[k], (ttm_opcode)opcode, bench));
            if (found) {
                const ttm_status status = function(&made, bench);
                case_free(&made);
                TTM_TRY(status);
                ops++;
            }
        }
    }
    if (ops == 0) {
        *skipped = "the plugin has no ops on f32";
    }
    return TTM_OK;
}

/* ---- One behind another ---- */

enum { RUNS = 12 };

/* Copies of the case that share one workspace, queued at once: libttm lends the same scratch to all
 * ops of a stream. */
static ttm_status run_back_to_back(conformance_case *made, const test_bench *bench)
{
    loaded_case copies[RUNS];
    ttm_status status = TTM_OK;
    int count = 0;
    for (; count < RUNS && status == TTM_OK; count++) {
        status = loaded_case_new(&copies[count], made, bench->tested);
    }
    for (int k = 0; k < RUNS && status == TTM_OK; k++) {
        copies[k].op.workspace = copies[0].op.workspace;
        status = loaded_case_queue(&copies[k]);
    }
    TTM_TRY_OUT(status);
    TTM_TRY_OUT(synchronize(bench->tested));
    for (int k = 1; k < RUNS; k++) {
        TTM_TRY_OUT(loaded_case_compare(&copies[0], &copies[k],
                                        "when the op is queued twelve times without waiting"));
    }
out:
    for (int k = 0; k < count; k++) {
        loaded_case_free(&copies[k]);
    }
    return status;
}

static ttm_status back_to_back(const char **skipped, const test_bench *bench)
{
    return for_each_op(skipped, bench, MOST_CASES, run_back_to_back);
}

/* ---- On memory that held something else ---- */

static ttm_status run_once(const loaded_case *loaded)
{
    TTM_TRY(loaded_case_queue(loaded));
    return synchronize(loaded->target);
}

/* Halves all inputs, which changes every result and leaves every input valid. */
static void halve(conformance_case *made)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        const struct operand *operand = &made->slots[slot];
        for (int64_t i = 0; i < operand->count && operand->values != NULL; i++) {
            operand->values[i] *= operand->dtype == TTM_I32 ? 1.0 : 0.5;
        }
    }
}

/* Runs the case, then with other inputs in the same memory, which must give what these inputs give
 * in other memory. */
static ttm_status run_rewritten(conformance_case *made, const test_bench *bench)
{
    loaded_case rewritten = {.target = bench->tested};
    loaded_case fresh = {.target = bench->tested};
    ttm_status status = loaded_case_new(&rewritten, made, bench->tested);
    TTM_TRY_OUT(status);
    TTM_TRY_OUT(run_once(&rewritten));
    halve(made);
    TTM_TRY_OUT(loaded_case_write(&rewritten));
    TTM_TRY_OUT(run_once(&rewritten));
    TTM_TRY_OUT(loaded_case_new(&fresh, made, bench->tested));
    TTM_TRY_OUT(run_once(&fresh));
    TTM_TRY_OUT(loaded_case_compare(&rewritten, &fresh,
                                    "when its inputs are written over others: is something kept of "
                                    "what memory held before?"));
out:
    loaded_case_free(&fresh);
    loaded_case_free(&rewritten);
    return status;
}

/* The same where the memory was freed in between, and is given out again. */
static ttm_status run_reused(conformance_case *made, const test_bench *bench)
{
    loaded_case loaded[3] = {
        {.target = bench->tested}, {.target = bench->tested}, {.target = bench->tested}};
    ttm_status status = loaded_case_new(&loaded[0], made, bench->tested);
    TTM_TRY_OUT(status);
    TTM_TRY_OUT(run_once(&loaded[0]));
    loaded_case_free(&loaded[0]);
    halve(made);
    TTM_TRY_OUT(loaded_case_new(&loaded[1], made, bench->tested));
    TTM_TRY_OUT(run_once(&loaded[1]));
    TTM_TRY_OUT(loaded_case_new(&loaded[2], made, bench->tested));
    TTM_TRY_OUT(run_once(&loaded[2]));
    TTM_TRY_OUT(loaded_case_compare(&loaded[1], &loaded[2],
                                    "in memory that was freed and allocated again: is something "
                                    "kept of what it held before?"));
out:
    for (int k = 0; k < 3; k++) {
        loaded_case_free(&loaded[k]);
    }
    return status;
}

static ttm_status rewritten(const char **skipped, const test_bench *bench)
{
    return for_each_op(skipped, bench, 2, run_rewritten);
}

static ttm_status reused(const char **skipped, const test_bench *bench)
{
    return for_each_op(skipped, bench, 2, run_reused);
}

/* ---- A thousand times ---- */

/* The samples of a run, for the turns of `leave_nothing`. */
typedef struct op_samples {
    op_sample *items[TTM_OP_COUNT];
} op_samples;

static ttm_status one_round(const test_bench *bench, void *context)
{
    const op_samples *samples = context;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        if (samples->items[opcode] != NULL) {
            TTM_TRY(loaded_case_queue(&samples->items[opcode]->loaded));
        }
    }
    return synchronize(bench->tested);
}

static ttm_status take_sample(op_sample **sample, ttm_opcode opcode, const test_bench *bench)
{
    bool found = false;
    op_sample *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a case");
    }
    const ttm_status status = next_native(&made->made, &found, first_cases[0], opcode, bench);
    if (status != TTM_OK || !found) {
        free(made);
        return status;
    }
    *sample = made;
    return loaded_case_new(&made->loaded, &made->made, bench->tested);
}

static ttm_status leave_nothing(const char **skipped, const test_bench *bench)
{
    op_samples samples = {0};
    ttm_status status = TTM_OK;
    int count = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        TTM_TRY_OUT(take_sample(&samples.items[opcode], (ttm_opcode)opcode, bench));
        count += samples.items[opcode] != NULL;
    }
    if (count == 0) {
        *skipped = "the plugin has no ops on f32";
        goto out;
    }
    status = leak_check(one_round, &samples, "running every op", bench);
out:
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        if (samples.items[opcode] != NULL) {
            loaded_case_free(&samples.items[opcode]->loaded);
            case_free(&samples.items[opcode]->made);
            free(samples.items[opcode]);
        }
    }
    return status;
}

/* ---- What device_info says of ops ---- */

/* Adds the types of a case's tensors to *seen, if the device does the op itself. */
static ttm_status see_types(uint32_t *seen, ttm_opcode opcode, uint64_t index,
                            const test_bench *bench)
{
    conformance_case made;
    const ttm_status status =
        case_generate(&made, opcode, index, bench->seed, TTM_DTYPE_NONE, bench->oracle);
    if (status == TTM_OK && check_is_native(&made, bench->tested)) {
        for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
            *seen |= made.slots[slot].dtype != TTM_DTYPE_NONE ? 1u << made.slots[slot].dtype : 0;
        }
    }
    case_free(&made);
    return status;
}

static ttm_status dtypes(const char **skipped, const test_bench *bench)
{
    static const ttm_dtype types[] = {TTM_F32, TTM_BF16, TTM_F16, TTM_F64, TTM_I32, TTM_TF32};
    const uint32_t claimed = bench->tested->info.dtype_mask;
    uint32_t seen = 0;
    if (bench->tested->backend->op_run == NULL) {
        *skipped = "the plugin has no ops";
        return TTM_OK;
    }
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        for (uint64_t index = 0; index < CASES_TRIED && (claimed & ~seen) != 0; index++) {
            TTM_TRY(see_types(&seen, (ttm_opcode)opcode, index, bench));
        }
    }
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        REQUIRE((claimed & ~seen & 1u << types[k]) == 0,
                "dtype_mask of device_info has %s, but op_supported takes no op on it",
                ttm_dtype_name(types[k]));
    }
    REQUIRE(seen == 0 || claimed != 0, "dtype_mask of device_info is 0, but there are ops");
    return TTM_OK;
}

const device_test device_op_tests[] = {
    {"ops/dtypes", "the types that device_info claims are types that ops take", dtypes},
    {"ops/back_to_back",
     "every op, queued twelve times without a wait and with one scratch, gives the same bits",
     back_to_back},
    {"ops/rewritten", "every op computes with what its memory holds now", rewritten},
    {"ops/reused", "the same where its memory was freed and allocated again", reused},
    {"ops/leave_nothing", "a thousand runs of every op leave nothing behind", leave_nothing},
    {0},
};
