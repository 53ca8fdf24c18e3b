/* Appending to metrics.jsonl, a line per write call, and cutting it back. */
#include "train/metrics.h"

#include "core/error.h"
#include "io/folder_sync.h"
#include "io/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns the step of a metrics line, -1 for a line that isn't one. Every line begins with it. */
static int64_t line_step(const char *line)
{
    static const char beginning[] = "{\"step\":";
    if (strncmp(line, beginning, sizeof beginning - 1) != 0) {
        return -1;
    }
    char *end = NULL;
    errno = 0;
    const long long step = strtoll(line + sizeof beginning - 1, &end, 10);
    return *end == ',' && errno == 0 ? step : -1;
}

/* *bytes = where the last complete line of a step up to `last_step` ends. Lines are in the order of
 * their steps, so the first one that is too late or damaged ends the search. */
static ttm_status find_end(off_t *bytes, const char *path, int64_t last_step)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return ttm_io_fail("open", path, errno);
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = 0;
    *bytes = 0;
    while ((length = getline(&line, &capacity, file)) > 0) {
        const int64_t step = line_step(line);
        if (line[length - 1] != '\n' || step < 0 || step > last_step) {
            break;
        }
        *bytes += length;
    }
    ttm_status status = TTM_OK;
    if (ferror(file)) {
        status = ttm_io_fail("read", path, errno);
    }
    free(line);
    fclose(file);
    return status;
}

ttm_status ttm_metrics_open(ttm_metrics *metrics, const char *directory, int64_t last_step)
{
    ttm_status status = TTM_OK;
    off_t end = 0;
    *metrics = (ttm_metrics){.descriptor = -1};
    TTM_TRY_OUT(ttm_path_join(&metrics->path, directory, "metrics.jsonl"));
    TTM_TRY_OUT(ttm_json_writer_new(&metrics->writer, TTM_JSON_COMPACT));
    metrics->descriptor = open(metrics->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (metrics->descriptor < 0) {
        status = ttm_io_fail("open", metrics->path, errno);
        goto out;
    }
    if (last_step > 0) {
        TTM_TRY_OUT(find_end(&end, metrics->path, last_step));
    }
    if (ftruncate(metrics->descriptor, end) != 0) {
        status = ttm_io_fail("truncate", metrics->path, errno);
    }
out:
    if (status != TTM_OK) {
        ttm_metrics_close(metrics);
    }
    return status;
}

static ttm_status append_line(ttm_metrics *metrics)
{
    const char *text = NULL;
    size_t bytes = 0;
    TTM_TRY(ttm_json_writer_finish(&text, &bytes, metrics->writer));
    while (bytes > 0) {
        const ssize_t written = write(metrics->descriptor, text, bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return ttm_io_fail("write", metrics->path, errno);
        }
        text += written;
        bytes -= (size_t)written;
    }
    return TTM_OK;
}

ttm_status ttm_metrics_step(ttm_metrics *metrics, const ttm_trainer_step *step)
{
    ttm_json_writer *writer = metrics->writer;
    ttm_json_writer_reset(writer);
    ttm_json_begin_object(writer);
    ttm_json_member_int(writer, "step", step->step);
    ttm_json_member_float(writer, "loss", step->loss);
    ttm_json_member_double(writer, "learning_rate", step->learning_rate);
    ttm_json_member_float(writer, "gradient_norm", step->gradient_norm);
    ttm_json_member_uint(writer, "tokens", step->tokens);
    ttm_json_member_double(writer, "seconds", step->seconds);
    ttm_json_member_double(writer, "tokens_per_second", step->tokens_per_second);
    ttm_json_end_object(writer);
    return append_line(metrics);
}

ttm_status ttm_metrics_validation(ttm_metrics *metrics, const ttm_trainer_validation *validation)
{
    ttm_json_writer *writer = metrics->writer;
    ttm_json_writer_reset(writer);
    ttm_json_begin_object(writer);
    ttm_json_member_int(writer, "step", validation->step);
    ttm_json_member_double(writer, "validation_loss", validation->loss);
    ttm_json_member_double(writer, "perplexity", validation->perplexity);
    if (isfinite(validation->bits_per_byte)) {
        ttm_json_member_double(writer, "bits_per_byte", validation->bits_per_byte);
    }
    ttm_json_member_uint(writer, "validation_tokens", validation->tokens);
    ttm_json_member_bool(writer, "best", validation->best);
    ttm_json_end_object(writer);
    return append_line(metrics);
}

ttm_status ttm_metrics_sync(const ttm_metrics *metrics)
{
    return fsync(metrics->descriptor) == 0 ? TTM_OK : ttm_io_fail("sync", metrics->path, errno);
}

void ttm_metrics_close(ttm_metrics *metrics)
{
    if (metrics->descriptor >= 0 && metrics->path != NULL) {
        close(metrics->descriptor);
    }
    ttm_json_writer_free(metrics->writer);
    free(metrics->path);
    *metrics = (ttm_metrics){.descriptor = -1};
}
