/* Generation with a key-value cache gives what whole passes give; sampling does what its settings
 * say. */
#include "model_testing.h"

#include "core/device_internal.h"

#include "model/model_internal.h"

#include <ttm/compute.h>
#include <ttm/generate.h>

static ttm_model *new_model(model_testing *testing, ttm_dtype dtype, ttm_tt_execution execution)
{
    ttm_gpt2_config config = small_config("0/mlp=2x4,2x4,4x4:3");
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
    ttm_model *model = NULL;
    options.dtype = dtype;
    options.execution = execution;
    init.standard_deviation = 0.5;
    init.seed = testing->random.seed;
    assert_ok(ttm_model_create(&model, testing->device, &config, &options));
    assert_ok(ttm_model_init_parameters(model, testing->stream, &init));
    ttm_gpt2_config_free(&config);
    return model;
}

/* Logits after tokens[count] by a pass over all of them. */
static void whole_pass(model_testing *testing, ttm_model *model, float *last, const int32_t *tokens,
                       int64_t count)
{
    const int64_t shape[2] = {1, count};
    ttm_tensor input;
    ttm_tensor logits = new_tensor(testing, TTM_F64, count, 19);
    assert_ok(ttm_tensor_alloc(&input, testing->device, TTM_I32, 2, shape));
    assert_ok(ttm_tensor_write(testing->stream, &input, tokens));
    assert_ok(ttm_model_logits(model, testing->stream, &logits, &input));
    double *values = read_tensor(testing, &logits);
    for (int token = 0; token < 19; token++) {
        last[token] = (float)values[(count - 1) * 19 + token];
    }
    free(values);
    ttm_tensor_free(&logits, testing->device);
    ttm_tensor_free(&input, testing->device);
}

static void check_logits(model_testing *testing, ttm_model *model, ttm_generator *generator,
                         int64_t sequence, const int32_t *tokens, int64_t count)
{
    float expected[19];
    whole_pass(testing, model, expected, tokens, count);
    const float *logits = ttm_generator_logits(generator, sequence);
    assert_non_null(logits);
    for (int token = 0; token < 19; token++) {
        assert_at_most(fabs((double)logits[token] - (double)expected[token]), 1e-5);
    }
    assert_int_equal(ttm_generator_length(generator, sequence), count);
}

static void check_cache(void **state, ttm_tt_execution execution)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F64, execution);
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    int32_t tokens[3][12];
    int64_t lengths[3] = {2, 5, 2};
    for (int index = 0; index < 36; index++) {
        tokens[index / 12][index % 12] = (int32_t)(ttm_random_u32(&testing->random) % 19);
    }
    options.batch = 3;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    assert_null(ttm_generator_logits(generator, 0));
    for (int sequence = 0; sequence < 3; sequence++) {
        assert_ok(ttm_generator_prefill(generator, sequence, tokens[sequence],
                                        (size_t)lengths[sequence]));
        check_logits(testing, model, generator, sequence, tokens[sequence], lengths[sequence]);
    }
    for (int step = 0; step < 7; step++) {
        int32_t next[3];
        for (int sequence = 0; sequence < 3; sequence++) {
            const bool rests = sequence == 2 && step % 3 == 1;
            next[sequence] = rests ? -1 : tokens[sequence][lengths[sequence]];
            lengths[sequence] += rests ? 0 : 1;
        }
        assert_ok(ttm_generator_step(generator, next));
        for (int sequence = 0; sequence < 3; sequence++) {
            check_logits(testing, model, generator, sequence, tokens[sequence], lengths[sequence]);
        }
    }
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

static void cached_generation_equals_whole_passes(void **state)
{
    check_cache(state, TTM_TT_CACHED);
    check_cache(state, TTM_TT_CONTRACT);
    check_cache(state, TTM_TT_AUTO);
}

