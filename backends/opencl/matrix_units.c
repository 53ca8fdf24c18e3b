/* Which unit, its proof, and the launch. */
#include "opencl/matrix_units.h"

#include "opencl/matrix_units_operands.h"
#include "opencl/matrix_units_packed.h"
#include "opencl/matrix_units_plan.h"
#include "opencl/matrix_units_policy.h"
#include "opencl/matrix_units_probe.h"
#include "opencl/matrix_units_tuned.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below this many multiply-adds our other kernels are as fast. */
#define LEAST_MULTIPLIES ((int64_t)64 * 64 * 64)

/* From here on the error of a split product is within MATMUL's bound whatever the numbers are; see
 * docs/opencl-matrix-units.md. */
#define LEAST_SPLIT_DEPTH 240

/* What a kernel for pieces is probed with. */
#define PROBED_PIECES 3

/* Build options that have been proven in this process. */
typedef struct proven {
    struct proven *next;
    char options[OPENCL_UNIT_OPTIONS_BYTES];
} proven;

/* What operands are, for what is used and what has failed: bf16; f32 in two parts, which is enough
 * for TF32; f32 in three. */
enum { OF_BF16, OF_TF32, OF_SPLIT, OPERAND_KINDS };

struct opencl_units {
    pthread_mutex_t lock;
    int32_t device_index;
    opencl_unit_policy policy;
    opencl_unit unit[OPERAND_KINDS];    /* What is used now; NONE after a failure. */
    opencl_unit planned[OPERAND_KINDS]; /* At first: what scratch is asked for, whatever fails. */
    unsigned never[OPERAND_KINDS];      /* 1 << manner: kernels of such a manner have failed. */
    opencl_tuned_units tuned;
    int is_said[OPENCL_MOST_TUNED_UNITS]; /* That an entry is used, in the log. */
    int tried_variant;                    /* While tuning, or -1; with tried_pieces. */
    int tried_pieces;
    opencl_split_trial split_trial;
    proven *first;
};

/* By the parts that an operand is in. */
static int kind_of(int parts)
{
    return parts - 1;
}

/* What a failure is said to be about. */
static const char *kind_suffix(int parts)
{
    static const char *const suffixes[] = {
        [OF_BF16] = "", [OF_TF32] = " for tf32", [OF_SPLIT] = " for f32"};
    return suffixes[kind_of(parts)];
}

/* "emulated-mma" */
static void write_unit_name(char name[32], const opencl_units *units, int parts)
{
    snprintf(name, 32, "%s%s", units->policy.is_emulated ? "emulated-" : "",
             opencl_unit_name(units->unit[kind_of(parts)]));
}

ttm_status opencl_units_open(opencl_units **units, const ttm_backend_device *device,
                             int32_t device_index)
{
    opencl_units *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device's matrix units");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->device_index = device_index;
    made->tried_variant = -1;
    const ttm_status status = opencl_unit_policy_read(&made->policy, device->description);
    if (status != TTM_OK) {
        opencl_units_close(made);
        return status;
    }
    if (made->policy.untried != OPENCL_UNIT_NONE) {
        opencl_log(TTM_LOG_DEBUG,
                   "%s has matrix units that nobody has tried; TTM_OPENCL_MATRIX_UNITS=%s does",
                   device->description->name, opencl_unit_name(made->policy.untried));
    }
    const opencl_unit unit = made->policy.unit;
    const opencl_unit splitting = opencl_unit_splits(unit) ? unit : OPENCL_UNIT_NONE;
    made->unit[OF_BF16] = unit;
    made->unit[OF_TF32] = splitting;
    made->unit[OF_SPLIT] = splitting;
    memcpy(made->planned, made->unit, sizeof made->planned);
    *units = made;
    return TTM_OK;
}

void opencl_units_close(opencl_units *units)
{
    if (units == NULL) {
        return;
    }
    while (units->first != NULL) {
        proven *old = units->first;
        units->first = old->next;
        free(old);
    }
    pthread_mutex_destroy(&units->lock);
    free(units);
}

/* ---- Which variant ---- */

static int64_t extent(const ttm_tensor *tensor, int from_last)
{
    return tensor->shape[tensor->rank - 1 - from_last];
}

