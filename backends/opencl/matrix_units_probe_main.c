/* ttm-opencl-probe: tries one kernel on matrix units and says "passed", or what is wrong. Started
 * by the opencl plugin, which names itself, the device, types, how the operands lie, and into how
 * many pieces the depth is cut;
 * TTM_OPENCL_MATRIX_UNITS or TTM_OPENCL_ATTENTION names the kernel.
 *
 *     ttm-opencl-probe PLUGIN DEVICE DATA RESULT A_RUNS B_RUNS A_ACCESS B_ACCESS PIECES
 *     ttm-opencl-probe PLUGIN DEVICE attention HEAD_SIZE ALIGNED BACKWARD DROPOUT PARTS
 *
 * Each product is computed by the plugin and by the reference backend beside it: sizes with and
 * without edges, every epilogue, two matrices a batch. The bound is MATMUL's. */
#include "opencl/matrix_units_probe_runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = TTM_MATMUL_TENSORS, PAD = 8 };

/* One product; tensors' `memory` is NULL, and `bytes` what each slot's memory holds. */
typedef struct trial {
    ttm_tensor tensors[SLOTS];
    unsigned char *bytes[SLOTS];
    size_t sizes[SLOTS];
    ttm_matmul_params params;
    int is_tf32; /* The plugin gets a and b, which are f32, as TF32. */
    uint64_t random;
} trial;

/* ---- Elements ---- */

static float read_element(const trial *t, int slot, int64_t index)
{
    const unsigned char *place =
        t->bytes[slot] + (size_t)index * ttm_dtype_bytes(t->tensors[slot].dtype);
    uint32_t bits = 0;
    float value;
    if (t->tensors[slot].dtype == TTM_F32) {
        memcpy(&bits, place, 4);
    } else {
        uint16_t upper;
        memcpy(&upper, place, 2);
        bits = (uint32_t)upper << 16;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void write_element(const trial *t, int slot, int64_t index, float value)
{
    const size_t width = ttm_dtype_bytes(t->tensors[slot].dtype);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (width == 2) {
        const uint16_t upper = (uint16_t)(bits >> 16);
        memcpy(t->bytes[slot] + (size_t)index * width, &upper, width);
    } else {
        memcpy(t->bytes[slot] + (size_t)index * width, &bits, width);
    }
}

/* [2, rows, cols]; `runs` of 1 exchanges the strides, `pad` elements lie behind each line. NaN
 * between the elements shows who reads them. */
static int make_tensor(trial *t, int slot, ttm_dtype dtype, int64_t rows, int64_t cols, int runs,
                       int pad)
{
    ttm_tensor *tensor = &t->tensors[slot];
    const int64_t line = (runs ? rows : cols) + pad;
    const int64_t lines = runs ? cols : rows;
    *tensor = (ttm_tensor){.dtype = dtype, .rank = 3};
    tensor->shape[0] = 2;
    tensor->shape[1] = rows;
    tensor->shape[2] = cols;
    tensor->stride[0] = line * lines;
    tensor->stride[1] = runs ? 1 : line;
    tensor->stride[2] = runs ? line : 1;
    const int64_t count = 2 * line * lines;
    t->sizes[slot] = (size_t)count * ttm_dtype_bytes(dtype);
    t->bytes[slot] = malloc(t->sizes[slot] > 0 ? t->sizes[slot] : 1);
    if (t->bytes[slot] == NULL) {
        return probe_say("no memory", "");
    }
    memset(t->bytes[slot], 0xff, t->sizes[slot]);
    for (int64_t batch = 0; batch < 2; batch++) {
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < cols; j++) {
                write_element(t, slot,
                              batch * tensor->stride[0] + i * tensor->stride[1] +
                                  j * tensor->stride[2],
                              (float)probe_uniform(&t->random));
            }
        }
    }
    return 0;
}

static void free_trial(trial *t)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        free(t->bytes[slot]);
    }
}

/* ---- Running ---- */

static int run_product(const probe_runner *with, trial *t, int as_tf32)
{
    ttm_tensor tensors[SLOTS];
    ttm_status status = TTM_OK;
    memcpy(tensors, t->tensors, sizeof tensors);
    if (as_tf32) {
        tensors[TTM_MATMUL_A].dtype = TTM_TF32;
        tensors[TTM_MATMUL_B].dtype = TTM_TF32;
    }
    for (int slot = 0; slot < SLOTS && status == TTM_OK; slot++) {
        if (t->bytes[slot] != NULL) {
            status = with->table->memory_alloc(&tensors[slot].memory, with->device, t->sizes[slot]);
            if (status == TTM_OK) {
                status = with->table->memory_write(with->stream, tensors[slot].memory, 0,
                                                   t->bytes[slot], t->sizes[slot]);
            }
        }
    }
    ttm_op op = {.struct_size = sizeof op,
                 .opcode = TTM_OP_MATMUL,
                 .tensor_count = SLOTS,
                 .tensors = tensors,
                 .params = &t->params,
                 .params_bytes = sizeof t->params};
    if (status == TTM_OK) {
        status = probe_run_op(with, &op);
    }
    for (int slot = 0; slot < SLOTS; slot++) {
        const int written = slot == TTM_MATMUL_OUT || slot == TTM_MATMUL_PRE;
        if (tensors[slot].memory != NULL && written && status == TTM_OK) {
            status = with->table->memory_read(with->stream, t->bytes[slot], tensors[slot].memory, 0,
                                              t->sizes[slot]);
        }
        if (tensors[slot].memory != NULL) {
            with->table->memory_free(with->device, tensors[slot].memory);
        }
    }
    return status == TTM_OK ? 0 : probe_say("a product can't be run", probe_last_message());
}

