/* TT_GRADIENT: the joins of the train run backwards. With C = A·B as in tt_train.h and dC given,
 *   dA = dC·Bᵀ,   dB = Aᵀ·dC
 * where dC is gathered, some rows at a time, into a panel that is used for both while it is in
 * cache: dw is read once. Partial products are computed once, in front, for both gradients.
 *
 * dB is a sum over all rows of a layer. Where layers alone don't keep the threads busy, rows are
 * cut into chunks with sums of their own, added in ascending order. */
#include "cpu/tt_train.h"

/** Items a thread should get. */
#define ITEMS_A_THREAD 4
/** What a thread takes of B to transpose, and of dB's chunks to add up. */
#define COLUMNS_A_TIME 256
#define SUMS_A_TIME    4096

/** Where everything lies in the workspace, in floats. */
typedef struct layout {
    int64_t value[TTM_CPU_TT_NODES];
    int64_t gradient[TTM_CPU_TT_NODES];
    int64_t transposed; /**< Bᵀ of all layers. */
    int64_t partial;    /**< dB of all layers' chunks. */
    int64_t panels;
    int64_t total;
} layout;

typedef struct gradient_job {
    const ttm_backend_device *device;
    const ttm_cpu_tt_node *a;
    const ttm_cpu_tt_node *b;
    const ttm_cpu_tt_node *c;
    int64_t panel_rows;
    int64_t panels_a_layer;
    int64_t chunks; /**< Of one layer. */
    float *transposed;
    float *partial;
    float *panels;
    int64_t panel_floats;
    int accumulate_a; /**< dA is added to what is there. */
    int accumulate_b;
} gradient_job;

static int64_t runs_of(int64_t count, int64_t length)
{
    return (count + length - 1) / length;
}

static int64_t round_up(int64_t count)
{
    return (count + 15) / 16 * 16;
}

static int64_t chunk_count(const ttm_backend_device *device, const ttm_cpu_tt_train *train,
                           const ttm_cpu_tt_node *join)
{
    const int64_t tall = ttm_cpu_tt_tall(&train->nodes[join->a]);
    const int64_t panel =
        ttm_cpu_tt_panel_rows(device, tall, ttm_cpu_tt_wide(&train->nodes[join->b]));
    const int64_t panels = (tall + panel - 1) / panel;
    const int64_t layers = train->layers > 0 ? train->layers : 1;
    const int64_t wanted = (device->threads * ITEMS_A_THREAD + layers - 1) / layers;
    const int64_t chunks = device->threads == 1 ? 1 : wanted;
    return chunks < panels ? chunks : panels;
}

static layout lay_out(const ttm_backend_device *device, const ttm_cpu_tt_train *train)
{
    layout place = {.total = 0};
    int64_t transposed = 0;
    int64_t partial = 0;
    for (int i = train->core_count; i < train->node_count; i++) {
        const ttm_cpu_tt_node *join = &train->nodes[i];
        const int64_t b = train->layers * ttm_cpu_tt_size(&train->nodes[join->b]);
        const int64_t sums = b * chunk_count(device, train, join);
        transposed = b > transposed ? b : transposed;
        partial = sums > partial ? sums : partial;
        if (i < train->node_count - 1) {
            const int64_t size = round_up(train->layers * ttm_cpu_tt_size(join));
            place.value[i] = place.total;
            place.gradient[i] = place.total + size;
            place.total += 2 * size;
        }
    }
    place.transposed = place.total;
    place.partial = place.transposed + round_up(transposed);
    place.panels = place.partial + round_up(partial);
    place.total = place.panels + device->threads * ttm_cpu_tt_panel_floats(device, train);
    return place;
}

static int tt_gradient_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *dw = &op->tensors[TTM_TT_GRADIENT_DW];
    return dw->dtype == TTM_F32 && unit_last(dw) &&
           ttm_cpu_tt_cores_supported(&op->tensors[TTM_TT_GRADIENT_CORE], 2 * TTM_OP_MAX_CORES);
}

static size_t tt_gradient_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    ttm_cpu_tt_train train;
    ttm_cpu_tt_plan(&train, &op->tensors[TTM_TT_GRADIENT_CORE]);
    return (size_t)lay_out(device, &train).total * sizeof(float);
}

/* ---- One join ---- */