/* Bytes of the scratch that a product has; none where float4 aren't aligned in it. */
static size_t room_of(const opencl_product *product)
{
    const ttm_tensor *workspace = &product->workspace;
    return ttm_tensor_present(workspace) && workspace->memory != NULL && workspace->offset % 16 == 0
               ? (size_t)workspace->shape[0] * sizeof(float)
               : 0;
}

static void write_options(char *options, const opencl_units *units,
                          const opencl_unit_variant *variant, const opencl_product *product,
                          opencl_operand_way a, opencl_operand_way b, int pieces)
{
    opencl_unit_variant_write(options, variant);
    const size_t used = strlen(options);
    snprintf(options + used, OPENCL_UNIT_OPTIONS_BYTES - used,
             " -DDATA=%d -DRESULT=%d -DEMULATED=%d -DA_RUNS=%d -DB_RUNS=%d -DA_ACCESS=%d "
             "-DB_ACCESS=%d%s%s",
             (int)product->a.dtype, (int)product->out.dtype, units->policy.is_emulated, a.runs,
             b.runs, a.access, b.access, pieces > 1 ? " -DPIECES=1" : "",
             units->policy.is_emulated ? "" : opencl_unit_variant_compiler(variant));
}

static opencl_family family_of(const opencl_unit_variant *variant)
{
    if (variant->packed) {
        return variant->unit == OPENCL_UNIT_WGMMA ? OPENCL_MATRIX_UNITS_PACKED
                                                  : OPENCL_MATRIX_UNITS_PACKED_COPIES;
    }
    switch (variant->unit) {
    case OPENCL_UNIT_WGMMA:
        return OPENCL_MATRIX_UNITS_WGMMA;
    case OPENCL_UNIT_DPAS:
        return OPENCL_MATRIX_UNITS_DPAS;
    case OPENCL_UNIT_MFMA:
        return OPENCL_MATRIX_UNITS_MFMA;
    default:
        return OPENCL_MATRIX_UNITS_MMA;
    }
}

static const char *kernel_of(opencl_family family)
{
    return family == OPENCL_MATRIX_UNITS_PACKED          ? "matmul_packed"
           : family == OPENCL_MATRIX_UNITS_PACKED_COPIES ? "matmul_packed_copies"
                                                         : "matmul_matrix_units";
}

static opencl_unit_class class_of(const opencl_units *units, const opencl_product *product,
                                  opencl_unit unit, int parts)
{
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(product);
    opencl_unit_class products = {.unit = unit,
                                  .is_emulated = units->policy.is_emulated,
                                  .parts = parts,
                                  .result = (int)product->out.dtype,
                                  .a_runs = opencl_operand_way_of(&product->a, 1, 0).runs,
                                  .b_runs = opencl_operand_way_of(&product->b, 0, 0).runs};
    opencl_unit_class_set_sizes(&products, &sizes);
    return products;
}

/* What tuning says of a product in these parts, NULL for nothing. Who names a variant gets that
 * one. */
static const opencl_tuned_unit *find_tuned(const opencl_units *units, const opencl_product *product,
                                           opencl_unit unit, int parts)
{
    if (units->tuned.count == 0 || units->policy.only >= 0 || units->tried_variant >= 0) {
        return NULL;
    }
    const opencl_unit_class products = class_of(units, product, unit, parts);
    return opencl_tuned_units_find(&units->tuned, &products);
}

/* Whether an f32 product is split for `unit`. */
static int is_split(const opencl_units *units, opencl_unit unit, const opencl_product *product)
{
    if (product->a.dtype != TTM_F32 || product->out.dtype != TTM_F32 ||
        extent(&product->a, 0) < (units->policy.is_forced ? 16 : LEAST_SPLIT_DEPTH)) {
        return 0;
    }
    if (units->policy.splits == OPENCL_SPLIT_NEVER ||
        units->split_trial != OPENCL_SPLIT_BY_POLICY) {
        return units->policy.splits != OPENCL_SPLIT_NEVER && units->split_trial == OPENCL_SPLIT_ALL;
    }
    return opencl_split_policy_is_sure(units->policy.splits) ||
           find_tuned(units, product, unit, 3) != NULL;
}

