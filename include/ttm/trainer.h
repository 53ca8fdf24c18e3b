/* Training a GPT-2: the optimiser steps, validation, metrics, checkpoints and resuming.
 *
 *     ttm_trainer_setup setup = TTM_TRAINER_SETUP_INIT;      what to train, on what, where to
 *     ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
 *     ttm_trainer_options_for_preset(&options, "gpt2-small-ttm64");
 *     …
 *     status = ttm_trainer_open(&trainer, &setup, &options);     or ttm_trainer_resume
 *     if (status == TTM_OK) {
 *         status = ttm_trainer_run(trainer);
 *     }
 *     ttm_trainer_close(trainer);
 *
 * A run lives in a folder:
 *
 *     metrics.jsonl        a line a step, and a line a validation
 *     checkpoint-NNNNNN/   config.json, model.safetensors, tokenizer.json, trainer_state.json, and
 *                          from step 1 on optimizer.safetensors (NAME.first_moment and
 *                          NAME.second_moment for each parameter NAME)
 *     latest, best         links to the newest checkpoint and to that of least validation loss
 *     config.json, model.safetensors, tokenizer.json
 *                          links into latest: the folder is a model
 *
 * A checkpoint appears whole or not at all, and the one before it is removed only afterwards. A run
 * that was stopped in any way (a signal, kill -9, a full disk) and is resumed on the same device
 * and build ends with the same bits as one that never stopped; in metrics.jsonl only the members
 * `seconds` and `tokens_per_second` differ. */
#ifndef TTM_TRAINER_H
#define TTM_TRAINER_H

#include <ttm/dataset.h>
#include <ttm/device.h>
#include <ttm/gpt2_config.h>
#include <ttm/model.h>
#include <ttm/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Options ---- */

/** How the learning rate falls after the warm-up. The numbers are part of the ABI. */
typedef enum ttm_schedule {
    TTM_SCHEDULE_CONSTANT = 0, /**< Not at all. */
    TTM_SCHEDULE_LINEAR = 1,   /**< In a straight line. */
    TTM_SCHEDULE_COSINE = 2    /**< Along half a cosine. */
} ttm_schedule;

/** What numbers a run computes with. The numbers are part of the ABI. */
typedef enum ttm_precision {
    TTM_PRECISION_AUTO = 0, /**< fp32 or bf16, whichever is faster on the device, by a short
                               measurement: see ttm_trainer_options_settle. */
    TTM_PRECISION_FP32 = 1, /**< f32 throughout. */
    TTM_PRECISION_BF16 = 2, /**< bf16 activations and products, f32 parameters, gradients and sums:
                               see ttm/model.h. */
    TTM_PRECISION_TF32 =
        3 /**< f32 throughout, but products may round their operands to 11
             significant bits, which some devices are faster at: see ttm/model.h. */
} ttm_precision;

/** Room for a sample prompt, terminating zero included. */
#define TTM_TRAINER_PROMPT_BYTES 512

/** How to train. Initialise with TTM_TRAINER_OPTIONS_INIT, then ttm_trainer_options_for_preset. Two
 * runs of equal options, data, device and build give equal bits. Options marked (R) may be changed
 * when a run is resumed. */
typedef struct ttm_trainer_options {
    size_t struct_size;
    int64_t steps;        /**< (R) Optimiser steps of the whole run. */
    int64_t batch;        /**< Sequences in a micro-batch. */
    int64_t seq;          /**< Tokens in a sequence; 0: the model's context. */
    int64_t accumulation; /**< Micro-batches in an optimiser step. */

    double learning_rate; /**< The peak. */
    ttm_schedule schedule;
    int64_t warmup_steps;    /**< Linear warm-up; -1: a tenth of the steps, at most 4,000. */
    double final_fraction;   /**< Learning rate at the end, as a fraction of the peak. */
    double beta1;            /**< Of AdamW. */
    double beta2;            /**< Of AdamW. */
    double epsilon;          /**< Of AdamW; at least 1e-30. */
    double weight_decay;     /**< Of tensors with two and more dimensions only. */
    double clip_norm;        /**< Clip the global gradient norm to this; 0: don't. */
    bool core_learning_rate; /**< Multiply the rate of a TT core by (layer fan-in / core fan-in) /
                                cores, a core's fan-in being its left rank times its n
                                (arXiv 2410.02117). */
    uint64_t seed;           /**< Of initialisation, data order, dropout and samples. */

    int64_t
        validation_interval;    /**< (R) Steps between validations, one more at the end; 0: none. */
    int64_t validation_windows; /**< Sequences to validate on, spread evenly over the data. */
    int64_t checkpoint_interval; /**< (R) Steps between checkpoints; 0: only at the end. */
    int64_t checkpoint_keep;     /**< (R) How many to keep besides the best. */
    int64_t sample_interval;     /**< (R) Steps between samples; 0: none. Needs a tokenizer and a
                                    context of 2. Without setup.events.sample none are made. */
    int64_t sample_tokens;       /**< (R) Length of a sample. */
    double sample_temperature;   /**< (R) */
    char
        sample_prompt[TTM_TRAINER_PROMPT_BYTES]; /**< (R) "": the end-of-text token or a newline. */

    ttm_precision dtype;   /**< Of activations and products. */
    ttm_precision moments; /**< Of AdamW's moments: fp32, or bf16, stochastically rounded, which
                              halves their memory. No other. */
    int64_t logit_rows;    /**< Rows of logits that exist at once; 0: by the kind of device and its
                              memory. */
    ttm_recompute recompute; /**< Of outputs of layer norms and GELU: see ttm/model.h. What auto
                                came to is remembered. */
} ttm_trainer_options;

