/* libFuzzer target: any bytes as a safetensors file. Opening may refuse; what it accepts must be
 * readable in full.
 *
 *     meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false   (with
 * CC=clang) build-fuzz/tests/fuzz/fuzz_safetensors CORPUS_FOLDER */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ttm/safetensors.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/** Reads everything an accepted file offers. */
static void use(const ttm_safetensors *file)
{
    static float floats[1 << 16];
    uint64_t hash = 0;
    if (ttm_safetensors_hash(&hash, file) != TTM_OK) {
        abort();
    }
    for (size_t index = 0; index < ttm_safetensors_count(file); index++) {
        const ttm_safetensors_tensor *tensor = ttm_safetensors_at(file, index);
        if (ttm_safetensors_find(file, tensor->name) != tensor ||
            tensor->bytes != tensor->count * ttm_safetensors_dtype_bytes(tensor->dtype)) {
            abort();
        }
        size_t count = tensor->count < 1 << 16 ? tensor->count : 1 << 16;
        ttm_status status = ttm_safetensors_read_f32(floats, file, tensor, 0, count);
        if (status != TTM_OK && status != TTM_ERROR_DTYPE) {
            abort();
        }
    }
    (void)ttm_safetensors_metadata(file, "format");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[64];
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, bytes) != (ssize_t)bytes) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    ttm_safetensors *file = NULL;
    if (ttm_safetensors_open(&file, path) == TTM_OK) {
        use(file);
    } else if (ttm_error_message()[0] == '\0') {
        abort();
    }
    ttm_safetensors_close(file);
    close(descriptor);
    return 0;
}
