/* Works through a long text on several threads, chunk by chunk. Where a text is cut depends on the
 * text only, so that results don't depend on the number of threads. */
#ifndef TTM_TEXT_CHUNKS_H
#define TTM_TEXT_CHUNKS_H

#include "text/progress.h"
#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** A text and where it is cut: chunk i is text[ends[i − 1] … ends[i]). */
typedef struct ttm_chunks {
    const char *text;
    size_t *ends;
    size_t count;
} ttm_chunks;

/** Does the work of one chunk. `thread` < the number of threads tells which worker's state to use.
 */
typedef ttm_status (*ttm_chunk_work)(void *user, unsigned thread, size_t chunk, const char *text,
                                     size_t bytes);

/** Cuts a text. After success the caller frees with ttm_chunks_free; the text isn't copied. */
TTM_CHECKED ttm_status ttm_chunks_cut(ttm_chunks *chunks, const char *text, size_t bytes);
void ttm_chunks_free(ttm_chunks *chunks);

/** Returns how many threads to use when `wanted` were asked for: as many as there are cores for 0.
 */
unsigned ttm_chunks_threads(unsigned wanted);

/** Has `work` done for every chunk on `threads` threads, in no particular order. `progress` is told
 * the bytes done, on this thread; `done_before` were done by earlier calls. The first failure stops
 * all workers and is returned. */
TTM_CHECKED ttm_status ttm_chunks_run(const ttm_chunks *chunks, unsigned threads,
                                      ttm_chunk_work work, void *user, ttm_progress *progress,
                                      uint64_t done_before);

#endif
