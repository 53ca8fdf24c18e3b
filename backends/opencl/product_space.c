/* The rules are those that the kernels' text implies: every work-item has whole vectors of a tile
 * to load and to compute. GEMMK = 1, CLBlast's second large kernel, isn't tried: its batched form
 * pads the depth to less than that kernel steps by. */
#include "opencl/product_space.h"

#include <string.h>

enum {
    MOST_VALUES = 5,
    TRIES = 1000,
    MOST_SUMS = 128, /* An item's partial sums; more don't fit its registers. */
};

enum { GEMMK, KREG, KWG, KWI, MDIMA, MDIMC, MWG, NDIMB, NDIMC, NWG, SA, SB, STRM, STRN, VWM, VWN };
enum { KWID, MDIMAD, MDIMCD, NDIMBD, NDIMCD, PADA, PADB, VWMD, VWND, WGD };

/* A parameter and the values that are tried. */
typedef struct parameter {
    const char *name;
    uint32_t count;
    uint32_t values[MOST_VALUES];
} parameter;

typedef struct kernel_space {
    const char *name;
    int count;
    parameter parameters[OPENCL_MOST_PARAMETERS];
} kernel_space;

static const kernel_space spaces[OPENCL_PRODUCT_KERNELS] = {
    [OPENCL_XGEMM] = {"Xgemm",
                      16,
                      {[GEMMK] = {"GEMMK", 1, {0}},
                       [KREG] = {"KREG", 1, {1}},
                       [KWG] = {"KWG", 2, {16, 32}},
                       [KWI] = {"KWI", 2, {2, 8}},
                       [MDIMA] = {"MDIMA", 3, {8, 16, 32}},
                       [MDIMC] = {"MDIMC", 3, {8, 16, 32}},
                       [MWG] = {"MWG", 4, {16, 32, 64, 128}},
                       [NDIMB] = {"NDIMB", 3, {8, 16, 32}},
                       [NDIMC] = {"NDIMC", 3, {8, 16, 32}},
                       [NWG] = {"NWG", 4, {16, 32, 64, 128}},
                       [SA] = {"SA", 2, {0, 1}},
                       [SB] = {"SB", 2, {0, 1}},
                       [STRM] = {"STRM", 2, {0, 1}},
                       [STRN] = {"STRN", 2, {0, 1}},
                       [VWM] = {"VWM", 4, {1, 2, 4, 8}},
                       [VWN] = {"VWN", 4, {1, 2, 4, 8}}}},
    [OPENCL_XGEMM_DIRECT] = {"XgemmDirect",
                             10,
                             {[KWID] = {"KWID", 3, {2, 8, 16}},
                              [MDIMAD] = {"MDIMAD", 3, {8, 16, 32}},
                              [MDIMCD] = {"MDIMCD", 3, {8, 16, 32}},
                              [NDIMBD] = {"NDIMBD", 3, {8, 16, 32}},
                              [NDIMCD] = {"NDIMCD", 3, {8, 16, 32}},
                              [PADA] = {"PADA", 2, {0, 1}},
                              [PADB] = {"PADB", 2, {0, 1}},
                              [VWMD] = {"VWMD", 4, {1, 2, 4, 8}},
                              [VWND] = {"VWND", 4, {1, 2, 4, 8}},
                              [WGD] = {"WGD", 4, {8, 16, 32, 64}}}},
};

/* Square tiles of 128 and 64 in local memory with vectors of 4, tiles of 64 without it with vectors
 * of 8; for the direct kernel tiles of 32 and 64. Columns in the order of the names above. */
static const opencl_parameters known[OPENCL_PRODUCT_KERNELS][3] = {
    [OPENCL_XGEMM] = {{{0, 1, 16, 2, 16, 16, 128, 16, 16, 128, 1, 1, 0, 0, 4, 4}},
                      {{0, 1, 32, 2, 8, 8, 64, 8, 8, 64, 1, 1, 0, 0, 4, 4}},
                      {{0, 1, 32, 2, 8, 8, 64, 8, 8, 64, 0, 0, 0, 0, 8, 8}}},
    [OPENCL_XGEMM_DIRECT] = {{{2, 8, 8, 8, 8, 1, 1, 2, 2, 32}},
                             {{2, 16, 16, 16, 16, 1, 1, 4, 4, 64}},
                             {{2, 8, 8, 8, 8, 1, 1, 8, 8, 64}}},
};

const char *opencl_product_kernel_name(opencl_product_kernel kernel)
{
    return spaces[kernel].name;
}

int opencl_parameter_count(opencl_product_kernel kernel)
{
    return spaces[kernel].count;
}

const char *opencl_parameter_name(opencl_product_kernel kernel, int k)
{
    return spaces[kernel].parameters[k].name;
}

/* ---- Validity ---- */

static int is_multiple(uint32_t value, uint32_t part)
{
    return part > 0 && value % part == 0;
}

