#include "cpu/machine.h"

#include "common/host_plugin.h"
#include "cpu/onednn.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The levels that this build has, best first; backends/cpu/meson.build compiles them. */
static const ttm_cpu_kernels *const levels[] = {
#if defined(TTM_CPU_HAVE_PAIRS)
    &ttm_cpu_kernels_avx512_bf16,
#endif
#if defined(__x86_64__)
    &ttm_cpu_kernels_avx512,
    &ttm_cpu_kernels_avx2,
#endif
#if defined(__aarch64__)
    &ttm_cpu_kernels_neon,
#else
    &ttm_cpu_kernels_baseline,
#endif
};
#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

/** Most processors that affinity is asked about. */
#define MOST_PROCESSORS 4096

/** Copies the first value of `key` in /proc/cpuinfo, or `fallback`. */
static void read_cpuinfo(char *text, size_t bytes, const char *key, const char *fallback)
{
    char line[256];
    snprintf(text, bytes, "%s", fallback);
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) == 0 && value != NULL) {
            value += strspn(value, ": \t");
            value[strcspn(value, "\n")] = '\0';
            snprintf(text, bytes, "%s", value);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

void ttm_cpu_name(char *name, size_t bytes)
{
    read_cpuinfo(name, bytes, "model name", "CPU");
}

void ttm_cpu_vendor(char *vendor, size_t bytes)
{
    read_cpuinfo(vendor, bytes, "vendor_id", "");
}

/** Returns whether the processor has what kernels of `level` use. */
static int has_level(const char *level)
{
#if defined(TTM_CPU_HAVE_PAIRS)
    if (strcmp(level, "avx512_bf16") == 0) {
        return has_level("avx512") && __builtin_cpu_supports("avx512bf16");
    }
#endif
#if defined(__x86_64__)
    if (strcmp(level, "avx512") == 0) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    }
    if (strcmp(level, "avx2") == 0) {
        /* F16C, LZCNT and MOVBE came with or before AVX2 in every processor. */
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    }
#endif
    return strcmp(level, levels[LEVEL_COUNT - 1]->level) == 0; /* what every processor has */
}

const ttm_cpu_kernels *ttm_cpu_choose_kernels(void)
{
    const char *wanted = getenv("TTM_CPU_LEVEL");
    const ttm_cpu_kernels *best = levels[LEVEL_COUNT - 1];
    for (size_t i = LEVEL_COUNT; i-- > 0;) {
        if (!has_level(levels[i]->level)) {
            continue;
        }
        best = levels[i];
        if (wanted != NULL && strcmp(wanted, levels[i]->level) == 0) {
            return levels[i];
        }
    }
    if (wanted != NULL && *wanted != '\0') {
        host_log(TTM_LOG_WARNING,
                 "TTM_CPU_LEVEL=%s isn't a level of this processor and build; using %s", wanted,
                 best->level);
    }
    return best;
}

int ttm_cpu_prefers_own_products(const ttm_cpu_kernels *kernels)
{
    const char *wanted = getenv("TTM_CPU_PRODUCTS");
    if (wanted != NULL && *wanted != '\0') {
        if (strcmp(wanted, "own") == 0 || strcmp(wanted, "blas") == 0) {
            return strcmp(wanted, "own") == 0;
        }
        host_log(TTM_LOG_WARNING, "TTM_CPU_PRODUCTS=%s is neither own nor blas; ignored", wanted);
    }
    /* On Arm ours hasn't been measured against OpenBLAS's. */
    return strcmp(kernels->level, "baseline") != 0 && strcmp(kernels->level, "neon") != 0;
}

/** Returns whether the processor multiplies bf16 matrices tile by tile (AMX), which oneDNN knows
 * how to use. Whether the system lets it is the library's business. */
static int has_bf16_tiles(void)
{
#if defined(__x86_64__)
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
    const unsigned bf16_tiles = 1u << 22;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & bf16_tiles) != 0;
#else
    return 0;
#endif
}

