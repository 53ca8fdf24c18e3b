/* Memory: what is written is read, nothing else changes, and limits are errors. */
#include "conformance/device_tests.h"
#include "conformance/draw.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 48, COPIES = 60, COPY_BYTES = 5000, LONG_BYTES = 200003 };

static ttm_status write_bytes(const struct target *target, ttm_memory *memory, size_t offset,
                              const void *source, size_t bytes)
{
    ttm_plugin_begin();
    return target_check(
        target, "memory_write",
        target->backend->memory_write(target->stream, memory, offset, source, bytes));
}

static ttm_status read_bytes(void *result, const struct target *target, ttm_memory *memory,
                             size_t offset, size_t bytes)
{
    ttm_plugin_begin();
    return target_check(
        target, "memory_read",
        target->backend->memory_read(target->stream, result, memory, offset, bytes));
}

static ttm_status expect_image(const struct target *target, ttm_memory *memory,
                               const unsigned char *expected, unsigned char *room, size_t bytes,
                               const char *after)
{
    memset(room, 0, bytes);
    TTM_TRY(read_bytes(room, target, memory, 0, bytes));
    for (size_t i = 0; i < bytes; i++) {
        REQUIRE(room[i] == expected[i], "after %s byte %zu of %zu is %u, not %u", after, i, bytes,
                room[i], expected[i]);
    }
    return TTM_OK;
}

/* Writes and reads of any length at any offset, beside a host copy of it all. */
static ttm_status round_trip(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    ttm_random random = {.seed = bench->seed};
    unsigned char mirror[COPY_BYTES];
    unsigned char part[COPY_BYTES];
    test_block block;
    ttm_status status = block_new(&block, bench->tested, sizeof mirror, 1);
    pattern_fill(mirror, sizeof mirror, 1);
    for (uint32_t k = 0; k < COPIES && status == TTM_OK; k++) {
        const size_t offset = (size_t)draw_below(&random, COPY_BYTES);
        const size_t bytes = (size_t)draw_between(&random, 1, (int64_t)(COPY_BYTES - offset));
        pattern_fill(part, bytes, 100 + k);
        memcpy(mirror + offset, part, bytes);
        TTM_TRY_OUT(write_bytes(bench->tested, block.memory, offset, part, bytes));
        TTM_TRY_OUT(read_bytes(part, bench->tested, block.memory, offset / 2, COPY_BYTES / 2));
        REQUIRE_OUT(memcmp(part, mirror + offset / 2, COPY_BYTES / 2) == 0,
                    "%d bytes read from offset %zu aren't those written", COPY_BYTES / 2,
                    offset / 2);
        TTM_TRY_OUT(expect_image(bench->tested, block.memory, mirror, part, sizeof mirror,
                                 "writing a part"));
    }
out:
    block_free(&block, bench->tested);
    return status;
}

static ttm_status zero_bytes(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    const ttm_backend *backend = bench->tested->backend;
    unsigned char byte = 7;
    test_block block;
    ttm_status status = block_new(&block, bench->tested, 64, 2);
    for (size_t offset = 0; offset <= 64 && status == TTM_OK; offset += 32) {
        TTM_TRY_OUT(write_bytes(bench->tested, block.memory, offset, &byte, 0));
        TTM_TRY_OUT(read_bytes(&byte, bench->tested, block.memory, offset, 0));
        REQUIRE_OUT(byte == 7, "reading 0 bytes wrote to the host");
        ttm_plugin_begin();
        TTM_TRY_OUT(target_check(
            bench->tested, "memory_zero",
            backend->memory_zero == NULL
                ? TTM_OK
                : backend->memory_zero(bench->tested->stream, block.memory, offset, 0)));
    }
    if (status == TTM_OK) {
        status = block_check(&block, bench->tested);
    }
out:
    block_free(&block, bench->tested);
    return status;
}

/* Allocations of all sizes at once, half of them replaced: none touches another. */
static ttm_status separate(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    ttm_random random = {.seed = bench->seed + 1};
    test_block blocks[BLOCKS] = {0};
    ttm_status status = TTM_OK;
    for (int round = 0; round < 3; round++) {
        for (uint32_t k = 0; k < BLOCKS; k++) {
            if (round > 0 && draw_once_in(&random, 2)) {
                continue;
            }
            block_free(&blocks[k], bench->tested);
            const size_t bytes = (size_t)1 << draw_below(&random, 18);
            TTM_TRY_OUT(block_new(&blocks[k], bench->tested, bytes + (size_t)draw_below(&random, 9),
                                  (uint32_t)round * BLOCKS + k));
        }
        for (uint32_t k = 0; k < BLOCKS; k++) {
            TTM_TRY_OUT(block_check(&blocks[k], bench->tested));
        }
    }
out:
    for (uint32_t k = 0; k < BLOCKS; k++) {
        block_free(&blocks[k], bench->tested);
    }
    return status;
}

