/* Progress lines, and what validations, checkpoints and samples add to them. */
#include "train/report.h"

#include "common/utf8_stream.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Seconds between two lines where lines stay. */
static const double line_interval = 10.0;
/* Seconds between two rewritings of the line on a terminal. */
static const double terminal_interval = 0.1;
/* Lines that a run shows at least, however short it is. */
enum { LEAST_LINES = 20 };

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_duration(char text[32], double seconds)
{
    if (!isfinite(seconds) || seconds > 359999.0) {
        snprintf(text, 32, "more than 99 h");
        return;
    }
    const int whole = (int)(seconds + 0.5);
    if (whole >= 3600) {
        snprintf(text, 32, "%d h %02d min", whole / 3600, whole / 60 % 60);
    } else if (whole >= 60) {
        snprintf(text, 32, "%d min %02d s", whole / 60, whole % 60);
    } else {
        snprintf(text, 32, "%d s", whole);
    }
}

static void write_characters(void *user, const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, user);
}

/* Text from a model may hold anything. Whole characters are shown; what could steer a terminal
 * isn't, not even in a log, which somebody will print on one. */
static void print_text(const char *text, size_t bytes)
{
    utf8_stream characters = {.sink = write_characters, .user = stderr, .hide_controls = true};
    utf8_stream_add(&characters, text, bytes);
    utf8_stream_end(&characters);
}

void train_report_end(train_report *report)
{
    if (report->line_open) {
        fputc('\n', stderr);
        report->line_open = false;
    }
}

/* The first, the last and every twentieth step are shown anyway, others as time passes. */
static bool is_due(const train_report *report, const ttm_trainer_step *step, double now)
{
    const double interval = report->terminal ? terminal_interval : line_interval;
    const int64_t stride = report->steps / LEAST_LINES > 0 ? report->steps / LEAST_LINES : 1;
    return step->step == 1 || step->step == report->steps || step->step % stride == 0 ||
           now - report->last_shown >= interval;
}

static void on_step(void *user, const ttm_trainer_step *step)
{
    train_report *report = user;
    const double now = now_seconds();
    const double newest = step->tokens_per_second;
    char left[32];
    report->rate = report->rate > 0.0 ? 0.9 * report->rate + 0.1 * newest : newest;
    if (!is_due(report, step, now)) {
        return;
    }
    report->last_shown = now;
    print_duration(left, (double)(report->steps - step->step) * report->tokens_per_step /
                             fmax(report->rate, 1e-9));
    fprintf(stderr,
            "%sstep %" PRId64 "/%" PRId64 "  loss %.4f  norm %.3g  rate %.3g  %.0f tokens/s  %s "
            "left%s",
            report->terminal ? "\r" : "", step->step, report->steps, (double)step->loss,
            (double)step->gradient_norm, step->learning_rate, report->rate, left,
            report->terminal ? "\033[K" : "\n");
    fflush(stderr);
    report->line_open = report->terminal;
}

static void on_validation(void *user, const ttm_trainer_validation *validation)
{
    train_report *report = user;
    train_report_end(report);
    fprintf(stderr, "step %" PRId64 "  validation loss %.4f  perplexity %.4g", validation->step,
            validation->loss, validation->perplexity);
    if (isfinite(validation->bits_per_byte)) {
        fprintf(stderr, "  bits/byte %.4f", validation->bits_per_byte);
    }
    fprintf(stderr, "%s\n", validation->best ? "  (best)" : "");
}

static void on_sample(void *user, int64_t step, const char *text, size_t text_bytes)
{
    train_report *report = user;
    train_report_end(report);
    fprintf(stderr, "--- sample after step %" PRId64 " ---\n", step);
    print_text(report->sample_prompt, strlen(report->sample_prompt));
    print_text(text, text_bytes);
    fprintf(stderr, "\n---\n");
}

void train_report_init(train_report *report, ttm_trainer_events *events,
                       const ttm_trainer_options *options, bool quiet)
{
    memset(report, 0, sizeof *report);
    if (quiet) {
        return; /* with nobody to show them to, the trainer makes no samples */
    }
    report->terminal = isatty(STDERR_FILENO) == 1;
    report->steps = options->steps;
    report->sample_prompt = options->sample_prompt;
    report->tokens_per_step =
        (double)options->accumulation * (double)options->batch * (double)options->seq;
    events->user = report;
    events->step = on_step;
    events->validation = on_validation;
    events->sample = on_sample;
}
