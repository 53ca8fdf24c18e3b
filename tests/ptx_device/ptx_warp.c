/* Instructions in which the lanes of a warp take part together: shfl, ldmatrix and mma. */
#include "ptx_families.h"
#include "ptx_units.h"

#include <stdlib.h>
#include <string.h>

enum { BUTTERFLY, INDEX, DOWN, UP };

static int source_lane(const ptx_instruction *instruction, int lane, uint32_t by)
{
    const int from = instruction->variant == BUTTERFLY ? lane ^ (int)(by & 31)
                     : instruction->variant == INDEX   ? (int)(by & 31)
                     : instruction->variant == DOWN    ? lane + (int)(by & 31)
                                                       : lane - (int)(by & 31);
    return from < 0 || from >= PTX_LANES ? lane : from;
}

static void shuffle(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (!ptx_is_whole(warp, instruction)) {
        return;
    }
    uint32_t before[PTX_LANES];
    memcpy(before, ptx_words(warp, instruction->a), sizeof before);
    const uint32_t *by = ptx_words(warp, instruction->b);
    uint32_t after[PTX_LANES];
    for (int lane = 0; lane < PTX_LANES; lane++) {
        after[lane] = before[source_lane(instruction, lane, by[lane])];
    }
    memcpy(ptx_words(warp, instruction->d), after, sizeof after);
}

/* ldmatrix: lane 8·i + r names row r of matrix i, 8 numbers of 16 bits. A lane gets two neighbours:
 * of row lane/4 from column 2·(lane mod 4) on, or, transposed, of column lane/4 from that row on.
 */
static void load_matrices(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (!ptx_is_whole(warp, instruction)) {
        return;
    }
    uint16_t rows[32][8];
    const int count = instruction->list_count;
    for (int lane = 0; lane < 8 * count; lane++) {
        uint64_t address = (uint64_t)instruction->immediate;
        address += instruction->address_bytes == 4 ? ptx_words(warp, instruction->a)[lane]
                                                   : ptx_longs(warp, instruction->a)[lane];
        const int64_t offset = ptx_shared(warp, instruction, address, 16, 16);
        if (offset < 0 || !ptx_use_shared(warp, instruction, offset, 16, PTX_MANY_LANES, 0)) {
            return;
        }
        memcpy(rows[lane], warp->group->shared + offset, 16);
    }
    for (int i = 0; i < count; i++) {
        uint32_t *d = ptx_words(warp, instruction->list[i]);
        for (int lane = 0; lane < PTX_LANES; lane++) {
            const int line = lane / 4;
            const int at = 2 * (lane % 4);
            d[lane] = instruction->variant
                          ? rows[8 * i + at][line] | (uint32_t)rows[8 * i + at + 1][line] << 16
                          : rows[8 * i + line][at] | (uint32_t)rows[8 * i + line][at + 1] << 16;
        }
    }
}

/* mma.m16n8k16, d = a·b + c. Lane l, with g = l/4 and t = 2·(l mod 4), holds of a: rows g, g + 8,
 * g, g + 8 from columns t, t, t + 8, t + 8 on, two each; of b: column g, rows from t and from t + 8
 * on; of c and d: rows g, g, g + 8, g + 8, columns t, t + 1, t, t + 1. The list has d, a, b, c;
 * `variant` is the type of a and b. */
static void multiply_fragments(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (!ptx_is_whole(warp, instruction)) {
        return;
    }
    float a[16][16];
    float b[8][16];
    const uint32_t *places = instruction->list;
    const ptx_half type = (ptx_half)instruction->variant;
    for (int lane = 0; lane < PTX_LANES; lane++) {
        const int g = lane / 4;
        const int t = 2 * (lane % 4);
        for (int i = 0; i < 4; i++) {
            ptx_half_pair(type, ptx_words(warp, places[4 + i])[lane],
                          &a[g + i % 2 * 8][t + i / 2 * 8]);
        }
        for (int i = 0; i < 2; i++) {
            ptx_half_pair(type, ptx_words(warp, places[8 + i])[lane], &b[g][t + 8 * i]);
        }
    }
    for (int lane = 0; lane < PTX_LANES; lane++) {
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + i / 2 * 8;
            const int col = 2 * (lane % 4) + i % 2;
            float sum = ptx_floats(warp, places[10 + i])[lane];
            sum = ptx_add_products(sum, a[row], b[col]);
            ptx_floats(warp, places[i])[lane] = ptx_add_products(sum, a[row] + 8, b[col] + 8);
        }
    }
}

