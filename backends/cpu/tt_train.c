#include "cpu/tt_train.h"

/** Rows of a panel: whole register blocks of 6 and 8 rows, and the depth of a gradient's product.
 */
#define PANEL_ROWS 72
/** Floats of a panel, so that it stays in L2 or near it. */
#define PANEL_FLOATS 327680
/** Pieces at least this wide are computed straight into place. */
#define DIRECT_WIDTH 32

static void plan_core(ttm_cpu_tt_node *node, const ttm_tensor *core)
{
    *node = (ttm_cpu_tt_node){
        .left = core->shape[1],
        .rows = core->shape[2],
        .cols = core->shape[3],
        .right = core->shape[4],
        .a = -1,
        .b = -1,
        .value = floats(core),
        .value_layer = core->stride[0],
        .row = core->shape[3] * core->shape[4],
    };
}

void ttm_cpu_tt_plan(ttm_cpu_tt_train *train, const ttm_tensor *cores)
{
    int64_t in_modes[TTM_TT_MAX_CORES] = {0};
    int64_t out_modes[TTM_TT_MAX_CORES] = {0};
    int64_t ranks[TTM_TT_MAX_CORES + 1] = {1};
    int node_of[TTM_TT_MAX_CORES]; /* the node that begins with a core */
    ttm_tt_build_order build;

    *train = (ttm_cpu_tt_train){.layers = cores[0].shape[0]};
    while (train->core_count < TTM_TT_MAX_CORES && ttm_tensor_present(&cores[train->core_count])) {
        const int k = train->core_count++;
        plan_core(&train->nodes[k], &cores[k]);
        in_modes[k] = train->nodes[k].rows;
        out_modes[k] = train->nodes[k].cols;
        ranks[k + 1] = train->nodes[k].right;
        node_of[k] = k;
    }
    train->node_count = train->core_count;
    ttm_tt_build_split(&build, train->core_count, in_modes, out_modes, ranks);
    for (int i = 0; i < build.join_count; i++) {
        const int index = train->node_count++;
        const int a = node_of[build.joins[i].first];
        const int b = node_of[build.joins[i].middle];
        const ttm_cpu_tt_node *left = &train->nodes[a];
        const ttm_cpu_tt_node *right = &train->nodes[b];
        train->nodes[index] = (ttm_cpu_tt_node){
            .left = left->left,
            .rows = left->rows * right->rows,
            .cols = left->cols * right->cols,
            .right = right->right,
            .a = a,
            .b = b,
            .row = left->cols * right->cols * right->right,
        };
        train->nodes[index].value_layer = ttm_cpu_tt_size(&train->nodes[index]);
        train->nodes[index].gradient_layer = train->nodes[index].value_layer;
        node_of[build.joins[i].first] = index;
    }
}

int64_t ttm_cpu_tt_panel_rows(const ttm_backend_device *device, int64_t tall, int64_t wide)
{
    const int64_t share = (tall + device->threads - 1) / device->threads;
    int64_t rows = wide > 0 ? PANEL_FLOATS / wide : PANEL_ROWS;
    rows = rows < PANEL_ROWS ? rows : PANEL_ROWS;
    rows = rows < share ? rows : (share + 7) / 8 * 8;
    return rows < 24 ? 24 : rows / 8 * 8;
}

int64_t ttm_cpu_tt_panel_floats(const ttm_backend_device *device, const ttm_cpu_tt_train *train)
{
    int64_t most = 0;
    for (int i = train->core_count; i < train->node_count; i++) {
        const int64_t tall = ttm_cpu_tt_tall(&train->nodes[train->nodes[i].a]);
        const int64_t wide = ttm_cpu_tt_wide(&train->nodes[train->nodes[i].b]);
        const int64_t size = ttm_cpu_tt_panel_rows(device, tall, wide) * wide;
        most = size > most ? size : most;
    }
    return (most + 15) / 16 * 16;
}

int ttm_cpu_tt_cores_supported(const ttm_tensor *cores, int core_slots)
{
    for (int i = 0; i < core_slots; i++) {
        if (!is_f32_or_absent(&cores[i])) {
            return 0;
        }
    }
    return 1;
}

typedef struct join_job {
    const ttm_backend_device *device;
    const ttm_cpu_tt_node *a;
    const ttm_cpu_tt_node *b;
    const ttm_cpu_tt_node *c;
    int64_t blocks;     /**< Of one layer. */
    int64_t block_rows; /**< Tall rows in one. */
    float *panels;
    int64_t panel_floats;
} join_job;

/** Pieces as wide as vectors: a product for each piece of b's columns, straight into c. A block is
 * some (l, i): what a piece needs of b stays in L1 for all of them. */
