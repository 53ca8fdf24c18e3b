/* The option table: the tool's own options, then one for each option that the library's trainer
 * has, so that a new one of those needs no line here. */
#include "train/arguments.h"

#include "common/tool_number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tool_example examples[] = {
    {"ttm-train --preset gpt2-tiny-ttm16 --data book.txt --out run --steps 2000",
     "train a small byte-level model on one file"},
    {"ttm-train --preset gpt2-small-ttm64 --tokenizer tokenizer.json --data train.bin "
     "--validation-data val.bin --out run --steps 100000",
     "train the published rank-64 model on tokenised data"},
    {"ttm-train --out run --resume", "go on with a run that was stopped"},
    {"ttm-train --model gpt2 --data notes.txt --out tuned --steps 500 --learning-rate 2e-5",
     "fine-tune given weights"},
    {"ttm-train --preset gpt2-small-ttm64 --dry-run --json",
     "count parameters and memory, train nothing"},
};

static const char description[] =
    "Trains a GPT-2, dense or with Tensor-Train matrices, from text files or token files (.bin of "
    "llm.c and nanoGPT).\n\n"
    "The folder given with --out gets metrics.jsonl, checkpoints, and links that make it a model "
    "folder of its newest checkpoint. SIGINT or SIGTERM stops after the current step with a "
    "checkpoint, a second one at once. --resume goes on from the newest checkpoint with the same "
    "bits as if the run had never stopped; options and data are remembered and needn't be given "
    "again.\n\n"
    "Without --validation-data the last part of the data is kept apart for validation.";

enum { MAX_SIZE = 1 << 24, MAX_LAYERS = 1 << 16, OWN_OPTIONS = 32, PLAIN_BYTES = 24 };

/* Weights and runs have sizes and shapes of their own. With --resume they are compared. */
#define OF_A_PRESET TOOL_NEEDS("--preset"), TOOL_NOT_WITH("--model")

