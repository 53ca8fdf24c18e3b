/* Opening a device, random data, and what an entry's time means. */
#include "bench/session.h"

#include "bench/environment.h"
#include "bench/product_list.h"
#include "common/tool_dtype.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/random.h>
#include <unistd.h>

/* Counters from the start of the session. A tool measures one device at a time. */
static bench_environment environment_at_start;

static const char *kind_name(ttm_device_kind kind)
{
    return kind == TTM_DEVICE_GPU ? "gpu" : kind == TTM_DEVICE_CPU ? "cpu" : "accelerator";
}

static void note_device(bench_session *session)
{
    const ttm_device_info *info = ttm_device_get_info(session->device);
    bench_result *result = &session->result;
    char dtypes[64] = "";
    for (int dtype = TTM_F32; dtype <= TTM_TF32; dtype++) {
        if ((info->dtype_mask & (1u << dtype)) != 0) {
            const size_t used = strlen(dtypes);
            snprintf(dtypes + used, sizeof dtypes - used, "%s%s", used > 0 ? " " : "",
                     ttm_dtype_name((ttm_dtype)dtype));
        }
    }
    bench_set_text(result, "device", "backend", ttm_device_backend_name(session->device));
    bench_set_number(result, "device", "index", (double)ttm_device_index(session->device));
    bench_set_text(result, "device", "name", info->name);
    bench_set_text(result, "device", "vendor", info->vendor);
    bench_set_text(result, "device", "driver", info->driver);
    bench_set_text(result, "device", "kind", kind_name(info->kind));
    bench_set_text(result, "device", "details", info->details);
    bench_set_text(result, "device", "dtypes", dtypes);
    bench_set_number(result, "device", "compute_units", (double)info->compute_units);
    bench_set_number(result, "device", "memory_bytes", (double)info->memory_bytes);
    bench_set_number(result, "device", "max_allocation_bytes", (double)info->max_allocation_bytes);
    bench_set_number(result, "device", "alignment_bytes", (double)info->alignment_bytes);
    bench_set_text(result, "device", "maps_memory",
                   (info->capabilities & TTM_DEVICE_CAN_MAP) != 0 ? "yes" : "no");
}

static void note_settings(bench_session *session)
{
    const bench_arguments *arguments = session->arguments;
    bench_result *result = &session->result;
    bench_set_text(result, "settings", "preset", arguments->preset);
    if (arguments->tt != NULL) {
        bench_set_text(result, "settings", "tt", arguments->tt);
    }
    bench_set_text(result, "settings", "dtype", tool_dtype_name(session->dtype));
    bench_set_number(result, "settings", "batch", (double)arguments->batch);
    bench_set_number(result, "settings", "seq", (double)arguments->seq);
    bench_set_number(result, "settings", "layers", (double)arguments->layers);
    if (strcmp(arguments->command, "generate") == 0) {
        bench_set_number(result, "settings", "prompt", (double)arguments->prompt);
    }
    if (strcmp(arguments->command, "train") == 0) {
        bench_set_text(result, "settings", "recompute", arguments->recompute);
        bench_set_number(result, "settings", "logit_rows", (double)arguments->logit_rows);
    }
    bench_set_number(result, "settings", "least_samples", (double)arguments->samples);
    bench_set_number(result, "settings", "seconds", arguments->seconds);
    bench_set_number(result, "settings", "precision", arguments->precision);
    bench_set_number(result, "settings", "confidence", arguments->confidence);
    bench_set_text(result, "settings", "cache", arguments->cold ? "cold" : "warm");
}

ttm_status bench_session_open(bench_session *session, const bench_arguments *arguments)
{
    memset(session, 0, sizeof *session);
    session->arguments = arguments;
    session->random_seed = 1;
    session->result.command = strdup(arguments->command);
    session->result.out_of_memory = session->result.command == NULL;
    ttm_status status =
        ttm_device_open(&session->device, arguments->program->backend, arguments->program->device);
    if (status == TTM_OK) {
        status = ttm_stream_create(&session->stream, session->device);
    }
    if (status == TTM_OK) {
        status = tool_dtype(&session->dtype, session->device, arguments->dtype);
    }
    if (status == TTM_OK) {
        if (session->dtype != TTM_TF32 && bench_products_have(arguments->product, TTM_TF32)) {
            tool_warn_of_tf32(session->device);
        }
        if (ttm_device_get_info(session->device)->kind == TTM_DEVICE_CPU) {
            session->cache_bytes = bench_cache_bytes();
        }
        note_device(session);
        note_settings(session);
        bench_environment_begin(&environment_at_start, &session->result);
    }
    return status;
}

ttm_status bench_session_renew_stream(bench_session *session)
{
    ttm_stream *fresh = NULL;
    const ttm_status status = ttm_stream_create(&fresh, session->device);
    if (status == TTM_OK) {
        ttm_stream_destroy(session->stream);
        session->stream = fresh;
    }
    return status;
}

void bench_session_close(bench_session *session)
{
    if (session->stream != NULL) {
        bench_environment_end(&environment_at_start, &session->result);
    }
    ttm_stream_destroy(session->stream);
    ttm_device_close(session->device);
    session->stream = NULL;
    session->device = NULL;
}

