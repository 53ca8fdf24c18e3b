/* ttm-train: trains a model from a preset, from given weights, or from where a run stopped. */
#include "common/tool_dtype.h"
#include "train/arguments.h"
#include "train/describe.h"
#include "train/inputs.h"
#include "train/report.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A byte-level vocabulary: 256 bytes and the end of a text. */
enum { BYTE_VOCABULARY = 257 };

/* Everything that a run of the tool holds. */
typedef struct train_job {
    train_arguments arguments;
    train_inputs inputs;
    ttm_trainer_options options;
    ttm_gpt2_config config;
    ttm_gpt2_config wanted; /* What the command line of a resumed run asks for; may be empty. */
    char *checkpoint;       /* Of the run that is resumed. */
    ttm_device *device;
    train_plan plan;
    train_report report;
    ttm_trainer *trainer;
    tool_profile profile;
} train_job;

/* The run that a signal stops. */
static ttm_trainer *volatile running;

/* The first signal asks for a clean stop; the handlers are gone then, so that a second one, of
 * either kind, ends the program at once. */
static void stop_on_signal(int signal_number)
{
    (void)signal_number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    ttm_trainer *trainer = running;
    if (trainer != NULL) {
        ttm_trainer_request_stop(trainer);
    }
}

static void install_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stop_on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Joins the texts of all --tt with semicolons. The caller frees. */
static char *join_tt(const tool_list *list)
{
    size_t bytes = 1;
    for (size_t i = 0; i < list->count; i++) {
        bytes += strlen(list->items[i]) + 1;
    }
    char *text = calloc(bytes, 1);
    char *place = text;
    for (size_t i = 0; text != NULL && i < list->count; i++) {
        place = stpcpy(place, list->items[i]);
        *place++ = ';';
    }
    return text;
}

/* Makes the configuration that the preset and its changes stand for; `vocab_size` 0 keeps the
 * preset's vocabulary. */
static int configure_preset(ttm_gpt2_config *config, const train_arguments *arguments,
                            int64_t vocab_size)
{
    ttm_gpt2_overrides overrides = arguments->sizes;
    char *tt = join_tt(&arguments->tt);
    if (tt == NULL) {
        return tool_fail_text("out of memory");
    }
    overrides.tt = tt[0] != '\0' ? tt : NULL;
    if (overrides.vocab_size == 0) {
        overrides.vocab_size = vocab_size;
    }
    ttm_gpt2_config_free(config);
    const ttm_status status = ttm_gpt2_config_from_preset(config, arguments->preset, &overrides);
    free(tt);
    return status == TTM_OK ? TOOL_GO_ON : tool_usage_error("%s", ttm_error_message());
}

/* Reads the configuration that comes with weights. */
static int configure_folder(train_job *job, const char *folder)
{
    const double dropout = job->arguments.sizes.dropout;
    const ttm_status status = ttm_gpt2_config_read(&job->config, folder);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    const ttm_gpt2_config *config = &job->config;
    if (job->arguments.resume && dropout >= 0.0 &&
        !(config->embedding_dropout == dropout && config->attention_dropout == dropout &&
          config->residual_dropout == dropout)) {
        return tool_usage_error("--dropout is %g, but the run was started with %g: leave it out to "
                                "go on with the run, or start a new one in another folder",
                                dropout, config->residual_dropout);
    }
    if (dropout >= 0.0) {
        job->config.embedding_dropout = dropout;
        job->config.attention_dropout = dropout;
        job->config.residual_dropout = dropout;
    }
    return TOOL_GO_ON;
}

/* The vocabulary of a preset follows a tokenizer that is given. */
static int64_t given_vocabulary(const train_job *job)
{
    return job->arguments.tokenizer != NULL
               ? (int64_t)ttm_tokenizer_vocab_size(job->inputs.tokenizer)
               : 0;
}

/* A model that has weights already: its folder says all. A preset given with --resume, as by a
 * script that always gives the same line, is compared with the run's model by the library. */
