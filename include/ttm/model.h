/* GPT-2 on a device: parameters, gradients, and the passes that compute them.
 *
 * All parameters are numbered through, and lie in flat buffers of one span of these numbers each;
 * gradients lie in as many of the same layout, and the parameter table says what is where. Small
 * models have one span. The moments of an optimiser are the trainer's and have that layout too.
 * A training step is
 *
 *     ttm_model_begin_step(model, stream);                        builds the matrices of TT layers
 *     for each micro-batch: ttm_model_forward_backward(model, stream, &micro_batch);
 *     ttm_model_end_step(model, stream);                          gradients are complete now
 *     … for each span ttm_adamw over ttm_model_parameters and ttm_model_gradients …
 *     ttm_model_parameters_changed(model);
 *
 * A model of type bf16 has f32 parameters and gradients all the same. Its passes read a second set
 * of flat buffers, the working parameters, which are the parameters rounded to bf16; activations
 * and their gradients are bf16 too. Sums, losses, statistics of layer norms, gradients of
 * parameters and, of TT-matrices, the cores and what W is summed up in are f32; W is kept in bf16.
 *
 * A model of type tf32 is one of type f32, in memory and in files, whose products may be less
 * accurate: operands of MATMUL and attention, in the layers and the head, forward and backward, are
 * TF32 (see ttm/types.h), which lets a device round them to 11 significant bits. All else is f32,
 * such as W and the gradients of TT cores, contraction with cores, and the products of few rows
 * that NORM_MATMUL computes. On a device without TTM_TF32 in its dtype_mask the results are those
 * of f32.
 *
 * Nothing in it waits for the device. A model is used by one thread at a time, its work on one
 * stream at a time. */
#ifndef TTM_MODEL_H
#define TTM_MODEL_H

#include <ttm/device.h>
#include <ttm/gpt2_config.h>
#include <ttm/tensor.h>
#include <ttm/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The parameter table ---- */

/** What a parameter tensor is. */
typedef enum ttm_parameter_kind {
    TTM_PARAMETER_EMBEDDING = 0, /**< wte, wpe. */
    TTM_PARAMETER_MATRIX = 1,    /**< A dense matrix of a layer [in, out]. */
    TTM_PARAMETER_CORE = 2,      /**< A core of a TT-matrix [r, n, m, r']. */
    TTM_PARAMETER_BIAS = 3,      /**< Bias of a dense or TT-matrix [out]. */
    TTM_PARAMETER_NORM = 4       /**< Gain or bias of a layer norm [width]. */
} ttm_parameter_kind;

/** One parameter tensor. */
typedef struct ttm_parameter {
    const char *name; /**< As in files: "transformer.h.0.mlp.c_fc.weight", "….c_fc.cores.2". */
    ttm_parameter_kind kind;
    int32_t rank;
    int64_t shape[4];
    int64_t offset;    /**< Number of its first element. */
    int32_t span;      /**< The span that holds all of it. */
    int64_t count;     /**< Elements. */
    int32_t layer;     /**< −1 outside the layers. */
    int32_t matrix;    /**< ttm_gpt2_matrix that a matrix, core or bias belongs to, else −1. */
    int32_t core;      /**< Number of a core, else −1. */
    int32_t cores;     /**< How many cores its matrix has, 0 for a dense matrix and others. */
    bool weight_decay; /**< True for tensors of two and more dimensions, as in nanoGPT. */
    double learning_rate_scale; /**< 1; an optimiser may change its copy. */
} ttm_parameter;

/** Elements `offset` to `offset + count − 1`: what lies in one allocation and is updated in one
 * call. */
typedef struct ttm_parameter_span {
    int64_t offset;
    int64_t count;
} ttm_parameter_span;

