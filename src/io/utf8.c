/* Well-formed UTF-8 by the table in the Unicode standard (3.9, table 3-7). */
#include "io/utf8.h"

static bool is_between(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

size_t ttm_utf8_length(const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    if (bytes == 0) {
        return 0;
    }
    if (at[0] < 0x80) {
        return 1;
    }
    size_t length = is_between(at[0], 0xC2, 0xDF)   ? 2
                    : is_between(at[0], 0xE0, 0xEF) ? 3
                    : is_between(at[0], 0xF0, 0xF4) ? 4
                                                    : 0;
    if (length == 0 || length > bytes) {
        return 0;
    }
    /* Only the second byte's range depends on the first: overlong forms, surrogates, the end of
     * Unicode. */
    unsigned char low = at[0] == 0xE0 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
    if (!is_between(at[1], low, high)) {
        return 0;
    }
    for (size_t index = 2; index < length; index++) {
        if (!is_between(at[index], 0x80, 0xBF)) {
            return 0;
        }
    }
    return length;
}

bool ttm_utf8_valid(const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = ttm_utf8_length(text + at, bytes - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}
