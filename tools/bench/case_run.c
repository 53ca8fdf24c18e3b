/* Giving a case memory and timing it. With --cold several copies of its memory are used in turn, so
 * many that what a call reads has left the caches since it was last used. */
#include "bench/cases.h"
#include "bench/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/profile.h>

enum { MOST_COPIES = 64 };

/* A case with memory. */
typedef struct placed_case {
    bench_session *session;
    const bench_case *item;
    size_t copies;
    ttm_tensor (*owned)[TTM_OP_MAX_TENSORS];   /* [copies] allocations, */
    ttm_tensor (*tensors)[TTM_OP_MAX_TENSORS]; /* and what the op gets. */
    ttm_adamw_params adamw;                    /* With its segments. */
} placed_case;

static ttm_op op_of(const bench_case *item, const ttm_tensor *tensors, const void *params)
{
    return (ttm_op){.struct_size = sizeof(ttm_op),
                    .opcode = item->opcode,
                    .tensor_count = item->tensor_count,
                    .tensors = tensors,
                    .params = item->params_bytes > 0 ? params : NULL,
                    .params_bytes = item->params_bytes};
}

static const void *params_of(placed_case *placed)
{
    if (placed->item->opcode != TTM_OP_ADAMW) {
        return &placed->item->params;
    }
    placed->adamw = placed->item->params.adamw;
    placed->adamw.segments = &placed->item->segment;
    return &placed->adamw;
}

static ttm_status run_case(void *user, uint64_t call)
{
    placed_case *placed = user;
    const ttm_op op =
        op_of(placed->item, placed->tensors[call % placed->copies], params_of(placed));
    return ttm_op_run(placed->session->stream, &op);
}

static size_t copies_wanted(const bench_session *session, const bench_case *item)
{
    double bytes = 0.0;
    for (uint32_t slot = 0; slot < item->tensor_count; slot++) {
        bytes += (double)ttm_tensor_count(&item->tensors[slot]) *
                 (double)ttm_dtype_bytes(item->tensors[slot].dtype);
    }
    if (!session->arguments->cold || bytes <= 0.0) {
        return 1;
    }
    /* Devices don't tell the size of their caches: 64 MB is more than most have. */
    const double cache = session->cache_bytes > 0.0 ? session->cache_bytes : 64e6;
    const double wanted = ceil(4.0 * cache / bytes);
    return (size_t)fmin(fmax(wanted, 2.0), (double)MOST_COPIES);
}

static ttm_status fill_slot(bench_session *session, const bench_case *item, uint32_t slot,
                            const ttm_tensor *tensor)
{
    if (item->content[slot] == BENCH_ONES) {
        return ttm_fill(session->stream, tensor, 1.0);
    }
    return bench_fill_random(session, tensor, 1.0, item->index_limit);
}

static ttm_status place_copy(placed_case *placed, size_t copy)
{
    const bench_case *item = placed->item;
    bench_session *session = placed->session;
    for (uint32_t slot = 0; slot < item->tensor_count; slot++) {
        const ttm_tensor *wanted = &item->tensors[slot];
        ttm_tensor *owned = &placed->owned[copy][slot];
        if (!ttm_tensor_present(wanted) || item->alias[slot] != 0) {
            continue;
        }
        ttm_status status =
            ttm_tensor_alloc(owned, session->device, wanted->dtype, wanted->rank, wanted->shape);
        if (status == TTM_OK) {
            status = fill_slot(session, item, slot, owned);
        }
        if (status != TTM_OK) {
            return status;
        }
        placed->tensors[copy][slot] =
            item->transposed[slot] ? ttm_tensor_transpose(owned, wanted->rank - 2, wanted->rank - 1)
                                   : *owned;
    }
    for (uint32_t slot = 0; slot < item->tensor_count; slot++) {
        if (item->alias[slot] != 0) {
            placed->tensors[copy][slot] = placed->tensors[copy][item->alias[slot] - 1];
        }
    }
    return TTM_OK;
}

static void free_copies(placed_case *placed)
{
    ttm_stream_drain(placed->session->stream); /* after a failure something may be queued */
    for (size_t copy = 0; placed->owned != NULL && copy < placed->copies; copy++) {
        for (uint32_t slot = 0; slot < placed->item->tensor_count; slot++) {
            ttm_tensor_free(&placed->owned[copy][slot], placed->session->device);
        }
    }
    free(placed->owned);
    free(placed->tensors);
}

