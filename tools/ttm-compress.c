/* ttm-compress: dense matrices of a trained model become TT-matrices, TT-matrices get lower ranks,
 * or become dense again. */
#include "common/tool_json.h"
#include "common/tool_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compress.h>

/* What the command line says. */
typedef struct compress_arguments {
    tool_program program;
    const char *model;
    const char *out;
    const char *tokenizer;
    int64_t rank;
    double budget;
    tool_list tt;
    bool clip;
    bool dense;
    double error;
    const char *matrices;
    bool quiet;
} compress_arguments;

/* What has been done, for the report. */
typedef struct compress_work {
    const compress_arguments *arguments;
    tool_model opened;
    ttm_model *compressed;
    ttm_compressed_matrix *changed; /* [count] */
    size_t count;
    size_t capacity;
} compress_work;

/* ---- What is to become of each matrix ---- */

/* --matrices counts for --rank and --budget; all else is of whatever there is. */
static bool is_chosen(const compress_arguments *arguments, int matrix)
{
    if (!tool_given(&arguments->program, "rank") && !tool_given(&arguments->program, "budget")) {
        return true;
    }
    const bool attention = matrix == TTM_GPT2_ATTN_C_ATTN || matrix == TTM_GPT2_ATTN_C_PROJ;
    return strcmp(arguments->matrices, "all") == 0 ||
           attention == (strcmp(arguments->matrices, "attn") == 0);
}

/* *shape = what a dense matrix becomes. */
static ttm_status shape_of_dense(ttm_tt_shape *shape, const compress_arguments *arguments,
                                 int64_t in, int64_t out)
{
    if (tool_given(&arguments->program, "rank")) {
        return ttm_tt_shape_from_rule(shape, in, out, arguments->rank);
    }
    return ttm_tt_shape_from_budget(shape, in, out, 0,
                                    (int64_t)(arguments->budget * (double)in * (double)out));
}

/* A TT-matrix keeps its modes, unless a budget asks for others. */
static ttm_status aim(ttm_gpt2_config *target, const compress_arguments *arguments, int64_t layer,
                      ttm_gpt2_matrix matrix)
{
    const ttm_tt_shape *before = ttm_gpt2_config_tt(target, layer, matrix);
    ttm_tt_shape shape;
    int64_t in = 0;
    int64_t out = 0;
    ttm_gpt2_matrix_size(&in, &out, target, matrix);
    if (arguments->dense) {
        return ttm_gpt2_config_set_tt(target, layer, matrix, NULL);
    }
    if (arguments->clip) {
        return TTM_OK;
    }
    if (before != NULL && tool_given(&arguments->program, "rank")) {
        shape = *before;
        for (int32_t bond = 1; bond < shape.core_count; bond++) {
            shape.ranks[bond] =
                shape.ranks[bond] < arguments->rank ? shape.ranks[bond] : arguments->rank;
        }
        return ttm_gpt2_config_set_tt(target, layer, matrix, &shape);
    }
    const ttm_status status = shape_of_dense(&shape, arguments, in, out);
    return status == TTM_OK ? ttm_gpt2_config_set_tt(target, layer, matrix, &shape) : status;
}

static ttm_status aim_all(ttm_gpt2_config *target, const compress_arguments *arguments)
{
    for (size_t i = 0; i < arguments->tt.count; i++) {
        const ttm_status status = ttm_gpt2_config_apply_tt_spec(target, arguments->tt.items[i]);
        if (status != TTM_OK) {
            return status;
        }
    }
    for (int64_t layer = 0; layer < target->layers; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            if (arguments->tt.count > 0 || !is_chosen(arguments, matrix)) {
                continue;
            }
            const ttm_status status = aim(target, arguments, layer, (ttm_gpt2_matrix)matrix);
            if (status != TTM_OK) {
                return status;
            }
        }
    }
    return TTM_OK;
}

static unsigned chosen_matrices(const compress_arguments *arguments)
{
    unsigned chosen = 0;
    for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
        chosen |= (unsigned)is_chosen(arguments, matrix) << matrix;
    }
    return chosen;
}

static bool has_tt(const ttm_gpt2_config *config)
{
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            if (ttm_gpt2_config_tt(config, layer, (ttm_gpt2_matrix)matrix) != NULL) {
                return true;
            }
        }
    }
    return false;
}

/* ---- The result ---- */

static void tell(void *user, const ttm_compressed_matrix *matrix)
{
    compress_work *work = user;
    char shape[TTM_TT_SHAPE_TEXT_BYTES] = "dense";
    if (work->count < work->capacity) {
        work->changed[work->count++] = *matrix;
    }
    if (work->arguments->program.json || work->arguments->quiet) {
        return;
    }
    if (matrix->shape.core_count > 0) {
        (void)!ttm_tt_shape_print(shape, sizeof shape, &matrix->shape);
    }
    printf("layer %-3" PRId64 " %-12s %-28s %9" PRId64 " of %9" PRId64 "  error %.4g\n",
           matrix->layer, ttm_gpt2_matrix_name(matrix->matrix), shape, matrix->elements,
           matrix->elements_before, matrix->relative_error);
    fflush(stdout);
}