/** All parameters of a configuration, in ascending order of offset. */
typedef struct ttm_parameter_table {
    size_t count;
    ttm_parameter *items;
    size_t span_count;         /**< At least 1. */
    ttm_parameter_span *spans; /**< One behind the other from 0 to buffer_count. */
    int64_t buffer_count;      /**< Elements of all spans, padding included. */
    int64_t parameter_count;   /**< Elements without padding: the model's size. */
    char *names;               /**< Where the names are kept. */
} ttm_parameter_table;

/** The most elements of a span, unless a single tensor has more: 128 MiB of f32. */
#define TTM_SPAN_ELEMENTS ((int64_t)1 << 25)

/** *table = the layout of a valid configuration. Tensors start at multiples of `alignment` elements
 * (a power of two; 0: 64); layers lie one behind the other, so a tensor that consecutive equal
 * layers have is found at a constant distance. A span has at most `span_elements` elements (0:
 * TTM_SPAN_ELEMENTS), unless it is a single tensor, or what belongs together: the norms of a layer,
 * the cores of a matrix. Padding is never part of a parameter and always zero. On success the
 * caller frees *table with ttm_parameter_table_free; on failure it is empty.
 * TTM_ERROR_OUT_OF_MEMORY, TTM_ERROR_SHAPE when offsets overflow. */
TTM_API TTM_CHECKED ttm_status ttm_parameter_table_new(ttm_parameter_table *table,
                                                       const ttm_gpt2_config *config,
                                                       int64_t alignment, int64_t span_elements);

/** *table = the layout that a model of `config` and type `dtype` has on `device`: with the device's
 * alignment, and spans no larger than its largest allocation. Ownership and errors as
 * ttm_parameter_table_new. */
TTM_API TTM_CHECKED ttm_status ttm_parameter_table_for_device(ttm_parameter_table *table,
                                                              const ttm_gpt2_config *config,
                                                              const ttm_device *device,
                                                              ttm_dtype dtype);

/** Frees a table and empties it; an empty one is fine. */
TTM_API void ttm_parameter_table_free(ttm_parameter_table *table);

/** Returns the parameter with this name (with or without "transformer."), NULL when there is none.
 */
TTM_API const ttm_parameter *ttm_parameter_table_find(const ttm_parameter_table *table,
                                                      const char *name);

/* ---- Models ---- */

/** A model on a device. */
typedef struct ttm_model ttm_model;

/** How a product with a TT-matrix is computed where no gradient is wanted. */
typedef enum ttm_tt_execution {
    TTM_TT_AUTO = 0,    /**< By a cost estimate for the number of rows. */
    TTM_TT_CACHED = 1,  /**< W is built once and kept: the speed and memory of a dense layer. */
    TTM_TT_CONTRACT = 2 /**< x is contracted with the cores; W is never kept. */
} ttm_tt_execution;

/** When gradients of W become gradients of cores. */
typedef enum ttm_tt_reduction {
    TTM_TT_REDUCE_AUTO = 0, /**< Per step when accumulation isn't 1, or on a GPU where dW of all
                               layers is a small part of the memory; else per layer. */
    TTM_TT_REDUCE_PER_LAYER = 1, /**< In each backward pass, one dW shared by all layers: least
                                    memory. */
    TTM_TT_REDUCE_PER_STEP = 2 /**< dW of every layer is kept over the micro-batches and reduced in
                                  ttm_model_end_step, all layers in one call. */
} ttm_tt_reduction;

/** Whether a backward pass computes outputs of layer norms and GELU again, which saves memory of
 * 6·width numbers a row and layer of gpt2's shape and costs some time. In bf16 it also changes the
 * last bits. The numbers are part of the ABI. */
typedef enum ttm_recompute {
    TTM_RECOMPUTE_AUTO = 0, /**< On a CPU, where it is nearly free, and where keeping them would
                               take more than a 16th of the device's memory. */
    TTM_RECOMPUTE_ON = 1,
    TTM_RECOMPUTE_OFF = 2
} ttm_recompute;