/* *copy = t with memory of its own; absolute values where asked for, and then no activation. */
static int copy_trial(trial *copy, const trial *t, int absolute)
{
    *copy = *t;
    for (int slot = 0; slot < SLOTS; slot++) {
        copy->bytes[slot] = NULL;
        if (t->bytes[slot] == NULL || (absolute && slot == TTM_MATMUL_PRE)) {
            copy->tensors[slot].dtype = TTM_DTYPE_NONE;
            continue;
        }
        copy->bytes[slot] = malloc(t->sizes[slot]);
        if (copy->bytes[slot] == NULL) {
            return probe_say("no memory", "");
        }
        memcpy(copy->bytes[slot], t->bytes[slot], t->sizes[slot]);
        const size_t width = ttm_dtype_bytes(t->tensors[slot].dtype);
        for (size_t i = width - 1; absolute && i < t->sizes[slot]; i += width) {
            copy->bytes[slot][i] &= 0x7f;
        }
    }
    if (absolute) {
        copy->params.activation = TTM_ACTIVATION_NONE;
        copy->params.alpha = fabs(copy->params.alpha);
    }
    return 0;
}

static int compare(const trial *got, const trial *exact, const trial *absolute, int slot)
{
    const ttm_tensor *tensor = &got->tensors[slot];
    const double sum_unit = ldexp(1.0, -24);
    const double unit = tensor->dtype == TTM_BF16 ? ldexp(1.0, -8) : sum_unit;
    /* Of TF32 operands 16 bits are used (docs/opencl-matrix-units.md), less would be a fault. */
    const double rounding = got->is_tf32 ? 1.13 * ldexp(1.0, -14) : 0.0;
    const double terms = (double)got->tensors[TTM_MATMUL_A].shape[2] + 4.0;
    for (int64_t batch = 0; batch < tensor->shape[0]; batch++) {
        for (int64_t i = 0; i < tensor->shape[1]; i++) {
            for (int64_t j = 0; j < tensor->shape[2]; j++) {
                const int64_t at =
                    batch * tensor->stride[0] + i * tensor->stride[1] + j * tensor->stride[2];
                const int64_t out_at = batch * got->tensors[TTM_MATMUL_OUT].stride[0] +
                                       i * got->tensors[TTM_MATMUL_OUT].stride[1] +
                                       j * got->tensors[TTM_MATMUL_OUT].stride[2];
                const double right = read_element(exact, slot, at);
                const double size = read_element(absolute, TTM_MATMUL_OUT, out_at);
                /* The reference rounds too, and the absolute sum is rounded to the output's type.
                 */
                const double bound = 1.02 * ((1.13 * terms + 64.0) * sum_unit + rounding) * size +
                                     2.0 * unit * fabs(right);
                if (!(fabs(read_element(got, slot, at) - right) <= bound)) {
                    char text[160];
                    snprintf(text, sizeof text, "[%d, %d] is %g instead of %g (bound %.2g)", (int)i,
                             (int)j, (double)read_element(got, slot, at), right, bound);
                    return probe_say(
                        slot == TTM_MATMUL_OUT ? "wrong numbers: out" : "wrong numbers: pre", text);
                }
            }
        }
    }
    return 0;
}

static int run_trial(const probe_runner *probed, const probe_runner *reference, trial *t)
{
    trial exact;
    trial absolute = {.random = 0};
    int failed = copy_trial(&exact, t, 0) || copy_trial(&absolute, t, 1) ||
                 run_product(reference, &exact, 0) || run_product(reference, &absolute, 0) ||
                 run_product(probed, t, t->is_tf32) ||
                 compare(t, &exact, &absolute, TTM_MATMUL_OUT);
    if (!failed && t->params.activation == TTM_ACTIVATION_GELU &&
        t->bytes[TTM_MATMUL_PRE] != NULL) {
        failed = compare(t, &exact, &absolute, TTM_MATMUL_PRE);
    }
    free_trial(&exact);
    free_trial(&absolute);
    return failed;
}

/* What the command line says. */
typedef struct probe_arguments {
    const char *plugin;
    int numbers[8]; /* device, data, result, a runs, b runs, a access, b access, pieces */
} probe_arguments;

/* One size with one epilogue: 0 none, 1 bias and GELU with pre, 2 GELU backward, 3 bias and
 * residual, 4 accumulation. */
