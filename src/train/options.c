/* Trainer options by name. One table says everything about an option: where it lies, which values
 * it takes, whether a resumed run may change it. Range checks, the command line, trainer_state.json
 * and the comparison on resume all read it, so that a new option is one line here. */
#include "train/options.h"

#include "core/error.h"
#include "io/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const schedules[] = {"constant", "linear", "cosine"};
static const char *const precisions[] = {"auto", "fp32", "bf16", "tf32"};
static const char *const recomputes[] = {"auto", "on", "off"};

#define FIELD(member) offsetof(ttm_trainer_options, member)

/* Above this, counts multiplied with each other could leave 64 bits. */
#define MAX_COUNT 2147483647.0

static const ttm_trainer_field fields[] = {
    {"steps", "N", "optimiser steps of the whole run", TTM_FIELD_INT, FIELD(steps), 1, MAX_COUNT, 1,
     TTM_FIELD_CHANGEABLE, NULL},
    {"batch", "N", "sequences in a micro-batch", TTM_FIELD_INT, FIELD(batch), 1, 1048576, 1, 0,
     NULL},
    {"seq", "N", "tokens in a sequence, at most the model's context (0: the context)",
     TTM_FIELD_INT, FIELD(seq), 0, 1048576, 1, 0, NULL},
    {"accumulation", "N", "micro-batches in an optimiser step", TTM_FIELD_INT, FIELD(accumulation),
     1, 1048576, 1, 0, NULL},
    {"learning-rate", "X", "peak learning rate", TTM_FIELD_REAL, FIELD(learning_rate), 0, HUGE_VAL,
     0, 0, NULL},
    {"schedule", "constant|linear|cosine", "how the learning rate falls after the warm-up",
     TTM_FIELD_CHOICE, FIELD(schedule), TTM_SCHEDULE_CONSTANT, TTM_SCHEDULE_COSINE, 1, 0,
     schedules},
    {"warmup", "N", "steps of linear warm-up (-1: a tenth of the steps, at most 4000)",
     TTM_FIELD_INT, FIELD(warmup_steps), -1, MAX_COUNT, 1, 0, NULL},
    {"final-fraction", "X", "learning rate at the end of the decay, as a fraction of the peak",
     TTM_FIELD_REAL, FIELD(final_fraction), 0, 1, 1, 0, NULL},
    {"beta1", "X", "decay of AdamW's first moment, less than 1", TTM_FIELD_REAL, FIELD(beta1), 0,
     0.9999999, 1, 0, NULL},
    {"beta2", "X", "decay of AdamW's second moment, less than 1", TTM_FIELD_REAL, FIELD(beta2), 0,
     0.9999999, 1, 0, NULL},
    /* Less could be 0 in f32, and a parameter without gradient would become 0/0. */
    {"epsilon", "X", "AdamW's epsilon", TTM_FIELD_REAL, FIELD(epsilon), 1e-30, 1, 1, 0, NULL},
    {"weight-decay", "X", "decoupled weight decay of matrices and TT cores", TTM_FIELD_REAL,
     FIELD(weight_decay), 0, 1e6, 1, 0, NULL},
    {"clip-norm", "X", "clip the global gradient norm to this (0: don't)", TTM_FIELD_REAL,
     FIELD(clip_norm), 0, HUGE_VAL, 1, 0, NULL},
    {"core-learning-rate", NULL,
     "multiply a TT core's learning rate by (layer fan-in / core fan-in) / number of cores",
     TTM_FIELD_BOOL, FIELD(core_learning_rate), 0, 1, 1, 0, NULL},
    {"seed", "N", "of initialisation, data order, dropout and samples", TTM_FIELD_SEED, FIELD(seed),
     0, 0, 1, 0, NULL},
    {"validation-interval", "N", "validate every N steps and at the end (0: never)", TTM_FIELD_INT,
     FIELD(validation_interval), 0, MAX_COUNT, 1, TTM_FIELD_CHANGEABLE, NULL},
    {"validation-windows", "N", "validate on at most N sequences, spread over the data",
     TTM_FIELD_INT, FIELD(validation_windows), 1, MAX_COUNT, 1, 0, NULL},
    {"checkpoint-interval", "N", "write a checkpoint every N steps (0: only at the end)",
     TTM_FIELD_INT, FIELD(checkpoint_interval), 0, MAX_COUNT, 1, TTM_FIELD_CHANGEABLE, NULL},
    {"checkpoint-keep", "N", "checkpoints to keep besides the best one", TTM_FIELD_INT,
     FIELD(checkpoint_keep), 1, MAX_COUNT, 1, TTM_FIELD_CHANGEABLE, NULL},
    {"sample-interval", "N", "generate a sample every N steps (0: never)", TTM_FIELD_INT,
     FIELD(sample_interval), 0, MAX_COUNT, 1, TTM_FIELD_CHANGEABLE, NULL},
    {"sample-tokens", "N", "tokens in a sample", TTM_FIELD_INT, FIELD(sample_tokens), 1, 1048576, 1,
     TTM_FIELD_CHANGEABLE, NULL},
    {"sample-temperature", "X", "temperature of samples (0: the likeliest token)", TTM_FIELD_REAL,
     FIELD(sample_temperature), 0, 1000, 1, TTM_FIELD_CHANGEABLE, NULL},
    {"sample-prompt", "TEXT", "what samples begin with", TTM_FIELD_TEXT, FIELD(sample_prompt), 0, 0,
     1, TTM_FIELD_CHANGEABLE, NULL},
    {"dtype", "auto|fp32|tf32|bf16",
     "what activations and products are computed in; tf32: fp32, but products may round what they "
     "multiply to 11 bits; auto: fp32 or bf16, whichever is faster on this device",
     TTM_FIELD_CHOICE, FIELD(dtype), TTM_PRECISION_AUTO, TTM_PRECISION_TF32, 1, TTM_FIELD_LATER,
     precisions},
    {"moments", "fp32|bf16", "what AdamW's moments are stored in", TTM_FIELD_CHOICE, FIELD(moments),
     TTM_PRECISION_FP32, TTM_PRECISION_BF16, 1, TTM_FIELD_LATER, precisions},
    {"logit-rows", "N",
     "rows of logits at a time: fewer take less memory and more time (0: as the device asks for)",
     TTM_FIELD_INT, FIELD(logit_rows), 0, MAX_COUNT, 1, TTM_FIELD_LATER, NULL},
    {"recompute", "auto|on|off",
     "compute outputs of layer norms and GELU again in the backward pass: less memory, a little "
     "slower; auto: on a CPU, and where keeping them takes much of the device's memory",
     TTM_FIELD_CHOICE, FIELD(recompute), TTM_RECOMPUTE_AUTO, TTM_RECOMPUTE_OFF, 1, TTM_FIELD_LATER,
     recomputes},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

const ttm_trainer_field *ttm_trainer_fields(size_t *count)
{
    *count = FIELD_COUNT;
    return fields;
}

const ttm_trainer_field *ttm_trainer_field_find(const char *name)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

void *ttm_trainer_field_at(ttm_trainer_options *options, const ttm_trainer_field *field)
{
    return (char *)options + field->offset;
}

const void *ttm_trainer_field_in(const ttm_trainer_options *options, const ttm_trainer_field *field)
{
    return (const char *)options + field->offset;
}

/* Enumerations whose values are what fields hold. */
static int get_choice(const ttm_trainer_options *options, const ttm_trainer_field *field)
{
    int value = 0;
    memcpy(&value, ttm_trainer_field_in(options, field), sizeof value);
    return value;
}

const char *ttm_trainer_field_choice(const ttm_trainer_options *options,
                                     const ttm_trainer_field *field)
{
    const int value = get_choice(options, field);
    return value >= 0 && value <= (int)field->maximum ? field->choices[value] : "unknown";
}

static ttm_status parse_choice(void *place, const ttm_trainer_field *field, const char *name)
{
    for (int value = (int)field->minimum; value <= (int)field->maximum; value++) {
        if (strcmp(field->choices[value], name) == 0) {
            memcpy(place, &value, sizeof value);
            return TTM_OK;
        }
    }
    return ttm_fail(TTM_ERROR_ARGUMENT, "%s is '%s': give one of %s", field->name, name,
                    field->placeholder);
}

size_t ttm_trainer_option_count(void)
{
    return FIELD_COUNT;
}

ttm_trainer_option_info ttm_trainer_option_describe(size_t index)
{
    ttm_trainer_option_info info = {0};
    if (index < FIELD_COUNT) {
        info.name = fields[index].name;
        info.placeholder = fields[index].placeholder;
        info.help = fields[index].help;
    }
    return info;
}

static ttm_status check_range(const ttm_trainer_field *field, double value)
{
    if (isfinite(value) && value <= field->maximum &&
        (field->minimum_allowed ? value >= field->minimum : value > field->minimum)) {
        return TTM_OK;
    }
    if (isinf(field->maximum)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s is %g: give a finite number %s %g", field->name,
                        value, field->minimum_allowed ? "of at least" : "greater than",
                        field->minimum);
    }
    return ttm_fail(TTM_ERROR_ARGUMENT, "%s is %.10g: give a number %s %g and at most %.10g",
                    field->name, value, field->minimum_allowed ? "of at least" : "greater than",
                    field->minimum, field->maximum);
}

