/* Validation goes eight ASCII bytes at a time, which most text is. */
#include "text/text_scan.h"

#include "io/utf8.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

size_t ttm_text_valid_bytes(const char *text, size_t bytes)
{
    size_t valid = 0;
    while (valid < bytes) {
        uint64_t eight = 0;
        if (bytes - valid >= sizeof eight) {
            memcpy(&eight, text + valid, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                valid += sizeof eight;
                continue;
            }
        }
        size_t length = ttm_utf8_length(text + valid, bytes - valid);
        if (length == 0) {
            break;
        }
        valid += length;
    }
    return valid;
}

static bool is_ascii_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static bool is_wide_space(uint32_t character)
{
    return character == 0x85 || character == 0xa0 || character == 0x1680 ||
           (character >= 0x2000 && character <= 0x200a) || character == 0x2028 ||
           character == 0x2029 || character == 0x202f || character == 0x205f || character == 0x3000;
}

/** Returns whether the character that ends right before text[end] is white space. The text may be
 * broken. */
static bool is_space_before(const char *text, size_t end)
{
    const unsigned char *last = (const unsigned char *)text + end - 1;
    if (*last < 0x80) {
        return is_ascii_space(text[end - 1]);
    }
    /* White space beyond ASCII has two or three bytes. */
    if (end >= 2 && (last[-1] & 0xe0) == 0xc0) {
        return is_wide_space((uint32_t)(last[-1] & 0x1f) << 6 | (last[0] & 0x3f));
    }
    return end >= 3 && (last[-2] & 0xf0) == 0xe0 &&
           is_wide_space((uint32_t)(last[-2] & 0x0f) << 12 | (uint32_t)(last[-1] & 0x3f) << 6 |
                         (last[0] & 0x3f));
}

size_t ttm_text_chunk(const char *text, size_t bytes, size_t wanted)
{
    for (size_t end = wanted; end < bytes; end++) {
        if (is_ascii_space(text[end]) && !is_space_before(text, end)) {
            return end;
        }
    }
    return bytes;
}

size_t ttm_text_line(const char *text, size_t bytes)
{
    for (size_t end = 1; end < bytes; end++) {
        const char *feed = memchr(text + end, '\n', bytes - end);
        if (feed == NULL) {
            return bytes;
        }
        end = (size_t)(feed - text);
        if (!is_space_before(text, end)) {
            return end;
        }
    }
    return bytes;
}
