/* Rewriting PTX text. */
#include "opencl/matrix_units_retarget.h"

#include <stdlib.h>
#include <string.h>

static const char target[] = ".target sm_90";
static const char mark[] = "//@";

enum { TARGET_LENGTH = sizeof target - 1, MARK_LENGTH = sizeof mark - 1 };

char *opencl_ptx_retarget(size_t *new_bytes, const char *ptx, size_t bytes)
{
    int marks = 0;
    char *text = malloc(bytes + 2);
    if (text == NULL) {
        return NULL;
    }
    memcpy(text, ptx, bytes);
    text[bytes] = '\0';
    bytes = strlen(text);
    char *place = strstr(text, target);
    if (place != NULL) {
        place += TARGET_LENGTH;
    }
    /* "sm_90a" has been dealt with before, and "sm_900" is something else. */
    if (place == NULL || (*place != '\n' && *place != '\r' && *place != ',' && *place != ' ')) {
        free(text);
        return NULL;
    }
    memmove(place + 1, place, bytes - (size_t)(place - text) + 1);
    *place = 'a';
    for (char *found = text; (found = strstr(found, mark)) != NULL; marks++) {
        memset(found, ' ', MARK_LENGTH);
    }
    if (marks == 0) {
        free(text);
        return NULL;
    }
    *new_bytes = bytes + 1;
    return text;
}
