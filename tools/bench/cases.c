/* The list of ops, each built from the sizes of a model: B sequences of T tokens, rows = B·T, width
 * C, heads H of size D, V tokens. */
#include "bench/cases.h"

#include "bench/product_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 64 };

/* Where cases are collected. */
typedef struct case_list {
    bench_case *cases;
    size_t count;
    const char *wanted; /* Part of the names that are wanted, NULL for all. */
    int64_t batch;
    int64_t seq;
    int64_t rows;
    int64_t width;
    int64_t inner;
    int64_t heads;
    int64_t vocab;
    int64_t context;
} case_list;

static ttm_tensor tensor_of(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t shape[] = {a, b, c, d};
    return ttm_tensor_describe(TTM_F32, rank, shape);
}

static ttm_tensor vector(int64_t n)
{
    return tensor_of(1, n, 0, 0, 0);
}

static ttm_tensor matrix(int64_t rows, int64_t cols)
{
    return tensor_of(2, rows, cols, 0, 0);
}

static ttm_tensor indices(int64_t n)
{
    return ttm_tensor_describe(TTM_I32, 1, &n);
}

/* Returns a new case, zeroed; a spare one where it isn't wanted. */
static bench_case *add(case_list *list, const char *name, ttm_opcode opcode, uint32_t tensor_count,
                       size_t params_bytes)
{
    bench_case *item = &list->cases[list->count];
    memset(item, 0, sizeof *item);
    snprintf(item->name, sizeof item->name, "%s", name);
    item->opcode = opcode;
    item->tensor_count = tensor_count;
    item->params_bytes = params_bytes;
    if ((list->wanted == NULL || strstr(name, list->wanted) != NULL) &&
        list->count + 1 < MOST_CASES) {
        list->count++;
    }
    return item;
}

void bench_case_product(bench_case *item, const char *name, int64_t m, int64_t n, int64_t k)
{
    memset(item, 0, sizeof *item);
    snprintf(item->name, sizeof item->name, "%s", name);
    item->opcode = TTM_OP_MATMUL;
    item->tensor_count = TTM_MATMUL_TENSORS;
    item->params_bytes = sizeof item->params.matmul;
    item->params.matmul.alpha = 1.0;
    item->tensors[TTM_MATMUL_OUT] = matrix(m, n);
    item->tensors[TTM_MATMUL_A] = matrix(m, k);
    item->tensors[TTM_MATMUL_B] = matrix(k, n);
}

/* ---- Products ---- */

/* y = x·W + b, its input gradient dy·Wᵀ and its weight gradient xᵀ·dy. */
static void add_matrix(case_list *list, const char *name, int64_t in, int64_t out, bool gelu,
                       bool backward)
{
    char text[80];
    snprintf(text, sizeof text, "matmul %s%s", name, gelu ? " + gelu" : "");
    bench_case *item = add(list, text, TTM_OP_MATMUL, TTM_MATMUL_TENSORS, 0);
    bench_case_product(item, text, list->rows, out, in);
    if (strcmp(name, "head") != 0) {
        item->tensors[TTM_MATMUL_BIAS] = vector(out);
    }
    if (gelu) {
        item->params.matmul.activation = TTM_ACTIVATION_GELU;
        item->tensors[TTM_MATMUL_PRE] = matrix(list->rows, out);
    }
    if (!backward) {
        return;
    }
    snprintf(text, sizeof text, "matmul %s dx", name);
    item = add(list, text, TTM_OP_MATMUL, TTM_MATMUL_TENSORS, 0);
    bench_case_product(item, text, list->rows, in, out);
    item->tensors[TTM_MATMUL_B] = matrix(in, out);
    item->transposed[TTM_MATMUL_B] = true;
    snprintf(text, sizeof text, "matmul %s dW", name);
    item = add(list, text, TTM_OP_MATMUL, TTM_MATMUL_TENSORS, 0);
    bench_case_product(item, text, in, out, list->rows);
    item->tensors[TTM_MATMUL_A] = matrix(list->rows, in);
    item->transposed[TTM_MATMUL_A] = true;
    item->params.matmul.beta = 1.0;
}

static void add_products(case_list *list)
{
    const int64_t width = list->width;
    add_matrix(list, "attn.c_attn", width, 3 * width, false, true);
    add_matrix(list, "attn.c_proj", width, width, false, true);
    add_matrix(list, "mlp.c_fc", width, list->inner, true, true);
    add_matrix(list, "mlp.c_proj", list->inner, width, false, true);
    /* The head is computed by pieces of rows: all logits at once would take the most memory. */
    case_list head = *list;
    head.rows = list->rows < 512 ? list->rows : 512;
    add_matrix(&head, "head", width, list->vocab, false, false);
    list->count = head.count;
    const int64_t one = list->rows;
    list->rows = 1;
    add_matrix(list, "mlp.c_fc of one row", width, list->inner, false, false);
    list->rows = one;
}

