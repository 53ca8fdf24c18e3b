/* Token ids from the command line, logits to a file. */
#include "eval/logits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/safetensors.h>

static const char separators[] = " ,\t\n";

/* *tokens [*count] = the ids in `text`, to be freed by the caller. */
static int parse_tokens(int32_t **tokens, int64_t *count, const ttm_gpt2_config *config,
                        const char *text)
{
    int64_t used = 0;
    int32_t *ids = calloc(strlen(text) + 1, sizeof *ids);
    *tokens = ids;
    if (ids == NULL) {
        return tool_fail_text("out of memory");
    }
    for (const char *cursor = text + strspn(text, separators); *cursor != '\0';
         cursor += strspn(cursor, separators)) {
        char *end = NULL;
        errno = 0;
        const long long id = strtoll(cursor, &end, 10);
        if (end == cursor || (*end != '\0' && strchr(separators, *end) == NULL)) {
            return tool_usage_error("--tokens: '%.20s' isn't a token id", cursor);
        }
        if (errno != 0 || id < 0 || id >= config->vocab_size) {
            return tool_fail_text("token %.*s is beyond the model's vocabulary of %" PRId64
                                  " tokens",
                                  (int)(end - cursor), cursor, config->vocab_size);
        }
        ids[used++] = (int32_t)id;
        cursor = end;
    }
    *count = used;
    if (used == 0) {
        return tool_usage_error("--tokens holds no token id");
    }
    if (used > config->context) {
        return tool_fail_text("%" PRId64 " tokens exceed the model's context of %" PRId64, used,
                              config->context);
    }
    return TOOL_GO_ON;
}

/* values [count, vocab] = logits. */
static ttm_status compute(float *values, const tool_model *opened, const int32_t *tokens,
                          int64_t count)
{
    const int64_t token_shape[2] = {1, count};
    const int64_t logit_shape[2] = {count, ttm_model_config(opened->model)->vocab_size};
    ttm_tensor input = {0};
    ttm_tensor logits = {0};
    ttm_status status = ttm_tensor_alloc(&input, opened->device, TTM_I32, 2, token_shape);
    if (status == TTM_OK) {
        status = ttm_tensor_alloc(&logits, opened->device, TTM_F32, 2, logit_shape);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_write(opened->stream, &input, tokens);
    }
    if (status == TTM_OK) {
        status = ttm_model_logits(opened->model, opened->stream, &logits, &input);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_read(opened->stream, values, &logits);
    }
    ttm_stream_drain(opened->stream); /* after a failure something may be queued */
    ttm_tensor_free(&logits, opened->device);
    ttm_tensor_free(&input, opened->device);
    return status;
}

int logits_write(int64_t *count, const tool_model *opened, const char *tokens, const char *path)
{
    const ttm_gpt2_config *config = ttm_model_config(opened->model);
    int32_t *ids = NULL;
    float *values = NULL;
    int code = parse_tokens(&ids, count, config, tokens);
    if (code == TOOL_GO_ON) {
        const size_t shape[2] = {(size_t)*count, (size_t)config->vocab_size};
        values = calloc(shape[0] * shape[1] + 1, sizeof *values);
        const ttm_safetensors_entry entry = {.name = "logits",
                                             .dtype = TTM_SAFETENSORS_F32,
                                             .rank = 2,
                                             .shape = shape,
                                             .data = values};
        ttm_status status = TTM_OK;
        if (values == NULL) {
            code = tool_fail_text("out of memory");
        } else if ((status = compute(values, opened, ids, *count)) != TTM_OK ||
                   (status = ttm_safetensors_write(path, &entry, 1, NULL, 0)) != TTM_OK) {
            code = tool_fail(status);
        }
    }
    free(values);
    free(ids);
    return code;
}
