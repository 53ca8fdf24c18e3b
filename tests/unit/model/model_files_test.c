/* config.json and weight files: what is written is read back, and what is wrong is refused by name.
 */
#include "model_testing.h"

#include <dirent.h>
#include <sys/stat.h>
#include <ttm/safetensors.h>
#include <unistd.h>

static char folder[96];

static int make_folder(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.64s/ttm-model-test-XXXXXX",
             parent != NULL ? parent : "/tmp");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *directory = opendir(folder);
    const struct dirent *entry = NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return rmdir(folder);
}

static void write_config(const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_configuration_survives_its_file(void **state)
{
    (void)state;
    const char *const specs[] = {"none", "mlp=2x4,2x4,4x4:3,2",
                                 "0/c_attn=4x4,4x12:3; 1/mlp=4; attn.c_proj=16x16"};
    for (size_t index = 0; index < sizeof specs / sizeof specs[0]; index++) {
        ttm_gpt2_config config = small_config(specs[index]);
        ttm_gpt2_config read = TTM_GPT2_CONFIG_EMPTY;
        config.mlp_bias = index == 1;
        config.layer_norm_epsilon = 1.0 / 3.0;
        config.embedding_dropout = 0.1;
        config.residual_dropout = 0.3;
        config.bos_token = 7;
        config.eos_token = index == 1 ? 18 : -1;
        assert_ok(ttm_gpt2_config_write(&config, folder));
        assert_ok(ttm_gpt2_config_read(&read, folder));
        assert_true(ttm_gpt2_config_equal(&config, &read));
        assert_int_equal(read.bos_token, config.bos_token);
        assert_int_equal(read.eos_token, config.eos_token);
        ttm_gpt2_config_free(&read);
        ttm_gpt2_config_free(&config);
    }
}

static void hugging_face_files_are_understood(void **state)
{
    (void)state;
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    write_config("{\"activation_function\":\"gelu_new\",\"architectures\":[\"GPT2LMHeadModel\"],"
                 "\"attn_pdrop\":0.1,\"bos_token_id\":50256,\"embd_pdrop\":0.2,"
                 "\"layer_norm_epsilon\":1e-05,\"model_type\":\"gpt2\",\"n_ctx\":1024,"
                 "\"n_embd\":768,\"n_head\":12,\"n_inner\":null,\"n_layer\":12,"
                 "\"n_positions\":1024,\"summary_type\":\"cls_index\",\"vocab_size\":50257}");
    assert_ok(ttm_gpt2_config_read(&config, folder));
    assert_int_equal(ttm_gpt2_parameter_count(&config), 124439808);
    assert_true(config.embedding_dropout == 0.2 && config.residual_dropout == 0.1);
    assert_true(config.mlp_bias);
    assert_int_equal(config.bos_token, 50256);
    assert_int_equal(config.eos_token, 50256);
    ttm_gpt2_config_free(&config);
}

/* Ours of before they were written, and Hugging Face's with GPT-2's tokens beside another
 * vocabulary. */
static void files_without_tokens_of_their_own_have_the_usual_ones_or_none(void **state)
{
    (void)state;
    static const struct {
        int64_t vocab_size;
        const char *members;
        int64_t bos;
        int64_t eos;
    } files[] = {
        {257, "", 256, 256},
        {50257, "", 50256, 50256},
        {50304, "", 50256, 50256},
        {1024, "", -1, -1},
        {257, ",\"bos_token_id\":50256,\"eos_token_id\":50256", -1, -1},
        {257, ",\"bos_token_id\":null,\"eos_token_id\":[3,4]", -1, 3},
        {257, ",\"bos_token_id\":-1,\"eos_token_id\":\"x\"", -1, -1},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
        char text[256];
        snprintf(text, sizeof text,
                 "{\"n_embd\":16,\"n_head\":2,\"n_layer\":2,\"n_positions\":12,"
                 "\"vocab_size\":%d%s}",
                 (int)files[k].vocab_size, files[k].members);
        write_config(text);
        assert_ok(ttm_gpt2_config_read(&config, folder));
        assert_int_equal(config.bos_token, files[k].bos);
        assert_int_equal(config.eos_token, files[k].eos);
        ttm_gpt2_config_free(&config);
    }
}

static void refuse_config(const char *changed_member, ttm_status status, const char *message)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    char text[1024];
    snprintf(text, sizeof text,
             "{\"n_embd\":16,\"n_layer\":2,\"n_positions\":12,\"vocab_size\":19%s%s}",
             changed_member[0] != '\0' ? "," : "", changed_member);
    write_config(text);
    assert_refused(ttm_gpt2_config_read(&config, folder), status, message);
    assert_non_null(strstr(ttm_error_message(), "config.json"));
    assert_null(config.tt);
}

