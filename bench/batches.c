/* The batches that ttm-train deals from a text read byte by byte, for programs that are to train on
 * the very same.
 *
 *     cc bench/batches.c -o batches $(pkg-config --cflags --libs ttm)
 *     ./batches TEXT SEED BATCH SEQ STEPS >FILE
 *
 * Writes int32 [steps, 2, batch, seq]: inputs, then targets. As ttm-train does without validation
 * data, the last twentieth of the text isn't dealt. */
#include <stdio.h>
#include <stdlib.h>
#include <ttm/dataset.h>
#include <ttm/status.h>
#include <ttm/tokenizer.h>

static void check(ttm_status status)
{
    if (status != TTM_OK) {
        fprintf(stderr, "batches: %s\n", ttm_error_message());
        exit(1);
    }
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fputs("usage: batches TEXT SEED BATCH SEQ STEPS >FILE\n", stderr);
        return 2;
    }
    const char *const paths[] = {arguments[1]};
    ttm_tokenizer *bytes = NULL;
    ttm_dataset *all = NULL;
    ttm_dataset *training = NULL;
    ttm_dataset *validation = NULL;
    ttm_sampler *sampler = NULL;
    ttm_sampler_options options = TTM_SAMPLER_OPTIONS_INIT;
    options.seed = strtoull(arguments[2], NULL, 10);
    options.batch = strtoull(arguments[3], NULL, 10);
    options.seq = strtoull(arguments[4], NULL, 10);
    check(ttm_tokenizer_open(&bytes, "bytes"));
    check(ttm_dataset_open(&all, paths, 1, bytes, 0, NULL));
    check(ttm_dataset_split(&training, &validation, all, 0.05));
    check(ttm_sampler_open(&sampler, training, &options));
    const size_t tokens = options.batch * options.seq;
    int32_t *batch = calloc(2 * tokens, sizeof *batch);
    for (uint64_t step = 0; batch != NULL && step < strtoull(arguments[5], NULL, 10); step++) {
        check(ttm_sampler_batch(batch, batch + tokens, sampler, step));
        fwrite(batch, sizeof *batch, 2 * tokens, stdout);
    }
    free(batch);
    ttm_sampler_close(sampler);
    ttm_dataset_close(validation);
    ttm_dataset_close(training);
    ttm_dataset_close(all);
    ttm_tokenizer_close(bytes);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
