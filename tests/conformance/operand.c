/* Layouts, values and images of operands. */
#include "conformance/operand.h"

#include "common/float_formats.h"
#include "conformance/draw.h"

#include <stdlib.h>
#include <string.h>

/* Strides for dimensions taken in `order`, innermost first, with the gaps of a style. */
static void lay_out(struct operand *operand, const int32_t *order, layout_style gaps,
                    bool gap_inside, ttm_random *random)
{
    int64_t step = 1;
    for (int32_t k = 0; k < operand->rank; k++) {
        const int32_t dim = order[k];
        if (k == 0 && gap_inside && draw_once_in(random, 3)) {
            step = draw_between(random, 2, 3);
        }
        operand->stride[dim] = step;
        step *= operand->shape[dim] > 0 ? operand->shape[dim] : 1;
        if (gaps == STYLE_SPACED && k == 0) {
            step += draw_between(random, 1, 3) * CHUNK_ELEMENTS;
        } else if ((gaps == STYLE_PADDED || gaps == STYLE_WILD) && draw_once_in(random, 2)) {
            step += draw_between(random, 1, 9) * operand->stride[dim];
        }
    }
}

static void shuffle(int32_t *order, int32_t first, int32_t count, ttm_random *random)
{
    for (int32_t k = count - 1; k > first; k--) {
        const int32_t other = (int32_t)draw_between(random, first, k);
        const int32_t held = order[k];
        order[k] = order[other];
        order[other] = held;
    }
}

static void broadcast(struct operand *operand, unsigned layout, ttm_random *random)
{
    const int32_t dims = (layout & LAYOUT_BROADCAST) != 0
                             ? operand->rank
                             : ((layout & LAYOUT_BATCH_BROADCAST) != 0 ? operand->rank - 2 : 0);
    for (int32_t dim = 0; dim < dims; dim++) {
        if (draw_once_in(random, 4)) {
            operand->stride[dim] = 0;
        }
    }
}

void operand_arrange(struct operand *operand, unsigned layout, layout_style style,
                     ttm_random *random)
{
    int32_t order[TTM_MAX_RANK];
    const int32_t rank = operand->rank;
    for (int32_t k = 0; k < rank; k++) {
        order[k] = rank - 1 - k;
    }
    /* A core's layer stride is the only free one: gaps come after the four inner dimensions. */
    const bool core = (layout & LAYOUT_CORE) != 0;
    const bool dense = (layout & LAYOUT_DENSE) != 0 || core;
    const bool wild = style == STYLE_WILD && !dense;
    if (wild) {
        shuffle(order, (layout & LAYOUT_LAST_UNIT) != 0 ? 1 : 0, rank, random);
    }
    if (!wild && (layout & LAYOUT_TRANSPOSE) != 0 && rank >= 2 && draw_once_in(random, 2)) {
        order[0] = rank - 2;
        order[1] = rank - 1;
    }
    lay_out(operand, order, dense ? STYLE_PLAIN : style, wild && (layout & LAYOUT_LAST_UNIT) == 0,
            random);
    if (core && style != STYLE_PLAIN) {
        operand->stride[0] += draw_between(random, 0, 40);
    }
    if (wild) {
        broadcast(operand, layout, random);
    }
    operand->offset = style == STYLE_WILD ? draw_between(random, 0, 7) : 0;
    operand->count = 1;
    int64_t last = 0;
    for (int32_t dim = 0; dim < rank; dim++) {
        operand->count *= operand->shape[dim];
        last += (operand->shape[dim] - 1) * operand->stride[dim];
    }
    operand->elements = operand->offset + (operand->count > 0 ? last + 1 : 0);
}

double round_to(ttm_dtype dtype, double value)
{
    switch (dtype) {
    case TTM_F32:
    case TTM_TF32:
        return (float)value;
    case TTM_BF16:
        return bf16_to_float(bf16_from_double(value));
    case TTM_F16:
        return f16_to_float(f16_from_double(value));
    case TTM_I32:
        return (double)(int32_t)value;
    case TTM_F64:
    case TTM_DTYPE_NONE:
        break;
    }
    return value;
}

static bool reserve_values(struct operand *operand)
{
    free(operand->values);
    operand->values = calloc(operand->count > 0 ? (size_t)operand->count : 1, sizeof(double));
    return operand->values != NULL;
}

bool operand_fill_random(struct operand *operand, double shift, double scale, ttm_random *random)
{
    double *places = calloc(operand->elements > 0 ? (size_t)operand->elements : 1, sizeof *places);
    const bool ready = reserve_values(operand) && places != NULL;
    if (ready) {
        for (int64_t i = 0; i < operand->count; i++) {
            double *place = &places[operand_position(operand, i)];
            while (*place == 0.0) {
                *place = round_to(operand->dtype, shift + scale * draw_value(random));
            }
            operand->values[i] = *place;
        }
    }
    free(places);
    return ready;
}

