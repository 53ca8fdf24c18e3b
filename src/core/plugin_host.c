/* The callbacks that plugins get, and the care that their answers need. */
#include "core/plugin_host.h"

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 4096 };

static const char *names[TTM_MAX_PLUGINS];

/* Whether a plugin has explained itself on this thread since ttm_plugin_begin. */
static _Thread_local bool explained;

/* Returns the length of the UTF-8 sequence that starts at `text` and stands for a character that
 * can be shown, 0 when there is none. The table is that of RFC 3629, section 4. */
static size_t shown_sequence(const unsigned char *text)
{
    const unsigned char first = text[0];
    if (first >= 0x20 && first < 0x7f) {
        return 1;
    }
    size_t length = 0;
    unsigned char lowest = 0x80;
    unsigned char highest = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
        lowest = first == 0xc2 ? 0xa0 : 0x80; /* U+0080 to U+009F are control characters */
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        lowest = first == 0xe0 ? 0xa0 : 0x80;
        highest = first == 0xed ? 0x9f : 0xbf;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        lowest = first == 0xf0 ? 0x90 : 0x80;
        highest = first == 0xf4 ? 0x8f : 0xbf;
    }
    for (size_t k = 1; k < length; k++) {
        if (text[k] < lowest || text[k] > highest) {
            return 0;
        }
        lowest = 0x80;
        highest = 0xbf;
    }
    return length;
}

void ttm_plugin_clean_text(char *text)
{
    while (*text != '\0') {
        const size_t length = shown_sequence((const unsigned char *)text);
        if (length == 0) {
            *text = '?';
        }
        text += length > 0 ? length : 1;
    }
}

static void log_line(int slot, ttm_log_level level, const char *line)
{
    if (line == NULL) {
        return;
    }
    if (level < TTM_LOG_ERROR || level > TTM_LOG_DEBUG) {
        level = TTM_LOG_WARNING;
    }
    char text[LINE_BYTES];
    snprintf(text, sizeof text, "%s", line);
    ttm_plugin_clean_text(text);
    ttm_log(level, "%s: %s", names[slot], text);
}

static void set_error(const char *message)
{
    if (message == NULL || message[0] == '\0') {
        return;
    }
    char text[LINE_BYTES];
    snprintf(text, sizeof text, "%s", message);
    ttm_plugin_clean_text(text);
    (void)ttm_fail(TTM_ERROR_PLUGIN, "%s", text);
    explained = true;
}

/* One log function per slot: a plugin's thread may call it at any time, and nothing but the
 * function itself tells whose line it is. */
/* clang-format off */
#define EACH_SLOT(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) \
    X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
    X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) \
    X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) \
    X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) \
    X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) \
    X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63)
/* clang-format on */
#define DEFINE_LOG(slot)                                               \
    static void log_line_##slot(ttm_log_level level, const char *line) \
    {                                                                  \
        log_line(slot, level, line);                                   \
    }
#define HOST_OF(slot) {sizeof(ttm_backend_host), log_line_##slot, set_error},

EACH_SLOT(DEFINE_LOG)

static const ttm_backend_host hosts[TTM_MAX_PLUGINS] = {EACH_SLOT(HOST_OF)};

const ttm_backend_host *ttm_plugin_host(int slot, const char *name)
{
    names[slot] = name;
    return &hosts[slot];
}

void ttm_plugin_begin(void)
{
    explained = false;
}

ttm_status ttm_plugin_end(const ttm_backend *backend, const char *function, ttm_status status)
{
    if (status == TTM_OK) {
        return TTM_OK;
    }
    const bool known = status > TTM_OK && status <= TTM_ERROR_INTERNAL;
    if (!explained && known) {
        return ttm_fail(status, "backend %s reported \"%s\" from %s and no reason", backend->name,
                        ttm_status_name(status), function);
    }
    if (!explained) {
        return ttm_fail(TTM_ERROR_PLUGIN, "backend %s returned %d, which is no status, from %s",
                        backend->name, (int)status, function);
    }
    return known ? status : TTM_ERROR_PLUGIN;
}
