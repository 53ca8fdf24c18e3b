/* Presets, TT specifications and validation. */
#include "model_testing.h"

static int64_t count_of(const char *preset)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    assert_ok(ttm_gpt2_config_from_preset(&config, preset, NULL));
    const int64_t count = ttm_gpt2_parameter_count(&config);
    ttm_gpt2_config_free(&config);
    return count;
}

/* The totals of arXiv 2306.02697 and of OpenAI's models. */
static void presets_have_the_published_parameter_totals(void **state)
{
    (void)state;
    assert_int_equal(count_of("gpt2-small"), 124439808);
    assert_int_equal(count_of("gpt2-medium"), 354823168);
    assert_int_equal(count_of("gpt2-large"), 774030080);
    assert_int_equal(count_of("gpt2-xl"), 1557611200);
    assert_int_equal(count_of("gpt2-small-ttm16"), 68085504);
    assert_int_equal(count_of("gpt2-small-ttm32"), 71756544);
    assert_int_equal(count_of("gpt2-small-ttm64"), 83606784);
    assert_int_equal(count_of("gpt2-small-ttm80"), 107698944);
    assert_int_equal(count_of("gpt2-medium-ttm72"), 218303488);
}

static void the_parameter_table_counts_what_the_formula_counts(void **state)
{
    size_t preset_count = 0;
    const ttm_gpt2_preset *presets = ttm_gpt2_presets(&preset_count);
    (void)state;
    assert_true(preset_count >= 9);
    for (size_t index = 0; index < preset_count; index++) {
        ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
        ttm_parameter_table table;
        assert_ok(ttm_gpt2_config_from_preset(&config, presets[index].name, NULL));
        assert_ok(ttm_parameter_table_new(&table, &config, 0, 0));
        assert_int_equal(table.parameter_count, ttm_gpt2_parameter_count(&config));
        ttm_parameter_table_free(&table);
        ttm_gpt2_config_free(&config);
    }
}

static void published_modes_are_used(void **state)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    (void)state;
    assert_ok(ttm_gpt2_config_from_preset(&config, "gpt2-small-ttm64", NULL));
    assert_false(config.mlp_bias);
    assert_ok(
        ttm_tt_shape_print(text, sizeof text, ttm_gpt2_config_tt(&config, 11, TTM_GPT2_MLP_C_FC)));
    assert_string_equal(text, "8x8,8x8,12x8,1x6:64");
    assert_ok(
        ttm_tt_shape_print(text, sizeof text, ttm_gpt2_config_tt(&config, 0, TTM_GPT2_MLP_C_PROJ)));
    assert_string_equal(text, "8x8,8x8,8x12,6x1:64");
    assert_null(ttm_gpt2_config_tt(&config, 0, TTM_GPT2_ATTN_C_ATTN));
    ttm_gpt2_config_free(&config);
}

static void overrides_change_sizes_and_matrices(void **state)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_gpt2_overrides overrides = TTM_GPT2_OVERRIDES_INIT;
    (void)state;
    overrides.vocab_size = 300;
    overrides.layers = 3;
    overrides.width = 64;
    overrides.heads = 2;
    overrides.context = 99;
    overrides.dropout = 0.25;
    overrides.mlp_bias = 0;
    overrides.tt = "1/mlp=none 2/c_attn=8x8,8x24:5";
    assert_ok(ttm_gpt2_config_from_preset(&config, "gpt2-tiny-ttm16", &overrides));
    assert_int_equal(config.vocab_size, 300);
    assert_int_equal(config.layers, 3);
    assert_int_equal(config.inner_width, 256);
    assert_int_equal(config.context, 99);
    assert_true(config.attention_dropout == 0.25);
    assert_false(config.mlp_bias);
    assert_non_null(ttm_gpt2_config_tt(&config, 0, TTM_GPT2_MLP_C_FC));
    assert_null(ttm_gpt2_config_tt(&config, 1, TTM_GPT2_MLP_C_PROJ));
    assert_int_equal(ttm_gpt2_config_tt(&config, 2, TTM_GPT2_ATTN_C_ATTN)->ranks[1], 5);
    ttm_gpt2_config_free(&config);
}

