/* Parsing, look-up and typed getters over cJSON. Messages find a value's path by a search from the
 * root, so that nothing but a failure pays for it. */
#include "io/json.h"

#include "core/array.h"
#include "core/error.h"
#include "io/json_scan.h"
#include "io/mapped_file.h"
#include "io/string_builder.h"
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ttm_json_document {
    char *name;
    cJSON *root;
};

/* ── Parsing ── */

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/** Refuses an object in which a key occurs twice. Sorted pointers keep a vocabulary of 50,000 keys
 * fast. */
static ttm_status check_keys(const ttm_json_document *document, const cJSON *object)
{
    size_t count = 0;
    size_t capacity = 0;
    const char **keys = NULL;
    ttm_status status = TTM_OK;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        TTM_TRY_OUT(ttm_array_reserve(&keys, &capacity, count + 1, sizeof *keys, "JSON keys"));
        keys[count++] = member->string;
    }
    if (count > 1) {
        qsort(keys, count, sizeof *keys, compare_keys);
    }
    for (size_t index = 1; index < count; index++) {
        if (strcmp(keys[index - 1], keys[index]) == 0) {
            status = ttm_fail(TTM_ERROR_FORMAT,
                              "'%s': the key \"%.80s\" occurs twice in one object; remove one",
                              document->name, keys[index]);
            goto out;
        }
    }
out:
    free(keys);
    return status;
}

/** Checks the keys of every object in a value; recursion is bounded by the scanner's depth limit.
 */
static ttm_status check_all_keys(const ttm_json_document *document, const cJSON *node)
{
    if (cJSON_IsObject(node)) {
        TTM_TRY(check_keys(document, node));
    }
    for (const cJSON *child = node->child; child != NULL; child = child->next) {
        if (child->child != NULL) {
            TTM_TRY(check_all_keys(document, child));
        }
    }
    return TTM_OK;
}

ttm_status ttm_json_parse(ttm_json_document **out, const char *text, size_t bytes, const char *name)
{
    *out = NULL;
    ttm_json_document *document = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_json_scan(text, bytes, name));
    TTM_TRY(ttm_array_new(&document, 1, sizeof *document, "a JSON document"));
    document->name = strdup(name);
    document->root = cJSON_ParseWithLength(text, bytes);
    if (document->name == NULL || document->root == NULL) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to parse the %zu bytes of '%s'",
                          bytes, name);
        goto out;
    }
    TTM_TRY_OUT(check_all_keys(document, document->root));
    *out = document;
    document = NULL;
out:
    ttm_json_free(document);
    return status;
}

ttm_status ttm_json_read_file(ttm_json_document **out, const char *path, size_t max_bytes)
{
    *out = NULL;
    char *text = NULL;
    size_t bytes = 0;
    TTM_TRY(ttm_file_read(&text, &bytes, path, max_bytes));
    ttm_status status = ttm_json_parse(out, text, bytes, path);
    free(text);
    return status;
}

void ttm_json_free(ttm_json_document *document)
{
    if (document != NULL) {
        cJSON_Delete(document->root);
        free(document->name);
        free(document);
    }
}

ttm_json_value ttm_json_root(const ttm_json_document *document)
{
    return (ttm_json_value){.document = document, .node = document->root};
}

/* ── What a value is ── */

bool ttm_json_exists(ttm_json_value value)
{
    return value.node != NULL;
}

/** `types` are bits of cJSON's type masks. */
static bool has_type(ttm_json_value value, int types)
{
    return value.node != NULL && (value.node->type & types) != 0;
}

bool ttm_json_is_object(ttm_json_value value)
{
    return has_type(value, cJSON_Object);
}

bool ttm_json_is_array(ttm_json_value value)
{
    return has_type(value, cJSON_Array);
}

bool ttm_json_is_string(ttm_json_value value)
{
    return has_type(value, cJSON_String);
}

bool ttm_json_is_number(ttm_json_value value)
{
    return has_type(value, cJSON_Number);
}

bool ttm_json_is_bool(ttm_json_value value)
{
    return has_type(value, cJSON_True | cJSON_False);
}

bool ttm_json_is_null(ttm_json_value value)
{
    return has_type(value, cJSON_NULL);
}

ttm_json_value ttm_json_first(ttm_json_value container)
{
    bool can_hold = ttm_json_is_object(container) || ttm_json_is_array(container);
    return (ttm_json_value){container.document, can_hold ? container.node->child : NULL};
}

