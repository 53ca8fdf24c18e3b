/* Medians, order statistics and Student's distribution. */
#include "bench/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Series ---- */

bool bench_series_begin_round(bench_series *series)
{
    if (series->round_count == BENCH_MAX_ROUNDS) {
        return false;
    }
    series->starts[series->round_count++] = series->count;
    return true;
}

bool bench_series_add(bench_series *series, double value)
{
    if (series->round_count == 0) {
        return false;
    }
    if (series->count == series->capacity) {
        const size_t capacity = series->capacity == 0 ? 64 : 2 * series->capacity;
        double *values = realloc(series->values, capacity * sizeof *values);
        if (values == NULL) {
            return false;
        }
        series->values = values;
        series->capacity = capacity;
    }
    series->values[series->count++] = value;
    return true;
}

size_t bench_series_round(const double **values, const bench_series *series, size_t round)
{
    const size_t end = round + 1 < series->round_count ? series->starts[round + 1] : series->count;
    *values = series->values + series->starts[round];
    return end - series->starts[round];
}

void bench_series_free(bench_series *series)
{
    free(series->values);
    memset(series, 0, sizeof *series);
}

/* ---- Order statistics ---- */

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double *sorted_copy(const double *values, size_t count)
{
    double *copy = count > 0 ? malloc(count * sizeof *copy) : NULL;
    if (copy != NULL) {
        memcpy(copy, values, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, compare_doubles);
    }
    return copy;
}

