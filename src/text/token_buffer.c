/* The growth of a list of tokens; the rest is inline in its header. */
#include "text/token_buffer.h"

#include "core/array.h"
#include "core/checked.h"

ttm_status ttm_token_buffer_grow(ttm_token_buffer *buffer, size_t more)
{
    size_t needed = 0;
    if (!ttm_checked_add(&needed, buffer->count, more)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %zu tokens", more);
    }
    return ttm_array_reserve(&buffer->tokens, &buffer->capacity, needed, sizeof *buffer->tokens,
                             "tokens");
}
