/* A growing list of tokens. */
#ifndef TTM_TEXT_TOKEN_BUFFER_H
#define TTM_TEXT_TOKEN_BUFFER_H

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include <stddef.h>
#include <stdint.h>

/** Zeroed means empty. `tokens` is freed with free(). */
typedef struct ttm_token_buffer {
    int32_t *tokens;
    size_t count;
    size_t capacity;
} ttm_token_buffer;

/** Makes room for `more` tokens. */
TTM_CHECKED static inline ttm_status ttm_token_buffer_reserve(ttm_token_buffer *buffer, size_t more)
{
    size_t needed = 0;
    if (!ttm_checked_add(&needed, buffer->count, more)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %zu tokens", more);
    }
    if (needed <= buffer->capacity) {
        return TTM_OK;
    }
    return ttm_array_reserve(&buffer->tokens, &buffer->capacity, needed, sizeof *buffer->tokens,
                             "tokens");
}

TTM_CHECKED static inline ttm_status ttm_token_buffer_add(ttm_token_buffer *buffer, int32_t token)
{
    TTM_TRY(ttm_token_buffer_reserve(buffer, 1));
    buffer->tokens[buffer->count++] = token;
    return TTM_OK;
}

#endif
