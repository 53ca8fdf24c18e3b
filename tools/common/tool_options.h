/* Command lines of the tools: one table per tool says which options there are, and from it come
 * parsing, checking, --help, --version and the man page, alike everywhere.
 *
 * A tool looks like this:
 *
 *     int main(int argc, char **argv)
 *     {
 *         const char *out = NULL;
 *         int64_t steps = 1000;
 *         double rate = 3e-4;
 *         bool dry_run = false;
 *         tool_list data = {0};
 *         tool_option options[] = {
 *             TOOL_GROUP("Input and output"),
 *             TOOL_LIST("data", 0, "FILE", &data, "text to train on; may be repeated"),
 *             TOOL_STRING("out", 'o', "DIR", &out, "where checkpoints go"),
 *             TOOL_GROUP("Training"),
 *             TOOL_INT("steps", 'n', "N", &steps, 1, INT64_MAX, "optimiser steps"),
 *             TOOL_DOUBLE("rate", 0, "X", &rate, 0.0, 1.0, "learning rate"),
 *             TOOL_FLAG("dry-run", 0, &dry_run, "plan, print the size, train nothing"),
 *         };
 *         const tool_example examples[] = {
 *             {"ttm-demo --data book.txt --out model", "train on one file"},
 *         };
 *         tool_program program = {
 *             .name = "ttm-demo",
 *             .summary = "train a model",
 *             .usage = "--data FILE… --out DIR [option…]",
 *             .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
 *             TOOL_TABLE(options, examples),
 *         };
 *         int code = tool_parse(&program, argc, argv);
 *         if (code != TOOL_GO_ON) {
 *             return code;
 *         }
 *         …program.backend, program.device, program.json, out, steps…
 *         if (status != TTM_OK) {
 *             code = tool_fail(status);
 *             goto out;
 *         }
 *         code = tool_done();
 *     out:
 *         …
 *         tool_free(&program);
 *         return code;
 *     }
 *
 * A variable's value before parsing is its default, and --help shows it. */
#ifndef TTM_TOOLS_COMMON_TOOL_OPTIONS_H
#define TTM_TOOLS_COMMON_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>

/** What an option takes, and the type that its variable has. */
typedef enum tool_option_kind {
    TOOL_KIND_GROUP,  /**< No option: the heading over those that follow. */
    TOOL_KIND_FLAG,   /**< Nothing. bool: true when given. */
    TOOL_KIND_STRING, /**< Any text. const char *: points into argv. */
    TOOL_KIND_CHOICE, /**< One of `choices`. const char *: points into argv. */
    TOOL_KIND_LIST,   /**< Texts. May be repeated, and takes all arguments up to the next option. */
    TOOL_KIND_INT,    /**< A whole number. int64_t. 1e6 and 1_000_000 are understood. */
    TOOL_KIND_DOUBLE, /**< A finite number. double. Range ends ±DBL_MAX aren't shown. */
    TOOL_KIND_SIZE    /**< Bytes, with a suffix K, M, G or T (powers of 1024). uint64_t. */
} tool_option_kind;

/** The texts of an option that may be given more than once; they point into argv. */
typedef struct tool_list {
    size_t count;
    const char **items;
} tool_list;

