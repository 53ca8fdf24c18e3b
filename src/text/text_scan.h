/* What is done to text before it is split: how far it is valid UTF-8, and where a long text may be
 * cut. */
#ifndef TTM_TEXT_TEXT_SCAN_H
#define TTM_TEXT_TEXT_SCAN_H

#include <stddef.h>

/** Returns how many bytes from the start of `text` are valid UTF-8: up to the first byte of the
 * first broken character. */
size_t ttm_text_valid_bytes(const char *text, size_t bytes);

/** Returns the length of the first chunk of `text` [bytes]: the first place at or after `wanted` >
 * 0 where cutting changes no token, or `bytes`. That is before an ASCII white space that follows a
 * character which isn't white space, as no piece of GPT-2's split pattern has one inside and none
 * looks farther. A chunk depends on the text only. */
size_t ttm_text_chunk(const char *text, size_t bytes, size_t wanted);

/** Returns the length of the first line of `text` [bytes > 0], cut like a chunk: line breaks begin
 * the next one. */
size_t ttm_text_line(const char *text, size_t bytes);

#endif
