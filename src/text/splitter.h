/* GPT-2's split pattern: text is cut into pieces (words with the space before them, numbers,
 * punctuation, white space), and no token crosses a cut. */
#ifndef TTM_TEXT_SPLITTER_H
#define TTM_TEXT_SPLITTER_H

#include <stddef.h>
#include <ttm/status.h>

/** The compiled pattern. Immutable; any number of threads may use it. */
typedef struct ttm_splitter ttm_splitter;

TTM_CHECKED ttm_status ttm_splitter_new(ttm_splitter **out);
void ttm_splitter_free(ttm_splitter *splitter);

/** One thread's use of a splitter. */
typedef struct ttm_split {
    const ttm_splitter *splitter;
    void *match; /* pcre2_match_data */
} ttm_split;

TTM_CHECKED ttm_status ttm_split_begin(ttm_split *split, const ttm_splitter *splitter);
void ttm_split_end(ttm_split *split);

/** *end = where the piece ends that begins at text[start], start < bytes. `text` [bytes] is valid
 * UTF-8. */
TTM_CHECKED ttm_status ttm_split_next(size_t *end, const ttm_split *split, const char *text,
                                      size_t bytes, size_t start);

/** As ttm_split_next, always through the pattern, without the short cut for plain words: what tests
 * compare with. */
TTM_CHECKED ttm_status ttm_split_next_plain(size_t *end, const ttm_split *split, const char *text,
                                            size_t bytes, size_t start);

#endif
