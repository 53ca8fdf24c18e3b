/* Running clang in a folder of its own, and making of its PTX, which is for sm_80, what NVIDIA's
 * driver would give. */
#include "device_compile.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_PATH = 1024, MOST_WORDS = DEVICE_MOST_OPTIONS + 64 };

extern char **environ;

static const char *setting(const char *name, const char *usual)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : usual;
}

/* ---- Files ---- */

typedef struct workplace {
    char folder[MOST_PATH];
    char source[MOST_PATH + 16];
    char ptx[MOST_PATH + 16];
    char log[MOST_PATH + 16];
} workplace;

static int open_workplace(workplace *place)
{
    const int length = snprintf(place->folder, sizeof place->folder, "%s/ptx-device-XXXXXX",
                                setting("TMPDIR", "/tmp"));
    if (length >= (int)sizeof place->folder || mkdtemp(place->folder) == NULL) {
        return 0;
    }
    snprintf(place->source, sizeof place->source, "%s/kernels.cl", place->folder);
    snprintf(place->ptx, sizeof place->ptx, "%s/kernels.ptx", place->folder);
    snprintf(place->log, sizeof place->log, "%s/log", place->folder);
    return 1;
}

static void close_workplace(const workplace *place)
{
    unlink(place->source);
    unlink(place->ptx);
    unlink(place->log);
    rmdir(place->folder);
}

/* Functions that libclc lacks come first; lines are counted from the source's own. */
static int write_source(const workplace *place, const char *source)
{
    FILE *file = fopen(place->source, "w");
    if (file == NULL) {
        return 0;
    }
    int written = fprintf(file, "#include \"%s\"\n#line 1 \"kernels.cl\"\n%s", PTX_DEVICE_BUILTINS,
                          source) > 0;
    written = fclose(file) == 0 && written;
    return written;
}

/* A file's text; NULL where there is none. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    if (file == NULL) {
        return NULL;
    }
    if (getdelim(&text, &room, '\0', file) < 0) {
        free(text);
        text = ferror(file) ? NULL : strdup("");
    }
    fclose(file);
    return text;
}

/* ---- The compiler ---- */

/* Whether it ran and succeeded; what it says goes to the log. */
static int run(const char *const *words, const char *log)
{
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    /* posix_spawnp changes no word. */
    const int error = posix_spawnp(&child, words[0], &actions, NULL, (char *const *)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return 0;
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return 0;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const char *clang(void)
{
    return setting("PTX_DEVICE_CLANG", "clang-15");
}

static const char *libclc(void)
{
    return setting("PTX_DEVICE_LIBCLC", PTX_DEVICE_LIBCLC);
}

/* Whether a program is in one of PATH's folders. */
static int is_in_path(const char *name)
{
    const char *folders = setting("PATH", "");
    while (folders[0] != '\0') {
        char path[MOST_PATH];
        const int length = (int)strcspn(folders, ":");
        const int written = snprintf(path, sizeof path, "%.*s/%s", length, folders, name);
        if (written < (int)sizeof path && access(path, X_OK) == 0) {
            return 1;
        }
        folders += length;
        folders += folders[0] == ':';
    }
    return 0;
}

int device_can_compile(void)
{
    const char *name = clang();
    const int has_clang = strchr(name, '/') != NULL ? access(name, X_OK) == 0 : is_in_path(name);
    return has_clang && access(libclc(), R_OK) == 0;
}

static int compile(const workplace *place, const device_options *options)
{
    const char *const fixed[] = {clang(), "-x", "cl", "-target", "nvptx64-nvidia-nvcl",
                                 /* One of the caller's that follows has the last word. */
                                 "-cl-std=CL1.2", "-w", "-O3", "-march=sm_80", "-Xclang",
                                 "-target-feature", "-Xclang", "+ptx75", "-Xclang",
                                 "-finclude-default-header", "-Xclang", "-fdeclare-opencl-builtins",
                                 "-Xclang", "-mlink-builtin-bitcode", "-Xclang", libclc(),
                                 /* As NVIDIA's compiler has it. */
                                 "-Dasm=__asm__", "-D__NV_CL_C_VERSION=120", "-DFP_FAST_FMAF=1"};
    const char *const last[] = {"-S", "-o", place->ptx, place->source};
    const char *words[MOST_WORDS];
    size_t count = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        words[count++] = fixed[i];
    }
    for (int i = 0; i < options->count; i++) {
        words[count++] = options->words[i];
    }
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        words[count++] = last[i];
    }
    words[count] = NULL;
    return run(words, place->log);
}

/* ---- PTX ---- */

static void replace_in_place(char *text, const char *old, const char *new)
{
    char *found = strstr(text, old);
    if (found != NULL) {
        memcpy(found, new, strlen(new));
    }
}

/* Where the head of a function that begins at `text` with .func ends, and its name's first
 * character. */
static const char *read_head(const char **name, const char *text)
{
    const char *at = text + strlen(".func");
    at += strspn(at, " \t\n");
    if (*at == '(') {
        at += strcspn(at, ")") + 1;
        at += strspn(at, " \t\n");
    }
    *name = at;
    return at + strcspn(at, ";{");
}

static size_t name_length(const char *name)
{
    return strcspn(name, " \t\n(;{");
}

static int is_defined(const char *ptx, const char *name)
{
    const size_t length = name_length(name);
    for (const char *at = strstr(ptx, ".func"); at != NULL; at = strstr(at + 1, ".func")) {
        const char *other = NULL;
        const char *end = read_head(&other, at);
        if (*end == '{' && name_length(other) == length && strncmp(other, name, length) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The name of a function that is declared and nowhere defined: one that libclc hasn't. NULL where
 * there is none. */
static char *find_unresolved(const char *ptx)
{
    for (const char *at = strstr(ptx, "\n.func"); at != NULL; at = strstr(at + 1, "\n.func")) {
        const char *name = NULL;
        const char *end = read_head(&name, at + 1);
        if (*end == ';' && !is_defined(ptx, name)) {
            return strndup(name, name_length(name));
        }
    }
    return NULL;
}

cl_int device_compile(char **ptx, char **log, const char *source, const device_options *options)
{
    workplace place;
    *ptx = NULL;
    if (!open_workplace(&place)) {
        *log = device_text("can't make a folder in %s\n", setting("TMPDIR", "/tmp"));
        return CL_BUILD_PROGRAM_FAILURE;
    }
    const int compiled = write_source(&place, source) && compile(&place, options);
    *log = read_text(place.log);
    char *made = compiled ? read_text(place.ptx) : NULL;
    close_workplace(&place);
    if (*log == NULL) {
        *log = device_text("%s can't be run\n", setting("PTX_DEVICE_CLANG", "clang-15"));
    }
    if (made == NULL) {
        return CL_BUILD_PROGRAM_FAILURE;
    }
    char *unresolved = find_unresolved(made);
    if (unresolved != NULL) {
        free(*log);
        *log = device_text("unresolved function '%s'\n", unresolved);
        free(unresolved);
        free(made);
        return CL_BUILD_PROGRAM_FAILURE;
    }
    if (device_target() == 90) {
        replace_in_place(made, ".version 7.5", ".version 8.3");
        replace_in_place(made, ".target sm_80", ".target sm_90");
    }
    *ptx = made;
    return CL_SUCCESS;
}
