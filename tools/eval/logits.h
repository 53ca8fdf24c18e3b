/* Logits of one sequence of token ids, written to a file for comparison with other programs. */
#ifndef TTM_TOOLS_EVAL_LOGITS_H
#define TTM_TOOLS_EVAL_LOGITS_H

#include "common/tool_model.h"

/** Reads token ids separated by blanks or commas and writes logits f32 [tokens, vocab] as tensor
 * "logits" of the safetensors file `path`. *count = how many tokens there were. Returns TOOL_GO_ON,
 * or after a message the exit status. */
int logits_write(int64_t *count, const tool_model *opened, const char *tokens, const char *path);

#endif
