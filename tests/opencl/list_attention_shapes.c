/* Prints the shapes of the attention kernels on matrix units, one a line and way of dropout: the
 * kernel's file, build options, local memory. A shape that isn't valid is a failure; so is a rule
 * that lets a wrong one pass. */
#include "opencl/attention_units.h"

#include <stdio.h>

static int check_rules(void)
{
    /* What each one lacks: local memory; rows of a fragment; a slice of whole tiles under a running
     * maximum; chunks for all work-items; a head size; fewer work-items; three parts at most; one
     * slice a split tile; local memory for three parts. */
    static const opencl_attention_shape wrong[] = {
        {OPENCL_ATTENTION_FORWARD, 1, 128, 128, 16, 64, 64, 0, 0},
        {OPENCL_ATTENTION_FORWARD, 1, 64, 128, 8, 64, 64, 1, 0},
        {OPENCL_ATTENTION_FORWARD, 1, 64, 128, 32, 64, 32, 1, 0},
        {OPENCL_ATTENTION_DQ, 1, 64, 128, 16, 16, 16, 1, 0},
        {OPENCL_ATTENTION_DKDV, 1, 96, 64, 16, 32, 32, 1, 0},
        {OPENCL_ATTENTION_FORWARD, 1, 64, 192, 16, 64, 64, 1, 0},
        {OPENCL_ATTENTION_DQ, 4, 64, 64, 16, 16, 16, 1, 0},
        {OPENCL_ATTENTION_DQ, 2, 64, 128, 16, 32, 16, 1, 0},
        {OPENCL_ATTENTION_DKDV, 3, 64, 64, 16, 32, 32, 0, 0},
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

/* Whether what is found is for this kernel, takes dropout where it must, and not where it is for
 * that alone. */
static int is_found(opencl_attention_kernel kernel, int parts, int head_size, int choice,
                    opencl_attention_dropout dropout)
{
    const opencl_attention_shape *found =
        opencl_attention_find(kernel, parts, head_size, choice, dropout);
    return found != NULL && found->kernel == kernel && found->parts == parts &&
           found->head_size == head_size &&
           (dropout == OPENCL_ATTENTION_KEEPS_ALL ? found->takes_dropout != 2
                                                  : found->takes_dropout);
}

/* Every kernel has a shape for both head sizes in every choice, with dropout and without; for split
 * TF32 and f32 tensors with heads of 64 likewise. */
static int check_choices(void)
{
    int failures = 0;
    for (int kernel = OPENCL_ATTENTION_FORWARD; kernel <= OPENCL_ATTENTION_DKDV; kernel++) {
        for (int i = 0; i < 2 * 2 * OPENCL_ATTENTION_CHOICES; i++) {
            const int head_size = i % 2 == 0 ? 64 : 128;
            const int dropout =
                i / 2 % 2 == 0 ? OPENCL_ATTENTION_KEEPS_ALL : OPENCL_ATTENTION_DROPS;
            if (!is_found((opencl_attention_kernel)kernel, 1, head_size, i / 4,
                          (opencl_attention_dropout)dropout)) {
                fprintf(stderr, "FAILED: kernel %d has no shape for %d, dropout %d\n", kernel,
                        head_size, dropout);
                failures++;
            }
        }
        for (int i = 0; i < 2 * 2 * OPENCL_ATTENTION_CHOICES; i++) {
            const int parts = 2 + i % 2;
            const int dropout =
                i / 2 % 2 == 0 ? OPENCL_ATTENTION_KEEPS_ALL : OPENCL_ATTENTION_DROPS;
            if (!is_found((opencl_attention_kernel)kernel, parts, 64, i / 4,
                          (opencl_attention_dropout)dropout)) {
                fprintf(stderr, "FAILED: kernel %d has no shape in %d parts, dropout %d\n", kernel,
                        parts, dropout);
                failures++;
            }
        }
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
            printf("%s %s %d\n", files[shapes[i].kernel], options,
                   opencl_attention_shape_bytes(&shapes[i]));
        }
    }
    return failures == 0 ? 0 : 1;
}
