/* The planner: enumerates contraction trees, prices them, takes the cheapest.
 *
 * A tree is a sequence of chunks of neighbouring cores that x absorbs, each next to what is
 * absorbed already, left or right of it; 3^(d−1) sequences for d cores. Inside a chunk joining
 * needs no permutation in any direction, and each join costs the same multiple in all of them, so
 * that the cheapest order of building (ttm/tt_split.h) is right; one exception is W as a whole when
 * only gradients are wanted. Chunks are enumerated rather than solved by dynamic programming
 * because a permutation's price depends on the order of axes that the chunks before have left. */
#include "tt/planner.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "tt/plan_steps.h"

typedef struct enumeration {
    ttm_tt_plan *plan; /* shape, rows and direction are set */
    ttm_planner_visitor visit;
    void *user;
    ttm_tt_build_order builds[TTM_TT_MAX_CORES][TTM_TT_MAX_CORES + 1]; /* of cores [first, last) */
    int32_t chunk_count;
    int32_t chunks[TTM_TT_MAX_CORES][2];
} enumeration;

/* Joins the cores of a chunk in the cheapest order; returns the node of the whole. */
static int32_t join_chunk(ttm_plan_tree *tree, const ttm_tt_build_order *build, int32_t first)
{
    int32_t node_of[TTM_TT_MAX_CORES]; /* of the partial product that starts at a core */
    for (int32_t core = 0; core < build->core_count; core++) {
        node_of[core] = 1 + first + core;
    }
    for (int32_t i = 0; i < build->join_count; i++) {
        const ttm_tt_join *join = &build->joins[i];
        node_of[join->first] =
            ttm_plan_tree_join(tree, node_of[join->first], node_of[join->middle]);
    }
    return node_of[0];
}

static void finish_sequence(enumeration *all)
{
    ttm_plan_tree tree;
    ttm_plan_tree_start(&tree, all->plan->shape.core_count);
    int32_t x = 0;
    for (int32_t i = 0; i < all->chunk_count; i++) {
        const int32_t first = all->chunks[i][0];
        const int32_t chunk = join_chunk(&tree, &all->builds[first][all->chunks[i][1]], first);
        x = ttm_plan_tree_join(&tree, x, chunk);
    }
    ttm_plan_steps_build(all->plan, &tree);
    all->visit(all->user, all->plan);
}

static void extend(enumeration *all, int32_t low, int32_t high);

static void absorb(enumeration *all, int32_t first, int32_t last, int32_t low, int32_t high)
{
    all->chunks[all->chunk_count][0] = first;
    all->chunks[all->chunk_count][1] = last;
    all->chunk_count++;
    extend(all, low, high);
    all->chunk_count--;
}

/* Cores low … high − 1 are absorbed: tries every chunk to the right and to the left. */
static void extend(enumeration *all, int32_t low, int32_t high)
{
    const int32_t core_count = all->plan->shape.core_count;
    if (low == 0 && high == core_count) {
        finish_sequence(all);
        return;
    }
    for (int32_t last = core_count; last > high; last--) {
        absorb(all, high, last, low, last);
    }
    for (int32_t first = 0; first < low; first++) {
        absorb(all, first, low, first, high);
    }
}

static ttm_status check_question(const ttm_tt_shape *shape, int64_t rows, int direction)
{
    TTM_TRY(ttm_tt_shape_check(shape));
    if (rows < 1) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a plan for %" PRId64 " rows: at least 1 is needed",
                        rows);
    }
    if (direction < TTM_TT_FORWARD || direction > TTM_TT_CORE_GRADIENTS) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "unknown direction %d of a plan", direction);
    }
    return TTM_OK;
}

static void append_joins(ttm_tt_build_order *whole, const ttm_tt_build_order *part, int32_t first)
{
    for (int32_t i = 0; i < part->join_count; i++) {
        const ttm_tt_join join = part->joins[i];
        whole->joins[whole->join_count++] =
            (ttm_tt_join){join.first + first, join.middle + first, join.last + first};
    }
}

/* The order of joining all cores for their gradients. W itself isn't computed then, so that its
 * last join counts two products (its two gradients), all others three. */
static void order_for_gradients(enumeration *all)
{
    const ttm_tt_shape *shape = &all->plan->shape;
    const int32_t cores = shape->core_count;
    const double matrix = ttm_tt_interval_size(shape->in_modes, shape->out_modes, 0, cores);
    ttm_tt_build_order *whole = &all->builds[0][cores];
    double best = HUGE_VAL;
    for (int32_t middle = 1; middle < cores; middle++) {
        const ttm_tt_build_order *left = &all->builds[0][middle];
        const ttm_tt_build_order *right = &all->builds[middle][cores];
        const double last_join = matrix * (double)shape->ranks[middle];
        const double macs = 2.0 * last_join + 3.0 * (left->macs + right->macs);
        if (macs < best) {
            best = macs;
            whole->split = middle;
            whole->macs = last_join + left->macs + right->macs;
        }
    }
    if (cores > 1) {
        whole->join_count = 0;
        append_joins(whole, &all->builds[0][whole->split], 0);
        append_joins(whole, &all->builds[whole->split][cores], whole->split);
        whole->joins[whole->join_count++] = (ttm_tt_join){0, whole->split, cores};
    }
}

