/* Who has used a group's shared memory, word by word, and whether that was in order.
 *
 * Clocks are vector clocks: an agent is a warp of the cluster, or an mbarrier on behalf of the
 * copies that complete on it; warps come first, group by group, then mbarriers. A warp's own number
 * begins with 2 (1: its group has started) and goes up whenever it lets others know (a barrier, an
 * arrival) and at bar.warp.sync. An mbarrier's is 1 when its initialisation has been fenced, and
 * goes up with every copy. What an agent did at its number n is known to a warp whose clock for
 * that agent is n or more. (Flanagan and Freund, FastTrack: efficient and precise dynamic race
 * detection, 2009.) */
#ifndef TESTS_PTX_DEVICE_PTX_SHADOW_H
#define TESTS_PTX_DEVICE_PTX_SHADOW_H

#include <stddef.h>
#include <stdint.h>

enum {
    PTX_MOST_WARPS = 32, /* of a group, as its mbarriers */
    PTX_MOST_MBARRIERS = 16,
    PTX_MOST_CLUSTER = 8, /* groups of a cluster */
    PTX_MOST_AGENTS = PTX_MOST_CLUSTER * (PTX_MOST_WARPS + PTX_MOST_MBARRIERS),
    PTX_WORD_BYTES = 4,
    /* In place of a lane: several, or an instruction for all of them. */
    PTX_MANY_LANES = 255
};

typedef struct ptx_clock {
    uint32_t of[PTX_MOST_AGENTS];
} ptx_clock;

/* Who uses a word. */
typedef struct ptx_user {
    const ptx_clock *clock; /* what the warp knows */
    uint16_t agent;         /* the warp */
    uint8_t lane;
    uint8_t is_async;   /* by the asynchronous proxy: wgmma and bulk copies */
    uint8_t is_partial; /* less than a word: other lanes may use the rest */
} ptx_user;

typedef struct ptx_written {
    uint32_t at;     /* the agent's number; 0: never written */
    uint32_t fenced; /* the warp's number when it fenced this write for the asynchronous proxy; 0:
                        not yet */
    uint16_t agent;
    uint8_t lane;
    uint8_t is_async;
    uint8_t is_pending; /* a copy of cp.async that was not waited for */
    uint16_t readers;   /* wgmma that were not waited for */
} ptx_written;

typedef struct ptx_read {
    uint32_t at;
    uint8_t lane;
} ptx_read;

typedef struct ptx_shadow {
    ptx_written *written; /* a word each */
    ptx_read *reads;      /* a word's for each warp of the group: others don't read */
    size_t words;
    int warps;
    int first_agent; /* the group's first warp */
} ptx_shadow;

/* Returns 0, or −1 without memory. */
int ptx_shadow_start(ptx_shadow *shadow, size_t bytes, int warps, int first_agent);
void ptx_shadow_clear(ptx_shadow *shadow);
void ptx_shadow_end(ptx_shadow *shadow);

/* Notes that a word is read or written; NULL, or what is wrong with that. */
const char *ptx_shadow_read(ptx_shadow *shadow, size_t word, const ptx_user *user);
const char *ptx_shadow_write(ptx_shadow *shadow, size_t word, const ptx_user *user);

/* Takes over what another has seen, of so many agents. */
void ptx_clock_join(ptx_clock *clock, const ptx_clock *other, int agents);

#endif
