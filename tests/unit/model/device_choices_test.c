/* What a pass does according to its device: how many rows of logits exist at once, and whether
 * outputs are kept or computed again. */
#include "model/logit_rows.h"
#include "model/recompute.h"

#include "core/device_internal.h"
#include "model_testing.h"

#define GIB ((uint64_t)1 << 30)

static const ttm_gpt2_config small = {.vocab_size = 50257, .width = 768, .inner_width = 3072};

static ttm_device device_with(ttm_device_kind kind, uint64_t memory, uint64_t largest)
{
    return (ttm_device){
        .info = {.kind = kind, .memory_bytes = memory, .max_allocation_bytes = largest}};
}

static int64_t trained(const ttm_device *device, ttm_dtype dtype, int64_t rows)
{
    return ttm_logit_rows_choose(device, &small, dtype, true, rows);
}

static void processors_take_few(void **state)
{
    (void)state;
    const ttm_device device = device_with(TTM_DEVICE_CPU, 24 * GIB, 0);
    assert_int_equal(trained(&device, TTM_F32, 2048), 512);
    assert_int_equal(trained(&device, TTM_BF16, 2048), 1024);
    assert_int_equal(trained(&device, TTM_BF16, 1000), 1000);
    assert_int_equal(trained(&device, TTM_BF16, 1500), 768); /* two chunks either way */
}

static void gpus_take_many(void **state)
{
    (void)state;
    const ttm_device device = device_with(TTM_DEVICE_GPU, 80 * GIB, 20 * GIB);
    assert_int_equal(trained(&device, TTM_BF16, 16384), 8192);
    assert_int_equal(trained(&device, TTM_F32, 8192), 2048);
    assert_int_equal(ttm_logit_rows_choose(&device, &small, TTM_F32, false, 4096), 512);
}

static void small_memories_take_what_they_can(void **state)
{
    (void)state;
    const ttm_device narrow = device_with(TTM_DEVICE_GPU, 4 * GIB, 0);
    const int64_t rows = trained(&narrow, TTM_BF16, 16384);
    assert_in_range(rows, 128, 4 * GIB / 32 / (2 * 50257));
    const ttm_device split = device_with(TTM_DEVICE_GPU, 80 * GIB, 10 * 50257 * sizeof(float));
    assert_in_range(trained(&split, TTM_F32, 16384), 1, 9);
    const ttm_device tiny = device_with(TTM_DEVICE_GPU, 1 << 20, 1 << 10);
    assert_int_equal(trained(&tiny, TTM_F32, 16384), 1);
}

/** A byte-level model: the buffers that logits share memory with hold all of them. */
static void few_columns_need_no_chunks(void **state)
{
    (void)state;
    const ttm_gpt2_config bytes = {.vocab_size = 257, .width = 128, .inner_width = 512};
    const ttm_device device = device_with(TTM_DEVICE_CPU, 24 * GIB, 0);
    assert_int_equal(ttm_logit_rows_choose(&device, &bytes, TTM_F32, true, 100000), 100000);
}

/** Any device: within limits, and no smaller chunks than their number asks for. */
static void chunks_are_as_few_as_they_can_be(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int i = 0; i < 2000; i++) {
        const uint64_t row_bytes = 50257 * sizeof(float);
        const int64_t fit = 200 + (int64_t)(ttm_random_u32(&random) % 4000);
        const ttm_device device = device_with(TTM_DEVICE_GPU, 0, (uint64_t)(fit + 1) * row_bytes);
        const int64_t rows = 1 + (int64_t)(ttm_random_u32(&random) % 20000);
        const int64_t most = fit < 2048 ? fit : 2048;
        const int64_t chosen = trained(&device, TTM_F32, rows);
        assert_in_range(chosen, 1, fit < rows ? fit : rows);
        assert_in_range((rows + chosen - 1) / chosen, 1, (rows + most - 1) / most);
    }
}

static void outputs_are_kept_where_there_is_room(void **state)
{
    (void)state;
    const ttm_gpt2_config config = {.layers = 12, .width = 768, .inner_width = 3072};
    const ttm_device processor = device_with(TTM_DEVICE_CPU, 1024 * GIB, 0);
    const ttm_device large = device_with(TTM_DEVICE_GPU, 80 * GIB, 0);
    const ttm_device little = device_with(TTM_DEVICE_GPU, 8 * GIB, 0);
    const ttm_device unknown = device_with(TTM_DEVICE_ACCELERATOR, 0, 0);
    const ttm_recompute automatic = TTM_RECOMPUTE_AUTO;
    assert_true(ttm_recompute_decide(automatic, &processor, &config, TTM_BF16, 16));
    assert_false(ttm_recompute_decide(automatic, &large, &config, TTM_BF16, 16384));
    assert_true(ttm_recompute_decide(automatic, &little, &config, TTM_BF16, 16384));
    assert_false(ttm_recompute_decide(automatic, &little, &config, TTM_BF16, 4096));
    assert_true(ttm_recompute_decide(automatic, &little, &config, TTM_F32, 4096 + 1024));
    assert_true(ttm_recompute_decide(automatic, &unknown, &config, TTM_BF16, 16));
    assert_true(ttm_recompute_decide(TTM_RECOMPUTE_ON, &large, &config, TTM_BF16, 16));
    assert_false(ttm_recompute_decide(TTM_RECOMPUTE_OFF, &little, &config, TTM_BF16, 16384));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_take_few),
        cmocka_unit_test(gpus_take_many),
        cmocka_unit_test(small_memories_take_what_they_can),
        cmocka_unit_test(few_columns_need_no_chunks),
        cmocka_unit_test(chunks_are_as_few_as_they_can_be),
        cmocka_unit_test(outputs_are_kept_where_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