/* 1, 2 or 3, or 0 for products that don't go to `use`, the units of each kind of operands. */
static int parts_for(const opencl_units *units, const opencl_unit use[OPERAND_KINDS],
                     const opencl_product *product)
{
    const ttm_dtype data = product->a.dtype;
    const ttm_dtype result = product->out.dtype;
    const int64_t rows = extent(&product->out, 1);
    const int64_t cols = extent(&product->out, 0);
    const int64_t depth = extent(&product->a, 0);
    if (depth < 1 || rows > INT32_MAX / 2 || cols > INT32_MAX / 2 ||
        (!units->policy.is_forced &&
         (rows < 32 || cols < 32 || rows * cols * depth < LEAST_MULTIPLIES))) {
        return 0;
    }
    if (data == TTM_BF16 && (result == TTM_BF16 || result == TTM_F32)) {
        return use[OF_BF16] != OPENCL_UNIT_NONE ? 1 : 0;
    }
    if (product->rounds_operands && use[OF_TF32] != OPENCL_UNIT_NONE) {
        return 2;
    }
    return use[OF_SPLIT] != OPENCL_UNIT_NONE && is_split(units, use[OF_SPLIT], product) ? 3 : 0;
}

/* ---- Plans ---- */

/* The plan for a product on `unit`, in so many parts, with `room` bytes of scratch. What was
 * tuned and doesn't fit leaves the choice to the rule, but where only what was found faster is
 * split.
 */
static opencl_unit_plan plan_for(const ttm_backend_device *device, const opencl_product *product,
                                 opencl_unit unit, int parts, size_t room, unsigned never)
{
    const opencl_units *units = device->units;
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(product);
    const opencl_tuned_unit *tuned = find_tuned(units, product, unit, parts);
    opencl_unit_choice choice = {.unit = unit,
                                 .parts = parts,
                                 .only = units->policy.only,
                                 .compute_units = device->description->limits.compute_units,
                                 .room = room,
                                 .never = never,
                                 .may_map = opencl_operands_may_be_mapped(product)};
    if (units->tried_variant >= 0 && units->policy.only < 0) {
        choice.only = units->tried_variant;
    } else if (tuned != NULL) {
        choice.only = tuned->variant;
        choice.pieces = tuned->pieces;
    }
    if (units->tried_variant >= 0) {
        choice.pieces = units->tried_pieces;
    }
    if (units->policy.splits == OPENCL_SPLIT_IN_PARTS) {
        choice.never |= 1u << OPENCL_PACKED_HALVES;
    }
    choice.pieces = units->policy.pieces > 0 ? units->policy.pieces : choice.pieces;
    opencl_unit_plan plan = opencl_unit_plan_for(&choice, &sizes);
    const int is_only_as_tuned = parts == 3 && units->policy.splits == OPENCL_SPLIT_WHERE_FASTER;
    if (plan.variant < 0 && tuned != NULL && !is_only_as_tuned) {
        choice.only = -1;
        choice.pieces = units->policy.pieces;
        plan = opencl_unit_plan_for(&choice, &sizes);
    }
    return plan;
}

/* Says once that an entry is used, if the plan is its own. */
static void say_tuned(opencl_units *units, const opencl_product *product, int parts,
                      const opencl_unit_plan *plan)
{
    const opencl_tuned_unit *tuned = find_tuned(units, product, units->unit[kind_of(parts)], parts);
    if (tuned != NULL && tuned->variant == plan->variant &&
        !units->is_said[tuned - units->tuned.entries]) {
        char text[OPENCL_TUNED_UNIT_BYTES];
        units->is_said[tuned - units->tuned.entries] = 1;
        opencl_tuned_unit_print(text, tuned);
        opencl_log(TTM_LOG_DEBUG, "as tuned: %s", text);
    }
}

int opencl_units_present(const opencl_units *units)
{
    int found = 0;
    for (int kind = 0; kind < OPERAND_KINDS; kind++) {
        found = found || units->unit[kind] != OPENCL_UNIT_NONE;
    }
    return found;
}

int opencl_units_take_tf32(const opencl_units *units)
{
    return units->planned[OF_TF32] != OPENCL_UNIT_NONE;
}

