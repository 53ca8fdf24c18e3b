/* The JSON reader: what it accepts, what it refuses, and that its messages name file and key. */
#include "scratch_folder.h"

#include "io/json.h"
#include <math.h>

static ttm_json_document *parse(const char *text)
{
    ttm_json_document *document = NULL;
    if (ttm_json_parse(&document, text, strlen(text), "test.json") != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    return document;
}

static void values_come_back_with_their_types(void **state)
{
    (void)state;
    ttm_json_document *document =
        parse(" {\"name\": \"gpt2 \\u00e9\\ud83d\\ude00\\n\", \"layers\": 12, \"rate\": 2.5e-4, "
              "\"tied\": true, \"none\": null, \"modes\": [8, -8.0, 12e0], \"inner\": {\"x\": "
              "false}} \n");
    ttm_json_value root = ttm_json_root(document);
    const char *text = NULL;
    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    ttm_json_value value;
    assert_int_equal(ttm_json_get_string(&text, root, "name"), TTM_OK);
    assert_string_equal(text, "gpt2 é😀\n");
    assert_int_equal(ttm_json_get_int64(&integer, root, "layers", 1, 100), TTM_OK);
    assert_int_equal(integer, 12);
    assert_int_equal(ttm_json_get_double(&number, root, "rate"), TTM_OK);
    assert_true(number == 2.5e-4);
    assert_int_equal(ttm_json_get_bool(&flag, root, "tied"), TTM_OK);
    assert_true(flag);
    assert_int_equal(ttm_json_get_object(&value, root, "inner"), TTM_OK);
    assert_int_equal(ttm_json_get_bool(&flag, value, "x"), TTM_OK);
    assert_false(flag);
    assert_int_equal(ttm_json_get_array(&value, root, "modes"), TTM_OK);
    assert_int_equal(ttm_json_count(value), 3);
    int64_t sum = 0;
    for (ttm_json_value item = ttm_json_first(value); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        assert_int_equal(ttm_json_as_int64(&integer, item, -8, 12), TTM_OK);
        assert_string_equal(ttm_json_member_name(item), "");
        sum += integer;
    }
    assert_int_equal(sum, 12);
    assert_string_equal(ttm_json_member_name(ttm_json_first(root)), "name");
    assert_true(ttm_json_is_null(ttm_json_find(root, "none")));
    assert_false(ttm_json_exists(ttm_json_find(root, "NAME")));
    assert_false(ttm_json_exists(ttm_json_find(value, "x")));
    assert_int_equal(ttm_json_count(ttm_json_find(root, "name")), 0);
    ttm_json_free(document);
}

static void wrong_values_are_named_by_file_and_key(void **state)
{
    (void)state;
    ttm_json_document *document =
        parse("{\"a\": {\"list\": [1, {\"n\": \"x\"}]}, \"half\": 1.5, \"big\": 9007199254740992, "
              "\"huge\": 1e999, \"none\": null, \"small\": -9007199254740991}");
    ttm_json_value root = ttm_json_root(document);
    int64_t integer = 77;
    double number = 0;
    bool flag = false;
    const char *text = NULL;
    ttm_json_value value;
    assert_int_equal(ttm_json_get_int64(&integer, root, "half", 0, 9), TTM_ERROR_FORMAT);
    assert_string_equal(ttm_error_message(),
                        "'test.json': half must be an integer from 0 to 9, it is 1.5");
    assert_int_equal(ttm_json_get_int64(&integer, root, "big", INT64_MIN, INT64_MAX),
                     TTM_ERROR_FORMAT);
    assert_message_has("53 bits");
    assert_int_equal(ttm_json_get_int64(&integer, root, "missing", 0, 9), TTM_ERROR_FORMAT);
    assert_message_has("lacks the key \"missing\"");
    assert_int_equal(ttm_json_get_string(&text, root, "none"), TTM_ERROR_FORMAT);
    assert_message_has("lacks the key \"none\"");
    assert_int_equal(ttm_json_get_double(&number, root, "huge"), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_get_double(&number, root, "a"), TTM_ERROR_FORMAT);
    assert_message_has("a must be a finite number, it is an object");
    assert_int_equal(ttm_json_get_bool(&flag, root, "half"), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_get_array(&value, root, "a"), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_get_object(&value, root, "half"), TTM_ERROR_FORMAT);
    assert_int_equal(integer, 77);
    assert_int_equal(ttm_json_get_int64(&integer, root, "small", INT64_MIN, INT64_MAX), TTM_OK);
    assert_true(integer == -9007199254740991);
    assert_int_equal(ttm_json_get_object(&value, root, "a"), TTM_OK);
    assert_int_equal(ttm_json_get_array(&value, value, "list"), TTM_OK);
    value = ttm_json_next(ttm_json_first(value));
    assert_int_equal(ttm_json_get_int64(&integer, value, "n", 0, 9), TTM_ERROR_FORMAT);
    assert_message_has("a.list[1].n must be an integer");
    assert_message_has("\"x\"");
    assert_int_equal(ttm_json_get(&value, ttm_json_find(root, "half"), "x"), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_fail(ttm_json_find(root, "half"), "is %s", "odd"), TTM_ERROR_FORMAT);
    assert_string_equal(ttm_error_message(), "'test.json': half is odd");
    ttm_json_free(document);
}

static void optional_members_keep_their_default(void **state)
{
    (void)state;
    ttm_json_document *document = parse("{\"a\": null, \"b\": 3, \"c\": \"x\", \"d\": true}");
    ttm_json_value root = ttm_json_root(document);
    int64_t integer = 5;
    double number = 0.5;
    bool flag = false;
    const char *text = "default";
    assert_int_equal(ttm_json_optional_int64(&integer, root, "a", 0, 9), TTM_OK);
    assert_int_equal(ttm_json_optional_int64(&integer, root, "z", 0, 9), TTM_OK);
    assert_int_equal(integer, 5);
    assert_int_equal(ttm_json_optional_int64(&integer, root, "b", 0, 9), TTM_OK);
    assert_int_equal(integer, 3);
    assert_int_equal(ttm_json_optional_double(&number, root, "z"), TTM_OK);
    assert_true(number == 0.5);
    assert_int_equal(ttm_json_optional_double(&number, root, "b"), TTM_OK);
    assert_true(number == 3);
    assert_int_equal(ttm_json_optional_string(&text, root, "z"), TTM_OK);
    assert_string_equal(text, "default");
    assert_int_equal(ttm_json_optional_string(&text, root, "c"), TTM_OK);
    assert_string_equal(text, "x");
    assert_int_equal(ttm_json_optional_bool(&flag, root, "d"), TTM_OK);
    assert_true(flag);
    assert_int_equal(ttm_json_optional_int64(&integer, root, "c", 0, 9), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_optional_bool(&flag, root, "c"), TTM_ERROR_FORMAT);
    assert_int_equal(ttm_json_optional_int64(&integer, ttm_json_find(root, "c"), "x", 0, 9),
                     TTM_ERROR_FORMAT);
    ttm_json_free(document);
}

/** Asserts that a text is refused with these words. */
static void assert_refused(const char *text, size_t bytes, const char *words)
{
    ttm_json_document *document = NULL;
    if (ttm_json_parse(&document, text, bytes, "test.json") != TTM_ERROR_FORMAT) {
        fail_msg("accepted: %.*s", (int)bytes, text);
    }
    assert_null(document);
    assert_message_has("'test.json'");
    assert_message_has(words);
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "ends where a value"},
        {"  ", "ends where a value"},
        {"{", "key must be a string"},
        {"[", "ends where a value"},
        {"[1", "ends inside"},
        {"[1}", "',' or ']'"},
        {"{\"a\":1]", "',' or '}'"},
        {"[1,]", "no value starts"},
        {"{\"a\":1,}", "key must be a string"},
        {"{a:1}", "key must be a string"},
        {"{\"a\" 1}", "':' must follow"},
        {"1 2", "follows the outermost"},
        {"{} x", "follows the outermost"},
        {"nul", "no value starts"},
        {"truex", "follows the outermost"},
        {"NaN", "no value starts"},
        {"-", "needs a digit"},
        {"+1", "no value starts"},
        {"01", "starts with 0"},
        {"-01", "starts with 0"},
        {"1.", "after its point"},
        {".5", "no value starts"},
        {"1e", "exponent"},
        {"1e+", "exponent"},
        {"0x10", "follows the outermost"},
        {"1000000000000000000000000000000000000000000000000000000000000000000", "63 characters"},
        {"\"abc", "ends inside a string"},
        {"\"a\nb\"", "control character"},
        {"\"\\x\"", "no such escape"},
        {"\"\\", "no such escape"},
        {"\"\\u12g4\"", "hexadecimal"},
        {"\"\\u0000\"", "U+0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800\\n\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\xff\"", "UTF-8"},
        {"\"\xc0\xaf\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "UTF-8"},
        {"\"\xe2\x82\"", "UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "\"a\" occurs twice"},
        {"[{\"x\":{\"k\":1,\"\\u006b\":2}}]", "\"k\" occurs twice"},
        {"[1,\n 2,\n  oops]", "line 3, column 3"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        assert_refused(cases[index].text, strlen(cases[index].text), cases[index].words);
    }
    assert_refused("[1]\0", 4, "follows the outermost");
    assert_refused("[\"a\0b\"]", 7, "control character");
    assert_refused("[1, 2", 5, "ends inside");
    assert_refused("\"\xe2\x82\xac\"", 3, "UTF-8");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    enum { DEEP = 1000000 };
    static const char openers[5] = {'{', '"', '"', ':', '['};
    char *text = malloc(DEEP);
    assert_non_null(text);
    memset(text, '[', DEEP);
    assert_refused(text, DEEP, "64 deep");
    memset(text + TTM_JSON_MAX_DEPTH, ']', TTM_JSON_MAX_DEPTH);
    ttm_json_document *document = NULL;
    assert_int_equal(ttm_json_parse(&document, text, (size_t)TTM_JSON_MAX_DEPTH * 2, "deep"),
                     TTM_OK);
    ttm_json_free(document);
    for (size_t at = 0; at + 5 <= DEEP; at += 5) {
        memcpy(text + at, openers, sizeof openers);
    }
    assert_refused(text, DEEP, "64 deep");
    free(text);
}

static void files_are_read_up_to_their_cap(void **state)
{
    (void)state;
    const char *path = scratch_path("config.json");
    ttm_json_document *document = NULL;
    scratch_write(path, "{\"a\": 1}", 8);
    assert_int_equal(ttm_json_read_file(&document, path, 8), TTM_OK);
    ttm_json_free(document);
    assert_int_equal(ttm_json_read_file(&document, path, 7), TTM_ERROR_FORMAT);
    assert_message_has(path);
    assert_null(document);
    assert_int_equal(ttm_json_read_file(&document, scratch_path("x"), 8), TTM_ERROR_NOT_FOUND);
    ttm_json_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_with_their_types),
        cmocka_unit_test(wrong_values_are_named_by_file_and_key),
        cmocka_unit_test(optional_members_keep_their_default),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        scratch_test(files_are_read_up_to_their_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
