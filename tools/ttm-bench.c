/* ttm-bench: how fast a device is at this work, why, and what to change. */
#include "bench/commands.h"
#include "bench/product_list.h"
#include "bench/table.h"
#include "common/tool_dtype.h"
#include "common/tool_output.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const tool_example examples[] = {
    {"ttm-bench devices", "limits and measured roofs of the device that is taken"},
    {"ttm-bench ops --preset gpt2-small --op matmul --cold",
     "its products at the sizes of GPT-2 small, with cold caches"},
    {"ttm-bench layer --preset gpt2-small-ttm64 --rows 1,512,2048",
     "a dense layer against a TT layer, and every order of contraction worth trying"},
    {"ttm-bench train --preset gpt2-small-ttm64 --batch 4 --seq 512 --trace step.json",
     "a training step, op by op, with a trace for Perfetto"},
    {"ttm-bench generate --tokens 64 --output generate.json", "tokens a second, kept as JSON"},
    {"ttm-bench tune --preset gpt2-small-ttm64", "measure once, used by all tools from then on"},
    {"ttm-bench compare before.json after.json", "exit status 1 when something got slower"},
    {"ttm-bench report train.json layer.json --output report.html",
     "one page with plots, from any number of results"},
};

static const char description[] =
    "Commands: devices, ops, layer, train, generate and tune measure; compare A.json B.json "
    "compares two results of the same work; report FILE.json… writes one self-contained page.\n\n"
    "Work is warmed up until it is stable, then timed on the device's clock until the interval of "
    "the median is as narrow as --precision wishes or --seconds are over. What is reached is set "
    "against roofs measured on the same device, a moment before. The table goes to the terminal; "
    "--json, --csv and --output give everything, samples included.\n\n"
    "To compare two builds, measure each into its own file several times in turn with --append: "
    "compare then tells what changed from what the machine does by itself.";

enum { OPTION_COUNT = 32 };

/* Commands and options that go together: those of a model's sizes, those that measure, and how long
 * an entry is measured: of train and generate that is roofs alone, since steps are counted. */
#define OF_A_MODEL "ops|layer|train|generate|tune"
#define MEASURES   TOOL_NOT_WITH("compare|report")
#define REPEATS    TOOL_NOT_WITH("compare|report|train --no-roofs|generate --no-roofs")

