/* Races between groups in global memory, in units of two bytes: neighbours of 16 bits may be
 * different groups'. */
#include "ptx_traffic.h"

#include <stdlib.h>

enum { UNIT = 2, PAGE_UNITS = 4096 };
#define MANY UINT32_MAX

/* Groups by their number and 1; 0: none. */
struct ptx_traffic_page {
    uint32_t writers[PAGE_UNITS];
    uint32_t readers[PAGE_UNITS];
};

static size_t page_count(const ptx_region *region)
{
    return (region->end - region->begin) / (UNIT * PAGE_UNITS) + 1;
}

int ptx_traffic_start(ptx_traffic *traffic, const ptx_region *regions, size_t count)
{
    traffic->regions = regions;
    traffic->count = count;
    traffic->pages = calloc(count + 1, sizeof *traffic->pages);
    for (size_t i = 0; traffic->pages != NULL && i < count; i++) {
        traffic->pages[i] = calloc(page_count(&regions[i]), sizeof *traffic->pages[i]);
        if (traffic->pages[i] == NULL) {
            return -1;
        }
    }
    return traffic->pages != NULL ? 0 : -1;
}

void ptx_traffic_end(ptx_traffic *traffic)
{
    for (size_t i = 0; traffic->pages != NULL && i < traffic->count; i++) {
        for (size_t page = 0; traffic->pages[i] != NULL && page < page_count(&traffic->regions[i]);
             page++) {
            free(traffic->pages[i][page]);
        }
        free(traffic->pages[i]);
    }
    free(traffic->pages);
}

static const char *use_unit(ptx_traffic_page *page, size_t unit, uint32_t user, int is_write)
{
    if (page->writers[unit] != 0 && page->writers[unit] != user) {
        return is_write ? "is written by two groups"
                        : "is read by a group and written by another before";
    }
    if (!is_write) {
        page->readers[unit] = page->readers[unit] == 0 || page->readers[unit] == user ? user : MANY;
        return NULL;
    }
    if (page->readers[unit] != 0 && page->readers[unit] != user) {
        return "is written by a group and read by another before";
    }
    page->writers[unit] = user;
    return NULL;
}

const char *ptx_traffic_use(ptx_traffic *traffic, size_t region, uint64_t address, uint32_t bytes,
                            uint32_t group, int is_write)
{
    const uint64_t first = (address - traffic->regions[region].begin) / UNIT;
    const uint64_t last = (address + bytes - 1 - traffic->regions[region].begin) / UNIT;
    for (uint64_t unit = first; unit <= last; unit++) {
        ptx_traffic_page **page = &traffic->pages[region][unit / PAGE_UNITS];
        if (*page == NULL && (*page = calloc(1, sizeof **page)) == NULL) {
            return "can't be watched: out of memory";
        }
        const char *wrong = use_unit(*page, unit % PAGE_UNITS, group + 1, is_write);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}
