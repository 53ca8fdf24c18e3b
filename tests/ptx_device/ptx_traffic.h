/* Which groups have used a launch's global memory. Groups run in any order on a GPU, and at once:
 * where one writes what another one reads or writes in the same launch, results depend on chance.
 */
#ifndef TESTS_PTX_DEVICE_PTX_TRAFFIC_H
#define TESTS_PTX_DEVICE_PTX_TRAFFIC_H

#include "ptx.h"

typedef struct ptx_traffic_page ptx_traffic_page;

/* A region's: pages that were used, NULL for the others. */
typedef struct ptx_traffic {
    ptx_traffic_page ***pages;
    const ptx_region *regions;
    size_t count;
} ptx_traffic;

/* Returns 0, or -1 without memory. */
int ptx_traffic_start(ptx_traffic *traffic, const ptx_region *regions, size_t count);
void ptx_traffic_end(ptx_traffic *traffic);

/* Notes that `group` (from 0) uses bytes of a region; NULL, or what is wrong with that. */
const char *ptx_traffic_use(ptx_traffic *traffic, size_t region, uint64_t address, uint32_t bytes,
                            uint32_t group, int is_write);

#endif
