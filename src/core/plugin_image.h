/* A look at a plugin file before the dynamic linker maps it: a file that is cut off would pass the
 * linker's checks and kill the process with SIGBUS later. */
#ifndef TTM_CORE_PLUGIN_IMAGE_H
#define TTM_CORE_PLUGIN_IMAGE_H

#include <ttm/status.h>

/** Fails with TTM_ERROR_PLUGIN when the file isn't a whole ELF shared object for this kind of
 * machine. The message doesn't name the file. */
TTM_CHECKED ttm_status ttm_plugin_image_check(const char *path);

#endif
