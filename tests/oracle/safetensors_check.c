/* The C side of safetensors_check.py: copies a safetensors file tensor by tensor, and prints every
 * tensor as f32 sums.
 *
 *     safetensors_check IN OUT     prints "NAME DTYPE [SHAPE] SUM" a line, then "hash HEX", and
 * writes OUT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <ttm/safetensors.h>

/** Prints one tensor; its sum when it can be read as f32. */
static void print_tensor(const ttm_safetensors *file, const ttm_safetensors_tensor *tensor)
{
    printf("%s %s [", tensor->name, ttm_safetensors_dtype_name(tensor->dtype));
    for (size_t dimension = 0; dimension < tensor->rank; dimension++) {
        printf("%s%zu", dimension > 0 ? "," : "", tensor->shape[dimension]);
    }
    double sum = 0;
    for (size_t first = 0; first < tensor->count; first++) {
        float value = 0;
        if (ttm_safetensors_read_f32(&value, file, tensor, first, 1) != TTM_OK) {
            break;
        }
        sum += (double)value;
    }
    printf("] %.17g\n", sum);
}

/** Writes the tensors of an open file to `path`. */
static ttm_status copy(const ttm_safetensors *file, const char *path)
{
    size_t count = ttm_safetensors_count(file);
    ttm_safetensors_entry *entries = calloc(count + 1, sizeof *entries);
    if (entries == NULL) {
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    for (size_t index = 0; index < count; index++) {
        const ttm_safetensors_tensor *tensor = ttm_safetensors_at(file, index);
        entries[index] = (ttm_safetensors_entry){.name = tensor->name,
                                                 .dtype = tensor->dtype,
                                                 .rank = tensor->rank,
                                                 .shape = tensor->shape,
                                                 .data = tensor->data};
    }
    ttm_status status = ttm_safetensors_write(path, entries, count, NULL, 0);
    free(entries);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: safetensors_check IN OUT\n");
        return 2;
    }
    ttm_safetensors *file = NULL;
    uint64_t hash = 0;
    ttm_status status = ttm_safetensors_open(&file, argv[1]);
    if (status == TTM_OK) {
        for (size_t index = 0; index < ttm_safetensors_count(file); index++) {
            print_tensor(file, ttm_safetensors_at(file, index));
        }
        status = ttm_safetensors_hash(&hash, file);
        printf("hash %016" PRIx64 "\n", hash);
    }
    if (status == TTM_OK) {
        status = copy(file, argv[2]);
    }
    if (status != TTM_OK) {
        fprintf(stderr, "%s\n", ttm_error_message());
    }
    ttm_safetensors_close(file);
    return status == TTM_OK ? 0 : 1;
}