/** Bᵀ, some columns of B at a time. */
static void transpose_columns(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const gradient_job *job = context;
    const int64_t wide = ttm_cpu_tt_wide(job->b);
    const int64_t runs = runs_of(wide, COLUMNS_A_TIME);
    for (int64_t item = first; item < last; item++) {
        const int64_t layer = item / runs;
        const int64_t begin = item % runs * COLUMNS_A_TIME;
        const int64_t count = wide - begin < COLUMNS_A_TIME ? wide - begin : COLUMNS_A_TIME;
        job->device->kernels->transpose(
            job->transposed + layer * ttm_cpu_tt_size(job->b) + begin * job->b->left, job->b->left,
            job->b->value + layer * job->b->value_layer + begin, wide, (size_t)job->b->left,
            (size_t)count);
    }
}

/** Gathers the tall rows from `tall` on of dC. */
static void gather_panel(const gradient_job *job, int64_t layer, int64_t tall, int64_t rows,
                         float *panel)
{
    const ttm_cpu_tt_node *c = job->c;
    const size_t width = (size_t)(job->b->cols * job->b->right);
    const int64_t wide = ttm_cpu_tt_wide(job->b);
    while (rows > 0) {
        const int64_t run = ttm_cpu_tt_run(job->a, tall, rows);
        const float *from =
            c->gradient + layer * c->gradient_layer + ttm_cpu_tt_piece(c, job->a, job->b, tall);
        for (int64_t piece = 0; piece < job->b->rows; piece++) {
            job->device->kernels->store_rows(panel + piece * (int64_t)width, wide,
                                             from + piece * c->row, (ptrdiff_t)width, (size_t)run,
                                             width);
        }
        panel += run * wide;
        tall += run;
        rows -= run;
    }
}

static void run_panel(const gradient_job *job, int64_t layer, int64_t tall, int64_t rows,
                      float *panel, float *sums, int accumulate)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    const int64_t wide = ttm_cpu_tt_wide(job->b);
    const int64_t rank = job->a->right;
    gather_panel(job, layer, tall, rows, panel);
    const ttm_cpu_tile left = {
        .c = job->a->gradient + layer * job->a->gradient_layer + tall * rank,
        .c_row = rank,
        .a = panel,
        .a_row = wide,
        .a_col = 1,
        .b = job->transposed + layer * ttm_cpu_tt_size(job->b),
        .b_row = rank,
        .rows = rows,
        .cols = rank,
        .depth = wide,
        .accumulate = job->accumulate_a,
    };
    kernels->tile(&left);
    const ttm_cpu_tile right = {
        .c = sums,
        .c_row = wide,
        .a = job->a->value + layer * job->a->value_layer + tall * rank,
        .a_row = 1,
        .a_col = rank,
        .b = panel,
        .b_row = wide,
        .rows = rank,
        .cols = wide,
        .depth = rows,
        .accumulate = accumulate,
    };
    kernels->tile(&right);
}

static void run_chunks(void *context, int64_t first, int64_t last, int thread)
{
    const gradient_job *job = context;
    const int64_t all_rows = ttm_cpu_tt_tall(job->a);
    const int64_t size = ttm_cpu_tt_size(job->b);
    for (int64_t item = first; item < last; item++) {
        const int64_t layer = item / job->chunks;
        const int64_t chunk = item % job->chunks;
        const int64_t begin = chunk * job->panels_a_layer / job->chunks;
        const int64_t end = (chunk + 1) * job->panels_a_layer / job->chunks;
        const int alone = job->chunks == 1;
        float *sums =
            alone ? job->b->gradient + layer * job->b->gradient_layer : job->partial + item * size;
        for (int64_t i = begin; i < end; i++) {
            const int64_t tall = i * job->panel_rows;
            const int64_t left = all_rows - tall;
            run_panel(job, layer, tall, left < job->panel_rows ? left : job->panel_rows,
                      job->panels + thread * job->panel_floats, sums,
                      i > begin || (alone && job->accumulate_b));
        }
    }
}