static size_t fill_options(tool_option *table, bench_arguments *a)
{
    const tool_option options[] = {
        TOOL_GROUP("What is measured"),
        TOOL_STRING("preset", 0, "NAME", &a->preset, "model whose sizes are taken",
                    TOOL_COMMANDS(OF_A_MODEL), TOOL_NOT_WITH("ops --product")),
        TOOL_STRING("tt", 0, "SPEC", &a->tt, "TT-matrices, as for ttm-train",
                    TOOL_COMMANDS(OF_A_MODEL), TOOL_NOT_WITH("ops --product")),
        TOOL_INT("layers", 0, "N", &a->layers, 0, 1000, "layers of the model",
                 TOOL_SHOW_DEFAULT("the preset's"), TOOL_COMMANDS("ops|train|generate|tune"),
                 TOOL_NOT_WITH("ops --product")),
        TOOL_INT("batch", 'b', "N", &a->batch, 1, 4096, "sequences",
                 TOOL_COMMANDS("ops|train|generate|tune"), TOOL_NOT_WITH("ops --product")),
        TOOL_INT("seq", 0, "N", &a->seq, 1, 1 << 20, "tokens in a sequence, at most the context",
                 TOOL_SHOW_DEFAULT("512 or the context"), TOOL_COMMANDS("ops|train|tune"),
                 TOOL_NOT_WITH("ops --product")),
        TOOL_STRING("op", 0, "TEXT", &a->op,
                    "only those with this in their name; of devices, only such roofs",
                    TOOL_COMMANDS("ops|devices"), TOOL_NOT_WITH("--product")),
        TOOL_STRING("product", 0, "MxNxK[:CASE][:TYPE],…", &a->product,
                    "these products instead; CASE nn, nt, tn or tt, TYPE f32, tf32 or bf16",
                    TOOL_COMMANDS("ops|tune")),
        TOOL_STRING("rows", 0, "N,N,…", &a->rows, "numbers of rows", TOOL_COMMANDS("layer|tune")),
        TOOL_CHOICE("dtype", 0, TOOL_DTYPES, &a->dtype, "type of the model; of layer fp32 or tf32",
                    TOOL_COMMANDS(OF_A_MODEL), TOOL_NOT_WITH("ops --product")),
        TOOL_INT("steps", 0, "N", &a->steps, 3, 100000, "steps, each also taken profiled",
                 TOOL_COMMANDS("train")),
        TOOL_CHOICE("recompute", 0, "auto|on|off", &a->recompute,
                    "as for ttm-train, outputs of layer norms and GELU computed again",
                    TOOL_COMMANDS("train")),
        TOOL_INT("logit-rows", 0, "N", &a->logit_rows, 0, 1 << 30,
                 "rows of logits at a time (0: as the device asks for)", TOOL_COMMANDS("train")),
        TOOL_INT("tokens", 0, "N", &a->tokens, 3, 100000, "tokens, each also taken profiled",
                 TOOL_COMMANDS("generate")),
        TOOL_INT("prompt", 0, "N", &a->prompt, 1, 1 << 20,
                 "tokens of the prompt, less than the context", TOOL_COMMANDS("generate")),
        TOOL_GROUP("How"),
        TOOL_FLAG("cold", 0, &a->cold, "rotate over buffers, so that caches are cold",
                  TOOL_COMMANDS("ops")),
        TOOL_FLAG("no-roofs", 0, &a->no_roofs,
                  "don't measure roofs: shorter, but without shares of them",
                  TOOL_COMMANDS("ops|layer|train|generate")),
        TOOL_INT("samples", 0, "N", &a->samples, 3, 2000, "least number of samples", REPEATS),
        TOOL_DOUBLE("seconds", 0, "X", &a->seconds, 0.01, 3600.0, "longest time for one entry",
                    REPEATS),
        TOOL_DOUBLE("tune-seconds", 0, "X", &a->tune_seconds, 0.0, 86400.0,
                    "time to search the plugin's own settings; 0: leave them",
                    TOOL_COMMANDS("tune")),
        TOOL_DOUBLE("precision", 0, "X", &a->precision, 1e-4, 1.0,
                    "stop when the median's interval is ± this fraction", REPEATS),
        TOOL_DOUBLE("confidence", 0, "X", &a->confidence, 0.5, 0.9999, "of intervals",
                    TOOL_NOT_WITH("report")),
        TOOL_DOUBLE("margin", 0, "X", &a->margin, 0.0, 1.0, "smaller differences don't matter",
                    TOOL_COMMANDS("compare")),
        TOOL_GROUP("Results"),
        TOOL_FLAG("csv", 0, &a->csv, "print CSV instead of a table",
                  TOOL_NOT_WITH("--json|compare|report")),
        TOOL_STRING("output", 'o', "FILE", &a->output,
                    "write JSON to FILE too; of report, the page", TOOL_NOT_WITH("compare")),
        TOOL_FLAG("append", 0, &a->append, "add a round of samples to --output FILE",
                  TOOL_NEEDS("--output"), MEASURES),
        TOOL_STRING("trace", 0, "FILE", &a->trace, "a profiled step as Chrome trace events",
                    TOOL_COMMANDS("train|generate")),
        TOOL_FLAG("quiet", 'q', &a->quiet, "no progress, no table", MEASURES),
    };
    _Static_assert(sizeof options / sizeof *options <= OPTION_COUNT, "room for all options");
    memcpy(table, options, sizeof options);
    return sizeof options / sizeof *options;
}

static const struct {
    const char *name;
    ttm_status (*run)(bench_session *session);
} commands[] = {
    {"devices", bench_run_devices}, {"ops", bench_run_ops},           {"layer", bench_run_layer},
    {"train", bench_run_train},     {"generate", bench_run_generate}, {"tune", bench_run_tune},
};

