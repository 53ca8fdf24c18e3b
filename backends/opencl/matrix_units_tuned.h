/* What was measured to be fast on matrix units: a variant and a number of pieces for each class of
 * products. A class is a unit, types, how the operands lie, and sizes as powers of two. */
#ifndef TTM_OPENCL_MATRIX_UNITS_TUNED_H
#define TTM_OPENCL_MATRIX_UNITS_TUNED_H

#include "opencl/matrix_units_plan.h"

enum { OPENCL_MOST_TUNED_UNITS = 48, OPENCL_TUNED_UNIT_BYTES = 160 };

/** Products that are done alike. */
struct opencl_unit_class {
    opencl_unit unit;
    int is_emulated;
    int parts;
    int result;   /**< ttm_dtype of out. */
    int a_runs;   /**< 1: a's rows, not its columns, are neighbours in memory. */
    int b_runs;   /**< 1: b's columns are. */
    int sizes[4]; /**< Of rows, columns, depth and batches: the powers of two that they reach. */
};

/** What a class uses. */
typedef struct opencl_tuned_unit {
    opencl_unit_class products;
    int variant;
    int pieces;
} opencl_tuned_unit;

/** All that is known of a device. */
struct opencl_tuned_units {
    int count;
    opencl_tuned_unit entries[OPENCL_MOST_TUNED_UNITS];
};

/** Sets the sizes of a class. */
void opencl_unit_class_set_sizes(opencl_unit_class *products, const opencl_unit_sizes *sizes);

/** Returns the entry of a class, NULL for none. */
const opencl_tuned_unit *opencl_tuned_units_find(const opencl_tuned_units *tuned,
                                                 const opencl_unit_class *products);

/** Adds an entry in place of its class's old one. Returns 0 when there is no room. */
int opencl_tuned_units_set(opencl_tuned_units *tuned, const opencl_tuned_unit *entry);

/** Removes the entry of a class, where there is one. */
void opencl_tuned_units_remove(opencl_tuned_units *tuned, const opencl_unit_class *products);

/** Writes an entry as one line without its end, with the variant's shape, not its number. */
void opencl_tuned_unit_print(char text[OPENCL_TUNED_UNIT_BYTES], const opencl_tuned_unit *entry);

/** Reads what a line begins with. Returns 0 for what isn't an entry, or one of no variant. */
int opencl_tuned_unit_parse(opencl_tuned_unit *entry, const char *line);

#endif