#define TTM_TRAINER_OPTIONS_INIT                                                                 \
    {                                                                                            \
        .struct_size = sizeof(ttm_trainer_options), .steps = 1000, .batch = 16, .seq = 0,        \
        .accumulation = 1, .learning_rate = 1e-3, .schedule = TTM_SCHEDULE_COSINE,               \
        .warmup_steps = -1, .final_fraction = 0.1, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, \
        .weight_decay = 0.1, .clip_norm = 1.0, .core_learning_rate = false, .seed = 0,           \
        .validation_interval = 250, .validation_windows = 64, .checkpoint_interval = 500,        \
        .checkpoint_keep = 2, .sample_interval = 0, .sample_tokens = 64,                         \
        .sample_temperature = 0.8, .sample_prompt = "", .dtype = TTM_PRECISION_FP32,             \
        .moments = TTM_PRECISION_FP32, .logit_rows = 0, .recompute = TTM_RECOMPUTE_AUTO          \
    }

/** Sets what a preset is usually trained with: for the published models the published settings
 * (arXiv 2306.02697: rate 6.25e-5, 16 sequences a step, 512 tokens for small, 1024 for medium and
 * larger), for all others those of TTM_TRAINER_OPTIONS_INIT. Members that don't depend on the
 * preset are left as they are. */
TTM_API void ttm_trainer_options_for_preset(ttm_trainer_options *options, const char *preset);

/** Settles what is automatic about the dtype: where options->dtype is TTM_PRECISION_AUTO, it
 * becomes what ttm_model_choose_dtype finds on `device`. A run remembers the outcome. Fails with
 * the device. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_options_settle(ttm_trainer_options *options,
                                                          ttm_device *device);

/** An option by name, for command lines. Strings live for ever. */
typedef struct ttm_trainer_option_info {
    const char *name;        /**< "learning-rate"; NULL beyond the last option. */
    const char *placeholder; /**< What its value looks like ("X"); NULL for a switch. */
    const char *help;        /**< One line. */
} ttm_trainer_option_info;

/** Returns how many options there are. */
TTM_API size_t ttm_trainer_option_count(void);

/** Returns option `index`, 0 ≤ index < count. */
TTM_API ttm_trainer_option_info ttm_trainer_option_describe(size_t index);

/** Sets the option called `name` from text (NULL turns a switch on). TTM_ERROR_NOT_FOUND for an
 * unknown name, TTM_ERROR_ARGUMENT with name, value and range for anything else; `options` is then
 * unchanged. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_options_set(ttm_trainer_options *options,
                                                       const char *name, const char *value);

/** Writes the value of the option called `name` as ttm_trainer_options_set takes it, "true" or
 * "false" of a switch, to `text` (cut off where it doesn't fit; "" for an unknown name); returns
 * `text`. */
TTM_API const char *ttm_trainer_options_get(char *text, size_t text_bytes,
                                            const ttm_trainer_options *options, const char *name);

/** *options = those of the run in `directory`, with which ttm_trainer_resume goes on unless they
 * are changed. TTM_ERROR_NOT_FOUND when there is no run, TTM_ERROR_FORMAT for a damaged one. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_read_options(ttm_trainer_options *options,
                                                        const char *directory);

/** *path = the newest valid checkpoint of the run in `directory` as a new string, which the caller
 * frees with free(). Errors as ttm_trainer_read_options. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_latest_checkpoint(char **path, const char *directory);

/** Something that the program around a run wants to find again when it resumes, such as where its
 * data lies. */