void bench_progress(const bench_session *session, const char *what)
{
    if (!session->arguments->quiet && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%-72.72s%s", what != NULL ? what : "", what != NULL ? "" : "\r");
    }
}

/* ---- Random data ---- */

/* A block of numbers is made once and repeated: timing needs values that don't compress to one,
 * not that all differ. */
enum { RANDOM_BLOCK = 1 << 16 };

static void convert(void *target, const float *source, int64_t count, ttm_dtype dtype)
{
    for (int64_t k = 0; k < count; k++) {
        uint32_t bits;
        memcpy(&bits, &source[k], sizeof bits);
        switch (dtype) {
        case TTM_F64:
            ((double *)target)[k] = (double)source[k];
            break;
        case TTM_BF16:
            ((uint16_t *)target)[k] = (uint16_t)(bits >> 16);
            break;
        case TTM_F16: {
            /* Values around 1 only, cut: exponents beyond half precision become signed zero. */
            const int exponent = (int)((bits >> 23) & 255u) - 112;
            const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
            const uint16_t rest = (uint16_t)(((unsigned)exponent << 10) | ((bits >> 13) & 0x3FFu));
            ((uint16_t *)target)[k] =
                exponent > 0 && exponent < 31 ? (uint16_t)(sign | rest) : sign;
            break;
        }
        default:
            ((float *)target)[k] = source[k];
            break;
        }
    }
}

ttm_status bench_fill_random(bench_session *session, const ttm_tensor *tensor, double scale,
                             int64_t limit)
{
    const int64_t count = ttm_tensor_count(tensor);
    ttm_random random = {.seed = session->random_seed++};
    ttm_status status = TTM_OK;
    float *numbers = malloc(RANDOM_BLOCK * sizeof *numbers);
    double *block = malloc(RANDOM_BLOCK * sizeof *block);
    const ttm_tensor flat = ttm_tensor_reshape(tensor, 1, &count);
    for (int64_t k = 0; k < RANDOM_BLOCK && numbers != NULL && block != NULL; k++) {
        if (tensor->dtype == TTM_I32) {
            ((int32_t *)block)[k] =
                (int32_t)(ttm_random_u32(&random) % (uint32_t)(limit > 0 ? limit : 1));
        } else {
            numbers[k] = (float)(scale * ttm_random_normal(&random));
        }
    }
    if (numbers == NULL || block == NULL) {
        session->result.out_of_memory = true;
        goto out;
    }
    if (tensor->dtype != TTM_I32) {
        convert(block, numbers, RANDOM_BLOCK, tensor->dtype);
    }
    for (int64_t start = 0; start < count && status == TTM_OK; start += RANDOM_BLOCK) {
        const int64_t part = count - start < RANDOM_BLOCK ? count - start : RANDOM_BLOCK;
        const ttm_tensor piece = ttm_tensor_slice(&flat, 0, start, part);
        status = ttm_tensor_write(session->stream, &piece, block);
    }
    if (status == TTM_OK) {
        status = ttm_stream_synchronize(session->stream);
    }
out:
    free(numbers);
    free(block);
    return status;
}

/* ---- Meaning ---- */

double bench_product_roof(const bench_session *session, ttm_dtype dtype)
{
    const double *flops = session->roofs.product_flops;
    return flops[dtype] > 0.0 ? flops[dtype] : flops[TTM_F32];
}

void bench_judge(const bench_session *session, bench_entry *entry, ttm_dtype dtype)
{
    const bench_roofs *roofs = &session->roofs;
    const double flops = bench_product_roof(session, dtype);
    if (flops <= 0.0 || roofs->memory <= 0.0 || isnan(entry->operations) || isnan(entry->bytes)) {
        return;
    }
    const double compute_ns = entry->operations / flops * 1e9;
    const double memory_ns = entry->bytes / roofs->memory * 1e9;
    const double launch_ns = roofs->launch_ns * entry->calls;
    entry->floor_ns = fmax(compute_ns, memory_ns);
    if (launch_ns > entry->floor_ns) {
        entry->bound = BENCH_BOUND_LAUNCH;
        entry->floor_ns = launch_ns;
    } else if (compute_ns > memory_ns) {
        entry->bound = BENCH_BOUND_COMPUTE;
    } else {
        const bool fits = entry->bytes / entry->calls < session->cache_bytes;
        entry->bound = fits && !session->arguments->cold ? BENCH_BOUND_CACHE : BENCH_BOUND_MEMORY;
    }
}

ttm_status bench_configure(ttm_gpt2_config *config, const bench_arguments *arguments)
{
    ttm_gpt2_overrides overrides = TTM_GPT2_OVERRIDES_INIT;
    overrides.layers = arguments->layers;
    overrides.tt = arguments->tt;
    return ttm_gpt2_config_from_preset(config, arguments->preset, &overrides);
}

bool bench_next_number(int64_t *number, const char **list, bool *bad)
{
    char *end = NULL;
    *bad = false;
    if (**list == '\0') {
        return false;
    }
    const long long value = strtoll(*list, &end, 10);
    *bad = end == *list || (*end != ',' && *end != '\0') || value < 1 || value > INT32_MAX;
    *list = *end == ',' ? end + 1 : end;
    *number = value;
    return !*bad;
}