static void unknown_presets_are_refused_with_a_list(void **state)
{
    const char *const names[] = {"gpt3",
                                 "gpt2-small-ttm",
                                 "gpt2-small-ttm0",
                                 "gpt2-small-ttm6x",
                                 "",
                                 "gpt2-small-",
                                 "gpt2-small-ttm99999999999999999999"};
    ttm_gpt2_config config;
    (void)state;
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        assert_refused(ttm_gpt2_config_from_preset(&config, names[index], NULL),
                       TTM_ERROR_NOT_FOUND, "gpt2-medium-ttm72");
        assert_null(config.tt);
    }
}

static void impossible_sizes_are_refused(void **state)
{
    ttm_gpt2_config config;
    (void)state;
    assert_refused(ttm_gpt2_config_init(&config, 10, 10, 1, 3, 16), TTM_ERROR_SHAPE,
                   "3 heads don't divide a width of 16");
    assert_refused(ttm_gpt2_config_init(&config, 0, 10, 1, 2, 16), TTM_ERROR_SHAPE, "vocabulary");
    assert_refused(ttm_gpt2_config_init(&config, 10, 10, 0, 2, 16), TTM_ERROR_SHAPE, "layers");
    assert_refused(ttm_gpt2_config_init(&config, 10, -1, 1, 2, 16), TTM_ERROR_SHAPE, "context");
    assert_refused(ttm_gpt2_config_init(&config, 10, 10, 1, 2, INT64_MAX / 2), TTM_ERROR_SHAPE,
                   "too large");
    assert_refused(ttm_gpt2_config_init(&config, INT32_MAX, 10, 65536, 1, INT32_MAX / 4),
                   TTM_ERROR_SHAPE, "addressed");
    assert_null(config.tt);
}

static void bad_settings_are_refused(void **state)
{
    ttm_gpt2_config config = small_config("none");
    (void)state;
    config.residual_dropout = 1.0;
    assert_refused(ttm_gpt2_config_validate(&config), TTM_ERROR_ARGUMENT, "residual dropout");
    config.residual_dropout = NAN;
    assert_refused(ttm_gpt2_config_validate(&config), TTM_ERROR_ARGUMENT, "residual dropout");
    config.residual_dropout = 0.0;
    config.layer_norm_epsilon = 0.0;
    assert_refused(ttm_gpt2_config_validate(&config), TTM_ERROR_ARGUMENT, "epsilon");
    ttm_gpt2_config_free(&config);
    assert_refused(ttm_gpt2_config_validate(&config), TTM_ERROR_ARGUMENT, "empty");
}

static void bad_tt_specifications_are_refused_and_change_nothing(void **state)
{
    const char *const texts[] = {
        "c_proj=4", "mlp",           "mlp=",           "mlp=4x4,4x4:3",  "mlp=4x4,4x16:",
        "2/mlp=4",  "1-0/mlp=4",     "x/mlp=4",        "attn=4x4,4x4:3", "=4",
        "/mlp=4",   "-1/mlp=4",      "all=2x2:3",      "c_fc=none2",     "0-/c_fc=4",
        "c_fc=0",   "mlp=none;c_fc", "c_fc=4x4,4x16:0"};
    ttm_gpt2_config config = small_config("c_fc=4x4,4x16:3");
    ttm_gpt2_config before = TTM_GPT2_CONFIG_EMPTY;
    (void)state;
    assert_ok(ttm_gpt2_config_copy(&before, &config));
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        if (ttm_gpt2_config_apply_tt_spec(&config, texts[index]) == TTM_OK) {
            fail_msg("'%s' was accepted", texts[index]);
        }
        assert_true(ttm_gpt2_config_equal(&before, &config));
    }
    assert_refused(ttm_gpt2_config_apply_tt_spec(&config, "c_fc=4x4,4x4:3"), TTM_ERROR_SHAPE,
                   "mlp.c_fc");
    ttm_gpt2_config_free(&before);
    ttm_gpt2_config_free(&config);
}