/** dB = the sum of its chunks, some numbers of it at a time. */
static void add_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const gradient_job *job = context;
    const int64_t size = ttm_cpu_tt_size(job->b);
    const int64_t runs = runs_of(size, SUMS_A_TIME);
    for (int64_t item = first; item < last; item++) {
        const int64_t layer = item / runs;
        const int64_t begin = item % runs * SUMS_A_TIME;
        const int64_t count = size - begin < SUMS_A_TIME ? size - begin : SUMS_A_TIME;
        float *sum = job->b->gradient + layer * job->b->gradient_layer + begin;
        const float *partial = job->partial + layer * job->chunks * size + begin;
        for (int64_t chunk = 0; chunk < job->chunks; chunk++) {
            const int start = chunk == 0 && !job->accumulate_b;
            job->device->kernels->add(sum, partial + chunk * size, 1.0F, start ? NULL : sum, 1.0F,
                                      (size_t)count);
        }
    }
}

static void run_join(const ttm_backend_device *device, const ttm_cpu_tt_train *train, int index,
                     const layout *place, float *workspace, int beta)
{
    const ttm_cpu_tt_node *c = &train->nodes[index];
    gradient_job job = {
        .device = device,
        .a = &train->nodes[c->a],
        .b = &train->nodes[c->b],
        .c = c,
        .panel_rows = ttm_cpu_tt_panel_rows(device, ttm_cpu_tt_tall(&train->nodes[c->a]),
                                            ttm_cpu_tt_wide(&train->nodes[c->b])),
        .chunks = chunk_count(device, train, c),
        .transposed = workspace + place->transposed,
        .partial = workspace + place->partial,
        .panels = workspace + place->panels,
        .panel_floats = ttm_cpu_tt_panel_floats(device, train),
        .accumulate_a = beta && c->a < train->core_count,
        .accumulate_b = beta && c->b < train->core_count,
    };
    job.panels_a_layer = (ttm_cpu_tt_tall(job.a) + job.panel_rows - 1) / job.panel_rows;
    ttm_cpu_parallel(device, train->layers * runs_of(ttm_cpu_tt_wide(job.b), COLUMNS_A_TIME), 1,
                     transpose_columns, &job);
    ttm_cpu_parallel(device, train->layers * job.chunks, 1, run_chunks, &job);
    if (job.chunks > 1) {
        ttm_cpu_parallel(device, train->layers * runs_of(ttm_cpu_tt_size(job.b), SUMS_A_TIME), 1,
                         add_chunks, &job);
    }
}

/* ---- The op ---- */

/** Adds or copies dw to the gradient of a single core. */
static void run_single(const ttm_backend_device *device, const ttm_cpu_tt_train *train,
                       const ttm_tensor *dw, int beta)
{
    const ttm_cpu_tt_node *core = &train->nodes[0];
    for (int64_t layer = 0; layer < train->layers; layer++) {
        for (int64_t row = 0; row < core->rows; row++) {
            float *out = core->gradient + layer * core->gradient_layer + row * core->cols;
            device->kernels->add(out, floats(dw) + layer * dw->stride[0] + row * dw->stride[1],
                                 1.0F, beta ? out : NULL, 1.0F, (size_t)core->cols);
        }
    }
}

static void tt_gradient_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tt_gradient_params *params = op->params;
    const ttm_tensor *dw = &op->tensors[TTM_TT_GRADIENT_DW];
    const ttm_tensor *dcores = &op->tensors[TTM_TT_GRADIENT_DCORE];
    const int beta = params->beta != 0.0;
    float *workspace = floats(&op->workspace);
    ttm_cpu_tt_train train;
    ttm_cpu_tt_plan(&train, &op->tensors[TTM_TT_GRADIENT_CORE]);
    for (int i = 0; i < train.core_count; i++) {
        train.nodes[i].gradient = floats(&dcores[i]);
        train.nodes[i].gradient_layer = dcores[i].stride[0];
    }
    if (train.core_count == 1) {
        run_single(device, &train, dw, beta);
        return;
    }
    const layout place = lay_out(device, &train);
    const int root = train.node_count - 1;
    for (int i = train.core_count; i < root; i++) {
        train.nodes[i].value = workspace + place.value[i];
        train.nodes[i].gradient = workspace + place.gradient[i];
        ttm_cpu_tt_join(device, &train, i, workspace + place.panels);
    }
    train.nodes[root].gradient = floats(dw);
    train.nodes[root].gradient_layer = dw->stride[0];
    train.nodes[root].row = dw->stride[1];
    for (int i = root; i >= train.core_count; i--) {
        run_join(device, &train, i, &place, workspace, beta);
    }
}

const ttm_cpu_op ttm_cpu_op_tt_gradient = {tt_gradient_supported, tt_gradient_workspace_bytes,
                                           tt_gradient_op_run};
