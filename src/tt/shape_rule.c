/* Shapes from sizes: the published rule, balanced modes, and the largest rank within a budget of
 * parameters.
 *
 * All three start from prime factors. Trial division bounds the sizes to 2^40, far above any layer,
 * so that a made-up size can't keep a program busy. */
#include <inttypes.h>
#include <ttm/tt.h>

#include "core/error.h"
#include "tt/shape.h"

#define MAX_SIZE   ((int64_t)1 << 40)
#define MAX_PRIMES 40

typedef struct prime_factors {
    int count;
    int64_t primes[MAX_PRIMES]; /* ascending */
} prime_factors;

static void factorise(prime_factors *factors, int64_t size)
{
    factors->count = 0;
    for (int64_t prime = 2; prime * prime <= size; prime++) {
        while (size % prime == 0) {
            factors->primes[factors->count++] = prime;
            size /= prime;
        }
    }
    if (size > 1) {
        factors->primes[factors->count++] = size;
    }
}

static ttm_status check_sizes(int64_t in, int64_t out, int64_t rank)
{
    int64_t elements = 0;
    if (in < 1 || out < 1 || in > MAX_SIZE || out > MAX_SIZE ||
        !ttm_tt_multiply(&elements, in, out)) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT,
            "a matrix of %" PRId64 " x %" PRId64
            " can't be factorised: each size must be 1 to 2^40, both together below 2^63",
            in, out);
    }
    if (rank < 1) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "rank %" PRId64 ": ranks must be at least 1", rank);
    }
    return TTM_OK;
}

ttm_status ttm_tt_shape_from_rule(ttm_tt_shape *shape, int64_t in, int64_t out, int64_t rank)
{
    TTM_TRY(check_sizes(in, out, rank));
    prime_factors in_factors;
    prime_factors out_factors;
    factorise(&in_factors, in);
    factorise(&out_factors, out);
    const int pair_count =
        in_factors.count > out_factors.count ? in_factors.count : out_factors.count;

    ttm_tt_shape result = {0};
    int64_t in_mode = 1;
    int64_t out_mode = 1;
    int32_t core_count = 0;
    for (int pair = 0; pair < pair_count || core_count == 0; pair++) {
        in_mode *= pair < in_factors.count ? in_factors.primes[pair] : 1;
        out_mode *= pair < out_factors.count ? out_factors.primes[pair] : 1;
        /* in_mode·out_mode ≥ rank, asked in a way that can't overflow */
        const bool full = in_mode >= (rank - 1) / out_mode + 1;
        if (full || pair + 1 >= pair_count) {
            if (core_count < TTM_TT_MAX_CORES) {
                result.in_modes[core_count] = in_mode;
                result.out_modes[core_count] = out_mode;
            }
            core_count++;
            in_mode = 1;
            out_mode = 1;
        }
    }
    if (core_count > TTM_TT_MAX_CORES) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "the published rule makes %" PRId32 " cores of %" PRId64 " x %" PRId64
                        " at rank %" PRId64
                        ", at most %d are allowed: take a larger rank or give the "
                        "modes",
                        core_count, in, out, rank, TTM_TT_MAX_CORES);
    }
    result.core_count = core_count;
    ttm_tt_shape_set_rank(&result, rank);
    TTM_TRY(ttm_tt_shape_check(&result));
    *shape = result;
    return TTM_OK;
}

/* Gives each prime, largest first, to the core whose product of both modes is the smallest so far.
 */
static void deal_primes(int64_t *modes, int64_t *products, int32_t core_count,
                        const prime_factors *factors)
{
    for (int i = factors->count - 1; i >= 0; i--) {
        int32_t smallest = 0;
        for (int32_t core = 1; core < core_count; core++) {
            if (products[core] < products[smallest]) {
                smallest = core;
            }
        }
        modes[smallest] *= factors->primes[i];
        products[smallest] *= factors->primes[i];
    }
}

/* Balanced modes for sizes already checked; false when there are fewer primes than cores. Inner
 * ranks are left to the caller. */
static bool balance(ttm_tt_shape *shape, int64_t in, int64_t out, int32_t core_count)
{
    prime_factors in_factors;
    prime_factors out_factors;
    factorise(&in_factors, in);
    factorise(&out_factors, out);
    if (core_count > 1 && in_factors.count + out_factors.count < core_count) {
        return false;
    }
    int64_t in_modes[TTM_TT_MAX_CORES];
    int64_t out_modes[TTM_TT_MAX_CORES];
    int64_t products[TTM_TT_MAX_CORES];
    int32_t order[TTM_TT_MAX_CORES];
    for (int32_t core = 0; core < core_count; core++) {
        in_modes[core] = out_modes[core] = products[core] = 1;
    }
    deal_primes(in_modes, products, core_count, &in_factors);
    deal_primes(out_modes, products, core_count, &out_factors);
    for (int32_t core = 0; core < core_count; core++) { /* insertion sort, largest product first */
        int32_t place = core;
        for (; place > 0 && products[order[place - 1]] < products[core]; place--) {
            order[place] = order[place - 1];
        }
        order[place] = core;
    }
    shape->core_count = core_count;
    for (int32_t i = 0; i < core_count; i++) {
        const int32_t place = i % 2 == 0 ? i / 2 : core_count - 1 - i / 2;
        shape->in_modes[place] = in_modes[order[i]];
        shape->out_modes[place] = out_modes[order[i]];
    }
    return true;
}