static int choose_weights(train_job *job, const char *folder)
{
    const train_arguments *arguments = &job->arguments;
    int code = configure_folder(job, folder);
    if (code == TOOL_GO_ON) {
        code = train_inputs_open_tokenizer(&job->inputs, arguments->tokenizer, folder, false);
    }
    if (code == TOOL_GO_ON && arguments->preset != NULL) {
        code = configure_preset(&job->wanted, arguments, given_vocabulary(job));
    }
    return code;
}

static int choose_model(train_job *job)
{
    const train_arguments *arguments = &job->arguments;
    const char *folder = arguments->model;
    if (arguments->resume) {
        const ttm_status status = ttm_trainer_latest_checkpoint(&job->checkpoint, arguments->out);
        if (status != TTM_OK) {
            return tool_fail(status);
        }
        folder = job->checkpoint;
    }
    if (folder != NULL) {
        return choose_weights(job, folder);
    }
    int code = configure_preset(&job->config, arguments, 0);
    if (code == TOOL_GO_ON) {
        /* A byte-level preset brings its tokenizer. */
        code = train_inputs_open_tokenizer(&job->inputs, arguments->tokenizer, NULL,
                                           job->config.vocab_size == BYTE_VOCABULARY);
    }
    if (code == TOOL_GO_ON && arguments->tokenizer != NULL) {
        code = configure_preset(&job->config, arguments, given_vocabulary(job));
    }
    return code;
}

/* Returns the preset whose training settings suit given weights: the published one of their size.
 */
static const char *preset_of_size(const ttm_gpt2_config *config)
{
    enum { SMALL_WIDTH = 512, MEDIUM_WIDTH = 1024 };
    return config->width >= MEDIUM_WIDTH  ? "gpt2-medium"
           : config->width >= SMALL_WIDTH ? "gpt2-small"
                                          : "gpt2-tiny";
}

/* The options of a new run follow the preset; those of a resumed one are the run's own. */
static int choose_options(train_job *job)
{
    const train_arguments *arguments = &job->arguments;
    ttm_trainer_options *options = &job->options;
    *options = (ttm_trainer_options)TTM_TRAINER_OPTIONS_INIT;
    if (arguments->resume) {
        const ttm_status status = ttm_trainer_read_options(options, arguments->out);
        if (status != TTM_OK) {
            return tool_fail(status);
        }
        return train_arguments_apply(options, arguments);
    }
    ttm_trainer_options_for_preset(
        options, arguments->preset != NULL ? arguments->preset : preset_of_size(&job->config));
    if (options->seq > job->config.context) {
        options->seq = 0; /* the usual length doesn't fit a model with a shorter context */
    }
    return train_arguments_apply(options, arguments);
}

static int make_plan(train_job *job)
{
    const train_arguments *arguments = &job->arguments;
    ttm_status status =
        ttm_device_open(&job->device, arguments->program.backend, arguments->program.device);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (arguments->resume && job->options.dtype == TTM_PRECISION_AUTO) {
        ttm_trainer_options saved;
        status = ttm_trainer_read_options(&saved, arguments->out);
        job->options.dtype = status == TTM_OK ? saved.dtype : TTM_PRECISION_FP32;
    }
    if (status == TTM_OK) {
        status = ttm_trainer_options_settle(&job->options, job->device);
    }
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (job->options.dtype == TTM_PRECISION_TF32) {
        tool_warn_of_tf32(job->device);
    }
    job->plan = (train_plan){.config = &job->config,
                             .options = &job->options,
                             .device = job->device,
                             .memory = {.struct_size = sizeof job->plan.memory}};
    job->plan.name = arguments->resume          ? arguments->out
                     : arguments->model != NULL ? arguments->model
                                                : arguments->preset;
    status = ttm_trainer_plan_memory(&job->plan.memory, job->device, &job->config, &job->options);
    if (status == TTM_ERROR_SHAPE || status == TTM_ERROR_ARGUMENT) {
        return tool_usage_error("%s", ttm_error_message());
    }
    return status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
}

static int show_plan(train_job *job)
{
    if (job->arguments.program.json) {
        return train_plan_print_json(&job->plan);
    }
    train_plan_print(stdout, &job->plan);
    return tool_done();
}