static int values_are_listed(const opencl_parameters *parameters, const kernel_space *space)
{
    for (int k = 0; k < space->count; k++) {
        const parameter *one = &space->parameters[k];
        uint32_t place = 0;
        while (place < one->count && one->values[place] != parameters->values[k]) {
            place++;
        }
        if (place == one->count) {
            return 0;
        }
    }
    return 1;
}

static int group_fits(uint32_t m_items, uint32_t n_items, uint64_t local_bytes,
                      const opencl_limits *limits)
{
    return (size_t)m_items * n_items <= limits->group_items &&
           m_items <= limits->group_items_of_dimension[0] &&
           n_items <= limits->group_items_of_dimension[1] && local_bytes <= limits->local_bytes;
}

static int xgemm_is_valid(const uint32_t *v, const opencl_limits *limits)
{
    const uint32_t items = v[MDIMC] * v[NDIMC];
    const uint64_t local_floats = (uint64_t)v[KWG] * (v[SA] * v[MWG] + v[SB] * v[NWG]);
    return is_multiple(v[KWG], v[KWI]) && is_multiple(v[MWG], v[MDIMC] * v[VWM]) &&
           is_multiple(v[NWG], v[NDIMC] * v[VWN]) && is_multiple(v[MWG], v[MDIMA] * v[VWM]) &&
           is_multiple(v[NWG], v[NDIMB] * v[VWN]) && is_multiple(items, v[MDIMA]) &&
           is_multiple(items, v[NDIMB]) && is_multiple(v[KWG], items / v[MDIMA]) &&
           is_multiple(v[KWG], items / v[NDIMB]) && v[MWG] * v[NWG] / items <= MOST_SUMS &&
           group_fits(v[MDIMC], v[NDIMC], 4 * local_floats, limits);
}

static int direct_is_valid(const uint32_t *v, const opencl_limits *limits)
{
    const uint32_t items = v[MDIMCD] * v[NDIMCD];
    const uint64_t local_floats = (uint64_t)v[WGD] * (2 * v[WGD] + v[PADA] + v[PADB]);
    return is_multiple(v[WGD], v[KWID]) && is_multiple(v[WGD], v[MDIMCD] * v[VWMD]) &&
           is_multiple(v[WGD], v[NDIMCD] * v[VWND]) && is_multiple(v[WGD], v[MDIMAD] * v[VWMD]) &&
           is_multiple(v[WGD], v[NDIMBD] * v[VWND]) && is_multiple(items, v[MDIMAD]) &&
           is_multiple(items, v[NDIMBD]) && is_multiple(v[WGD], items / v[MDIMAD]) &&
           is_multiple(v[WGD], items / v[NDIMBD]) && v[WGD] * v[WGD] / items <= MOST_SUMS &&
           group_fits(v[MDIMCD], v[NDIMCD], 4 * local_floats, limits);
}

int opencl_parameters_valid(const opencl_parameters *parameters, opencl_product_kernel kernel,
                            const opencl_limits *limits)
{
    return values_are_listed(parameters, &spaces[kernel]) &&
           (kernel == OPENCL_XGEMM ? xgemm_is_valid(parameters->values, limits)
                                   : direct_is_valid(parameters->values, limits));
}

/* ---- Choice ---- */

int opencl_parameters_known(opencl_parameters *parameters, opencl_product_kernel kernel, int number)
{
    if (number < 0 || number >= (int)(sizeof known[kernel] / sizeof known[kernel][0])) {
        return 0;
    }
    *parameters = known[kernel][number];
    return 1;
}

/* xorshift64*: which combinations are tried needn't be random in any stronger sense. */
static uint32_t below(uint32_t count, uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1du) >> 33) % count;
}

static void draw_value(opencl_parameters *parameters, const kernel_space *space, int k,
                       uint64_t *state)
{
    const parameter *one = &space->parameters[k];
    parameters->values[k] = one->values[below(one->count, state)];
}

int opencl_parameters_draw(opencl_parameters *parameters, const opencl_parameters *near,
                           opencl_product_kernel kernel, const opencl_limits *limits,
                           uint64_t *state)
{
    const kernel_space *space = &spaces[kernel];
    for (int attempt = 0; attempt < TRIES; attempt++) {
        memset(parameters, 0, sizeof *parameters);
        if (near != NULL) {
            *parameters = *near;
            const uint32_t changes = 1 + below(2, state);
            for (uint32_t change = 0; change < changes; change++) {
                draw_value(parameters, space, (int)below((uint32_t)space->count, state), state);
            }
        } else {
            for (int k = 0; k < space->count; k++) {
                draw_value(parameters, space, k, state);
            }
        }
        if ((near == NULL || memcmp(parameters, near, sizeof *near) != 0) &&
            opencl_parameters_valid(parameters, kernel, limits)) {
            return 1;
        }
    }
    return 0;
}
