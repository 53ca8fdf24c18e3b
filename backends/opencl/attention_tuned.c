/* Classes of attention, as text too. */
#include "opencl/attention_tuned.h"

#include <stdio.h>
#include <string.h>

static int power_of_two(int64_t value)
{
    int power = 0;
    while (value > 1) {
        value /= 2;
        power++;
    }
    return power;
}

opencl_attention_class opencl_attention_class_of(const ttm_op *op, int is_emulated)
{
    const int is_backward = op->opcode == TTM_OP_ATTENTION_BACKWARD;
    const ttm_tensor *q = &op->tensors[is_backward ? TTM_ATTENTION_BACKWARD_Q : TTM_ATTENTION_Q];
    const ttm_tensor *k = &op->tensors[is_backward ? TTM_ATTENTION_BACKWARD_K : TTM_ATTENTION_K];
    return (opencl_attention_class){.is_emulated = is_emulated,
                                    .is_backward = is_backward,
                                    .head_size = (int)q->shape[3],
                                    .sizes = {power_of_two(q->shape[2]), power_of_two(k->shape[2]),
                                              power_of_two(q->shape[0] * q->shape[1])}};
}

/* The place of a class, or tuned->count. */
static int place_of(const opencl_tuned_attention *tuned, const opencl_attention_class *wanted)
{
    int place = 0;
    while (place < tuned->count &&
           (tuned->split[place].is_emulated != wanted->is_emulated ||
            tuned->split[place].is_backward != wanted->is_backward ||
            tuned->split[place].head_size != wanted->head_size ||
            memcmp(tuned->split[place].sizes, wanted->sizes, sizeof wanted->sizes) != 0)) {
        place++;
    }
    return place;
}

int opencl_tuned_attention_has(const opencl_tuned_attention *tuned,
                               const opencl_attention_class *wanted)
{
    return place_of(tuned, wanted) < tuned->count;
}

int opencl_tuned_attention_set(opencl_tuned_attention *tuned, const opencl_attention_class *what,
                               int is_split)
{
    const int place = place_of(tuned, what);
    if (is_split && place == OPENCL_MOST_TUNED_ATTENTION) {
        return 0;
    }
    if (is_split && place == tuned->count) {
        tuned->split[tuned->count++] = *what;
    } else if (!is_split && place < tuned->count) {
        tuned->split[place] = tuned->split[--tuned->count];
    }
    return 1;
}

void opencl_tuned_attention_print(char text[OPENCL_TUNED_ATTENTION_BYTES],
                                  const opencl_attention_class *what)
{
    snprintf(text, OPENCL_TUNED_ATTENTION_BYTES, "attention %s %s head %d sizes %d %d %d split",
             what->is_emulated ? "emulated" : "mma", what->is_backward ? "backward" : "forward",
             what->head_size, what->sizes[0], what->sizes[1], what->sizes[2]);
}

int opencl_tuned_attention_parse(opencl_attention_class *what, const char *line)
{
    char unit[16];
    char pass[16];
    memset(what, 0, sizeof *what);
    if (sscanf(line, "attention %15s %15s head %d sizes %d %d %d split", unit, pass,
               &what->head_size, &what->sizes[0], &what->sizes[1], &what->sizes[2]) != 6) {
        return 0;
    }
    what->is_emulated = strcmp(unit, "emulated") == 0;
    what->is_backward = strcmp(pass, "backward") == 0;
    return 1;
}
