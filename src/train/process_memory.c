/* Resident memory from Linux's /proc; other systems have other means, and none of them is standard.
 */
#include "train/process_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

uint64_t ttm_process_resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %" SCNu64, &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return page_bytes > 0 ? pages * (uint64_t)page_bytes : 0;
}
