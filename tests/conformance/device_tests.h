/* Tests of a device besides its ops: memory, streams, threads, opening and closing. One function a
 * promise of ttm/backend.h. */
#ifndef TTM_CONFORMANCE_DEVICE_TESTS_H
#define TTM_CONFORMANCE_DEVICE_TESTS_H

#include "conformance/check.h"

#include <stdint.h>

/** What a test works with. */
typedef struct test_bench {
    const struct target *tested;
    const struct target *oracle;
    const char *plugin_path; /**< To open the device once more. */
    const char *device;      /**< As target_open takes it. */
    uint64_t seed;
    int64_t seconds; /**< What a test that repeats something should take at most. */
} test_bench;

/** A test. `run` returns a failure with a message, or sets *skipped to why there is nothing to
 * test. */
typedef struct device_test {
    const char *name; /**< "memory/zero_bytes". */
    const char *promise;
    ttm_status (*run)(const char **skipped, const test_bench *bench);
} device_test;

/** Returns the number of tests, and test `index`. */
uint64_t device_test_count(void);
const device_test *device_test_get(uint64_t index);

/** Runs a test and says what became of it. */
void device_test_check(check_verdict *verdict, const device_test *test, const test_bench *bench);

/** Fails the test where `condition` doesn't hold: for functions that own nothing. */
#define REQUIRE(condition, ...)                             \
    do {                                                    \
        if (!(condition)) {                                 \
            return ttm_fail(TTM_ERROR_PLUGIN, __VA_ARGS__); \
        }                                                   \
    } while (0)

/** The same with `status` and a label `out`. */
#define REQUIRE_OUT(condition, ...)                           \
    do {                                                      \
        if (!(condition)) {                                   \
            status = ttm_fail(TTM_ERROR_PLUGIN, __VA_ARGS__); \
            goto out;                                         \
        }                                                     \
    } while (0)

/** An allocation filled with a pattern of its own, guards included. */
typedef struct test_block {
    ttm_memory *memory;
    size_t bytes;
    uint32_t key;
} test_block;

/** Byte `index` of the pattern of a key. */
unsigned char pattern_byte(uint32_t key, size_t index);

/** Fills host bytes with a pattern. */
void pattern_fill(unsigned char *bytes, size_t count, uint32_t key);

/** Allocates a block and writes its pattern. The caller frees it with block_free. */
TTM_CHECKED ttm_status block_new(test_block *block, const struct target *target, size_t bytes,
                                 uint32_t key);

/** Fails unless the block holds its pattern. */
TTM_CHECKED ttm_status block_check(const test_block *block, const struct target *target);

/** Frees a block; a zeroed one is allowed. */
void block_free(test_block *block, const struct target *target);

/** Something that is done again and again, and must leave nothing behind. */
typedef ttm_status turn_function(const test_bench *bench, void *context);

/** Does a turn a thousand times, fewer if that takes too long, and fails where the process has more
 * files, threads or heap afterwards. `what` says what was done, "opening and closing". */
TTM_CHECKED ttm_status leak_check(turn_function *turn, void *context, const char *what,
                                  const test_bench *bench);

/* The tests of each file; ends with one whose name is NULL. */
extern const device_test device_life_tests[];
extern const device_test device_memory_tests[];
extern const device_test device_stream_tests[];
extern const device_test device_thread_tests[];
extern const device_test device_op_tests[];
extern const device_test device_refusal_tests[];

#endif
