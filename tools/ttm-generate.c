/* ttm-generate: continues a prompt. */
#include "common/tool_dtype.h"
#include "common/tool_json.h"
#include "common/tool_model.h"
#include "common/utf8_stream.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/generate.h>
#include <unistd.h>

/* What the command line says. */
typedef struct generate_arguments {
    tool_program program;
    const char *model;
    const char *tokenizer;
    const char *prompt;
    int64_t max_tokens;
    int64_t seed;
    bool ignore_end;
    bool verbose;
    const char *execution;
    const char *dtype;
    ttm_sampling sampling;
} generate_arguments;

/* A generation in progress. */
typedef struct generation {
    const generate_arguments *arguments;
    tool_model opened;
    ttm_generator *generator;
    utf8_stream output;
    int32_t *prompt; /* [prompt_count] */
    size_t prompt_count;
    int32_t *tokens; /* [max_tokens], as made; with --json only */
    int64_t count;
    char *text; /* with --json: the continuation */
    size_t text_bytes;
    size_t text_capacity;
    bool failed; /* memory or output failed: stop */
    double first_token_seconds;
    double begin_seconds;
    double end_seconds;
} generation;

/* Appends to the text that --json prints at the end. */
static void collect_text(void *user, const char *text, size_t bytes)
{
    generation *job = user;
    if (job->text_bytes + bytes > job->text_capacity) {
        const size_t capacity = 2 * (job->text_bytes + bytes) + 256;
        char *larger = realloc(job->text, capacity);
        if (larger == NULL) {
            job->failed = true;
            return;
        }
        job->text = larger;
        job->text_capacity = capacity;
    }
    memcpy(job->text + job->text_bytes, text, bytes);
    job->text_bytes += bytes;
}

static void print_text(void *user, const char *text, size_t bytes)
{
    generation *job = user;
    if (fwrite(text, 1, bytes, stdout) != bytes) {
        job->failed = true;
    }
}

static bool take_token(void *user, int32_t token)
{
    generation *job = user;
    const char *bytes = NULL;
    size_t byte_count = 0;
    if (job->count == 0) {
        job->first_token_seconds = tool_seconds();
    }
    if (job->tokens != NULL) {
        job->tokens[job->count] = token;
    }
    job->count++;
    /* A model may have more tokens than its tokenizer; those stand for nothing. */
    if (ttm_tokenizer_token_bytes(&bytes, &byte_count, job->opened.tokenizer, token) == TTM_OK) {
        utf8_stream_add(&job->output, bytes, byte_count);
    }
    if (!job->arguments->program.json && fflush(stdout) != 0) {
        job->failed = true;
    }
    return !job->failed;
}

/* An empty prompt is the beginning of a text. */
static int encode_prompt(generation *job)
{
    const ttm_tokenizer *tokenizer = job->opened.tokenizer;
    const char *prompt = job->arguments->prompt;
    const ttm_status status = ttm_tokenizer_encode(&job->prompt, &job->prompt_count, tokenizer,
                                                   prompt, strlen(prompt), NULL);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (job->prompt_count > 0) {
        return TOOL_GO_ON;
    }
    const int32_t end_of_text = ttm_tokenizer_end_of_text(tokenizer);
    int32_t *one = malloc(sizeof *one);
    if (end_of_text < 0 || one == NULL) {
        free(one);
        return tool_usage_error("--prompt is empty, and this tokenizer has no end-of-text token "
                                "to begin with");
    }
    free(job->prompt);
    *one = end_of_text;
    job->prompt = one;
    job->prompt_count = 1;
    return TOOL_GO_ON;
}

static int prepare(generation *job)
{
    const generate_arguments *arguments = job->arguments;
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.execution = tool_tt_execution(arguments->execution);
    int code = tool_model_open(&job->opened, &arguments->program, arguments->model,
                               arguments->tokenizer, arguments->dtype, &options);
    if (code == TOOL_GO_ON && job->opened.tokenizer == NULL) {
        code =
            tool_usage_error("there is no tokenizer in '%s': give --tokenizer", arguments->model);
    }
    if (code == TOOL_GO_ON) {
        code = encode_prompt(job);
    }
    if (code == TOOL_GO_ON) {
        const ttm_status status =
            ttm_generator_create(&job->generator, job->opened.model, job->opened.stream, NULL);
        code = status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
    }
    if (code == TOOL_GO_ON && arguments->program.json) {
        job->tokens = calloc((size_t)arguments->max_tokens + 1, sizeof *job->tokens);
        code = job->tokens != NULL ? TOOL_GO_ON : tool_fail_text("out of memory");
    }
    return code;
}

/* Tokens a second after the first one, so that reading the prompt doesn't count. */
static double tokens_per_second(const generation *job)
{
    return job->count > 1
               ? (double)(job->count - 1) / fmax(job->end_seconds - job->first_token_seconds, 1e-9)
               : 0.0;
}

static void write_result(ttm_json_writer *writer, const void *result)
{
    const generation *job = result;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "prompt", job->arguments->prompt);
    ttm_json_key(writer, "text");
    ttm_json_write_bytes(writer, job->text != NULL ? job->text : "", job->text_bytes);
    ttm_json_key(writer, "tokens");
    ttm_json_begin_array(writer);
    for (int64_t index = 0; index < job->count; index++) {
        ttm_json_write_int(writer, job->tokens[index]);
    }
    ttm_json_end_array(writer);
    ttm_json_member_int(writer, "prompt_tokens", (int64_t)job->prompt_count);
    ttm_json_member_int(writer, "generated_tokens", job->count);
    ttm_json_member_double(writer, "seconds", job->end_seconds - job->begin_seconds);
    ttm_json_member_double(writer, "tokens_per_second", tokens_per_second(job));
    ttm_json_end_object(writer);
}

