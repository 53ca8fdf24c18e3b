/* ttm-tokenize: learns vocabularies, and turns text into tokens and back. */
#include "common/tool_json.h"
#include "common/tool_options.h"
#include "common/tool_output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/dataset.h>
#include <ttm/tokenizer.h>
#include <unistd.h>

enum { BLOCK_TOKENS = 1 << 16, DIGITS = 12 };

/* The command line. */
typedef struct arguments {
    tool_program *program;
    const char *command;
    const char *const *files; /* what follows the command */
    size_t file_count;
    const char *tokenizer;
    const char *out;
    const char *format;
    int64_t vocab_size;
    int64_t min_frequency;
    int64_t threads;
    bool special;
} arguments;

/** Shows progress on a terminal, in one line that is written over. */
static bool show_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    double percent = total > 0 ? 100.0 * (double)done / (double)total : 100.0;
    fprintf(stderr, "\r%s %3.0f %% ", stage, percent);
    return true;
}

static ttm_text_progress progress_for_terminal(void)
{
    return isatty(STDERR_FILENO) ? show_progress : NULL;
}

/** Clears the progress line. */
static void end_progress(void)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%30s\r", "");
    }
}

/** Returns whether the name is that of a file of tokens: all tools go by it. */
static bool is_token_file(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".bin") == 0;
}

/* ---- train ---- */

static int describe(const arguments *given, const ttm_tokenizer *tokenizer);

/** Makes a folder unless it is there. *made tells whether it wasn't. */
static int make_folder(bool *made, const char *path)
{
    struct stat information;
    *made = mkdir(path, 0777) == 0;
    if (*made) {
        return TOOL_GO_ON;
    }
    if (errno == EEXIST && stat(path, &information) == 0 && !S_ISDIR(information.st_mode)) {
        return tool_fail_text("cannot create the folder '%s': a file of that name exists", path);
    }
    return errno == EEXIST
               ? TOOL_GO_ON
               : tool_fail_text("cannot create the folder '%s': %s", path, strerror(errno));
}

/** Finds out whether a vocabulary can be written into a folder, before minutes of learning, and
 * leaves everything as it is. */
static int check_folder(const char *path)
{
    bool made = false;
    char *file = NULL;
    int code = make_folder(&made, path);
    if (code == TOOL_GO_ON) {
        file = malloc(strlen(path) + sizeof "/tokenizer.json");
        code = file != NULL ? TOOL_GO_ON : tool_fail_text("no memory for the name '%s'", path);
    }
    if (code == TOOL_GO_ON) {
        sprintf(file, "%s/tokenizer.json", path);
        code = tool_output_check(file);
    }
    free(file);
    if (made) {
        rmdir(path);
    }
    return code;
}

