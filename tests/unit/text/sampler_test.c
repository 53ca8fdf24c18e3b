/* The order in which a sampler deals. */
#include "text/permutation.h"
#include "text_testing.h"

static void a_permutation_has_every_number_once(void **state)
{
    (void)state;
    static bool seen[5000];
    for (uint64_t count = 1; count < 5000; count += 1 + count / 7) {
        uint64_t key = draw(UINT32_MAX);
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t place = ttm_permute(i, count, key);
            assert_true(place < count);
            assert_false(seen[place]);
            seen[place] = true;
        }
    }
    assert_true(ttm_permute(UINT64_MAX - 2, UINT64_MAX - 1, 5) < UINT64_MAX - 1);
}

/** Makes a dataset whose token at position p is p. */
static ttm_dataset *make_numbered(size_t count)
{
    int32_t *tokens = calloc(count, sizeof *tokens);
    assert_non_null(tokens);
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)i;
    }
    ttm_dataset *dataset = NULL;
    assert_int_equal(ttm_dataset_from_tokens(&dataset, tokens, count, NULL, 0), TTM_OK);
    free(tokens);
    return dataset;
}

static ttm_sampler *open_sampler(const ttm_dataset *dataset, size_t batch, size_t seq,
                                 uint64_t seed, bool shuffle)
{
    ttm_sampler_options options = TTM_SAMPLER_OPTIONS_INIT;
    options.batch = batch;
    options.seq = seq;
    options.seed = seed;
    options.shuffle = shuffle;
    ttm_sampler *sampler = NULL;
    if (ttm_sampler_open(&sampler, dataset, &options) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    return sampler;
}

static void an_epoch_predicts_every_token_of_its_windows_once(void **state)
{
    (void)state;
    static unsigned char predicted[3000];
    for (int round = 0; round < 200; round++) {
        size_t seq = 1 + draw(30);
        size_t tokens = seq + 1 + draw(2000);
        ttm_dataset *dataset = make_numbered(tokens);
        ttm_sampler *sampler = open_sampler(dataset, 1, seq, draw(1000), round % 4 != 0);
        ttm_dataset_close(dataset);
        uint64_t windows = ttm_sampler_windows(sampler);
        assert_true(windows >= 1 && windows * seq + 2 * seq >= tokens - 1);
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            memset(predicted, 0, sizeof predicted);
            for (uint64_t window = 0; window < windows; window++) {
                int32_t inputs[32];
                int32_t targets[32];
                assert_int_equal(
                    ttm_sampler_batch(inputs, targets, sampler, epoch * windows + window), TTM_OK);
                for (size_t i = 0; i < seq; i++) {
                    assert_int_equal(targets[i], inputs[i] + 1);
                    assert_int_equal(targets[i], inputs[0] + 1 + (int32_t)i);
                    assert_int_equal(predicted[targets[i]]++, 0);
                }
            }
        }
        ttm_sampler_close(sampler);
    }
}

static void batches_depend_on_their_number_alone(void **state)
{
    (void)state;
    enum { BATCH = 3, SEQ = 8, COUNT = BATCH * SEQ };
    ttm_dataset *dataset = make_numbered(1000);
    ttm_sampler *forwards = open_sampler(dataset, BATCH, SEQ, 7, true);
    ttm_sampler *resumed = open_sampler(dataset, BATCH, SEQ, 7, true);
    ttm_sampler *single = open_sampler(dataset, 1, SEQ, 7, true);
    ttm_sampler *other = open_sampler(dataset, BATCH, SEQ, 8, true);
    int32_t inputs[500][COUNT];
    int32_t targets[COUNT];
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(ttm_sampler_batch(inputs[i], targets, forwards, i), TTM_OK);
    }
    int different = 0;
    for (uint64_t i = 500; i-- > 0;) {
        int32_t again[COUNT];
        assert_int_equal(ttm_sampler_batch(again, targets, resumed, i), TTM_OK);
        assert_memory_equal(again, inputs[i], sizeof again);
        assert_int_equal(ttm_sampler_batch(again, targets, single, i * BATCH + 1), TTM_OK);
        assert_memory_equal(again, inputs[i] + SEQ, SEQ * sizeof *again);
        assert_int_equal(ttm_sampler_batch(again, targets, other, i), TTM_OK);
        different += memcmp(again, inputs[i], sizeof again) != 0;
    }
    assert_true(different > 450);
    assert_int_equal(ttm_sampler_batch(inputs[0], targets, forwards, UINT64_MAX),
                     TTM_ERROR_ARGUMENT);
    ttm_sampler_close(forwards);
    ttm_sampler_close(resumed);
    ttm_sampler_close(single);
    ttm_sampler_close(other);
    ttm_dataset_close(dataset);
}

