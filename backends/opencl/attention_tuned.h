/* Attention of f32 tensors that was measured to be faster split over matrix units than by all other
 * kernels. */
#ifndef TTM_OPENCL_ATTENTION_TUNED_H
#define TTM_OPENCL_ATTENTION_TUNED_H

#include "opencl/op.h"

enum { OPENCL_MOST_TUNED_ATTENTION = 16, OPENCL_TUNED_ATTENTION_BYTES = 96 };

/** Attention that is done alike. */
typedef struct opencl_attention_class {
    int is_emulated;
    int is_backward;
    int head_size;
    int sizes[3]; /**< Of queries, keys and heads of all batches: the powers of two they reach. */
} opencl_attention_class;

/** The classes that are split. */
typedef struct opencl_tuned_attention {
    int count;
    opencl_attention_class split[OPENCL_MOST_TUNED_ATTENTION];
} opencl_tuned_attention;

/** Returns the class of an ATTENTION or ATTENTION_BACKWARD. */
opencl_attention_class opencl_attention_class_of(const ttm_op *op, int is_emulated);

/** Returns whether a class is split. */
int opencl_tuned_attention_has(const opencl_tuned_attention *tuned,
                               const opencl_attention_class *wanted);

/** Says whether a class is split from now on. Returns 0 when there is no room. */
int opencl_tuned_attention_set(opencl_tuned_attention *tuned, const opencl_attention_class *what,
                               int is_split);

/** Writes a class that is split as one line without its end. */
void opencl_tuned_attention_print(char text[OPENCL_TUNED_ATTENTION_BYTES],
                                  const opencl_attention_class *what);

/** Reads what a line begins with. Returns 0 for what isn't a class. */
int opencl_tuned_attention_parse(opencl_attention_class *what, const char *line);

#endif