static void a_full_window_slides_to_its_last_half(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F64, TTM_TT_AUTO);
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    int32_t tokens[11];
    for (int index = 0; index < 11; index++) {
        tokens[index] = (int32_t)(ttm_random_u32(&testing->random) % 19);
    }
    options.window = 8;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    assert_ok(ttm_generator_prefill(generator, 0, tokens, 7));
    assert_ok(ttm_generator_step(generator, &tokens[7]));
    check_logits(testing, model, generator, 0, tokens, 8);
    assert_ok(ttm_generator_step(generator, &tokens[8]));
    check_logits(testing, model, generator, 0, tokens + 4, 5);
    assert_ok(ttm_generator_step(generator, &tokens[9]));
    check_logits(testing, model, generator, 0, tokens + 4, 6);
    /* A prompt longer than the window keeps its end. */
    assert_ok(ttm_generator_prefill(generator, 0, tokens, 11));
    check_logits(testing, model, generator, 0, tokens + 4, 7);
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

/* Continuations of `batch` prompts of three tokens: out[batch][8]. The first is number `first`. */
static void continue_prompts(model_testing *testing, ttm_model *model, int32_t (*out)[8],
                             int32_t (*prompts)[3], uint64_t first, int64_t batch,
                             double temperature)
{
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    ttm_generator *generator = NULL;
    int32_t next[5] = {0};
    uint64_t draws[5];
    sampling.temperature = temperature;
    sampling.top_p = 0.95;
    options.batch = batch;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    for (int64_t sequence = 0; sequence < batch; sequence++) {
        assert_ok(ttm_generator_prefill(generator, sequence, prompts[sequence], 3));
    }
    for (int step = 0; step < 8; step++) {
        for (int64_t sequence = 0; sequence < batch; sequence++) {
            draws[sequence] = (first + (uint64_t)sequence) << 32 | (uint64_t)step;
        }
        assert_ok(ttm_generator_sample(generator, next, &sampling, draws));
        for (int64_t sequence = 0; sequence < batch; sequence++) {
            out[sequence][step] = next[sequence];
        }
        assert_ok(ttm_generator_step(generator, next));
    }
    ttm_generator_destroy(generator);
}

static void a_batch_gives_the_tokens_of_single_runs(void **state)
{
    (void)state;
    static const ttm_dtype types[] = {TTM_F32, TTM_BF16};
    /* One seed: some models continue everything alike, and others have ties that rounding decides.
     */
    model_testing testing = {.random = {.seed = 1}};
    int32_t prompts[5][3];
    int32_t together[5][8];
    int32_t alone[5][8];
    assert_ok(ttm_device_open(&testing.device, "cpu", NULL));
    assert_ok(ttm_stream_create(&testing.stream, testing.device));
    for (int index = 0; index < 15; index++) {
        prompts[index / 3][index % 3] = (int32_t)(ttm_random_u32(&testing.random) % 19);
    }
    for (int round = 0; round < 4; round++) {
        ttm_model *model = new_model(&testing, types[round / 2], TTM_TT_AUTO);
        const double temperature = round % 2 == 0 ? 0.0 : 1.5;
        continue_prompts(&testing, model, together, prompts, 0, 5, temperature);
        for (uint64_t sequence = 0; sequence < 5; sequence++) {
            continue_prompts(&testing, model, &alone[sequence], &prompts[sequence], sequence, 1,
                             temperature);
        }
        assert_memory_equal(together, alone, sizeof together);
        /* What is equal anyway would show nothing. */
        assert_memory_not_equal(together[0], together[1], sizeof together - sizeof together[0]);
        ttm_model_destroy(model);
    }
    ttm_stream_destroy(testing.stream);
    ttm_device_close(testing.device);
}

/* Sequences of different lengths, some of which rest; the reference backend and ttm_sample share
 * one definition, so that their tokens are the same. */