/** One line of the table. Made with the TOOL_… macros below. */
typedef struct tool_option {
    tool_option_kind kind;
    char letter;               /**< Short form, 0 for none. */
    bool required;             /**< Its absence is wrong usage. */
    bool hidden;               /**< Not in --help. */
    bool given;                /**< Set by tool_parse. */
    const char *name;          /**< Long form without its dashes; of a group, the heading. */
    const char *argument;      /**< Placeholder in --help: "FILE", "N", "DIR". */
    const char *help;          /**< What it does, without a full stop; any length, is wrapped. */
    const char *choices;       /**< Of a choice: "fp32|bf16". */
    const char *shown_default; /**< What --help calls the default, where the value doesn't say it;
                                    "" to show none. */
    /* What it goes with, as lists split by '|'. Anything else is wrong usage, and --help says so.
     */
    const char *commands; /**< Commands of the tool, "train|encode"; NULL: all. */
    const char *needs; /**< Options, one of which must be given too: "--rank|--budget"; or NULL. */
    const char *not_with; /**< What leaves it without a meaning: options, commands, or an option
                             with a command: "--model|compare|ops --product"; or NULL. */
    union {
        bool *flag;
        const char **text;
        tool_list *list;
        int64_t *integer;
        double *number;
        uint64_t *size;
    } value;         /**< The variable, by kind. */
    int64_t minimum; /**< Range of an int, both ends included. */
    int64_t maximum;
    double lowest; /**< Range of a double, both ends included. */
    double highest;
    uint64_t smallest; /**< Range of a size, both ends included. */
    uint64_t largest;
} tool_option;

#define TOOL_GROUP(heading)                        \
    {                                              \
        .kind = TOOL_KIND_GROUP, .name = (heading) \
    }
#define TOOL_FLAG(long_name, short_letter, variable, help_text, ...)           \
    {                                                                          \
        .kind = TOOL_KIND_FLAG, .name = (long_name), .letter = (short_letter), \
        .value.flag = (variable), .help = (help_text), __VA_ARGS__             \
    }
#define TOOL_STRING(long_name, short_letter, placeholder, variable, help_text, ...)           \
    {                                                                                         \
        .kind = TOOL_KIND_STRING, .name = (long_name), .letter = (short_letter),              \
        .argument = (placeholder), .value.text = (variable), .help = (help_text), __VA_ARGS__ \
    }
#define TOOL_CHOICE(long_name, short_letter, allowed, variable, help_text, ...)          \
    {                                                                                    \
        .kind = TOOL_KIND_CHOICE, .name = (long_name), .letter = (short_letter),         \
        .choices = (allowed), .value.text = (variable), .help = (help_text), __VA_ARGS__ \
    }
#define TOOL_LIST(long_name, short_letter, placeholder, variable, help_text, ...)             \
    {                                                                                         \
        .kind = TOOL_KIND_LIST, .name = (long_name), .letter = (short_letter),                \
        .argument = (placeholder), .value.list = (variable), .help = (help_text), __VA_ARGS__ \
    }
#define TOOL_INT(long_name, short_letter, placeholder, variable, from, to, help_text, ...) \
    {                                                                                      \
        .kind = TOOL_KIND_INT, .name = (long_name), .letter = (short_letter),              \
        .argument = (placeholder), .value.integer = (variable), .minimum = (from),         \
        .maximum = (to), .help = (help_text), __VA_ARGS__                                  \
    }
#define TOOL_DOUBLE(long_name, short_letter, placeholder, variable, from, to, help_text, ...)     \
    {                                                                                             \
        .kind = TOOL_KIND_DOUBLE, .name = (long_name), .letter = (short_letter),                  \
        .argument = (placeholder), .value.number = (variable), .lowest = (from), .highest = (to), \
        .help = (help_text), __VA_ARGS__                                                          \
    }
#define TOOL_SIZE(long_name, short_letter, placeholder, variable, from, to, help_text, ...)       \
    {                                                                                             \
        .kind = TOOL_KIND_SIZE, .name = (long_name), .letter = (short_letter),                    \
        .argument = (placeholder), .value.size = (variable), .smallest = (from), .largest = (to), \
        .help = (help_text), __VA_ARGS__                                                          \
    }

/** Further arguments of these macros: TOOL_STRING("out", 0, "DIR", &out, "…", TOOL_REQUIRED). */
#define TOOL_REQUIRED           .required = true
#define TOOL_HIDDEN             .hidden = true
#define TOOL_SHOW_DEFAULT(text) .shown_default = (text)
#define TOOL_COMMANDS(list)     .commands = (list)
#define TOOL_NEEDS(list)        .needs = (list)
#define TOOL_NOT_WITH(list)     .not_with = (list)

