/* Where dispatch and copies tell a profile what they do. All of it is nothing when no profile
 * records the stream. */
#ifndef TTM_CORE_PROFILE_HOOK_H
#define TTM_CORE_PROFILE_HOOK_H

#include "core/device_internal.h"

#include <ttm/profile.h>

/** Index of a call that isn't recorded. */
#define TTM_PROFILE_NO_CALL SIZE_MAX

/** Begins an op; returns what ttm_profile_end takes. */
size_t ttm_profile_begin_op(ttm_stream *stream, const ttm_op *op, ttm_profile_route route);

/** Begins a copy between host and device. */
size_t ttm_profile_begin_transfer(ttm_stream *stream, const char *name, size_t bytes);

/** Ends a call. */
void ttm_profile_end(ttm_stream *stream, size_t call);

#endif
