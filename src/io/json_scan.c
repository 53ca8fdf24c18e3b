/* A validating scanner: one pass, no memory, a bit per open container instead of recursion. */
#include "io/json_scan.h"

#include "core/error.h"
#include "io/json.h"
#include "io/utf8.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct scanner {
    const char *text;
    size_t bytes;
    size_t at;
    const char *name;
    uint64_t objects; /* bit d: the container at depth d is an object */
    unsigned depth;
} scanner;

static ttm_status fail_here(const scanner *scan, const char *what)
{
    size_t line = 1;
    size_t line_start = 0;
    for (size_t index = 0; index < scan->at && index < scan->bytes; index++) {
        if (scan->text[index] == '\n') {
            line++;
            line_start = index + 1;
        }
    }
    return ttm_fail(TTM_ERROR_FORMAT, "'%s' isn't valid JSON: line %zu, column %zu: %s", scan->name,
                    line, scan->at - line_start + 1, what);
}

/** Returns the next byte, -1 at the end. */
static int peek(const scanner *scan)
{
    return scan->at < scan->bytes ? (unsigned char)scan->text[scan->at] : -1;
}

static void skip_space(scanner *scan)
{
    while (scan->at < scan->bytes && scan->text[scan->at] != '\0' &&
           strchr(" \t\r\n", scan->text[scan->at]) != NULL) {
        scan->at++;
    }
}

/** Reads the four digits of a \u escape; -1 when they aren't. */
static int32_t scan_hex(scanner *scan)
{
    int32_t value = 0;
    for (int digit = 0; digit < 4; digit++) {
        int byte = peek(scan);
        if (byte >= '0' && byte <= '9') {
            value = value * 16 + (byte - '0');
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
            value = value * 16 + ((byte | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
        scan->at++;
    }
    return value;
}

/** Scans what follows a backslash and `u`. */
static ttm_status scan_unicode_escape(scanner *scan)
{
    int32_t unit = scan_hex(scan);
    if (unit < 0) {
        return fail_here(scan, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return fail_here(scan, "a string holds the character U+0000, which isn't supported");
    }
    if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return fail_here(scan, "the second half of a surrogate pair stands alone");
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        bool escape = scan->bytes - scan->at >= 2 && scan->text[scan->at] == '\\' &&
                      scan->text[scan->at + 1] == 'u';
        scan->at += escape ? 2 : 0;
        int32_t second = escape ? scan_hex(scan) : -1;
        if (second < 0xDC00 || second > 0xDFFF) {
            return fail_here(scan, "the first half of a surrogate pair stands alone");
        }
    }
    return TTM_OK;
}

/** Scans a string from its opening quote. */
static ttm_status scan_string(scanner *scan)
{
    scan->at++;
    for (;;) {
        int byte = peek(scan);
        if (byte < 0) {
            return fail_here(scan, "the text ends inside a string");
        }
        if (byte == '"') {
            scan->at++;
            return TTM_OK;
        }
        if (byte < 0x20) {
            return fail_here(scan, "a control character in a string must be escaped");
        }
        if (byte == '\\') {
            scan->at++;
            int escape = peek(scan);
            if (escape <= 0 || strchr("\"\\/bfnrtu", escape) == NULL) {
                return fail_here(scan, "no such escape in a string");
            }
            scan->at++;
            if (escape == 'u') {
                TTM_TRY(scan_unicode_escape(scan));
            }
            continue;
        }
        size_t length = ttm_utf8_length(scan->text + scan->at, scan->bytes - scan->at);
        if (length == 0) {
            return fail_here(scan, "a string isn't valid UTF-8");
        }
        scan->at += length;
    }
}

/* cJSON copies a number into a buffer of 64 bytes and would stop in the middle of a longer one. */
enum { MAX_NUMBER_LENGTH = 63 };

/** Skips decimal digits; false when there is none. */
static bool scan_digits(scanner *scan)
{
    size_t start = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9') {
        scan->at++;
    }
    return scan->at > start;
}

static ttm_status scan_number(scanner *scan)
{
    size_t first = scan->at;
    if (peek(scan) == '-') {
        scan->at++;
    }
    size_t start = scan->at;
    if (!scan_digits(scan)) {
        return fail_here(scan, "a number needs a digit");
    }
    if (scan->text[start] == '0' && scan->at > start + 1) {
        return fail_here(scan, "a number starts with 0");
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan)) {
            return fail_here(scan, "a number needs a digit after its point");
        }
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') {
            scan->at++;
        }
        if (!scan_digits(scan)) {
            return fail_here(scan, "a number needs a digit in its exponent");
        }
    }
    if (scan->at - first > MAX_NUMBER_LENGTH) {
        return fail_here(scan, "a number is longer than 63 characters");
    }
    return TTM_OK;
}

