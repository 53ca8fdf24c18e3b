/* Labels, and the branches that go to them. A label belongs to the block, { to }, that it stands
 * in: branches of that block and of those within it see it, before it as well as behind it, and
 * of two with one name the one in the innermost block. So inline assembly may be used twice in a
 * kernel, as what a compiler puts where it is called. */
#include "ptx_reader.h"

#include <string.h>

static int is_same(ptx_span a, ptx_span b)
{
    return a.length == b.length && memcmp(a.begin, b.begin, a.length) == 0;
}

/* The instruction behind a label of the block that is open, or −1. Blocks within it are closed, and
 * their labels forgotten. */
static int find_in_block(const ptx_reader *reader, ptx_span name)
{
    for (int i = reader->label_count - 1; i >= 0 && reader->labels[i].depth == reader->depth; i--) {
        if (is_same(reader->labels[i].name, name)) {
            return reader->labels[i].at;
        }
    }
    return -1;
}

void ptx_add_label(ptx_reader *reader, ptx_span name)
{
    if (find_in_block(reader, name) >= 0) {
        ptx_read_fail(reader, "the label %.*s twice", (int)name.length, name.begin);
    }
    reader->labels =
        ptx_read_grow(reader, reader->labels, reader->label_count, sizeof *reader->labels);
    if (!reader->failed) {
        reader->labels[reader->label_count++] =
            (ptx_label){.name = name, .at = reader->kernel->code_count, .depth = reader->depth};
    }
}

void ptx_add_branch(ptx_reader *reader, ptx_span label, const ptx_instruction *instruction)
{
    reader->branches =
        ptx_read_grow(reader, reader->branches, reader->branch_count, sizeof *reader->branches);
    if (!reader->failed) {
        reader->branches[reader->branch_count++] =
            (ptx_branch){.label = label,
                         .at = (int)(instruction - reader->kernel->code),
                         .depth = reader->depth,
                         .target = -1};
    }
}

void ptx_close_labels(ptx_reader *reader)
{
    for (int i = 0; i < reader->branch_count; i++) {
        ptx_branch *branch = &reader->branches[i];
        if (branch->target >= 0 || branch->depth != reader->depth) {
            continue;
        }
        branch->target = find_in_block(reader, branch->label);
        if (branch->target < 0) {
            branch->depth--; /* perhaps one of the block around it */
        }
    }
    while (reader->label_count > 0 &&
           reader->labels[reader->label_count - 1].depth == reader->depth) {
        reader->label_count--;
    }
}

void ptx_resolve_branches(ptx_reader *reader)
{
    for (int i = 0; i < reader->branch_count; i++) {
        const ptx_branch *branch = &reader->branches[i];
        ptx_instruction *instruction = &reader->kernel->code[branch->at];
        if (branch->target < 0 || branch->target >= reader->kernel->code_count) {
            reader->line = instruction->line;
            ptx_read_fail(reader, "there is no label %.*s that this branch sees",
                          (int)branch->label.length, branch->label.begin);
            return;
        }
        instruction->target = branch->target;
    }
}