ttm_json_value ttm_json_next(ttm_json_value value)
{
    return (ttm_json_value){value.document, value.node == NULL ? NULL : value.node->next};
}

const char *ttm_json_member_name(ttm_json_value value)
{
    return value.node == NULL || value.node->string == NULL ? "" : value.node->string;
}

size_t ttm_json_count(ttm_json_value value)
{
    size_t count = 0;
    for (ttm_json_value item = ttm_json_first(value); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        count++;
    }
    return count;
}

/* ── Messages ── */

/** Appends the path from `node` down to `wanted`, such as "added_tokens[3].id"; false when it isn't
 * in there. */
static bool find_path(ttm_string *path, const cJSON *node, const cJSON *wanted)
{
    if (node == wanted) {
        return true;
    }
    size_t length = path->length;
    size_t index = 0;
    for (const cJSON *child = node->child; child != NULL; child = child->next, index++) {
        if (child != wanted && child->child == NULL) {
            continue;
        }
        ttm_status status =
            cJSON_IsArray(node)
                ? ttm_string_append_format(path, "[%zu]", index)
                : ttm_string_append_format(path, "%s%.80s", length > 0 ? "." : "", child->string);
        if (status == TTM_OK && find_path(path, child, wanted)) {
            return true;
        }
        path->length = length;
    }
    return false;
}

ttm_status ttm_json_fail(ttm_json_value value, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    ttm_string path = {0};
    bool found = value.node != NULL && find_path(&path, value.document->root, value.node);
    const char *text = found && path.length > 0 ? ttm_string_text(&path) : "its outermost value";
    ttm_status status =
        ttm_fail(TTM_ERROR_FORMAT, "'%s': %s %s",
                 value.document == NULL ? "JSON" : value.document->name, text, message);
    ttm_string_free(&path);
    return status;
}

/** Prints what a value is, for messages. */
static const char *describe(char *out, size_t bytes, const cJSON *node)
{
    if (node == NULL) {
        snprintf(out, bytes, "missing");
    } else if (cJSON_IsString(node)) {
        snprintf(out, bytes, "\"%.60s\"", node->valuestring);
    } else if (cJSON_IsNumber(node)) {
        snprintf(out, bytes, "%.17g", node->valuedouble);
    } else {
        snprintf(out, bytes, "%s",
                 cJSON_IsObject(node)  ? "an object"
                 : cJSON_IsArray(node) ? "an array"
                 : cJSON_IsTrue(node)  ? "true"
                 : cJSON_IsFalse(node) ? "false"
                                       : "null");
    }
    return out;
}

static ttm_status fail_type(ttm_json_value value, const char *wanted)
{
    char found[128];
    return ttm_json_fail(value, "must be %s, it is %s", wanted,
                         describe(found, sizeof found, value.node));
}

/* ── Values themselves ── */

ttm_status ttm_json_expect_object(ttm_json_value value)
{
    return ttm_json_is_object(value) ? TTM_OK : fail_type(value, "an object");
}

ttm_status ttm_json_expect_array(ttm_json_value value)
{
    return ttm_json_is_array(value) ? TTM_OK : fail_type(value, "an array");
}

ttm_status ttm_json_as_string(const char **out, ttm_json_value value)
{
    if (!ttm_json_is_string(value)) {
        return fail_type(value, "a string");
    }
    *out = value.node->valuestring;
    return TTM_OK;
}

ttm_status ttm_json_as_bool(bool *out, ttm_json_value value)
{
    if (!ttm_json_is_bool(value)) {
        return fail_type(value, "true or false");
    }
    *out = cJSON_IsTrue(value.node) != 0;
    return TTM_OK;
}

ttm_status ttm_json_as_double(double *out, ttm_json_value value)
{
    if (!ttm_json_is_number(value) || !isfinite(value.node->valuedouble)) {
        return fail_type(value, "a finite number");
    }
    *out = value.node->valuedouble;
    return TTM_OK;
}