/* How a layer's MLP begins when one token is generated. */
static void add_norm_product(case_list *list)
{
    bench_case *item = add(list, "norm_matmul mlp.c_fc of one row", TTM_OP_NORM_MATMUL,
                           TTM_NORM_MATMUL_TENSORS, sizeof item->params.norm_matmul);
    item->params.norm_matmul = (ttm_norm_matmul_params){1e-5, TTM_ACTIVATION_GELU};
    item->tensors[TTM_NORM_MATMUL_OUT] = matrix(1, list->inner);
    item->tensors[TTM_NORM_MATMUL_X] = matrix(1, list->width);
    item->tensors[TTM_NORM_MATMUL_GAMMA] = item->tensors[TTM_NORM_MATMUL_BETA] =
        vector(list->width);
    item->tensors[TTM_NORM_MATMUL_B] = matrix(list->width, list->inner);
    item->tensors[TTM_NORM_MATMUL_BIAS] = vector(list->inner);
}

/* ---- Elements and rows ---- */

static void add_elementwise(case_list *list)
{
    const ttm_tensor residual = matrix(list->rows, list->width);
    const ttm_tensor inner = matrix(list->rows, list->inner);
    bench_case *item = add(list, "copy", TTM_OP_COPY, TTM_COPY_TENSORS, 0);
    item->tensors[TTM_COPY_OUT] = item->tensors[TTM_COPY_X] = residual;
    item = add(list, "copy transposed", TTM_OP_COPY, TTM_COPY_TENSORS, 0);
    item->tensors[TTM_COPY_OUT] = residual;
    item->tensors[TTM_COPY_X] = matrix(list->width, list->rows);
    item->transposed[TTM_COPY_X] = true;
    item = add(list, "fill", TTM_OP_FILL, TTM_FILL_TENSORS, sizeof item->params.fill);
    item->params.fill.value = 1.0; /* Processors write zeros twice as fast as anything else. */
    item->tensors[TTM_FILL_OUT] = residual;
    item = add(list, "add", TTM_OP_ADD, TTM_ADD_TENSORS, sizeof item->params.add);
    item->params.add = (ttm_add_params){1.0, 1.0};
    item->tensors[TTM_ADD_OUT] = item->tensors[TTM_ADD_A] = item->tensors[TTM_ADD_B] = residual;
    item = add(list, "reduce_rows", TTM_OP_REDUCE_ROWS, TTM_REDUCE_ROWS_TENSORS,
               sizeof item->params.reduce_rows);
    item->params.reduce_rows = (ttm_reduce_rows_params){1.0, 0.0};
    item->tensors[TTM_REDUCE_ROWS_OUT] = vector(list->inner);
    item->tensors[TTM_REDUCE_ROWS_X] = inner;
    item = add(list, "gelu", TTM_OP_GELU, TTM_GELU_TENSORS, 0);
    item->tensors[TTM_GELU_OUT] = item->tensors[TTM_GELU_X] = inner;
    item = add(list, "gelu_backward", TTM_OP_GELU_BACKWARD, TTM_GELU_BACKWARD_TENSORS, 0);
    item->tensors[TTM_GELU_BACKWARD_DX] = item->tensors[TTM_GELU_BACKWARD_DY] =
        item->tensors[TTM_GELU_BACKWARD_X] = inner;
    item = add(list, "dropout", TTM_OP_DROPOUT, TTM_DROPOUT_TENSORS, sizeof item->params.dropout);
    item->params.dropout = (ttm_dropout_params){0.1, 7, 0};
    item->tensors[TTM_DROPOUT_OUT] = item->tensors[TTM_DROPOUT_X] =
        item->tensors[TTM_DROPOUT_RESIDUAL] = residual;
}