static ttm_status check_field(const ttm_trainer_options *options, const ttm_trainer_field *field)
{
    const void *place = ttm_trainer_field_in(options, field);
    switch (field->kind) {
    case TTM_FIELD_INT:
        return check_range(field, (double)*(const int64_t *)place);
    case TTM_FIELD_REAL:
        return check_range(field, *(const double *)place);
    case TTM_FIELD_CHOICE:
        return check_range(field, (double)get_choice(options, field));
    case TTM_FIELD_TEXT:
        if (memchr(place, '\0', TTM_TRAINER_PROMPT_BYTES) == NULL) {
            return ttm_fail(TTM_ERROR_ARGUMENT, "%s doesn't end within %d bytes", field->name,
                            TTM_TRAINER_PROMPT_BYTES);
        }
        return TTM_OK;
    case TTM_FIELD_BOOL:
    case TTM_FIELD_SEED:
        break;
    }
    return TTM_OK;
}

ttm_status ttm_trainer_options_check(const ttm_trainer_options *options)
{
    if (options->struct_size != sizeof *options) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "trainer options of %zu bytes, %zu expected: initialise them with "
                        "TTM_TRAINER_OPTIONS_INIT",
                        options->struct_size, sizeof *options);
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        TTM_TRY(check_field(options, &fields[i]));
    }
    return TTM_OK;
}

