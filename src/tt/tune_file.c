/* Reading and writing a device's tuning: one fact a line, "end" on the last, so that a file that
 * was cut is seen to be. The layer below src/io, hence no JSON.
 *
 *     ttm-tune 1
 *     device cpu 2 Intel(R) Xeon(R) Processor
 *     driver OpenBLAS 0.3.21
 *     product_flops 1.5e+11
 *     copy_bytes 1.2e+10
 *     launch_seconds 1.1e-06
 *     plan forward 512 8x8,8x8,12x8,1x6:64 x ((G1 G2) (G3 G4))
 *     end */
#include "tt/tune_file.h"

#include "core/array.h"
#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 20, MAX_PLANS = 4096 };

static const char *const directions[] = {"forward", "input-gradient", "core-gradients"};

/* The lines that say for what the file holds: measured elsewhere, it holds for nothing. */
static void describe_device(char *text, size_t text_bytes, const ttm_device *device)
{
    const ttm_device_info *info = ttm_device_get_info(device);
    snprintf(text, text_bytes, "device %s %" PRIu32 " %s\ndriver %s\n",
             ttm_device_backend_name(device), info->compute_units, info->name, info->driver);
}

/* Numbers in the file have a decimal point whatever language the program has chosen. Returns what
 * `end_plain_numbers` takes back; where there is no memory for it, numbers are as the program has
 * them. */
static locale_t begin_plain_numbers(locale_t *before)
{
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    *before = uselocale(plain);
    return plain;
}

static void end_plain_numbers(locale_t plain, locale_t before)
{
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
}

/* ---- Reading ---- */

/* *text = the whole file, which the caller frees. Only a plain file of the user or of root that
 * nobody else may write is trusted. */
static ttm_status read_text(char **text, const char *path)
{
    struct stat information;
    ttm_status status = TTM_OK;
    char *bytes = NULL;
    FILE *file = NULL;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return ttm_fail(errno == ENOENT || errno == ENOTDIR ? TTM_ERROR_NOT_FOUND : TTM_ERROR_IO,
                        "'%s': %s", path, strerror(errno));
    }
    if (fstat(descriptor, &information) != 0 || !S_ISREG(information.st_mode) ||
        (information.st_uid != geteuid() && information.st_uid != 0) ||
        (information.st_mode & 022) != 0 || information.st_size > MAX_FILE_BYTES) {
        close(descriptor);
        return ttm_fail(TTM_ERROR_FORMAT, "'%s' isn't a small plain file that only you can write",
                        path);
    }
    file = fdopen(descriptor, "r");
    if (file == NULL) {
        close(descriptor);
        return ttm_fail(TTM_ERROR_IO, "'%s': %s", path, strerror(errno));
    }
    TTM_TRY_OUT(ttm_array_new(&bytes, (size_t)information.st_size + 1, 1, "a tuning file"));
    const size_t got = fread(bytes, 1, (size_t)information.st_size, file);
    bytes[got] = '\0';
    *text = bytes;
    bytes = NULL;
out:
    free(bytes);
    fclose(file);
    return status;
}

static bool parse_speed(double *value, const char *line, const char *key)
{
    const size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ' ') {
        return false;
    }
    char *end = NULL;
    const double number = strtod(line + length + 1, &end);
    if (*end != '\0' || !isfinite(number) || number <= 0.0) {
        return false;
    }
    *value = number;
    return true;
}

/* "plan forward 512 SHAPE TREE". What it says is parsed when it is used; here only its form. */
static bool parse_plan(ttm_tuned_plan *plan, const char *line)
{
    char direction[24];
    int tree = 0;
    _Static_assert(TTM_TT_SHAPE_TEXT_BYTES == 512, "the width in the format below");
    if (sscanf(line, "plan %23s %" SCNd64 " %511s %n", direction, &plan->rows, plan->shape,
               &tree) != 3 ||
        tree == 0 || plan->rows < 1 || strlen(line + tree) >= sizeof plan->tree) {
        return false;
    }
    snprintf(plan->tree, sizeof plan->tree, "%s", line + tree);
    for (size_t k = 0; k < sizeof directions / sizeof *directions; k++) {
        if (strcmp(direction, directions[k]) == 0) {
            plan->direction = (ttm_tt_direction)k;
            return true;
        }
    }
    return false;
}

typedef struct tune_reader {
    ttm_tuning tuning;
    ttm_tuned_plan *plans;
    size_t capacity;
    bool ended;
} tune_reader;

