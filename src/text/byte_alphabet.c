/* The alphabet is computed, not tabulated: the rule is shorter than its table. */
#include "text/byte_alphabet.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

/** Returns how many bytes below `byte` aren't printable. */
static unsigned unprintable_below(unsigned byte)
{
    if (byte <= 0x21) {
        return byte;
    }
    if (byte <= 0x7f) {
        return 0x21;
    }
    if (byte <= 0xa1) {
        return byte - 0x5e;
    }
    return byte <= 0xad ? 0xa1 - 0x5e : 0xa1 - 0x5e + 1;
}

/** Returns the byte that a character of the alphabet stands for, or -1. */
static int byte_of_character(unsigned character)
{
    if (character < 0x100) {
        return is_printable(character) ? (int)character : -1;
    }
    unsigned place = character - 0x100;
    if (place < 0x21) {
        return (int)place;
    }
    if (place < 0x43) {
        return (int)(place + 0x5e);
    }
    return place == 0x43 ? 0xad : -1;
}

size_t ttm_byte_alphabet_decode(unsigned char *bytes, const char *letters, size_t letters_bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < letters_bytes; i++) {
        unsigned character = (unsigned char)letters[i];
        if (character >= 0x80) {
            /* Every letter beyond ASCII is in U+0080…U+07FF: two bytes. */
            unsigned second = i + 1 < letters_bytes ? (unsigned char)letters[i + 1] : 0;
            if (character < 0xc2 || character > 0xdf || (second & 0xc0) != 0x80) {
                return SIZE_MAX;
            }
            character = (character & 0x1f) << 6 | (second & 0x3f);
            i++;
        }
        int byte = byte_of_character(character);
        if (byte < 0) {
            return SIZE_MAX;
        }
        bytes[count++] = (unsigned char)byte;
    }
    return count;
}

ttm_status ttm_byte_alphabet_append(ttm_string *string, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned character =
            is_printable(bytes[i]) ? bytes[i] : 0x100 + unprintable_below(bytes[i]);
        char letter[2] = {(char)character, 0};
        size_t letter_bytes = 1;
        if (character >= 0x80) {
            letter[0] = (char)(0xc0 | character >> 6);
            letter[1] = (char)(0x80 | (character & 0x3f));
            letter_bytes = 2;
        }
        ttm_status status = ttm_string_append_bytes(string, letter, letter_bytes);
        if (status != TTM_OK) {
            return status;
        }
    }
    return TTM_OK;
}

void ttm_byte_alphabet_order(unsigned char order[256])
{
    unsigned next = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (is_printable(byte)) {
            order[next++] = (unsigned char)byte;
        }
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        if (!is_printable(byte)) {
            order[next++] = (unsigned char)byte;
        }
    }
}
