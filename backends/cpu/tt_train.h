/* How the TT ops run over their cores: the joins of ttm/tt_split.h, and where each partial product
 * lies.
 *
 * A node is a run of neighbouring cores, multiplied: [left, rows, cols, right], a matrix of rows ×
 * cols for each pair of outer ranks. A join makes a node C of nodes A and B:
 *   C[l, (i i'), (j j'), r] = Σ_s A[l, i, j, s]·B[s, i', j', r]
 * which is the product of A as [l·i·j, s] and B as [s, i'·j'·r], its columns cut into i' pieces
 * that go to different rows of C. No node is ever permuted in a pass of its own. */
#ifndef TTM_CPU_TT_TRAIN_H
#define TTM_CPU_TT_TRAIN_H

#include "cpu/op.h"

#include <ttm/tt_split.h>

/** Nodes of a train: the cores, then the joins in the order they are run. */
#define TTM_CPU_TT_NODES (2 * TTM_TT_MAX_CORES - 1)

typedef struct ttm_cpu_tt_node {
    int64_t left;
    int64_t rows;
    int64_t cols;
    int64_t right;
    int a; /**< Node of the left factor, −1 for a core. */
    int b;
    float *value;        /**< First layer. */
    uint16_t *narrow;    /**< Where a bf16 result goes, instead of value. */
    int64_t value_layer; /**< Distance between layers, in elements, as row. */
    float *gradient;
    int64_t gradient_layer;
    int64_t row; /**< Distance between (l, i) rows of [cols, right]. */
} ttm_cpu_tt_node;

typedef struct ttm_cpu_tt_train {
    int64_t layers;
    int core_count;
    int node_count;
    ttm_cpu_tt_node nodes[TTM_CPU_TT_NODES]; /**< The last is the whole matrix. */
} ttm_cpu_tt_train;

/** Reads the cores' shapes and plans the joins. Memory isn't looked at. */
void ttm_cpu_tt_plan(ttm_cpu_tt_train *train, const ttm_tensor *cores);

/** Returns the elements of a node, of one layer. */
static inline int64_t ttm_cpu_tt_size(const ttm_cpu_tt_node *node)
{
    return node->left * node->rows * node->cols * node->right;
}

/** Returns the rows of a node as a left factor: [left·rows·cols, right]. */
static inline int64_t ttm_cpu_tt_tall(const ttm_cpu_tt_node *node)
{
    return node->left * node->rows * node->cols;
}

/** Returns the columns of a node as a right factor: [left, rows·cols·right]. */
static inline int64_t ttm_cpu_tt_wide(const ttm_cpu_tt_node *node)
{
    return node->rows * node->cols * node->right;
}

/** Returns how many rows of a join's product, of `tall` rows and `wide` columns, a thread computes
 * at a time: fewer of a join of few rows, so that there is something for every thread. */
int64_t ttm_cpu_tt_panel_rows(const ttm_backend_device *device, int64_t tall, int64_t wide);

/** Returns the floats of the largest panel of the train's joins. */
int64_t ttm_cpu_tt_panel_floats(const ttm_backend_device *device, const ttm_cpu_tt_train *train);

/** Returns whether cores are f32, or absent. */
int ttm_cpu_tt_cores_supported(const ttm_tensor *cores, int core_slots);

/** Computes node `index`, a join, of all layers. `panels` has room for a panel per thread. */
void ttm_cpu_tt_join(const ttm_backend_device *device, const ttm_cpu_tt_train *train, int index,
                     float *panels);

/** Row piece (l, i, j) of node C seen as [A's tall rows] × [B's rows] pieces of `width` floats:
 * where piece 0 of tall row `tall` lies, and how far the pieces are apart. */
static inline int64_t ttm_cpu_tt_piece(const ttm_cpu_tt_node *c, const ttm_cpu_tt_node *a,
                                       const ttm_cpu_tt_node *b, int64_t tall)
{
    return tall / a->cols * b->rows * c->row + tall % a->cols * b->cols * b->right;
}

/** Returns how many of the `rows` tall rows of A from `tall` on share one (l, i): their pieces
 * follow each other in a row of C. */
static inline int64_t ttm_cpu_tt_run(const ttm_cpu_tt_node *a, int64_t tall, int64_t rows)
{
    const int64_t left = a->cols - tall % a->cols;
    return left < rows ? left : rows;
}

#endif
