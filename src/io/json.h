/* Reading JSON that comes from outside: a strict, bounded layer over cJSON.
 *
 * The text must be UTF-8 and the grammar RFC 8259's, nested at most TTM_JSON_MAX_DEPTH deep.
 * Duplicate keys and the character U+0000 in strings are refused: both would make two readers see
 * two different files. Every getter's message names the file and the key, such as "'config.json':
 * n_layer must be an integer from 1 to 1000, it is "twelve"". A document is read-only once parsed;
 * many threads may read it. */
#ifndef TTM_IO_JSON_H
#define TTM_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** Arrays and objects may be nested this deep. */
#define TTM_JSON_MAX_DEPTH 64

/** The largest integer magnitude that getters accept: numbers travel as doubles, exact up to here
 * (2^53 − 1). */
#define TTM_JSON_MAX_INTEGER INT64_C(9007199254740991)

typedef struct ttm_json_document ttm_json_document;

/** A value inside a document, passed by value. Lives as long as its document. A NULL node means "no
 * value". */
typedef struct ttm_json_value {
    const ttm_json_document *document;
    const struct cJSON *node;
} ttm_json_value;

/** Parses `bytes` bytes (no NUL needed). `name` stands for the text in messages: its path.
 * TTM_ERROR_FORMAT names the line and column of what is wrong. After success the caller frees with
 * ttm_json_free; the text isn't needed any more. */
TTM_CHECKED ttm_status ttm_json_parse(ttm_json_document **out, const char *text, size_t bytes,
                                      const char *name);

/** Reads and parses the file `path` of at most `max_bytes` bytes. */
TTM_CHECKED ttm_status ttm_json_read_file(ttm_json_document **out, const char *path,
                                          size_t max_bytes);

/** Frees a document and all its values and strings. NULL is allowed. */
void ttm_json_free(ttm_json_document *document);

/** Returns the outermost value. */
ttm_json_value ttm_json_root(const ttm_json_document *document);

/* ── What a value is ── */

/** False for "no value": a missing key, or the end of an iteration. */
bool ttm_json_exists(ttm_json_value value);
bool ttm_json_is_object(ttm_json_value value);
bool ttm_json_is_array(ttm_json_value value);
bool ttm_json_is_string(ttm_json_value value);
bool ttm_json_is_number(ttm_json_value value);
bool ttm_json_is_bool(ttm_json_value value);
bool ttm_json_is_null(ttm_json_value value);

/** Returns the number of elements of an array or members of an object (walks them), 0 for anything
 * else. */
size_t ttm_json_count(ttm_json_value value);

/* ── Iteration, in file order:
 *     for (ttm_json_value item = ttm_json_first(array); ttm_json_exists(item); item =
 * ttm_json_next(item)) ── */

/** Returns the first element or member of an array or object, "no value" when there is none. */
ttm_json_value ttm_json_first(ttm_json_value container);
/** Returns the element or member after `value`. */
ttm_json_value ttm_json_next(ttm_json_value value);
/** Returns a member's key, "" for an array's element or the root. Lives as long as the document. */
const char *ttm_json_member_name(ttm_json_value value);

/* ── Members of objects. Required: a missing key, or null, is TTM_ERROR_FORMAT. `object` must be an
 * object, or that is the error. A look-up walks the members: index a large object yourself. ── */

/** Returns the member `key`, "no value" when `object` lacks it or isn't an object. Never fails. */
ttm_json_value ttm_json_find(ttm_json_value object, const char *key);

TTM_CHECKED ttm_status ttm_json_get(ttm_json_value *out, ttm_json_value object, const char *key);
TTM_CHECKED ttm_status ttm_json_get_object(ttm_json_value *out, ttm_json_value object,
                                           const char *key);
TTM_CHECKED ttm_status ttm_json_get_array(ttm_json_value *out, ttm_json_value object,
                                          const char *key);
/** *out lives as long as the document. */
TTM_CHECKED ttm_status ttm_json_get_string(const char **out, ttm_json_value object,
                                           const char *key);
TTM_CHECKED ttm_status ttm_json_get_bool(bool *out, ttm_json_value object, const char *key);
/** A finite number. */
TTM_CHECKED ttm_status ttm_json_get_double(double *out, ttm_json_value object, const char *key);
/** An integer from `minimum` to `maximum`; 3.0 is one, 3.5 isn't, nor is anything beyond
 * TTM_JSON_MAX_INTEGER. */
TTM_CHECKED ttm_status ttm_json_get_int64(int64_t *out, ttm_json_value object, const char *key,
                                          int64_t minimum, int64_t maximum);

/* ── Optional members: a missing key, or null, leaves *out as it was and is TTM_OK; a wrong type is
 * still an error. ── */

TTM_CHECKED ttm_status ttm_json_optional_string(const char **out, ttm_json_value object,
                                                const char *key);
TTM_CHECKED ttm_status ttm_json_optional_bool(bool *out, ttm_json_value object, const char *key);
TTM_CHECKED ttm_status ttm_json_optional_double(double *out, ttm_json_value object,
                                                const char *key);
TTM_CHECKED ttm_status ttm_json_optional_int64(int64_t *out, ttm_json_value object, const char *key,
                                               int64_t minimum, int64_t maximum);

/* ── A value itself, for elements of arrays and for the root. ── */

TTM_CHECKED ttm_status ttm_json_expect_object(ttm_json_value value);
TTM_CHECKED ttm_status ttm_json_expect_array(ttm_json_value value);
TTM_CHECKED ttm_status ttm_json_as_string(const char **out, ttm_json_value value);
TTM_CHECKED ttm_status ttm_json_as_bool(bool *out, ttm_json_value value);
TTM_CHECKED ttm_status ttm_json_as_double(double *out, ttm_json_value value);
TTM_CHECKED ttm_status ttm_json_as_int64(int64_t *out, ttm_json_value value, int64_t minimum,
                                         int64_t maximum);

/** Fails with TTM_ERROR_FORMAT and "'FILE': KEY " before the message (printf format), for checks
 * that the getters above don't make: `return ttm_json_fail(value, "must be one of gelu_new,
 * gelu")`. */
ttm_status ttm_json_fail(ttm_json_value value, const char *format, ...) TTM_PRINTF(2, 3);

#endif
