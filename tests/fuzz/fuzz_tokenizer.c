/* libFuzzer target: any bytes as a vocabulary, by turns a tokenizer.json and a .tiktoken file.
 * Whatever is accepted must encode any bytes so that they decode back, and be stored so that it is
 * read back equal. */
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/log.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[] = "/tmp/ttm-fuzz-XXXXXX";

/** Removes the folder when the fuzzer ends. */
static void remove_folder(void)
{
    static const char *const names[] = {"input.json", "input.tiktoken", "tokenizer.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

static void check(const ttm_tokenizer *tokenizer, const uint8_t *data, size_t bytes)
{
    int32_t *tokens = NULL;
    size_t count = 0;
    char *text = NULL;
    size_t text_bytes = 0;
    if (ttm_tokenizer_encode(&tokens, &count, tokenizer, (const char *)data, bytes, NULL) !=
            TTM_OK ||
        ttm_tokenizer_decode(&text, &text_bytes, tokenizer, tokens, count) != TTM_OK ||
        text_bytes != bytes || memcmp(text, data, bytes) != 0) {
        abort();
    }
    free(tokens);
    free(text);
    ttm_tokenizer *back = NULL;
    if (ttm_tokenizer_save(tokenizer, folder) != TTM_OK ||
        ttm_tokenizer_open(&back, folder) != TTM_OK ||
        strcmp(ttm_tokenizer_hash(tokenizer), ttm_tokenizer_hash(back)) != 0) {
        abort();
    }
    ttm_tokenizer_close(back);
}

static void write_input(const char *name, const uint8_t *data, size_t bytes, char path[64])
{
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static int started;
    if (!started++) {
        if (mkdtemp(folder) == NULL) {
            abort();
        }
        atexit(remove_folder);
        ttm_log_set_level(TTM_LOG_ERROR);
    }
    if (bytes == 0) {
        return 0;
    }
    static const char *const names[] = {"input.json", "input.tiktoken"};
    char path[64];
    write_input(names[data[0] % 2], data + 1, bytes - 1, path);
    ttm_tokenizer *tokenizer = NULL;
    if (ttm_tokenizer_open(&tokenizer, path) == TTM_OK) {
        check(tokenizer, data, bytes);
    }
    ttm_tokenizer_close(tokenizer);
    return 0;
}
