/* UTF-8 as RFC 3629 defines it, one byte at a time. */
#include "common/utf8_stream.h"

static const char replacement[] = "\xEF\xBF\xBD";

static void replace_pending(utf8_stream *stream)
{
    for (size_t index = 0; index < stream->pending_bytes; index++) {
        stream->sink(stream->user, replacement, sizeof replacement - 1);
    }
    stream->pending_bytes = 0;
}

/* Returns the length of the character that a byte begins, 0 when it can't begin one. */
static size_t character_bytes(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* Whether a byte may follow what is pending: overlong forms, surrogates and numbers beyond U+10FFFF
 * show in the second byte. */
static bool continues(const utf8_stream *stream, unsigned char byte)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (stream->pending_bytes == 1) {
        low = stream->pending[0] == 0xE0 ? 0xA0 : stream->pending[0] == 0xF0 ? 0x90 : 0x80;
        high = stream->pending[0] == 0xED ? 0x9F : stream->pending[0] == 0xF4 ? 0x8F : 0xBF;
    }
    return byte >= low && byte <= high;
}

static void pass_on(utf8_stream *stream)
{
    const unsigned char first = stream->pending[0];
    const bool control = stream->pending_bytes == 1 && (first < 0x20 || first == 0x7F) &&
                         first != '\n' && first != '\t';
    /* U+0080 to U+009F steer terminals too. */
    const bool control_2 = stream->pending_bytes == 2 && first == 0xC2 && stream->pending[1] < 0xA0;
    if (stream->hide_controls && (control || control_2)) {
        stream->sink(stream->user, "?", 1);
    } else {
        stream->sink(stream->user, (const char *)stream->pending, stream->pending_bytes);
    }
    stream->pending_bytes = 0;
}

void utf8_stream_add(utf8_stream *stream, const char *data, size_t bytes)
{
    for (size_t index = 0; index < bytes; index++) {
        const unsigned char byte = (unsigned char)data[index];
        if (stream->pending_bytes > 0 && !continues(stream, byte)) {
            replace_pending(stream);
        }
        if (stream->pending_bytes == 0) {
            stream->wanted_bytes = character_bytes(byte);
        }
        stream->pending[stream->pending_bytes++] = byte;
        if (stream->wanted_bytes == 0) {
            replace_pending(stream);
        } else if (stream->pending_bytes == stream->wanted_bytes) {
            pass_on(stream);
        }
    }
}

void utf8_stream_end(utf8_stream *stream)
{
    replace_pending(stream);
}
