/* The file of tuned products. It is read by writing it again: what the parsed settings give as text
 * has to be what the file holds, byte by byte, its sum included. */
#include "opencl/product_settings.h"

#include "opencl/attention_units.h"
#include "opencl/private_file.h"
#include "opencl/product.h"
#include "opencl/program_cache.h"

#include <clblast_c.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FILE_BYTES ((size_t)16384)

/* The text of a file in the making. */
typedef struct text {
    char bytes[MOST_FILE_BYTES];
    size_t used;
} text;

TTM_PRINTF(2, 3) static void print(text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length =
        vsnprintf(out->bytes + out->used, sizeof out->bytes - out->used, format, arguments);
    va_end(arguments);
    out->used += length > 0 ? (size_t)length : 0;
    if (out->used >= sizeof out->bytes) {
        out->used = sizeof out->bytes - 1; /* never: names and numbers are short */
    }
}

static void print_device(text *out, const ttm_backend_device *device)
{
    const opencl_description *description = device->description;
    print(out,
          "ttm-opencl-products 1\ndevice %s\nvendor %s\nunits %u\ndriver %s\nclblast %d.%d.%d\n",
          description->name, description->vendor, description->limits.compute_units,
          description->driver, CLBLAST_VERSION_MAJOR, CLBLAST_VERSION_MINOR, CLBLAST_VERSION_PATCH);
}

/* The last line: 128 bits over all before it. */
static void print_sum(text *out)
{
    opencl_cache_key sum = opencl_cache_key_start();
    opencl_cache_key_add(&sum, out->bytes);
    print(out, "sum %016" PRIx64 "%016" PRIx64 "\n", sum.words[0], sum.words[1]);
}

static void print_settings(text *out, const ttm_backend_device *device,
                           const opencl_product_settings *settings)
{
    print_device(out, device);
    for (int kernel = 0; kernel < OPENCL_PRODUCT_KERNELS; kernel++) {
        if (!settings->is_chosen[kernel]) {
            continue;
        }
        print(out, "%s", opencl_product_kernel_name(kernel));
        for (int k = 0; k < opencl_parameter_count(kernel); k++) {
            print(out, " %s %u", opencl_parameter_name(kernel, k),
                  settings->parameters[kernel].values[k]);
        }
        print(out, "\n");
    }
    print(out, "large-size %" PRIu64 "\nclblast-multiplies %" PRId64 "\n", settings->large_size,
          settings->clblast_multiplies);
    for (int k = 0; k < settings->units.count; k++) {
        char line[OPENCL_TUNED_UNIT_BYTES];
        opencl_tuned_unit_print(line, &settings->units.entries[k]);
        print(out, "%s\n", line);
    }
    for (int k = 0; k < settings->attention.count; k++) {
        char line[OPENCL_TUNED_ATTENTION_BYTES];
        opencl_tuned_attention_print(line, &settings->attention.entries[k]);
        print(out, "%s\n", line);
    }
    print_sum(out);
}

/* "Xgemm GEMMK 0 KREG 1 …" */
static void parse_kernel(opencl_product_settings *settings, opencl_product_kernel kernel,
                         const char *values)
{
    char name[16];
    uint32_t value = 0;
    int length = 0;
    opencl_parameters *parameters = &settings->parameters[kernel];
    for (int k = 0; k < opencl_parameter_count(kernel) &&
                    sscanf(values, " %15s %" SCNu32 "%n", name, &value, &length) == 2;
         k++) {
        parameters->values[k] = value;
        values += length;
    }
    settings->is_chosen[kernel] = 1;
}

/* What can be read of a text; whether it is all, the comparison tells. */
static void parse(opencl_product_settings *settings, const char *content)
{
    memset(settings, 0, sizeof *settings);
    for (const char *line = content; line != NULL && *line != '\0';
         line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
        for (int kernel = 0; kernel < OPENCL_PRODUCT_KERNELS; kernel++) {
            const char *name = opencl_product_kernel_name(kernel);
            const size_t length = strlen(name);
            if (strncmp(line, name, length) == 0 && line[length] == ' ') {
                parse_kernel(settings, kernel, line + length);
            }
        }
        opencl_tuned_unit unit;
        if (opencl_tuned_unit_parse(&unit, line)) {
            (void)opencl_tuned_units_set(&settings->units, &unit);
        }
        opencl_attention_choice attention;
        if (opencl_tuned_attention_parse(&attention, line)) {
            (void)opencl_tuned_attention_set(&settings->attention, &attention);
        }
        (void)sscanf(line, "large-size %" SCNu64, &settings->large_size);
        (void)sscanf(line, "clblast-multiplies %" SCNd64, &settings->clblast_multiplies);
    }
}

/* The path of the device's file, and its folder; 0 where there is none. */
static int find_file(char *path, char *folder, size_t room, const ttm_backend_device *device)
{
    const char *wish = secure_getenv("TTM_TUNE_DIR");
    text named = {.used = 0};
    opencl_cache_key key = opencl_cache_key_start();
    print_device(&named, device);
    opencl_cache_key_add(&key, named.bytes);
    int length = 0;
    if (wish != NULL) {
        length = snprintf(folder, room, "%s", wish);
    } else {
        length = opencl_cache_folder(folder, room) ? 1 : 0;
    }
    if (length <= 0 || (size_t)length >= room) {
        return 0;
    }
    length = snprintf(path, room, "%s/opencl-products-%016" PRIx64 ".txt", folder, key.words[0]);
    return length > 0 && (size_t)length < room;
}

/* ---- Use ---- */