int ttm_cpu_prefers_onednn(void)
{
    const char *wanted = getenv("TTM_CPU_BF16_PRODUCTS");
    int use = has_bf16_tiles();
    if (wanted != NULL && *wanted != '\0') {
        if (strcmp(wanted, "own") == 0 || strcmp(wanted, "onednn") == 0) {
            use = strcmp(wanted, "onednn") == 0;
        } else {
            host_log(TTM_LOG_WARNING, "TTM_CPU_BF16_PRODUCTS=%s is neither own nor onednn; ignored",
                     wanted);
        }
    }
    if (!use || ttm_cpu_onednn_start()) {
        return use;
    }
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&said)) {
        host_log(TTM_LOG_WARNING,
                 "oneDNN, %s, isn't in this build or can't be opened: bf16 products are our own",
                 has_bf16_tiles() ? "which knows how to use this processor's AMX"
                                  : "which TTM_CPU_BF16_PRODUCTS asks for");
    }
    return 0;
}

int ttm_cpu_prefers_one_run(void)
{
    const char *wanted = getenv("TTM_CPU_RUNS");
    if (wanted != NULL && *wanted != '\0') {
        if (strcmp(wanted, "one") == 0 || strcmp(wanted, "several") == 0) {
            return strcmp(wanted, "one") == 0;
        }
        host_log(TTM_LOG_WARNING, "TTM_CPU_RUNS=%s is neither one nor several; ignored", wanted);
    }
    char vendor[64];
    ttm_cpu_vendor(vendor, sizeof vendor);
    return strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "HygonGenuine") == 0;
}

/** Reads a file of one or two whole numbers, "max" counting as −1; returns how many there were. */
static int read_numbers(const char *path, long long numbers[2])
{
    char text[128];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \n", &rest); word != NULL && count < 2;
         word = strtok_r(NULL, " \n", &rest)) {
        numbers[count++] = strcmp(word, "max") == 0 ? -1 : strtoll(word, NULL, 10);
    }
    return count;
}

/** Finds this process's group of `controller` ("" for the unified hierarchy) in /proc/self/cgroup;
 * returns whether there is one. */
