/* Which file a name stands for when it is written. Nothing of libttm is needed, so that the tools
 * compile it as well: outputs of both go where links lead. */
#ifndef TTM_IO_LINK_TARGET_H
#define TTM_IO_LINK_TARGET_H

/** Returns the name of the file that writing to `path` makes or replaces, as a new string: `path`,
 * or, where that is a symbolic link, what it leads to in the end, as with open(2) also when no file
 * is there yet. NULL with errno set, ELOOP for links that lead in a circle. */
char *ttm_link_target(const char *path);

#endif
