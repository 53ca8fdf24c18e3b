/* ttm-eval: perplexity of a model on text or tokens, or the logits of a list of tokens. */
#include "common/tool_dtype.h"
#include "common/tool_json.h"
#include "common/tool_model.h"
#include "common/tool_profile.h"
#include "eval/logits.h"
#include "eval/perplexity.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* Rows that a batch of windows has at least by default, to keep products large. */
enum { DEFAULT_ROWS = 4096 };

/* What the command line says. */
typedef struct eval_arguments {
    tool_program program;
    const char *model;
    tool_list data;
    const char *tokenizer;
    int64_t block;
    int64_t stride;
    int64_t batch;
    int64_t max_tokens;
    const char *tokens;
    const char *logits;
    const char *execution;
    const char *dtype;
    bool profile;
} eval_arguments;

/* What is printed besides the result. */
typedef struct eval_report {
    const eval_arguments *arguments;
    const tool_model *opened;
    const ttm_dataset *dataset;
    perplexity_settings settings;
    perplexity_result result;
    char weights_hash[33];
} eval_report;

static const char *tokenizer_hash(const tool_model *opened)
{
    return opened->tokenizer != NULL ? ttm_tokenizer_hash(opened->tokenizer) : NULL;
}

static void write_result(ttm_json_writer *writer, const void *measured)
{
    const eval_report *report = measured;
    const perplexity_result *result = &report->result;
    const ttm_gpt2_config *config = ttm_model_config(report->opened->model);
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "model", report->arguments->model);
    ttm_json_member_int(writer, "parameters", ttm_gpt2_parameter_count(config));
    ttm_json_member_double(writer, "loss", result->loss);
    ttm_json_member_double(writer, "perplexity", result->perplexity);
    ttm_json_member_double(writer, "bits_per_byte", result->bits_per_byte);
    ttm_json_member_int(writer, "tokens", result->tokens);
    ttm_json_key(writer, "text_bytes");
    if (result->text_bytes > 0) {
        ttm_json_write_uint(writer, result->text_bytes);
    } else {
        ttm_json_write_null(writer);
    }
    ttm_json_member_int(writer, "block", report->settings.block);
    ttm_json_member_int(writer, "stride", report->settings.stride);
    ttm_json_member_string(writer, "data_hash", ttm_dataset_hash(report->dataset));
    ttm_json_member_string(writer, "tokenizer_hash", tokenizer_hash(report->opened));
    ttm_json_member_string(writer, "weights_hash", report->weights_hash);
    ttm_json_member_string(writer, "backend", ttm_device_backend_name(report->opened->device));
    ttm_json_member_string(writer, "device", ttm_device_get_info(report->opened->device)->name);
    ttm_json_member_double(writer, "seconds", result->seconds);
    ttm_json_end_object(writer);
}

static int print_text(const eval_report *report)
{
    const perplexity_result *result = &report->result;
    printf("loss           %.5f nats per token\n", result->loss);
    printf("perplexity     %.4f\n", result->perplexity);
    if (isfinite(result->bits_per_byte)) {
        printf("bits per byte  %.5f\n", result->bits_per_byte);
    }
    printf("tokens         %" PRId64 " (block %" PRId64 ", stride %" PRId64 ")\n", result->tokens,
           report->settings.block, report->settings.stride);
    if (tokenizer_hash(report->opened) != NULL) {
        printf("tokenizer      %s\n", tokenizer_hash(report->opened));
    }
    printf("weights        %s\n", report->weights_hash);
    printf("time           %.1f s, %.0f tokens/s\n", result->seconds,
           (double)result->tokens / fmax(result->seconds, 1e-9));
    return tool_done();
}

