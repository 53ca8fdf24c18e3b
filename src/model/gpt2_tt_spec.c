/* Reads texts such as "mlp=64; 0-5/attn=32": which matrices of which layers are TT-matrices, and of
 * what shape. The grammar is described at ttm_gpt2_config_apply_tt_spec. */
#include <ttm/gpt2_config.h>

#include "core/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What an entry may name, and the matrices that it stands for. */
typedef struct matrix_names {
    const char *name;
    unsigned matrices; /* bit per ttm_gpt2_matrix */
} matrix_names;

enum {
    C_ATTN = 1u << TTM_GPT2_ATTN_C_ATTN,
    ATTN_PROJ = 1u << TTM_GPT2_ATTN_C_PROJ,
    C_FC = 1u << TTM_GPT2_MLP_C_FC,
    MLP_PROJ = 1u << TTM_GPT2_MLP_C_PROJ
};

static const matrix_names names[] = {
    {"attn.c_attn", C_ATTN},
    {"c_attn", C_ATTN},
    {"attn.c_proj", ATTN_PROJ},
    {"mlp.c_fc", C_FC},
    {"c_fc", C_FC},
    {"mlp.c_proj", MLP_PROJ},
    {"attn", C_ATTN | ATTN_PROJ},
    {"mlp", C_FC | MLP_PROJ},
    {"all", C_ATTN | ATTN_PROJ | C_FC | MLP_PROJ},
};

/* One entry, taken apart. */
typedef struct spec_entry {
    const char *text; /* the whole entry, for messages */
    int64_t first_layer;
    int64_t last_layer;
    unsigned matrices;
    const char *shape;
} spec_entry;

/* Reads digits at *cursor and moves it behind them; false when there are none or too many. */
static bool read_number(int64_t *value, const char **cursor)
{
    const size_t digits = strspn(*cursor, "0123456789");
    if (digits == 0 || digits > 10) {
        return false;
    }
    *value = strtoll(*cursor, NULL, 10);
    *cursor += digits;
    return true;
}

static ttm_status read_layers(spec_entry *entry, const char **cursor, int64_t layers)
{
    entry->first_layer = 0;
    entry->last_layer = layers - 1;
    const char *slash = strchr(*cursor, '/');
    if (slash == NULL) {
        return TTM_OK;
    }
    bool understood = read_number(&entry->first_layer, cursor);
    entry->last_layer = entry->first_layer;
    if (understood && **cursor == '-') {
        (*cursor)++;
        understood = read_number(&entry->last_layer, cursor);
    }
    if (!understood || *cursor != slash) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "TT specification '%s': what stands before '/' must be a layer or a "
                        "range of layers such as 0-5",
                        entry->text);
    }
    if (entry->first_layer > entry->last_layer || entry->last_layer >= layers) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "TT specification '%s': the model has layers 0 to %" PRId64, entry->text,
                        layers - 1);
    }
    *cursor = slash + 1;
    return TTM_OK;
}

static ttm_status read_entry(spec_entry *entry, const char *text, int64_t layers)
{
    const char *cursor = text;
    entry->text = text;
    TTM_TRY(read_layers(entry, &cursor, layers));
    if (strcmp(cursor, "none") == 0) {
        entry->matrices = C_ATTN | ATTN_PROJ | C_FC | MLP_PROJ;
        entry->shape = cursor;
        return TTM_OK;
    }
    const size_t length = strcspn(cursor, "=");
    entry->matrices = 0;
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        if (strlen(names[index].name) == length &&
            strncmp(names[index].name, cursor, length) == 0) {
            entry->matrices = names[index].matrices;
        }
    }
    if (entry->matrices == 0 || cursor[length] != '=' || cursor[length + 1] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "TT specification '%s' isn't understood: write none or "
                        "[LAYERS/]MATRIX=SHAPE, MATRIX being mlp, c_fc, mlp.c_proj, attn, c_attn, "
                        "attn.c_proj or all, and SHAPE a rank, none, or modes and ranks such as "
                        "8x8,8x8,12x8,1x6:64",
                        text);
    }
    entry->shape = cursor + length + 1;
    return TTM_OK;
}

/* *shape = what an entry's right side says for one matrix; core_count 0 for dense. */
static ttm_status read_shape(ttm_tt_shape *shape, const spec_entry *entry,
                             const ttm_gpt2_config *config, ttm_gpt2_matrix matrix)
{
    int64_t in = 0;
    int64_t out = 0;
    int64_t rank = 0;
    const char *cursor = entry->shape;
    memset(shape, 0, sizeof *shape);
    if (strcmp(entry->shape, "none") == 0) {
        return TTM_OK;
    }
    ttm_gpt2_matrix_size(&in, &out, config, matrix);
    if (read_number(&rank, &cursor) && *cursor == '\0') {
        return ttm_tt_shape_from_rule(shape, in, out, rank);
    }
    TTM_TRY(ttm_tt_shape_parse(shape, entry->shape));
    if (matrix == TTM_GPT2_MLP_C_PROJ && (entry->matrices & C_FC) != 0) {
        ttm_tt_shape_transpose(shape, shape);
    }
    return ttm_tt_shape_validate(shape, in, out);
}

static ttm_status apply_entry(ttm_gpt2_config *config, const char *text)
{
    spec_entry entry = {0};
    TTM_TRY(read_entry(&entry, text, config->layers));
    for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
        if ((entry.matrices & (1u << matrix)) == 0) {
            continue;
        }
        ttm_tt_shape shape;
        const ttm_status status = read_shape(&shape, &entry, config, (ttm_gpt2_matrix)matrix);
        if (status != TTM_OK) {
            return ttm_fail_context(status, "TT specification '%s', %s", text,
                                    ttm_gpt2_matrix_name((ttm_gpt2_matrix)matrix));
        }
        for (int64_t layer = entry.first_layer; layer <= entry.last_layer; layer++) {
            TTM_TRY(ttm_gpt2_config_set_tt(config, layer, (ttm_gpt2_matrix)matrix,
                                           shape.core_count > 0 ? &shape : NULL));
        }
    }
    return TTM_OK;
}

ttm_status ttm_gpt2_config_apply_tt_spec(ttm_gpt2_config *config, const char *text)
{
    ttm_gpt2_config changed = TTM_GPT2_CONFIG_EMPTY;
    ttm_status status = TTM_OK;
    char *entries = strdup(text);
    if (entries == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a TT specification");
    }
    TTM_TRY_OUT(ttm_gpt2_config_copy(&changed, config));
    char *rest = NULL;
    for (char *entry = strtok_r(entries, " \t\n;", &rest); entry != NULL;
         entry = strtok_r(NULL, " \t\n;", &rest)) {
        TTM_TRY_OUT(apply_entry(&changed, entry));
    }
    ttm_gpt2_config_free(config);
    *config = changed;
    memset(&changed, 0, sizeof changed);
out:
    ttm_gpt2_config_free(&changed);
    free(entries);
    return status;
}
