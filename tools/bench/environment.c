/* What Linux tells in /proc and /sys. Everything may be missing, in containers most of it is: what
 * can't be read isn't noted. */
#include "bench/environment.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* *text = the first line of a file. */
static bool read_line(char *text, size_t text_bytes, const char *path)
{
    FILE *file = fopen(path, "re");
    const bool read = file != NULL && fgets(text, (int)text_bytes, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (read) {
        text[strcspn(text, "\n")] = '\0';
    }
    return read;
}

static bool read_number(double *number, const char *path)
{
    char text[64];
    char *end = NULL;
    if (!read_line(text, sizeof text, path)) {
        return false;
    }
    *number = strtod(text, &end);
    return end != text;
}

/* *text = the value of a key of /proc/cpuinfo's first processor; *mean = the mean over all, where
 * it is a number. */
static bool read_cpuinfo(char *text, size_t text_bytes, double *mean, const char *key)
{
    char line[512];
    double sum = 0.0;
    int count = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || colon == NULL) {
            continue;
        }
        colon += strspn(colon, ": \t");
        colon[strcspn(colon, "\n")] = '\0';
        if (count == 0 && text != NULL) {
            snprintf(text, text_bytes, "%s", colon);
        }
        sum += strtod(colon, NULL);
        count++;
    }
    if (file != NULL) {
        fclose(file);
    }
    if (mean != NULL && count > 0) {
        *mean = sum / count;
    }
    return count > 0;
}

double bench_cache_bytes(void)
{
    double largest = 0.0;
    for (int index = 0; index < 8; index++) {
        char path[96];
        char text[64];
        char *end = NULL;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        if (!read_line(text, sizeof text, path)) {
            break;
        }
        const double unit = strtod(text, &end);
        const double bytes = unit * (*end == 'K' ? 1024.0 : *end == 'M' ? 1048576.0 : 1.0);
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

static void read_counters(bench_environment *counters)
{
    double ticks[8] = {0};
    FILE *file = fopen("/proc/stat", "re");
    if (file != NULL) {
        if (fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1], &ticks[2],
                   &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8) {
            memset(ticks, 0, sizeof ticks);
        }
        fclose(file);
    }
    for (int k = 0; k < 8; k++) {
        counters->all_ticks += ticks[k];
    }
    counters->busy_ticks = counters->all_ticks - ticks[3] - ticks[4];
    counters->steal_ticks = ticks[7];
    counters->throttle_events = (double)NAN;
    for (int cpu = 0; cpu < 1024; cpu++) {
        char path[96];
        double events = 0.0;
        snprintf(path, sizeof path,
                 "/sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", cpu);
        if (!read_number(&events, path)) {
            break;
        }
        counters->throttle_events = (cpu == 0 ? 0.0 : counters->throttle_events) + events;
    }
    if (!read_number(&counters->energy_microjoules, "/sys/class/powercap/intel-rapl:0/energy_uj")) {
        counters->energy_microjoules = (double)NAN;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    counters->seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void note_number(bench_result *result, const char *name, double number)
{
    if (isfinite(number)) {
        bench_set_number(result, "environment", name, number);
    }
}

/* Clock, load and temperature at this moment. */
static void note_moment(bench_result *result, const char *when)
{
    char name[64];
    double load = 0.0;
    double number = (double)NAN;
    if (read_cpuinfo(NULL, 0, &number, "cpu MHz")) {
        snprintf(name, sizeof name, "clock_mhz_%s", when);
        note_number(result, name, number);
    }
    if (getloadavg(&load, 1) == 1) {
        snprintf(name, sizeof name, "load_%s", when);
        note_number(result, name, load);
    }
    if (read_number(&number, "/sys/class/thermal/thermal_zone0/temp")) {
        snprintf(name, sizeof name, "temperature_celsius_%s", when);
        note_number(result, name, number / 1000.0);
    }
}

/* Variables that decide how many threads work, and which kernels. */
static void note_variables(bench_result *result)
{
    static const char *const names[] = {
        "OMP_NUM_THREADS",     "OMP_WAIT_POLICY",      "OMP_PROC_BIND",    "OPENBLAS_NUM_THREADS",
        "OPENBLAS_CORETYPE",   "TTM_CPU_LEVEL",        "TTM_CPU_PRODUCTS", "TTM_OPENCL_STYLE",
        "TTM_OPENCL_PRODUCTS", "CUDA_VISIBLE_DEVICES", "TTM_BACKEND"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const char *value = getenv(names[k]);
        if (value != NULL) {
            bench_set_text(result, "environment", names[k], value);
        }
    }
}

void bench_environment_begin(bench_environment *environment, bench_result *result)
{
    char text[256];
    double number = 0.0;
    struct utsname kernel;
    const time_t now = time(NULL);
    struct tm utc;
    memset(environment, 0, sizeof *environment);
    if (gmtime_r(&now, &utc) != NULL &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0) {
        bench_set_text(result, "environment", "time", text);
    }
    if (read_cpuinfo(text, sizeof text, NULL, "model name")) {
        bench_set_text(result, "environment", "cpu", text);
    }
    note_number(result, "processors", (double)sysconf(_SC_NPROCESSORS_ONLN));
    if (bench_cache_bytes() > 0.0) {
        note_number(result, "last_level_cache_bytes", bench_cache_bytes());
    }
    if (uname(&kernel) == 0) {
        snprintf(text, sizeof text, "%.60s %.120s %.60s", kernel.sysname, kernel.release,
                 kernel.machine);
        bench_set_text(result, "environment", "kernel", text);
    }
    if (read_line(text, sizeof text, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) {
        bench_set_text(result, "environment", "governor", text);
    }
    if (read_number(&number, "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")) {
        note_number(result, "clock_mhz_maximum", number / 1000.0);
    }
    bench_set_text(result, "environment", "ttm_version", TTM_VERSION);
    note_variables(result);
    note_moment(result, "before");
    read_counters(environment);
}

void bench_environment_end(const bench_environment *environment, bench_result *result)
{
    bench_environment now = {0};
    read_counters(&now);
    note_moment(result, "after");
    const double ticks = now.all_ticks - environment->all_ticks;
    if (ticks > 0.0) {
        note_number(result, "processor_use", (now.busy_ticks - environment->busy_ticks) / ticks);
        note_number(result, "processor_time_stolen",
                    (now.steal_ticks - environment->steal_ticks) / ticks);
    }
    note_number(result, "throttle_events", now.throttle_events - environment->throttle_events);
    note_number(result, "package_watts",
                (now.energy_microjoules - environment->energy_microjoules) * 1e-6 /
                    (now.seconds - environment->seconds));
    note_number(result, "seconds", now.seconds - environment->seconds);
}