static void add_rows(case_list *list)
{
    const int64_t rows = list->rows;
    const int64_t width = list->width;
    const ttm_tensor residual = matrix(rows, width);
    bench_case *item = add(list, "layer_norm", TTM_OP_LAYER_NORM, TTM_LAYER_NORM_TENSORS,
                           sizeof item->params.layer_norm);
    item->params.layer_norm.epsilon = 1e-5;
    item->tensors[TTM_LAYER_NORM_OUT] = item->tensors[TTM_LAYER_NORM_X] = residual;
    item->tensors[TTM_LAYER_NORM_GAMMA] = item->tensors[TTM_LAYER_NORM_BETA] = vector(width);
    item->tensors[TTM_LAYER_NORM_MEAN] = item->tensors[TTM_LAYER_NORM_RSTD] = vector(rows);
    item = add(list, "layer_norm_backward", TTM_OP_LAYER_NORM_BACKWARD,
               TTM_LAYER_NORM_BACKWARD_TENSORS, sizeof item->params.layer_norm_backward);
    item->params.layer_norm_backward.dx_beta = 1.0;
    for (int slot = TTM_LAYER_NORM_BACKWARD_DX; slot <= TTM_LAYER_NORM_BACKWARD_X; slot++) {
        item->tensors[slot] = residual;
    }
    item->tensors[TTM_LAYER_NORM_BACKWARD_GAMMA] = item->tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA] =
        item->tensors[TTM_LAYER_NORM_BACKWARD_DBETA] = vector(width);
    item->tensors[TTM_LAYER_NORM_BACKWARD_MEAN] = item->tensors[TTM_LAYER_NORM_BACKWARD_RSTD] =
        vector(rows);
    const int64_t pieces = rows < 512 ? rows : 512;
    item = add(list, "cross_entropy", TTM_OP_CROSS_ENTROPY, TTM_CROSS_ENTROPY_TENSORS,
               sizeof item->params.cross_entropy);
    item->params.cross_entropy.gradient_scale = 1.0;
    item->index_limit = list->vocab;
    item->content[TTM_CROSS_ENTROPY_TARGETS] = BENCH_INDICES;
    item->tensors[TTM_CROSS_ENTROPY_LOSS] = vector(pieces);
    item->tensors[TTM_CROSS_ENTROPY_LOGITS] = item->tensors[TTM_CROSS_ENTROPY_DLOGITS] =
        matrix(pieces, list->vocab);
    item->alias[TTM_CROSS_ENTROPY_DLOGITS] = TTM_CROSS_ENTROPY_LOGITS + 1;
    item->tensors[TTM_CROSS_ENTROPY_TARGETS] = indices(pieces);
    item = add(list, "softmax", TTM_OP_SOFTMAX, TTM_SOFTMAX_TENSORS, sizeof item->params.softmax);
    item->params.softmax = (ttm_softmax_params){1.0, 0};
    item->tensors[TTM_SOFTMAX_OUT] = item->tensors[TTM_SOFTMAX_X] = matrix(rows, list->seq);
}

/* A token for each sequence, from all of the vocabulary and from its most probable part. */
static void add_sampling(case_list *list)
{
    static const struct {
        const char *name;
        ttm_sample_params params;
    } ways[] = {{"sample", {1.0, 1.0, 0}}, {"sample top_k 40 top_p 0.9", {1.0, 0.9, 40}}};
    for (int k = 0; k < 2; k++) {
        bench_case *item =
            add(list, ways[k].name, TTM_OP_SAMPLE, TTM_SAMPLE_TENSORS, sizeof item->params.sample);
        item->params.sample = ways[k].params;
        item->index_limit = INT32_MAX;
        item->content[TTM_SAMPLE_RANDOM] = BENCH_INDICES;
        item->tensors[TTM_SAMPLE_TOKENS] = indices(list->batch);
        item->tensors[TTM_SAMPLE_LOGITS] = matrix(list->batch, list->vocab);
        item->tensors[TTM_SAMPLE_RANDOM] =
            ttm_tensor_describe(TTM_I32, 2, (const int64_t[]){list->batch, 2});
    }
}

static void add_embedding(case_list *list)
{
    const ttm_embedding_params params = {list->seq, 0};
    bench_case *item = add(list, "embedding", TTM_OP_EMBEDDING, TTM_EMBEDDING_TENSORS,
                           sizeof item->params.embedding);
    item->params.embedding = params;
    item->index_limit = list->vocab;
    item->content[TTM_EMBEDDING_TOKENS] = BENCH_INDICES;
    item->tensors[TTM_EMBEDDING_OUT] = matrix(list->rows, list->width);
    item->tensors[TTM_EMBEDDING_TOKENS] = indices(list->rows);
    item->tensors[TTM_EMBEDDING_TABLE] = matrix(list->vocab, list->width);
    item->tensors[TTM_EMBEDDING_POSITIONS] = matrix(list->context, list->width);
    item = add(list, "embedding_backward", TTM_OP_EMBEDDING_BACKWARD,
               TTM_EMBEDDING_BACKWARD_TENSORS, sizeof item->params.embedding);
    item->params.embedding = params;
    item->index_limit = list->vocab;
    item->content[TTM_EMBEDDING_BACKWARD_TOKENS] = BENCH_INDICES;
    item->tensors[TTM_EMBEDDING_BACKWARD_DTABLE] = matrix(list->vocab, list->width);
    item->tensors[TTM_EMBEDDING_BACKWARD_DPOSITIONS] = matrix(list->context, list->width);
    item->tensors[TTM_EMBEDDING_BACKWARD_DOUT] = matrix(list->rows, list->width);
    item->tensors[TTM_EMBEDDING_BACKWARD_TOKENS] = indices(list->rows);
}