/* Fills the tool's own part of the table and returns its length. */
static size_t own_options(tool_option *table, train_arguments *a)
{
    const tool_option own[] = {
        TOOL_GROUP("Model"),
        TOOL_STRING("preset", 0, "NAME", &a->preset,
                    "a named model, such as gpt2-small or gpt2-small-ttm64; an unknown name lists "
                    "them all",
                    TOOL_NOT_WITH("--model")),
        TOOL_STRING("model", 0, "DIR", &a->model, "start from the weights in this model folder",
                    TOOL_NOT_WITH("--resume")),
        TOOL_LIST("tt", 0, "SPEC", &a->tt,
                  "make matrices TT or dense: [LAYERS/]MATRIX=SHAPE, such as mlp=32, "
                  "0-3/c_fc=8x8,8x8,12x8,1x6:64 or none; may be repeated",
                  OF_A_PRESET),
        TOOL_INT("vocab-size", 0, "N", &a->sizes.vocab_size, 1, MAX_SIZE, "tokens of the model",
                 TOOL_SHOW_DEFAULT("the tokenizer's, else the preset's"), OF_A_PRESET),
        TOOL_INT("context", 0, "N", &a->sizes.context, 1, MAX_SIZE, "longest sequence",
                 TOOL_SHOW_DEFAULT("the preset's"), OF_A_PRESET),
        TOOL_INT("layers", 0, "N", &a->sizes.layers, 1, MAX_LAYERS, "layers",
                 TOOL_SHOW_DEFAULT("the preset's"), OF_A_PRESET),
        TOOL_INT("heads", 0, "N", &a->sizes.heads, 1, MAX_SIZE, "attention heads",
                 TOOL_SHOW_DEFAULT("the preset's"), OF_A_PRESET),
        TOOL_INT("width", 0, "N", &a->sizes.width, 1, MAX_SIZE, "size of the residual stream",
                 TOOL_SHOW_DEFAULT("the preset's"), OF_A_PRESET),
        TOOL_DOUBLE("dropout", 0, "X", &a->sizes.dropout, 0.0, 0.9999,
                    "dropout probability of embeddings, attention and residual branches",
                    TOOL_SHOW_DEFAULT("the preset's")),
        TOOL_FLAG("zero-residual", 0, &a->zero_residual,
                  "begin with zero in the last matrix of each residual branch",
                  TOOL_NOT_WITH("--model|--resume")),
        TOOL_GROUP("Data and files"),
        TOOL_LIST("data", 0, "FILE", &a->data,
                  "text (any name) or tokens (.bin) to train on; several may follow"),
        TOOL_LIST("validation-data", 0, "FILE", &a->validation_data,
                  "text or tokens to validate on"),
        TOOL_DOUBLE("validation-fraction", 0, "X", &a->validation_fraction, 0.0, 0.9,
                    "the last part of the data, which is kept for validation",
                    TOOL_NOT_WITH("--validation-data")),
        TOOL_STRING("tokenizer", 0, "bytes|FILE", &a->tokenizer,
                    "bytes, or a tokenizer.json, vocab.json, .tiktoken file or their folder",
                    TOOL_SHOW_DEFAULT("bytes where the preset is byte-level, else the model's")),
        TOOL_STRING("out", 'o', "DIR", &a->out, "folder of the run"),
        TOOL_FLAG("resume", 0, &a->resume, "go on with the run in --out",
                  TOOL_NOT_WITH("--dry-run")),
        TOOL_FLAG(
            "dry-run", 0, &a->dry_run,
            "print parameters, memory and TT shapes of the line that would train; train nothing"),
        TOOL_FLAG("quiet", 'q', &a->quiet,
                  "no progress and no samples, only errors and the result"),
        TOOL_FLAG("profile", 0, &a->profile,
                  "time every op and print a table of them at the end; the run gets slower, since "
                  "each op is waited for"),
        TOOL_GROUP("Training"),
    };
    memcpy(table, own, sizeof own);
    return sizeof own / sizeof own[0];
}

/* Appends ", PRESET VALUE" where a published preset trains with another value than `usual`. */
static void append_preset_default(char *text, size_t text_bytes, const char *option,
                                  const char *usual, const char *preset)
{
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    char value[TTM_TRAINER_PROMPT_BYTES];
    ttm_trainer_options_for_preset(&options, preset);
    ttm_trainer_options_get(value, sizeof value, &options, option);
    const size_t used = strlen(text);
    if (strcmp(value, usual) != 0) {
        snprintf(text + used, text_bytes - used, "; %s: %s", preset, value);
    }
}

/* Writes what --help calls the default of a trainer option, from the defaults themselves. */
static void describe_default(char text[TRAIN_DEFAULT_BYTES], const char *option)
{
    const ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    char usual[TTM_TRAINER_PROMPT_BYTES];
    ttm_trainer_options_get(usual, sizeof usual, &options, option);
    snprintf(text, TRAIN_DEFAULT_BYTES, "%.32s", usual);
    append_preset_default(text, TRAIN_DEFAULT_BYTES, option, usual, "gpt2-small");
    append_preset_default(text, TRAIN_DEFAULT_BYTES, option, usual, "gpt2-medium");
}

/* Adds the trainer's options as texts, which the library itself checks and turns into numbers. */
static void trainer_options(tool_option *table, train_arguments *arguments)
{
    for (size_t i = 0; i < ttm_trainer_option_count(); i++) {
        const ttm_trainer_option_info info = ttm_trainer_option_describe(i);
        table[i] =
            (tool_option){.name = info.name, .help = info.help, .argument = info.placeholder};
        if (info.placeholder == NULL) {
            table[i].kind = TOOL_KIND_FLAG;
            table[i].value.flag = &arguments->trainer_switches[i];
        } else {
            table[i].kind = TOOL_KIND_STRING;
            table[i].value.text = &arguments->trainer_values[i];
            describe_default(arguments->trainer_defaults[i], info.name);
            table[i].shown_default = arguments->trainer_defaults[i];
        }
    }
}