typedef struct ttm_trainer_note {
    const char *key;   /**< UTF-8; may repeat. */
    const char *value; /**< UTF-8. */
} ttm_trainer_note;

/** *notes [*count] = the notes of the run in `directory`, in one allocation that the caller frees
 * with free(). Errors as ttm_trainer_read_options. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_read_notes(ttm_trainer_note **notes, size_t *count,
                                                      const char *directory);

/* ---- Memory ---- */

/** What a run takes, in bytes. */
typedef struct ttm_trainer_memory {
    size_t struct_size;
    ttm_memory_plan model; /**< Parameters, gradients, activations, matrices; the workspace includes
                              the optimiser's. */
    uint64_t moment_bytes; /**< Both moments of AdamW. */
    uint64_t batch_bytes;  /**< Tokens, targets, losses. */
    uint64_t device_bytes; /**< All of the above: exactly the peak of ttm_device_memory_peak. */
    uint64_t host_bytes;   /**< The process besides: program and libraries as they are now, threads,
                              host copies of a batch. Data files come on top. */
    uint64_t memory_bytes; /**< Where the device is the host's processor, device_bytes + host_bytes:
                              what the operating system shows; else device_bytes. */
} ttm_trainer_memory;

/** *memory = what training `config` with `options` on `device` takes, found by a dry run; nothing
 * is allocated on the device. Samples take a key-value cache on top while one is made. Errors:
 * those of ttm_gpt2_config_validate, TTM_ERROR_ARGUMENT for options out of range, TTM_ERROR_SHAPE
 * when seq exceeds the context. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_plan_memory(ttm_trainer_memory *memory,
                                                       ttm_device *device,
                                                       const ttm_gpt2_config *config,
                                                       const ttm_trainer_options *options);

/* ---- What a run tells ---- */

/** A finished step. */
typedef struct ttm_trainer_step {
    int64_t step;             /**< Its number, from 1. */
    float loss;               /**< Mean over its tokens, in nats, before the update. */
    float gradient_norm;      /**< Global norm before clipping. */
    double learning_rate;     /**< That it was taken with. */
    uint64_t tokens;          /**< Trained on since step 0. */
    double seconds;           /**< Since step 0, without the time between stop and resume. */
    double tokens_per_second; /**< Of this step. */
} ttm_trainer_step;

/** A finished validation. */
typedef struct ttm_trainer_validation {
    int64_t step;         /**< After which it was done. */
    double loss;          /**< Mean over its tokens, in nats. */
    double perplexity;    /**< e^loss. */
    double bits_per_byte; /**< NaN when the data's text isn't known. */
    uint64_t tokens;      /**< It was measured on. */
    bool best;            /**< The least loss of the run so far. */
} ttm_trainer_validation;

/** Functions that a run calls on its own thread; any of them may be NULL. */
typedef struct ttm_trainer_events {
    void *user;
    void (*step)(void *user, const ttm_trainer_step *step);
    void (*validation)(void *user, const ttm_trainer_validation *validation);
    void (*checkpoint)(void *user, int64_t step, const char *path);
    /** `text` follows options.sample_prompt, and may be any bytes. */
    void (*sample)(void *user, int64_t step, const char *text, size_t text_bytes);
} ttm_trainer_events;

/* ---- Runs ---- */

/** What to train, on what, and where. Initialise with TTM_TRAINER_SETUP_INIT. Everything is the
 * caller's and must outlive the trainer. */
typedef struct ttm_trainer_setup {
    size_t struct_size;
    ttm_device *device;
    const char *directory; /**< The run's folder; made when it doesn't exist (its parent must). */
    const ttm_gpt2_config
        *config;                 /**< Of a new run. When resuming: NULL, or it must be the run's. */
    const char *weights;         /**< A new run starts from the weights in this model folder, which
                                    must fit `config`; NULL: from `init`. */
    ttm_model_init_options init; /**< How a new run's parameters begin; its seed is taken from the
                                    options. */
    const ttm_tokenizer *tokenizer; /**< Stored in checkpoints and used for samples; may be NULL. */
    const ttm_dataset *training_data;
    const ttm_dataset *validation_data; /**< NULL: no validation. */
    const ttm_trainer_note *notes;      /**< [note_count], stored in checkpoints; may be NULL. */
    size_t note_count;
    ttm_trainer_events events;
} ttm_trainer_setup;

