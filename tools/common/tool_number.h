/* Numbers as people type them on command lines. Each function returns false for a text that isn't
 * wholly such a number, and leaves *value alone then. */
#ifndef TTM_TOOLS_COMMON_TOOL_NUMBER_H
#define TTM_TOOLS_COMMON_TOOL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/** A whole number: 1000, -5, 1_000_000, 2.5e6. */
bool tool_parse_int(int64_t *value, const char *text);

/** A finite number: 3e-4, 0.1, 1_000.5. */
bool tool_parse_double(double *value, const char *text);

/** Bytes: 4096, 512K, 1.5G, 2GiB; suffixes are powers of 1024. */
bool tool_parse_size(uint64_t *value, const char *text);

#endif
