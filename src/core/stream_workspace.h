/* A stream's scratch memory: one allocation that ops of the stream share, one after the other. */
#ifndef TTM_CORE_STREAM_WORKSPACE_H
#define TTM_CORE_STREAM_WORKSPACE_H

#include <stddef.h>
#include <ttm/device.h>

/** Makes stream->workspace at least `bytes` large, as an f32 tensor of rank 1, and notes the need
 * in workspace_needed. Growing waits for the stream, frees the old allocation and makes a new one:
 * its content is lost, so nothing may be held in it then (an enclosing op reserves for the ops
 * inside it too; growing with workspace_used > 0 is TTM_ERROR_INTERNAL). A planning stream only
 * notes the need. On failure the workspace is absent. */
TTM_CHECKED ttm_status ttm_stream_workspace_ensure(ttm_stream *stream, size_t bytes);

/** Frees the workspace; no op may be using it. */
void ttm_stream_workspace_free(ttm_stream *stream);

#endif
