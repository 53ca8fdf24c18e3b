/* Text that arrives in arbitrary pieces of bytes, passed on in whole UTF-8 characters. */
#ifndef TTM_TOOLS_COMMON_UTF8_STREAM_H
#define TTM_TOOLS_COMMON_UTF8_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/** Receives valid UTF-8. */
typedef void (*utf8_sink)(void *user, const char *text, size_t bytes);

/** A character that hasn't arrived completely. Zeroed but for the sink. */
typedef struct utf8_stream {
    utf8_sink sink;
    void *user;
    bool hide_controls; /* control characters but \n and \t become '?': they could steer a terminal
                         */
    unsigned char pending[4];
    size_t pending_bytes;
    size_t wanted_bytes; /* length of the character that is pending */
} utf8_stream;

/** Passes on every character that `bytes` bytes complete. Bytes that can't be part of one become
 * U+FFFD each. */
void utf8_stream_add(utf8_stream *stream, const char *data, size_t bytes);

/** Ends the text: what is pending becomes U+FFFD. */
void utf8_stream_end(utf8_stream *stream);

#endif