static void join_directly(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const join_job *job = context;
    const int64_t width = job->b->cols * job->b->right;
    const int64_t all_rows = ttm_cpu_tt_tall(job->a);
    for (int64_t item = first; item < last; item++) {
        const int64_t layer = item / job->blocks;
        const int64_t begin = item % job->blocks * job->block_rows;
        const int64_t end = begin + job->block_rows < all_rows ? begin + job->block_rows : all_rows;
        const float *a = job->a->value + layer * job->a->value_layer;
        const float *b = job->b->value + layer * job->b->value_layer;
        float *c = job->c->value + layer * job->c->value_layer;
        for (int64_t piece = 0; piece < job->b->rows; piece++) {
            for (int64_t tall = begin; tall < end; tall += job->a->cols) {
                const ttm_cpu_tile tile = {
                    .c = c + ttm_cpu_tt_piece(job->c, job->a, job->b, tall) + piece * job->c->row,
                    .c_row = width,
                    .a = a + tall * job->a->right,
                    .a_row = job->a->right,
                    .a_col = 1,
                    .b = b + piece * width,
                    .b_row = job->b->rows * width,
                    .rows = job->a->cols,
                    .cols = width,
                    .depth = job->a->right,
                };
                job->device->kernels->tile(&tile);
            }
        }
    }
}

/** Stores a panel of tall rows from `tall` on: for each piece the neighbouring rows of one (l, i)
 * together, since they lie side by side in c. */
static void place_panel(const join_job *job, int64_t layer, int64_t tall, int64_t rows,
                        const float *panel)
{
    const ttm_cpu_tt_node *c = job->c;
    const size_t width = (size_t)(job->b->cols * job->b->right);
    const int64_t wide = ttm_cpu_tt_wide(job->b);
    while (rows > 0) {
        const int64_t run = ttm_cpu_tt_run(job->a, tall, rows);
        for (int64_t piece = 0; piece < job->b->rows; piece++) {
            const int64_t at =
                layer * c->value_layer + ttm_cpu_tt_piece(c, job->a, job->b, tall) + piece * c->row;
            const float *from = panel + piece * (int64_t)width;
            if (c->narrow != NULL) {
                job->device->kernels->bf16->store_rows(c->narrow + at, (ptrdiff_t)width, from, wide,
                                                       (size_t)run, width);
            } else {
                job->device->kernels->store_rows(c->value + at, (ptrdiff_t)width, from, wide,
                                                 (size_t)run, width);
            }
        }
        panel += run * wide;
        tall += run;
        rows -= run;
    }
}

/** Narrow pieces, or elements: some rows at a time into a panel, and from there, still in cache,
 * into place. */
static void join_by_panels(void *context, int64_t first, int64_t last, int thread)
{
    const join_job *job = context;
    const int64_t wide = ttm_cpu_tt_wide(job->b);
    const int64_t all_rows = ttm_cpu_tt_tall(job->a);
    float *panel = job->panels + thread * job->panel_floats;
    for (int64_t item = first; item < last; item++) {
        const int64_t layer = item / job->blocks;
        const int64_t tall = item % job->blocks * job->block_rows;
        const int64_t left = all_rows - tall;
        const ttm_cpu_tile tile = {
            .c = panel,
            .c_row = wide,
            .a = job->a->value + layer * job->a->value_layer + tall * job->a->right,
            .a_row = job->a->right,
            .a_col = 1,
            .b = job->b->value + layer * job->b->value_layer,
            .b_row = wide,
            .rows = left < job->block_rows ? left : job->block_rows,
            .cols = wide,
            .depth = job->a->right,
        };
        job->device->kernels->tile(&tile);
        place_panel(job, layer, tall, tile.rows, panel);
    }
}

void ttm_cpu_tt_join(const ttm_backend_device *device, const ttm_cpu_tt_train *train, int index,
                     float *panels)
{
    const ttm_cpu_tt_node *c = &train->nodes[index];
    join_job job = {.device = device,
                    .a = &train->nodes[c->a],
                    .b = &train->nodes[c->b],
                    .c = c,
                    .panels = panels,
                    .panel_floats = ttm_cpu_tt_panel_floats(device, train)};
    const int direct = c->narrow == NULL && job.b->cols * job.b->right >= DIRECT_WIDTH;
    const int64_t tall = ttm_cpu_tt_tall(job.a);
    job.block_rows = ttm_cpu_tt_panel_rows(device, tall, ttm_cpu_tt_wide(job.b));
    if (direct) {
        job.block_rows = (job.block_rows + job.a->cols - 1) / job.a->cols * job.a->cols;
    }
    job.blocks = (tall + job.block_rows - 1) / job.block_rows;
    const int64_t items = train->layers * job.blocks;
    ttm_cpu_parallel(device, items, ttm_cpu_piece(device, items, 1),
                     direct ? join_directly : join_by_panels, &job);
}
