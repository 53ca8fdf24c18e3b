/* Opening a backend without the core, and saying what is wrong. */
#include "opencl/matrix_units_probe_runner.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* With room for a build log. */
static char last_message[3500] = "no reason given";

static void keep_message(const char *message)
{
    snprintf(last_message, sizeof last_message, "%s", message);
}

static void ignore_log(ttm_log_level level, const char *line)
{
    (void)level;
    (void)line;
}

static const ttm_backend_host host = {
    .struct_size = sizeof host, .log = ignore_log, .error = keep_message};

int probe_say(const char *what, const char *more)
{
    printf("%s%s%s\n", what, more[0] != '\0' ? ": " : "", more);
    return 1;
}

const char *probe_last_message(void)
{
    return last_message;
}

int probe_runner_open(probe_runner *made, const char *file, int32_t index)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, TTM_BACKEND_ENTRY_NAME) : NULL;
    ttm_backend_entry_function entry = NULL;
    if (symbol == NULL) {
        return probe_say("can't load a backend", file);
    }
    memcpy(&entry, &symbol, sizeof entry);
    made->table = entry(&host);
    int32_t count = 0;
    if (made->table == NULL || made->table->device_count(&count) != TTM_OK || index >= count ||
        made->table->device_open(&made->device, index) != TTM_OK ||
        made->table->stream_create(&made->stream, made->device) != TTM_OK) {
        return probe_say("can't open a device", last_message);
    }
    return 0;
}

ttm_status probe_run_op(const probe_runner *with, ttm_op *op)
{
    ttm_memory *workspace = NULL;
    if (!with->table->op_supported(with->device, op)) {
        return TTM_ERROR_UNSUPPORTED;
    }
    const size_t bytes = with->table->op_workspace_bytes != NULL
                             ? with->table->op_workspace_bytes(with->device, op)
                             : 0;
    ttm_status status = TTM_OK;
    if (bytes > 0) {
        status = with->table->memory_alloc(&workspace, with->device, bytes);
        op->workspace = (ttm_tensor){.dtype = TTM_F32,
                                     .rank = 1,
                                     .shape = {(int64_t)(bytes / sizeof(float))},
                                     .stride = {1},
                                     .memory = workspace};
    }
    if (status == TTM_OK) {
        status = with->table->op_run(with->stream, op);
    }
    if (status == TTM_OK) {
        status = with->table->stream_synchronize(with->stream);
    }
    if (workspace != NULL) {
        with->table->memory_free(with->device, workspace);
    }
    return status;
}

double probe_uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(*state >> 32) / 2147483648.0;
}
