/* Small kernels for tests of the interpreter. */
#include "ptx_try.h"
#include "ptx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT = 65536 };

static const char head[] = ".version %s\n"
                           ".target %s\n"
                           ".address_size 64\n"
                           "%s\n"
                           ".visible .entry k(.param .u64 .ptr .global .align 4 k_param_0)"
                           " %s\n{\n"
                           ".reg .pred %%p<10>;\n"
                           ".reg .b16 %%rs<20>;\n"
                           ".reg .b32 %%r<40>;\n"
                           ".reg .f32 %%f<140>;\n"
                           ".reg .b64 %%rd<30>;\n"
                           ".reg .f64 %%fd<30>;\n"
                           ".shared .align 1024 .b8 memory[%zu];\n"
                           "ld.param.u64 %%rd1, [k_param_0];\n"
                           "mov.u32 %%r1, %%tid.x;\n"
                           "mul.wide.u32 %%rd3, %%r1, 4;\n"
                           "add.s64 %%rd2, %%rd1, %%rd3;\n"
                           "mov.u32 %%r3, memory;\n"
                           "shl.b32 %%r4, %%r1, 2;\n"
                           "add.s32 %%r2, %%r3, %%r4;\n"
                           "setp.lt.u32 %%p1, %%r1, 32;\n"
                           "setp.eq.u32 %%p2, %%r1, 0;\n"
                           "%s\nret;\n}\n";

ptx_trial trial;
_Alignas(1024) uint32_t words[TRY_MOST_WORDS];
char message[TRY_MESSAGE];

int try_setup(void **state)
{
    (void)state;
    trial = (ptx_trial){.version = "8.0",
                        .target = "sm_90a",
                        .data = "",
                        .limits = "",
                        .groups = 1,
                        .group_rows = 1,
                        .items = 64,
                        .shared_bytes = 4096,
                        .word_count = 256};
    return 0;
}

size_t try_text(const char *body, char *text, size_t bytes)
{
    const int length = snprintf(text, bytes, head, trial.version, trial.target, trial.data,
                                trial.limits, trial.shared_bytes, body);
    assert_in_range(length, 1, bytes - 1);
    return (size_t)length;
}

int try_run(const char *body)
{
    static char text[TEXT];
    const size_t bytes = try_text(body, text, sizeof text);
    message[0] = '\0';
    ptx_module *module = ptx_module_new(text, bytes, message, sizeof message);
    if (module == NULL) {
        return -1;
    }
    void *arguments = words;
    const ptx_region region = {(uintptr_t)words,
                               (uintptr_t)words + trial.word_count * sizeof words[0]};
    const ptx_launch launch = {.kernel = ptx_module_kernel(module, 0),
                               .arguments = &arguments,
                               .groups = {trial.groups, trial.group_rows, 1},
                               .items = {trial.items, 1, 1},
                               .shared_bytes = trial.shared_bytes,
                               .regions = &region,
                               .region_count = 1,
                               .most_instructions = trial.most_instructions};
    const int status = ptx_run(&launch, message, sizeof message);
    ptx_module_free(module);
    return status;
}

void passes(const char *body)
{
    if (try_run(body) != 0) {
        fail_msg("%.1000s: %s", body, message);
    }
}

void is_refused(const char *body, const char *words_of_message)
{
    if (try_run(body) == 0) {
        fail_msg("%.1000s: passed", body);
    }
    if (strstr(message, words_of_message) == NULL) {
        fail_msg("%.1000s: no '%s' in '%s'", body, words_of_message, message);
    }
}

uint32_t random_word(void)
{
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}
