/* x absorbs runs of neighbouring cores, to its left or to its right, each run joined to one factor
 * first; runs can be joined in every order. All of these trees are written as text, parsed and
 * priced by the library, so that nothing here repeats what a tree means. */
#include "bench/ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TREE_BYTES = 64, MOST_TREES = 512, MOST_CANDIDATES = 20000, ALL_GROUPINGS = 5 };

/* All ways to join a run of cores. */
typedef struct join_list {
    char (*trees)[TREE_BYTES];
    size_t count;
} join_list;

typedef struct search {
    bench_way *ways;
    size_t count;
    size_t most;
    size_t considered;
    const ttm_tt_shape *shape;
    int64_t rows;
    ttm_tt_direction direction;
    const ttm_tt_cost_model *model;
    join_list joins[TTM_TT_MAX_CORES][TTM_TT_MAX_CORES + 1];
    ttm_status status;
} search;

static void join_runs(search *state, int32_t first, int32_t end)
{
    join_list *list = &state->joins[first][end];
    list->trees = calloc(MOST_TREES, sizeof *list->trees);
    if (list->trees == NULL) {
        return;
    }
    if (end - first == 1) {
        snprintf(list->trees[list->count++], TREE_BYTES, "G%d", (int)first + 1);
        return;
    }
    for (int32_t middle = first + 1; middle < end; middle++) {
        const join_list *left = &state->joins[first][middle];
        const join_list *right = &state->joins[middle][end];
        for (size_t a = 0; a < left->count; a++) {
            for (size_t b = 0; b < right->count && list->count < MOST_TREES; b++) {
                snprintf(list->trees[list->count++], TREE_BYTES, "(%.29s %.29s)", left->trees[a],
                         right->trees[b]);
            }
        }
        if (state->shape->core_count > ALL_GROUPINGS && list->count > 0) {
            list->count = 1; /* One grouping, so that long trains end. */
        }
    }
}

/* Keeps the cheapest, sorted. */
static void keep(search *state, const ttm_tt_plan *plan, double seconds)
{
    for (size_t k = 0; k < state->count; k++) {
        if (strcmp(state->ways[k].plan.text, plan->text) == 0) {
            return;
        }
    }
    size_t place = state->count;
    while (place > 0 && state->ways[place - 1].seconds > seconds) {
        place--;
    }
    if (place == state->most) {
        return;
    }
    const size_t kept = state->count < state->most ? state->count : state->most - 1;
    memmove(&state->ways[place + 1], &state->ways[place], (kept - place) * sizeof *state->ways);
    state->ways[place] = (bench_way){*plan, seconds};
    state->count = kept + 1;
}

static void consider(search *state, const char *tree)
{
    ttm_tt_plan plan;
    ttm_tt_plan_price price;
    char text[2 * TREE_BYTES];
    /* The outermost group has no parentheses. */
    snprintf(text, sizeof text, "%.*s", (int)strlen(tree) - 2, tree + 1);
    state->considered++;
    if (ttm_tt_plan_parse(&plan, text, state->shape, state->rows, state->direction) == TTM_OK &&
        ttm_tt_plan_cost(&price, &plan, state->model) == TTM_OK) {
        keep(state, &plan, price.seconds);
    }
}

/* x has absorbed cores [first, end) as `tree` says. */
static void absorb(search *state, int32_t first, int32_t end, const char *tree)
{
    char larger[2 * TREE_BYTES + 8];
    const int32_t cores = state->shape->core_count;
    if (first == 0 && end == cores) {
        consider(state, tree);
        return;
    }
    for (int32_t next = end + 1; next <= cores && state->considered < MOST_CANDIDATES; next++) {
        const join_list *run = &state->joins[end][next];
        for (size_t k = 0; k < run->count; k++) {
            snprintf(larger, sizeof larger, "(%.63s %s)", tree, run->trees[k]);
            absorb(state, first, next, larger);
        }
    }
    for (int32_t next = 0; next < first && state->considered < MOST_CANDIDATES; next++) {
        const join_list *run = &state->joins[next][first];
        for (size_t k = 0; k < run->count; k++) {
            snprintf(larger, sizeof larger, "(%.63s %s)", tree, run->trees[k]);
            absorb(state, next, end, larger);
        }
    }
}

ttm_status bench_ways_find(bench_way *ways, size_t *count, size_t *considered, size_t most,
                           const ttm_tt_shape *shape, int64_t rows, ttm_tt_direction direction,
                           const ttm_tt_cost_model *model)
{
    search *state = calloc(1, sizeof *state);
    const int32_t cores = shape->core_count;
    *count = 0;
    *considered = 0;
    if (state == NULL) {
        return TTM_OK;
    }
    *state = (search){.ways = ways,
                      .most = most,
                      .shape = shape,
                      .rows = rows,
                      .direction = direction,
                      .model = model};
    for (int32_t length = 1; length <= cores; length++) {
        for (int32_t first = 0; first + length <= cores; first++) {
            join_runs(state, first, first + length);
        }
    }
    for (int32_t first = 0; first < cores; first++) {
        /* Before anything is absorbed "left" and "right" are the same: x starts at every border. */
        for (int32_t end = first + 1; end <= cores; end++) {
            const join_list *run = &state->joins[first][end];
            for (size_t k = 0; k < run->count && state->considered < MOST_CANDIDATES; k++) {
                char tree[TREE_BYTES + 8];
                snprintf(tree, sizeof tree, "(x %s)", run->trees[k]);
                absorb(state, first, end, tree);
            }
        }
    }
    /* What the planner takes is always among them, however many there are. */
    ttm_tt_plan plan;
    ttm_tt_plan_price price;
    ttm_status status = ttm_tt_plan_find(&plan, shape, rows, direction, model);
    if (status == TTM_OK) {
        status = ttm_tt_plan_cost(&price, &plan, model);
    }
    if (status == TTM_OK) {
        keep(state, &plan, price.seconds);
    }
    *count = state->count;
    *considered = state->considered;
    for (int32_t first = 0; first < cores; first++) {
        for (int32_t end = first + 1; end <= cores; end++) {
            free(state->joins[first][end].trees);
        }
    }
    free(state);
    return status;
}

const char *bench_direction_name(ttm_tt_direction direction)
{
    static const char *const names[] = {"forward", "input gradient", "core gradients"};
    return names[direction];
}