/** Writes the vocabulary; a folder made for it goes when that fails. */
static int save(const ttm_tokenizer *tokenizer, const char *path)
{
    bool made = false;
    int code = make_folder(&made, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    const ttm_status status = ttm_tokenizer_save(tokenizer, path);
    if (status != TTM_OK) {
        code = tool_fail(status);
        if (made) {
            rmdir(path);
        }
    }
    return code;
}

static int run_train(const arguments *given)
{
    if (given->out == NULL || given->file_count == 0) {
        return tool_usage_error("train needs --out DIR and at least one FILE of text");
    }
    for (size_t i = 0; i < given->file_count; i++) {
        if (is_token_file(given->files[i])) {
            return tool_usage_error("'%s' is a file of tokens by its name; train learns from text",
                                    given->files[i]);
        }
    }
    int code = check_folder(given->out);
    if (code != TOOL_GO_ON) {
        return code;
    }
    ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
    options.vocab_size = (size_t)given->vocab_size;
    options.min_frequency = (size_t)given->min_frequency;
    options.threads = (unsigned)given->threads;
    options.progress = progress_for_terminal();
    ttm_tokenizer *tokenizer = NULL;
    const ttm_status status =
        ttm_tokenizer_train(&tokenizer, given->files, given->file_count, &options);
    end_progress();
    code = status == TTM_OK ? save(tokenizer, given->out) : tool_fail(status);
    if (code == TOOL_GO_ON) {
        code = describe(given, tokenizer);
    }
    ttm_tokenizer_close(tokenizer);
    return code;
}

/* ---- encode ---- */

/** Reads all of a stream. *text is the caller's, to be freed with free(). */
static int read_stream(char **text, size_t *bytes, FILE *stream, const char *name)
{
    size_t capacity = 1 << 16;
    *text = malloc(capacity);
    *bytes = 0;
    while (*text != NULL) {
        *bytes += fread(*text + *bytes, 1, capacity - *bytes, stream);
        if (*bytes < capacity) {
            break;
        }
        char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(*text, 2 * capacity);
        capacity *= 2;
        if (larger == NULL) {
            free(*text);
        }
        *text = larger;
    }
    if (*text == NULL) {
        return tool_fail_text("no memory to read %s", name);
    }
    if (ferror(stream)) {
        free(*text);
        *text = NULL;
        return tool_fail_text("cannot read %s: %s", name, strerror(errno));
    }
    return TOOL_EXIT_DONE;
}

/** Encodes standard input. */
static int encode_input(ttm_dataset **out, const arguments *given, const ttm_tokenizer *tokenizer)
{
    char *text = NULL;
    size_t bytes = 0;
    int code = read_stream(&text, &bytes, stdin, "the standard input");
    if (code != TOOL_EXIT_DONE) {
        return code;
    }
    ttm_encode_options options = TTM_ENCODE_OPTIONS_INIT;
    options.special_tokens = given->special;
    int32_t *tokens = NULL;
    size_t count = 0;
    ttm_status status = ttm_tokenizer_encode(&tokens, &count, tokenizer, text, bytes, &options);
    free(text);
    if (status == TTM_OK && count == 0) {
        code = tool_fail_text("the standard input is empty");
    } else if (status == TTM_OK) {
        status = ttm_dataset_from_tokens(out, tokens, count, tokenizer, 0);
    }
    free(tokens);
    return status == TTM_OK ? code : tool_fail(status);
}

static int encode_files(ttm_dataset **out, const arguments *given, const ttm_tokenizer *tokenizer)
{
    ttm_dataset_options options = TTM_DATASET_OPTIONS_INIT;
    options.threads = (unsigned)given->threads;
    options.special_tokens = given->special;
    options.progress = progress_for_terminal();
    ttm_status status =
        ttm_dataset_open(out, given->files, given->file_count, tokenizer, 0, &options);
    end_progress();
    return status == TTM_OK ? TOOL_EXIT_DONE : tool_fail(status);
}

/** Writes tokens as decimal numbers, one line a block. */
static int write_numbers(const ttm_dataset *dataset, const char *path)
{
    enum { LINE_TOKENS = 1024 };
    tool_output output;
    const int code = tool_output_open(&output, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    uint64_t total = ttm_dataset_token_count(dataset);
    ttm_status status = TTM_OK;
    for (uint64_t position = 0; position < total && status == TTM_OK; position += LINE_TOKENS) {
        int32_t tokens[LINE_TOKENS];
        size_t count = total - position < LINE_TOKENS ? (size_t)(total - position) : LINE_TOKENS;
        status = ttm_dataset_read(tokens, dataset, position, count);
        for (size_t i = 0; i < count && status == TTM_OK; i++) {
            fprintf(output.stream, "%" PRId32 "%c", tokens[i], i + 1 < count ? ' ' : '\n');
        }
    }
    return tool_output_close(&output, status == TTM_OK ? TOOL_EXIT_DONE : tool_fail(status));
}

static int write_encoded(const arguments *given, const ttm_dataset *dataset, size_t vocab_size)
{
    const char *format = given->format;
    if (format == NULL) {
        format = given->out == NULL ? "ids" : "llmc";
    }
    if (strcmp(format, "ids") == 0) {
        return write_numbers(dataset, given->out);
    }
    ttm_status status =
        ttm_dataset_write(dataset, given->out, vocab_size, strcmp(format, "nanogpt") == 0);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    uint64_t total = ttm_dataset_token_count(dataset);
    uint64_t bytes = 0;
    status = ttm_dataset_text_bytes(&bytes, dataset, 0, total);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    printf("%s: %" PRIu64 " tokens for %" PRIu64 " bytes of text\n", given->out, total, bytes);
    return tool_done();
}

/** What encode can't do with its arguments. */
static int check_encode(const arguments *given, bool numbers, bool input)
{
    if (given->file_count == 0) {
        return tool_usage_error("encode needs a FILE of text, or - for the standard input");
    }
    for (size_t i = 0; i < given->file_count && given->file_count > 1; i++) {
        if (strcmp(given->files[i], "-") == 0) {
            return tool_usage_error("-, the standard input, stands alone: give files instead (./- "
                                    "is one of that name)");
        }
    }
    if (input && tool_given(given->program, "threads")) {
        return tool_usage_error("--threads goes with encode FILE, not with encode -: one thread "
                                "encodes the standard input");
    }
    if (given->format != NULL && !numbers && given->out == NULL) {
        return tool_usage_error("--format %s needs --out FILE.bin", given->format);
    }
    if (given->out != NULL && !numbers && !is_token_file(given->out)) {
        return tool_usage_error("--out '%s': call a file of tokens .bin, or it will be taken for "
                                "text (--format ids writes numbers)",
                                given->out);
    }
    return TOOL_GO_ON;
}

static int run_encode(const arguments *given, const ttm_tokenizer *tokenizer)
{
    const bool numbers = given->format != NULL && strcmp(given->format, "ids") == 0;
    const bool input = given->file_count == 1 && strcmp(given->files[0], "-") == 0;
    int code = check_encode(given, numbers, input);
    if (code != TOOL_GO_ON) {
        return code;
    }
    ttm_dataset *dataset = NULL;
    code =
        input ? encode_input(&dataset, given, tokenizer) : encode_files(&dataset, given, tokenizer);
    if (code == TOOL_EXIT_DONE) {
        code = write_encoded(given, dataset, ttm_tokenizer_vocab_size(tokenizer));
    }
    ttm_dataset_close(dataset);
    return code;
}

/* ---- decode ---- */

/** Writes the text of some tokens. */
static int write_text(FILE *file, const ttm_tokenizer *tokenizer, const int32_t *tokens,
                      size_t count)
{
    char *text = NULL;
    size_t bytes = 0;
    ttm_status status = ttm_tokenizer_decode(&text, &bytes, tokenizer, tokens, count);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    size_t written = fwrite(text, 1, bytes, file);
    free(text);
    return written == bytes ? TOOL_EXIT_DONE
                            : tool_fail_text("cannot write the text: %s", strerror(errno));
}

/** Decodes a file of tokens. */
static int decode_tokens(FILE *file, const char *path, const ttm_tokenizer *tokenizer)
{
    ttm_dataset *dataset = NULL;
    int32_t *tokens = malloc(BLOCK_TOKENS * sizeof *tokens);
    ttm_status status = ttm_dataset_open(&dataset, &path, 1, tokenizer, 0, NULL);
    int code = status != TTM_OK ? tool_fail(status)
               : tokens == NULL ? tool_fail_text("no memory to decode '%s'", path)
                                : TOOL_EXIT_DONE;
    uint64_t total = code == TOOL_EXIT_DONE ? ttm_dataset_token_count(dataset) : 0;
    for (uint64_t at = 0; at < total && code == TOOL_EXIT_DONE; at += BLOCK_TOKENS) {
        size_t count = total - at < BLOCK_TOKENS ? (size_t)(total - at) : BLOCK_TOKENS;
        status = ttm_dataset_read(tokens, dataset, at, count);
        code = status == TTM_OK ? write_text(file, tokenizer, tokens, count) : tool_fail(status);
    }
    ttm_dataset_close(dataset);
    free(tokens);
    return code;
}

/** Decodes decimal numbers, separated by white space or commas. */
static int decode_numbers(FILE *file, FILE *numbers, const char *name,
                          const ttm_tokenizer *tokenizer)
{
    char number[DIGITS + 1];
    for (size_t place = 1;; place++) {
        (void)fscanf(numbers, "%*[ \t\r\n,]");
        int read = fscanf(numbers, "%12[^ \t\r\n,]", number);
        if (read == EOF) {
            break;
        }
        char *end = NULL;
        errno = 0;
        long long token = read == 1 ? strtoll(number, &end, 10) : -1;
        if (end == NULL || end == number || *end != '\0' || token < 0 || token > INT32_MAX) {
            return tool_fail_text("%s: number %zu isn't a token: '%s'", name, place,
                                  read == 1 ? number : "");
        }
        int32_t one = (int32_t)token;
        int code = write_text(file, tokenizer, &one, 1);
        if (code != TOOL_EXIT_DONE) {
            return code;
        }
    }
    return ferror(numbers) ? tool_fail_text("cannot read %s: %s", name, strerror(errno))
                           : TOOL_EXIT_DONE;
}

static int decode_to(FILE *file, const char *path, const ttm_tokenizer *tokenizer)
{
    if (is_token_file(path)) {
        return decode_tokens(file, path, tokenizer);
    }
    if (strcmp(path, "-") == 0) {
        return decode_numbers(file, stdin, "the standard input", tokenizer);
    }
    FILE *numbers = fopen(path, "r");
    if (numbers == NULL) {
        return tool_fail_text("cannot open '%s': %s", path, strerror(errno));
    }
    char name[4096];
    snprintf(name, sizeof name, "'%s'", path);
    int code = decode_numbers(file, numbers, name, tokenizer);
    fclose(numbers);
    return code;
}

static int run_decode(const arguments *given, const ttm_tokenizer *tokenizer)
{
    if (given->file_count != 1) {
        return tool_usage_error("decode needs one FILE of tokens, or - for the standard input");
    }
    tool_output output;
    const int code = tool_output_open(&output, given->out);
    if (code != TOOL_GO_ON) {
        return code;
    }
    return tool_output_close(&output, decode_to(output.stream, given->files[0], tokenizer));
}

/* ---- info ---- */

static void write_description(ttm_json_writer *json, const void *described)
{
    const ttm_tokenizer *tokenizer = described;
    ttm_json_begin_object(json);
    ttm_json_member_uint(json, "vocab_size", ttm_tokenizer_vocab_size(tokenizer));
    ttm_json_member_uint(json, "merges", ttm_tokenizer_merge_count(tokenizer));
    ttm_json_member_int(json, "end_of_text", ttm_tokenizer_end_of_text(tokenizer));
    ttm_json_member_string(json, "hash", ttm_tokenizer_hash(tokenizer));
    ttm_json_end_object(json);
}

/** Prints what there is to know about a tokenizer. */
static int describe(const arguments *given, const ttm_tokenizer *tokenizer)
{
    if (given->program->json) {
        return tool_print_json(TTM_JSON_COMPACT, write_description, tokenizer);
    }
    printf("vocab_size %zu\nmerges %zu\nend_of_text %" PRId32 "\nhash %s\n",
           ttm_tokenizer_vocab_size(tokenizer), ttm_tokenizer_merge_count(tokenizer),
           ttm_tokenizer_end_of_text(tokenizer), ttm_tokenizer_hash(tokenizer));
    return tool_done();
}

/** Runs the command that works with an existing tokenizer. */
static int run_with_tokenizer(const arguments *given)
{
    bool encode = strcmp(given->command, "encode") == 0;
    bool decode = strcmp(given->command, "decode") == 0;
    if (!encode && !decode && given->file_count > 0) {
        return tool_usage_error("info takes no FILE; name a vocabulary with --tokenizer");
    }
    ttm_tokenizer *tokenizer = NULL;
    ttm_status status = ttm_tokenizer_open(&tokenizer, given->tokenizer);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    int code = encode   ? run_encode(given, tokenizer)
               : decode ? run_decode(given, tokenizer)
                        : describe(given, tokenizer);
    ttm_tokenizer_close(tokenizer);
    return code;
}

int main(int argc, char **argv)
{
    arguments given = {.tokenizer = "bytes", .vocab_size = 32000, .min_frequency = 2};
    tool_option options[] = {
        TOOL_GROUP("Vocabulary"),
        TOOL_STRING("tokenizer", 't', "bytes|PATH", &given.tokenizer,
                    "the vocabulary: bytes, a file (tokenizer.json, vocab.json, merges.txt, "
                    ".tiktoken), or a folder that holds one, such as a model's",
                    TOOL_NOT_WITH("train")),
        TOOL_INT("vocab-size", 'v', "N", &given.vocab_size, 257, 1 << 24,
                 "tokens in all: bytes, merges and end-of-text", TOOL_COMMANDS("train")),
        TOOL_INT("min-frequency", 0, "N", &given.min_frequency, 1, INT64_MAX,
                 "how often two tokens must occur together to become one", TOOL_COMMANDS("train")),
        TOOL_GROUP("Tokens"),
        TOOL_CHOICE("format", 'f', "llmc|nanogpt|ids", &given.format,
                    "what is written: an llm.c file, bare 16-bit tokens, or decimal numbers",
                    TOOL_SHOW_DEFAULT("ids, or llmc with --out"), TOOL_COMMANDS("encode")),
        TOOL_FLAG("special", 0, &given.special,
                  "encode <|endoftext|> as the end-of-text token instead of as text",
                  TOOL_COMMANDS("encode")),
        TOOL_GROUP("How"),
        TOOL_STRING("out", 'o', "PATH", &given.out,
                    "where to write: train, a folder; encode and decode, a file",
                    TOOL_NOT_WITH("info")),
        TOOL_INT("threads", 0, "N", &given.threads, 0, 256, "how many threads work; 0: all cores",
                 TOOL_COMMANDS("train|encode")),
    };
    const tool_example examples[] = {
        {"ttm-tokenize train --vocab-size 8000 --out vocabulary book.txt",
         "learn a vocabulary of 8000 tokens"},
        {"ttm-tokenize encode --tokenizer vocabulary --out book.bin book.txt",
         "make training data of a text"},
        {"echo 'Hello' | ttm-tokenize encode -", "print the tokens of a line"},
        {"ttm-tokenize decode --tokenizer vocabulary book.bin", "print the text of tokens"},
        {"ttm-tokenize info --tokenizer vocabulary", "print a vocabulary's size and fingerprint"},
    };
    tool_program program = {
        .name = "ttm-tokenize",
        .summary = "learn vocabularies, and turn text into tokens and back",
        .usage = "train --out DIR [option…] FILE…\n"
                 "encode [option…] FILE…|-\n"
                 "decode [option…] FILE|-\n"
                 "info [option…]",
        .offers = TOOL_OFFERS_JSON,
        .commands = "train|encode|decode|info",
        .json_not_with = "encode|decode",
        TOOL_TABLE(options, examples),
        .operands_minimum = 1,
        .operands_maximum = SIZE_MAX,
        .operand = "COMMAND",
    };
    given.program = &program;
    /* A file size limit shows as a failed write, which has a message, rather than as a signal. */
    signal(SIGXFSZ, SIG_IGN);
    int code = tool_parse(&program, argc, argv);
    if (code != TOOL_GO_ON) {
        return code;
    }
    given.command = program.operands.items[0];
    given.files = (const char *const *)program.operands.items + 1;
    given.file_count = program.operands.count - 1;
    code = strcmp(given.command, "train") == 0 ? run_train(&given) : run_with_tokenizer(&given);
    tool_free(&program);
    return code;
}