static void settings_that_are_not_computed_are_refused(void **state)
{
    (void)state;
    refuse_config("\"n_head\":2,\"activation_function\":\"relu\"", TTM_ERROR_UNSUPPORTED,
                  "activation_function");
    refuse_config("\"n_head\":2,\"tie_word_embeddings\":false", TTM_ERROR_UNSUPPORTED,
                  "tie_word_embeddings");
    refuse_config("\"n_head\":2,\"scale_attn_by_inverse_layer_idx\":true", TTM_ERROR_UNSUPPORTED,
                  "scale_attn_by_inverse_layer_idx");
    refuse_config("\"n_head\":2,\"scale_attn_weights\":false", TTM_ERROR_UNSUPPORTED,
                  "scale_attn_weights");
    refuse_config("\"n_head\":2,\"add_cross_attention\":true", TTM_ERROR_UNSUPPORTED,
                  "add_cross_attention");
    refuse_config("\"n_head\":2,\"model_type\":\"llama\"", TTM_ERROR_UNSUPPORTED, "llama");
}

static void bad_configuration_files_are_refused(void **state)
{
    (void)state;
    const char *const tt = "\"n_head\":2,\"tt\":[{\"matrix\":\"mlp.c_fc\",\"in_modes\":[4,4],"
                           "\"out_modes\":[8,8],\"ranks\":%s%s}]";
    char text[256];
    refuse_config("", TTM_ERROR_FORMAT, "n_head");
    refuse_config("\"n_head\":\"two\"", TTM_ERROR_FORMAT, "n_head");
    refuse_config("\"n_head\":3", TTM_ERROR_SHAPE, "3 heads");
    refuse_config("\"n_head\":2,\"n_layer\":2", TTM_ERROR_FORMAT, "n_layer");
    refuse_config("\"n_head\":2,\"tt\":7", TTM_ERROR_FORMAT, "tt");
    refuse_config("\"n_head\":2,\"attn_pdrop\":1.5", TTM_ERROR_ARGUMENT, "attention dropout");
    snprintf(text, sizeof text, tt, "[1,1]", "");
    refuse_config(text, TTM_ERROR_FORMAT, "ranks");
    snprintf(text, sizeof text, tt, "[1,0,1]", "");
    refuse_config(text, TTM_ERROR_FORMAT, "ranks");
    snprintf(text, sizeof text, tt, "[1,3,2]", "");
    refuse_config(text, TTM_ERROR_SHAPE, "mlp.c_fc");
    snprintf(text, sizeof text, tt, "[1,3,1]", ",\"layers\":[0,2]");
    refuse_config(text, TTM_ERROR_FORMAT, "layers");
    snprintf(text, sizeof text, tt, "[1,3,1]", ",\"layers\":[1,0]");
    refuse_config(text, TTM_ERROR_FORMAT, "layers");
    snprintf(text, sizeof text, tt, "[1,1,1,1,1,1,1,1,1,1,1,1]", "");
    refuse_config(text, TTM_ERROR_FORMAT, "ranks");
}