ttm_status ttm_json_as_int64(int64_t *out, ttm_json_value value, int64_t minimum, int64_t maximum)
{
    double number = ttm_json_is_number(value) ? value.node->valuedouble : NAN;
    bool fits = fabs(number) <= (double)TTM_JSON_MAX_INTEGER && number == trunc(number) &&
                (int64_t)number >= minimum && (int64_t)number <= maximum;
    if (fits) {
        *out = (int64_t)number;
        return TTM_OK;
    }
    char found[128];
    describe(found, sizeof found, value.node);
    if (minimum <= -TTM_JSON_MAX_INTEGER && maximum >= TTM_JSON_MAX_INTEGER) {
        return ttm_json_fail(value, "must be an integer of at most 53 bits, it is %s", found);
    }
    return ttm_json_fail(value, "must be an integer from %" PRId64 " to %" PRId64 ", it is %s",
                         minimum, maximum, found);
}

/* ── Members ── */

ttm_json_value ttm_json_find(ttm_json_value object, const char *key)
{
    const cJSON *found =
        ttm_json_is_object(object) ? cJSON_GetObjectItemCaseSensitive(object.node, key) : NULL;
    return (ttm_json_value){object.document, found};
}

ttm_status ttm_json_get(ttm_json_value *out, ttm_json_value object, const char *key)
{
    TTM_TRY(ttm_json_expect_object(object));
    ttm_json_value found = ttm_json_find(object, key);
    if (!ttm_json_exists(found) || ttm_json_is_null(found)) {
        return ttm_json_fail(object, "lacks the key \"%s\"", key);
    }
    *out = found;
    return TTM_OK;
}

ttm_status ttm_json_get_object(ttm_json_value *out, ttm_json_value object, const char *key)
{
    TTM_TRY(ttm_json_get(out, object, key));
    return ttm_json_expect_object(*out);
}

ttm_status ttm_json_get_array(ttm_json_value *out, ttm_json_value object, const char *key)
{
    TTM_TRY(ttm_json_get(out, object, key));
    return ttm_json_expect_array(*out);
}

ttm_status ttm_json_get_string(const char **out, ttm_json_value object, const char *key)
{
    ttm_json_value value = {0};
    TTM_TRY(ttm_json_get(&value, object, key));
    return ttm_json_as_string(out, value);
}

ttm_status ttm_json_get_bool(bool *out, ttm_json_value object, const char *key)
{
    ttm_json_value value = {0};
    TTM_TRY(ttm_json_get(&value, object, key));
    return ttm_json_as_bool(out, value);
}

ttm_status ttm_json_get_double(double *out, ttm_json_value object, const char *key)
{
    ttm_json_value value = {0};
    TTM_TRY(ttm_json_get(&value, object, key));
    return ttm_json_as_double(out, value);
}

ttm_status ttm_json_get_int64(int64_t *out, ttm_json_value object, const char *key, int64_t minimum,
                              int64_t maximum)
{
    ttm_json_value value = {0};
    TTM_TRY(ttm_json_get(&value, object, key));
    return ttm_json_as_int64(out, value, minimum, maximum);
}

/** Finds an optional member: *present is false for a missing key and for null. */
static ttm_status find_optional(bool *present, ttm_json_value *out, ttm_json_value object,
                                const char *key)
{
    TTM_TRY(ttm_json_expect_object(object));
    *out = ttm_json_find(object, key);
    *present = ttm_json_exists(*out) && !ttm_json_is_null(*out);
    return TTM_OK;
}

ttm_status ttm_json_optional_string(const char **out, ttm_json_value object, const char *key)
{
    bool present = false;
    ttm_json_value value = {0};
    TTM_TRY(find_optional(&present, &value, object, key));
    return present ? ttm_json_as_string(out, value) : TTM_OK;
}

ttm_status ttm_json_optional_bool(bool *out, ttm_json_value object, const char *key)
{
    bool present = false;
    ttm_json_value value = {0};
    TTM_TRY(find_optional(&present, &value, object, key));
    return present ? ttm_json_as_bool(out, value) : TTM_OK;
}

ttm_status ttm_json_optional_double(double *out, ttm_json_value object, const char *key)
{
    bool present = false;
    ttm_json_value value = {0};
    TTM_TRY(find_optional(&present, &value, object, key));
    return present ? ttm_json_as_double(out, value) : TTM_OK;
}

ttm_status ttm_json_optional_int64(int64_t *out, ttm_json_value object, const char *key,
                                   int64_t minimum, int64_t maximum)
{
    bool present = false;
    ttm_json_value value = {0};
    TTM_TRY(find_optional(&present, &value, object, key));
    return present ? ttm_json_as_int64(out, value, minimum, maximum) : TTM_OK;
}