static ttm_status scan_word(scanner *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t index = 0; index < sizeof words / sizeof words[0]; index++) {
        size_t length = strlen(words[index]);
        if (scan->bytes - scan->at >= length &&
            memcmp(scan->text + scan->at, words[index], length) == 0) {
            scan->at += length;
            return TTM_OK;
        }
    }
    return fail_here(scan, scan->at == scan->bytes ? "the text ends where a value should be"
                                                   : "no value starts like this");
}

/** Scans a member's key and its colon. */
static ttm_status scan_key(scanner *scan)
{
    skip_space(scan);
    if (peek(scan) != '"') {
        return fail_here(scan, "an object's key must be a string");
    }
    TTM_TRY(scan_string(scan));
    skip_space(scan);
    if (peek(scan) != ':') {
        return fail_here(scan, "a ':' must follow an object's key");
    }
    scan->at++;
    return TTM_OK;
}

/** Opens a container. *empty tells that it was closed at once, and so is a finished value. */
static ttm_status open_container(scanner *scan, bool *empty)
{
    bool object = peek(scan) == '{';
    if (scan->depth == TTM_JSON_MAX_DEPTH) {
        return fail_here(scan, "objects and arrays are nested more than 64 deep");
    }
    scan->at++;
    skip_space(scan);
    *empty = peek(scan) == (object ? '}' : ']');
    if (*empty) {
        scan->at++;
        return TTM_OK;
    }
    uint64_t bit = UINT64_C(1) << scan->depth++;
    scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
    return object ? scan_key(scan) : TTM_OK;
}

/** After a value: closes what ends here and steps over a comma to where the next value starts. */
static ttm_status scan_separator(scanner *scan)
{
    while (scan->depth > 0) {
        bool object = (scan->objects >> (scan->depth - 1) & 1) != 0;
        skip_space(scan);
        int byte = peek(scan);
        if (byte == ',') {
            scan->at++;
            return object ? scan_key(scan) : TTM_OK;
        }
        if (byte != (object ? '}' : ']')) {
            return fail_here(scan, byte < 0 ? "the text ends inside an object or array"
                                   : object ? "a ',' or '}' must follow an object's member"
                                            : "a ',' or ']' must follow an array's element");
        }
        scan->at++;
        scan->depth--;
    }
    return TTM_OK;
}

/** Scans one value up to its end, or up to the start of its first element. */
static ttm_status scan_value(scanner *scan, bool *finished)
{
    *finished = true;
    skip_space(scan);
    int byte = peek(scan);
    if (byte == '{' || byte == '[') {
        return open_container(scan, finished);
    }
    if (byte == '"') {
        return scan_string(scan);
    }
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        return scan_number(scan);
    }
    return scan_word(scan);
}

ttm_status ttm_json_scan(const char *text, size_t bytes, const char *name)
{
    scanner scan = {.text = text, .bytes = bytes, .name = name};
    do {
        bool finished = true;
        TTM_TRY(scan_value(&scan, &finished));
        if (finished) {
            TTM_TRY(scan_separator(&scan));
        }
    } while (scan.depth > 0);
    skip_space(&scan);
    if (scan.at < scan.bytes) {
        return fail_here(&scan, "something follows the outermost value");
    }
    return TTM_OK;
}
