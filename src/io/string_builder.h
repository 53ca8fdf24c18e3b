/* A string that grows, for messages, JSON and small files built in memory. */
#ifndef TTM_IO_STRING_BUILDER_H
#define TTM_IO_STRING_BUILDER_H

#include <stddef.h>
#include <ttm/status.h>

/** A growing string. Zeroed means empty. `text` is NUL-terminated, and NULL only before the first
 * append. */
typedef struct ttm_string {
    char *text;
    size_t length; /**< In bytes, without the NUL. */
    size_t capacity;
} ttm_string;

/** Appends `bytes` bytes, which may hold NULs. After failure (memory) the string is unchanged. */
TTM_CHECKED ttm_status ttm_string_append_bytes(ttm_string *string, const void *data, size_t bytes);

/** Appends a NUL-terminated text. */
TTM_CHECKED ttm_status ttm_string_append(ttm_string *string, const char *text);

/** Appends what printf would print. */
TTM_CHECKED ttm_status ttm_string_append_format(ttm_string *string, const char *format, ...)
    TTM_PRINTF(2, 3);

/** Returns the text, "" when nothing was appended yet. Valid until the next change. */
const char *ttm_string_text(const ttm_string *string);

/** Empties the string and keeps its memory. */
void ttm_string_clear(ttm_string *string);

/** Frees the memory; the string is empty and usable again. */
void ttm_string_free(ttm_string *string);

#endif