/** What a model is for. Initialise with TTM_MODEL_OPTIONS_INIT. */
typedef struct ttm_model_options {
    size_t struct_size;
    bool training;   /**< Has gradients. Default false. */
    ttm_dtype dtype; /**< TTM_F32 (default), TTM_TF32, TTM_BF16, or TTM_F64 where the device
                        computes in it. */
    int64_t batch;   /**< Sequences of the largest batch, */
    int64_t seq;     /**< and its tokens a sequence: memory for them is allocated at creation. 0
                        (default): when first needed. Larger batches later grow it. */
    int64_t accumulation;       /**< Micro-batches a step; chooses the reduction. Default 1. */
    int64_t logit_rows;         /**< Rows of logits that exist at once; 0 (default): chosen. */
    ttm_tt_execution execution; /**< For passes without gradient in a model that isn't training. */
    ttm_tt_reduction reduction;
    ttm_recompute recompute; /**< Of training. Default TTM_RECOMPUTE_AUTO. */
} ttm_model_options;

#define TTM_MODEL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(ttm_model_options), .training = false, .dtype = TTM_F32, .batch = 0, \
        .seq = 0, .accumulation = 1, .logit_rows = 0, .execution = TTM_TT_AUTO,                    \
        .reduction = TTM_TT_REDUCE_AUTO, .recompute = TTM_RECOMPUTE_AUTO                           \
    }

/** *dtype = TTM_BF16 where `device` multiplies matrices clearly faster in bf16 than in f32, else
 * TTM_F32. Measures for some tenths of a second, and says the outcome in a log line. Never
 * TTM_TF32: whether products that look like f32 are less accurate is for the caller to say. */
TTM_API TTM_CHECKED ttm_status ttm_model_choose_dtype(ttm_dtype *dtype, ttm_device *device);

/** *model = a model of `config` (copied) on `device`, parameters and gradients zero; `options` may
 * be NULL. The caller frees it with ttm_model_destroy before closing the device. On failure *model
 * is NULL. Errors: those of ttm_gpt2_config_validate, TTM_ERROR_OUT_OF_MEMORY (also for a single
 * tensor that is larger than the device's largest allocation, with its name), _UNSUPPORTED for a
 * dtype, _SHAPE when seq exceeds the context. */
TTM_API TTM_CHECKED ttm_status ttm_model_create(ttm_model **model, ttm_device *device,
                                                const ttm_gpt2_config *config,
                                                const ttm_model_options *options);

/** Frees a model whose work has finished; NULL is allowed. */
TTM_API void ttm_model_destroy(ttm_model *model);

/** Return what the model was made of; they belong to it. */
TTM_API const ttm_gpt2_config *ttm_model_config(const ttm_model *model);
TTM_API const ttm_parameter_table *ttm_model_parameter_table(const ttm_model *model);
TTM_API ttm_device *ttm_model_device(const ttm_model *model);

/** Return the flat buffers of a span < span_count, [count of the span]; the gradients are absent in
 * a model that isn't training. Whoever writes parameters calls ttm_model_parameters_changed
 * afterwards. */
TTM_API ttm_tensor ttm_model_parameters(const ttm_model *model, size_t span);
TTM_API ttm_tensor ttm_model_gradients(const ttm_model *model, size_t span);

/** Returns the working parameters of a span of a model of type bf16, absent in others. A pass
 * brings them up to date; an optimiser may do it instead (ttm_adamw's `working`). */
TTM_API ttm_tensor ttm_model_working_parameters(const ttm_model *model, size_t span);

/** Returns one parameter (or its gradient) as a tensor of its shape. */
TTM_API ttm_tensor ttm_model_parameter(const ttm_model *model, const ttm_parameter *parameter);
TTM_API ttm_tensor ttm_model_gradient(const ttm_model *model, const ttm_parameter *parameter);

/** Forgets what was made of the parameters, working parameters and matrices of TT layers: the next
 * pass or ttm_model_begin_step makes it again. */
TTM_API void ttm_model_parameters_changed(ttm_model *model);

