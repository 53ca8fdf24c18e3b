/* By which unit attention was measured to be fastest, or that it was by other kernels. */
#ifndef TTM_OPENCL_ATTENTION_TUNED_H
#define TTM_OPENCL_ATTENTION_TUNED_H

#include "opencl/matrix_units.h"
#include "opencl/op.h"

enum { OPENCL_MOST_TUNED_ATTENTION = 32, OPENCL_TUNED_ATTENTION_BYTES = 112 };

/** Attention that is done alike. */
typedef struct opencl_attention_class {
    int is_emulated;
    int is_backward;
    ttm_dtype type; /**< F32, BF16 or TF32. */
    int head_size;
    int sizes[3]; /**< Of queries, keys and heads of all batches: the powers of two they reach. */
} opencl_attention_class;

/** What was found of a class. */
typedef struct opencl_attention_choice {
    opencl_attention_class what;
    opencl_unit unit; /**< NONE: other kernels. */
} opencl_attention_choice;

/** All that is known of a device. */
typedef struct opencl_tuned_attention {
    int count;
    opencl_attention_choice entries[OPENCL_MOST_TUNED_ATTENTION];
} opencl_tuned_attention;

/** Returns the class of an ATTENTION or ATTENTION_BACKWARD. */
opencl_attention_class opencl_attention_class_of(const ttm_op *op, int is_emulated);

/** Returns what was found of a class, NULL for nothing. */
const opencl_attention_choice *opencl_tuned_attention_find(const opencl_tuned_attention *tuned,
                                                           const opencl_attention_class *wanted);

/** Adds a choice in place of its class's old one. Returns 0 when there is no room. */
int opencl_tuned_attention_set(opencl_tuned_attention *tuned,
                               const opencl_attention_choice *choice);

/** Writes a choice as one line without its end. */
void opencl_tuned_attention_print(char text[OPENCL_TUNED_ATTENTION_BYTES],
                                  const opencl_attention_choice *choice);

/** Reads what a line begins with. Returns 0 for what isn't a choice. */
int opencl_tuned_attention_parse(opencl_attention_choice *choice, const char *line);

#endif
