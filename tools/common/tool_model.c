/* Opening what the tools that run a model need. */
#include "common/tool_model.h"

#include "common/tool_dtype.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

double tool_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

ttm_tt_execution tool_tt_execution(const char *name)
{
    if (strcmp(name, "cached") == 0) {
        return TTM_TT_CACHED;
    }
    return strcmp(name, "contract") == 0 ? TTM_TT_CONTRACT : TTM_TT_AUTO;
}

static bool has_tokenizer(const char *folder)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json"};
    char path[4096];
    struct stat information;
    for (int index = 0; index < 2; index++) {
        const int length = snprintf(path, sizeof path, "%s/%s", folder, names[index]);
        if (length > 0 && (size_t)length < sizeof path && stat(path, &information) == 0) {
            return true;
        }
    }
    return false;
}

static int open_tokenizer(tool_model *opened, const char *folder, const char *source)
{
    if (source == NULL && has_tokenizer(folder)) {
        source = folder;
    }
    if (source == NULL) {
        return TOOL_GO_ON;
    }
    const ttm_status status = ttm_tokenizer_open(&opened->tokenizer, source);
    return status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
}

static int check_vocabulary(const tool_model *opened, const char *folder)
{
    const int64_t vocab_size = ttm_model_config(opened->model)->vocab_size;
    const size_t tokens =
        opened->tokenizer != NULL ? ttm_tokenizer_vocab_size(opened->tokenizer) : 0;
    if (tokens > (size_t)vocab_size) {
        return tool_fail_text("the tokenizer has %zu tokens, but the model in '%s' only %" PRId64
                              ": they don't belong together",
                              tokens, folder, vocab_size);
    }
    return TOOL_GO_ON;
}

int tool_model_open(tool_model *opened, const tool_program *program, const char *folder,
                    const char *source, const char *dtype, const ttm_model_options *options)
{
    ttm_model_options settled = *options;
    memset(opened, 0, sizeof *opened);
    const int code = open_tokenizer(opened, folder, source);
    if (code != TOOL_GO_ON) {
        return code;
    }
    ttm_status status = ttm_device_open(&opened->device, program->backend, program->device);
    if (status == TTM_OK) {
        status = ttm_stream_create(&opened->stream, opened->device);
    }
    if (status == TTM_OK) {
        status = tool_dtype(&settled.dtype, opened->device, dtype);
    }
    if (status == TTM_OK) {
        status = ttm_model_load(&opened->model, opened->device, folder, &settled);
    }
    return status == TTM_OK ? check_vocabulary(opened, folder) : tool_fail(status);
}

void tool_model_close(tool_model *opened)
{
    ttm_stream_drain(opened->stream); /* memory goes before the stream does */
    ttm_model_destroy(opened->model);
    ttm_stream_destroy(opened->stream);
    ttm_device_close(opened->device);
    ttm_tokenizer_close(opened->tokenizer);
    memset(opened, 0, sizeof *opened);
}
