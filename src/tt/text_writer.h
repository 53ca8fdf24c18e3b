/* Formatted text into a buffer of fixed size, piece by piece, with one check at the end. */
#ifndef TTM_TT_TEXT_WRITER_H
#define TTM_TT_TEXT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <ttm/status.h>

/** Start with {text, text_bytes, 0, false}. */
typedef struct ttm_text_writer {
    char *text;
    size_t bytes;
    size_t used;
    bool full; /**< Something didn't fit; what comes after it is dropped. */
} ttm_text_writer;

/** Appends (printf format). */
void ttm_text_put(ttm_text_writer *out, const char *format, ...) TTM_PRINTF(2, 3);

/** TTM_ERROR_ARGUMENT, naming `what`, when something didn't fit. */
TTM_CHECKED ttm_status ttm_text_finish(const ttm_text_writer *out, const char *what);

#endif
