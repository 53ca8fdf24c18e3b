/* Text in pieces of bytes comes out in whole characters, and never as anything but UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8_stream.h"

typedef struct text {
    char bytes[256];
    size_t count;
    size_t calls;
} text;

static void collect(void *user, const char *bytes, size_t count)
{
    text *collected = user;
    memcpy(collected->bytes + collected->count, bytes, count);
    collected->count += count;
    collected->calls++;
}

static void check(const char *in, const char *expected, bool hide_controls)
{
    /* However the text is cut in two. */
    for (size_t cut = 0; cut <= strlen(in); cut++) {
        text collected = {.count = 0};
        utf8_stream stream = {.sink = collect, .user = &collected, .hide_controls = hide_controls};
        utf8_stream_add(&stream, in, cut);
        utf8_stream_add(&stream, in + cut, strlen(in) - cut);
        utf8_stream_end(&stream);
        assert_int_equal(collected.count, strlen(expected));
        assert_memory_equal(collected.bytes, expected, collected.count);
    }
}

static void characters_of_all_lengths_pass(void **state)
{
    (void)state;
    check("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z", "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z",
          false);
    check("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF",
          true);
}

#define R "\xEF\xBF\xBD"

static void what_is_no_character_is_replaced_byte_by_byte(void **state)
{
    (void)state;
    check("a\x80z", "a" R "z", false);
    check("\xC3(", R "(", false);
    check("\xE2\x82z", R R "z", false);
    check("\xC0\xAF", R R, false);             /* overlong */
    check("\xED\xA0\x80", R R R, false);       /* surrogate */
    check("\xF4\x90\x80\x80", R R R R, false); /* beyond U+10FFFF */
    check("\xFF\xFE", R R, false);
    check("x\xF0\x9F\x98", "x" R R R, false); /* cut short */
    check("\xE2\xC3\xA4", R "\xC3\xA4", false);
}

static void a_character_is_handed_over_whole(void **state)
{
    text collected = {.count = 0};
    utf8_stream stream = {.sink = collect, .user = &collected};
    (void)state;
    utf8_stream_add(&stream, "\xE2", 1);
    utf8_stream_add(&stream, "\x82", 1);
    assert_int_equal(collected.calls, 0);
    utf8_stream_add(&stream, "\xAC", 1);
    assert_int_equal(collected.calls, 1);
    assert_int_equal(collected.count, 3);
}

static void controls_are_hidden_from_terminals(void **state)
{
    (void)state;
    check("a\x1B[31m\n\tb\x7F\xC2\x9B\xC2\xA0", "a?[31m\n\tb??\xC2\xA0", true);
    check("a\x1B[31m", "a\x1B[31m", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_all_lengths_pass),
        cmocka_unit_test(what_is_no_character_is_replaced_byte_by_byte),
        cmocka_unit_test(a_character_is_handed_over_whole),
        cmocka_unit_test(controls_are_hidden_from_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