/* What the entry says besides times: cost, and how the op is done. */
static ttm_status describe(bench_entry *entry, placed_case *placed)
{
    const bench_case *item = placed->item;
    const ttm_op op = op_of(item, placed->tensors[0], params_of(placed));
    ttm_stream *planning = NULL;
    ttm_op_cost(&entry->operations, &entry->bytes, &op);
    ttm_status status = ttm_stream_create_planning(&planning, placed->session->device);
    if (status == TTM_OK) {
        status = ttm_op_run(planning, &op);
    }
    for (int opcode = 0; opcode < TTM_OP_COUNT && status == TTM_OK; opcode++) {
        const ttm_op_statistics counts = ttm_stream_statistics(planning, (ttm_opcode)opcode);
        entry->fallback_calls += (double)counts.fallback_calls;
        entry->decomposed_calls += (double)counts.decomposed_calls;
    }
    ttm_stream_destroy(planning);
    return status;
}

static void print_shapes(char *text, size_t text_bytes, const bench_case *item,
                         const ttm_tensor *tensors)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t slot = 0; slot < item->tensor_count && used + 48 < text_bytes; slot++) {
        if (!ttm_tensor_present(&tensors[slot])) {
            continue;
        }
        used += (size_t)snprintf(text + used, text_bytes - used, "%s[", used > 0 ? " " : "");
        for (int32_t dim = 0; dim < tensors[slot].rank && used + 24 < text_bytes; dim++) {
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%lld", dim > 0 ? "," : "",
                                     (long long)tensors[slot].shape[dim]);
        }
        used += (size_t)snprintf(text + used, text_bytes - used, "]");
    }
}

/* The type whose peak counts. */
static ttm_dtype multiplied_dtype(const bench_case *item)
{
    switch (item->opcode) {
    case TTM_OP_MATMUL:
        return item->tensors[TTM_MATMUL_A].dtype;
    case TTM_OP_ATTENTION:
        return item->tensors[TTM_ATTENTION_Q].dtype;
    case TTM_OP_ATTENTION_BACKWARD:
        return item->tensors[TTM_ATTENTION_BACKWARD_Q].dtype;
    default:
        return TTM_F32;
    }
}

static ttm_status time_placed(placed_case *placed)
{
    bench_session *session = placed->session;
    bench_timing timing;
    char shapes[256];
    print_shapes(shapes, sizeof shapes, placed->item, placed->tensors[0]);
    bench_entry *entry = bench_add_entry(&session->result, "op", placed->item->name,
                                         ttm_op_name(placed->item->opcode), shapes);
    if (entry == NULL) {
        return TTM_OK;
    }
    ttm_status status = describe(entry, placed);
    if (status == TTM_OK) {
        status = bench_measure(&entry->series, &timing, session, run_case, placed);
    }
    if (status == TTM_OK) {
        entry->wall_ns = timing.wall_ns;
        bench_judge(session, entry, multiplied_dtype(placed->item));
    }
    return status;
}

ttm_status bench_case_run(bench_session *session, const bench_case *item)
{
    placed_case placed = {.session = session, .item = item, .copies = copies_wanted(session, item)};
    ttm_status status = TTM_OK;
    bench_progress(session, item->name);
    placed.owned = calloc(placed.copies, sizeof *placed.owned);
    placed.tensors = calloc(placed.copies, sizeof *placed.tensors);
    if (placed.owned == NULL || placed.tensors == NULL) {
        session->result.out_of_memory = true;
        placed.copies = 0;
        goto out;
    }
    for (size_t copy = 0; copy < placed.copies && status == TTM_OK; copy++) {
        status = place_copy(&placed, copy);
    }
    if (status == TTM_ERROR_OUT_OF_MEMORY) {
        fprintf(stderr, "ttm-bench: %s is left out: %s\n", item->name, ttm_error_message());
        status = TTM_OK;
        goto out;
    }
    if (status == TTM_OK) {
        status = time_placed(&placed);
    }
out:
    bench_progress(session, NULL);
    free_copies(&placed);
    return status;
}