/* What doesn't fit the model's positions is refused: cut, it would be a figure of other work. */
static int check_lengths(bench_arguments *arguments)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    if (bench_configure(&config, arguments) != TTM_OK) {
        return tool_usage_error("%s", ttm_error_message());
    }
    const long long context = config.context;
    arguments->layers = config.layers;
    ttm_gpt2_config_free(&config);
    if (!tool_given(arguments->program, "seq")) {
        arguments->seq = context < 512 ? context : 512;
    }
    if (arguments->seq > context) {
        return tool_usage_error("--seq %lld: %s has a context of %lld tokens",
                                (long long)arguments->seq, arguments->preset, context);
    }
    if (strcmp(arguments->command, "generate") == 0 && arguments->prompt >= context) {
        return tool_usage_error("--prompt %lld: %s has a context of %lld tokens, and a prompt "
                                "leaves room for one more",
                                (long long)arguments->prompt, arguments->preset, context);
    }
    return TOOL_GO_ON;
}

static int check_arguments(bench_arguments *arguments)
{
    const char *list = arguments->rows;
    int64_t rows = 0;
    bool bad = false;
    while (bench_next_number(&rows, &list, &bad)) {
    }
    if (bad || arguments->rows[0] == '\0') {
        return tool_usage_error("--rows '%s' isn't a list of whole numbers such as 1,512",
                                arguments->rows);
    }
    if (arguments->product != NULL && !bench_is_product_list(arguments->product)) {
        return tool_usage_error(
            "--product '%s' isn't a list such as 512x512x512,1x3072x768:nt:bf16",
            arguments->product);
    }
    if (strcmp(arguments->command, "layer") == 0 && strcmp(arguments->dtype, "fp32") != 0 &&
        strcmp(arguments->dtype, "tf32") != 0) {
        return tool_usage_error("--dtype %s doesn't go with layer, whose contractions with cores "
                                "are fp32 in every model: give fp32, or tf32 for its products",
                                arguments->dtype);
    }
    return check_lengths(arguments);
}

