/* A condition that a test of one program holds: else a line, and status 1. */
#ifndef TTM_TESTS_OPENCL_CHECK_H
#define TTM_TESTS_OPENCL_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "line %d: %s doesn't hold\n", __LINE__, #condition); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

#endif
