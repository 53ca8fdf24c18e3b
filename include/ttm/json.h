/* Writing JSON: metrics lines, config files, and the tools' --json output.
 *
 * A writer keeps commas, quotes, indentation and nesting right; the text grows in its own memory.
 * Errors stick: write everything, then check once, at the end.
 *
 *     ttm_json_writer *writer = NULL;
 *     status = ttm_json_writer_new(&writer, TTM_JSON_COMPACT);
 *     if (status == TTM_OK) {
 *         ttm_json_begin_object(writer);
 *         ttm_json_member_int(writer, "step", 100);
 *         ttm_json_member_float(writer, "loss", 3.25f);
 *         ttm_json_end_object(writer);
 *         status = ttm_json_writer_finish(&text, &bytes, writer);
 *     }
 *     … write the text out …
 *     ttm_json_writer_free(writer);
 *
 * One thread at a time per writer. A NULL writer is allowed everywhere and makes finish fail. */
#ifndef TTM_JSON_H
#define TTM_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ttm_json_writer ttm_json_writer;

/** How the text looks. */
typedef enum ttm_json_style {
    TTM_JSON_COMPACT = 0, /**< One line, as in metrics.jsonl. */
    TTM_JSON_INDENTED = 1 /**< Two spaces a level, for files that people read. */
} ttm_json_style;

/** Creates an empty writer. After success the caller frees it; TTM_ERROR_OUT_OF_MEMORY otherwise.
 */
TTM_API TTM_CHECKED ttm_status ttm_json_writer_new(ttm_json_writer **out, ttm_json_style style);

/** Ends one document. *text is NUL-terminated, ends in a newline, has `*bytes` bytes (`bytes` may
 * be NULL), belongs to the writer, and is valid until its next use. Fails with the first error
 * since the last reset: memory that ran out, or calls in an order that gives no JSON (a value
 * without its key, an open object: TTM_ERROR_ARGUMENT, which names it). */
TTM_API TTM_CHECKED ttm_status ttm_json_writer_finish(const char **text, size_t *bytes,
                                                      ttm_json_writer *writer);

/** Empties the writer for the next document, keeping its memory, and forgets errors. */
TTM_API void ttm_json_writer_reset(ttm_json_writer *writer);

/** Frees a writer. NULL is allowed. */
TTM_API void ttm_json_writer_free(ttm_json_writer *writer);

/** Opens an object or array, as the document, an element, or the value of the key written before.
 */
TTM_API void ttm_json_begin_object(ttm_json_writer *writer);
TTM_API void ttm_json_end_object(ttm_json_writer *writer);
TTM_API void ttm_json_begin_array(ttm_json_writer *writer);
TTM_API void ttm_json_end_array(ttm_json_writer *writer);

/** Writes a member's key; its value comes next. Whether keys repeat is the caller's business. */
TTM_API void ttm_json_key(ttm_json_writer *writer, const char *key);

/** Writes a NUL-terminated string, NULL as null. Bytes that aren't UTF-8 become U+FFFD each, so
 * that any text gives valid JSON. */
TTM_API void ttm_json_write_string(ttm_json_writer *writer, const char *text);
/** Writes a string of `bytes` bytes, which may hold NULs. */
TTM_API void ttm_json_write_bytes(ttm_json_writer *writer, const char *text, size_t bytes);
TTM_API void ttm_json_write_int(ttm_json_writer *writer, int64_t value);
TTM_API void ttm_json_write_uint(ttm_json_writer *writer, uint64_t value);
/** Writes the shortest decimal that reads back as the same double; NaN and infinities as null. */
TTM_API void ttm_json_write_double(ttm_json_writer *writer, double value);
/** Writes the shortest decimal that reads back as the same float; NaN and infinities as null. */
TTM_API void ttm_json_write_float(ttm_json_writer *writer, float value);
/** Writes true for anything but 0. */
TTM_API void ttm_json_write_bool(ttm_json_writer *writer, int value);
TTM_API void ttm_json_write_null(ttm_json_writer *writer);

/** Key and value in one call. */
TTM_API void ttm_json_member_string(ttm_json_writer *writer, const char *key, const char *text);
TTM_API void ttm_json_member_int(ttm_json_writer *writer, const char *key, int64_t value);
TTM_API void ttm_json_member_uint(ttm_json_writer *writer, const char *key, uint64_t value);
TTM_API void ttm_json_member_double(ttm_json_writer *writer, const char *key, double value);
TTM_API void ttm_json_member_float(ttm_json_writer *writer, const char *key, float value);
TTM_API void ttm_json_member_bool(ttm_json_writer *writer, const char *key, int value);

#ifdef __cplusplus
}
#endif

#endif
