/* Files of tokens: llm.c's, which begin with a header, and nanoGPT's, which don't. */
#ifndef TTM_TEXT_TOKEN_FILE_H
#define TTM_TEXT_TOKEN_FILE_H

#include "text/token_store.h"

/** Opens the token file `path` as a segment; which kind it is, is told by its first number. After
 * success the segment holds the file; hand it to ttm_token_store_append. Tokens aren't checked yet.
 */
TTM_CHECKED ttm_status ttm_token_file_open(ttm_token_segment *segment, const char *path);

#endif
