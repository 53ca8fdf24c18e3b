/* What repeated measurements say: medians, intervals that hold them with a stated confidence, and
 * whether two sets of them differ. Times are positive; none of these functions allocates for more
 * than a copy of its input. */
#ifndef TTM_TOOLS_BENCH_STATISTICS_H
#define TTM_TOOLS_BENCH_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

enum { BENCH_MAX_ROUNDS = 64 };

/** Measurements of one thing, in the order in which they were taken, in rounds: a round is one run
 * of the program. Zeroed means empty. */
typedef struct bench_series {
    double *values;
    size_t count;
    size_t capacity;
    size_t starts[BENCH_MAX_ROUNDS]; /**< First value of each round. */
    size_t round_count;
} bench_series;

/** Begins a round. Returns false without room for one more. */
bool bench_series_begin_round(bench_series *series);

/** Appends a value to the last round. Returns false without memory or round. */
bool bench_series_add(bench_series *series, double value);

/** Returns the number of values of a round, and in *values where they are. */
size_t bench_series_round(const double **values, const bench_series *series, size_t round);

/** Frees a series and empties it. */
void bench_series_free(bench_series *series);

/** An interval, and the probability with which such intervals hold the true value. */
typedef struct bench_interval {
    double low;
    double high;
    double confidence;
} bench_interval;

/** Returns the value below which `fraction` of the values lie; NaN for none. */
double bench_quantile(const double *values, size_t count, double fraction);

/** Returns the median; NaN for no values. */
double bench_median(const double *values, size_t count);

/** Returns the order-statistics interval of the median: between two of the values, by the binomial
 * distribution, with no assumption about theirs. `confidence` is what is wished; with few values
 * the interval is their whole range and says which confidence that has. */
bench_interval bench_median_interval(const double *values, size_t count, double confidence);

/** Returns the quantile of Student's distribution: P(T ≤ t) = probability, ½ ≤ probability < 1. */
double bench_student_quantile(double probability, double degrees_of_freedom);

/** How B compares with A. */
typedef struct bench_comparison {
    double ratio; /**< Time of B over time of A. */
    double low;   /**< Confidence interval of the ratio. */
    double high;
    bool paired; /**< Round by round: what changed between rounds has cancelled. */
} bench_comparison;

/** How much two runs of one program on one machine differ when nothing has changed (standard
 * deviation of the logarithm of a typical time): memory layout, clocks. Counted for where there are
 * too few rounds to see it. */
#define BENCH_RUN_DEVIATION 0.007

/** *comparison = the ratio of typical values (lower quartiles of rounds) of `b` and `a`. With three
 * or more rounds on both sides the spread between rounds counts (pairwise where they are equally
 * many, by signed ranks if they are enough for the confidence, else by Student's distribution; by
 * Welch's method where they aren't equally many); with fewer, that between stretches of time within
 * a run, and BENCH_RUN_DEVIATION. Returns false where there are too few values for any statement.
 */
bool bench_compare_series(bench_comparison *comparison, const bench_series *a,
                          const bench_series *b, double confidence);

#endif
