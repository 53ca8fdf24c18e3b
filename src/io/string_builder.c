/* Appending to a growing string. */
#include "io/string_builder.h"

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Makes room for `bytes` more and their NUL. */
static ttm_status make_room(ttm_string *string, size_t bytes)
{
    size_t needed = 0;
    if (!ttm_checked_add(&needed, string->length, bytes) || !ttm_checked_add(&needed, needed, 1)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "a text of %zu + %zu bytes is too long",
                        string->length, bytes);
    }
    return ttm_array_reserve(&string->text, &string->capacity, needed, 1, "text");
}

ttm_status ttm_string_append_bytes(ttm_string *string, const void *data, size_t bytes)
{
    TTM_TRY(make_room(string, bytes));
    if (bytes > 0) {
        memcpy(string->text + string->length, data, bytes);
    }
    string->length += bytes;
    string->text[string->length] = '\0';
    return TTM_OK;
}

ttm_status ttm_string_append(ttm_string *string, const char *text)
{
    return ttm_string_append_bytes(string, text, strlen(text));
}

ttm_status ttm_string_append_format(ttm_string *string, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ttm_status status = TTM_OK;
    if (length < 0) {
        status = ttm_fail(TTM_ERROR_INTERNAL, "the text format '%s' can't be printed", format);
        goto out;
    }
    TTM_TRY_OUT(make_room(string, (size_t)length));
    vsnprintf(string->text + string->length, (size_t)length + 1, format, again);
    string->length += (size_t)length;
out:
    va_end(again);
    return status;
}

const char *ttm_string_text(const ttm_string *string)
{
    return string->text == NULL ? "" : string->text;
}

void ttm_string_clear(ttm_string *string)
{
    string->length = 0;
    if (string->text != NULL) {
        string->text[0] = '\0';
    }
}

void ttm_string_free(ttm_string *string)
{
    free(string->text);
    *string = (ttm_string){0};
}