static void decode_shuffle(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                           ptx_instruction *instruction)
{
    instruction->variant = ptx_span_is(name, "shfl.sync.bfly.b32")   ? BUTTERFLY
                           : ptx_span_is(name, "shfl.sync.idx.b32")  ? INDEX
                           : ptx_span_is(name, "shfl.sync.down.b32") ? DOWN
                                                                     : UP;
    if (count != 5 || (uint32_t)ptx_operand_number(reader, operands[4]) != UINT32_MAX ||
        ptx_operand_number(reader, operands[3]) != (instruction->variant == UP ? 0 : 31)) {
        ptx_read_fail(reader, "shfl within a part of a warp isn't known");
        return;
    }
    instruction->execute = shuffle;
    instruction->is_together = 1;
    instruction->d = ptx_operand_place(reader, operands[0], 4);
    instruction->a = ptx_operand_place(reader, operands[1], 4);
    instruction->b = ptx_operand_place(reader, operands[2], 4);
}

/* ldmatrix.sync.aligned.m8n8.xN[.trans].shared.b16 */
static void decode_matrices(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                            ptx_instruction *instruction)
{
    const int matrices = ptx_span_find(name, ".x")[2] - '0';
    uint32_t places[4];
    int found = 0;
    if (count != 2) {
        ptx_read_fail(reader, "ldmatrix with %d operands", count);
        return;
    }
    ptx_operand_list(reader, operands[0], 4, places, &found, 4);
    if (found != matrices) {
        ptx_read_fail(reader, "ldmatrix of %d matrices to %d registers", matrices, found);
    }
    ptx_keep_registers(reader, instruction, places, found);
    instruction->address_bytes = (uint8_t)ptx_address_bytes(reader, operands[1]);
    ptx_operand_address(reader, operands[1], instruction->address_bytes, &instruction->a,
                        &instruction->immediate);
    if (instruction->a == PTX_NONE) {
        ptx_read_fail(reader, "ldmatrix with the same address for all lanes");
    }
    instruction->variant = ptx_span_find(name, ".trans") != NULL;
    instruction->written_count = (uint8_t)found;
    instruction->execute = load_matrices;
    instruction->is_together = 1;
}

static void decode_multiply(ptx_reader *reader, const ptx_span *operands, int count,
                            ptx_instruction *instruction)
{
    uint32_t places[14];
    int found = 0;
    for (int i = 0; i < count; i++) {
        ptx_operand_list(reader, operands[i], 4, places, &found, 14);
    }
    if (count != 4 || found != 14) {
        ptx_read_fail(reader, "mma with %d registers", found);
        return;
    }
    ptx_keep_registers(reader, instruction, places, found);
    instruction->written_count = 4;
    instruction->execute = multiply_fragments;
    instruction->is_together = 1;
}

int ptx_decode_warp(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                    ptx_instruction *instruction)
{
    static const char *const matrices[] = {
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16",
        "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16",
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16",
        "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16",
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
    };
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        if (ptx_span_is(name, matrices[i])) {
            decode_matrices(reader, name, operands, count, instruction);
            return 1;
        }
    }
    ptx_span rest = name;
    ptx_half type;
    if (ptx_span_takes(&rest, "mma.sync.aligned.m16n8k16.row.col.f32") &&
        ptx_take_halves(&rest, &type) && ptx_span_is(rest, ".f32")) {
        instruction->variant = (uint8_t)type;
        decode_multiply(reader, operands, count, instruction);
        return 1;
    }
    if (ptx_span_is(name, "shfl.sync.bfly.b32") || ptx_span_is(name, "shfl.sync.idx.b32") ||
        ptx_span_is(name, "shfl.sync.down.b32") || ptx_span_is(name, "shfl.sync.up.b32")) {
        decode_shuffle(reader, name, operands, count, instruction);
        return 1;
    }
    return 0;
}
