/* Contraction trees and their text, `x ((G1 G2) (G3 G4))`. */
#include "tt/plan_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

void ttm_plan_tree_start(ttm_plan_tree *tree, int32_t core_count)
{
    tree->core_count = core_count;
    tree->node_count = core_count + 1;
    tree->nodes[0] = (ttm_plan_node){-1, -1, 0, 0, true};
    for (int32_t core = 0; core < core_count; core++) {
        tree->nodes[core + 1] = (ttm_plan_node){-1, -1, core, core + 1, false};
    }
}

int32_t ttm_plan_tree_join(ttm_plan_tree *tree, int32_t a, int32_t b)
{
    const ttm_plan_node *node_a = &tree->nodes[a];
    const ttm_plan_node *node_b = &tree->nodes[b];
    if (node_b->has_x || (!node_a->has_x && node_b->first < node_a->first)) {
        const int32_t swapped = a;
        a = b;
        b = swapped;
        node_a = &tree->nodes[a];
        node_b = &tree->nodes[b];
    }
    const bool bare_x = node_a->has_x && node_a->first == node_a->last;
    const bool follows = node_a->last == node_b->first;
    const bool precedes = node_a->has_x && node_b->last == node_a->first;
    if (node_b->has_x || tree->node_count == TTM_PLAN_MAX_NODES ||
        !(bare_x || follows || precedes)) {
        return -1;
    }
    const int32_t first = bare_x || precedes ? node_b->first : node_a->first;
    const int32_t last = bare_x || follows ? node_b->last : node_a->last;
    tree->nodes[tree->node_count] = (ttm_plan_node){a, b, first, last, node_a->has_x};
    return tree->node_count++;
}

static size_t print_node(char *text, const ttm_plan_tree *tree, int32_t index, const char *rows)
{
    const ttm_plan_node *node = &tree->nodes[index];
    if (node->left < 0) {
        return (size_t)(node->has_x ? sprintf(text, "%s", rows)
                                    : sprintf(text, "G%" PRId32, node->first + 1));
    }
    const bool inner = index != tree->node_count - 1;
    size_t used = 0;
    if (inner) {
        text[used++] = '(';
    }
    used += print_node(text + used, tree, node->left, rows);
    text[used++] = ' ';
    used += print_node(text + used, tree, node->right, rows);
    if (inner) {
        text[used++] = ')';
    }
    text[used] = '\0';
    return used;
}

void ttm_plan_tree_print(char *text, const ttm_plan_tree *tree, ttm_tt_direction direction)
{
    print_node(text, tree, tree->node_count - 1, direction == TTM_TT_INPUT_GRADIENT ? "dy" : "x");
}

typedef struct reader {
    const char *text;
    const char *next;
    const char *rows; /* how x is called */
    ttm_plan_tree *tree;
    int depth;
} reader;

static ttm_status fail_at(const reader *in, const char *problem)
{
    return ttm_fail(TTM_ERROR_ARGUMENT,
                    "plan '%s', character %d: %s; write a tree like %s ((G1 G2) (G3 G4))", in->text,
                    (int)(in->next - in->text) + 1, problem, in->rows);
}

static void skip_blanks(reader *in)
{
    while (*in->next == ' ') {
        in->next++;
    }
}

static ttm_status read_pair(int32_t *node, reader *in);

static ttm_status read_core(int32_t *node, reader *in)
{
    int32_t number = 0;
    while (*in->next >= '0' && *in->next <= '9' && number <= in->tree->core_count) {
        number = number * 10 + (*in->next++ - '0');
    }
    if (number < 1 || number > in->tree->core_count) {
        return fail_at(in, "no such core");
    }
    *node = number;
    return TTM_OK;
}

static ttm_status read_term(int32_t *node, reader *in)
{
    const size_t rows_length = strlen(in->rows);
    skip_blanks(in);
    if (strncmp(in->next, in->rows, rows_length) == 0) {
        in->next += rows_length;
        *node = 0;
        return TTM_OK;
    }
    if (*in->next == 'G') {
        in->next++;
        return read_core(node, in);
    }
    if (*in->next == '(') {
        if (in->depth == TTM_PLAN_MAX_NODES) {
            return fail_at(in, "too many parentheses");
        }
        in->next++;
        in->depth++;
        TTM_TRY(read_pair(node, in));
        in->depth--;
        skip_blanks(in);
        if (*in->next != ')') {
            return fail_at(in, "')' expected");
        }
        in->next++;
        return TTM_OK;
    }
    return fail_at(in, "an operand or '(' expected");
}

static ttm_status read_pair(int32_t *node, reader *in)
{
    int32_t left = 0;
    int32_t right = 0;
    TTM_TRY(read_term(&left, in));
    TTM_TRY(read_term(&right, in));
    *node = ttm_plan_tree_join(in->tree, left, right);
    return *node < 0 ? fail_at(in, "these two aren't neighbours") : TTM_OK;
}

ttm_status ttm_plan_tree_parse(ttm_plan_tree *tree, const char *text, int32_t core_count,
                               ttm_tt_direction direction)
{
    reader in = {text, text, direction == TTM_TT_INPUT_GRADIENT ? "dy" : "x", tree, 0};
    int32_t root = 0;
    ttm_plan_tree_start(tree, core_count);
    TTM_TRY(read_pair(&root, &in));
    skip_blanks(&in);
    if (*in.next != '\0') {
        return fail_at(&in, "the end expected (two terms to a group)");
    }
    const ttm_plan_node *node = &tree->nodes[root];
    if (!node->has_x || node->first != 0 || node->last != core_count) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "plan '%s' doesn't use %s and all %" PRId32 " cores",
                        text, in.rows, core_count);
    }
    return TTM_OK;
}
