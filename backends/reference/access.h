/* How the ops see tensors: rows of doubles, whatever the element type, strides and offset are.
 *
 * A row is what the last dimension runs over; row r is the r-th in row-major order of the other
 * dimensions (a tensor of rank 0 is one row of one element). Loading converts to double exactly,
 * storing rounds once. Ops that would need rows of any length work on spans, pieces of a row that
 * fit a small array. */
#ifndef TTM_REFERENCE_ACCESS_H
#define TTM_REFERENCE_ACCESS_H

#include <stdbool.h>
#include <ttm/backend.h>

/** The most elements in a span. */
enum { SPAN_LENGTH = 512 };

/** Elements [start, start + count) of one row. */
struct span {
    int64_t row;
    int64_t start;
    int64_t count;
};

/** Returns the length of a tensor's rows. */
int64_t row_length(const ttm_tensor *tensor);

/** Returns how many rows a tensor has. */
int64_t row_count(const ttm_tensor *tensor);

/** target[0 … length) = row `row` of the tensor. */
void load_row(double *target, const ttm_tensor *tensor, int64_t row);

/** Row `row` of the tensor = source[0 … length), rounded. */
void store_row(const ttm_tensor *tensor, int64_t row, const double *source);

/** Moves on to the next span of a tensor of this shape; false after the last. Start from a zeroed
 * span. */
bool next_span(struct span *span, const ttm_tensor *shape);

/** target[0 … span->count) = those elements of the tensor. */
void load_span(double *target, const ttm_tensor *tensor, const struct span *span);

/** Those elements of the tensor = source[0 … span->count), rounded. */
void store_span(const ttm_tensor *tensor, const struct span *span, const double *source);

/** Like load_span and store_span for `count` elements that lie one after another in memory,
 * `first` elements behind the tensor's first. */
void load_contiguous(double *target, const ttm_tensor *tensor, int64_t first, int64_t count);
void store_contiguous(const ttm_tensor *tensor, int64_t first, int64_t count, const double *source);

/** Loads and stores element 0, such as a sum. */
double load_scalar(const ttm_tensor *tensor);
void store_scalar(const ttm_tensor *tensor, double value);

#endif