#define TTM_TRAINER_SETUP_INIT                                                                   \
    {                                                                                            \
        .struct_size = sizeof(ttm_trainer_setup), .device = NULL, .directory = NULL,             \
        .config = NULL, .weights = NULL, .init = TTM_MODEL_INIT_OPTIONS_INIT, .tokenizer = NULL, \
        .training_data = NULL, .validation_data = NULL, .notes = NULL, .note_count = 0,          \
        .events = {                                                                              \
            NULL,                                                                                \
            NULL,                                                                                \
            NULL,                                                                                \
            NULL,                                                                                \
            NULL                                                                                 \
        }                                                                                        \
    }

/** A training run. Used by one thread; only ttm_trainer_request_stop may come from elsewhere. */
typedef struct ttm_trainer ttm_trainer;

/** *trainer = a new run at step 0, with a first checkpoint on disk: a folder that can't be written,
 * or a disk that is full, shows now. The caller closes it with ttm_trainer_close; on failure it is
 * NULL and nothing that was in the folder has changed. Errors: TTM_ERROR_ARGUMENT (options; a
 * folder that holds a run or a model already; too little data; a token beyond the model's
 * vocabulary), TTM_ERROR_SHAPE (seq beyond the context), TTM_ERROR_OUT_OF_MEMORY, _IO, and those of
 * ttm_model_load for `weights`. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_open(ttm_trainer **trainer,
                                                const ttm_trainer_setup *setup,
                                                const ttm_trainer_options *options);

/** *trainer = the run in setup->directory at its newest valid checkpoint. `options` NULL: the run's
 * own; else they may differ in what is marked (R). The data, the tokenizer and (if given) the
 * configuration must be the run's. Another device is allowed and logged as a warning: the bits then
 * differ. Ownership as ttm_trainer_open. Errors: TTM_ERROR_NOT_FOUND (no run), _FORMAT (damaged
 * files), _ARGUMENT (other data, tokenizer, configuration or options, named with both values). */
TTM_API TTM_CHECKED ttm_status ttm_trainer_resume(ttm_trainer **trainer,
                                                  const ttm_trainer_setup *setup,
                                                  const ttm_trainer_options *options);

/** Trains up to the last step and writes a checkpoint there. TTM_ERROR_INTERRUPTED after
 * ttm_trainer_request_stop: the step was finished and its checkpoint written; another call goes on
 * from there. TTM_ERROR_NUMERIC, with the step, when the loss or the gradients aren't finite;
 * TTM_ERROR_IO when a file can't be written. After any error the checkpoints on disk are whole, and
 * the newest of them is what ttm_trainer_resume goes on from. */
TTM_API TTM_CHECKED ttm_status ttm_trainer_run(ttm_trainer *trainer);

/** Makes ttm_trainer_run stop after the step it is in. Async-signal-safe; any thread. */
TTM_API void ttm_trainer_request_stop(ttm_trainer *trainer);

/** Where a run stands. */
typedef struct ttm_trainer_summary {
    size_t struct_size;
    int64_t step;                 /**< Steps done. */
    int64_t steps;                /**< Steps wanted. */
    uint64_t tokens;              /**< Trained on. */
    double seconds;               /**< Spent on it. */
    float loss;                   /**< Of the last step done now; NaN when none was. */
    double validation_loss;       /**< Of the last validation done now; NaN when none was. */
    double bits_per_byte;         /**< Of the same; NaN when not known. */
    double best_validation_loss;  /**< Of the whole run; NaN when there was none. */
    int64_t best_step;            /**< After which it was reached; 0 when there was none. */
    uint64_t device_memory_bytes; /**< Peak on the device. */
} ttm_trainer_summary;

/** Fills *summary, whose struct_size the caller has set. */
TTM_API void ttm_trainer_summarise(ttm_trainer_summary *summary, const ttm_trainer *trainer);

/** Returns the model in training; it belongs to the trainer. */
TTM_API ttm_model *ttm_trainer_model(const ttm_trainer *trainer);

/** Returns the stream that the run computes on; it belongs to the trainer. For its statistics and
 * for profiling: ttm_profile_start before ttm_trainer_run. */
TTM_API ttm_stream *ttm_trainer_stream(const ttm_trainer *trainer);

/** Returns the options in force, with automatic ones resolved; they belong to the trainer. */
TTM_API const ttm_trainer_options *ttm_trainer_get_options(const ttm_trainer *trainer);

/** Frees a trainer; NULL is allowed. Files stay as they are. */
TTM_API void ttm_trainer_close(ttm_trainer *trainer);

#ifdef __cplusplus
}
#endif

#endif