static void tokens_are_drawn_on_the_device_as_on_the_host(void **state)
{
    model_testing *testing = *state;
    static const ttm_sampling ways[] = {
        {sizeof(ttm_sampling), 1.0, 0, 1.0, 3},  {sizeof(ttm_sampling), 0.0, 0, 1.0, 3},
        {sizeof(ttm_sampling), 0.7, 5, 1.0, 4},  {sizeof(ttm_sampling), 1.5, 0, 0.8, 5},
        {sizeof(ttm_sampling), 2.0, 12, 0.6, 6}, {sizeof(ttm_sampling), 1.0, 100, 0.999, 7}};
    ttm_model *model = new_model(testing, TTM_F32, TTM_TT_AUTO);
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    const int32_t prompts[4][3] = {{1, 2, 3}, {4}, {5, 6}, {7, 8, 9}};
    int32_t tokens[4] = {0, 0, 0, 0};
    options.batch = 4;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    for (int sequence = 0; sequence < 4; sequence++) {
        assert_ok(ttm_generator_prefill(generator, sequence, prompts[sequence],
                                        sequence == 0 || sequence == 3 ? 3 : (size_t)sequence));
    }
    for (uint64_t step = 0; step < 24; step++) {
        const ttm_sampling *sampling = &ways[step % 6];
        const uint64_t draws[4] = {step, 1ULL << 40 | step, 7 * step, 2ULL << 32 | step};
        int32_t expected[4] = {-1, -1, -1, -1};
        for (int sequence = 0; sequence < 4; sequence++) {
            const bool rests = (step + (uint64_t)sequence) % 5 == 2;
            tokens[sequence] = rests ? -1 : 0;
            if (!rests) {
                assert_ok(ttm_sample(&expected[sequence], ttm_generator_logits(generator, sequence),
                                     19, sampling, draws[sequence]));
            }
        }
        assert_ok(ttm_generator_sample(generator, tokens, sampling, draws));
        assert_memory_equal(tokens, expected, sizeof tokens);
        assert_ok(ttm_generator_step(generator, tokens));
    }
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

/* A step whose tokens are those drawn last takes them from the device; one whose tokens only look
 * like it must not. */
static void a_step_is_over_the_tokens_it_was_given(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F64, TTM_TT_AUTO);
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    const uint64_t draws[2] = {1, 2};
    int32_t tokens[2][8] = {{1, 2, 3}, {4, 5, 6}};
    options.batch = 2;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    assert_ok(ttm_generator_prefill(generator, 0, tokens[0], 3));
    assert_ok(ttm_generator_prefill(generator, 1, tokens[1], 3));
    for (int step = 0; step < 3; step++) {
        int32_t next[2] = {0, 0};
        assert_ok(ttm_generator_sample(generator, next, NULL, draws));
        next[1] = step == 1 ? (next[1] + 1) % 19 : next[1];
        tokens[0][3 + step] = next[0];
        tokens[1][3 + step] = next[1];
        assert_ok(ttm_generator_step(generator, next));
        check_logits(testing, model, generator, 0, tokens[0], 4 + step);
        check_logits(testing, model, generator, 1, tokens[1], 4 + step);
    }
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

static bool never_called(void *user, int32_t token)
{
    (void)user;
    fail_msg("a token was drawn: %d", (int)token);
    return false;
}

static void logits_that_have_no_token_are_an_error_with_its_reason(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F32, TTM_TT_AUTO);
    ttm_generator *generator = NULL;
    const int32_t prompt[] = {1, 2, 3};
    const uint64_t draw = 0;
    int32_t token = 0;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, NULL));
    assert_refused(ttm_generator_sample(generator, &token, NULL, &draw), TTM_ERROR_ARGUMENT,
                   "hasn't begun");
    const ttm_tensor row = ttm_tensor_slice(&model->token_embedding, 0, 7, 1);
    assert_ok(ttm_fill(testing->stream, &row, (double)NAN));
    assert_refused(ttm_generate(generator, NULL, prompt, 3, 5, -1, NULL, never_called, NULL),
                   TTM_ERROR_NUMERIC, "the logit of token 7 is NaN");
    assert_refused(ttm_generator_sample(generator, &token, NULL, &draw), TTM_ERROR_NUMERIC, "NaN");
    assert_int_equal(token, 0);
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

typedef struct collected {
    int32_t tokens[64];
    size_t count;
    size_t limit;
} collected;

static bool collect(void *user, int32_t token)
{
    collected *list = user;
    list->tokens[list->count++] = token;
    return list->count < list->limit;
}

