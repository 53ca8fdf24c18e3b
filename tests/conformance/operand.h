/* One tensor of a case as the host knows it: element values in double, and where each element lies
 * in an allocation whose other bytes are guards. */
#ifndef TTM_CONFORMANCE_OPERAND_H
#define TTM_CONFORMANCE_OPERAND_H

#include <stdbool.h>
#include <ttm/backend.h>
#include <ttm/random.h>

/** Bytes before and behind every tensor that nobody may touch; not less than any device's
 * alignment, so that plain cases are aligned. */
enum { GUARD_BYTES = 4096 };

/** All bytes that belong to no element, and elements that aren't to be read: a NaN in every float
 * type. */
enum { GUARD_BYTE = 0xff };

/** What an operand's strides may be. */
enum {
    LAYOUT_ANY = 0,
    LAYOUT_LAST_UNIT = 1 << 0,       /* the last stride is 1 */
    LAYOUT_CORE = 1 << 1,            /* the last four dimensions are contiguous */
    LAYOUT_DENSE = 1 << 2,           /* contiguous */
    LAYOUT_BROADCAST = 1 << 3,       /* strides may be 0 */
    LAYOUT_BATCH_BROADCAST = 1 << 4, /* strides of all but the last two dimensions may be 0 */
    LAYOUT_TRANSPOSE = 1 << 5 /* the last two dimensions may be exchanged, in plain cases too */
};

/** Elements of a chunk: as many as the widest access of a kernel takes. */
enum { CHUNK_ELEMENTS = 16 };

/** How adventurous the layouts of a case are. */
typedef enum layout_style {
    STYLE_PLAIN = 0,  /* contiguous, aligned */
    STYLE_PADDED = 1, /* rows with gaps between them, last stride 1 */
    STYLE_WILD = 2,   /* permuted, padded everywhere, odd offsets, broadcast */
    STYLE_SPACED = 3  /* aligned rows: between any two a gap of whole chunks; never drawn */
} layout_style;

/** A tensor. `dtype` TTM_DTYPE_NONE: absent. */
struct operand {
    ttm_dtype dtype;
    int32_t rank;
    int64_t shape[TTM_MAX_RANK];
    int64_t stride[TTM_MAX_RANK];
    int64_t offset;   /**< Of the first element, in elements, behind the front guard. */
    int64_t elements; /**< Length of the region between the guards, in elements. */
    int64_t count;    /**< Number of elements of the tensor. */
    double *values;   /**< [count] row-major, representable in `dtype`; owned. */
};

/** Gives a shaped operand strides and an offset. */
void operand_arrange(struct operand *operand, unsigned layout, layout_style style,
                     ttm_random *random);

/** Sets all values to random numbers shift + scale·draw_value, rounded to the type, none of them 0.
 * Elements that share memory get one value. False when memory runs out. */
bool operand_fill_random(struct operand *operand, double shift, double scale, ttm_random *random);

/** Sets all values from `source` [count], rounded to the type. False when memory runs out. */
bool operand_fill(struct operand *operand, const double *source);

/** Returns `value` rounded to a type. */
double round_to(ttm_dtype dtype, double value);

/** Returns where element number `index` (row-major) lies, in elements from the region's start. */
int64_t operand_position(const struct operand *operand, int64_t index);

/** Returns the size of the allocation, guards included. */
size_t operand_bytes(const struct operand *operand);

/** Writes the allocation's image: guards, and the values where `with_values`. */
void operand_write_image(unsigned char *image, const struct operand *operand, bool with_values);

/** Reads element number `index` from an image. */
double operand_read_image(const unsigned char *image, const struct operand *operand, int64_t index);

/** Returns the offset of the first byte that differs between two images and belongs to no element
 * (to no element or any, with `elements_too`), or -1. */
int64_t operand_first_difference(const unsigned char *before, const unsigned char *after,
                                 const struct operand *operand, bool elements_too);

/** Describes the operand as a tensor in `memory`. */
ttm_tensor operand_tensor(const struct operand *operand, ttm_memory *memory);

/** Frees the values. */
void operand_free(struct operand *operand);

#endif
