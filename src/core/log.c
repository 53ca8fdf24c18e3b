/* Log lines: formatted outside the lock, written under it. */
#include <ttm/log.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t environment_read = PTHREAD_ONCE_INIT;
static atomic_int current_level = TTM_LOG_WARNING;
static ttm_log_sink current_sink;
static void *current_user;

static void read_environment(void)
{
    const char *wanted = getenv("TTM_LOG");
    for (int level = TTM_LOG_ERROR; wanted != NULL && level <= TTM_LOG_DEBUG; level++) {
        if (strcmp(wanted, level_names[level]) == 0) {
            atomic_store(&current_level, level);
            return;
        }
    }
    if (wanted != NULL && wanted[0] != '\0') {
        fprintf(stderr,
                "ttm warning: TTM_LOG=%s is not a level; use error, warning, info or debug\n",
                wanted);
    }
}

int ttm_log_enabled(ttm_log_level level)
{
    pthread_once(&environment_read, read_environment);
    return (int)level <= atomic_load(&current_level);
}

void ttm_log_set_level(ttm_log_level level)
{
    pthread_once(&environment_read, read_environment);
    atomic_store(&current_level, (int)level);
}

void ttm_log_set_sink(ttm_log_sink sink, void *user)
{
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_user = user;
    pthread_mutex_unlock(&lock);
}

/* Plugins log too, and the level is a number of theirs: what is no level is the nearest one. */
static ttm_log_level nearest_level(ttm_log_level level)
{
    const int number = (int)level;
    return number < TTM_LOG_ERROR ? TTM_LOG_ERROR : number > TTM_LOG_DEBUG ? TTM_LOG_DEBUG : level;
}

void ttm_log(ttm_log_level level, const char *format, ...)
{
    level = nearest_level(level);
    if (!ttm_log_enabled(level)) {
        return;
    }
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    if (current_sink != NULL) {
        current_sink(current_user, level, line);
    } else {
        fprintf(stderr, "ttm %s: %s\n", level_names[level], line);
    }
    pthread_mutex_unlock(&lock);
}
