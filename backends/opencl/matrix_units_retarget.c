/* Rewriting PTX text. */
#include "opencl/matrix_units_retarget.h"

#include <stdlib.h>
#include <string.h>

static const char directive[] = ".target";
static const char target[] = "sm_90";
static const char mark[] = "//@";
static const char entry_mark[] = "//@entry ";

enum {
    DIRECTIVE_LENGTH = sizeof directive - 1,
    TARGET_LENGTH = sizeof target - 1,
    MARK_LENGTH = sizeof mark - 1,
    ENTRY_MARK_LENGTH = sizeof entry_mark - 1,
    MOST_DIRECTIVES = 128
};

/* Whether only blanks are before `place` in its line: in a comment it would be no directive. */
static int begins_line(const char *text, const char *place)
{
    while (place > text && (place[-1] == ' ' || place[-1] == '\t')) {
        place--;
    }
    return place == text || place[-1] == '\n' || place[-1] == '\r';
}

/* Where the target's name ends: what is put there makes sm_90a of it. NULL for another target. */
static char *find_target_end(char *text)
{
    char *place = strstr(text, directive);
    while (place != NULL && !begins_line(text, place)) {
        place = strstr(place + DIRECTIVE_LENGTH, directive);
    }
    if (place == NULL) {
        return NULL;
    }
    place += DIRECTIVE_LENGTH;
    place += strspn(place, " \t");
    if (strncmp(place, target, TARGET_LENGTH) != 0) {
        return NULL;
    }
    place += TARGET_LENGTH;
    /* "sm_900" is something else. */
    const char *after = *place == 'a' ? place + 1 : place;
    return strchr(" \t\r\n,", *after) != NULL ? place : NULL;
}

/* Where the body of the entry that `place` is in begins, NULL outside of any. */
static char *find_body(char *text, const char *place)
{
    char *entry = NULL;
    for (char *next = text; (next = strstr(next, ".entry")) != NULL && next < place; next++) {
        entry = next;
    }
    char *body = entry == NULL ? NULL : strchr(entry, '{');
    return body < place ? body : NULL;
}

/* Moves directives to where an entry has them: between its parameters and its body. The text keeps
 * its length. Returns how many marks there were, -1 for one that makes no sense. */
static int move_directives(char *text)
{
    int count = 0;
    for (char *found = text; (found = strstr(found, entry_mark)) != NULL; count++) {
        char directives[MOST_DIRECTIVES];
        const char *from = found + ENTRY_MARK_LENGTH;
        const size_t length = strcspn(from, ";\n");
        char *body = find_body(text, found);
        if (body == NULL || from[length] != ';' || length >= MOST_DIRECTIVES) {
            return -1;
        }
        memcpy(directives, from, length);
        memmove(body + length, body, (size_t)(found - body));
        memcpy(body, directives, length);
        memset(found + length, ' ', ENTRY_MARK_LENGTH + 1);
        found += length;
    }
    return count;
}

char *opencl_ptx_retarget(size_t *new_bytes, const char *ptx, size_t bytes)
{
    char *text = malloc(bytes + 2);
    if (text == NULL) {
        return NULL;
    }
    memcpy(text, ptx, bytes);
    text[bytes] = '\0';
    bytes = strlen(text);
    char *end = find_target_end(text);
    int marks = move_directives(text);
    if (marks < 0) {
        free(text);
        return NULL;
    }
    for (char *found = text; (found = strstr(found, mark)) != NULL; marks++) {
        memset(found, ' ', MARK_LENGTH);
    }
    if (end == NULL || marks == 0) {
        free(text);
        return NULL;
    }
    if (*end != 'a') {
        memmove(end + 1, end, bytes - (size_t)(end - text) + 1);
        *end = 'a';
        bytes++;
    }
    *new_bytes = bytes;
    return text;
}
