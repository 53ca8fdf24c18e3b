/* Named configurations: OpenAI's four sizes, the five published TTM models (arXiv 2306.02697), and
 * small ones that train in minutes on a laptop. */
#include <ttm/gpt2_config.h>

#include "core/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dense size. */
typedef struct gpt2_size {
    const char *name;
    int64_t vocab_size;
    int64_t context;
    int64_t layers;
    int64_t heads;
    int64_t width;
} gpt2_size;

static const gpt2_size sizes[] = {
    {"gpt2-small", 50257, 1024, 12, 12, 768},  {"gpt2-medium", 50257, 1024, 24, 16, 1024},
    {"gpt2-large", 50257, 1024, 36, 20, 1280}, {"gpt2-xl", 50257, 1024, 48, 25, 1600},
    {"gpt2-tiny", 257, 256, 4, 4, 128},        {"gpt2-mini", 257, 512, 6, 8, 256},
};

/* The published models below rank 80 have no biases in the MLP. Any other NAME-ttmRANK has them. */
static const char *const without_mlp_bias[] = {"gpt2-small-ttm16", "gpt2-small-ttm32",
                                               "gpt2-small-ttm64"};

static const ttm_gpt2_preset presets[] = {
    {"gpt2-small", "12 layers, width 768, 12 heads, context 1024: 124.4 M parameters"},
    {"gpt2-medium", "24 layers, width 1024, 16 heads, context 1024: 354.8 M parameters"},
    {"gpt2-large", "36 layers, width 1280, 20 heads, context 1024: 774.0 M parameters"},
    {"gpt2-xl", "48 layers, width 1600, 25 heads, context 1024: 1557.6 M parameters"},
    {"gpt2-small-ttm16", "gpt2-small, MLP as TT-matrices of rank 16: 68.1 M parameters"},
    {"gpt2-small-ttm32", "gpt2-small, MLP as TT-matrices of rank 32: 71.8 M parameters"},
    {"gpt2-small-ttm64", "gpt2-small, MLP as TT-matrices of rank 64: 83.6 M parameters"},
    {"gpt2-small-ttm80", "gpt2-small, MLP as TT-matrices of rank 80: 107.7 M parameters"},
    {"gpt2-medium-ttm72", "gpt2-medium, MLP as TT-matrices of rank 72: 218.3 M parameters"},
    {"gpt2-mini", "6 layers, width 256, 8 heads, context 512, bytes: for a CPU, in an hour"},
    {"gpt2-mini-ttm32", "gpt2-mini, MLP as TT-matrices of rank 32"},
    {"gpt2-tiny", "4 layers, width 128, 4 heads, context 256, bytes: for a CPU, in minutes"},
    {"gpt2-tiny-ttm16", "gpt2-tiny, MLP as TT-matrices of rank 16"},
};

const ttm_gpt2_preset *ttm_gpt2_presets(size_t *count)
{
    *count = sizeof presets / sizeof presets[0];
    return presets;
}

static ttm_status unknown_preset(const char *name)
{
    char list[512] = "";
    size_t used = 0;
    for (size_t index = 0; index < sizeof presets / sizeof presets[0]; index++) {
        const int length = snprintf(list + used, sizeof list - used, "%s%s", index > 0 ? ", " : "",
                                    presets[index].name);
        used += (size_t)length;
    }
    return ttm_fail(TTM_ERROR_NOT_FOUND,
                    "there is no preset '%s'; there are %s, and NAME-ttmRANK for any rank", name,
                    list);
}

/* *size and *rank (0: dense) = what a preset's name says. */
static ttm_status parse_name(const gpt2_size **size, int64_t *rank, const char *name)
{
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        const size_t length = strlen(sizes[index].name);
        if (strncmp(name, sizes[index].name, length) != 0) {
            continue;
        }
        const char *rest = name + length;
        *size = &sizes[index];
        *rank = 0;
        if (rest[0] == '\0') {
            return TTM_OK;
        }
        if (strncmp(rest, "-ttm", 4) == 0 && rest[4] >= '1' && rest[4] <= '9' &&
            strlen(rest + 4) <= 9 && strspn(rest + 4, "0123456789") == strlen(rest + 4)) {
            *rank = strtoll(rest + 4, NULL, 10);
            return TTM_OK;
        }
    }
    return unknown_preset(name);
}

static int64_t changed(int64_t value, int64_t override)
{
    return override != 0 ? override : value;
}

static ttm_status set_sizes(ttm_gpt2_config *config, const gpt2_size *size,
                            const ttm_gpt2_overrides *overrides)
{
    TTM_TRY(ttm_gpt2_config_init(
        config, changed(size->vocab_size, overrides->vocab_size),
        changed(size->context, overrides->context), changed(size->layers, overrides->layers),
        changed(size->heads, overrides->heads), changed(size->width, overrides->width)));
    if (config->vocab_size == size->vocab_size) {
        /* The last token of GPT-2's vocabulary and of the one of bytes. */
        config->bos_token = size->vocab_size - 1;
        config->eos_token = size->vocab_size - 1;
    }
    config->inner_width = changed(config->inner_width, overrides->inner_width);
    if (!(overrides->dropout < 0.0)) {
        config->embedding_dropout = overrides->dropout;
        config->attention_dropout = overrides->dropout;
        config->residual_dropout = overrides->dropout;
    }
    return ttm_gpt2_config_validate(config);
}

static ttm_status set_matrices(ttm_gpt2_config *config, const char *name, int64_t rank,
                               const ttm_gpt2_overrides *overrides)
{
    if (rank > 0) {
        char spec[32];
        snprintf(spec, sizeof spec, "mlp=%" PRId64, rank);
        TTM_TRY(ttm_gpt2_config_apply_tt_spec(config, spec));
    }
    if (overrides->tt != NULL) {
        TTM_TRY(ttm_gpt2_config_apply_tt_spec(config, overrides->tt));
    }
    for (size_t index = 0; index < sizeof without_mlp_bias / sizeof without_mlp_bias[0]; index++) {
        if (strcmp(name, without_mlp_bias[index]) == 0) {
            config->mlp_bias = false;
        }
    }
    if (overrides->mlp_bias >= 0) {
        config->mlp_bias = overrides->mlp_bias != 0;
    }
    return TTM_OK;
}

ttm_status ttm_gpt2_config_from_preset(ttm_gpt2_config *config, const char *name,
                                       const ttm_gpt2_overrides *overrides)
{
    const ttm_gpt2_overrides nothing = TTM_GPT2_OVERRIDES_INIT;
    const ttm_gpt2_config empty = TTM_GPT2_CONFIG_EMPTY;
    const gpt2_size *size = NULL;
    int64_t rank = 0;
    *config = empty;
    if (overrides == NULL) {
        overrides = &nothing;
    }
    TTM_TRY(parse_name(&size, &rank, name));
    ttm_status status = set_sizes(config, size, overrides);
    if (status == TTM_OK) {
        status = set_matrices(config, name, rank, overrides);
    }
    if (status != TTM_OK) {
        ttm_gpt2_config_free(config);
        return ttm_fail_context(status, "preset '%s'", name);
    }
    return TTM_OK;
}