static void epochs_are_in_different_orders_and_begin_at_different_tokens(void **state)
{
    (void)state;
    enum { SEQ = 16 };
    ttm_dataset *dataset = make_numbered(100000);
    ttm_sampler *sampler = open_sampler(dataset, 1, SEQ, 1, true);
    uint64_t windows = ttm_sampler_windows(sampler);
    bool offsets[SEQ] = {false};
    int rising = 0;
    int32_t before = 0;
    for (uint64_t epoch = 0; epoch < 100; epoch++) {
        int32_t inputs[SEQ];
        int32_t targets[SEQ];
        assert_int_equal(ttm_sampler_batch(inputs, targets, sampler, epoch * windows), TTM_OK);
        offsets[inputs[0] % SEQ] = true;
        rising += inputs[0] > before;
        before = inputs[0];
    }
    int seen = 0;
    for (int i = 0; i < SEQ; i++) {
        seen += offsets[i];
    }
    assert_true(seen > SEQ / 2);
    assert_in_range(rising, 25, 75);
    ttm_sampler_close(sampler);
    ttm_dataset_close(dataset);
}

static void without_shuffling_the_order_is_the_datas(void **state)
{
    (void)state;
    ttm_dataset *dataset = make_numbered(100);
    ttm_sampler *sampler = open_sampler(dataset, 2, 10, 1, false);
    assert_int_equal(ttm_sampler_windows(sampler), 9);
    int32_t inputs[20];
    int32_t targets[20];
    assert_int_equal(ttm_sampler_batch(inputs, targets, sampler, 4), TTM_OK);
    assert_int_equal(inputs[0], 80);
    assert_int_equal(inputs[10], 0);
    assert_int_equal(targets[9], 90);
    ttm_sampler_close(sampler);
    ttm_dataset_close(dataset);
}

static void too_little_data_is_refused(void **state)
{
    (void)state;
    ttm_dataset *dataset = make_numbered(10);
    ttm_sampler_options options = TTM_SAMPLER_OPTIONS_INIT;
    ttm_sampler *sampler = NULL;
    options.seq = 10;
    assert_int_equal(ttm_sampler_open(&sampler, dataset, &options), TTM_ERROR_ARGUMENT);
    assert_message_has("10 tokens, too few");
    options.seq = 9;
    assert_int_equal(ttm_sampler_open(&sampler, dataset, &options), TTM_OK);
    ttm_sampler_close(sampler);
    const size_t impossible[][2] = {{0, 9}, {1, 0}, {SIZE_MAX, SIZE_MAX}, {1, SIZE_MAX}};
    for (size_t i = 0; i < 4; i++) {
        options.batch = impossible[i][0];
        options.seq = impossible[i][1];
        assert_int_equal(ttm_sampler_open(&sampler, dataset, &options), TTM_ERROR_ARGUMENT);
        assert_null(sampler);
    }
    assert_int_equal(ttm_sampler_open(&sampler, dataset, NULL), TTM_ERROR_ARGUMENT);
    options.struct_size = 0;
    assert_int_equal(ttm_sampler_open(&sampler, dataset, &options), TTM_ERROR_ARGUMENT);
    ttm_dataset_close(dataset);
}

int main(void)
{
    seed_test();
    const struct CMUnitTest tests[] = {
        scratch_test(a_permutation_has_every_number_once),
        scratch_test(an_epoch_predicts_every_token_of_its_windows_once),
        scratch_test(batches_depend_on_their_number_alone),
        scratch_test(epochs_are_in_different_orders_and_begin_at_different_tokens),
        scratch_test(without_shuffling_the_order_is_the_datas),
        scratch_test(too_little_data_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