/* Reads the whole of `text` as a number; octal and hexadecimal forms aren't wanted. */
static ttm_status parse_int(int64_t *value, const ttm_trainer_field *field, const char *text)
{
    char *end = NULL;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || text[0] == ' ') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s is '%s': give a whole number", field->name, text);
    }
    *value = parsed;
    return check_range(field, (double)parsed);
}

static ttm_status parse_seed(uint64_t *value, const ttm_trainer_field *field, const char *text)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long parsed = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s is '%s': give a whole number from 0 to %" PRIu64,
                        field->name, text, UINT64_MAX);
    }
    *value = parsed;
    return TTM_OK;
}

static ttm_status parse_real(double *value, const ttm_trainer_field *field, const char *text)
{
    char *end = NULL;
    const double parsed = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || text[0] == ' ') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s is '%s': give a number", field->name, text);
    }
    *value = parsed;
    return check_range(field, parsed);
}

static ttm_status parse_bool(bool *value, const ttm_trainer_field *field, const char *text)
{
    if (text == NULL || strcmp(text, "true") == 0) {
        *value = true;
    } else if (strcmp(text, "false") == 0) {
        *value = false;
    } else {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s is '%s': give true or false", field->name, text);
    }
    return TTM_OK;
}

static ttm_status parse_text(char *place, const ttm_trainer_field *field, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    if (bytes > TTM_TRAINER_PROMPT_BYTES) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s has %zu bytes: give at most %d", field->name,
                        bytes - 1, TTM_TRAINER_PROMPT_BYTES - 1);
    }
    if (!ttm_utf8_valid(text, bytes - 1)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s isn't UTF-8", field->name);
    }
    memcpy(place, text, bytes);
    return TTM_OK;
}