/* Cores of equal layers must be one strided tensor, and nothing may overlap. */
static void tensors_are_aligned_and_layers_are_equidistant(void **state)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_parameter_table table;
    (void)state;
    assert_ok(ttm_gpt2_config_from_preset(&config, "gpt2-small-ttm64", NULL));
    assert_ok(ttm_parameter_table_new(&table, &config, 128, 0));
    int64_t end = 0;
    for (size_t index = 0; index < table.count; index++) {
        assert_int_equal(table.items[index].offset % 128, 0);
        assert_true(table.items[index].offset >= end);
        end = table.items[index].offset + table.items[index].count;
    }
    assert_true(end <= table.buffer_count);
    const char *const format = "h.%d.mlp.c_fc.cores.2";
    int64_t offsets[12] = {0};
    for (int layer = 0; layer < 12; layer++) {
        char name[64];
        snprintf(name, sizeof name, format, layer);
        const ttm_parameter *core = ttm_parameter_table_find(&table, name);
        assert_non_null(core);
        assert_int_equal(core->kind, TTM_PARAMETER_CORE);
        assert_int_equal(core->cores, 4);
        assert_true(core->weight_decay);
        offsets[layer] = core->offset;
        assert_int_equal(offsets[layer] - offsets[0], layer * (offsets[1] - offsets[0]));
    }
    assert_null(ttm_parameter_table_find(&table, "transformer.h.12.ln_1.weight"));
    assert_false(ttm_parameter_table_find(&table, "transformer.ln_f.weight")->weight_decay);
    ttm_parameter_table_free(&table);
    assert_refused(ttm_parameter_table_new(&table, &config, 48, 0), TTM_ERROR_ARGUMENT, "48");
    ttm_gpt2_config_free(&config);
}

/* Spans lie one behind the other, hold whole parameters and no more than they may, and only what
 * belongs together lies in a larger one. */
static void spans_hold_whole_parameters(void **state)
{
    static const struct {
        const char *preset;
        int64_t most;
        size_t count; /* 0: any */
    } cases[] = {{"gpt2-small", 0, 4},     {"gpt2-small-ttm64", 0, 0}, {"gpt2-mini", 0, 1},
                 {"gpt2-mini", 1, 0},      {"gpt2-mini", 300000, 0},   {"gpt2-mini-ttm32", 5000, 0},
                 {"gpt2-mini-ttm32", 1, 0}};
    (void)state;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        const int64_t most = cases[index].most > 0 ? cases[index].most : TTM_SPAN_ELEMENTS;
        ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
        ttm_parameter_table table;
        assert_ok(ttm_gpt2_config_from_preset(&config, cases[index].preset, NULL));
        assert_ok(ttm_parameter_table_new(&table, &config, 0, cases[index].most));
        int64_t end = 0;
        size_t item = 0;
        for (size_t span = 0; span < table.span_count; span++) {
            const size_t first = item;
            assert_int_equal(table.spans[span].offset, end);
            end += table.spans[span].count;
            for (; item < table.count && table.items[item].span == (int32_t)span; item++) {
                assert_true(table.items[item].offset >= table.spans[span].offset);
                assert_true(table.items[item].offset + table.items[item].count <= end);
            }
            assert_true(item > first);
            const ttm_parameter_kind kind = table.items[first].kind;
            assert_true(table.spans[span].count <= most || item == first + 1 ||
                        kind == TTM_PARAMETER_NORM || kind == TTM_PARAMETER_CORE);
        }
        assert_int_equal(item, table.count);
        assert_int_equal(end, table.buffer_count);
        if (cases[index].count > 0) {
            assert_int_equal(table.span_count, cases[index].count);
        }
        ttm_parameter_table_free(&table);
        ttm_gpt2_config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_have_the_published_parameter_totals),
        cmocka_unit_test(the_parameter_table_counts_what_the_formula_counts),
        cmocka_unit_test(published_modes_are_used),
        cmocka_unit_test(overrides_change_sizes_and_matrices),
        cmocka_unit_test(unknown_presets_are_refused_with_a_list),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(bad_tt_specifications_are_refused_and_change_nothing),
        cmocka_unit_test(tensors_are_aligned_and_layers_are_equidistant),
        cmocka_unit_test(spans_hold_whole_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
