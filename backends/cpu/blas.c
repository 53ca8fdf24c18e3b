#include "cpu/blas.h"

#include "common/host_plugin.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* OpenBLAS's extensions are weak: NULL where another CBLAS is linked. */
#if !defined(OPENBLAS_VERSION)
extern void openblas_set_num_threads(int threads);
extern char *openblas_get_corename(void);
extern char *openblas_get_config(void);
#endif
#pragma weak openblas_set_num_threads
#pragma weak openblas_get_corename
#pragma weak openblas_get_config

#if defined(__x86_64__)
/* OpenBLAS's names of its x86 kernel sets, by the widest instructions they use. */
static const char *const avx512_sets[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
static const char *const avx2_sets[] = {"Haswell", "Zen", "Excavator"};

static int listed(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/** Returns 2 for AVX-512 kernels, 1 for AVX2 ones, 0 for older or unknown ones. */
static int kernel_level(const char *name)
{
    if (listed(name, avx512_sets, sizeof avx512_sets / sizeof avx512_sets[0])) {
        return 2;
    }
    return listed(name, avx2_sets, sizeof avx2_sets / sizeof avx2_sets[0]);
}

static void warn_of_old_kernels(void)
{
    static const char *const widest[] = {"no AVX2", "AVX2", "AVX-512"};
    const char *name = openblas_get_corename();
    const char *held = getenv("OPENBLAS_CORETYPE");
    const int processor = __builtin_cpu_supports("avx512bw") ? 2 : __builtin_cpu_supports("avx2");
    const int kernels = kernel_level(name);
    if (kernels >= (processor > 0)) {
        if (kernels < processor && held != NULL) {
            host_log(TTM_LOG_WARNING,
                     "OPENBLAS_CORETYPE=%s holds OpenBLAS to its %s kernels (%s) though this "
                     "processor has %s: matrix products may take up to twice as long; unset it",
                     held, name, widest[kernels], widest[processor]);
        }
        return;
    }
    host_log(TTM_LOG_WARNING,
             "OpenBLAS uses its %s kernels though this processor has %s: matrix products take "
             "several times as long; %s",
             name, widest[processor],
             held != NULL ? "unset OPENBLAS_CORETYPE" : "install a newer OpenBLAS");
}
#else
static void warn_of_old_kernels(void)
{
}
#endif

void ttm_cpu_blas_start(void)
{
    if (openblas_set_num_threads != NULL) {
        openblas_set_num_threads(1);
    } else {
        host_log(TTM_LOG_WARNING,
                 "the BLAS behind the cpu backend isn't OpenBLAS: products may be slow, or run on "
                 "more threads than there are processors");
    }
    if (openblas_get_corename != NULL) {
        warn_of_old_kernels();
    }
}

void ttm_cpu_blas_describe(char *text, size_t bytes)
{
    if (openblas_get_config == NULL || openblas_get_corename == NULL) {
        snprintf(text, bytes, "CBLAS of unknown make");
        return;
    }
    /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …": the first two words say enough. */
    const char *config = openblas_get_config();
    size_t length = strcspn(config, " ");
    if (config[length] == ' ') {
        length += 1 + strcspn(config + length + 1, " ");
    }
    snprintf(text, bytes, "%.*s, %s kernels", (int)length, config, openblas_get_corename());
}

void ttm_cpu_sgemm(int transpose_a, int transpose_b, int64_t rows, int64_t cols, int64_t depth,
                   float alpha, const float *a, int64_t a_row, const float *b, int64_t b_row,
                   float beta, float *c, int64_t c_row)
{
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)rows, (int)cols, (int)depth, alpha, a,
                (int)a_row, b, (int)b_row, beta, c, (int)c_row);
}
