/* The public JSON writer: a growing string and a stack of open containers. */
#include <ttm/json.h>

#include "core/array.h"
#include "core/error.h"
#include "io/string_builder.h"
#include "io/utf8.h"
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

struct ttm_json_writer {
    ttm_string text;
    ttm_json_style style;
    ttm_status status;       /* the first error, which sticks */
    char message[256];       /* its message: other calls may fail in between */
    char closers[MAX_DEPTH]; /* '}' or ']' of every open container */
    size_t depth;
    bool needs_comma; /* a value was written at this level */
    bool key_pending; /* a key waits for its value */
};

/** Keeps the first error and its message. */
static void keep_error(ttm_json_writer *writer, ttm_status status)
{
    if (writer->status == TTM_OK && status != TTM_OK) {
        writer->status = status;
        snprintf(writer->message, sizeof writer->message, "%s", ttm_error_message());
    }
}

static void misuse(ttm_json_writer *writer, const char *what)
{
    keep_error(writer, ttm_fail(TTM_ERROR_ARGUMENT, "JSON writer: %s", what));
}

static void put(ttm_json_writer *writer, const char *text, size_t bytes)
{
    if (writer->status == TTM_OK) {
        keep_error(writer, ttm_string_append_bytes(&writer->text, text, bytes));
    }
}

static void put_text(ttm_json_writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

/** Starts a line of an indented text. */
static void new_line(ttm_json_writer *writer)
{
    if (writer->style == TTM_JSON_INDENTED) {
        put(writer, "\n", 1);
        for (size_t level = 0; level < writer->depth; level++) {
            put(writer, "  ", 2);
        }
    }
}

/** Puts the comma and line break due before an element or a key. */
static void separate(ttm_json_writer *writer)
{
    if (writer->needs_comma) {
        put(writer, ",", 1);
    }
    if (writer->depth > 0) {
        new_line(writer);
    }
    writer->needs_comma = true;
}

/** Checks that a value may stand here and puts what is due before it. */
static bool begin_value(ttm_json_writer *writer)
{
    if (writer == NULL || writer->status != TTM_OK) {
        return false;
    }
    if (writer->key_pending) {
        writer->key_pending = false;
        return true;
    }
    if (writer->depth > 0 && writer->closers[writer->depth - 1] == '}') {
        misuse(writer, "a value in an object needs a key before it");
        return false;
    }
    if (writer->depth == 0 && writer->needs_comma) {
        misuse(writer, "a document has one outermost value; reset before the next");
        return false;
    }
    separate(writer);
    return true;
}

static void open_container(ttm_json_writer *writer, const char *opener, char closer)
{
    if (!begin_value(writer)) {
        return;
    }
    if (writer->depth == MAX_DEPTH) {
        misuse(writer, "objects and arrays are nested more than 64 deep");
        return;
    }
    put(writer, opener, 1);
    writer->closers[writer->depth++] = closer;
    writer->needs_comma = false;
}

static void close_container(ttm_json_writer *writer, char closer)
{
    if (writer == NULL || writer->status != TTM_OK) {
        return;
    }
    if (writer->depth == 0 || writer->closers[writer->depth - 1] != closer) {
        misuse(writer, closer == '}' ? "end of an object that isn't the innermost open one"
                                     : "end of an array that isn't the innermost open one");
        return;
    }
    if (writer->key_pending) {
        misuse(writer, "an object ends after a key without its value");
        return;
    }
    writer->depth--;
    if (writer->needs_comma) {
        new_line(writer);
    }
    put(writer, &closer, 1);
    writer->needs_comma = true;
}

/** Puts one character of a string that JSON wants escaped. */
static void put_escaped(ttm_json_writer *writer, unsigned char character)
{
    static const char short_escapes[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = character == '\0' ? NULL : strchr(short_escapes, character);
    char escape[8];
    if (found != NULL) {
        snprintf(escape, sizeof escape, "\\%c", letters[found - short_escapes]);
    } else {
        snprintf(escape, sizeof escape, "\\u%04x", character);
    }
    put_text(writer, escape);
}

/** Puts a quoted string, in runs of bytes that need no escape. */
static void put_string(ttm_json_writer *writer, const char *text, size_t bytes)
{
    put(writer, "\"", 1);
    size_t run = 0;
    size_t at = 0;
    while (at < bytes) {
        unsigned char character = (unsigned char)text[at];
        size_t length = ttm_utf8_length(text + at, bytes - at);
        bool plain = length > 0 && character >= 0x20 && character != '"' && character != '\\' &&
                     character != 0x7f;
        if (plain) {
            at += length;
            continue;
        }
        put(writer, text + run, at - run);
        if (length == 0) {
            put_text(writer, "\xef\xbf\xbd"); /* U+FFFD, the replacement character */
        } else {
            put_escaped(writer, character);
        }
        at++;
        run = at;
    }
    put(writer, text + run, at - run);
    put(writer, "\"", 1);
}

ttm_status ttm_json_writer_new(ttm_json_writer **out, ttm_json_style style)
{
    *out = NULL;
    if (style != TTM_JSON_COMPACT && style != TTM_JSON_INDENTED) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "JSON writer: %d is no style; use TTM_JSON_COMPACT or "
                        "TTM_JSON_INDENTED",
                        (int)style);
    }
    TTM_TRY(ttm_array_new(out, 1, sizeof **out, "a JSON writer"));
    (*out)->style = style;
    return TTM_OK;
}

