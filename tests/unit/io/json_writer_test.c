/* The JSON writer's text, that what it writes reads back, and that misuse is caught. */
#include "scratch_folder.h"

#include "io/json.h"
#include "io/string_builder.h"
#include <float.h>
#include <locale.h>
#include <math.h>
#include <ttm/json.h>

static ttm_json_writer *new_writer(ttm_json_style style)
{
    ttm_json_writer *writer = NULL;
    assert_int_equal(ttm_json_writer_new(&writer, style), TTM_OK);
    return writer;
}

static void assert_text(ttm_json_writer *writer, const char *expected)
{
    const char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_json_writer_finish(&text, &bytes, writer), TTM_OK);
    assert_string_equal(text, expected);
    assert_int_equal(bytes, strlen(expected));
}

static void write_sample(ttm_json_writer *writer)
{
    ttm_json_begin_object(writer);
    ttm_json_member_int(writer, "step", -5);
    ttm_json_member_string(writer, "name", "a\"b");
    ttm_json_key(writer, "list");
    ttm_json_begin_array(writer);
    ttm_json_write_double(writer, 0.1);
    ttm_json_write_float(writer, 0.1F);
    ttm_json_write_double(writer, NAN);
    ttm_json_write_float(writer, -INFINITY);
    ttm_json_end_array(writer);
    ttm_json_key(writer, "empty");
    ttm_json_begin_object(writer);
    ttm_json_end_object(writer);
    ttm_json_member_bool(writer, "yes", 5);
    ttm_json_member_string(writer, "no", NULL);
    ttm_json_member_uint(writer, "big", UINT64_MAX);
    ttm_json_end_object(writer);
}

static void compact_text_is_one_line(void **state)
{
    (void)state;
    ttm_json_writer *writer = new_writer(TTM_JSON_COMPACT);
    write_sample(writer);
    assert_text(writer, "{\"step\":-5,\"name\":\"a\\\"b\",\"list\":[0.1,0.1,null,null],"
                        "\"empty\":{},\"yes\":true,\"no\":null,\"big\":18446744073709551615}\n");
    ttm_json_writer_reset(writer);
    ttm_json_write_int(writer, INT64_MIN);
    assert_text(writer, "-9223372036854775808\n");
    ttm_json_writer_free(writer);
    ttm_json_writer_free(NULL);
}

static void indented_text_is_readable(void **state)
{
    (void)state;
    ttm_json_writer *writer = new_writer(TTM_JSON_INDENTED);
    ttm_json_begin_object(writer);
    ttm_json_key(writer, "a");
    ttm_json_begin_array(writer);
    ttm_json_write_int(writer, 1);
    ttm_json_begin_array(writer);
    ttm_json_end_array(writer);
    ttm_json_end_array(writer);
    ttm_json_member_bool(writer, "b", 0);
    ttm_json_end_object(writer);
    assert_text(writer, "{\n  \"a\": [\n    1,\n    []\n  ],\n  \"b\": false\n}\n");
    ttm_json_writer_free(writer);
}

static void strings_are_escaped_and_always_utf8(void **state)
{
    (void)state;
    ttm_json_writer *writer = new_writer(TTM_JSON_COMPACT);
    ttm_json_begin_array(writer);
    ttm_json_write_string(writer, "\"\\\b\f\n\r\t\x01\x7f/é😀");
    ttm_json_write_bytes(writer, "a\0b", 3);
    ttm_json_write_string(writer, "\xff-\xe2\x82-\xc3");
    ttm_json_end_array(writer);
    assert_text(writer, "[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f/é😀\",\"a\\u0000b\","
                        "\"\xef\xbf\xbd-\xef\xbf\xbd\xef\xbf\xbd-\xef\xbf\xbd\"]\n");
    ttm_json_writer_free(writer);
}

/** Writes one number and reads it back through the reader. */
static double read_back(ttm_json_writer *writer)
{
    const char *text = NULL;
    size_t bytes = 0;
    double value = 0;
    ttm_json_document *document = NULL;
    assert_int_equal(ttm_json_writer_finish(&text, &bytes, writer), TTM_OK);
    assert_int_equal(ttm_json_parse(&document, text, bytes, "number"), TTM_OK);
    assert_int_equal(ttm_json_as_double(&value, ttm_json_root(document)), TTM_OK);
    ttm_json_free(document);
    ttm_json_writer_reset(writer);
    return value;
}