static void generation_repeats_with_its_seed(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F32, TTM_TT_AUTO);
    ttm_generator *generator = NULL;
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    const int32_t prompt[] = {1, 2, 3};
    collected lists[4] = {{.limit = 64}, {.limit = 64}, {.limit = 64}, {.limit = 5}};
    int64_t generated = 0;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, NULL));
    for (int run = 0; run < 4; run++) {
        sampling.seed = run == 2 ? 9 : 8;
        assert_ok(ttm_generate(generator, &generated, prompt, 3, 40, -1, &sampling, collect,
                               &lists[run]));
        assert_int_equal(generated, run == 3 ? 5 : 40);
        assert_int_equal(lists[run].count, generated);
    }
    assert_memory_equal(lists[0].tokens, lists[1].tokens, 40 * sizeof(int32_t));
    assert_memory_not_equal(lists[0].tokens, lists[2].tokens, 40 * sizeof(int32_t));
    assert_memory_equal(lists[0].tokens, lists[3].tokens, 5 * sizeof(int32_t));
    collected stopped = {.limit = 64};
    sampling.seed = 8;
    assert_ok(ttm_generate(generator, &generated, prompt, 3, 40, lists[0].tokens[0], &sampling,
                           collect, &stopped));
    assert_int_equal(generated, 0);
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

static void what_does_not_fit_is_refused(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F32, TTM_TT_AUTO);
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    int32_t token = 19;
    options.window = 13;
    assert_refused(ttm_generator_create(&generator, model, testing->stream, &options),
                   TTM_ERROR_ARGUMENT, "13");
    assert_null(generator);
    assert_ok(ttm_generator_create(&generator, model, testing->stream, NULL));
    assert_refused(ttm_generator_prefill(generator, 0, &token, 1), TTM_ERROR_ARGUMENT,
                   "token 19 is beyond");
    assert_refused(ttm_generator_prefill(generator, 0, &token, 0), TTM_ERROR_ARGUMENT,
                   "at least one token");
    assert_refused(ttm_generator_prefill(generator, 1, &token, 1), TTM_ERROR_ARGUMENT,
                   "no sequence 1");
    token = 3;
    assert_refused(ttm_generator_step(generator, &token), TTM_ERROR_ARGUMENT, "hasn't begun");
    ttm_generator_destroy(generator);
    ttm_model_destroy(model);
}

/* Keys and values of all layers may take more than one allocation can hold, those of a layer not.
 */
static void a_cache_may_exceed_the_largest_allocation_by_layer_only(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, TTM_F32, TTM_TT_AUTO);
    const ttm_device_info info = testing->device->info;
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    options.batch = 100; /* 2·100·12·16 floats are the keys and values of a layer */
    testing->device->info.max_allocation_bytes = 153599;
    assert_refused(
        ttm_generator_create(&generator, model, testing->stream, &options), TTM_ERROR_OUT_OF_MEMORY,
        "the keys and values of a layer take 153600 bytes, but a single allocation may have "
        "153599");
    assert_null(generator);
    testing->device->info.max_allocation_bytes = 153600;
    assert_ok(ttm_generator_create(&generator, model, testing->stream, &options));
    ttm_generator_destroy(generator);
    testing->device->info = info;
    ttm_model_destroy(model);
}

static int32_t draw(const float *logits, int64_t vocab, const ttm_sampling *sampling,
                    uint64_t index)
{
    int32_t token = -1;
    assert_ok(ttm_sample(&token, logits, vocab, sampling, index));
    return token;
}

static void temperature_zero_takes_the_first_of_the_best(void **state)
{
    (void)state;
    const float logits[] = {0.0f, 3.0f, -1.0f, 3.0f};
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    sampling.temperature = 0.0;
    assert_int_equal(draw(logits, 4, &sampling, 0), 1);
    sampling.temperature = 1.0;
    sampling.top_k = 1;
    assert_int_equal(draw(logits, 4, &sampling, 3), 1);
}

