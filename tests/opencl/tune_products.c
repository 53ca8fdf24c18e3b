/* Lets the opencl plugin tune products, and nothing else: `ttm-bench tune` measures roofs and
 * orders of contraction too, for which a CPU behind OpenCL needs far longer.
 *
 *     tune-products DEVICE SECONDS MxNxK[:nn|nt|tn][:f32|bf16]… */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/device.h>
#include <ttm/ops.h>
#include <ttm/status.h>
#include <ttm/tensor.h>

enum { MOST_PRODUCTS = 8 };

/* [rows, cols], of which a transposed one lies in memory as [cols, rows]. */
static ttm_tensor matrix(ttm_dtype dtype, int64_t rows, int64_t cols, int is_transposed)
{
    const int64_t shape[] = {is_transposed ? cols : rows, is_transposed ? rows : cols};
    const ttm_tensor stored = ttm_tensor_describe(dtype, 2, shape);
    return is_transposed ? ttm_tensor_transpose(&stored, 0, 1) : stored;
}

/* Returns whether `text` is a product. */
static int read_product(ttm_tensor tensors[TTM_MATMUL_TENSORS], const char *text)
{
    long long m = 0;
    long long n = 0;
    long long k = 0;
    if (sscanf(text, "%lldx%lldx%lld", &m, &n, &k) != 3) {
        return 0;
    }
    const ttm_dtype dtype = strstr(text, ":bf16") != NULL ? TTM_BF16 : TTM_F32;
    tensors[TTM_MATMUL_OUT] = matrix(dtype, m, n, 0);
    tensors[TTM_MATMUL_A] = matrix(dtype, m, k, strstr(text, ":tn") != NULL);
    tensors[TTM_MATMUL_B] = matrix(dtype, k, n, strstr(text, ":nt") != NULL);
    return 1;
}

int main(int argc, char **argv)
{
    static ttm_tensor tensors[MOST_PRODUCTS][TTM_MATMUL_TENSORS];
    static const ttm_matmul_params params = {.alpha = 1.0};
    ttm_op ops[MOST_PRODUCTS];
    ttm_device *device = NULL;
    int has_settings = 0;
    const int count = argc - 3;
    if (count < 1 || count > MOST_PRODUCTS) {
        fprintf(stderr, "usage: tune-products DEVICE SECONDS MxNxK[:nn|nt|tn][:f32|bf16]…\n");
        return 2;
    }
    for (int k = 0; k < count; k++) {
        if (!read_product(tensors[k], argv[3 + k])) {
            fprintf(stderr, "'%s' isn't a product\n", argv[3 + k]);
            return 2;
        }
        ops[k] = (ttm_op){.struct_size = sizeof ops[k],
                          .opcode = TTM_OP_MATMUL,
                          .tensor_count = TTM_MATMUL_TENSORS,
                          .tensors = tensors[k],
                          .params = &params,
                          .params_bytes = sizeof params};
    }
    ttm_status status = ttm_device_open(&device, argv[1], NULL);
    if (status == TTM_OK) {
        status = ttm_device_tune(&has_settings, device, ops, (size_t)count, atof(argv[2]));
    }
    const int tuned = status == TTM_OK && has_settings;
    if (!tuned) {
        fprintf(stderr, "%s\n", status != TTM_OK ? ttm_error_message() : "nothing to tune");
    }
    ttm_device_close(device);
    return tuned ? 0 : 1;
}
