/* libFuzzer target: any bytes as a token file. What is accepted must have tokens below the
 * vocabulary, and be written and read back equal. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/dataset.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { VOCABULARY = 70000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[] = "/tmp/ttm-fuzz-XXXXXX.bin";
    const char *name = path;
    int descriptor = mkstemps(path, 4);
    if (descriptor < 0 || write(descriptor, data, bytes) != (ssize_t)bytes) {
        abort();
    }
    close(descriptor);
    ttm_dataset *dataset = NULL;
    ttm_dataset *back = NULL;
    if (ttm_dataset_open(&dataset, &name, 1, NULL, VOCABULARY, NULL) == TTM_OK) {
        if (ttm_dataset_vocab_used(dataset) > VOCABULARY ||
            ttm_dataset_write(dataset, path, VOCABULARY, false) != TTM_OK ||
            ttm_dataset_open(&back, &name, 1, NULL, VOCABULARY, NULL) != TTM_OK ||
            strcmp(ttm_dataset_hash(dataset), ttm_dataset_hash(back)) != 0) {
            abort();
        }
    }
    ttm_dataset_close(dataset);
    ttm_dataset_close(back);
    unlink(path);
    return 0;
}