static void draws_have_the_probabilities_of_the_logits(void **state)
{
    (void)state;
    const float logits[] = {logf(0.1f), logf(0.2f), -INFINITY, logf(0.3f), logf(0.4f)};
    const double expected[] = {0.1, 0.2, 0.0, 0.3, 0.4};
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    int counts[5] = {0};
    for (uint64_t index = 0; index < 20000; index++) {
        counts[draw(logits, 5, &sampling, index)]++;
    }
    for (int token = 0; token < 5; token++) {
        assert_at_most(fabs(counts[token] / 20000.0 - expected[token]), 0.02);
    }
    assert_int_equal(counts[2], 0);
}

static void top_k_and_top_p_keep_the_most_probable_tokens(void **state)
{
    model_testing *testing = *state;
    enum { VOCAB = 997 };
    float logits[VOCAB];
    for (int token = 0; token < VOCAB; token++) {
        /* Coarse, so that there are ties. */
        logits[token] = (float)(int)(4.0 * ttm_random_normal(&testing->random)) / 4.0f;
    }
    const int64_t ks[] = {2, 10, 500, 996, 5000};
    for (size_t index = 0; index < sizeof ks / sizeof ks[0]; index++) {
        ttm_sampling sampling = TTM_SAMPLING_INIT;
        sampling.top_k = ks[index];
        for (uint64_t number = 0; number < 50; number++) {
            const int32_t token = draw(logits, VOCAB, &sampling, number);
            int64_t before = 0;
            for (int other = 0; other < VOCAB; other++) {
                before += logits[other] > logits[token] ||
                          (logits[other] == logits[token] && other < token);
            }
            assert_true(before < ks[index]);
        }
    }
    const float few[] = {logf(0.5f), logf(0.3f), logf(0.15f), logf(0.05f)};
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    sampling.top_p = 0.75;
    int counts[4] = {0};
    for (uint64_t number = 0; number < 4000; number++) {
        counts[draw(few, 4, &sampling, number)]++;
    }
    assert_int_equal(counts[2] + counts[3], 0);
    assert_at_most(fabs(counts[0] / 4000.0 - 0.625), 0.04);
}

static void impossible_sampling_is_refused(void **state)
{
    (void)state;
    const float logits[] = {0.0f, NAN};
    const float nothing[] = {-INFINITY, -INFINITY};
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    int32_t token = 0;
    assert_refused(ttm_sample(&token, logits, 2, &sampling, 0), TTM_ERROR_NUMERIC,
                   "token 1 is NaN");
    assert_refused(ttm_sample(&token, nothing, 2, &sampling, 0), TTM_ERROR_NUMERIC, "infinity");
    sampling.temperature = -1.0;
    assert_refused(ttm_sample(&token, nothing, 2, &sampling, 0), TTM_ERROR_ARGUMENT, "-1");
    sampling.temperature = 1.0;
    sampling.top_p = 0.0;
    assert_refused(ttm_sample(&token, nothing, 2, &sampling, 0), TTM_ERROR_ARGUMENT, "top_p");
    sampling.top_p = 1.0;
    sampling.top_k = -2;
    assert_refused(ttm_sample(&token, nothing, 2, &sampling, 0), TTM_ERROR_ARGUMENT, "top_k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_generation_equals_whole_passes),
        cmocka_unit_test(a_full_window_slides_to_its_last_half),
        cmocka_unit_test(a_batch_gives_the_tokens_of_single_runs),
        cmocka_unit_test(tokens_are_drawn_on_the_device_as_on_the_host),
        cmocka_unit_test(a_step_is_over_the_tokens_it_was_given),
        cmocka_unit_test(logits_that_have_no_token_are_an_error_with_its_reason),
        cmocka_unit_test(generation_repeats_with_its_seed),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_cache_may_exceed_the_largest_allocation_by_layer_only),
        cmocka_unit_test(temperature_zero_takes_the_first_of_the_best),
        cmocka_unit_test(draws_have_the_probabilities_of_the_logits),
        cmocka_unit_test(top_k_and_top_p_keep_the_most_probable_tokens),
        cmocka_unit_test(impossible_sampling_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