int opencl_units_class(opencl_unit_class *products, const ttm_backend_device *device,
                       const opencl_product *product)
{
    const opencl_units *units = device->units;
    const int parts = parts_for(units, units->unit, product);
    if (parts > 0) {
        *products = class_of(units, product, units->unit[kind_of(parts)], parts);
    }
    return parts > 0;
}

opencl_unit_plan opencl_units_plan(const ttm_backend_device *device, const opencl_product *product)
{
    const opencl_units *units = device->units;
    const int parts = parts_for(units, units->unit, product);
    return parts > 0 ? plan_for(device, product, units->unit[kind_of(parts)], parts,
                                room_of(product), units->never[kind_of(parts)])
                     : (opencl_unit_plan){.variant = -1};
}

void opencl_units_use(opencl_units *units, const opencl_tuned_units *tuned)
{
    units->tuned = *tuned;
    memset(units->is_said, 0, sizeof units->is_said);
}

void opencl_units_try(opencl_units *units, int variant, int pieces)
{
    units->tried_variant = variant;
    units->tried_pieces = pieces;
}

void opencl_units_try_split(opencl_units *units, opencl_split_trial trial)
{
    units->split_trial = trial;
}

/* ---- Proof ---- */

static opencl_cache_key verdict_key(const ttm_backend_device *device, opencl_family family,
                                    const char *what)
{
    opencl_cache_key key = opencl_programs_key(device->programs, family, what);
    opencl_cache_key_add(&key, "verdict");
    return key;
}

/* What of a manner a failure is said to be about, and what happens instead: each manner fails by
 * itself, and what fails with split f32 operands may work with bf16. */
static const char *const blamed[OPENCL_UNIT_MANNERS] = {
    [OPENCL_AS_THEY_ARE] = "",
    [OPENCL_PACKED] = "packed operands for ",
    [OPENCL_MAPPED] = "tensor maps for ",
    [OPENCL_PACKED_SHARED] = "clusters of groups for ",
    [OPENCL_MAPPED_SHARED] = "clusters with tensor maps for ",
    [OPENCL_PACKED_HALVES] = "operands in halves for "};

static const char *instead_of(opencl_unit_manner manner)
{
    return manner == OPENCL_AS_THEY_ARE ? "go to other kernels"
           : manner == OPENCL_PACKED    ? "take them as they are"
                                        : "do without";
}

static void demote(opencl_units *units, const ttm_backend_device *device,
                   const opencl_unit_variant *variant, const opencl_cache_key *unit_key,
                   const char *reason)
{
    char name[32];
    const int operands = opencl_unit_variant_operands(variant);
    const int kind = kind_of(operands);
    opencl_unit *unit = &units->unit[kind];
    const opencl_unit_manner manner = opencl_unit_variant_manner(variant);
    write_unit_name(name, units, operands);
    opencl_log(TTM_LOG_WARNING, "%smatrix units (%s) of %s aren't used%s: %s; products %s",
               blamed[manner], name, device->description->name, kind_suffix(operands), reason,
               instead_of(manner));
    opencl_verdict_write(unit_key, OPENCL_VERDICT_FAILED);
    if (manner != OPENCL_AS_THEY_ARE) {
        units->never[kind] |= 1u << manner;
    } else {
        *unit = *unit == OPENCL_UNIT_WGMMA && !units->policy.is_forced ? OPENCL_UNIT_MMA
                                                                       : OPENCL_UNIT_NONE;
    }
}

static int is_proven_here(const opencl_units *units, const char *options)
{
    const proven *known = units->first;
    while (known != NULL && strcmp(known->options, options) != 0) {
        known = known->next;
    }
    return known != NULL;
}

static void remember(opencl_units *units, const char *options)
{
    proven *made = calloc(1, sizeof *made);
    if (made != NULL) {
        snprintf(made->options, sizeof made->options, "%s", options);
        made->next = units->first;
        units->first = made;
    }
}