static int write_output(const bench_result *result, const char *path)
{
    tool_output output;
    if (result->out_of_memory) {
        return tool_fail_text("out of memory");
    }
    const int code = tool_output_open(&output, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    const bool made = bench_write_json(output.stream, result);
    const int closed = tool_output_close(
        &output, made || ferror(output.stream) ? TOOL_EXIT_DONE : tool_fail_text("out of memory"));
    return closed == TOOL_EXIT_DONE ? TOOL_GO_ON : closed;
}

static int read_earlier(bench_result *earlier, const bench_arguments *arguments)
{
    const char *path = arguments->output;
    const int code = bench_read_json(earlier, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (strcmp(earlier->command, arguments->command) != 0) {
        return tool_fail_text("'%s' is a result of another command: choose another --output", path);
    }
    for (size_t k = 0; k < earlier->entry_count; k++) {
        if (earlier->entries[k].series.round_count == BENCH_MAX_ROUNDS) {
            return tool_fail_text("'%s' has %d rounds, which is all that a result may have: choose "
                                  "another --output",
                                  path, BENCH_MAX_ROUNDS);
        }
    }
    return TOOL_GO_ON;
}

/* Whether --append can add to what is in the file. */
static int check_earlier(const bench_arguments *arguments)
{
    bench_result earlier = {0};
    if (!arguments->append || access(arguments->output, F_OK) != 0) {
        return TOOL_GO_ON;
    }
    const int code = read_earlier(&earlier, arguments);
    bench_result_free(&earlier);
    return code;
}

/* *result becomes the rounds of the file with its own behind them. */
static int append_to(bench_result *result, const bench_arguments *arguments)
{
    bench_result before = {0};
    if (access(arguments->output, F_OK) != 0) {
        return TOOL_GO_ON;
    }
    const int code = read_earlier(&before, arguments);
    if (code != TOOL_GO_ON) {
        bench_result_free(&before);
        return code;
    }
    (void)bench_merge(&before, result);
    bench_result_free(result);
    *result = before;
    return TOOL_GO_ON;
}

static int show(const bench_arguments *arguments, const bench_result *result)
{
    bool shown = true;
    if (result->out_of_memory) {
        return tool_fail_text("out of memory");
    }
    if (arguments->program->json) {
        shown = bench_write_json(stdout, result);
    } else if (arguments->csv) {
        shown = bench_write_csv(stdout, result);
    } else if (!arguments->quiet) {
        bench_print_result(stdout, result);
    }
    return shown ? tool_done() : tool_fail_text("can't write the result: out of memory");
}

static int measure(const bench_arguments *arguments, ttm_status (*run)(bench_session *session))
{
    bench_session session;
    ttm_status status = bench_session_open(&session, arguments);
    if (status == TTM_OK) {
        status = run(&session);
    }
    int code = status == TTM_OK               ? TOOL_GO_ON
               : session.failure_told         ? TOOL_EXIT_FAILED
               : session.result.out_of_memory ? tool_fail_text("out of memory")
                                              : tool_fail(status);
    bench_session_close(&session);
    if (code == TOOL_GO_ON && arguments->append) {
        code = append_to(&session.result, arguments);
    }
    if (code == TOOL_GO_ON && arguments->output != NULL) {
        code = write_output(&session.result, arguments->output);
    }
    if (code == TOOL_GO_ON) {
        code = show(arguments, &session.result);
    }
    bench_result_free(&session.result);
    return code;
}

/* What can't be written is told before minutes of measuring, not after them. */
static int check_and_measure(bench_arguments *arguments, ttm_status (*run)(bench_session *session))
{
    const char *const files[] = {arguments->output, arguments->trace};
    int code = check_arguments(arguments);
    for (size_t k = 0; k < sizeof files / sizeof *files && code == TOOL_GO_ON; k++) {
        code = files[k] != NULL ? tool_output_check(files[k]) : TOOL_GO_ON;
    }
    if (code == TOOL_GO_ON) {
        code = check_earlier(arguments);
    }
    return code == TOOL_GO_ON ? measure(arguments, run) : code;
}

static int run_command(bench_arguments *arguments)
{
    const tool_list *operands = &arguments->program->operands;
    arguments->command = operands->items[0];
    if (strcmp(arguments->command, "compare") == 0) {
        if (operands->count != 3) {
            return tool_usage_error("compare takes two files: A.json B.json");
        }
        return bench_run_compare(arguments, operands->items[1], operands->items[2]);
    }
    if (strcmp(arguments->command, "report") == 0) {
        if (operands->count < 2) {
            return tool_usage_error("report takes at least one result: FILE.json…");
        }
        return bench_run_report(arguments);
    }
    if (operands->count > 1) {
        return tool_usage_error("%s takes no '%s'", arguments->command, operands->items[1]);
    }
    size_t k = 0;
    while (strcmp(arguments->command, commands[k].name) !=
           0) { /* the table has all that are left */
        k++;
    }
    return check_and_measure(arguments, commands[k].run);
}

int main(int argc, char **argv)
{
    bench_arguments arguments = {.preset = "gpt2-small",
                                 .rows = "1,16,512,2048",
                                 .dtype = "fp32",
                                 .batch = 1,
                                 .steps = 10,
                                 .recompute = "auto",
                                 .tokens = 64,
                                 .prompt = 64,
                                 .samples = 15,
                                 .seconds = 1.0,
                                 .tune_seconds = 120.0,
                                 .precision = 0.02,
                                 .confidence = 0.95,
                                 .margin = 0.01};
    tool_option table[OPTION_COUNT];
    const size_t count = fill_options(table, &arguments);
    tool_program program = {
        .name = "ttm-bench",
        .summary = "measure how fast a device is at this work, and why",
        .usage = "devices|ops|layer|train|generate|tune [option…]\ncompare A.json B.json\n"
                 "report FILE.json… [--output FILE.html]",
        .description = description,
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        .commands = "devices|ops|layer|train|generate|tune|compare|report",
        .device_not_with = "compare|report",
        .json_not_with = "report",
        .options = table,
        .option_count = count,
        .examples = examples,
        .example_count = sizeof examples / sizeof *examples,
        .operands_minimum = 1,
        .operands_maximum = SIZE_MAX,
        .operand = "command",
    };
    arguments.program = &program;
    /* A file size limit shows as a failed write, which has a message, rather than as a signal. */
    signal(SIGXFSZ, SIG_IGN);
    int code = tool_parse(&program, argc, argv);
    if (code == TOOL_GO_ON) {
        code = run_command(&arguments);
    }
    tool_free(&program);
    return code;
}
