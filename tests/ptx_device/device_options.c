/* Build options, as strict as NVIDIA's compiler takes them. */
#include "device_compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *device_text(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    return text;
}

static int is_one_of(const char *word, const char *const *known)
{
    while (*known != NULL && strcmp(word, *known) != 0) {
        known++;
    }
    return *known != NULL;
}

/* What clang knows by the same name. */
static int is_passed(const char *word)
{
    static const char *const known[] = {"-w",
                                        "-Werror",
                                        "-cl-std=CL1.0",
                                        "-cl-std=CL1.1",
                                        "-cl-std=CL1.2",
                                        "-cl-mad-enable",
                                        "-cl-fast-relaxed-math",
                                        "-cl-finite-math-only",
                                        "-cl-unsafe-math-optimizations",
                                        "-cl-no-signed-zeros",
                                        "-cl-denorms-are-zero",
                                        "-cl-single-precision-constant",
                                        "-cl-opt-disable",
                                        "-cl-fp32-correctly-rounded-divide-sqrt",
                                        "-cl-strict-aliasing",
                                        "-cl-kernel-arg-info",
                                        NULL};
    return is_one_of(word, known) ||
           ((strncmp(word, "-D", 2) == 0 || strncmp(word, "-I", 2) == 0) && word[2] != '\0');
}

static int is_number(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* What only NVIDIA's compiler knows, and what says nothing about the result. */
static int is_taken(const char *word)
{
    static const char *const with_number[] = {"-cl-nv-maxrregcount=", "-cl-nv-opt-level=", NULL};
    for (const char *const *known = with_number; *known != NULL; known++) {
        if (strncmp(word, *known, strlen(*known)) == 0) {
            return is_number(word + strlen(*known));
        }
    }
    return strcmp(word, "-cl-nv-verbose") == 0;
}

/* Takes a word; returns whether it is known. `next` is the word behind it or NULL, and *takes_next
 * = whether it belongs to this one. */
static int take(device_options *options, const char *word, const char *next, int *takes_next)
{
    *takes_next = 0;
    if (strcmp(word, "-cl-nv-maxrregcount") == 0 || strcmp(word, "-cl-nv-opt-level") == 0) {
        *takes_next = 1;
        return next != NULL && is_number(next);
    }
    if (is_taken(word)) {
        return 1;
    }
    if (strcmp(word, "-D") == 0 || strcmp(word, "-I") == 0) {
        *takes_next = 1;
        if (next == NULL) {
            return 0;
        }
        options->words[options->count++] = word;
        options->words[options->count++] = next;
        return 1;
    }
    if (is_passed(word)) {
        options->words[options->count++] = word;
        return 1;
    }
    return 0;
}

cl_int device_options_read(device_options *options, char **log, const char *text)
{
    char *rest = NULL;
    *options = (device_options){.text = strdup(text != NULL ? text : "")};
    if (options->text == NULL) {
        return CL_OUT_OF_HOST_MEMORY;
    }
    char *word = strtok_r(options->text, " \t\r\n", &rest);
    while (word != NULL) {
        char *next = strtok_r(NULL, " \t\r\n", &rest);
        int takes_next = 0;
        if (options->count + 2 > DEVICE_MOST_OPTIONS || !take(options, word, next, &takes_next)) {
            *log =
                device_text("option '%s' isn't known, lacks its value, or is one too many\n", word);
            return CL_INVALID_BUILD_OPTIONS;
        }
        word = takes_next ? strtok_r(NULL, " \t\r\n", &rest) : next;
    }
    return CL_SUCCESS;
}