/* What a child is asked about a product: the arguments of ttm-opencl-probe. */
static opencl_probe_request make_request(const opencl_product *product, opencl_operand_way a,
                                         opencl_operand_way b, int pieces)
{
    const int numbers[OPENCL_PROBE_WORDS] = {
        (int)(product->rounds_operands ? TTM_TF32 : product->a.dtype),
        (int)product->out.dtype,
        a.runs,
        b.runs,
        a.access,
        b.access,
        pieces > 1 ? PROBED_PIECES : 1};
    opencl_probe_request request = {.word_count = OPENCL_PROBE_WORDS};
    for (int i = 0; i < OPENCL_PROBE_WORDS; i++) {
        snprintf(request.words[i], sizeof request.words[i], "%d", numbers[i]);
    }
    return request;
}

/* Whether the kernel may be used; finds that out where nobody knows. The lock is held. */
static int is_proven(opencl_units *units, const ttm_backend_device *device, opencl_family family,
                     const char *options, opencl_probe_request *request, int number)
{
    int count = 0;
    char reason[OPENCL_PROBE_REASON_BYTES] = "";
    char name[32];
    char unit_name[96];
    const opencl_unit_variant *variant = &opencl_unit_variants(&count)[number];
    if (units->policy.is_probe || is_proven_here(units, options)) {
        return 1;
    }
    const opencl_cache_key key = verdict_key(device, family, options);
    const int operands = opencl_unit_variant_operands(variant);
    write_unit_name(name, units, operands);
    snprintf(unit_name, sizeof unit_name, "%s%s%s", blamed[opencl_unit_variant_manner(variant)],
             name, kind_suffix(operands));
    const opencl_cache_key unit_key = verdict_key(device, family, unit_name);
    opencl_verdict verdict = opencl_verdict_read(&key);
    if (!units->policy.is_forced && opencl_verdict_read(&unit_key) == OPENCL_VERDICT_FAILED) {
        demote(units, device, variant, &unit_key, "they failed their probe in an earlier run");
        return 0;
    }
    if (verdict != OPENCL_VERDICT_PASSED) {
        snprintf(request->variable, sizeof request->variable, "TTM_OPENCL_MATRIX_UNITS=%s:%d", name,
                 number);
        request->device_index = units->device_index;
        opencl_log(TTM_LOG_DEBUG, "probing matrix units: %s", options);
        verdict = opencl_probe_run(reason, sizeof reason, request);
        if (verdict != OPENCL_VERDICT_PASSED) {
            demote(units, device, variant, &unit_key, reason);
            return 0;
        }
        opencl_verdict_write(&key, verdict);
    }
    remember(units, options);
    return 1;
}

/* ---- The launch ---- */

