/* The table of shapes, and what a shape must fulfil. */
#include "opencl/attention_shapes.h"

#include <stdio.h>

enum { LANES = 32, MOST_LOCAL_BYTES = 48 * 1024, MOST_ITEMS = 256 };

/* Unit, kernel, parts, head size, rows of a group and of a warp, columns of a tile and of a slice,
 * kept, whether it takes dropout. Of a kernel and head size first the shape for many
 * groups, then that for few, where it is another one, and one for dropout alone. All are held to
 * 255 registers without spills by what ptxas says of them; where owned rows and sums leave no room
 * for it, owned rows aren't kept. */
static const opencl_attention_shape shapes[] = {
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 64, 128, 32, 64, 64, 0, 0},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 64, 64, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 128, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 1, 128, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 1, 64, 128, 32, 32, 32, 0, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 1, 64, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 1, 128, 64, 16, 32, 16, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 1, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 1, 64, 64, 16, 32, 16, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 1, 128, 64, 16, 16, 16, 0, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 2, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 2, 64, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 2, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 2, 64, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 2, 64, 128, 16, 32, 32, 1, 0},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 2, 64, 64, 16, 16, 16, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_FORWARD, 3, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 3, 64, 64, 16, 16, 16, 1, 0},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DQ, 3, 64, 64, 16, 16, 16, 0, 2},
    {OPENCL_UNIT_MMA, OPENCL_ATTENTION_DKDV, 3, 64, 64, 16, 16, 16, 0, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 64, 128, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 64, 64, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 128, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 1, 128, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DQ, 1, 64, 128, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DQ, 1, 64, 64, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DQ, 1, 128, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DKDV, 1, 64, 128, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DKDV, 1, 64, 64, 16, 64, 64, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DKDV, 1, 128, 64, 16, 16, 16, 1, 0},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 2, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_FORWARD, 2, 64, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DQ, 2, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DQ, 2, 64, 64, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DKDV, 2, 64, 128, 16, 32, 32, 1, 1},
    {OPENCL_UNIT_WGMMA, OPENCL_ATTENTION_DKDV, 2, 64, 64, 16, 32, 32, 1, 0},
};

const opencl_attention_shape *opencl_attention_shapes(int *count)
{
    *count = (int)(sizeof shapes / sizeof shapes[0]);
    return shapes;
}

static int has_dropout(const opencl_attention_shape *shape, opencl_attention_dropout dropout)
{
    return dropout == OPENCL_ATTENTION_KEEPS_ALL ? shape->takes_dropout != 2
                                                 : shape->takes_dropout != 0;
}

const opencl_attention_shape *opencl_attention_find(const opencl_attention_request *request)
{
    const opencl_attention_shape *found = NULL;
    for (int unit = (int)request->unit; unit >= OPENCL_UNIT_MMA && found == NULL; unit--) {
        int left = request->choice;
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            if ((int)shapes[i].unit == unit && shapes[i].kernel == request->kernel &&
                shapes[i].parts == request->parts && shapes[i].head_size == request->head_size &&
                has_dropout(&shapes[i], request->dropout) && left-- >= 0) {
                found = &shapes[i];
            }
        }
    }
    return found;
}

int opencl_attention_shape_items(const opencl_attention_shape *shape)
{
    return shape->tile_rows / shape->warp_rows * LANES;
}

int opencl_attention_shape_bytes(const opencl_attention_shape *shape)
{
    const int row_bytes = 2 * shape->head_size;
    const int tensors = shape->kernel == OPENCL_ATTENTION_FORWARD ? 1 : 2;
    /* Of split rows the first tensor's are in registers, and the other's where they are kept. */
    const int owned_parts = shape->parts == 1 ? tensors
                            : shape->kept     ? 0
                                              : (tensors - 1) * shape->parts;
    const int owned = owned_parts * shape->tile_rows;
    const int pair = 2 * shape->parts * shape->tile_cols;
    const int walked = 2 * pair;
    const int with_owned = (shape->kept ? pair : walked) + owned;
    return (walked > with_owned ? walked : with_owned) * row_bytes;
}

static int divides(int part, int whole)
{
    return part > 0 && whole > 0 && whole % part == 0;
}

int opencl_attention_shape_is_valid(const opencl_attention_shape *shape)
{
    const int is_forward = shape->kernel == OPENCL_ATTENTION_FORWARD;
    if (shape->parts < 1 || shape->parts > 3 ||
        (shape->head_size != 64 && shape->head_size != 128) ||
        (shape->warp_rows != 16 && shape->warp_rows != 32) ||
        (shape->tile_cols != 16 && shape->tile_cols != 32 && shape->tile_cols != 64) ||
        !divides(64, shape->tile_rows) || !divides(shape->slice, shape->tile_cols) ||
        !divides(16, shape->slice)) {
        return 0;
    }
    /* A warpgroup has four warps of 16 rows, and takes them from registers. */
    if (shape->unit == OPENCL_UNIT_WGMMA &&
        (shape->warp_rows != 16 || !shape->kept || shape->parts == 3)) {
        return 0;
    }
    /* A running maximum is one of whole tiles, and split tiles come while one slice is used, which
     * is all of the tile before. */
    const int has_slices = !is_forward && shape->parts == 1;
    const int items = opencl_attention_shape_items(shape);
    const int fetched_at_once = items / (shape->head_size / 8);
    return (has_slices || shape->slice == shape->tile_cols) && items <= MOST_ITEMS &&
           divides(8, fetched_at_once) && divides(fetched_at_once, shape->tile_cols) &&
           divides(fetched_at_once, shape->tile_rows) &&
           opencl_attention_shape_bytes(shape) <= MOST_LOCAL_BYTES;
}

const char *opencl_attention_shape_compiler(const opencl_attention_shape *shape,
                                            opencl_attention_dropout dropout)
{
    /* Two groups of 256 items share a multiprocessor's 65,536 registers, so that one multiplies
     * while the other weighs; the compiler would take a few more without need. */
    return shape->unit == OPENCL_UNIT_WGMMA && shape->kernel == OPENCL_ATTENTION_FORWARD &&
                   shape->parts == 1 && shape->head_size == 64 &&
                   dropout == OPENCL_ATTENTION_KEEPS_ALL
               ? " -cl-nv-maxrregcount=128"
               : "";
}

void opencl_attention_shape_options(char options[OPENCL_ATTENTION_OPTIONS_BYTES],
                                    const opencl_attention_shape *shape,
                                    opencl_attention_dropout dropout)
{
    snprintf(options, OPENCL_ATTENTION_OPTIONS_BYTES,
             "-DUNIT=%d -DDATA=%d -DPARTS=%d -DHEAD_SIZE=%d -DTILE_ROWS=%d -DWARP_ROWS=%d "
             "-DTILE_COLS=%d "
             "-DSLICE=%d -DKEPT=%d -DDROPOUT=%d",
             (int)shape->unit, shape->parts == 1 ? TTM_BF16 : TTM_F32, shape->parts,
             shape->head_size, shape->tile_rows, shape->warp_rows, shape->tile_cols, shape->slice,
             shape->kept, (int)dropout);
}
