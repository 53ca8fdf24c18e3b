/* Messages for what the operating system refuses. */
#include "io/io_error.h"

#include "core/error.h"
#include <errno.h>
#include <string.h>

/** What a user can do about an errno value, "" when strerror says it all. */
static const char *advice_for(int error_number)
{
    switch (error_number) {
    case ENOENT:
        return "; check the path";
    case EACCES:
    case EPERM:
        return "; check the owner and the permissions of the file and its folder";
    case ENOSPC:
        return "; the disk is full: free some space or choose a folder on another disk";
    case EDQUOT:
        return "; your disk quota is used up: free some space or choose a folder on another disk";
    case EFBIG:
        return "; raise the file size limit (ulimit -f) or choose another file system";
    case EIO:
        return "; the disk reports a hardware or network fault: check the kernel's log";
    case EROFS:
        return "; choose a folder on a writable file system";
    case ENAMETOOLONG:
        return "; choose a shorter name";
    case EMFILE:
    case ENFILE:
        return "; raise the limit on open files (ulimit -n)";
    case ELOOP:
        return "; its symbolic links go in a circle";
    case EISDIR:
        return "; give the name of a file";
    case ENOTDIR:
        return "; a part of the path is a file, not a folder";
    default:
        return "";
    }
}

ttm_status ttm_io_fail(const char *action, const char *path, int error_number)
{
    char buffer[128];
    const char *reason = strerror_r(error_number, buffer, sizeof buffer);
    ttm_status status = TTM_ERROR_IO;
    if (error_number == ENOENT) {
        status = TTM_ERROR_NOT_FOUND;
    } else if (error_number == ENOMEM) {
        status = TTM_ERROR_OUT_OF_MEMORY;
    }
    return ttm_fail(status, "cannot %s '%s': %s%s", action, path, reason, advice_for(error_number));
}
