/* Checks that a text is JSON by RFC 8259 before cJSON sees it: cJSON itself accepts control
 * characters, malformed numbers and bytes that aren't UTF-8, and cuts strings at U+0000. */
#ifndef TTM_IO_JSON_SCAN_H
#define TTM_IO_JSON_SCAN_H

#include <stddef.h>
#include <ttm/status.h>

/** TTM_OK when `text` is one JSON value, nested at most TTM_JSON_MAX_DEPTH deep, in UTF-8, without
 * U+0000 in strings. Otherwise TTM_ERROR_FORMAT, with `name`, line and column. */
TTM_CHECKED ttm_status ttm_json_scan(const char *text, size_t bytes, const char *name);

#endif