bool operand_fill(struct operand *operand, const double *source)
{
    if (!reserve_values(operand)) {
        return false;
    }
    for (int64_t i = 0; i < operand->count; i++) {
        operand->values[i] = round_to(operand->dtype, source[i]);
    }
    return true;
}

int64_t operand_position(const struct operand *operand, int64_t index)
{
    int64_t position = operand->offset;
    for (int32_t dim = operand->rank - 1; dim >= 0; dim--) {
        position += index % operand->shape[dim] * operand->stride[dim];
        index /= operand->shape[dim];
    }
    return position;
}

size_t operand_bytes(const struct operand *operand)
{
    return 2 * (size_t)GUARD_BYTES + (size_t)operand->elements * ttm_dtype_bytes(operand->dtype);
}

static size_t byte_position(const struct operand *operand, int64_t index)
{
    return GUARD_BYTES + (size_t)operand_position(operand, index) * ttm_dtype_bytes(operand->dtype);
}

static void write_element(unsigned char *target, ttm_dtype dtype, double value)
{
    const float single = (float)value;
    const uint16_t half = dtype == TTM_BF16 ? bf16_from_double(value) : f16_from_double(value);
    const int32_t whole = dtype == TTM_I32 ? (int32_t)value : 0;
    switch (dtype) {
    case TTM_F64:
        memcpy(target, &value, sizeof value);
        break;
    case TTM_F32:
    case TTM_TF32:
        memcpy(target, &single, sizeof single);
        break;
    case TTM_BF16:
    case TTM_F16:
        memcpy(target, &half, sizeof half);
        break;
    case TTM_I32:
        memcpy(target, &whole, sizeof whole);
        break;
    case TTM_DTYPE_NONE:
        break;
    }
}

void operand_write_image(unsigned char *image, const struct operand *operand, bool with_values)
{
    memset(image, GUARD_BYTE, operand_bytes(operand));
    for (int64_t i = 0; with_values && i < operand->count; i++) {
        write_element(image + byte_position(operand, i), operand->dtype, operand->values[i]);
    }
}

double operand_read_image(const unsigned char *image, const struct operand *operand, int64_t index)
{
    const unsigned char *source = image + byte_position(operand, index);
    double value = 0.0;
    float single = 0.0F;
    uint16_t half = 0;
    int32_t whole = 0;
    switch (operand->dtype) {
    case TTM_F64:
        memcpy(&value, source, sizeof value);
        return value;
    case TTM_F32:
    case TTM_TF32:
        memcpy(&single, source, sizeof single);
        return single;
    case TTM_BF16:
        memcpy(&half, source, sizeof half);
        return bf16_to_float(half);
    case TTM_F16:
        memcpy(&half, source, sizeof half);
        return f16_to_float(half);
    case TTM_I32:
        memcpy(&whole, source, sizeof whole);
        return whole;
    case TTM_DTYPE_NONE:
        break;
    }
    return value;
}

int64_t operand_first_difference(const unsigned char *before, const unsigned char *after,
                                 const struct operand *operand, bool elements_too)
{
    const size_t bytes = operand_bytes(operand);
    const size_t element_bytes = ttm_dtype_bytes(operand->dtype);
    unsigned char *skipped = calloc(bytes, 1);
    int64_t found = skipped == NULL ? 0 : -1; /* without memory nothing is proven */
    for (int64_t i = 0; skipped != NULL && !elements_too && i < operand->count; i++) {
        memset(skipped + byte_position(operand, i), 1, element_bytes);
    }
    for (size_t i = 0; skipped != NULL && i < bytes && found < 0; i++) {
        if (before[i] != after[i] && skipped[i] == 0) {
            found = (int64_t)i;
        }
    }
    free(skipped);
    return found;
}

ttm_tensor operand_tensor(const struct operand *operand, ttm_memory *memory)
{
    ttm_tensor tensor = {.memory = memory,
                         .memory_bytes = operand_bytes(operand),
                         .offset = GUARD_BYTES +
                                   (size_t)operand->offset * ttm_dtype_bytes(operand->dtype),
                         .dtype = operand->dtype,
                         .layout = TTM_LAYOUT_STRIDED,
                         .rank = operand->rank};
    memcpy(tensor.shape, operand->shape, sizeof tensor.shape);
    memcpy(tensor.stride, operand->stride, sizeof tensor.stride);
    return tensor;
}

void operand_free(struct operand *operand)
{
    free(operand->values);
    operand->values = NULL;
}