/* Returns TTM_ERROR_FORMAT without a message for a line that isn't understood. */
static ttm_status read_line(tune_reader *reader, const char *line)
{
    ttm_tuning *tuning = &reader->tuning;
    if (parse_speed(&tuning->model.product_flops, line, "product_flops") ||
        parse_speed(&tuning->model.copy_bytes, line, "copy_bytes") ||
        parse_speed(&tuning->model.launch_seconds, line, "launch_seconds")) {
        return TTM_OK;
    }
    if (strcmp(line, "end") == 0) {
        reader->ended = true;
        return TTM_OK;
    }
    if (tuning->plan_count >= MAX_PLANS) {
        return TTM_ERROR_FORMAT;
    }
    TTM_TRY(ttm_array_reserve(&reader->plans, &reader->capacity, tuning->plan_count + 1,
                              sizeof *reader->plans, "a tuning file"));
    if (!parse_plan(&reader->plans[tuning->plan_count], line)) {
        return TTM_ERROR_FORMAT;
    }
    tuning->plan_count++;
    return TTM_OK;
}

static ttm_status read_lines(tune_reader *reader, char *text, const char *path)
{
    int number = 3; /* Two lines name the device, one the format. */
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && !reader->ended;
         line = strsep(&rest, "\n"), number++) {
        const ttm_status status = read_line(reader, line);
        if (status == TTM_ERROR_FORMAT) {
            return ttm_fail(status, "'%s' is damaged in line %d", path, number + 1);
        }
        TTM_TRY(status);
    }
    const ttm_tt_cost_model *model = &reader->tuning.model;
    if (!reader->ended || model->product_flops <= 0.0 || model->copy_bytes <= 0.0 ||
        model->launch_seconds <= 0.0) {
        return ttm_fail(TTM_ERROR_FORMAT, "'%s' is incomplete", path);
    }
    return TTM_OK;
}

ttm_status ttm_tune_file_read(ttm_tuning *tuning, const char *path, const ttm_device *device)
{
    static const char magic[] = "ttm-tune 1\n";
    char *text = NULL;
    char expected[512];
    locale_t plain = (locale_t)0;
    locale_t before = (locale_t)0;
    ttm_status status = TTM_OK;
    tune_reader reader = {
        .tuning = {.struct_size = sizeof reader.tuning,
                   .model = {.struct_size = sizeof reader.tuning.model, .element_bytes = 4.0}}};
    TTM_TRY(read_text(&text, path));
    describe_device(expected, sizeof expected, device);
    const size_t head = strlen(magic);
    if (text == NULL || strncmp(text, magic, head) != 0) {
        status = ttm_fail(TTM_ERROR_FORMAT, "'%s' isn't a tuning of this version", path);
        goto out;
    }
    if (strncmp(text + head, expected, strlen(expected)) != 0) {
        status = ttm_fail(TTM_ERROR_FORMAT, "'%s' was measured on another device or driver", path);
        goto out;
    }
    plain = begin_plain_numbers(&before);
    status = read_lines(&reader, text + head + strlen(expected), path);
    end_plain_numbers(plain, before);
    TTM_TRY_OUT(status);
    *tuning = reader.tuning;
    tuning->plans = reader.plans;
    reader.plans = NULL;
out:
    free(reader.plans);
    free(text);
    return status;
}

/* ---- Writing ---- */

/* Makes the folder that `path` lies in and those above it. */
static void make_folders(const char *path)
{
    char *folder = strdup(path);
    for (char *slash = folder; slash != NULL && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(folder, 0700); /* Opening the file reports what failed. */
        *slash = '/';
    }
    free(folder);
}

static void print_tuning(FILE *file, const ttm_tuning *tuning, const ttm_device *device)
{
    char names[512];
    locale_t before = (locale_t)0;
    const locale_t plain = begin_plain_numbers(&before);
    describe_device(names, sizeof names, device);
    fprintf(file, "ttm-tune 1\n%s", names);
    fprintf(file, "product_flops %.6g\ncopy_bytes %.6g\nlaunch_seconds %.6g\n",
            tuning->model.product_flops, tuning->model.copy_bytes, tuning->model.launch_seconds);
    for (size_t k = 0; k < tuning->plan_count; k++) {
        const ttm_tuned_plan *plan = &tuning->plans[k];
        fprintf(file, "plan %s %" PRId64 " %s %s\n", directions[plan->direction], plan->rows,
                plan->shape, plan->tree);
    }
    fputs("end\n", file);
    end_plain_numbers(plain, before);
}

ttm_status ttm_tune_file_write(const char *path, const ttm_tuning *tuning, const ttm_device *device)
{
    char temporary[4200];
    make_folders(path);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    const int descriptor = mkostemp(temporary, O_CLOEXEC);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    if (file == NULL) {
        const int error = errno;
        if (descriptor >= 0) {
            close(descriptor);
            unlink(temporary);
        }
        return ttm_fail(TTM_ERROR_IO, "can't write '%s': %s", path, strerror(error));
    }
    print_tuning(file, tuning, device);
    bool written = fflush(file) == 0 && ferror(file) == 0 && fsync(descriptor) == 0;
    const int error = errno;
    written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        const int reason = written ? errno : error;
        unlink(temporary);
        return ttm_fail(TTM_ERROR_IO, "can't write '%s': %s", path, strerror(reason));
    }
    return TTM_OK;
}
