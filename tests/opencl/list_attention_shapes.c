/* Prints the shapes of the attention kernels on matrix units, one a line and way of dropout: the
 * kernel's file, build options, local memory. A shape that isn't valid is a failure; so is a rule
 * that lets a wrong one pass. */
#include "opencl/attention_shapes.h"

#include <stdio.h>

static int check_rules(void)
{
    /* What each one lacks: local memory; rows of a fragment; a slice of whole tiles under a running
     * maximum; chunks for all work-items; a head size; fewer work-items; three parts at most; one
     * slice a split tile; local memory for three parts; of a warpgroup 16 rows a warp, rows in
     * registers, two parts at most. */
    static const opencl_attention_shape wrong[] = {
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 128, 128, 16, 64, 64, 0, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 64, 128, 8, 64, 64, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 64, 128, 32, 64, 32, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 1, 64, 128, 16, 16, 16, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 1, 96, 64, 16, 32, 32, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 64, 192, 16, 64, 64, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 4, 64, 64, 16, 16, 16, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 2, 64, 128, 16, 32, 16, 1, 0},
        {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 3, 64, 64, 16, 32, 32, 0, 0},
        {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 64, 128, 32, 64, 64, 1, 0},
        {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 64, 64, 16, 64, 64, 0, 0},
        {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 3, 64, 128, 16, 32, 32, 1, 0},
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (opencl_attention_shape_is_valid(&wrong[i])) {
            fprintf(stderr, "FAILED: wrong shape %zu passes\n", i);
            failures++;
        }
    }
    return failures;
}

/* Whether what is found is what was asked for, of the unit where that has any, takes dropout where
 * it must, and isn't for dropout alone elsewhere. */
static int check_found(const opencl_attention_request *asked, int has_wide)
{
    const opencl_attention_shape *found = opencl_attention_find(asked);
    const opencl_unit unit =
        asked->unit == OPENCL_UNIT_WGMMA && has_wide ? OPENCL_UNIT_WGMMA : OPENCL_UNIT_MMA;
    if (found != NULL && found->unit == unit && found->kernel == asked->kernel &&
        found->parts == asked->parts && found->head_size == asked->head_size &&
        (asked->dropout == OPENCL_ATTENTION_KEEPS_ALL ? found->takes_dropout != 2
                                                      : found->takes_dropout)) {
        return 0;
    }
    fprintf(stderr, "FAILED: unit %d, kernel %d, %d parts, head %d, choice %d, dropout %d\n",
            (int)asked->unit, (int)asked->kernel, asked->parts, asked->head_size, asked->choice,
            (int)asked->dropout);
    return 1;
}

/* Every kernel has a shape for both head sizes in every choice, with dropout and without; for split
 * TF32 and f32 tensors with heads of 64. wgmma has all of these but f32 and dropout in dk and dv of
 * 128. */
static int check_choices(void)
{
    int failures = 0;
    for (int i = 0; i < 3 * 2 * 4 * OPENCL_ATTENTION_CHOICES * 2; i++) {
        const int operands = i / 6 % 4; /* bf16 of both head sizes, two parts, three */
        const opencl_attention_request asked = {
            .kernel = (opencl_attention_kernel)(i % 3),
            .unit = i / 3 % 2 ? OPENCL_UNIT_WGMMA : OPENCL_UNIT_MMA,
            .parts = operands < 2 ? 1 : operands,
            .head_size = operands == 1 ? 128 : 64,
            .choice = i / 24 % OPENCL_ATTENTION_CHOICES,
            .dropout = i / 24 / OPENCL_ATTENTION_CHOICES ? OPENCL_ATTENTION_DROPS
                                                         : OPENCL_ATTENTION_KEEPS_ALL};
        const int has_wide = asked.parts < 3 && !(asked.kernel == OPENCL_ATTENTION_DKDV &&
                                                  asked.head_size == 128 && asked.dropout);
        failures += check_found(&asked, has_wide);
    }
    return failures;
}

int main(void)
{
    static const char *const files[] = {"attention_matrix_units", "attention_dq_matrix_units",
                                        "attention_dkdv_matrix_units"};
    char options[OPENCL_ATTENTION_OPTIONS_BYTES];
    int count = 0;
    int failures = check_rules() + check_choices();
    const opencl_attention_shape *shapes = opencl_attention_shapes(&count);
    for (int i = 0; i < count; i++) {
        if (!opencl_attention_shape_is_valid(&shapes[i])) {
            fprintf(stderr, "FAILED: shape %d isn't valid\n", i);
            failures++;
        }
        const int least = shapes[i].takes_dropout == 2 ? OPENCL_ATTENTION_DROPS_OF_FOURS : 0;
        const int most = shapes[i].takes_dropout ? OPENCL_ATTENTION_DROPS : 0;
        for (int dropout = least; dropout <= most; dropout++) {
            opencl_attention_shape_options(options, &shapes[i], (opencl_attention_dropout)dropout);
            printf("%s %s%s %d\n", files[shapes[i].kernel], options,
                   opencl_attention_shape_compiler(&shapes[i], (opencl_attention_dropout)dropout),
                   opencl_attention_shape_bytes(&shapes[i]));
        }
    }
    return failures == 0 ? 0 : 1;
}