static void numbers_read_back_exactly(void **state)
{
    (void)state;
    static const double numbers[] = {0.0,     -0.0, 1.0 / 3,     DBL_MAX,   DBL_MIN,
                                     5e-324,  1e21, 123456789.0, 0.1 + 0.2, -1e-7,
                                     FLT_MAX, 1e15, 3.25e10,     2.5e-4,    9007199254740993.0};
    ttm_json_writer *writer = new_writer(TTM_JSON_COMPACT);
    const char *seed_text = getenv("TTM_TEST_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 20260131;
    print_message("TTM_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        ttm_json_write_double(writer, numbers[index]);
        assert_true(read_back(writer) == numbers[index]);
    }
    for (int trial = 0; trial < 20000; trial++) {
        double number = 0;
        float narrow = 0;
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = seed ^ seed >> 29;
        memcpy(&number, &bits, sizeof number);
        memcpy(&narrow, &bits, sizeof narrow);
        if (isfinite(number)) {
            ttm_json_write_double(writer, number);
            assert_true(read_back(writer) == number);
        }
        if (isfinite(narrow)) {
            ttm_json_write_float(writer, narrow);
            assert_true((float)read_back(writer) == narrow);
        }
    }
    ttm_json_writer_free(writer);
}

static void a_decimal_comma_of_the_locale_does_not_show(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                                          "nl_NL.UTF-8"};
    bool found = false;
    for (size_t index = 0; index < sizeof locales / sizeof locales[0] && !found; index++) {
        found = setlocale(LC_NUMERIC, locales[index]) != NULL;
    }
    if (!found) {
        skip(); /* no such locale is installed */
    }
    ttm_json_writer *writer = new_writer(TTM_JSON_COMPACT);
    ttm_json_write_double(writer, 1.5);
    assert_text(writer, "1.5\n");
    ttm_json_writer_free(writer);
    setlocale(LC_NUMERIC, "C");
}

static void misuse(ttm_json_writer *writer, int which)
{
    switch (which) {
    case 0:
        ttm_json_begin_object(writer);
        ttm_json_write_int(writer, 1);
        break;
    case 1:
        ttm_json_begin_object(writer);
        ttm_json_key(writer, "a");
        ttm_json_end_object(writer);
        break;
    case 2:
        ttm_json_begin_array(writer);
        ttm_json_key(writer, "a");
        break;
    case 3:
        ttm_json_begin_array(writer);
        ttm_json_end_object(writer);
        break;
    case 4:
        ttm_json_write_int(writer, 1);
        ttm_json_write_int(writer, 2);
        break;
    case 5:
        ttm_json_end_array(writer);
        break;
    case 6:
        ttm_json_begin_array(writer);
        break;
    case 7:
        break;
    case 8:
        ttm_json_begin_object(writer);
        ttm_json_key(writer, "a");
        ttm_json_key(writer, "b");
        break;
    case 9:
        ttm_json_begin_object(writer);
        ttm_json_key(writer, NULL);
        break;
    case 10:
        for (int depth = 0; depth < 65; depth++) {
            ttm_json_begin_array(writer);
        }
        break;
    default:
        fail();
    }
}

static void calls_in_a_wrong_order_fail_at_the_end(void **state)
{
    (void)state;
    ttm_json_writer *writer = new_writer(TTM_JSON_COMPACT);
    const char *text = NULL;
    for (int which = 0; which <= 10; which++) {
        misuse(writer, which);
        assert_int_equal(ttm_json_writer_finish(&text, NULL, writer), TTM_ERROR_ARGUMENT);
        assert_null(text);
        ttm_json_writer_reset(writer);
        write_sample(writer);
        assert_int_equal(ttm_json_writer_finish(&text, NULL, writer), TTM_OK);
        ttm_json_writer_reset(writer);
    }
    ttm_json_writer_free(writer);
    write_sample(NULL);
    ttm_json_writer_reset(NULL);
    assert_int_equal(ttm_json_writer_finish(&text, NULL, NULL), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_json_writer_new(&writer, (ttm_json_style)7), TTM_ERROR_ARGUMENT);
}

static void a_string_builder_grows(void **state)
{
    (void)state;
    ttm_string string = {0};
    assert_string_equal(ttm_string_text(&string), "");
    ttm_string_clear(&string);
    for (int index = 0; index < 1000; index++) {
        assert_int_equal(ttm_string_append_format(&string, "%03d,", index), TTM_OK);
    }
    assert_int_equal(string.length, 4000);
    assert_memory_equal(ttm_string_text(&string) + 3996, "999,", 5);
    ttm_string_clear(&string);
    assert_int_equal(ttm_string_append_bytes(&string, "a\0b", 3), TTM_OK);
    assert_int_equal(ttm_string_append_bytes(&string, NULL, 0), TTM_OK);
    assert_int_equal(ttm_string_append(&string, "c"), TTM_OK);
    assert_int_equal(string.length, 4);
    assert_memory_equal(string.text, "a\0bc", 5);
    assert_int_equal(ttm_string_append_bytes(&string, "x", SIZE_MAX - 2), TTM_ERROR_OUT_OF_MEMORY);
    assert_int_equal(string.length, 4);
    ttm_string_free(&string);
    ttm_string_free(&string);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_text_is_one_line),
        cmocka_unit_test(indented_text_is_readable),
        cmocka_unit_test(strings_are_escaped_and_always_utf8),
        cmocka_unit_test(numbers_read_back_exactly),
        cmocka_unit_test(a_decimal_comma_of_the_locale_does_not_show),
        cmocka_unit_test(calls_in_a_wrong_order_fail_at_the_end),
        cmocka_unit_test(a_string_builder_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