static ttm_status override(const ttm_backend_device *device, const char *kernel, size_t count,
                           const char **names, const size_t *values)
{
    opencl_clblast_lock();
    const CLBlastStatusCode code = CLBlastOverrideParameters(
        device->description->id, kernel, CLBlastPrecisionSingle, count, names, values);
    opencl_clblast_unlock();
    return code == CLBlastSuccess
               ? TTM_OK
               : opencl_fail(TTM_ERROR_DEVICE,
                             "CLBlast refuses parameters for %s with its status %d", kernel,
                             (int)code);
}

ttm_status opencl_product_settings_use(const ttm_backend_device *device,
                                       opencl_product_kernel kernel,
                                       const opencl_parameters *parameters)
{
    const char *names[OPENCL_MOST_PARAMETERS];
    size_t values[OPENCL_MOST_PARAMETERS];
    const int count = opencl_parameter_count(kernel);
    for (int k = 0; k < count; k++) {
        names[k] = opencl_parameter_name(kernel, k);
        values[k] = parameters->values[k];
    }
    return override(device, opencl_product_kernel_name(kernel), (size_t)count, names, values);
}

ttm_status opencl_product_settings_use_size(const ttm_backend_device *device, uint64_t size)
{
    const char *name = "XGEMM_MIN_INDIRECT_SIZE";
    const size_t value = (size_t)size;
    return override(device, "GemmRoutine", 1, &name, &value);
}

static ttm_status use_all(ttm_backend_device *device, const opencl_product_settings *settings)
{
    ttm_status status = TTM_OK;
    opencl_units_use(device->units, &settings->units);
    opencl_attention_use(device->attention_units, &settings->attention);
    if (device->tuning.clblast == OPENCL_CLBLAST_NEVER) {
        return TTM_OK;
    }
    for (int kernel = 0; kernel < OPENCL_PRODUCT_KERNELS && status == TTM_OK; kernel++) {
        if (settings->is_chosen[kernel]) {
            status = opencl_product_settings_use(device, kernel, &settings->parameters[kernel]);
        }
    }
    if (status == TTM_OK && settings->large_size > 0) {
        status = opencl_product_settings_use_size(device, settings->large_size);
    }
    if (status == TTM_OK) {
        device->tuning.clblast_multiplies = settings->clblast_multiplies;
    }
    return status;
}

/* ---- File ---- */

static int is_usable(const opencl_product_settings *settings, const ttm_backend_device *device,
                     const char *content)
{
    text again = {.used = 0};
    print_settings(&again, device, settings);
    if (strcmp(again.bytes, content) != 0) {
        return 0;
    }
    for (int kernel = 0; kernel < OPENCL_PRODUCT_KERNELS; kernel++) {
        if (settings->is_chosen[kernel] &&
            !opencl_parameters_valid(&settings->parameters[kernel], kernel,
                                     &device->description->limits)) {
            return 0;
        }
    }
    return settings->clblast_multiplies >= 0;
}

void opencl_product_settings_load(ttm_backend_device *device)
{
    char path[2400];
    char folder[2400];
    size_t bytes = 0;
    opencl_product_settings settings;
    if (!find_file(path, folder, sizeof path, device)) {
        return;
    }
    unsigned char *content = opencl_private_read(&bytes, path, MOST_FILE_BYTES - 1);
    if (content == NULL) {
        if (errno != ENOENT && errno != ENOTDIR) {
            opencl_log(TTM_LOG_WARNING, "tuned products are ignored: '%s': %s", path,
                       errno == EPERM ? "others may have written it" : strerror(errno));
        }
        return;
    }
    parse(&settings, (const char *)content);
    if (!is_usable(&settings, device, (const char *)content)) {
        opencl_log(TTM_LOG_WARNING,
                   "tuned products are ignored: '%s' is damaged; run ttm-bench tune again", path);
    } else if (use_all(device, &settings) != TTM_OK) {
        opencl_log(TTM_LOG_WARNING,
                   "tuned products are ignored: CLBlast refuses what '%s' says; run "
                   "ttm-bench tune again",
                   path);
    } else {
        opencl_log(TTM_LOG_DEBUG, "tuned products are used: '%s'", path);
    }
    free(content);
}

void opencl_product_settings_read(opencl_product_settings *settings,
                                  const ttm_backend_device *device)
{
    char path[2400];
    char folder[2400];
    size_t bytes = 0;
    unsigned char *content = find_file(path, folder, sizeof path, device)
                                 ? opencl_private_read(&bytes, path, MOST_FILE_BYTES - 1)
                                 : NULL;
    if (content != NULL) {
        parse(settings, (const char *)content);
    }
    if (content == NULL || !is_usable(settings, device, (const char *)content)) {
        *settings =
            (opencl_product_settings){.clblast_multiplies = device->tuning.clblast_multiplies};
    }
    free(content);
}

ttm_status opencl_product_settings_save(const ttm_backend_device *device,
                                        const opencl_product_settings *settings)
{
    char path[2400];
    char folder[2400];
    text content = {.used = 0};
    if (!find_file(path, folder, sizeof path, device)) {
        return opencl_fail(TTM_ERROR_NOT_FOUND,
                           "there is no folder to keep tuned products in: set TTM_TUNE_DIR, "
                           "XDG_CACHE_HOME or HOME");
    }
    print_settings(&content, device, settings);
    const void *const parts[] = {content.bytes};
    if (!opencl_private_folder(folder) || !opencl_private_write(path, parts, &content.used, 1)) {
        return opencl_fail(TTM_ERROR_IO, "can't write tuned products to '%s': %s", path,
                           strerror(errno));
    }
    opencl_log(TTM_LOG_INFO, "tuned products are kept in '%s'", path);
    return TTM_OK;
}
