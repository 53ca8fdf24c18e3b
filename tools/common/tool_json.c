#include "common/tool_json.h"

#include "common/tool_options.h"

#include <stdio.h>

int tool_print_json(ttm_json_style style, tool_json_function write, const void *result)
{
    ttm_json_writer *writer = NULL;
    const char *text = NULL;
    ttm_status status = ttm_json_writer_new(&writer, style);
    if (status == TTM_OK) {
        write(writer, result);
        status = ttm_json_writer_finish(&text, NULL, writer);
    }
    if (status == TTM_OK) {
        fputs(text, stdout);
    }
    ttm_json_writer_free(writer);
    return status == TTM_OK ? tool_done() : tool_fail(status);
}