static int check_required(const train_arguments *arguments)
{
    if (!arguments->resume && arguments->preset == NULL && arguments->model == NULL) {
        return tool_usage_error("give --preset NAME, such as gpt2-tiny-ttm16 (or --model DIR, or "
                                "--resume)");
    }
    if (arguments->dry_run) {
        return TOOL_GO_ON;
    }
    if (arguments->out == NULL) {
        return tool_usage_error("give --out DIR, the folder that checkpoints go to");
    }
    if (arguments->data.count == 0 && !arguments->resume) {
        return tool_usage_error("nothing to train on: give --data FILE…, text or .bin tokens");
    }
    return TOOL_GO_ON;
}

int train_arguments_parse(train_arguments *arguments, int argc, char **argv)
{
    const size_t trainer_count = ttm_trainer_option_count();
    *arguments = (train_arguments){.sizes = TTM_GPT2_OVERRIDES_INIT, .validation_fraction = 0.05};
    arguments->table = calloc(OWN_OPTIONS + trainer_count, sizeof *arguments->table);
    arguments->trainer_values = calloc(trainer_count, sizeof *arguments->trainer_values);
    arguments->trainer_defaults = calloc(trainer_count, sizeof *arguments->trainer_defaults);
    arguments->trainer_switches = calloc(trainer_count, sizeof *arguments->trainer_switches);
    if (arguments->table == NULL || arguments->trainer_values == NULL ||
        arguments->trainer_defaults == NULL || arguments->trainer_switches == NULL) {
        return tool_fail_text("out of memory");
    }
    const size_t own_count = own_options(arguments->table, arguments);
    trainer_options(arguments->table + own_count, arguments);
    arguments->program = (tool_program){
        .name = "ttm-train",
        .summary = "train a GPT-2 with dense or Tensor-Train matrices",
        .usage =
            "--preset NAME --data FILE… --out DIR [option…]\n--model DIR --data FILE… --out DIR "
            "[option…]\n--out DIR --resume [option…]\n--preset NAME --dry-run [--json]",
        .description = description,
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        .options = arguments->table,
        .option_count = own_count + trainer_count,
        .examples = examples,
        .example_count = sizeof examples / sizeof examples[0],
    };
    const int code = tool_parse(&arguments->program, argc, argv);
    return code == TOOL_GO_ON ? check_required(arguments) : code;
}

/* A whole number as the library reads it: "1e5" and "100_000" are understood as by all options, and
 * what isn't whole is left for the library to refuse. */
static const char *plain_number(char text[PLAIN_BYTES], const char *given, const char *placeholder)
{
    int64_t number = 0;
    if (placeholder == NULL || strcmp(placeholder, "N") != 0 || !tool_parse_int(&number, given)) {
        return given;
    }
    snprintf(text, PLAIN_BYTES, "%" PRId64, number);
    return text;
}

int train_arguments_apply(ttm_trainer_options *options, const train_arguments *arguments)
{
    for (size_t i = 0; i < ttm_trainer_option_count(); i++) {
        const ttm_trainer_option_info info = ttm_trainer_option_describe(i);
        char number[PLAIN_BYTES];
        if (tool_given(&arguments->program, info.name) &&
            ttm_trainer_options_set(
                options, info.name,
                plain_number(number, arguments->trainer_values[i], info.placeholder)) != TTM_OK) {
            return tool_usage_error("--%s", ttm_error_message());
        }
    }
    return TOOL_GO_ON;
}

void train_arguments_free(train_arguments *arguments)
{
    tool_free(&arguments->program);
    free(arguments->table);
    free(arguments->trainer_values);
    free(arguments->trainer_defaults);
    free(arguments->trainer_switches);
}