static ttm_status source_is_free(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    enum { BYTES = 1 << 20 };
    unsigned char *source = malloc(BYTES);
    test_block block = {.bytes = BYTES, .key = 3};
    ttm_status status = TTM_OK;
    REQUIRE_OUT(source != NULL, "no memory for a source of %d bytes", BYTES);
    TTM_TRY_OUT(block_new(&block, bench->tested, BYTES, 3));
    for (uint32_t k = 0; k < 16; k++) {
        block.key = 10 + k;
        pattern_fill(source, BYTES, block.key);
        TTM_TRY_OUT(write_bytes(bench->tested, block.memory, 0, source, BYTES));
        memset(source, 0xee, BYTES);
        TTM_TRY_OUT(block_check(&block, bench->tested));
    }
out:
    block_free(&block, bench->tested);
    free(source);
    return status;
}

/* Ranges that are copied or zeroed: parts of a block, from offsets below a limit. */
typedef struct ranges {
    int64_t block_bytes;
    int64_t offsets;
    int64_t most_bytes;
    uint32_t count;
} ranges;

/* Short ones anywhere, and long ones, for which a plugin may have another way. */
static const ranges copied[] = {{COPY_BYTES, COPY_BYTES, COPY_BYTES, COPIES},
                                {LONG_BYTES, 300, LONG_BYTES, 12}};
static const ranges zeroed[] = {{COPY_BYTES, COPY_BYTES, 400, 12},
                                {LONG_BYTES, 300, LONG_BYTES, 12}};

/* *bytes = host copy of a block with its pattern, and as much room behind it. */
static ttm_status new_mirror(unsigned char **bytes, const ranges *drawn, uint32_t key)
{
    *bytes = malloc(2 * (size_t)drawn->block_bytes);
    if (*bytes == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %lld bytes",
                        2 * (long long)drawn->block_bytes);
    }
    pattern_fill(*bytes, (size_t)drawn->block_bytes, key);
    return TTM_OK;
}

static ttm_status copy_ranges(const test_bench *bench, const ranges *drawn)
{
    const ttm_backend *backend = bench->tested->backend;
    const size_t block_bytes = (size_t)drawn->block_bytes;
    ttm_random random = {.seed = bench->seed + 2};
    unsigned char *mirror = NULL;
    test_block blocks[2] = {0};
    ttm_status status = new_mirror(&mirror, drawn, 0);
    for (uint32_t k = 0; k < 2 && status == TTM_OK; k++) {
        status = block_new(&blocks[k], bench->tested, block_bytes, k);
    }
    for (uint32_t k = 0; k < drawn->count && status == TTM_OK; k++) {
        const size_t to = (size_t)draw_below(&random, drawn->offsets);
        const size_t from = (size_t)draw_below(&random, drawn->offsets);
        const size_t furthest = to > from ? to : from;
        const size_t bytes =
            (size_t)draw_between(&random, 0, drawn->most_bytes) % (block_bytes - furthest + 1);
        for (size_t i = 0; i < bytes; i++) {
            mirror[to + i] = pattern_byte(1, from + i);
        }
        ttm_plugin_begin();
        TTM_TRY_OUT(target_check(bench->tested, "memory_copy",
                                 backend->memory_copy(bench->tested->stream, blocks[0].memory, to,
                                                      blocks[1].memory, from, bytes)));
        TTM_TRY_OUT(expect_image(bench->tested, blocks[0].memory, mirror, mirror + block_bytes,
                                 block_bytes, "a copy"));
    }
    if (status == TTM_OK) {
        status = block_check(&blocks[1], bench->tested);
    }
out:
    block_free(&blocks[0], bench->tested);
    block_free(&blocks[1], bench->tested);
    free(mirror);
    return status;
}

static ttm_status copy(const char **skipped, const test_bench *bench)
{
    if (bench->tested->backend->memory_copy == NULL) {
        *skipped = "the plugin has no memory_copy";
        return TTM_OK;
    }
    TTM_TRY(copy_ranges(bench, &copied[0]));
    return copy_ranges(bench, &copied[1]);
}