ttm_status ttm_planner_enumerate(const ttm_tt_shape *shape, int64_t rows,
                                 ttm_tt_direction direction, ttm_planner_visitor visit, void *user)
{
    TTM_TRY(check_question(shape, rows, (int)direction));
    ttm_tt_plan plan = {.shape = *shape, .rows = rows, .direction = direction};
    enumeration all = {.plan = &plan, .visit = visit, .user = user};
    const int32_t core_count = shape->core_count;
    for (int32_t first = 0; first < core_count; first++) {
        for (int32_t last = first + 1; last <= core_count; last++) {
            ttm_tt_build_split(&all.builds[first][last], last - first, shape->in_modes + first,
                               shape->out_modes + first, shape->ranks + first);
        }
    }
    if (direction == TTM_TT_CORE_GRADIENTS) {
        order_for_gradients(&all);
    }
    for (int32_t first = 0; first < core_count; first++) {
        for (int32_t last = core_count; last > first; last--) {
            absorb(&all, first, last, first, last);
        }
    }
    return TTM_OK;
}

static const ttm_tt_cost_model default_model = TTM_TT_COST_MODEL_INIT;

static ttm_status check_model(const ttm_tt_cost_model *model)
{
    if (model->struct_size < sizeof *model) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a cost model of %zu bytes: initialise it with TTM_TT_COST_MODEL_INIT",
                        model->struct_size);
    }
    if (!(model->product_flops > 0.0) || !(model->copy_bytes > 0.0) ||
        !(model->launch_seconds >= 0.0) || !(model->element_bytes > 0.0)) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT,
            "a cost model with product speed %g, copy speed %g, launch cost %g, element "
            "size %g: speeds and sizes must be positive",
            model->product_flops, model->copy_bytes, model->launch_seconds, model->element_bytes);
    }
    return TTM_OK;
}

static void price_plan(ttm_tt_plan_price *price, const ttm_tt_plan *plan,
                       const ttm_tt_cost_model *model)
{
    double permuted = 0.0;
    *price = (ttm_tt_plan_price){0};
    for (int32_t i = 0; i < plan->step_count; i++) {
        const ttm_tt_step *step = &plan->steps[i];
        price->macs += step->m * step->n * step->k;
        permuted += step->permute_left ? plan->operands[step->left].elements : 0.0;
        permuted += step->permute_right ? plan->operands[step->right].elements : 0.0;
        permuted += step->permute_result ? plan->operands[step->result].elements : 0.0;
        price->launches += 1 + step->permute_left + step->permute_right + step->permute_result;
    }
    price->copied_bytes = 2.0 * permuted * model->element_bytes;
    price->seconds = 2.0 * price->macs / model->product_flops +
                     price->copied_bytes / model->copy_bytes +
                     (double)price->launches * model->launch_seconds;
}

ttm_status ttm_tt_plan_cost(ttm_tt_plan_price *price, const ttm_tt_plan *plan,
                            const ttm_tt_cost_model *model)
{
    model = model == NULL ? &default_model : model;
    TTM_TRY(check_model(model));
    price_plan(price, plan, model);
    return TTM_OK;
}

typedef struct best_plan {
    ttm_tt_plan *plan;
    const ttm_tt_cost_model *model;
    bool found;
    double seconds;
} best_plan;

static void keep_cheapest(void *user, const ttm_tt_plan *plan)
{
    best_plan *best = user;
    ttm_tt_plan_price price;
    price_plan(&price, plan, best->model);
    /* The first one counts even where a device is so slow that no price is finite. */
    if (!best->found || price.seconds < best->seconds) {
        best->found = true;
        best->seconds = price.seconds;
        *best->plan = *plan;
    }
}

ttm_status ttm_tt_plan_find(ttm_tt_plan *plan, const ttm_tt_shape *shape, int64_t rows,
                            ttm_tt_direction direction, const ttm_tt_cost_model *model)
{
    best_plan best = {.plan = plan, .model = model == NULL ? &default_model : model};
    TTM_TRY(check_model(best.model));
    return ttm_planner_enumerate(shape, rows, direction, keep_cheapest, &best);
}

ttm_status ttm_tt_plan_parse(ttm_tt_plan *plan, const char *text, const ttm_tt_shape *shape,
                             int64_t rows, ttm_tt_direction direction)
{
    ttm_plan_tree tree;
    TTM_TRY(check_question(shape, rows, (int)direction));
    TTM_TRY(ttm_plan_tree_parse(&tree, text, shape->core_count, direction));
    memset(plan, 0, sizeof *plan);
    plan->shape = *shape;
    plan->rows = rows;
    plan->direction = direction;
    ttm_plan_steps_build(plan, &tree);
    return TTM_OK;
}