static int generate(generation *job)
{
    const generate_arguments *arguments = job->arguments;
    const int32_t stop =
        arguments->ignore_end ? -1 : ttm_tokenizer_end_of_text(job->opened.tokenizer);
    if (!arguments->program.json) {
        utf8_stream_add(&job->output, arguments->prompt, strlen(arguments->prompt));
        utf8_stream_end(&job->output);
        fflush(stdout);
    }
    job->begin_seconds = tool_seconds();
    const ttm_status status =
        ttm_generate(job->generator, NULL, job->prompt, job->prompt_count, arguments->max_tokens,
                     stop, &arguments->sampling, take_token, job);
    job->end_seconds = tool_seconds();
    utf8_stream_end(&job->output);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (arguments->verbose) {
        fprintf(stderr, "%s%zu prompt tokens, %" PRId64 " tokens in %.2f s, %.1f tokens/s\n",
                arguments->program.json ? "" : "\n", job->prompt_count, job->count,
                job->end_seconds - job->begin_seconds, tokens_per_second(job));
    }
    if (arguments->program.json) {
        return job->failed ? tool_fail_text("out of memory")
                           : tool_print_json(TTM_JSON_INDENTED, write_result, job);
    }
    putchar('\n');
    return tool_done();
}

static int run(const generate_arguments *arguments)
{
    generation job = {.arguments = arguments};
    job.output.user = &job;
    job.output.sink = arguments->program.json ? collect_text : print_text;
    job.output.hide_controls = !arguments->program.json && isatty(STDOUT_FILENO);
    int code = prepare(&job);
    if (code == TOOL_GO_ON) {
        code = generate(&job);
    }
    ttm_generator_destroy(job.generator);
    tool_model_close(&job.opened);
    free(job.text);
    free(job.tokens);
    free(job.prompt);
    return code;
}

int main(int argc, char **argv)
{
    generate_arguments arguments = {
        .max_tokens = 200, .execution = "auto", .dtype = "fp32", .sampling = TTM_SAMPLING_INIT};
    tool_option options[] = {
        TOOL_GROUP("Model and prompt"),
        TOOL_STRING("model", 'm', "DIR", &arguments.model,
                    "folder with config.json and model.safetensors, or of a training run",
                    TOOL_REQUIRED),
        TOOL_STRING("prompt", 'p', "TEXT", &arguments.prompt,
                    "what is continued; \"\" begins a new text", TOOL_REQUIRED),
        TOOL_STRING("tokenizer", 0, "bytes|FILE|DIR", &arguments.tokenizer,
                    "how text becomes tokens", TOOL_SHOW_DEFAULT("the model's own")),
        TOOL_GROUP("Sampling"),
        TOOL_INT("max-tokens", 'n', "N", &arguments.max_tokens, 0, 100000000,
                 "tokens to generate at most"),
        TOOL_DOUBLE("temperature", 't', "X", &arguments.sampling.temperature, 0.0, 100.0,
                    "lower is less varied; 0 always takes the most probable token"),
        TOOL_INT("top-k", 0, "K", &arguments.sampling.top_k, 0, INT32_MAX,
                 "draw from the K most probable tokens; 0: from all"),
        TOOL_DOUBLE("top-p", 0, "P", &arguments.sampling.top_p, 1e-9, 1.0,
                    "draw from the most probable tokens that together reach probability P"),
        TOOL_INT("seed", 0, "N", &arguments.seed, 0, INT64_MAX,
                 "the same seed gives the same text"),
        TOOL_FLAG("ignore-end", 0, &arguments.ignore_end, "go on after an end-of-text token"),
        TOOL_GROUP("Execution"),
        TOOL_CHOICE("dtype", 0, TOOL_DTYPES, &arguments.dtype, TOOL_DTYPE_HELP),
        TOOL_CHOICE("tt", 0, "auto|cached|contract", &arguments.execution,
                    "products with TT-matrices: with the matrix built once, or by contraction"),
        TOOL_FLAG("verbose", 'v', &arguments.verbose, "print tokens per second to stderr"),
    };
    const tool_example examples[] = {
        {"ttm-generate --model run --prompt \"Once upon a time\"", "continue a text"},
        {"ttm-generate --model run --prompt \"The\" --temperature 0.8 --top-k 40 --seed 7",
         "less varied, and the same each time"},
    };
    arguments.program = (tool_program){
        .name = "ttm-generate",
        .summary = "continue a prompt with a model",
        .usage = "--model DIR --prompt TEXT [option…]",
        .description = "The prompt and its continuation go to stdout as they are made. When the "
                       "model's context is full, generation goes on from its last half.",
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        TOOL_TABLE(options, examples),
    };
    int code = tool_parse(&arguments.program, argc, argv);
    if (code == TOOL_GO_ON) {
        arguments.sampling.seed = (uint64_t)arguments.seed;
        code = run(&arguments);
    }
    tool_free(&arguments.program);
    return code;
}