/** Does the same where the working parameters were written together with the parameters. */
TTM_API void ttm_model_parameters_stepped(ttm_model *model);

/** How parameters begin. Initialise with TTM_MODEL_INIT_OPTIONS_INIT. */
typedef struct ttm_model_init_options {
    size_t struct_size;
    uint64_t seed;             /**< The same seed gives the same parameters on every device. */
    double standard_deviation; /**< Default 0.02. */
    bool zero_residual; /**< The last matrix of each residual branch begins as 0 (of a TT-matrix its
                           last core); default false: scaled by 1/√(2·layers) as in GPT-2. */
} ttm_model_init_options;

#define TTM_MODEL_INIT_OPTIONS_INIT                                                           \
    {                                                                                         \
        .struct_size = sizeof(ttm_model_init_options), .seed = 0, .standard_deviation = 0.02, \
        .zero_residual = false                                                                \
    }

/** Sets all parameters as GPT-2 does: matrices and embeddings N(0, std²), residual projections
 * scaled, biases 0, gains 1; TT-matrices by ttm_tt_init with the deviation that the dense matrix
 * would have. `options` may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_model_init_parameters(ttm_model *model, ttm_stream *stream,
                                                         const ttm_model_init_options *options);

/* ---- Training ---- */

/** One micro-batch. Initialise with TTM_MICRO_BATCH_INIT. */
typedef struct ttm_micro_batch {
    size_t struct_size;
    ttm_tensor tokens;     /**< i32 [B, T] on the device, T ≤ context. */
    ttm_tensor targets;    /**< i32 [B, T]; a negative one doesn't count. */
    ttm_tensor loss;       /**< f32 (f64 in an f64 model) [1], or absent. The first micro-batch of a
                              step sets it to loss_scale·Σ token losses, later ones add. */
    double loss_scale;     /**< What is differentiated is loss_scale·Σ token losses. 0 (default):
                              1/(B·T). With accumulation over n micro-batches: 1/(n·B·T). */
    bool first;            /**< First micro-batch of its step: gradients and loss are written, not
                              added to. Default true. */
    bool dropout;          /**< Whether dropout is applied. Default true. */
    uint64_t dropout_seed; /**< The masks depend on this, */
    uint64_t dropout_index; /**< and on this: the number of the micro-batch in the whole run. */
} ttm_micro_batch;

#define TTM_MICRO_BATCH_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(ttm_micro_batch), .loss_scale = 0.0, .first = true, .dropout = true, \
        .dropout_seed = 0, .dropout_index = 0                                                      \
    }

/** Prepares a step: builds the matrices of TT layers from their cores, where they have changed. */
TTM_API TTM_CHECKED ttm_status ttm_model_begin_step(ttm_model *model, ttm_stream *stream);

/** Forward and backward pass of one micro-batch: adds to the loss and the gradients. Errors:
 * TTM_ERROR_SHAPE (tensors that don't fit, T beyond the context), TTM_ERROR_ARGUMENT (not a
 * training model), TTM_ERROR_OUT_OF_MEMORY, and those of the device. */
TTM_API TTM_CHECKED ttm_status ttm_model_forward_backward(ttm_model *model, ttm_stream *stream,
                                                          const ttm_micro_batch *micro_batch);

/** Completes the gradients of a step. */
TTM_API TTM_CHECKED ttm_status ttm_model_end_step(ttm_model *model, ttm_stream *stream);

/* ---- Passes without gradient: no dropout ---- */

/** losses f32 (f64 in an f64 model) [B·T] = the loss of each token of i32 [B, T] `tokens` against
 * `targets`; 0 where a target is negative. Works on training models too. */
TTM_API TTM_CHECKED ttm_status ttm_model_losses(ttm_model *model, ttm_stream *stream,
                                                const ttm_tensor *losses, const ttm_tensor *tokens,
                                                const ttm_tensor *targets);

