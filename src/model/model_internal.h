/* What a model consists of. */
#ifndef TTM_MODEL_MODEL_INTERNAL_H
#define TTM_MODEL_MODEL_INTERNAL_H

#include "model/activations.h"
#include <ttm/model.h>

/** Consecutive layers whose matrix of one kind is the same TT-matrix: their cores lie at a constant
 * distance, and are built and reduced in one call. */
typedef struct ttm_tt_group {
    const ttm_tt_shape *shape;
    const char *label; /* of the matrices: "mlp.c_fc" */
    int32_t span;      /* of the parameters, which holds the cores of all layers */
    int64_t layers;
    ttm_tensor cores[TTM_TT_MAX_CORES];          /* [layers, r, n, m, r'], in the parameters */
    ttm_tensor core_gradients[TTM_TT_MAX_CORES]; /* likewise; absent without gradients */
    ttm_tensor w;                                /* [layers, in, out]; absent until it is needed */
    ttm_tensor w_storage;                        /* the allocation behind it */
    ttm_tensor w_gradient;         /* [layers, in, out], or with reduction per layer [1, in, out] */
    ttm_tensor w_gradient_storage; /* the allocation behind it; absent with reduction per layer */
    bool built;                    /* w belongs to the parameters as they are */
    int64_t priced_rows;           /* number of rows for which `contracts` was found; 0: never */
    bool contracts;                /* whether contraction is cheaper than a product with w */
} ttm_tt_group;

/** One matrix of one layer, dense or TT. */
typedef struct ttm_model_matrix {
    const char *label;
    int64_t in;
    int64_t out;
    ttm_tensor weight;          /* [in, out]; absent for a TT-matrix */
    ttm_tensor weight_gradient; /* likewise */
    ttm_tensor bias;            /* [out], absent where there is none */
    ttm_tensor bias_gradient;
    ttm_tt_group *group; /* NULL for a dense matrix */
    int64_t place;       /* which of the group's layers this is */
} ttm_model_matrix;

/** A layer norm. */
typedef struct ttm_model_norm {
    ttm_tensor gain;
    ttm_tensor bias;
    ttm_tensor gain_gradient;
    ttm_tensor bias_gradient;
} ttm_model_norm;

/** A layer. */
typedef struct ttm_model_layer {
    ttm_model_norm norm_1;
    ttm_model_norm norm_2;
    ttm_tensor norm_gradients; /* those of both, one flat tensor */
    ttm_model_matrix matrices[TTM_GPT2_MATRIX_COUNT];
} ttm_model_layer;

struct ttm_model {
    ttm_device *device;
    ttm_gpt2_config config;
    ttm_parameter_table table;
    ttm_model_options options;
    bool planning;        /* tensors have no memory */
    bool rounds_operands; /* of type tf32: `options` say f32, but operands of products are TF32 */
    bool reduce_per_step;
    int64_t alignment;      /* of tensors, in elements */
    ttm_dtype master_dtype; /* of parameters, gradients, losses and statistics: f32 or f64 */
    ttm_tensor *parameters; /* [span_count] */
    ttm_tensor *working;    /* [span_count]: the parameters in a narrower type of the model; else
                               absent */
    bool has_working;
    bool working_is_current;
    ttm_tensor *gradients;       /* [span_count]; absent without training */
    ttm_tensor matrix_gradients; /* dW, with reduction per layer one for all groups */
    ttm_arena arena;             /* activations */
    uint64_t matrix_bytes;
    ttm_tensor token_embedding;
    ttm_tensor token_embedding_gradient;
    ttm_tensor position_embedding;
    ttm_tensor position_embedding_gradient;
    ttm_model_norm final_norm;
    ttm_tensor final_norm_gradients;
    ttm_model_layer *layers;
    ttm_tt_group *groups;
    size_t group_count;
    ttm_layer_activations *activations; /* [layers], laid out anew by each pass */
};

/** Returns the bytes of an element of the wide type. */
static inline size_t ttm_model_wide_bytes(const ttm_model *model)
{
    return model->master_dtype == TTM_F64 ? sizeof(double) : sizeof(float);
}

/** ttm_model_create; with `planning` nothing is allocated on the device, and all tensors lack
 * memory. */
TTM_CHECKED ttm_status ttm_model_create_for(ttm_model **model, ttm_device *device,
                                            const ttm_gpt2_config *config,
                                            const ttm_model_options *options, bool planning);

/** Allocates a tensor [count], or describes it when the model is for planning. A failure says
 * `what` it is for: "the parameters". TTM_ERROR_OUT_OF_MEMORY also when it is larger than a single
 * allocation of the device may be. */
TTM_CHECKED ttm_status ttm_model_allocate(ttm_tensor *tensor, ttm_model *model, const char *what,
                                          ttm_dtype dtype, int64_t count);

/** Returns the place in the working parameters of a view of the parameters of a span: what passes
 * read. The view itself where the two are the same. */
ttm_tensor ttm_model_working_view(const ttm_model *model, int32_t span, const ttm_tensor *view);

/** Brings the working parameters up to date. */
TTM_CHECKED ttm_status ttm_model_refresh_working(ttm_model *model, ttm_stream *stream);

/** Returns the elements that parameter tensors of a model of this type begin at multiples of. */
int64_t ttm_model_alignment(const ttm_device *device, ttm_dtype dtype);

/** Returns the most elements that are put together where they needn't be: of parameters in a span,
 * of matrices built from cores in an allocation. */
int64_t ttm_model_span_elements(const ttm_device *device, ttm_dtype dtype);

/** Returns `count` rounded up to the model's alignment. */
int64_t ttm_model_align(const ttm_model *model, int64_t count);

/** Finds the parameters and gradients of every layer in the flat buffers, and groups TT-matrices.
 */
TTM_CHECKED ttm_status ttm_model_bind_parameters(ttm_model *model);

#endif
