/* The list of device tests, and blocks of memory with patterns that they share. */
#include "conformance/device_tests.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const device_test *const groups[] = {device_life_tests,   device_memory_tests,
                                            device_stream_tests, device_thread_tests,
                                            device_op_tests,     device_refusal_tests};

enum { GROUPS = sizeof groups / sizeof groups[0] };

uint64_t device_test_count(void)
{
    uint64_t count = 0;
    for (size_t group = 0; group < GROUPS; group++) {
        for (const device_test *test = groups[group]; test->name != NULL; test++) {
            count++;
        }
    }
    return count;
}

const device_test *device_test_get(uint64_t index)
{
    for (size_t group = 0; group < GROUPS; group++) {
        for (const device_test *test = groups[group]; test->name != NULL; test++) {
            if (index-- == 0) {
                return test;
            }
        }
    }
    return NULL;
}

void device_test_check(check_verdict *verdict, const device_test *test, const test_bench *bench)
{
    const char *skipped = NULL;
    *verdict = (check_verdict){.outcome = CHECK_PASSED};
    if (test->run(&skipped, bench) != TTM_OK) {
        verdict->outcome = CHECK_FAILED;
        snprintf(verdict->message, sizeof verdict->message, "%s", ttm_error_message());
    } else if (skipped != NULL) {
        verdict->outcome = CHECK_SKIPPED;
        snprintf(verdict->message, sizeof verdict->message, "%s", skipped);
    }
}

unsigned char pattern_byte(uint32_t key, size_t index)
{
    uint32_t mixed = key * 2654435761u + (uint32_t)index * 40503u + (uint32_t)(index >> 16);
    mixed ^= mixed >> 15;
    mixed *= 2246822519u;
    return (unsigned char)(mixed >> 24);
}

void pattern_fill(unsigned char *bytes, size_t count, uint32_t key)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = pattern_byte(key, i);
    }
}

ttm_status block_new(test_block *block, const struct target *target, size_t bytes, uint32_t key)
{
    unsigned char *image = malloc(bytes);
    *block = (test_block){.bytes = bytes, .key = key};
    if (image == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a pattern of %zu bytes", bytes);
    }
    pattern_fill(image, bytes, key);
    const ttm_status status = target_upload(&block->memory, target, image, bytes);
    free(image);
    return status;
}

ttm_status block_check(const test_block *block, const struct target *target)
{
    unsigned char *image = calloc(block->bytes, 1);
    if (image == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to read %zu bytes", block->bytes);
    }
    ttm_status status = target_download(image, target, block->memory, block->bytes);
    for (size_t i = 0; i < block->bytes && status == TTM_OK; i++) {
        if (image[i] != pattern_byte(block->key, i)) {
            status = ttm_fail(TTM_ERROR_PLUGIN,
                              "byte %zu of an allocation of %zu bytes is %u, not the %u that was "
                              "written",
                              i, block->bytes, image[i], pattern_byte(block->key, i));
        }
    }
    free(image);
    return status;
}

void block_free(test_block *block, const struct target *target)
{
    target_free(target, block->memory);
    *block = (test_block){0};
}