static void add_attention(case_list *list)
{
    const int64_t head_size = list->width / list->heads;
    const ttm_attention_params params = {1.0 / sqrt((double)head_size), 0.0, 0, 1};
    const ttm_tensor heads = tensor_of(4, list->batch, list->heads, list->seq, head_size);
    const ttm_tensor lse = tensor_of(3, list->batch, list->heads, list->seq, 0);
    bench_case *item = add(list, "attention", TTM_OP_ATTENTION, TTM_ATTENTION_TENSORS,
                           sizeof item->params.attention);
    item->params.attention = params;
    for (int slot = TTM_ATTENTION_OUT; slot <= TTM_ATTENTION_V; slot++) {
        item->tensors[slot] = heads;
    }
    item->tensors[TTM_ATTENTION_LSE] = lse;
    item = add(list, "attention_backward", TTM_OP_ATTENTION_BACKWARD,
               TTM_ATTENTION_BACKWARD_TENSORS, sizeof item->params.attention);
    item->params.attention = params;
    for (int slot = TTM_ATTENTION_BACKWARD_DQ; slot <= TTM_ATTENTION_BACKWARD_OUT; slot++) {
        item->tensors[slot] = heads;
    }
    item->tensors[TTM_ATTENTION_BACKWARD_LSE] = lse;
}

static void add_optimiser(case_list *list, int64_t parameters)
{
    bench_case *item = add(list, "sum_of_squares", TTM_OP_SUM_OF_SQUARES,
                           TTM_SUM_OF_SQUARES_TENSORS, sizeof item->params.sum_of_squares);
    item->tensors[TTM_SUM_OF_SQUARES_OUT] = vector(1);
    item->tensors[TTM_SUM_OF_SQUARES_X] = vector(parameters);
    item = add(list, "adamw", TTM_OP_ADAMW, TTM_ADAMW_TENSORS, sizeof item->params.adamw);
    item->params.adamw = (ttm_adamw_params){.learning_rate = 1e-4,
                                            .beta1 = 0.9,
                                            .beta2 = 0.95,
                                            .epsilon = 1e-8,
                                            .max_norm = 1.0,
                                            .gradient_scale = 1.0,
                                            .step = 1,
                                            .segment_count = 1};
    item->segment = (ttm_adamw_segment){0, parameters, 1.0, 0.1};
    for (int slot = TTM_ADAMW_PARAMETERS; slot <= TTM_ADAMW_SECOND_MOMENT; slot++) {
        item->tensors[slot] = vector(parameters);
    }
    item->tensors[TTM_ADAMW_NORM_SQUARED] = vector(1);
    item->content[TTM_ADAMW_SECOND_MOMENT] = item->content[TTM_ADAMW_NORM_SQUARED] = BENCH_ONES;
}

/* ---- TT ops ---- */

static ttm_tensor core_tensor(const ttm_tt_shape *shape, int32_t core, int64_t layers)
{
    const int64_t sizes[] = {layers, shape->ranks[core], shape->in_modes[core],
                             shape->out_modes[core], shape->ranks[core + 1]};
    return ttm_tensor_describe(TTM_F32, 5, sizes);
}