static int find_group(char *group, size_t bytes, const char *controller)
{
    char line[512];
    int found = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');
        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        char *rest = NULL;
        if (*controller == '\0' && names[1] == '\0') {
            found = 1;
        }
        for (char *name = strtok_r(names + 1, ",", &rest); name != NULL && *controller != '\0';
             name = strtok_r(NULL, ",", &rest)) {
            found = found || strcmp(name, controller) == 0;
        }
        if (found) {
            snprintf(group, bytes, "%s", strcmp(path, "/") == 0 ? "" : path);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/** Calls `visit` with the folder of the process's group and of each group above it. Inside a
 * container the group's own path often isn't there, only the root is: hence every level. */
static void visit_groups(const char *mount, const char *controller,
                         void (*visit)(const char *folder, void *result), void *result)
{
    char group[256];
    char folder[512];
    if (!find_group(group, sizeof group, controller)) {
        return;
    }
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        visit(folder, result);
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static void lower_quota(int *quota, long long used, long long period)
{
    if (used > 0 && period > 0) {
        const long long processors = (used + period - 1) / period;
        if (*quota == 0 || processors < *quota) {
            *quota = (int)processors;
        }
    }
}

static void visit_unified_quota(const char *folder, void *result)
{
    char path[600];
    long long numbers[2];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_numbers(path, numbers) == 2) {
        lower_quota(result, numbers[0], numbers[1]);
    }
}

static void visit_split_quota(const char *folder, void *result)
{
    char path[600];
    long long used[2];
    long long period[2];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (read_numbers(path, used) != 1) {
        return;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (read_numbers(path, period) == 1) {
        lower_quota(result, used[0], period[0]);
    }
}

/** Returns the processors that the control group's quota amounts to, 0 for no quota. */
static int group_processors(void)
{
    int quota = 0;
    visit_groups("/sys/fs/cgroup", "", visit_unified_quota, &quota);
    visit_groups("/sys/fs/cgroup/cpu", "cpu", visit_split_quota, &quota);
    return quota;
}

static int affinity_processors(void)
{
    int count = 0;
    cpu_set_t *set = CPU_ALLOC(MOST_PROCESSORS);
    const size_t bytes = CPU_ALLOC_SIZE(MOST_PROCESSORS);
    if (set != NULL && sched_getaffinity(0, bytes, set) == 0) {
        count = CPU_COUNT_S(bytes, set);
    }
    if (set != NULL) {
        CPU_FREE(set);
    }
    if (count < 1) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (int)online : 1;
    }
    return count;
}

/** Returns the positive number at the start of an environment variable, 0 where there is none. Says
 * once of each variable that it holds something else: this is asked whenever a device is. */
static int wanted_threads(const char *variable, atomic_flag *said)
{
    const char *text = getenv(variable);
    char *end = NULL;
    if (text == NULL || *text == '\0') {
        return 0;
    }
    errno = 0;
    const long count = strtol(text, &end, 10);
    if (errno != 0 || end == text || (*end != '\0' && *end != ',') || count < 1 ||
        count > MOST_PROCESSORS) {
        if (!atomic_flag_test_and_set(said)) {
            host_log(TTM_LOG_WARNING, "%s=%s isn't a number of threads from 1 to %d; ignored",
                     variable, text, MOST_PROCESSORS);
        }
        return 0;
    }
    return (int)count;
}

/** Returns how many processors this process may use. */
static int usable_processors(void)
{
    const int quota = group_processors();
    const int count = affinity_processors();
    return quota > 0 && quota < count ? quota : count;
}

/** OMP_NUM_THREADS is often set for others, and forgotten. */
static void warn_of_idle_processors(int threads)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    const int processors = usable_processors();
    if (threads < processors && !atomic_flag_test_and_set(&said)) {
        host_log(
            TTM_LOG_WARNING,
            "OMP_NUM_THREADS holds the cpu backend to %d of %d processors, and so to that part "
            "of its speed; set TTM_THREADS=%d to use all, or =%d to say that this is meant",
            threads, processors, processors, threads);
    }
}

int ttm_cpu_thread_count(void)
{
    static atomic_flag said[2] = {ATOMIC_FLAG_INIT, ATOMIC_FLAG_INIT};
    int count = wanted_threads("TTM_THREADS", &said[0]);
    if (count == 0) {
        count = wanted_threads("OMP_NUM_THREADS", &said[1]);
        if (count > 0) {
            warn_of_idle_processors(count);
        }
    }
    return count > 0 ? count : usable_processors();
}

int ttm_cpu_pins_threads(void)
{
    const char *wanted = getenv("TTM_CPU_PIN");
    return wanted != NULL && strcmp(wanted, "1") == 0;
}

static uint64_t available_of_machine(void)
{
    char line[128];
    uint64_t bytes = UINT64_MAX;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            bytes = (uint64_t)strtoull(line + 13, NULL, 10) * 1024u;
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

/** Lowers *result to what a group's limit leaves; cached files count as free. */
static void lower_available(uint64_t *result, const char *folder, const char *limit_name,
                            const char *used_name, const char *cache_name)
{
    char path[600];
    char line[128];
    long long limit[2];
    long long used[2];
    unsigned long long cached = 0;
    snprintf(path, sizeof path, "%s/%s", folder, limit_name);
    if (read_numbers(path, limit) != 1 || limit[0] < 0) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s", folder, used_name);
    if (read_numbers(path, used) != 1) {
        return;
    }
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    FILE *file = fopen(path, "re");
    const size_t length = strlen(cache_name);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, cache_name, length) == 0 && line[length] == ' ') {
            cached = strtoull(line + length, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    const long long busy = used[0] - (long long)cached;
    const uint64_t left = limit[0] > busy ? (uint64_t)(limit[0] - busy) : 0;
    if (left < *result) {
        *result = left;
    }
}

static void visit_unified_memory(const char *folder, void *result)
{
    lower_available(result, folder, "memory.max", "memory.current", "inactive_file");
}

static void visit_split_memory(const char *folder, void *result)
{
    lower_available(result, folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                    "total_inactive_file");
}

uint64_t ttm_cpu_memory_available(void)
{
    uint64_t bytes = available_of_machine();
    visit_groups("/sys/fs/cgroup", "", visit_unified_memory, &bytes);
    visit_groups("/sys/fs/cgroup/memory", "memory", visit_split_memory, &bytes);
    return bytes;
}