/** logits f32 (f64 in an f64 model) [B·T, vocab] for i32 [B, T] `tokens`. */
TTM_API TTM_CHECKED ttm_status ttm_model_logits(ttm_model *model, ttm_stream *stream,
                                                const ttm_tensor *logits, const ttm_tensor *tokens);

/* ---- Memory ---- */

/** Bytes on the device, by kind. */
typedef struct ttm_memory_plan {
    size_t struct_size;
    uint64_t parameter_bytes;
    uint64_t gradient_bytes;
    uint64_t activation_bytes; /**< The arena: activations, their gradients, a chunk of logits. */
    uint64_t matrix_bytes;     /**< W of TT layers and, for training, dW. */
    uint64_t workspace_bytes;  /**< Scratch of the stream. */
    uint64_t total_bytes;      /**< Their sum. Moments of an optimiser and the batches are the
                                  trainer's. */
    uint64_t working_bytes;    /**< Working parameters of a bf16 model. */
} ttm_memory_plan;

/** *plan = what a model of `config` with `options` (batch and seq set) will take, found by running
 * its passes on `stream`, a planning stream. Allocates no device memory. A trainer may run its
 * optimiser on the same stream and read ttm_stream_workspace_bytes after that. Errors as
 * ttm_model_create; TTM_ERROR_ARGUMENT for a stream that isn't planning. */
TTM_API TTM_CHECKED ttm_status ttm_model_memory_plan(ttm_memory_plan *plan, ttm_stream *stream,
                                                     const ttm_gpt2_config *config,
                                                     const ttm_model_options *options);

/* ---- Files ---- */

/** *model = the model in `directory`: config.json and model.safetensors, or the shards that
 * model.safetensors.index.json lists. Names may lack "transformer."; mask buffers (attn.bias,
 * attn.masked_bias) are ignored and lm_head.weight is allowed when it equals wte. Any float type is
 * converted. `options` may be NULL. Ownership as ttm_model_create. Errors: those of
 * ttm_gpt2_config_read and ttm_model_create; TTM_ERROR_NOT_FOUND, _IO, _FORMAT (damaged file;
 * missing, unknown or misshapen tensors, named), _NUMERIC (NaN or infinity, with the tensor). */
TTM_API TTM_CHECKED ttm_status ttm_model_load(ttm_model **model, ttm_device *device,
                                              const char *directory,
                                              const ttm_model_options *options);

/** Reads the weights in `directory` into a model of the same sizes. Errors as ttm_model_load; the
 * parameters are then a mixture. */
TTM_API TTM_CHECKED ttm_status ttm_model_read_weights(ttm_model *model, ttm_stream *stream,
                                                      const char *directory);

/** Writes config.json and model.safetensors (the parameters: f32, or f64 for an f64 model) into the
 * existing folder `directory`. Each file appears complete or not at all; for both at once there
 * is ttm_model_save_folder. TTM_ERROR_IO, TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_model_save(ttm_model *model, ttm_stream *stream,
                                              const char *directory);

/** Saves the model and its tokenizer (NULL: none) as the folder `directory`, which appears whole or
 * not at all: it is filled under a hidden name beside, synced and renamed. TTM_ERROR_IO where
 * something is there already, an empty folder excepted, or can't be written. */
TTM_API TTM_CHECKED ttm_status ttm_model_save_folder(ttm_model *model, ttm_stream *stream,
                                                     const ttm_tokenizer *tokenizer,
                                                     const char *directory);

/** Finds out whether ttm_model_save_folder can make `directory`, and leaves nothing behind. For
 * those who work for minutes before. */
TTM_API TTM_CHECKED ttm_status ttm_model_check_folder(const char *directory);

/** hash = 32 hexadecimal digits and a NUL: a fingerprint of names, shapes and values of all
 * parameters. Reads them from the device. */
TTM_API TTM_CHECKED ttm_status ttm_model_weights_hash(char hash[33], ttm_model *model,
                                                      ttm_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