static ttm_status fail_too_few_primes(int64_t in, int64_t out, int32_t core_count)
{
    return ttm_fail(TTM_ERROR_SHAPE,
                    "%" PRId64 " x %" PRId64 " has too few prime factors for %" PRId32
                    " cores: take fewer",
                    in, out, core_count);
}

static ttm_status check_core_count(int32_t core_count, int32_t least)
{
    if (core_count < least || core_count > TTM_TT_MAX_CORES) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%" PRId32 " cores: take %" PRId32 " to %d", core_count,
                        least, TTM_TT_MAX_CORES);
    }
    return TTM_OK;
}

ttm_status ttm_tt_shape_balanced(ttm_tt_shape *shape, int64_t in, int64_t out, int32_t core_count,
                                 int64_t rank)
{
    TTM_TRY(check_sizes(in, out, rank));
    TTM_TRY(check_core_count(core_count, 1));
    ttm_tt_shape result = {0};
    if (!balance(&result, in, out, core_count)) {
        return fail_too_few_primes(in, out, core_count);
    }
    ttm_tt_shape_set_rank(&result, rank);
    TTM_TRY(ttm_tt_shape_check(&result));
    *shape = result;
    return TTM_OK;
}

/* The elements of a sound-but-for-its-ranks shape clipped to a uniform rank; INT64_MAX when they
 * can't be counted. */
static int64_t clipped_elements(ttm_tt_shape *clipped, const ttm_tt_shape *modes, int64_t rank)
{
    *clipped = *modes;
    ttm_tt_shape_set_rank(clipped, rank);
    ttm_tt_shape_clip(clipped, clipped);
    int64_t total = 0;
    for (int32_t core = 0; core < clipped->core_count; core++) {
        int64_t elements = clipped->ranks[core];
        if (!ttm_tt_multiply(&elements, elements, clipped->in_modes[core]) ||
            !ttm_tt_multiply(&elements, elements, clipped->out_modes[core]) ||
            !ttm_tt_multiply(&elements, elements, clipped->ranks[core + 1]) ||
            __builtin_add_overflow(total, elements, &total)) {
            return INT64_MAX;
        }
    }
    return total;
}

/* Largest uniform rank that fits, by bisection: clipped elements grow with the rank. False when
 * rank 1 is too much. */
static bool fill_budget(ttm_tt_shape *shape, const ttm_tt_shape *modes, int64_t parameters)
{
    if (clipped_elements(shape, modes, 1) > parameters) {
        return false;
    }
    int64_t fits = 1;
    int64_t too_large = MAX_SIZE; /* no bond carries more than the smaller side of the matrix … */
    if (clipped_elements(shape, modes, too_large) <= parameters) {
        return true; /* … so here the bonds are at their limits */
    }
    while (too_large - fits > 1) {
        const int64_t rank = fits + (too_large - fits) / 2;
        if (clipped_elements(shape, modes, rank) <= parameters) {
            fits = rank;
        } else {
            too_large = rank;
        }
    }
    (void)clipped_elements(shape, modes, fits);
    return true;
}

/* The dimension of the set of matrices a clipped shape represents: its numbers less the gauge
 * freedom. */
static int64_t degrees_of_freedom(const ttm_tt_shape *shape)
{
    int64_t freedom = ttm_tt_shape_elements(shape);
    for (int32_t bond = 1; bond < shape->core_count; bond++) {
        freedom -= shape->ranks[bond] * shape->ranks[bond];
    }
    return freedom;
}

ttm_status ttm_tt_shape_from_budget(ttm_tt_shape *shape, int64_t in, int64_t out,
                                    int32_t core_count, int64_t parameters)
{
    TTM_TRY(check_sizes(in, out, 1));
    TTM_TRY(check_core_count(core_count, 0));
    parameters = parameters < INT64_MAX ? parameters : INT64_MAX - 1; /* INT64_MAX: not countable */
    const int32_t least = core_count == 0 ? 1 : core_count;
    const int32_t most = core_count == 0 ? TTM_TT_MAX_CORES : core_count;
    ttm_tt_shape best = {0};
    int64_t least_budget = INT64_MAX;
    for (int32_t cores = least; cores <= most; cores++) {
        ttm_tt_shape modes = {0};
        ttm_tt_shape candidate = {0};
        if (!balance(&modes, in, out, cores)) {
            if (core_count != 0) {
                return fail_too_few_primes(in, out, cores);
            }
            break;
        }
        if (fill_budget(&candidate, &modes, parameters)) {
            if (best.core_count == 0 ||
                degrees_of_freedom(&candidate) > degrees_of_freedom(&best)) {
                best = candidate;
            }
        } else {
            const int64_t smallest = clipped_elements(&candidate, &modes, 1);
            least_budget = smallest < least_budget ? smallest : least_budget;
        }
    }
    if (best.core_count == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%" PRId64 " parameters are too few for a matrix of %" PRId64 " x %" PRId64
                        ": rank 1 needs %" PRId64,
                        parameters, in, out, least_budget);
    }
    TTM_TRY(ttm_tt_shape_check(&best));
    *shape = best;
    return TTM_OK;
}
