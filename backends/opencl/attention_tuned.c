/* Choices as text, and their search. */
#include "opencl/attention_tuned.h"

#include <stdio.h>
#include <string.h>

opencl_attention_class opencl_attention_class_of(const ttm_op *op, int is_emulated)
{
    const int is_backward = op->opcode == TTM_OP_ATTENTION_BACKWARD;
    const ttm_tensor *q = &op->tensors[is_backward ? TTM_ATTENTION_BACKWARD_Q : TTM_ATTENTION_Q];
    const ttm_tensor *k = &op->tensors[is_backward ? TTM_ATTENTION_BACKWARD_K : TTM_ATTENTION_K];
    return (opencl_attention_class){.is_emulated = is_emulated,
                                    .is_backward = is_backward,
                                    .type = q->dtype,
                                    .head_size = (int)q->shape[3],
                                    .sizes = {opencl_power_of_two(q->shape[2]),
                                              opencl_power_of_two(k->shape[2]),
                                              opencl_power_of_two(q->shape[0] * q->shape[1])}};
}

static int is_same(const opencl_attention_class *x, const opencl_attention_class *y)
{
    return x->is_emulated == y->is_emulated && x->is_backward == y->is_backward &&
           x->type == y->type && x->head_size == y->head_size &&
           memcmp(x->sizes, y->sizes, sizeof x->sizes) == 0;
}

/* The place of a class's entry, or tuned->count. */
static int place_of(const opencl_tuned_attention *tuned, const opencl_attention_class *wanted)
{
    int place = 0;
    while (place < tuned->count && !is_same(&tuned->entries[place].what, wanted)) {
        place++;
    }
    return place;
}

const opencl_attention_choice *opencl_tuned_attention_find(const opencl_tuned_attention *tuned,
                                                           const opencl_attention_class *wanted)
{
    const int place = place_of(tuned, wanted);
    return place < tuned->count ? &tuned->entries[place] : NULL;
}

int opencl_tuned_attention_set(opencl_tuned_attention *tuned, const opencl_attention_choice *choice)
{
    const int place = place_of(tuned, &choice->what);
    if (place == OPENCL_MOST_TUNED_ATTENTION) {
        return 0;
    }
    tuned->entries[place] = *choice;
    tuned->count = place == tuned->count ? tuned->count + 1 : tuned->count;
    return 1;
}

static const ttm_dtype types[] = {TTM_F32, TTM_BF16, TTM_TF32};
static const char plain[] = "plain"; /* in place of a unit */

void opencl_tuned_attention_print(char text[OPENCL_TUNED_ATTENTION_BYTES],
                                  const opencl_attention_choice *choice)
{
    const opencl_attention_class *what = &choice->what;
    snprintf(text, OPENCL_TUNED_ATTENTION_BYTES, "attention %s %s %s head %d sizes %d %d %d %s",
             what->is_emulated ? "emulated" : "device", ttm_dtype_name(what->type),
             what->is_backward ? "backward" : "forward", what->head_size, what->sizes[0],
             what->sizes[1], what->sizes[2],
             choice->unit == OPENCL_UNIT_NONE ? plain : opencl_unit_name(choice->unit));
}

int opencl_tuned_attention_parse(opencl_attention_choice *choice, const char *line)
{
    char where[16];
    char type[16];
    char pass[16];
    char way[16];
    opencl_attention_class *what = &choice->what;
    memset(choice, 0, sizeof *choice);
    if (sscanf(line, "attention %15s %15s %15s head %d sizes %d %d %d %15s", where, type, pass,
               &what->head_size, &what->sizes[0], &what->sizes[1], &what->sizes[2], way) != 8) {
        return 0;
    }
    what->is_emulated = strcmp(where, "emulated") == 0;
    what->is_backward = strcmp(pass, "backward") == 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        what->type = strcmp(type, ttm_dtype_name(types[i])) == 0 ? types[i] : what->type;
    }
    choice->unit = opencl_unit_named(way);
    return what->type != TTM_DTYPE_NONE;
}
