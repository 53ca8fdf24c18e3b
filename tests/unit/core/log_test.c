/* Log lines: levels, sinks, and what isn't a level or is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ttm/log.h>

typedef struct seen_line {
    int count;
    ttm_log_level level;
    size_t length;
    char line[64];
} seen_line;

static void see(void *user, ttm_log_level level, const char *line)
{
    seen_line *seen = user;
    seen->count++;
    seen->level = level;
    seen->length = strlen(line);
    snprintf(seen->line, sizeof seen->line, "%s", line);
}

static void lines_up_to_the_level_reach_the_sink(void **state)
{
    seen_line seen = {0};
    (void)state;
    ttm_log_set_sink(see, &seen);
    ttm_log_set_level(TTM_LOG_INFO);
    ttm_log(TTM_LOG_DEBUG, "left out");
    assert_int_equal(seen.count, 0);
    assert_false(ttm_log_enabled(TTM_LOG_DEBUG));
    ttm_log(TTM_LOG_INFO, "step %d", 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, TTM_LOG_INFO);
    assert_string_equal(seen.line, "step 3");
    ttm_log_set_sink(NULL, NULL);
}

static void numbers_that_are_no_level_count_as_the_nearest(void **state)
{
    const ttm_log_level below = (ttm_log_level)-7;
    const ttm_log_level above = (ttm_log_level)99;
    seen_line seen = {0};
    (void)state;
    ttm_log_set_sink(see, &seen);
    ttm_log_set_level(TTM_LOG_DEBUG);
    ttm_log(below, "below");
    assert_int_equal(seen.level, TTM_LOG_ERROR);
    ttm_log(above, "above");
    assert_int_equal(seen.level, TTM_LOG_DEBUG);
    assert_int_equal(seen.count, 2);
    ttm_log_set_sink(NULL, NULL);
    ttm_log(below, "a line of a level below all, to stderr");
    ttm_log(above, "a line of a level above all, to stderr");
    ttm_log_set_level(TTM_LOG_WARNING);
}

static void long_lines_are_cut(void **state)
{
    seen_line seen = {0};
    char text[6000];
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ttm_log_set_sink(see, &seen);
    ttm_log(TTM_LOG_ERROR, "%s", text);
    assert_int_equal(seen.length, 4095);
    ttm_log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_up_to_the_level_reach_the_sink),
        cmocka_unit_test(numbers_that_are_no_level_count_as_the_nearest),
        cmocka_unit_test(long_lines_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