static int try_product(const probe_runner *probed, const probe_runner *reference,
                       const probe_arguments *asked, const int64_t size[3], int epilogue)
{
    trial t = {.is_tf32 = asked->numbers[1] == TTM_TF32,
               .params = {.alpha = epilogue == 0 ? -0.5 : 1.0, .beta = epilogue == 4 ? 1.0 : 0.0},
               .random = (uint64_t)(size[0] * 1000003 + size[1] * 1009 + epilogue)};
    const ttm_dtype data = t.is_tf32 ? TTM_F32 : (ttm_dtype)asked->numbers[1];
    const ttm_dtype result = (ttm_dtype)asked->numbers[2];
    /* Lines are multiples of 8 apart for whoever reads 8 at once, and an odd number for whoever
     * doesn't. */
    int pads[2];
    for (int i = 0; i < 2; i++) {
        const int64_t line = i == 0 ? (asked->numbers[3] ? size[0] : size[2])
                                    : (asked->numbers[4] ? size[1] : size[2]);
        const int to_eight = (int)((PAD - line % PAD) % PAD);
        pads[i] = asked->numbers[5 + i] > 0 ? to_eight + PAD : to_eight + 1;
    }
    int failed =
        make_tensor(&t, TTM_MATMUL_A, data, size[0], size[2], asked->numbers[3], pads[0]) ||
        make_tensor(&t, TTM_MATMUL_B, data, size[2], size[1], !asked->numbers[4], pads[1]) ||
        make_tensor(&t, TTM_MATMUL_OUT, result, size[0], size[1], 0, epilogue == 0 ? 0 : 3);
    if (!failed && (epilogue == 1 || epilogue == 3)) {
        failed = make_tensor(&t, TTM_MATMUL_BIAS, result, 1, size[1], 0, 0);
        t.tensors[TTM_MATMUL_BIAS].rank = 1;
        t.tensors[TTM_MATMUL_BIAS].shape[0] = size[1];
        t.tensors[TTM_MATMUL_BIAS].stride[0] = 1;
    }
    if (!failed && (epilogue == 1 || epilogue == 2)) {
        failed = make_tensor(&t, TTM_MATMUL_PRE, result, size[0], size[1], 0, PAD);
        t.params.activation = epilogue == 1 ? TTM_ACTIVATION_GELU : TTM_ACTIVATION_GELU_BACKWARD;
    }
    if (!failed && epilogue == 3) {
        failed = make_tensor(&t, TTM_MATMUL_RESIDUAL, result, size[0], size[1], 0, 0);
    }
    failed = failed || run_trial(probed, reference, &t);
    free_trial(&t);
    return failed;
}

static int try_all(const probe_runner *probed, const probe_runner *reference,
                   const probe_arguments *asked)
{
    /* Rows, columns, depth: whole tiles of 128, 64 and 192; several bands of tiles; edges
     * everywhere; less than a tile. */
    static const int64_t sizes[][3] = {
        {128, 192, 128}, {1100, 64, 48}, {201, 267, 91}, {9, 33, 17}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int epilogue = 0; epilogue < 5; epilogue++) {
            if ((i == 2 || epilogue == (int)i) &&
                try_product(probed, reference, asked, sizes[i], epilogue)) {
                return 1;
            }
        }
    }
    return 0;
}

/* The command line without the program, the plugin and the device. */
static int try_what_is_asked(const probe_runner *probed, probe_arguments *asked, int count,
                             char **words)
{
    probe_runner reference = {0};
    char reference_file[4096];
    if (strcmp(words[0], "attention") == 0) {
        int numbers[PROBE_ATTENTION_NUMBERS];
        for (int i = 0; i < PROBE_ATTENTION_NUMBERS; i++) {
            numbers[i] = (int)strtol(words[1 + i], NULL, 10);
        }
        return probe_attention(probed, numbers);
    }
    for (int i = 0; i < count; i++) {
        asked->numbers[1 + i] = (int)strtol(words[i], NULL, 10);
    }
    const char *slash = strrchr(asked->plugin, '/');
    snprintf(reference_file, sizeof reference_file, "%.*s/libttm-backend-reference.so",
             slash != NULL ? (int)(slash - asked->plugin) : 1, slash != NULL ? asked->plugin : ".");
    return probe_runner_open(&reference, reference_file, 0) || try_all(probed, &reference, asked);
}

int main(int argc, char **argv)
{
    probe_arguments asked = {.plugin = argv[1]};
    probe_runner probed = {0};
    if (argc != 10 && (argc != 4 + PROBE_ATTENTION_NUMBERS || strcmp(argv[3], "attention") != 0)) {
        fprintf(stderr,
                "usage: ttm-opencl-probe PLUGIN DEVICE DATA RESULT A_RUNS B_RUNS A_ACCESS B_ACCESS "
                "PIECES\n"
                "       ttm-opencl-probe PLUGIN DEVICE attention HEAD_SIZE ALIGNED BACKWARD "
                "DROPOUT PARTS\n");
        return 2;
    }
    if (argc == 10) {
        setenv("TTM_OPENCL_PIECES", argv[9], 1);
    }
    if (probe_runner_open(&probed, asked.plugin, (int32_t)strtol(argv[2], NULL, 10)) ||
        try_what_is_asked(&probed, &asked, argc - 3, argv + 3)) {
        return 1;
    }
    puts("passed");
    return 0;
}
