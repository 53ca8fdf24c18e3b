/* What plugins may call of libttm (log and error), and how their answers become statuses with a
 * message.
 *
 * Around every call of a plugin's function that returns a status:
 *
 *     ttm_plugin_begin();
 *     return ttm_plugin_end(backend, "stream_create", backend->stream_create(&handle, device)); */
#ifndef TTM_CORE_PLUGIN_HOST_H
#define TTM_CORE_PLUGIN_HOST_H

#include <ttm/backend.h>

/** Plugins that one process may load. Each has its own pair of callbacks, since these carry no
 * argument that would say whose they are. */
#define TTM_MAX_PLUGINS 64

/** Returns the callbacks for the plugin number `slot` < TTM_MAX_PLUGINS, whose log lines begin with
 * `name` (not copied, must live until the process ends). One call per slot. */
const ttm_backend_host *ttm_plugin_host(int slot, const char *name);

/** Notes that a plugin's function is about to be called by this thread. */
void ttm_plugin_begin(void);

/** Returns what the plugin's `function` returned. A failure always has a message afterwards: the
 * one that the plugin set since ttm_plugin_begin, or one made from the status; a number that is no
 * status becomes TTM_ERROR_PLUGIN. */
TTM_CHECKED ttm_status ttm_plugin_end(const ttm_backend *backend, const char *function,
                                      ttm_status status);

/** Calls a plugin's function that returns a status, as described above. */
#define TTM_PLUGIN_CALL(backend, function, ...) \
    (ttm_plugin_begin(), ttm_plugin_end(backend, #function, (backend)->function(__VA_ARGS__)))

/** Replaces what can't be shown in one line of text, bytes that aren't UTF-8 and control
 * characters, by '?'. */
void ttm_plugin_clean_text(char *text);

#endif
