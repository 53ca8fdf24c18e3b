/* A growing list of tokens. */
#ifndef TTM_TEXT_TOKEN_BUFFER_H
#define TTM_TEXT_TOKEN_BUFFER_H

#include "core/error.h"
#include <stddef.h>
#include <stdint.h>

/** Zeroed means empty. `tokens` is freed with free(). */
typedef struct ttm_token_buffer {
    int32_t *tokens;
    size_t count;
    size_t capacity;
} ttm_token_buffer;

/** Makes the list larger, for `more` tokens that there is no room for. */
TTM_CHECKED ttm_status ttm_token_buffer_grow(ttm_token_buffer *buffer, size_t more);

/** Makes room for `more` tokens. */
TTM_CHECKED static inline ttm_status ttm_token_buffer_reserve(ttm_token_buffer *buffer, size_t more)
{
    return more <= buffer->capacity - buffer->count ? TTM_OK : ttm_token_buffer_grow(buffer, more);
}

TTM_CHECKED static inline ttm_status ttm_token_buffer_add(ttm_token_buffer *buffer, int32_t token)
{
    TTM_TRY(ttm_token_buffer_reserve(buffer, 1));
    buffer->tokens[buffer->count++] = token;
    return TTM_OK;
}

#endif
