/* The search space of CLBlast's parameters: what is drawn can run on the device that it is drawn
 * for. */
#include "opencl/product_space.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

enum { DRAWS = 2000 };

static opencl_limits limits_of(size_t items, uint64_t local_bytes)
{
    return (opencl_limits){.group_items = items,
                           .group_items_of_dimension = {items, items, items},
                           .local_bytes = local_bytes};
}

static uint32_t value_of(const opencl_parameters *parameters, opencl_product_kernel kernel,
                         const char *name)
{
    for (int k = 0; k < opencl_parameter_count(kernel); k++) {
        if (strcmp(opencl_parameter_name(kernel, k), name) == 0) {
            return parameters->values[k];
        }
    }
    CHECK(!"a parameter of that name");
    return 0;
}

static size_t items_of(const opencl_parameters *parameters, opencl_product_kernel kernel)
{
    const int direct = kernel == OPENCL_XGEMM_DIRECT;
    return (size_t)value_of(parameters, kernel, direct ? "MDIMCD" : "MDIMC") *
           value_of(parameters, kernel, direct ? "NDIMCD" : "NDIMC");
}

static uint64_t local_bytes_of(const opencl_parameters *p, opencl_product_kernel kernel)
{
    if (kernel == OPENCL_XGEMM_DIRECT) {
        const uint64_t tile = value_of(p, kernel, "WGD");
        return 4 * (tile * (tile + value_of(p, kernel, "PADA")) +
                    tile * (tile + value_of(p, kernel, "PADB")));
    }
    return 4 * (uint64_t)value_of(p, kernel, "KWG") *
           (value_of(p, kernel, "SA") * value_of(p, kernel, "MWG") +
            value_of(p, kernel, "SB") * value_of(p, kernel, "NWG"));
}

/* Draws many, near the one before in every second draw; returns how many differ from it. */
static int draw_many(opencl_product_kernel kernel, const opencl_limits *limits)
{
    uint64_t state = 42;
    int different = 0;
    opencl_parameters last;
    opencl_parameters next;
    CHECK(opencl_parameters_draw(&last, NULL, kernel, limits, &state));
    for (int draw = 0; draw < DRAWS; draw++) {
        const int near = draw % 2;
        int changes = 0;
        CHECK(opencl_parameters_draw(&next, near ? &last : NULL, kernel, limits, &state));
        CHECK(opencl_parameters_valid(&next, kernel, limits));
        CHECK(items_of(&next, kernel) <= limits->group_items);
        CHECK(local_bytes_of(&next, kernel) <= limits->local_bytes);
        for (int k = 0; k < opencl_parameter_count(kernel); k++) {
            changes += next.values[k] != last.values[k];
        }
        CHECK(!near || (changes >= 1 && changes <= 2));
        different += changes > 0;
        last = next;
    }
    return different;
}

static void known_ones_run_on_a_usual_gpu(opencl_product_kernel kernel)
{
    const opencl_limits usual = limits_of(256, 48 << 10);
    opencl_parameters parameters;
    int count = 0;
    while (opencl_parameters_known(&parameters, kernel, count)) {
        CHECK(opencl_parameters_valid(&parameters, kernel, &usual));
        const opencl_limits fewer_items = limits_of(items_of(&parameters, kernel) - 1, 48 << 10);
        CHECK(!opencl_parameters_valid(&parameters, kernel, &fewer_items));
        const uint64_t bytes = local_bytes_of(&parameters, kernel);
        if (bytes > 0) {
            const opencl_limits less_memory = limits_of(256, bytes - 1);
            CHECK(!opencl_parameters_valid(&parameters, kernel, &less_memory));
        }
        for (int k = 0; k < opencl_parameter_count(kernel); k++) {
            opencl_parameters strange = parameters;
            strange.values[k] = 7;
            CHECK(!opencl_parameters_valid(&strange, kernel, &usual));
        }
        count++;
    }
    CHECK(count > 0);
}

int main(void)
{
    const opencl_limits limits[] = {limits_of(64, 16 << 10), limits_of(256, 32 << 10),
                                    limits_of(1024, 64 << 10)};
    const opencl_limits tiny = limits_of(32, 16 << 10);
    for (int kernel = 0; kernel < OPENCL_PRODUCT_KERNELS; kernel++) {
        uint64_t state = 1;
        opencl_parameters none;
        known_ones_run_on_a_usual_gpu((opencl_product_kernel)kernel);
        for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
            CHECK(draw_many((opencl_product_kernel)kernel, &limits[k]) > DRAWS / 2);
        }
        CHECK(!opencl_parameters_draw(&none, NULL, (opencl_product_kernel)kernel, &tiny, &state));
    }
    puts("ok");
    return 0;
}
