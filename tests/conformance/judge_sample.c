/* SAMPLE's tokens: the order is exact, sums may be off by a derived bound, so a token is right if
 * some number of kept tokens and some u within the bound give it. */
#include "conformance/judge_sample.h"

#include "core/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/random.h>

/* A token, in the order in which tokens are kept. Sums are in long double: those of a backend in
 * f64 are judged, too. */
typedef struct ranked {
    double logit;
    long double weight;
    int64_t token;
} ranked;

/* One row. */
typedef struct question {
    const ttm_sample_params *params;
    ranked *order; /* [vocab] */
    int64_t vocab;
    double u;
    double sum_unit;
} question;

static int compare(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    if (a->logit != b->logit) {
        return a->logit > b->logit ? -1 : 1;
    }
    return a->token < b->token ? -1 : 1;
}

/* Sorts the row; false where it has no distribution. */
static bool rank(question *q, const double *logits)
{
    double largest = -INFINITY;
    for (int64_t j = 0; j < q->vocab; j++) {
        if (isnan(logits[j]) || logits[j] == (double)INFINITY) {
            return false;
        }
        largest = fmax(largest, logits[j]);
    }
    if (largest == -(double)INFINITY) {
        return false;
    }
    for (int64_t j = 0; j < q->vocab; j++) {
        const long double distance = (long double)logits[j] - (long double)largest;
        q->order[j] = (ranked){.logit = logits[j], .token = j};
        q->order[j].weight =
            q->params->temperature > 0.0 ? expl(distance / q->params->temperature) : 1.0L;
    }
    qsort(q->order, (size_t)q->vocab, sizeof *q->order, compare);
    return true;
}

/* e of the contract for the `count` first tokens, and the sum of their weights. */
static double allowed_error(long double *sum, const question *q, int64_t count)
{
    long double weighted = 0.0L;
    *sum = 0.0L;
    for (int64_t i = 0; i < count; i++) {
        const long double weight = q->order[i].weight;
        *sum += weight;
        weighted += weight > 0.0L ? weight * (16.0L + 4.0L * fabsl(logl(weight))) : 0.0L;
    }
    return q->sum_unit * (8.0 * sqrt((double)q->vocab / 3.0) + (double)(weighted / *sum));
}

/* How far `value` lies outside [low, high). */
static double outside(double value, long double low, long double high)
{
    return (double)fmaxl(fmaxl(low - (long double)value, (long double)value - high), 0.0L);
}

/* The least error, in parts of what is allowed, with which the token at `place` of the order is
 * drawn; infinite where no error helps. */
static double error_of(const question *q, int64_t place)
{
    const ttm_sample_params *params = q->params;
    const int64_t most = params->top_k > 0 && params->top_k < q->vocab ? params->top_k : q->vocab;
    const ranked *drawn = &q->order[place];
    long double all = 0.0L;
    long double sum = 0.0L;   /* of the tokens kept */
    long double below = 0.0L; /* of those of them with lower numbers */
    double least = INFINITY;
    const double allowed = allowed_error(&all, q, most);
    for (int64_t kept = 1; kept <= most; kept++) {
        const ranked *last = &q->order[kept - 1];
        const long double before = sum;
        sum += last->weight;
        below += last->token < drawn->token ? last->weight : 0.0L;
        /* As many are kept for a top_p above what those before the last make up, up to what they
         * make up with it. All are kept with top_p 1, which isn't compared with anything. */
        const double wrong_p = params->top_p < 1.0 ? outside(params->top_p, before / all, sum / all)
                                                   : (kept == most ? 0.0 : (double)INFINITY);
        if (place >= kept || wrong_p > allowed) {
            continue;
        }
        const double wrong_u = outside(q->u, below / sum, (below + drawn->weight) / sum);
        least = fmin(least, fmax(wrong_p, wrong_u) / allowed);
    }
    return least;
}

/* Where a token stands in the order; vocab for what is no token. */
static int64_t place_of(const question *q, double got)
{
    int64_t place = 0;
    while (place < q->vocab && (double)q->order[place].token != got) {
        place++;
    }
    return place;
}

/* Judges one token: its error in parts of what is allowed. */
static double judge(question *q, const double *logits, double got)
{
    if (!rank(q, logits)) {
        return got == -1.0 ? 0.0 : (double)INFINITY;
    }
    const int64_t place = place_of(q, got);
    if (q->params->temperature == 0.0 || q->params->top_k == 1) {
        return place == 0 ? 0.0 : (double)INFINITY;
    }
    const bool possible = place < q->vocab && q->order[place].weight > 0.0L;
    return possible ? error_of(q, place) : (double)INFINITY;
}

static int compare_tokens(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    return a->token < b->token ? -1 : 1;
}

/* How many of the order's first tokens are kept where nothing rounds. */
static int64_t count_kept(const question *q)
{
    const ttm_sample_params *params = q->params;
    const int64_t most = params->top_k > 0 && params->top_k < q->vocab ? params->top_k : q->vocab;
    long double all = 0.0L;
    long double sum = q->order[0].weight;
    int64_t kept = 1;
    for (int64_t i = 0; i < most; i++) {
        all += q->order[i].weight;
    }
    while (params->top_p < 1.0 && kept < most && sum < (long double)params->top_p * all) {
        sum += q->order[kept++].weight;
    }
    return params->top_p < 1.0 ? kept : most;
}

/* What the kept tokens are drawn by: the right token and the one that came, with their intervals of
 * the running sum, in parts of the sum. */
typedef struct drawing {
    int64_t kept;
    int64_t right;
    long double right_from, right_to;
    long double got_from, got_to;
} drawing;

