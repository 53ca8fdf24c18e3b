/* Loops over memory: each instruction set's do what they say, over the whole array and no further.
 */
#include "bench/host_memory.h"
#include "bench/memory_loops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 24 * BENCH_MEMORY_GRAIN, GUARD = BENCH_MEMORY_GRAIN, MOST_LEVELS = 8 };

static const float guard = -7.25F;

typedef struct arrays {
    float *all[3]; /* [GUARD + COUNT + GUARD] each. */
    float *out;
    float *a;
    float *b;
} arrays;

static void fill_arrays(arrays *memory)
{
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < COUNT + 2 * GUARD; i++) {
            const bool inside = i >= GUARD && i < GUARD + COUNT;
            memory->all[k][i] = inside ? (float)(rand() % 2001 - 1000) / 512.0F : guard;
        }
    }
}

static int make_arrays(void **state)
{
    static arrays memory;
    for (int k = 0; k < 3; k++) {
        memory.all[k] = aligned_alloc(512, (COUNT + 2 * GUARD) * sizeof(float));
        assert_non_null(memory.all[k]);
    }
    memory.out = memory.all[0] + GUARD;
    memory.a = memory.all[1] + GUARD;
    memory.b = memory.all[2] + GUARD;
    srand(11);
    *state = &memory;
    return 0;
}

static int free_arrays(void **state)
{
    const arrays *memory = *state;
    for (int k = 0; k < 3; k++) {
        free(memory->all[k]);
    }
    return 0;
}

static void assert_guards(const arrays *memory)
{
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < GUARD; i++) {
            assert_true(memory->all[k][i] == guard && memory->all[k][GUARD + COUNT + i] == guard);
        }
    }
}

static void every_way_of_reading_adds_up_all_elements(void **state)
{
    arrays *memory = *state;
    const bench_memory_loops *loops = NULL;
    for (int level = 0; (loops = bench_memory_loops_find(level)) != NULL; level++) {
        for (int way = 0; way < BENCH_READ_WAYS; way++) {
            double sum = 0.0;
            fill_arrays(memory);
            for (size_t i = 0; i < COUNT; i++) {
                sum += (double)memory->a[i];
            }
            assert_true(fabs(loops->read[way](memory->a, COUNT) - sum) < 1e-3);
            memory->a[COUNT - 1] += 64.0F;
            assert_true(fabs(loops->read[way](memory->a, COUNT) - sum - 64.0) < 1e-3);
        }
    }
}

static void every_way_of_storing_writes_all_elements_and_no_others(void **state)
{
    arrays *memory = *state;
    const bench_memory_loops *loops = NULL;
    for (int level = 0; (loops = bench_memory_loops_find(level)) != NULL; level++) {
        for (int way = 0; way < BENCH_STORE_WAYS; way++) {
            fill_arrays(memory);
            loops->copy[way](memory->out, memory->a, COUNT);
            assert_memory_equal(memory->out, memory->a, COUNT * sizeof(float));
            loops->triad[way](memory->out, memory->a, memory->b, COUNT);
            for (size_t i = 0; i < COUNT; i++) {
                assert_true(fabsf(memory->out[i] - (memory->a[i] + 3.0F * memory->b[i])) < 1e-5F);
            }
            loops->fill[way](memory->out, 0.75F, COUNT);
            for (size_t i = 0; i < COUNT; i++) {
                assert_true(memory->out[i] == 0.75F);
            }
            assert_guards(memory);
        }
    }
}

static void the_processor_has_loops_and_not_more_than_were_compiled(void **state)
{
    (void)state;
    assert_non_null(bench_memory_loops_find(0));
    assert_null(bench_memory_loops_find(MOST_LEVELS));
}

static void speeds_are_measured_on_any_number_of_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        bench_memory_speeds speeds;
        assert_true(bench_host_memory_measure(&speeds, 1 << 18, threads, 0.0));
        assert_true(isfinite(speeds.read) && isfinite(speeds.write));
        assert_true(isfinite(speeds.copy) && isfinite(speeds.triad));
        assert_true(speeds.read > 1e7 && speeds.write > 1e7);
        assert_true(speeds.copy > 1e7 && speeds.triad > 1e7);
    }
}

static void what_cannot_be_measured_is_zero(void **state)
{
    (void)state;
    bench_memory_speeds speeds = {1.0, 1.0, 1.0, 1.0};
    assert_false(bench_host_memory_measure(&speeds, SIZE_MAX / 8, 1, 0.0)); /* No such memory. */
    assert_true(speeds.read <= 0.0 && speeds.write <= 0.0);
    assert_false(bench_host_memory_measure(&speeds, BENCH_MEMORY_GRAIN / 2, 1, 0.0));
    assert_true(speeds.copy <= 0.0 && speeds.triad <= 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_reading_adds_up_all_elements),
        cmocka_unit_test(every_way_of_storing_writes_all_elements_and_no_others),
        cmocka_unit_test(the_processor_has_loops_and_not_more_than_were_compiled),
        cmocka_unit_test(speeds_are_measured_on_any_number_of_threads),
        cmocka_unit_test(what_cannot_be_measured_is_zero),
    };
    return cmocka_run_group_tests(tests, make_arrays, free_arrays);
}