static double sorted_quantile(const double *sorted, size_t count, double fraction)
{
    const double place = fraction * (double)(count - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

double bench_quantile(const double *values, size_t count, double fraction)
{
    double *sorted = sorted_copy(values, count);
    const double result = sorted != NULL ? sorted_quantile(sorted, count, fraction) : (double)NAN;
    free(sorted);
    return result;
}

double bench_median(const double *values, size_t count)
{
    return bench_quantile(values, count, 0.5);
}

/* P(at most `successes` of `count` fair coins). */
static double coin_probability(size_t successes, size_t count)
{
    double sum = 0.0;
    for (size_t k = 0; k <= successes; k++) {
        const double n = (double)count;
        sum += exp(lgamma(n + 1.0) - lgamma((double)k + 1.0) - lgamma(n - (double)k + 1.0) -
                   n * 0.693147180559945309417232);
    }
    return sum;
}

bench_interval bench_median_interval(const double *values, size_t count, double confidence)
{
    bench_interval interval = {(double)NAN, (double)NAN, 0.0};
    double *sorted = sorted_copy(values, count);
    if (sorted == NULL) {
        return interval;
    }
    /* The median lies outside [x_k, x_{n-1-k}] when at most k values lie on one side of it. */
    size_t cut = 0;
    while (2 * (cut + 1) < count && 2.0 * coin_probability(cut + 1, count) <= 1.0 - confidence) {
        cut++;
    }
    interval.low = sorted[cut];
    interval.high = sorted[count - 1 - cut];
    interval.confidence = 1.0 - 2.0 * coin_probability(cut, count);
    if (interval.confidence < 0.0) {
        interval.confidence = 0.0;
    }
    free(sorted);
    return interval;
}

/* ---- Student's distribution ---- */

/* Continued fraction of the incomplete beta function (Lentz's method, DLMF 8.17.22). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0;
    double d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double fraction = d;
    for (int m = 1; m < 500; m++) {
        const double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        const double terms[2] = {even, odd};
        double change = 1.0;
        for (int k = 0; k < 2; k++) {
            d = 1.0 + terms[k] * d;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = 1.0 + terms[k] / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            fraction *= change;
        }
        if (fabs(change - 1.0) < 1e-14) {
            break;
        }
    }
    return fraction;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0.0 || x >= 1.0) {
        return x <= 0.0 ? 0.0 : 1.0;
    }
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

/* P(T > t), t ≥ 0. */
static double student_tail(double t, double freedom)
{
    return 0.5 * incomplete_beta(0.5 * freedom, 0.5, freedom / (freedom + t * t));
}

double bench_student_quantile(double probability, double degrees_of_freedom)
{
    double low = 0.0;
    double high = 1.0;
    while (student_tail(high, degrees_of_freedom) > 1.0 - probability && high < 1e12) {
        high *= 2.0;
    }
    for (int step = 0; step < 200 && high - low > 1e-12 * high; step++) {
        const double middle = 0.5 * (low + high);
        *(student_tail(middle, degrees_of_freedom) > 1.0 - probability ? &low : &high) = middle;
    }
    return 0.5 * (low + high);
}

/* ---- Comparing ---- */

/* What else a machine does only ever adds time: the lower quartile of a round says more about the
 * program than its median does. */
static const double typical_quantile = 0.25;

/* Logarithms of typical values of rounds, or of stretches of a run. */
typedef struct log_values {
    double values[BENCH_MAX_ROUNDS];
    size_t count;
    double mean;
    double variance; /* Of one of them. */
} log_values;

static void finish_values(log_values *typical)
{
    double sum = 0.0;
    double squares = 0.0;
    for (size_t k = 0; k < typical->count; k++) {
        sum += typical->values[k];
    }
    typical->mean = sum / (double)typical->count;
    for (size_t k = 0; k < typical->count; k++) {
        const double distance = typical->values[k] - typical->mean;
        squares += distance * distance;
    }
    typical->variance = typical->count > 1 ? squares / (double)(typical->count - 1) : 0.0;
}

static void values_of_rounds(log_values *typical, const bench_series *series)
{
    typical->count = 0;
    for (size_t round = 0; round < series->round_count; round++) {
        const double *values = NULL;
        const size_t count = bench_series_round(&values, series, round);
        const double value = bench_quantile(values, count, typical_quantile);
        if (value > 0.0) {
            typical->values[typical->count++] = log(value);
        }
    }
    finish_values(typical);
}

/* Neighbours in time are alike, so a stretch is one observation, not its values. */
static void values_of_stretches(log_values *typical, const bench_series *series)
{
    enum { STRETCHES = 8, LEAST = 3 };
    size_t stretches = series->count / LEAST;
    stretches = stretches > STRETCHES ? STRETCHES : stretches;
    typical->count = 0;
    for (size_t k = 0; k < stretches; k++) {
        const size_t start = series->count * k / stretches;
        const size_t end = series->count * (k + 1) / stretches;
        const double value = bench_quantile(series->values + start, end - start, typical_quantile);
        if (value > 0.0) {
            typical->values[typical->count++] = log(value);
        }
    }
    finish_values(typical);
}

static void set_ratio(bench_comparison *comparison, double difference, double half_width)
{
    comparison->ratio = exp(difference);
    comparison->low = exp(difference - half_width);
    comparison->high = exp(difference + half_width);
}

/* Welch's t: two spreads, two numbers of observations. */
static void compare_unpaired(bench_comparison *comparison, const log_values *a, const log_values *b,
                             double probability, double more_variance)
{
    const double part_a = a->variance / (double)a->count;
    const double part_b = b->variance / (double)b->count;
    const double both = part_a + part_b;
    const double freedom_parts =
        part_a * part_a / ((double)a->count - 1.0) + part_b * part_b / ((double)b->count - 1.0);
    const double freedom = freedom_parts > 0.0 ? fmax(1.0, both * both / freedom_parts) : 1e6;
    const double own = bench_student_quantile(probability, freedom) * sqrt(both);
    const double more = bench_student_quantile(probability, 1e6) * sqrt(more_variance);
    set_ratio(comparison, b->mean - a->mean, sqrt(own * own + more * more));
}

/* Wilcoxon's signed ranks: the most averages of pairs of `count` differences (of (n + 1)·n / 2)
 * that may be cut at either end so that the interval between still holds the middle with at least
 * `probability` on that side; −1 when there are too few differences for any. */
static long signed_rank_cut(size_t count, double probability)
{
    enum { MOST_SUMS = BENCH_MAX_ROUNDS * (BENCH_MAX_ROUNDS + 1) / 2 + 1 };
    static double chance[MOST_SUMS]; /* Of each sum of the ranks of positive differences. */
    size_t largest = 0;
    memset(chance, 0, sizeof chance);
    chance[0] = 1.0;
    for (size_t rank = 1; rank <= count; rank++) {
        largest += rank;
        for (size_t sum = largest + 1; sum-- > 0;) {
            chance[sum] = 0.5 * chance[sum] + (sum >= rank ? 0.5 * chance[sum - rank] : 0.0);
        }
    }
    double tail = 0.0;
    long cut = -1;
    for (size_t sum = 0; sum <= largest; sum++) {
        tail += chance[sum];
        if (tail > 1.0 - probability) {
            break;
        }
        cut = (long)sum;
    }
    return cut;
}

/* Hodges and Lehmann's estimate and its interval: between averages of pairs of differences. One
 * round in which the machine did something else moves it little, whatever it did; Student's
 * interval would grow to many times its width. Returns false where there are too few rounds. */
static bool compare_signed_ranks(bench_comparison *comparison, const log_values *differences,
                                 double probability)
{
    enum { MOST_AVERAGES = BENCH_MAX_ROUNDS * (BENCH_MAX_ROUNDS + 1) / 2 };
    static double averages[MOST_AVERAGES];
    const long cut = signed_rank_cut(differences->count, probability);
    size_t count = 0;
    if (cut < 0) {
        return false;
    }
    for (size_t k = 0; k < differences->count; k++) {
        for (size_t other = k; other < differences->count; other++) {
            averages[count++] = 0.5 * (differences->values[k] + differences->values[other]);
        }
    }
    qsort(averages, count, sizeof *averages, compare_doubles);
    comparison->ratio = exp(sorted_quantile(averages, count, 0.5));
    comparison->low = exp(averages[cut]);
    comparison->high = exp(averages[count - 1 - (size_t)cut]);
    return true;
}

static void compare_paired(bench_comparison *comparison, const log_values *a, const log_values *b,
                           double probability)
{
    log_values differences = {.count = a->count};
    for (size_t k = 0; k < a->count; k++) {
        differences.values[k] = b->values[k] - a->values[k];
    }
    finish_values(&differences);
    comparison->paired = true;
    if (compare_signed_ranks(comparison, &differences, probability)) {
        return;
    }
    const double error = sqrt(differences.variance / (double)differences.count);
    set_ratio(comparison, differences.mean,
              error * bench_student_quantile(probability, (double)differences.count - 1.0));
}

bool bench_compare_series(bench_comparison *comparison, const bench_series *a,
                          const bench_series *b, double confidence)
{
    const double probability = 0.5 + 0.5 * confidence;
    log_values values_a;
    log_values values_b;
    *comparison = (bench_comparison){.ratio = (double)NAN};
    values_of_rounds(&values_a, a);
    values_of_rounds(&values_b, b);
    if (values_a.count >= 3 && values_b.count >= 3) {
        if (values_a.count == values_b.count) {
            compare_paired(comparison, &values_a, &values_b, probability);
        } else {
            compare_unpaired(comparison, &values_a, &values_b, probability, 0.0);
        }
        return true;
    }
    values_of_stretches(&values_a, a);
    values_of_stretches(&values_b, b);
    if (values_a.count < 2 || values_b.count < 2) {
        return false;
    }
    compare_unpaired(comparison, &values_a, &values_b, probability,
                     2.0 * BENCH_RUN_DEVIATION * BENCH_RUN_DEVIATION);
    return true;
}