/* Leaves the first tokens of the order sorted by number. */
static drawing draw_exactly(const question *q, int64_t kept, double got)
{
    drawing drawn = {.kept = kept, .right = -1};
    long double sum = 0.0L;
    long double before = 0.0L;
    for (int64_t i = 0; i < kept; i++) {
        sum += q->order[i].weight;
    }
    qsort(q->order, (size_t)kept, sizeof *q->order, compare_tokens);
    for (int64_t i = 0; i < kept; i++) {
        const ranked *token = &q->order[i];
        const long double after = before + token->weight;
        /* The last with a weight is right where u is so near 1 that the sums' own rounding counts.
         */
        if (token->weight > 0.0L && (drawn.right < 0 || before <= (long double)q->u * sum)) {
            drawn.right = token->token;
            drawn.right_from = before / sum;
            drawn.right_to = after / sum;
        }
        if ((double)token->token == got) {
            drawn.got_from = before / sum;
            drawn.got_to = after / sum;
        }
        before = after;
    }
    return drawn;
}

/* What keeps the token that came from being drawn. */
static void describe_part(char *text, size_t text_bytes, const ranked *came, int64_t place,
                          const drawing *drawn)
{
    if (came->weight <= 0.0L) {
        snprintf(text, text_bytes, "has no weight");
    } else if (place >= drawn->kept) {
        snprintf(text, text_bytes, "isn't kept, as number %lld of the order", (long long)place + 1);
    } else {
        snprintf(text, text_bytes, "has [%.9Lg, %.9Lg)", drawn->got_from, drawn->got_to);
    }
}

/* Why a token with a place in the order isn't the one that is drawn. */
static void explain_draw(char *text, size_t text_bytes, const question *q, int64_t place,
                         double error)
{
    const ranked came = q->order[place];
    const drawing drawn = draw_exactly(q, count_kept(q), (double)came.token);
    char part[80];
    char distance[64] = "";
    describe_part(part, sizeof part, &came, place, &drawn);
    if (isfinite(error)) {
        snprintf(distance, sizeof distance, ", %.3g times as far off as rounding may be", error);
    }
    snprintf(text, text_bytes,
             "not %lld: u = %.9g lies in its part [%.9Lg, %.9Lg) of the weight of the %lld tokens "
             "kept; token %lld %s%s",
             (long long)drawn.right, q->u, drawn.right_from, drawn.right_to, (long long)drawn.kept,
             (long long)came.token, part, distance);
}

/* "not TOKEN: WHY" for a token that is wrong. */
static void explain(char *text, size_t text_bytes, question *q, const double *logits, double got,
                    double error)
{
    if (!rank(q, logits)) {
        snprintf(text, text_bytes, "not -1: a logit is NaN or +inf, or none is above -inf");
        return;
    }
    const int64_t place = place_of(q, got);
    const bool takes_first = q->params->temperature == 0.0 || q->params->top_k == 1;
    const ranked first = q->order[0];
    if (takes_first && place < q->vocab) {
        snprintf(text, text_bytes,
                 "not %lld: temperature 0 or top_k 1 takes the first of the largest logits, which "
                 "is %.9g; token %.0f has %.9g",
                 (long long)first.token, first.logit, got, q->order[place].logit);
    } else if (place < q->vocab) {
        explain_draw(text, text_bytes, q, place, error);
    } else {
        const int64_t right = takes_first ? first.token : draw_exactly(q, count_kept(q), got).right;
        snprintf(text, text_bytes, "not %lld: the row's tokens are 0 to %lld", (long long)right,
                 (long long)q->vocab - 1);
    }
}

static void fail_row(check_verdict *verdict, question *q, const double *logits, int64_t row,
                     double got, double error)
{
    char why[320];
    explain(why, sizeof why, q, logits, got, error);
    verdict->outcome = CHECK_FAILED;
    snprintf(verdict->message, sizeof verdict->message,
             "tokens[%lld] is %.0f, %s (temperature %g, top_k %lld, top_p %g)", (long long)row, got,
             why, q->params->temperature, (long long)q->params->top_k, q->params->top_p);
}

ttm_status judge_sample(check_verdict *verdict, const unsigned char *image,
                        const conformance_case *made)
{
    const struct operand *logits = &made->slots[TTM_SAMPLE_LOGITS];
    const struct operand *tokens = &made->slots[TTM_SAMPLE_TOKENS];
    const double *random = made->slots[TTM_SAMPLE_RANDOM].values;
    question q = {.params = &made->params.sample,
                  .vocab = logits->shape[1],
                  .sum_unit = made->dtype == TTM_F64 ? 0x1p-53 : 0x1p-24};
    int64_t wrong = 0;
    q.order = calloc((size_t)q.vocab + 1, sizeof *q.order);
    if (q.order == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a row's order");
    }
    for (int64_t row = 0; row < tokens->count; row++) {
        const double got = operand_read_image(image, tokens, row);
        q.u = ttm_uniform_f64((uint32_t)(int32_t)random[2 * row],
                              (uint32_t)(int32_t)random[2 * row + 1]);
        const double error = judge(&q, logits->values + row * q.vocab, got);
        verdict->worst = fmax(verdict->worst, error);
        if (error > 1.0 && wrong++ == 0) {
            fail_row(verdict, &q, logits->values + row * q.vocab, row, got, error);
        }
    }
    free(q.order);
    if (wrong > 0) {
        const size_t length = strlen(verdict->message);
        snprintf(verdict->message + length, sizeof verdict->message - length,
                 "; %lld of %lld tokens are wrong", (long long)wrong, (long long)tokens->count);
    }
    return TTM_OK;
}
