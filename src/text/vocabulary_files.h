/* The file formats that a vocabulary is read from. Each reader fills an empty vocabulary with its
 * tokens and merges (see text/vocabulary.h) but doesn't finish it; after a failure the caller frees
 * what there is. Messages name the file. */
#ifndef TTM_TEXT_VOCABULARY_FILES_H
#define TTM_TEXT_VOCABULARY_FILES_H

#include "text/vocabulary.h"
#include <stdbool.h>

/** Hugging Face's tokenizer.json. TTM_ERROR_UNSUPPORTED names the part that isn't GPT-2's kind of
 * BPE. */
TTM_CHECKED ttm_status ttm_vocabulary_read_tokenizer_json(ttm_vocabulary *vocabulary,
                                                          const char *path);

/** GPT-2's own pair of files. */
TTM_CHECKED ttm_status ttm_vocabulary_read_pair(ttm_vocabulary *vocabulary, const char *vocab_path,
                                                const char *merges_path);

/** tiktoken's list of base64 tokens and ranks. `<|endoftext|>` gets the lowest free id, which is
 * GPT-2's. */
TTM_CHECKED ttm_status ttm_vocabulary_read_tiktoken(ttm_vocabulary *vocabulary, const char *path);

/** The 256 bytes, id = byte, and `<|endoftext|>`. */
TTM_CHECKED ttm_status ttm_vocabulary_make_bytes(ttm_vocabulary *vocabulary);

/* What the readers share. */

/** A vocabulary file is at most this long; the largest real ones have some 30 MB. */
#define TTM_VOCABULARY_FILE_BYTES ((size_t)1 << 28)

/** Adds an ordinary token that is written in GPT-2's alphabet (`<|endoftext|>`, which looks like
 * one, is special). */
TTM_CHECKED ttm_status ttm_vocabulary_add_letters(ttm_vocabulary *vocabulary, int64_t id,
                                                  const char *letters);

/** Adds the merge of two tokens in GPT-2's alphabet, each given with its length. */
TTM_CHECKED ttm_status ttm_vocabulary_add_merge_letters(ttm_vocabulary *vocabulary,
                                                        const char *left, size_t left_bytes,
                                                        const char *right, size_t right_bytes);

/** Adds a merge written as two tokens with a space between them. */
TTM_CHECKED ttm_status ttm_vocabulary_add_merge_line(ttm_vocabulary *vocabulary, const char *line,
                                                     size_t bytes);

#endif
