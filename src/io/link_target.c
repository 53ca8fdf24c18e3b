#include "io/link_target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns what the link `path` holds, as seen from the current folder; NULL with errno set. */
static char *read_link(const char *path)
{
    char text[PATH_MAX];
    char *target = NULL;
    const ssize_t length = readlink(path, text, sizeof text - 1);
    if (length < 0) {
        return NULL;
    }
    text[length] = '\0';
    const char *name = strrchr(path, '/');
    const int folder_bytes = text[0] == '/' || name == NULL ? 0 : (int)(name + 1 - path);
    return asprintf(&target, "%.*s%s", folder_bytes, path, text) < 0 ? NULL : target;
}

char *ttm_link_target(const char *path)
{
    enum { MOST_LINKS = 40 };
    struct stat information;
    char *name = strdup(path);
    for (int k = 0; name != NULL && lstat(name, &information) == 0 && S_ISLNK(information.st_mode);
         k++) {
        char *next = k < MOST_LINKS ? read_link(name) : NULL;
        const int error_number = k < MOST_LINKS ? errno : ELOOP;
        free(name);
        errno = error_number;
        name = next;
    }
    return name;
}
