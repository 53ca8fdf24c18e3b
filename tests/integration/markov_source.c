/* A source of text whose entropy rate is known: a Markov chain over letters in which every row of
 * the transition matrix is the same set of probabilities in another order. Whatever the state, the
 * next letter has the same entropy, so the rate is Σ −p·ln p, whatever the chain's stationary
 * distribution.
 *
 *     markov_source BYTES SEED > text        prints the rate in nats per byte on stderr
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ttm/random.h>

enum { LETTERS = 12 };

/* The probabilities of a row, before they are put into its order. They add up to 1. */
static const double probabilities[LETTERS] = {0.40, 0.20, 0.12, 0.08, 0.06, 0.04,
                                              0.03, 0.02, 0.02, 0.01, 0.01, 0.01};

static double entropy_rate(void)
{
    double rate = 0.0;
    for (int i = 0; i < LETTERS; i++) {
        rate -= probabilities[i] * log(probabilities[i]);
    }
    return rate;
}

/* order[i] = the letter that gets probability i: a random permutation (Fisher and Yates). */
static void shuffle(int order[LETTERS], ttm_random *random)
{
    for (int i = 0; i < LETTERS; i++) {
        order[i] = i;
    }
    for (int i = LETTERS - 1; i > 0; i--) {
        const int other = (int)(ttm_random_u32(random) % (uint32_t)(i + 1));
        const int kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

static int draw(const int order[LETTERS], ttm_random *random)
{
    double left = ttm_random_uniform(random);
    for (int i = 0; i < LETTERS - 1; i++) {
        left -= probabilities[i];
        if (left < 0.0) {
            return order[i];
        }
    }
    return order[LETTERS - 1];
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: markov_source BYTES SEED\n");
        return 2;
    }
    const long bytes = strtol(argv[1], NULL, 10);
    ttm_random random = {.seed = strtoull(argv[2], NULL, 10)};
    int orders[LETTERS][LETTERS];
    for (int letter = 0; letter < LETTERS; letter++) {
        shuffle(orders[letter], &random);
    }
    int letter = 0;
    for (long i = 0; i < bytes; i++) {
        putchar('a' + letter);
        letter = draw(orders[letter], &random);
    }
    fprintf(stderr, "%.6f\n", entropy_rate());
    return fflush(stdout) == 0 ? 0 : 1;
}
