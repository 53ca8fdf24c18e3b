/* Prints the variants of the kernel on matrix units, one a line: the unit, and build options, those
 * of its own compiler among them. A variant that isn't valid is a failure; so is a rule that lets a
 * wrong one pass. */
#include "opencl/matrix_units.h"

#include <stdio.h>

static int check_rules(void)
{
    /* What each one lacks: chunks for all work-items; local memory; a warp that divides the tile; a
     * depth; columns of wgmma; rows of a warp; stages; parts; stages and parts without asynchronous
     * copies; a warp of whole fragments; local memory with mbarriers; bulk copies; 16 of depth
     * where wgmma takes f32 in three parts; sums that may go on; stages; packed operands that don't
     * overlap; a unit that works by itself; of clusters packed operands, few groups, equal
     * shares, a group; and of halves packed operands, two parts, groups by themselves, no maps,
     * and chunks for all work-items; packed bf16 of a unit without bulk copies. */
    static const opencl_unit_variant wrong[] = {
        {OPENCL_UNIT_MMA, 3, 128, 64, 16, 32, 32, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 128, 128, 32, 64, 32, 4, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 128, 128, 32, 48, 32, 3, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 128, 128, 48, 64, 32, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 256, 32, 16, 256, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 32, 128, 3, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 128, 128, 32, 64, 32, 1, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 4, 64, 64, 16, 32, 32, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_DPAS, 1, 64, 64, 32, 32, 16, 3, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MFMA, 2, 64, 64, 16, 32, 32, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MFMA, 1, 64, 64, 32, 8, 64, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 16, 128, 3, 1, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 64, 64, 32, 32, 32, 2, 1, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 3, 64, 64, 32, 16, 64, 2, 0, 0, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 3, 64, 64, 16, 16, 64, 3, 0, 1, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 64, 64, 32, 16, 64, 2, 0, 1, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 1, 1, 1, 0, 0},
        {OPENCL_UNIT_MMA, 1, 64, 64, 32, 32, 32, 3, 0, 1, 1, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 32, 16, 128, 3, 0, 0, 2, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 4, 4, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 3, 1, 0, 0},
        {OPENCL_UNIT_WGMMA, 1, 128, 128, 16, 16, 128, 5, 1, 0, 0, 0, 0, 0},
        {OPENCL_UNIT_WGMMA, 2, 64, 64, 32, 16, 64, 2, 0, 0, 1, 1, 0, 1},
        {OPENCL_UNIT_WGMMA, 1, 128, 96, 16, 16, 96, 3, 1, 0, 1, 1, 0, 1},
        {OPENCL_UNIT_WGMMA, 2, 128, 64, 16, 16, 64, 3, 1, 0, 2, 1, 0, 1},
        {OPENCL_UNIT_WGMMA, 2, 64, 64, 32, 16, 64, 2, 1, 0, 1, 1, 1, 1},
        {OPENCL_UNIT_MMA, 2, 64, 32, 16, 16, 16, 3, 1, 0, 1, 1, 0, 1},
        {OPENCL_UNIT_MMA, 1, 64, 64, 32, 32, 32, 3, 1, 0, 1, 1, 0, 0},
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (opencl_unit_variant_is_valid(&wrong[i])) {
            fprintf(stderr, "FAILED: wrong variant %zu passes\n", i);
            failures++;
        }
    }
    return failures;
}

int main(void)
{
    int count = 0;
    int failures = check_rules();
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int i = 0; i < count; i++) {
        const opencl_unit_variant *variant = &variants[i];
        if (!opencl_unit_variant_is_valid(variant)) {
            fprintf(stderr, "FAILED: variant %d isn't valid\n", i);
            failures++;
        }
        char options[OPENCL_UNIT_OPTIONS_BYTES];
        opencl_unit_variant_write(options, variant);
        printf("%s %s -DDATA=%d%s\n", opencl_unit_name(variant->unit), options,
               variant->parts > 1 ? 1 : 2, opencl_unit_variant_compiler(variant));
    }
    return failures == 0 ? 0 : 1;
}