ttm_status ttm_trainer_options_set(ttm_trainer_options *options, const char *name,
                                   const char *value)
{
    const ttm_trainer_field *field = ttm_trainer_field_find(name);
    if (field == NULL) {
        return ttm_fail(TTM_ERROR_NOT_FOUND, "there is no trainer option '%s'", name);
    }
    if (value == NULL && field->kind != TTM_FIELD_BOOL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s needs a value", name);
    }
    /* Into a copy first: a value that is refused leaves the options as they were. */
    ttm_trainer_options changed = *options;
    void *place = ttm_trainer_field_at(&changed, field);
    ttm_status status = TTM_OK;
    switch (field->kind) {
    case TTM_FIELD_INT:
        status = parse_int(place, field, value);
        break;
    case TTM_FIELD_SEED:
        status = parse_seed(place, field, value);
        break;
    case TTM_FIELD_REAL:
        status = parse_real(place, field, value);
        break;
    case TTM_FIELD_BOOL:
        status = parse_bool(place, field, value);
        break;
    case TTM_FIELD_CHOICE:
        status = parse_choice(place, field, value);
        break;
    case TTM_FIELD_TEXT:
        status = parse_text(place, field, value);
        break;
    }
    if (status == TTM_OK) {
        *options = changed;
    }
    return status;
}

const char *ttm_trainer_options_get(char *text, size_t text_bytes,
                                    const ttm_trainer_options *options, const char *name)
{
    const ttm_trainer_field *field = ttm_trainer_field_find(name);
    if (field == NULL) {
        snprintf(text, text_bytes, "%s", "");
        return text;
    }
    const void *place = ttm_trainer_field_in(options, field);
    switch (field->kind) {
    case TTM_FIELD_INT:
        snprintf(text, text_bytes, "%" PRId64, *(const int64_t *)place);
        break;
    case TTM_FIELD_SEED:
        snprintf(text, text_bytes, "%" PRIu64, *(const uint64_t *)place);
        break;
    case TTM_FIELD_REAL:
        snprintf(text, text_bytes, "%.10g", *(const double *)place);
        break;
    case TTM_FIELD_BOOL:
        snprintf(text, text_bytes, "%s", *(const bool *)place ? "true" : "false");
        break;
    case TTM_FIELD_CHOICE:
        snprintf(text, text_bytes, "%s", ttm_trainer_field_choice(options, field));
        break;
    case TTM_FIELD_TEXT:
        snprintf(text, text_bytes, "%s", (const char *)place);
        break;
    }
    return text;
}

/* Returns whether `name` begins with `beginning`. */
static bool begins_with(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

void ttm_trainer_options_for_preset(ttm_trainer_options *options, const char *preset)
{
    const ttm_trainer_options usual = TTM_TRAINER_OPTIONS_INIT;
    const bool small = begins_with(preset, "gpt2-small");
    const bool larger = begins_with(preset, "gpt2-medium") || begins_with(preset, "gpt2-large") ||
                        begins_with(preset, "gpt2-xl");
    options->batch = usual.batch;
    options->seq = usual.seq;
    options->accumulation = usual.accumulation;
    options->learning_rate = usual.learning_rate;
    options->beta2 = usual.beta2;
    options->weight_decay = usual.weight_decay;
    options->final_fraction = usual.final_fraction;
    if (small || larger) {
        /* 16 sequences a step as published, in micro-batches that fit a desktop's memory. */
        options->batch = small ? 4 : 2;
        options->accumulation = 16 / options->batch;
        options->seq = small ? 512 : 1024;
        options->learning_rate = 6.25e-5;
        options->beta2 = small ? 0.999 : 0.95;
        options->weight_decay = small ? 1e-4 : 5e-3;
        options->final_fraction = 0.0;
    }
}