/* Windows no longer than the data, and strides no longer than windows. */
static int choose_settings(eval_report *report)
{
    const eval_arguments *arguments = report->arguments;
    const int64_t context = ttm_model_config(report->opened->model)->context;
    const uint64_t available = ttm_dataset_token_count(report->dataset);
    perplexity_settings *settings = &report->settings;
    settings->block = arguments->block > 0 ? arguments->block : context;
    settings->stride = arguments->stride > 0 ? arguments->stride : settings->block;
    settings->tokens = available < INT64_MAX ? (int64_t)available : INT64_MAX;
    if (arguments->max_tokens > 0 && arguments->max_tokens < settings->tokens) {
        settings->tokens = arguments->max_tokens;
    }
    if (settings->block > context) {
        return tool_usage_error("--block %" PRId64 " exceeds the model's context of %" PRId64,
                                settings->block, context);
    }
    if (settings->stride > settings->block) {
        return tool_usage_error("--stride %" PRId64 " exceeds the block of %" PRId64,
                                settings->stride, settings->block);
    }
    if (settings->tokens < 2) {
        return tool_fail_text("the data has %" PRId64 " tokens; at least 2 are needed",
                              settings->tokens);
    }
    const int64_t windows = (settings->tokens - 1) / settings->stride + 1;
    settings->batch =
        arguments->batch > 0 ? arguments->batch : (DEFAULT_ROWS - 1) / settings->block + 1;
    settings->batch = settings->batch < windows ? settings->batch : windows;
    settings->show_progress = !arguments->program.json && isatty(STDERR_FILENO);
    return TOOL_GO_ON;
}

static int measure(eval_report *report)
{
    const eval_arguments *arguments = report->arguments;
    const tool_model *opened = report->opened;
    const ttm_gpt2_config *config = ttm_model_config(opened->model);
    ttm_dataset *dataset = NULL;
    ttm_status status = ttm_dataset_open(&dataset, arguments->data.items, arguments->data.count,
                                         opened->tokenizer, (size_t)config->vocab_size, NULL);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    report->dataset = dataset;
    int code = choose_settings(report);
    if (code == TOOL_GO_ON) {
        code = perplexity_measure(&report->result, opened, dataset, opened->tokenizer != NULL,
                                  &report->settings);
    }
    if (code == TOOL_GO_ON) {
        status = ttm_model_weights_hash(report->weights_hash, opened->model, opened->stream);
        code = status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
    }
    if (code == TOOL_GO_ON) {
        code = arguments->program.json ? tool_print_json(TTM_JSON_INDENTED, write_result, report)
                                       : print_text(report);
    }
    ttm_dataset_close(dataset);
    return code;
}

/* Logits that were written. */
typedef struct logits_report {
    const char *path;
    int64_t count;
    int64_t vocab;
} logits_report;

static void write_logits_report(ttm_json_writer *writer, const void *result)
{
    const logits_report *report = result;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "logits", report->path);
    ttm_json_member_int(writer, "tokens", report->count);
    ttm_json_member_int(writer, "vocab_size", report->vocab);
    ttm_json_end_object(writer);
}

static int write_logits(const eval_arguments *arguments, const tool_model *opened)
{
    logits_report report = {.path = arguments->logits,
                            .vocab = ttm_model_config(opened->model)->vocab_size};
    const int code = logits_write(&report.count, opened, arguments->tokens, arguments->logits);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (arguments->program.json) {
        return tool_print_json(TTM_JSON_INDENTED, write_logits_report, &report);
    }
    printf("%s: logits [%" PRId64 ", %" PRId64 "]\n", report.path, report.count, report.vocab);
    return tool_done();
}

static int check_arguments(const eval_arguments *arguments)
{
    if (arguments->data.count == 0 && arguments->tokens == NULL) {
        return tool_usage_error("give either --data, or --tokens and --logits");
    }
    return TOOL_GO_ON;
}

static int run(const eval_arguments *arguments)
{
    tool_model opened;
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.execution = tool_tt_execution(arguments->execution);
    int code = tool_model_open(&opened, &arguments->program, arguments->model, arguments->tokenizer,
                               arguments->dtype, &options);
    if (code == TOOL_GO_ON && arguments->tokens != NULL) {
        code = write_logits(arguments, &opened);
    } else if (code == TOOL_GO_ON) {
        eval_report report = {.arguments = arguments, .opened = &opened};
        tool_profile profile;
        const ttm_status status = tool_profile_begin(&profile, opened.stream, arguments->profile);
        code = status == TTM_OK ? measure(&report) : tool_fail(status);
        tool_profile_end(&profile, opened.stream);
        if (arguments->profile && status == TTM_OK) {
            tool_profile_print(stderr, &profile);
        }
        tool_profile_free(&profile);
    }
    tool_model_close(&opened);
    return code;
}

