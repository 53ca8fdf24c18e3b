/* GPT-2's alphabet for bytes: vocabulary files are text, so each byte is written as one printable
 * character. The 188 printable bytes of Latin-1 stand for themselves; the others, in ascending
 * order, are U+0100, U+0101, …, U+0143. */
#ifndef TTM_TEXT_BYTE_ALPHABET_H
#define TTM_TEXT_BYTE_ALPHABET_H

#include "io/string_builder.h"
#include <stddef.h>
#include <ttm/status.h>

/** Writes the text `letters` (UTF-8, in the alphabet) as bytes to `bytes`, which has room for
 * strlen(letters) bytes. Returns their number, or SIZE_MAX when a character isn't in the alphabet.
 */
size_t ttm_byte_alphabet_decode(unsigned char *bytes, const char *letters, size_t letters_bytes);

/** Appends `bytes` [count] in the alphabet (UTF-8) to `string`. */
TTM_CHECKED ttm_status ttm_byte_alphabet_append(ttm_string *string, const unsigned char *bytes,
                                                size_t count);

/** order[i] = the byte that is token i in GPT-2's vocabulary: the printable ones first, then the
 * others. */
void ttm_byte_alphabet_order(unsigned char order[256]);

#endif
