/* libFuzzer target: any bytes as JSON. The strict scanner and cJSON must agree: what the scanner
 * lets pass, cJSON parses, and every getter gives a value or a message. */
#include "io/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/** Calls every getter on a value and everything in it. */
static void visit(ttm_json_value value)
{
    const char *text = NULL;
    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    int accepted = (ttm_json_as_string(&text, value) == TTM_OK) +
                   (ttm_json_as_double(&number, value) == TTM_OK) +
                   (ttm_json_as_bool(&flag, value) == TTM_OK) +
                   (ttm_json_expect_object(value) == TTM_OK) +
                   (ttm_json_expect_array(value) == TTM_OK);
    if (accepted > 1) {
        abort();
    }
    if (ttm_json_as_int64(&integer, value, -10, 10) == TTM_OK && (integer < -10 || integer > 10)) {
        abort();
    }
    for (ttm_json_value item = ttm_json_first(value); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        visit(item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ttm_json_document *document = NULL;
    ttm_status status = ttm_json_parse(&document, (const char *)data, bytes, "fuzz");
    if (status == TTM_OK) {
        visit(ttm_json_root(document));
    } else if (status != TTM_ERROR_FORMAT) {
        abort(); /* cJSON refused what the scanner accepted */
    }
    ttm_json_free(document);
    return 0;
}