/** A command line to show, and what it does. */
typedef struct tool_example {
    const char *command;
    const char *meaning;
} tool_example;

/** Options that every tool spells alike; `offers` says which of them make sense here. --help and
 * --version are always there. */
enum {
    TOOL_OFFERS_DEVICE = 1u << 0, /**< --backend NAME[:DEVICE] and --device INDEX|NAME. */
    TOOL_OFFERS_JSON = 1u << 1    /**< --json. */
};

/** A tool: what it is called, what it takes, and after tool_parse, what it was given. */
typedef struct tool_program {
    const char *name;        /**< "ttm-train". */
    const char *summary;     /**< What it does, in one line without a full stop. */
    const char *usage;       /**< What follows the name in the usage line; more lines after \n. */
    const char *description; /**< Paragraphs for --help and the man page, split by \n\n; or NULL. */
    unsigned offers;         /**< TOOL_OFFERS_… bits. */
    const char *commands;    /**< What the first operand may be, "train|encode"; NULL: it's no
                                  command. */
    const char *device_not_with; /**< not_with of --backend and --device. */
    const char *json_not_with;   /**< not_with of --json. */
    tool_option *options;
    size_t option_count;
    const tool_example *examples;
    size_t example_count;
    size_t operands_minimum; /**< How many arguments that aren't options must be there… */
    size_t operands_maximum; /**< …and may be. 0: none; SIZE_MAX: any number. */
    const char *operand;     /**< What they are called in messages: "FILE". */

    const char *backend; /**< --backend, else NULL: as ttm_device_open takes it. */
    const char *device;  /**< --device, else NULL: as ttm_device_open takes it. */
    bool json;           /**< --json. */
    tool_list operands;  /**< The arguments that aren't options. */
} tool_program;

/** Initialises the members options, option_count, examples and example_count from two arrays. */
#define TOOL_TABLE(option_array, example_array)                                               \
    .options = (option_array), .option_count = sizeof(option_array) / sizeof *(option_array), \
    .examples = (example_array), .example_count = sizeof(example_array) / sizeof *(example_array)

/** What tool_parse returns when the tool should go on. Every other value is its exit status. */
#define TOOL_GO_ON (-1)

/** Exit statuses of all tools. */
enum { TOOL_EXIT_DONE = 0, TOOL_EXIT_FAILED = 1, TOOL_EXIT_USAGE = 2 };

/** Reads the command line into the variables of the table. Returns TOOL_GO_ON; or, having printed
 * help, the version or one line about what is wrong, the exit status that main returns (nothing is
 * to be freed then). Also remembers the tool's name for the functions below. */
int tool_parse(tool_program *program, int argc, char **argv);

/** Returns whether the option with this long name was on the command line. */
bool tool_given(const tool_program *program, const char *name);

/** Frees what tool_parse allocated (the arrays of lists); allowed after any result of it. */
void tool_free(tool_program *program);

/** Prints "ttm-x: error: " and libttm's message for `status` to stderr; returns TOOL_EXIT_FAILED.
 */
int tool_fail(ttm_status status);

/** Prints "ttm-x: error: …" (printf format) to stderr; returns TOOL_EXIT_FAILED. */
int tool_fail_text(const char *format, ...) TTM_PRINTF(1, 2);

/** Prints "ttm-x: error: …; see ttm-x --help" (printf format) to stderr; returns TOOL_EXIT_USAGE.
 * For wrong usage that the table can't express. */
int tool_usage_error(const char *format, ...) TTM_PRINTF(1, 2);

/** Flushes stdout. Returns TOOL_EXIT_DONE, or TOOL_EXIT_FAILED with a message when something
 * printed never arrived (a full disk, a closed pipe). The last call of a successful main. */
int tool_done(void);

#endif