/* Adds up the sums of a product's pieces. */
static ttm_status sum_pieces(ttm_backend_stream *stream, const opencl_product *product, int pieces,
                             const ttm_tensor *sums)
{
    opencl_call call =
        opencl_call_start(stream, OPENCL_MATMUL_PIECES, "matmul_pieces", "-DDATA=%d -DRESULT=%d",
                          (int)product->a.dtype, (int)product->out.dtype);
    opencl_product_arguments(&call, product);
    opencl_call_tensor(&call, sums, sums);
    opencl_call_int(&call, pieces);
    const opencl_tuning *tuning = &stream->device->tuning;
    const size_t local[3] = {tuning->is_cpu ? 1 : 64, 1, 1};
    const size_t global[3] = {
        (size_t)opencl_parts(extent(&product->out, 0), tuning->vector),
        (size_t)opencl_least(extent(&product->out, 1), OPENCL_MOST_ROW_GROUPS),
        (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

/* Groups that compute a matrix, or a piece's sums of it: whole clusters. */
static int64_t groups_of(const opencl_product *product, const opencl_unit_variant *variant)
{
    return opencl_parts(extent(&product->out, 1),
                        (int64_t)variant->tile_rows * variant->cluster_rows) *
           opencl_parts(extent(&product->out, 0),
                        (int64_t)variant->tile_cols * variant->cluster_cols) *
           opencl_unit_variant_cluster(variant);
}

/* Queues the kernels; *done = 1 unless they can't be built here, when others must do. */
static ttm_status launch(int *done, ttm_backend_stream *stream, const opencl_product *product,
                         opencl_family family, const opencl_unit_plan *plan, const char *options)
{
    int count = 0;
    const opencl_unit_variant *variant = &opencl_unit_variants(&count)[plan->variant];
    ttm_tensor sums = product->workspace;
    opencl_call call = opencl_call_start(stream, family, kernel_of(family), "%s", options);
    if (call.status != TTM_OK && !stream->device->units->policy.is_probe) {
        return TTM_OK; /* it was built in the child, so this is no fault of the kernel's: done stays
                          0 */
    }
    *done = 1;
    opencl_product_arguments(&call, product);
    if (variant->packed) {
        const opencl_packed_places places = opencl_packed_places_of(product, variant);
        const int is_emulated = stream->device->units->policy.is_emulated;
        const ttm_status status =
            variant->mapped ? opencl_map_operands(stream, product, &places, options)
                            : opencl_pack_operands(stream, product, variant, is_emulated, &places);
        if (status != TTM_OK) {
            return status;
        }
        opencl_packed_arguments(&call, product, &places);
        sums.offset += (size_t)places.end;
        opencl_call_long(&call, plan->piece_depth);
    } else if (plan->pieces > 1) {
        opencl_call_tensor(&call, &sums, &sums);
        opencl_call_long(&call, plan->piece_depth);
    }
    const size_t items = (size_t)opencl_unit_variant_items(variant);
    const size_t local[3] = {items, 1, 1};
    const size_t global[3] = {(size_t)groups_of(product, variant) * items, (size_t)plan->pieces,
                              (size_t)opencl_product_batches(product)};
    const ttm_status status = opencl_call_run(&call, 3, global, local);
    return status == TTM_OK && plan->pieces > 1 ? sum_pieces(stream, product, plan->pieces, &sums)
                                                : status;
}

size_t opencl_units_workspace_bytes(const ttm_backend_device *device, const opencl_product *product)
{
    const opencl_units *units = device->units;
    const int parts = parts_for(units, units->planned, product);
    if (parts == 0) {
        return 0;
    }
    const size_t limit = (size_t)(device->description->limits.allocation_bytes / 4);
    const opencl_unit_plan plan =
        plan_for(device, product, units->planned[kind_of(parts)], parts, limit, 0);
    const opencl_unit_sizes sizes = opencl_unit_sizes_of(product);
    return plan.variant >= 0 ? opencl_unit_plan_bytes(&plan, &sizes) : 0;
}

/* The plan, family and options of a kernel that is proven; 0 where there is none. The lock is
 * held. */
static int find_kernel(opencl_unit_plan *plan, opencl_family *family, char *options,
                       const ttm_backend_device *device, const opencl_product *product)
{
    int count = 0;
    opencl_units *units = device->units;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (;;) {
        const int parts = parts_for(units, units->unit, product);
        *plan = opencl_units_plan(device, product);
        if (plan->variant < 0) {
            return 0;
        }
        const opencl_unit_variant *variant = &variants[plan->variant];
        const int copies = !variant->packed &&
                           (variant->unit == OPENCL_UNIT_MMA || variant->unit == OPENCL_UNIT_WGMMA);
        const opencl_operand_way a = opencl_operand_way_of(&product->a, 1, copies);
        const opencl_operand_way b = opencl_operand_way_of(&product->b, 0, copies);
        opencl_probe_request request = make_request(product, a, b, plan->pieces);
        *family = family_of(variant);
        write_options(options, units, variant, product, a, b, plan->pieces);
        if (is_proven(units, device, *family, options, &request, plan->variant)) {
            say_tuned(units, product, parts, plan);
            return 1;
        }
    }
}

ttm_status opencl_product_by_matrix_units(int *done, ttm_backend_stream *stream,
                                          const opencl_product *product)
{
    char options[OPENCL_UNIT_OPTIONS_BYTES];
    opencl_unit_plan plan;
    opencl_family family = OPENCL_MATRIX_UNITS_MMA;
    opencl_units *units = stream->device->units;
    *done = 0;
    pthread_mutex_lock(&units->lock);
    const int found = find_kernel(&plan, &family, options, stream->device, product);
    pthread_mutex_unlock(&units->lock);
    return found ? launch(done, stream, product, family, &plan, options) : TTM_OK;
}