static void write_matrix(ttm_json_writer *writer, const ttm_compressed_matrix *matrix)
{
    char shape[TTM_TT_SHAPE_TEXT_BYTES] = "dense";
    if (matrix->shape.core_count > 0) {
        (void)!ttm_tt_shape_print(shape, sizeof shape, &matrix->shape);
    }
    ttm_json_begin_object(writer);
    ttm_json_member_int(writer, "layer", matrix->layer);
    ttm_json_member_string(writer, "matrix", ttm_gpt2_matrix_name(matrix->matrix));
    ttm_json_member_string(writer, "shape", shape);
    ttm_json_member_int(writer, "parameters_before", matrix->elements_before);
    ttm_json_member_int(writer, "parameters", matrix->elements);
    ttm_json_member_double(writer, "relative_error", matrix->relative_error);
    ttm_json_end_object(writer);
}

static void write_report(ttm_json_writer *writer, const void *result)
{
    const compress_work *work = result;
    const ttm_gpt2_config *before = ttm_model_config(work->opened.model);
    const ttm_gpt2_config *after = ttm_model_config(work->compressed);
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "model", work->arguments->model);
    ttm_json_member_string(writer, "out", work->arguments->out);
    ttm_json_member_int(writer, "parameters_before", ttm_gpt2_parameter_count(before));
    ttm_json_member_int(writer, "parameters", ttm_gpt2_parameter_count(after));
    ttm_json_key(writer, "tt");
    ttm_gpt2_config_write_tt(writer, after);
    ttm_json_key(writer, "matrices");
    ttm_json_begin_array(writer);
    for (size_t i = 0; i < work->count; i++) {
        write_matrix(writer, &work->changed[i]);
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
}

/* A rank that is too high for a matrix makes it larger: nobody wants that. */
static void warn_of_growth(const compress_work *work)
{
    size_t larger = 0;
    for (size_t i = 0; i < work->count; i++) {
        const ttm_tt_shape *shape = &work->changed[i].shape;
        larger += shape->core_count > 0 &&
                  work->changed[i].elements >= ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape);
    }
    if (larger > 0) {
        fprintf(stderr,
                "ttm-compress: warning: %zu of %zu matrices have as many parameters as dense ones "
                "or more: a lower rank or --budget makes them smaller\n",
                larger, work->count);
    }
}

static int print_result(const compress_work *work)
{
    warn_of_growth(work);
    if (work->arguments->program.json) {
        return tool_print_json(TTM_JSON_INDENTED, write_report, work);
    }
    const int64_t before = ttm_gpt2_parameter_count(ttm_model_config(work->opened.model));
    const int64_t after = ttm_gpt2_parameter_count(ttm_model_config(work->compressed));
    printf("%" PRId64 " of %" PRId64 " parameters (%.1f %%); model in %s\n", after, before,
           100.0 * (double)after / (double)before, work->arguments->out);
    return tool_done();
}

/* ---- Running ---- */

static int compress(compress_work *work)
{
    const compress_arguments *arguments = work->arguments;
    const ttm_gpt2_config *config = ttm_model_config(work->opened.model);
    ttm_gpt2_config target = TTM_GPT2_CONFIG_EMPTY;
    ttm_compress_options options = TTM_COMPRESS_OPTIONS_INIT;
    if ((arguments->clip || arguments->dense) && !has_tt(config)) {
        return tool_fail_text("'%s' has no TT-matrices: there is nothing to %s", arguments->model,
                              arguments->clip ? "clip" : "make dense");
    }
    work->capacity = (size_t)config->layers * TTM_GPT2_MATRIX_COUNT;
    work->changed = calloc(work->capacity, sizeof *work->changed);
    if (work->changed == NULL) {
        return tool_fail_text("out of memory");
    }
    ttm_status status = ttm_gpt2_config_copy(&target, config);
    if (status == TTM_OK) {
        status = aim_all(&target, arguments);
    }
    if (status == TTM_OK) {
        options.target = &target;
        options.matrices = chosen_matrices(arguments);
        options.relative_error = arguments->error;
        options.progress = tell;
        options.user = work;
        status = ttm_model_compress(&work->compressed, work->opened.model, work->opened.stream,
                                    &options);
    }
    ttm_gpt2_config_free(&target);
    return status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
}

static int run(const compress_arguments *arguments)
{
    compress_work work = {.arguments = arguments};
    const ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    /* What can't be made is told before minutes of work, not after them. */
    ttm_status status = ttm_model_check_folder(arguments->out);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    int code = tool_model_open(&work.opened, &arguments->program, arguments->model,
                               arguments->tokenizer, "fp32", &options);
    if (code == TOOL_GO_ON) {
        code = compress(&work);
    }
    if (code == TOOL_GO_ON) {
        status = ttm_model_save_folder(work.compressed, work.opened.stream, work.opened.tokenizer,
                                       arguments->out);
        code = status == TTM_OK ? print_result(&work) : tool_fail(status);
    }
    ttm_model_destroy(work.compressed);
    tool_model_close(&work.opened);
    free(work.changed);
    return code;
}

