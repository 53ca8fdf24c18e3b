/* Races in shared memory. */
#include "ptx_shadow.h"

#include <stdlib.h>
#include <string.h>

int ptx_shadow_start(ptx_shadow *shadow, size_t bytes, int warps, int first_agent)
{
    shadow->words = (bytes + PTX_WORD_BYTES - 1) / PTX_WORD_BYTES;
    shadow->warps = warps;
    shadow->first_agent = first_agent;
    shadow->written = calloc(shadow->words + 1, sizeof *shadow->written);
    shadow->reads = calloc((shadow->words + 1) * (size_t)warps, sizeof *shadow->reads);
    return shadow->written != NULL && shadow->reads != NULL ? 0 : -1;
}

void ptx_shadow_clear(ptx_shadow *shadow)
{
    memset(shadow->written, 0, shadow->words * sizeof *shadow->written);
    memset(shadow->reads, 0, shadow->words * (size_t)shadow->warps * sizeof *shadow->reads);
}

void ptx_shadow_end(ptx_shadow *shadow)
{
    free(shadow->written);
    free(shadow->reads);
}

void ptx_clock_join(ptx_clock *clock, const ptx_clock *other, int agents)
{
    for (int agent = 0; agent < agents; agent++) {
        clock->of[agent] =
            clock->of[agent] > other->of[agent] ? clock->of[agent] : other->of[agent];
    }
}

/* Whether what `agent` did at its number `at` comes before what the user does now. Within a warp,
 * lanes are in order only where the warp has met since. */
static int is_before(const ptx_user *user, int agent, uint32_t at, uint8_t lane)
{
    if (agent == user->agent && at == user->clock->of[agent]) {
        return user->is_partial || (lane == user->lane && lane != PTX_MANY_LANES);
    }
    return user->clock->of[agent] >= at;
}

/* A fence speaks for the writes before it, to everyone who knows of it. */
static int is_fenced(const ptx_user *user, const ptx_written *written)
{
    return written->fenced != 0 && user->clock->of[written->agent] >= written->fenced;
}

const char *ptx_shadow_read(ptx_shadow *shadow, size_t word, const ptx_user *user)
{
    const ptx_written *written = &shadow->written[word];
    if (written->is_pending) {
        return "is read while an asynchronous copy that was not waited for writes it";
    }
    if (written->at == 0) {
        return "is read before it was written";
    }
    if (!is_before(user, written->agent, written->at, written->lane)) {
        return "is read in a race with a write";
    }
    if (user->is_async && !written->is_async && !is_fenced(user, written)) {
        return "is read by wgmma, but its write wasn't fenced for the asynchronous proxy";
    }
    ptx_read *read =
        &shadow->reads[word * (size_t)shadow->warps + (size_t)(user->agent - shadow->first_agent)];
    const uint32_t now = user->clock->of[user->agent];
    read->lane = read->at == now && read->lane != user->lane ? PTX_MANY_LANES : user->lane;
    read->at = now;
    return NULL;
}

const char *ptx_shadow_write(ptx_shadow *shadow, size_t word, const ptx_user *user)
{
    ptx_written *written = &shadow->written[word];
    if (written->is_pending) {
        return "is written while an asynchronous copy that was not waited for writes it";
    }
    if (written->readers != 0) {
        return "is written while a wgmma that was not waited for reads it";
    }
    if (written->at != 0 && !is_before(user, written->agent, written->at, written->lane)) {
        return "is written in a race with another write";
    }
    if (user->is_async && written->at != 0 && !written->is_async && !is_fenced(user, written)) {
        return "is written by a bulk copy, but the write before wasn't fenced for the asynchronous "
               "proxy";
    }
    const ptx_read *reads = &shadow->reads[word * (size_t)shadow->warps];
    for (int warp = 0; warp < shadow->warps; warp++) {
        if (reads[warp].at != 0 &&
            !is_before(user, shadow->first_agent + warp, reads[warp].at, reads[warp].lane)) {
            return "is written in a race with a read";
        }
    }
    written->at = user->clock->of[user->agent];
    written->fenced = 0;
    written->agent = user->agent;
    written->lane = user->lane;
    written->is_async = user->is_async;
    return NULL;
}
