/* Contraction trees over {x, G1 … Gd}: what a plan is before it becomes a list of products. */
#ifndef TTM_TT_PLAN_TREE_H
#define TTM_TT_PLAN_TREE_H

#include <stdbool.h>
#include <ttm/tt_plan.h>

enum { TTM_PLAN_MAX_NODES = 2 * TTM_TT_MAX_CORES + 1 };

/** A leaf (left < 0): x if has_x, else core `first`. An inner node: the contraction of two nodes,
 * the left one holding x or, without x, the lower cores. first … last − 1 are the cores inside;
 * none for the leaf x. */
typedef struct ttm_plan_node {
    int32_t left;
    int32_t right;
    int32_t first;
    int32_t last;
    bool has_x;
} ttm_plan_node;

/** A tree; the root is the last node, and children stand before their parents. */
typedef struct ttm_plan_tree {
    int32_t core_count;
    int32_t node_count;
    ttm_plan_node nodes[TTM_PLAN_MAX_NODES];
} ttm_plan_tree;

/** Empties the tree and adds the leaves: node 0 is x, node 1 + k is core k. */
void ttm_plan_tree_start(ttm_plan_tree *tree, int32_t core_count);

/** Adds the contraction of two nodes, in either order. Returns the new node, or −1 when they aren't
 * neighbours: both without x and adjacent, or x (with a run of cores absorbed) and the cores next
 * to that run. */
int32_t ttm_plan_tree_join(ttm_plan_tree *tree, int32_t a, int32_t b);

/** Writes the tree's text. `text` holds at least sizeof(((ttm_tt_plan *)0)->text) bytes. */
void ttm_plan_tree_print(char *text, const ttm_plan_tree *tree, ttm_tt_direction direction);

/** Reads a tree. TTM_ERROR_ARGUMENT. */
TTM_CHECKED ttm_status ttm_plan_tree_parse(ttm_plan_tree *tree, const char *text,
                                           int32_t core_count, ttm_tt_direction direction);

#endif