static ttm_model *new_model(model_testing *testing, const char *tt, ttm_dtype dtype)
{
    ttm_gpt2_config config = small_config(tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
    ttm_model *model = NULL;
    options.dtype = dtype;
    init.seed = testing->random.seed;
    assert_ok(ttm_model_create(&model, testing->device, &config, &options));
    assert_ok(ttm_model_init_parameters(model, testing->stream, &init));
    ttm_gpt2_config_free(&config);
    return model;
}

static void weights_survive_their_file(void **state)
{
    model_testing *testing = *state;
    const ttm_dtype dtypes[] = {TTM_F32, TTM_F64};
    for (int index = 0; index < 2; index++) {
        ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
        ttm_model *model = new_model(testing, "0/mlp=2x4,2x4,4x4:3", dtypes[index]);
        ttm_model *loaded = NULL;
        char hashes[2][33];
        options.dtype = dtypes[index];
        assert_ok(ttm_model_save(model, testing->stream, folder));
        assert_ok(ttm_model_load(&loaded, testing->device, folder, &options));
        assert_true(ttm_gpt2_config_equal(ttm_model_config(model), ttm_model_config(loaded)));
        assert_ok(ttm_model_weights_hash(hashes[0], model, testing->stream));
        assert_ok(ttm_model_weights_hash(hashes[1], loaded, testing->stream));
        assert_string_equal(hashes[0], hashes[1]);
        ttm_model_destroy(loaded);
        ttm_model_destroy(model);
    }
}

/* What a doctored file does differently from the model's own. */
typedef struct change {
    const char *drop;      /* leaves this tensor out */
    const char *rename;    /* gives this one another name… */
    const char *new_name;  /* …this */
    const char *transpose; /* swaps the dimensions of this one */
    const char *poison;    /* puts a NaN into this one */
    const char *extra;     /* appends a tensor of this name: a copy of wte */
    bool extra_differs;
    bool strip_prefix;
} change;

/* Writes the model's weights, changed. */
static void write_changed(model_testing *testing, const ttm_model *model, const change *how)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(model);
    ttm_safetensors_entry *entries = calloc(table->count + 1, sizeof *entries);
    size_t(*shapes)[4] = calloc(table->count + 1, sizeof *shapes);
    float **values = calloc(table->count, sizeof *values);
    size_t count = 0;
    char path[160];
    for (size_t index = 0; index < table->count; index++) {
        const ttm_parameter *parameter = &table->items[index];
        const ttm_tensor tensor = ttm_model_parameter(model, parameter);
        const char *name = parameter->name + (how->strip_prefix ? strlen("transformer.") : 0);
        if (how->drop != NULL && strcmp(name, how->drop) == 0) {
            continue;
        }
        values[count] = read_tensor(testing, &tensor);
        for (int dim = 0; dim < parameter->rank; dim++) {
            shapes[count][dim] = (size_t)parameter->shape[dim];
        }
        if (how->transpose != NULL && strcmp(name, how->transpose) == 0) {
            shapes[count][0] = (size_t)parameter->shape[1];
            shapes[count][1] = (size_t)parameter->shape[0];
        }
        if (how->poison != NULL && strcmp(name, how->poison) == 0) {
            values[count][parameter->count / 2] = NAN;
        }
        if (how->rename != NULL && strcmp(name, how->rename) == 0) {
            name = how->new_name;
        }
        entries[count] = (ttm_safetensors_entry){.name = name,
                                                 .dtype = TTM_SAFETENSORS_F32,
                                                 .rank = (size_t)parameter->rank,
                                                 .shape = shapes[count],
                                                 .data = values[count]};
        count++;
    }
    const size_t own = count;
    float *extra = NULL;
    if (how->extra != NULL) {
        const ttm_tensor embedding = ttm_model_parameter(model, &table->items[0]);
        extra = read_tensor(testing, &embedding);
        extra[3] += how->extra_differs ? 1.0f : 0.0f;
        entries[count] = entries[0];
        entries[count].name = how->extra;
        entries[count++].data = extra;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_ok(ttm_safetensors_write(path, entries, count, NULL, 0));
    for (size_t index = 0; index < own; index++) {
        free(values[index]);
    }
    free(extra);
    free(values);
    free(shapes);
    free(entries);
}

static void accept_weights(model_testing *testing, const change *how)
{
    ttm_model *model = new_model(testing, "none", TTM_F32);
    ttm_model *loaded = NULL;
    char hashes[2][33];
    assert_ok(ttm_gpt2_config_write(ttm_model_config(model), folder));
    write_changed(testing, model, how);
    assert_ok(ttm_model_load(&loaded, testing->device, folder, NULL));
    assert_ok(ttm_model_weights_hash(hashes[0], model, testing->stream));
    assert_ok(ttm_model_weights_hash(hashes[1], loaded, testing->stream));
    assert_string_equal(hashes[0], hashes[1]);
    ttm_model_destroy(loaded);
    ttm_model_destroy(model);
}

static void refuse_weights(model_testing *testing, const change *how, ttm_status status,
                           const char *message)
{
    ttm_model *model = new_model(testing, "none", TTM_F32);
    ttm_model *loaded = NULL;
    assert_ok(ttm_gpt2_config_write(ttm_model_config(model), folder));
    write_changed(testing, model, how);
    assert_refused(ttm_model_load(&loaded, testing->device, folder, NULL), status, message);
    assert_null(loaded);
    ttm_model_destroy(model);
}

static void names_may_lack_the_prefix_and_masks_and_a_tied_head_are_allowed(void **state)
{
    const change plain = {.strip_prefix = true};
    const change mask = {.strip_prefix = true, .extra = "h.0.attn.bias"};
    const change masked = {.extra = "transformer.h.1.attn.masked_bias"};
    const change head = {.extra = "lm_head.weight"};
    accept_weights(*state, &plain);
    accept_weights(*state, &mask);
    accept_weights(*state, &masked);
    accept_weights(*state, &head);
}

static void bad_weights_are_refused_by_name(void **state)
{
    const char *const name = "transformer.h.1.mlp.c_fc.weight";
    const change missing = {.drop = name};
    const change renamed = {.rename = name, .new_name = "transformer.h.1.mlp.c_fc.wait"};
    const change transposed = {.transpose = name};
    const change poisoned = {.poison = name};
    const change extra = {.extra = "transformer.h.2.ln_1.weight"};
    const change untied = {.extra = "lm_head.weight", .extra_differs = true};
    refuse_weights(*state, &missing, TTM_ERROR_FORMAT, name);
    refuse_weights(*state, &renamed, TTM_ERROR_FORMAT, "c_fc.wait");
    refuse_weights(*state, &transposed, TTM_ERROR_FORMAT,
                   "[64, 16], but config.json makes it [16, 64]");
    refuse_weights(*state, &poisoned, TTM_ERROR_NUMERIC, "NaN at element 512");
    refuse_weights(*state, &extra, TTM_ERROR_FORMAT, "h.2.ln_1.weight");
    refuse_weights(*state, &untied, TTM_ERROR_UNSUPPORTED, "lm_head.weight differs");
}

static void missing_files_are_named(void **state)
{
    model_testing *testing = *state;
    ttm_model *loaded = NULL;
    char path[160];
    ttm_gpt2_config config = small_config("none");
    snprintf(path, sizeof path, "%s/nowhere", folder);
    assert_refused(ttm_model_load(&loaded, testing->device, path, NULL), TTM_ERROR_NOT_FOUND,
                   "nowhere");
    assert_ok(ttm_gpt2_config_write(&config, folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    assert_refused(ttm_model_load(&loaded, testing->device, folder, NULL), TTM_ERROR_NOT_FOUND,
                   folder);
    assert_null(loaded);
    ttm_gpt2_config_free(&config);
}

static int open_all(void **state)
{
    return open_device(state) != 0 || make_folder(state) != 0;
}

static int close_all(void **state)
{
    return remove_folder(state) != 0 || close_device(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_survives_its_file),
        cmocka_unit_test(hugging_face_files_are_understood),
        cmocka_unit_test(files_without_tokens_of_their_own_have_the_usual_ones_or_none),
        cmocka_unit_test(settings_that_are_not_computed_are_refused),
        cmocka_unit_test(bad_configuration_files_are_refused),
        cmocka_unit_test(weights_survive_their_file),
        cmocka_unit_test(names_may_lack_the_prefix_and_masks_and_a_tied_head_are_allowed),
        cmocka_unit_test(bad_weights_are_refused_by_name),
        cmocka_unit_test(missing_files_are_named),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