int main(int argc, char **argv)
{
    eval_arguments arguments = {.execution = "auto", .dtype = "fp32"};
    tool_option options[] = {
        TOOL_GROUP("Model and data"),
        TOOL_STRING("model", 'm', "DIR", &arguments.model,
                    "folder with config.json and model.safetensors, or of a training run",
                    TOOL_REQUIRED),
        TOOL_LIST("data", 0, "FILE", &arguments.data,
                  "text, or tokens in a .bin file; several are read one after the other",
                  TOOL_NOT_WITH("--tokens")),
        TOOL_STRING("tokenizer", 0, "bytes|FILE|DIR", &arguments.tokenizer,
                    "how text becomes tokens", TOOL_SHOW_DEFAULT("the model's own"),
                    TOOL_NOT_WITH("--tokens")),
        TOOL_GROUP("Perplexity"),
        TOOL_INT("block", 0, "N", &arguments.block, 2, INT32_MAX, "tokens in a window",
                 TOOL_SHOW_DEFAULT("the model's context"), TOOL_NOT_WITH("--tokens")),
        TOOL_INT("stride", 0, "N", &arguments.stride, 1, INT32_MAX,
                 "distance between windows: tokens are scored with at least block - stride tokens "
                 "of context",
                 TOOL_SHOW_DEFAULT("the block"), TOOL_NOT_WITH("--tokens")),
        TOOL_INT("batch", 0, "N", &arguments.batch, 1, 65536, "windows at a time",
                 TOOL_SHOW_DEFAULT("chosen"), TOOL_NOT_WITH("--tokens")),
        TOOL_INT("max-tokens", 0, "N", &arguments.max_tokens, 2, INT64_MAX,
                 "use only the first N tokens of the data", TOOL_SHOW_DEFAULT("all"),
                 TOOL_NOT_WITH("--tokens")),
        TOOL_GROUP("Logits"),
        TOOL_STRING("tokens", 0, "\"ID ID …\"", &arguments.tokens, "a sequence of token ids",
                    TOOL_NEEDS("--logits")),
        TOOL_STRING("logits", 0, "FILE", &arguments.logits,
                    "write its logits to this safetensors file, f32 [tokens, vocab]",
                    TOOL_NEEDS("--tokens")),
        TOOL_GROUP("Execution"),
        TOOL_CHOICE("dtype", 0, TOOL_DTYPES, &arguments.dtype, TOOL_DTYPE_HELP),
        TOOL_CHOICE("tt", 0, "auto|cached|contract", &arguments.execution,
                    "products with TT-matrices: with the matrix built once, or by contraction"),
        TOOL_FLAG("profile", 0, &arguments.profile,
                  "time every op and print a table of them; each op is then waited for",
                  TOOL_NOT_WITH("--tokens")),
    };
    const tool_example examples[] = {
        {"ttm-eval --model run --data test.txt", "perplexity of a trained model on a text"},
        {"ttm-eval --model run --data test.txt --block 512 --stride 256 --json",
         "every token with at least 256 tokens of context, as JSON"},
        {"ttm-eval --model gpt2 --tokens \"15496 11 995\" --logits logits.safetensors",
         "logits to compare with another program"},
    };
    arguments.program = (tool_program){
        .name = "ttm-eval",
        .summary = "measure a model's perplexity, or write logits",
        .usage = "--model DIR --data FILE… [option…]\n"
                 "--model DIR --tokens \"ID ID …\" --logits FILE [option…]",
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        TOOL_TABLE(options, examples),
    };
    int code = tool_parse(&arguments.program, argc, argv);
    if (code == TOOL_GO_ON) {
        code = check_arguments(&arguments);
    }
    if (code == TOOL_GO_ON) {
        code = run(&arguments);
    }
    tool_free(&arguments.program);
    return code;
}
