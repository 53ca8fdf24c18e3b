/* Opening the tested device through libttm, and running cases there. */
#include "conformance/through.h"

#include "core/device_internal.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ttm_status through_set_path(const char *plugin_path, const char *oracle_path)
{
    const char *before = getenv("TTM_BACKEND_PATH");
    char *folders[2] = {realpath(plugin_path, NULL), realpath(oracle_path, NULL)};
    char *path = NULL;
    ttm_status status = TTM_OK;
    for (int k = 0; k < 2; k++) {
        if (folders[k] == NULL) {
            status = ttm_fail(TTM_ERROR_NOT_FOUND, "there is no plugin file '%s'",
                              k == 0 ? plugin_path : oracle_path);
            goto out;
        }
        char *slash = strrchr(folders[k], '/');
        *(slash == folders[k] ? slash + 1 : slash) = '\0';
    }
    if (asprintf(&path, "%s:%s%s%s", folders[0], folders[1], before != NULL ? ":" : "",
                 before != NULL ? before : "") < 0 ||
        setenv("TTM_BACKEND_PATH", path, 1) != 0) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for TTM_BACKEND_PATH");
    }
    free(path);
out:
    free(folders[0]);
    free(folders[1]);
    return status;
}

ttm_status through_open(through_libttm *through, const struct target *tested, int32_t index)
{
    char number[16];
    memset(through, 0, sizeof *through);
    snprintf(number, sizeof number, "%d", (int)index);
    TTM_TRY(ttm_device_open(&through->device, tested->backend->name, number));
    const ttm_status status = ttm_stream_create(&through->stream, through->device);
    if (status != TTM_OK) {
        through->stream = NULL;
        through_close(through);
        return status;
    }
    through->target = *tested;
    through->target.device = through->device->handle;
    through->target.stream = through->stream->handle;
    through->target.through = through->stream;
    return TTM_OK;
}

void through_close(through_libttm *through)
{
    ttm_stream_destroy(through->stream);
    ttm_device_close(through->device);
    memset(through, 0, sizeof *through);
}

void through_check_case(check_verdict *verdict, const conformance_case *made,
                        const through_libttm *through, const struct target *oracle)
{
    if (check_is_native(made, &through->target)) {
        *verdict = (check_verdict){.outcome = CHECK_SKIPPED};
        snprintf(verdict->message, sizeof verdict->message, "the plugin does it itself");
        return;
    }
    check_case(verdict, made, &through->target, oracle);
}