static ttm_status zero_ranges(const test_bench *bench, const ranges *drawn)
{
    const size_t block_bytes = (size_t)drawn->block_bytes;
    ttm_random random = {.seed = bench->seed + 3};
    unsigned char *mirror = NULL;
    test_block block = {0};
    ttm_status status = new_mirror(&mirror, drawn, 4);
    for (uint32_t k = 0; k < drawn->count && status == TTM_OK; k++) {
        /* Anew, so that zeros don't lie where there were zeros. */
        block_free(&block, bench->tested);
        TTM_TRY_OUT(block_new(&block, bench->tested, block_bytes, 4));
        pattern_fill(mirror, block_bytes, 4);
        const size_t offset = (size_t)draw_below(&random, drawn->offsets);
        const size_t bytes =
            (size_t)draw_between(&random, 0, drawn->most_bytes) % (block_bytes - offset + 1);
        memset(mirror + offset, 0, bytes);
        ttm_plugin_begin();
        TTM_TRY_OUT(target_check(bench->tested, "memory_zero",
                                 bench->tested->backend->memory_zero(bench->tested->stream,
                                                                     block.memory, offset, bytes)));
        TTM_TRY_OUT(expect_image(bench->tested, block.memory, mirror, mirror + block_bytes,
                                 block_bytes, "zeroing a part"));
    }
out:
    block_free(&block, bench->tested);
    free(mirror);
    return status;
}

static ttm_status zero(const char **skipped, const test_bench *bench)
{
    if (bench->tested->backend->memory_zero == NULL) {
        *skipped = "the plugin has no memory_zero";
        return TTM_OK;
    }
    TTM_TRY(zero_ranges(bench, &zeroed[0]));
    return zero_ranges(bench, &zeroed[1]);
}

static ttm_status map(const char **skipped, const test_bench *bench)
{
    const struct target *tested = bench->tested;
    test_block block;
    if ((tested->info.capabilities & TTM_DEVICE_CAN_MAP) == 0) {
        *skipped = "the device doesn't map its memory";
        return TTM_OK;
    }
    ttm_status status = block_new(&block, tested, COPY_BYTES, 5);
    TTM_TRY_OUT(status);
    ttm_plugin_begin();
    TTM_TRY_OUT(target_check(tested, "stream_synchronize",
                             tested->backend->stream_synchronize(tested->stream)));
    unsigned char *address = tested->backend->memory_map(tested->device, block.memory);
    REQUIRE_OUT(address != NULL, "memory_map returns NULL");
    REQUIRE_OUT((uintptr_t)address % tested->info.alignment_bytes == 0,
                "an allocation begins at %p, which is no multiple of alignment_bytes = %llu",
                (void *)address, (unsigned long long)tested->info.alignment_bytes);
    REQUIRE_OUT(address == tested->backend->memory_map(tested->device, block.memory),
                "memory_map returns another address the second time");
    for (size_t i = 0; i < COPY_BYTES; i++) {
        REQUIRE_OUT(address[i] == pattern_byte(5, i),
                    "byte %zu of the mapped memory isn't what was written", i);
    }
    block.key = 6;
    pattern_fill(address, COPY_BYTES, block.key);
    TTM_TRY_OUT(block_check(&block, tested));
out:
    block_free(&block, tested);
    return status;
}

/* What a device says that it gives at once, as far as it says that this is free; 0 when it doesn't
 * say. */
static uint64_t claimed_bytes(const ttm_device_info *info)
{
    uint64_t bytes = info->max_allocation_bytes;
    if (info->memory_free_bytes != 0 && (bytes == 0 || bytes > info->memory_free_bytes / 2)) {
        bytes = info->memory_free_bytes / 2;
    }
    return bytes > SIZE_MAX / 2 ? 0 : bytes;
}

/* Writes and reads the first and the last byte of an allocation. */
static ttm_status use_both_ends(const struct target *tested, ttm_memory *memory, size_t bytes)
{
    for (int end = 0; end < 2; end++) {
        const size_t offset = end == 0 ? 0 : bytes - 16;
        unsigned char written[16];
        unsigned char got[16] = {0};
        pattern_fill(written, sizeof written, 20 + (uint32_t)end);
        TTM_TRY(write_bytes(tested, memory, offset, written, sizeof written));
        TTM_TRY(read_bytes(got, tested, memory, offset, sizeof got));
        REQUIRE(memcmp(got, written, sizeof got) == 0,
                "an allocation of %zu bytes doesn't hold what is written at byte %zu", bytes,
                offset);
    }
    return TTM_OK;
}

/* *memory = `bytes`, or NULL where memory is short. */
static ttm_status try_allocation(ttm_memory **memory, const struct target *tested, size_t bytes)
{
    *memory = NULL;
    ttm_plugin_begin();
    const ttm_status status = tested->backend->memory_alloc(memory, tested->device, bytes);
    return status == TTM_ERROR_OUT_OF_MEMORY ? TTM_OK
                                             : target_check(tested, "memory_alloc", status);
}

/* Whether the device still says that it has so much. */
static ttm_status still_claims(bool *claims, const struct target *tested, uint64_t bytes)
{
    ttm_device_info now = {.struct_size = sizeof now};
    ttm_plugin_begin();
    TTM_TRY(target_check(tested, "device_info", tested->backend->device_info(tested->index, &now)));
    *claims = now.memory_free_bytes == 0 || claimed_bytes(&now) >= bytes / 2;
    return TTM_OK;
}