/* One thing at a time. */
static int check_usage(const compress_arguments *arguments)
{
    const tool_program *program = &arguments->program;
    const int ways = (int)tool_given(program, "rank") + (int)tool_given(program, "budget") +
                     (int)(arguments->tt.count > 0) + (int)arguments->clip + (int)arguments->dense;
    if (ways != 1) {
        return tool_usage_error("give one of --rank, --budget, --tt, --clip and --dense");
    }
    return TOOL_GO_ON;
}

static const char description[] =
    "Makes a smaller model of a trained one, without training: each matrix by itself is replaced "
    "by the nearest that fits (TT-SVD), so that the model gets worse by as much as its matrices "
    "lose. How much that is, ttm-eval tells; ttm-train --model goes on from there.\n\n"
    "--rank and --budget make TT-matrices of dense ones: by the published rule for a rank, or the "
    "shape with the most freedom that has so small a part of the dense matrix's parameters. "
    "Matrices that are TT already keep their modes with --rank. --clip takes away what the bonds "
    "of TT-matrices can't carry, which changes nothing but their size. --dense builds dense "
    "matrices, for programs that know no others.\n\n"
    "Ranks are clipped in any case. Errors are those of the matrix, |W - W'| / |W| in the "
    "Frobenius "
    "norm.";

int main(int argc, char **argv)
{
    static const tool_example examples[] = {
        {"ttm-compress --model gpt2 --out gpt2-ttm64 --rank 64",
         "the MLP matrices as TT-matrices of rank 64"},
        {"ttm-compress --model gpt2 --out small --budget 0.5 --matrices all",
         "half of the parameters of every matrix"},
        {"ttm-compress --model gpt2 --out mixed --tt 0-5/mlp=80 6-11/c_fc=32",
         "other shapes by layer"},
        {"ttm-compress --model run --out clipped --clip", "the same model with fewer parameters"},
        {"ttm-compress --model run --out for-transformers --dense",
         "a model that Hugging Face's library loads"},
    };
    compress_arguments arguments = {.matrices = "mlp"};
    compress_arguments *a = &arguments;
    tool_option options[] = {
        TOOL_GROUP("Model"),
        TOOL_STRING("model", 'm', "DIR", &a->model,
                    "folder with config.json and model.safetensors, or of a training run",
                    TOOL_REQUIRED),
        TOOL_STRING("out", 'o', "DIR", &a->out, "new folder for the compressed model",
                    TOOL_REQUIRED),
        TOOL_STRING("tokenizer", 0, "bytes|FILE|DIR", &a->tokenizer,
                    "tokenizer to put beside it (default: the model's own, if it has one)"),
        TOOL_GROUP("What becomes of it: one of"),
        TOOL_INT("rank", 0, "R", &a->rank, 1, 1 << 24, "TT-matrices of this rank",
                 TOOL_SHOW_DEFAULT("")),
        TOOL_DOUBLE("budget", 0, "FRACTION", &a->budget, 1e-9, 1.0,
                    "TT-matrices with this part of each dense matrix's parameters",
                    TOOL_SHOW_DEFAULT("")),
        TOOL_LIST("tt", 0, "SPEC", &a->tt,
                  "shapes by layer and matrix, as for ttm-train: [LAYERS/]MATRIX=SHAPE"),
        TOOL_FLAG("clip", 0, &a->clip, "TT-matrices without what their ranks waste: exact"),
        TOOL_FLAG("dense", 0, &a->dense, "dense matrices: exact"),
        TOOL_GROUP("How"),
        TOOL_CHOICE("matrices", 0, "mlp|attn|all", &a->matrices, "matrices to compress",
                    TOOL_NEEDS("--rank|--budget")),
        TOOL_DOUBLE("error", 0, "E", &a->error, 0.0, 1.0,
                    "lower ranks further, where a matrix then loses no more than this",
                    TOOL_SHOW_DEFAULT("0: the ranks as given"),
                    TOOL_NEEDS("--rank|--budget|--clip")),
        TOOL_FLAG("quiet", 'q', &a->quiet, "only the last line"),
    };
    a->program = (tool_program){
        .name = "ttm-compress",
        .summary = "make TT-matrices of a trained model's matrices, or dense ones again",
        .usage = "--model DIR --out DIR --rank R|--budget FRACTION|--clip|--dense [option…]",
        .description = description,
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        TOOL_TABLE(options, examples),
    };
    int code = tool_parse(&a->program, argc, argv);
    if (code == TOOL_GO_ON) {
        code = check_usage(a);
    }
    if (code == TOOL_GO_ON) {
        code = run(a);
    }
    tool_free(&a->program);
    return code;
}