static int open_trainer(train_job *job)
{
    const train_arguments *arguments = &job->arguments;
    const int64_t seq = job->options.seq > 0 ? job->options.seq : job->config.context;
    const int code = train_inputs_open_data(&job->inputs, job->config.vocab_size, seq);
    if (code != TOOL_GO_ON) {
        return code;
    }
    ttm_trainer_setup setup = TTM_TRAINER_SETUP_INIT;
    setup.device = job->device;
    setup.directory = arguments->out;
    setup.config = !arguments->resume ? &job->config : job->wanted.layers > 0 ? &job->wanted : NULL;
    setup.weights = arguments->model;
    setup.init.zero_residual = arguments->zero_residual;
    setup.tokenizer = job->inputs.tokenizer;
    setup.training_data = job->inputs.training;
    setup.validation_data = job->inputs.validation;
    setup.notes = job->inputs.notes;
    setup.note_count = job->inputs.note_count;
    train_report_init(&job->report, &setup.events, &job->options, arguments->quiet);
    const ttm_status status = arguments->resume
                                  ? ttm_trainer_resume(&job->trainer, &setup, &job->options)
                                  : ttm_trainer_open(&job->trainer, &setup, &job->options);
    return status == TTM_OK ? TOOL_GO_ON : tool_fail(status);
}

/* A stop on request is a success: what was asked for was done, and says so. */
static int train(train_job *job)
{
    ttm_stream *stream = ttm_trainer_stream(job->trainer);
    tool_profile *profile = &job->profile;
    ttm_status status = tool_profile_begin(profile, stream, job->arguments.profile);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    running = job->trainer;
    install_signals();
    if (!job->arguments.quiet) {
        train_plan_print(stderr, &job->plan);
    }
    status = ttm_trainer_run(job->trainer);
    running = NULL;
    train_report_end(&job->report);
    ttm_trainer_summary summary = {.struct_size = sizeof summary};
    ttm_trainer_summarise(&summary, job->trainer);
    tool_profile_end(profile, stream);
    if (job->arguments.profile) {
        tool_profile_print(stderr, profile);
    }
    const train_result result = {.summary = &summary,
                                 .plan = &job->plan,
                                 .profile = profile,
                                 .directory = job->arguments.out,
                                 .interrupted = status == TTM_ERROR_INTERRUPTED};
    if (result.interrupted) {
        fprintf(stderr, "ttm-train: %s; go on with --resume\n", ttm_error_message());
    } else if (status != TTM_OK) {
        return tool_fail(status);
    }
    return train_result_print(&result, job->arguments.program.json);
}

static int run(train_job *job)
{
    int code = train_inputs_find(&job->inputs, &job->arguments);
    if (code == TOOL_GO_ON) {
        code = choose_model(job);
    }
    if (code == TOOL_GO_ON) {
        code = choose_options(job);
    }
    if (code == TOOL_GO_ON) {
        code = make_plan(job);
    }
    if (code == TOOL_GO_ON && job->arguments.dry_run) {
        return show_plan(job);
    }
    if (code == TOOL_GO_ON) {
        code = open_trainer(job);
    }
    return code == TOOL_GO_ON ? train(job) : code;
}

int main(int argc, char **argv)
{
    train_job job = {.config = TTM_GPT2_CONFIG_EMPTY, .wanted = TTM_GPT2_CONFIG_EMPTY};
    /* A file size limit shows as a failed write, which has a message, rather than as a signal. */
    signal(SIGXFSZ, SIG_IGN);
    int code = train_arguments_parse(&job.arguments, argc, argv);
    if (code == TOOL_GO_ON) {
        code = run(&job);
    }
    tool_profile_free(&job.profile);
    ttm_trainer_close(job.trainer);
    ttm_device_close(job.device);
    ttm_gpt2_config_free(&job.wanted);
    ttm_gpt2_config_free(&job.config);
    free(job.checkpoint);
    train_inputs_close(&job.inputs);
    train_arguments_free(&job.arguments);
    return code;
}
