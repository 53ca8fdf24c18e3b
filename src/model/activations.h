/* The tensors of a pass through the model, as places in one arena.
 *
 * A pass lays the arena out twice with the same code: first to measure it, then, when it is known
 * to be large enough, to place the tensors. So the plan can't differ from what is used. The arena
 * is one allocation, or where a device doesn't allow one so large several, each filled before the
 * next; where a tensor lies doesn't change what is computed. */
#ifndef TTM_MODEL_ACTIVATIONS_H
#define TTM_MODEL_ACTIVATIONS_H

#include <stdbool.h>
#include <ttm/model.h>

/** What a layer leaves behind for its backward pass. Without gradient all layers share one set, and
 * what only the backward pass needs is absent. */
typedef struct ttm_layer_activations {
    ttm_tensor input;    /* [rows, width]: the residual stream before the layer */
    ttm_tensor normed_1; /* [rows, width]: its layer norm; one place of all layers where layer norms
                            are computed again */
    ttm_tensor mean_1;   /* [rows] */
    ttm_tensor rstd_1;   /* [rows] */
    ttm_tensor qkv;      /* [rows, 3·width] */
    ttm_tensor attention; /* [rows, width]: what the heads give, before c_proj */
    ttm_tensor lse;       /* [batch, heads, seq] */
    ttm_tensor middle;    /* [rows, width]: the residual stream after the attention */
    ttm_tensor normed_2;  /* [rows, width]: its layer norm, likewise */
    ttm_tensor mean_2;    /* [rows] */
    ttm_tensor rstd_2;    /* [rows] */
    ttm_tensor pre;       /* [rows, inner]: what GELU is applied to */
    ttm_tensor expanded;  /* [rows, inner]: after GELU, likewise; then the gradient of pre */
    ttm_tensor output;    /* [rows, width]: the next layer's input */
} ttm_layer_activations;

/** Where the tensors of passes lie. */
typedef struct ttm_arena {
    ttm_tensor *blocks; /* [most]; those behind the last one used are absent */
    int64_t *needed;    /* [most]: elements of each block that the pass now being laid out wants */
    size_t most;
} ttm_arena;

/** *arena = an arena without memory for a model of `layers` layers. The caller frees it with
 * ttm_arena_free, also after failure. */
TTM_CHECKED ttm_status ttm_arena_init(ttm_arena *arena, int64_t layers);

/** Frees an arena; one of zeros is allowed. */
void ttm_arena_free(ttm_arena *arena, ttm_device *device);

/** Returns the elements of all blocks. */
int64_t ttm_arena_count(const ttm_arena *arena);

/** A pass in progress. Buffers named for one use at a time are shared by all layers. */
typedef struct ttm_pass {
    ttm_model *model;
    ttm_stream *stream;
    bool training;   /* activations are kept for the backward pass, */
    bool recomputes; /* but not outputs of layer norms and GELU, which it computes again */
    int64_t batch;
    int64_t seq;
    int64_t rows;       /* batch·seq */
    int64_t logit_rows; /* rows of logits that exist at once */

    bool dropout;
    uint64_t dropout_seed;
    uint64_t dropout_index;
    double keep; /* 0: gradients are overwritten, 1: added to */

    ttm_layer_activations *layers;
    ttm_tensor first_input; /* [rows, width]: what the first layer reads */
    ttm_tensor final_input; /* [rows, width]: what the last layer gives */
    ttm_tensor final_mean;  /* [rows] */
    ttm_tensor final_rstd;  /* [rows] */
    ttm_tensor normed;      /* [rows, width]: output of the final layer norm */
    ttm_tensor scratch; /* [rows, width]: a branch before dropout; its gradient; that of normed */
    ttm_tensor losses;  /* [rows] */
    ttm_tensor logits;  /* [logit_rows, vocab]; shares memory with the buffers of the layers */

    ttm_tensor residual_gradient;  /* [rows, width] */
    ttm_tensor attention_gradient; /* [rows, width]; shares memory with logits and, where that is
                                      computed again, expanded */
    ttm_tensor qkv_gradient;       /* [rows, 3·width]; likewise */
} ttm_pass;

/** Begins a pass over `batch` sequences of `seq` tokens: places its tensors, after making the
 * model's arena larger where it must. logit_rows 0: as the model's options say, else a choice. */
TTM_CHECKED ttm_status ttm_pass_begin(ttm_pass *pass, ttm_model *model, ttm_stream *stream,
                                      bool training, int64_t batch, int64_t seq,
                                      int64_t logit_rows);

/** Checks that `tokens` is an i32 [batch, seq] tensor that the model takes. */
TTM_CHECKED ttm_status ttm_check_tokens(const ttm_model *model, const ttm_tensor *tokens,
                                        const char *name);

/** Returns heads [batch, heads, seq, head_size] of a contiguous [rows, parts·width] tensor's part
 * number `part`. */
ttm_tensor ttm_pass_heads(const ttm_pass *pass, const ttm_tensor *tensor, int64_t part);

/** Returns NULL for an absent tensor, which is how optional arguments are left out. */
static inline const ttm_tensor *ttm_optional(const ttm_tensor *tensor)
{
    return ttm_tensor_present(tensor) ? tensor : NULL;
}

#endif