ttm_status ttm_json_writer_finish(const char **text, size_t *bytes, ttm_json_writer *writer)
{
    *text = NULL;
    if (bytes != NULL) {
        *bytes = 0;
    }
    if (writer == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "JSON writer: no writer given (NULL)");
    }
    if (writer->status == TTM_OK && writer->depth > 0) {
        misuse(writer, "the document ends with an open object or array");
    }
    if (writer->status == TTM_OK && !writer->needs_comma) {
        misuse(writer, "the document has no value");
    }
    put(writer, "\n", 1);
    if (writer->status != TTM_OK) {
        return ttm_fail(writer->status, "%s", writer->message);
    }
    *text = ttm_string_text(&writer->text);
    if (bytes != NULL) {
        *bytes = writer->text.length;
    }
    return TTM_OK;
}

void ttm_json_writer_reset(ttm_json_writer *writer)
{
    if (writer != NULL) {
        ttm_string_clear(&writer->text);
        writer->status = TTM_OK;
        writer->depth = 0;
        writer->needs_comma = false;
        writer->key_pending = false;
    }
}

void ttm_json_writer_free(ttm_json_writer *writer)
{
    if (writer != NULL) {
        ttm_string_free(&writer->text);
        free(writer);
    }
}

void ttm_json_begin_object(ttm_json_writer *writer)
{
    open_container(writer, "{", '}');
}

void ttm_json_end_object(ttm_json_writer *writer)
{
    close_container(writer, '}');
}

void ttm_json_begin_array(ttm_json_writer *writer)
{
    open_container(writer, "[", ']');
}

void ttm_json_end_array(ttm_json_writer *writer)
{
    close_container(writer, ']');
}

void ttm_json_key(ttm_json_writer *writer, const char *key)
{
    if (writer == NULL || writer->status != TTM_OK) {
        return;
    }
    if (key == NULL || writer->key_pending || writer->depth == 0 ||
        writer->closers[writer->depth - 1] != '}') {
        misuse(writer, "a key must stand in an object, and each needs a value");
        return;
    }
    separate(writer);
    put_string(writer, key, strlen(key));
    put_text(writer, writer->style == TTM_JSON_INDENTED ? ": " : ":");
    writer->key_pending = true;
}

void ttm_json_write_bytes(ttm_json_writer *writer, const char *text, size_t bytes)
{
    if (begin_value(writer)) {
        put_string(writer, text, bytes);
    }
}

void ttm_json_write_string(ttm_json_writer *writer, const char *text)
{
    if (text == NULL) {
        ttm_json_write_null(writer);
    } else {
        ttm_json_write_bytes(writer, text, strlen(text));
    }
}

void ttm_json_write_int(ttm_json_writer *writer, int64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    if (begin_value(writer)) {
        put_text(writer, digits);
    }
}

void ttm_json_write_uint(ttm_json_writer *writer, uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    if (begin_value(writer)) {
        put_text(writer, digits);
    }
}

/** Puts digits that printf may have written with the locale's decimal comma. */
static void put_number(ttm_json_writer *writer, char *digits)
{
    const char *point = localeconv()->decimal_point;
    char *found = point[0] == '.' ? NULL : strstr(digits, point);
    if (found != NULL) {
        size_t length = strlen(point);
        *found = '.';
        memmove(found + 1, found + length, strlen(found + length) + 1);
    }
    put_text(writer, digits);
}

void ttm_json_write_double(ttm_json_writer *writer, double value)
{
    if (!isfinite(value)) {
        ttm_json_write_null(writer);
        return;
    }
    char digits[64];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    if (begin_value(writer)) {
        put_number(writer, digits);
    }
}

void ttm_json_write_float(ttm_json_writer *writer, float value)
{
    if (!isfinite(value)) {
        ttm_json_write_null(writer);
        return;
    }
    char digits[64];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value) {
            break;
        }
    }
    if (begin_value(writer)) {
        put_number(writer, digits);
    }
}

void ttm_json_write_bool(ttm_json_writer *writer, int value)
{
    if (begin_value(writer)) {
        put_text(writer, value ? "true" : "false");
    }
}

void ttm_json_write_null(ttm_json_writer *writer)
{
    if (begin_value(writer)) {
        put_text(writer, "null");
    }
}

void ttm_json_member_string(ttm_json_writer *writer, const char *key, const char *text)
{
    ttm_json_key(writer, key);
    ttm_json_write_string(writer, text);
}

void ttm_json_member_int(ttm_json_writer *writer, const char *key, int64_t value)
{
    ttm_json_key(writer, key);
    ttm_json_write_int(writer, value);
}

void ttm_json_member_uint(ttm_json_writer *writer, const char *key, uint64_t value)
{
    ttm_json_key(writer, key);
    ttm_json_write_uint(writer, value);
}

void ttm_json_member_double(ttm_json_writer *writer, const char *key, double value)
{
    ttm_json_key(writer, key);
    ttm_json_write_double(writer, value);
}

void ttm_json_member_float(ttm_json_writer *writer, const char *key, float value)
{
    ttm_json_key(writer, key);
    ttm_json_write_float(writer, value);
}

void ttm_json_member_bool(ttm_json_writer *writer, const char *key, int value)
{
    ttm_json_key(writer, key);
    ttm_json_write_bool(writer, value);
}
