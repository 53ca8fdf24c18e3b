/* Is this UTF-8? Used by the JSON reader and writer and for names in files. */
#ifndef TTM_IO_UTF8_H
#define TTM_IO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** Returns the length (1 to 4) of the well-formed UTF-8 sequence at `text`, 0 when there is none
 * within `bytes` bytes: overlong forms, surrogates and anything beyond U+10FFFF are not
 * well-formed. */
size_t ttm_utf8_length(const char *text, size_t bytes);

/** Returns whether all of the text is well-formed. */
bool ttm_utf8_valid(const char *text, size_t bytes);

#endif
