/* Verdicts on disk, and the child that finds them. */
#include "opencl/attention_proof.h"

#include "opencl/device.h"
#include "opencl/matrix_units_probe.h"

#include <stdio.h>
#include <string.h>

opencl_attention_kind opencl_attention_kind_of(int parts, opencl_attention_dropout dropout)
{
    const int drops = dropout != OPENCL_ATTENTION_KEEPS_ALL;
    switch (parts) {
    case 3:
        return drops ? OPENCL_ATTENTION_SPLIT_DROPPING : OPENCL_ATTENTION_SPLIT;
    case 2:
        return drops ? OPENCL_ATTENTION_TF32_DROPPING : OPENCL_ATTENTION_TF32;
    default:
        return drops ? OPENCL_ATTENTION_DROPPING : OPENCL_ATTENTION_KEEPING_ALL;
    }
}

static void demote(opencl_attention_policy *policy, const ttm_backend_device *device,
                   const opencl_attention_pass *pass, const opencl_cache_key *unit_key,
                   const char *reason)
{
    static const char *const kinds[OPENCL_ATTENTION_KINDS] = {
        "without dropout", "with dropout",
        "of f32 tensors",  "of f32 tensors with dropout",
        "of tf32 tensors", "of tf32 tensors with dropout"};
    const opencl_attention_kind kind = opencl_attention_kind_of(pass->parts, pass->dropout);
    opencl_log(TTM_LOG_WARNING,
               "matrix units (%s) of %s aren't used for attention %s: %s; it goes to other kernels",
               opencl_attention_unit_name(policy, pass->unit), device->description->name,
               kinds[kind], reason);
    opencl_verdict_write(unit_key, OPENCL_VERDICT_FAILED);
    policy->usable[pass->unit][kind] = 0;
}

static opencl_cache_key verdict_key(const ttm_backend_device *device,
                                    const opencl_attention_chosen *kernel, const char *what)
{
    opencl_cache_key key = opencl_programs_key(device->programs, kernel->family, what);
    opencl_cache_key_add(&key, "attention verdict");
    return key;
}

static int is_proven_here(const opencl_attention_proof *proof,
                          const opencl_attention_chosen *kernel)
{
    for (int i = 0; i < proof->count; i++) {
        if (proof->kernels[i].family == kernel->family &&
            strcmp(proof->kernels[i].options, kernel->options) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Runs the child, which is told head size, alignment, pass, the way of dropout and parts. */
static opencl_verdict probe(char *reason, size_t reason_bytes, int32_t device_index,
                            const opencl_attention_policy *policy,
                            const opencl_attention_pass *pass)
{
    const int numbers[] = {pass->head_size, pass->aligned, pass->backward, (int)pass->dropout,
                           pass->parts};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    opencl_probe_request request = {
        .device_index = device_index, .words = {"attention"}, .word_count = 1 + NUMBERS};
    snprintf(request.variable, sizeof request.variable, "TTM_OPENCL_ATTENTION=%s:%d",
             opencl_attention_unit_name(policy, pass->unit), pass->choice);
    for (int i = 0; i < NUMBERS; i++) {
        snprintf(request.words[1 + i], sizeof request.words[1 + i], "%d", numbers[i]);
    }
    return opencl_probe_run(reason, reason_bytes, &request);
}

/* Whether the kernels of a pass have passed in an earlier process. */
static int have_passed(const ttm_backend_device *device, const opencl_attention_pass *pass)
{
    for (int i = 0; i < pass->kernel_count; i++) {
        const opencl_cache_key key =
            verdict_key(device, &pass->kernels[i], pass->kernels[i].options);
        if (opencl_verdict_read(&key) != OPENCL_VERDICT_PASSED) {
            return 0;
        }
    }
    return 1;
}

static void remember(opencl_attention_proof *proof, const opencl_attention_pass *pass)
{
    for (int i = 0; i < pass->kernel_count; i++) {
        if (!is_proven_here(proof, &pass->kernels[i]) && proof->count < OPENCL_MOST_PROVEN) {
            proof->kernels[proof->count++] = pass->kernels[i];
        }
    }
}

int opencl_attention_is_proven(opencl_attention_proof *proof, opencl_attention_policy *policy,
                               const ttm_backend_device *device, const opencl_attention_pass *pass)
{
    char reason[OPENCL_PROBE_REASON_BYTES] = "";
    char unit[48];
    static const char *const marks[OPENCL_ATTENTION_KINDS] = {
        "", ", dropout", ", f32", ", f32, dropout", ", tf32", ", tf32, dropout"};
    const opencl_attention_kind kind = opencl_attention_kind_of(pass->parts, pass->dropout);
    const opencl_attention_chosen *kernels = pass->kernels;
    if (!policy->usable[pass->unit][kind] || policy->is_probe ||
        (is_proven_here(proof, &kernels[0]) &&
         is_proven_here(proof, &kernels[pass->kernel_count - 1]))) {
        return policy->usable[pass->unit][kind];
    }
    snprintf(unit, sizeof unit, "%s%s", opencl_attention_unit_name(policy, pass->unit),
             marks[kind]);
    const opencl_cache_key unit_key = verdict_key(device, &kernels[0], unit);
    if (!policy->is_forced && opencl_verdict_read(&unit_key) == OPENCL_VERDICT_FAILED) {
        demote(policy, device, pass, &unit_key, "they failed their probe in an earlier run");
        return 0;
    }
    if (!have_passed(device, pass)) {
        opencl_log(TTM_LOG_DEBUG, "probing matrix units: %s %s", kernels[0].name,
                   kernels[0].options);
        if (probe(reason, sizeof reason, proof->device_index, policy, pass) !=
            OPENCL_VERDICT_PASSED) {
            demote(policy, device, pass, &unit_key, reason);
            return 0;
        }
        for (int i = 0; i < pass->kernel_count; i++) {
            const opencl_cache_key key = verdict_key(device, &kernels[i], kernels[i].options);
            opencl_verdict_write(&key, OPENCL_VERDICT_PASSED);
        }
    }
    remember(proof, pass);
    return 1;
}
