/* The pattern is compiled by PCRE2, with its just-in-time compiler where the machine has one.
 *
 * What letters and numbers are must not depend on which PCRE2 is installed: a text would get other
 * tokens on another machine. PCRE2 10.42, the oldest supported, knows Unicode 14; what Unicode 15
 * to 16 added, as in tiktoken 0.14, is spelled out below, and a newer PCRE2 merely knows it twice.
 * White space is spelled out entirely, because PCRE2's \s has U+180E, which Unicode took out. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/splitter.h"

#include "core/array.h"
#include "core/error.h"
#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>

#define NEW_LETTERS                                                                        \
    "\\x{1c89}-\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}"       \
    "\\x{10d4a}-\\x{10d65}\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}-\\x{11240}" \
    "\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}"   \
    "\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{11f33}"  \
    "\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}"            \
    "\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}"             \
    "\\x{1e030}-\\x{1e06d}\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}"  \
    "\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"

#define NEW_NUMBERS                                                                        \
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}" \
    "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}" \
    "\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"

#define SPACES                                                                                   \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}"
#define LETTERS "\\p{L}" NEW_LETTERS
#define NUMBERS "\\p{N}" NEW_NUMBERS

static const char pattern[] = "'(?:[sdmt]|ll|ve|re)"
                              "| ?[" LETTERS "]+"
                              "| ?[" NUMBERS "]+"
                              "| ?[^" SPACES LETTERS NUMBERS "]+"
                              "|[" SPACES "]+(?![^" SPACES "])"
                              "|[" SPACES "]+";

struct ttm_splitter {
    pcre2_code *code;
    bool compiled_to_machine_code;
};

ttm_status ttm_splitter_new(ttm_splitter **out)
{
    *out = NULL;
    ttm_splitter *splitter = NULL;
    TTM_TRY(ttm_array_new(&splitter, 1, sizeof *splitter, "the split pattern"));
    int error = 0;
    PCRE2_SIZE offset = 0;
    splitter->code = pcre2_compile((PCRE2_SPTR)pattern, sizeof pattern - 1,
                                   PCRE2_UTF | PCRE2_ANCHORED, &error, &offset, NULL);
    if (splitter->code == NULL) {
        free(splitter);
        PCRE2_UCHAR message[128] = "";
        pcre2_get_error_message(error, message, sizeof message);
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "PCRE2 refuses GPT-2's split pattern at byte %zu: %s; libttm needs a PCRE2 "
                        "with Unicode support",
                        offset, (const char *)message);
    }
    splitter->compiled_to_machine_code = pcre2_jit_compile(splitter->code, PCRE2_JIT_COMPLETE) == 0;
    *out = splitter;
    return TTM_OK;
}

void ttm_splitter_free(ttm_splitter *splitter)
{
    if (splitter != NULL) {
        pcre2_code_free(splitter->code);
        free(splitter);
    }
}

ttm_status ttm_split_begin(ttm_split *split, const ttm_splitter *splitter)
{
    *split = (ttm_split){.splitter = splitter, .match = pcre2_match_data_create(1, NULL)};
    return split->match != NULL ? TTM_OK
                                : ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to split text");
}

void ttm_split_end(ttm_split *split)
{
    pcre2_match_data_free(split->match);
    split->match = NULL;
}

ttm_status ttm_split_next_plain(size_t *end, const ttm_split *split, const char *text, size_t bytes,
                                size_t start)
{
    const ttm_splitter *splitter = split->splitter;
    int matched = PCRE2_ERROR_JIT_STACKLIMIT;
    if (splitter->compiled_to_machine_code) {
        matched = pcre2_jit_match(splitter->code, (PCRE2_SPTR)text, bytes, start,
                                  PCRE2_NO_UTF_CHECK, split->match, NULL);
    }
    if (matched == PCRE2_ERROR_JIT_STACKLIMIT) {
        matched = pcre2_match(splitter->code, (PCRE2_SPTR)text, bytes, start,
                              PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, split->match, NULL);
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(split->match);
    if (matched < 0 || range[1] <= start) {
        return ttm_fail(
            matched == PCRE2_ERROR_NOMEMORY ? TTM_ERROR_OUT_OF_MEMORY : TTM_ERROR_INTERNAL,
            "splitting text failed at byte %zu of %zu (PCRE2 error %d)", start, bytes, matched);
    }
    *end = range[1];
    return TTM_OK;
}

static bool is_ascii_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

/** Returns where a word of ASCII letters, with or without a space before it, ends, or `start` when
 * there is none. What follows must be ASCII too: only then it is certain not to be a letter. */
static size_t ascii_word_end(const char *text, size_t bytes, size_t start)
{
    size_t first = text[start] == ' ' ? start + 1 : start;
    size_t at = first;
    while (at < bytes && is_ascii_letter(text[at])) {
        at++;
    }
    return at > first && (at == bytes || (unsigned char)text[at] < 0x80) ? at : start;
}

ttm_status ttm_split_next(size_t *end, const ttm_split *split, const char *text, size_t bytes,
                          size_t start)
{
    /* Most pieces of most texts are such words, and calling PCRE2 takes longer than finding their
     * ends. */
    *end = ascii_word_end(text, bytes, start);
    return *end > start ? TTM_OK : ttm_split_next_plain(end, split, text, bytes, start);
}