/* MALLOC_PERTURB_ has malloc fill what it gives, as tests of it want: here that would be all of the
 * machine's memory. */
static void fill_what_malloc_gives(bool wanted)
{
    const char *value = getenv("MALLOC_PERTURB_");
    if (value != NULL) {
        mallopt(M_PERTURB, wanted ? atoi(value) : 0);
    }
}

/* As much as the device says that it gives, used at its first and its last byte, and given back: so
 * often that a device which keeps what was freed runs out. Half of it may be gone where a device
 * doesn't know what others use. */
static ttm_status use_largest(const char **skipped, const test_bench *bench)
{
    enum { MOST_TURNS = 64 };
    const struct target *tested = bench->tested;
    const uint64_t claimed = claimed_bytes(&tested->info);
    size_t bytes = (size_t)claimed;
    ttm_memory *memory = NULL;
    if (claimed < 4096) {
        *skipped = "the device doesn't say how much memory it has";
        return TTM_OK;
    }
    for (int half = 0; half < 3 && memory == NULL; half++) {
        bytes = (size_t)(claimed >> half);
        TTM_TRY(try_allocation(&memory, tested, bytes));
    }
    if (memory == NULL) {
        bool claims = false;
        TTM_TRY(still_claims(&claims, tested, claimed));
        *skipped = claims ? NULL : "others use the memory now";
        REQUIRE(!claims,
                "device_info says that %llu bytes can be allocated at once, but not even a quarter "
                "of that is given",
                (unsigned long long)claimed);
        return TTM_OK;
    }
    const uint64_t whole = tested->info.memory_bytes > bytes ? tested->info.memory_bytes : bytes;
    const uint64_t turns = whole / bytes + 2 < MOST_TURNS ? whole / bytes + 2 : MOST_TURNS;
    ttm_status status = use_both_ends(tested, memory, bytes);
    for (uint64_t turn = 1; turn < turns && status == TTM_OK; turn++) {
        target_free(tested, memory);
        TTM_TRY(try_allocation(&memory, tested, bytes));
        REQUIRE(memory != NULL,
                "%zu bytes were allocated and freed %llu times and then refused: does memory_free "
                "give them back?",
                bytes, (unsigned long long)turn);
        status = use_both_ends(tested, memory, bytes);
    }
    target_free(tested, memory);
    return status;
}

static ttm_status largest(const char **skipped, const test_bench *bench)
{
    fill_what_malloc_gives(false);
    const ttm_status status = use_largest(skipped, bench);
    fill_what_malloc_gives(true);
    return status;
}

/* Sizes that no device has must be refused, with the right status, and the device goes on. */
static ttm_status too_large(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    static const size_t sizes[] = {(size_t)1 << 50, (size_t)1 << 62, SIZE_MAX / 2,
                                   SIZE_MAX - 4096, SIZE_MAX - 1,    SIZE_MAX};
    const struct target *tested = bench->tested;
    test_block block;
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        ttm_memory *memory = NULL;
        ttm_plugin_begin();
        const ttm_status status = tested->backend->memory_alloc(&memory, tested->device, sizes[k]);
        if (status == TTM_OK) {
            target_free(tested, memory);
        }
        REQUIRE(status != TTM_OK, "an allocation of %zu bytes succeeds", sizes[k]);
        REQUIRE(status == TTM_ERROR_OUT_OF_MEMORY,
                "an allocation of %zu bytes fails with \"%s\", not \"%s\"", sizes[k],
                ttm_status_name(status), ttm_status_name(TTM_ERROR_OUT_OF_MEMORY));
        REQUIRE(memory == NULL, "a failed allocation of %zu bytes sets its result", sizes[k]);
    }
    ttm_status status = block_new(&block, tested, 1000, 8);
    if (status == TTM_OK) {
        status = block_check(&block, tested);
    }
    block_free(&block, tested);
    return status;
}

const device_test device_memory_tests[] = {
    {"memory/round_trip", "what is written at any offset is read back, and nothing else changes",
     round_trip},
    {"memory/zero_bytes", "copying 0 bytes is allowed and does nothing", zero_bytes},
    {"memory/separate", "allocations don't overlap, whatever was freed before", separate},
    {"memory/source_is_free", "the source of memory_write may be reused on return", source_is_free},
    {"memory/copy", "memory_copy copies the range it is given and no byte more", copy},
    {"memory/zero", "memory_zero zeroes the range it is given and no byte more", zero},
    {"memory/map", "mapped memory is aligned, stays where it is, and shows the device's bytes",
     map},
    {"memory/largest", "max_allocation_bytes can be allocated, used to its last byte, and freed",
     largest},
    {"memory/too_large", "impossible sizes give TTM_ERROR_OUT_OF_MEMORY, and work goes on",
     too_large},
    {0},
};