static void add_tensor_train(case_list *list, const ttm_tt_shape *shape, int64_t layers)
{
    const int64_t in = ttm_tt_shape_in(shape);
    const int64_t out = ttm_tt_shape_out(shape);
    bench_case *build = add(list, "tt_build all layers", TTM_OP_TT_BUILD, TTM_TT_BUILD_TENSORS, 0);
    build->tensors[TTM_TT_BUILD_W] = tensor_of(3, layers, in, out, 0);
    for (int32_t k = 0; k < shape->core_count; k++) {
        build->tensors[TTM_TT_BUILD_CORE + k] = core_tensor(shape, k, layers);
    }
    bench_case *gradient = add(list, "tt_gradient all layers", TTM_OP_TT_GRADIENT,
                               TTM_TT_GRADIENT_TENSORS, sizeof gradient->params.tt_gradient);
    gradient->tensors[TTM_TT_GRADIENT_DW] = tensor_of(3, layers, in, out, 0);
    for (int32_t k = 0; k < shape->core_count; k++) {
        gradient->tensors[TTM_TT_GRADIENT_CORE + k] = gradient->tensors[TTM_TT_GRADIENT_DCORE + k] =
            core_tensor(shape, k, layers);
    }
    bench_case *forward =
        add(list, "tt_linear mlp.c_fc", TTM_OP_TT_LINEAR, TTM_TT_LINEAR_TENSORS, 0);
    forward->tensors[TTM_TT_LINEAR_Y] = matrix(list->rows, out);
    forward->tensors[TTM_TT_LINEAR_X] = matrix(list->rows, in);
    for (int32_t k = 0; k < shape->core_count; k++) {
        forward->tensors[TTM_TT_LINEAR_CORE + k] = core_tensor(shape, k, 1);
    }
    bench_case *backward = add(list, "tt_linear_backward mlp.c_fc", TTM_OP_TT_LINEAR_BACKWARD,
                               TTM_TT_LINEAR_BACKWARD_TENSORS, 0);
    backward->tensors[TTM_TT_LINEAR_BACKWARD_DX] = backward->tensors[TTM_TT_LINEAR_BACKWARD_X] =
        matrix(list->rows, in);
    backward->tensors[TTM_TT_LINEAR_BACKWARD_DY] = matrix(list->rows, out);
    for (int32_t k = 0; k < shape->core_count; k++) {
        backward->tensors[TTM_TT_LINEAR_BACKWARD_CORE + k] =
            backward->tensors[TTM_TT_LINEAR_BACKWARD_DCORE + k] = core_tensor(shape, k, 1);
    }
}

/* A dense model's ops include the TT ops too, by the published rule at rank 64. */
static ttm_status tt_shape_of(ttm_tt_shape *shape, const ttm_gpt2_config *config)
{
    const ttm_tt_shape *own = ttm_gpt2_config_tt(config, 0, TTM_GPT2_MLP_C_FC);
    if (own != NULL) {
        *shape = *own;
        return TTM_OK;
    }
    return ttm_tt_shape_from_rule(shape, config->width, config->inner_width, 64);
}

ttm_status bench_cases_new(bench_case **cases, size_t *count, const ttm_gpt2_config *config,
                           const bench_arguments *arguments, ttm_dtype dtype)
{
    ttm_tt_shape shape;
    case_list list = {.cases = calloc(MOST_CASES, sizeof **cases),
                      .wanted = arguments->op,
                      .batch = arguments->batch,
                      .seq = arguments->seq,
                      .rows = arguments->batch * arguments->seq,
                      .width = config->width,
                      .inner = config->inner_width,
                      .heads = config->heads,
                      .vocab = config->vocab_size,
                      .context = config->context};
    *cases = list.cases;
    *count = 0;
    const ttm_status status = tt_shape_of(&shape, config);
    if (status != TTM_OK || list.cases == NULL) {
        return status;
    }
    add_products(&list);
    add_norm_product(&list);
    add_tensor_train(&list, &shape, config->layers);
    add_attention(&list);
    add_rows(&list);
    add_elementwise(&list);
    add_sampling(&list);
    add_embedding(&list);
    add_optimiser(&list, ttm_gpt2_parameter_count(config));
    for (size_t k = 0; k < list.count; k++) {
        bench_case_set_dtype(&list.cases[k], dtype);
    }
    *count = list.count;
    return TTM_OK;
}

/* The sizes in memory; transposed operands are exchanged after allocation. */
static void set_product(bench_case *item, const bench_product *product)
{
    char name[80];
    snprintf(name, sizeof name, "matmul %s", product->name);
    bench_case_product(item, name, product->m, product->n, product->k);
    if (product->a_transposed) {
        item->tensors[TTM_MATMUL_A] = matrix(product->k, product->m);
    }
    if (product->b_transposed) {
        item->tensors[TTM_MATMUL_B] = matrix(product->n, product->k);
    }
    item->transposed[TTM_MATMUL_A] = product->a_transposed;
    item->transposed[TTM_MATMUL_B] = product->b_transposed;
    bench_case_set_dtype(item, product->dtype);
}

ttm_status bench_cases_of_products(bench_case **cases, size_t *count, const char *list)
{
    size_t room = 1;
    bench_product product;
    for (const char *comma = list; *comma != '\0'; comma++) {
        room += *comma == ',';
    }
    *count = 0;
    *cases = calloc(room, sizeof **cases);
    while (*cases != NULL && *count < room && bench_next_product(&product, &list)) {
        set_product(&(*cases)[(*count)++], &product);
    }
    return TTM_OK;
}
