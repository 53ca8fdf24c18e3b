/* wgmma: four warps multiply 64 rows by up to 256 columns; b is in shared memory, a there or in
 * registers.
 *
 * A warp does its 16 rows when it comes to the instruction; what makes that the same as whenever
 * the units do it is checked: nobody may write what is read before the warp has waited, nothing but
 * further wgmma may use the sums, and registers are as they were at the last wgmma.fence.
 *
 * A descriptor names where an operand begins, and how it lies there: rows of 128, 64 or 32 bytes,
 * eight of them next to each other, in which chunks of 16 bytes are exchanged by the number of the
 * row (the swizzle). Along the depth, a row is a line of the matrix, and the stride goes from eight
 * lines to the next; along the lines, a row is one step of the depth, the stride goes from eight
 * steps to the next, and the leading offset from one block of lines to the next. */
#include "ptx_families.h"
#include "ptx_operations.h"
#include "ptx_run.h"
#include "ptx_units.h"

#include <inttypes.h>
#include <string.h>

/* Mixes the places of instructions into a number that others' orders hardly have. */
#define MIXED 0x9e3779b97f4a7c15u

enum {
    ROWS = 16,
    DEPTH = 16,
    MOST_COLUMNS = 256,
    BLOCK = 8,
    MARKS = 250,
    KEPT_REGISTERS = 4,
    WARPS = 4
};

typedef struct operand {
    uint32_t start;
    uint32_t leading;
    uint32_t stride;
    uint32_t width; /* of a row, in bytes */
    uint32_t mask;  /* of the row's number in the exchange of chunks */
    int is_along_lines;
} operand;

/* Returns 0, having failed, where the layout isn't known. */
static int read_descriptor(ptx_warp *warp, const ptx_instruction *instruction, uint64_t bits,
                           int is_along_lines, operand *read)
{
    static const uint32_t widths[] = {0, 128, 64, 32};
    const uint32_t swizzle = (uint32_t)(bits >> 62);
    read->start = (uint32_t)(bits & 0x3fff) << 4;
    read->leading = (uint32_t)(bits >> 16 & 0x3fff) << 4;
    read->stride = (uint32_t)(bits >> 32 & 0x3fff) << 4;
    read->width = widths[swizzle];
    read->mask = read->width / 16 - 1;
    read->is_along_lines = is_along_lines;
    if (swizzle == 0 || (bits >> 49 & 7) != 0) {
        ptx_fail(warp, instruction,
                 "a descriptor without a swizzle, or with a base offset, isn't known");
        return 0;
    }
    return 1;
}

/* The address of one number. */
static uint32_t address_of(const operand *from, int line, int k)
{
    const uint32_t in_row = from->width / 2;
    uint32_t address = from->start;
    if (from->is_along_lines) {
        address += (uint32_t)line % in_row * 2 + (uint32_t)line / in_row * from->leading +
                   (uint32_t)k % BLOCK * from->width + (uint32_t)k / BLOCK * from->stride;
    } else {
        address += (uint32_t)line % BLOCK * from->width + (uint32_t)line / BLOCK * from->stride +
                   (uint32_t)k * 2;
    }
    return address ^ (address >> 7 & from->mask) << 4;
}

/* Notes that a wgmma reads a word until it is waited for. */
static int use_word(ptx_warp *warp, const ptx_instruction *instruction, uint32_t address)
{
    const int64_t offset = ptx_shared(warp, instruction, address, PTX_WORD_BYTES, PTX_WORD_BYTES);
    if (offset < 0) {
        return 0;
    }
    const size_t word = (size_t)offset / PTX_WORD_BYTES;
    const ptx_user user = {.clock = &warp->clock,
                           .agent = (uint16_t)warp->agent,
                           .lane = PTX_MANY_LANES,
                           .is_async = 1};
    const char *wrong = ptx_shadow_read(&warp->group->shadow, word, &user);
    if (wrong != NULL) {
        ptx_fail(warp, instruction, "shared memory at 0x%x %s", address, wrong);
        return 0;
    }
    warp->group->shadow.written[word].readers++;
    ptx_add_pending(warp, instruction, &warp->multiplications, word, PTX_MANY_LANES);
    return 1;
}

/* a's rows from registers, which lie as mma has them: words of rows g, g + 8, g, g + 8. */
static void read_registers(const ptx_warp *warp, ptx_half type, const uint32_t *places,
                           float (*rows)[DEPTH])
{
    for (int lane = 0; lane < PTX_LANES; lane++) {
        for (int i = 0; i < KEPT_REGISTERS; i++) {
            ptx_half_pair(type, ptx_words(warp, places[i])[lane],
                          rows[lane / 4 + i % 2 * 8] + lane % 4 * 2 + i / 2 * 8);
        }
    }
}

/* Lines from `first` on as numbers. Returns 0, having failed, where they may not be read. */
static int read_lines(ptx_warp *warp, const ptx_instruction *instruction, const operand *from,
                      int first, int count, float (*lines)[DEPTH])
{
    for (int line = 0; line < count; line++) {
        for (int k = 0; k < DEPTH; k++) {
            const uint32_t address = address_of(from, first + line, k);
            const int is_first_of_word = from->is_along_lines ? line % 2 == 0 : k % 2 == 0;
            if (is_first_of_word &&
                !use_word(warp, instruction, address & ~(uint32_t)(PTX_WORD_BYTES - 1))) {
                return 0;
            }
            uint16_t bits;
            memcpy(&bits, warp->group->shared + (address - PTX_SHARED_BASE), sizeof bits);
            lines[line][k] = ptx_half_value((ptx_half)instruction->variant, bits);
        }
    }
    return 1;
}

/* What a sum's mark says is its set, by the remainder of its number. */
static uint8_t mark_of_set(uint32_t set)
{
    return (uint8_t)(1 + set % MARKS);
}

/* Whether a mark's set is none of the last `left` ones, nor the open one. */
static int is_ended(uint8_t mark, uint32_t open_set, uint32_t left)
{
    const uint32_t age = (uint32_t)(mark_of_set(open_set) + MARKS - mark) % MARKS;
    return age > left;
}

static uint8_t *mark_at(uint8_t *marks, uint32_t place)
{
    return &marks[place / (4 * PTX_LANES)];
}

/* Returns 0, having failed, where an operand's register isn't as it was at the last fence. */
static int are_fenced(ptx_warp *warp, const ptx_instruction *instruction)
{
    int fenced = 1;
    for (int i = 0; i < instruction->list_count; i++) {
        fenced = fenced && *mark_at(warp->changed, instruction->list[i]) == 0;
    }
    if (!warp->has_fenced_sums) {
        ptx_fail(warp, instruction, "there is no wgmma.fence between a wait and this");
    } else if (!fenced) {
        ptx_fail(warp, instruction, "a register was written behind wgmma.fence");
    }
    return warp->has_fenced_sums && fenced;
}

/* `list`: the sums, four for each 8 columns as of mma, and a's registers where there are any; d, a
 * and b: the predicate that says whether to add to them, and the descriptors;
 * `variant`: the type of a and b. */
static void multiply(ptx_warp *warp, const ptx_instruction *instruction)
{
    const int sum_count = instruction->written_count;
    const int is_kept = instruction->list_count > sum_count;
    const int columns = sum_count * 2;
    operand a;
    operand b;
    float rows[ROWS][DEPTH];
    float lines[MOST_COLUMNS][DEPTH];
    if (!ptx_is_whole(warp, instruction) ||
        (!is_kept && (!read_descriptor(warp, instruction, ptx_longs(warp, instruction->a)[0],
                                       instruction->immediate & 1, &a) ||
                      !read_lines(warp, instruction, &a, warp->number % 4 * ROWS, ROWS, rows))) ||
        !read_descriptor(warp, instruction, ptx_longs(warp, instruction->b)[0],
                         instruction->immediate >> 1 & 1, &b) ||
        !read_lines(warp, instruction, &b, 0, columns, lines) || !are_fenced(warp, instruction)) {
        return;
    }
    warp->multiplied = (warp->multiplied + (uint64_t)warp->pc) * MIXED;
    warp->multiplied_count++;
    if (is_kept) {
        read_registers(warp, (ptx_half)instruction->variant, instruction->list + sum_count, rows);
    }
    const int is_added = ptx_words(warp, instruction->d)[0] != 0;
    const uint8_t mark = mark_of_set(warp->multiplications.set);
    for (int i = 0; i < sum_count; i++) {
        float *sums = ptx_floats(warp, instruction->list[i]);
        for (int lane = 0; lane < PTX_LANES; lane++) {
            const int row = lane / 4 + i % 4 / 2 * 8;
            const int col = i / 4 * 8 + 2 * (lane % 4) + i % 2;
            const float half =
                ptx_add_products(is_added ? sums[lane] : 0.0f, rows[row], lines[col]);
            sums[lane] =
                ptx_add_products(half, rows[row] + PTX_UNIT_DEPTH, lines[col] + PTX_UNIT_DEPTH);
        }
        *mark_at(warp->in_flight, instruction->list[i]) = mark;
    }
    for (int i = sum_count; i < instruction->list_count; i++) {
        *mark_at(warp->held, instruction->list[i]) = mark;
    }
}

static void begin(ptx_warp *warp, const ptx_instruction *instruction)
{
    warp->has_fenced_sums = ptx_is_whole(warp, instruction);
    memset(warp->changed, 0, (size_t)warp->unit_count);
}

static void commit(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (ptx_is_whole(warp, instruction)) {
        warp->multiplications.set++;
    }
}

static void end_marks(uint8_t *marks, int count, uint32_t open_set, uint32_t left)
{
    for (int i = 0; i < count; i++) {
        if (marks[i] != 0 && is_ended(marks[i], open_set, left)) {
            marks[i] = 0;
        }
    }
}

/* What wgmma of sets older than the last `left` ones read is free, and their sums are there. */
static void end_multiplications(ptx_warp *warp, uint32_t left)
{
    ptx_pending_list *list = &warp->multiplications;
    size_t ended = 0;
    for (; ended < list->count && list->items[ended].set + left < list->set; ended++) {
        warp->group->shadow.written[list->items[ended].word].readers--;
        ptx_read *read =
            &warp->group->shadow.reads[list->items[ended].word * (size_t)warp->group->warp_count +
                                       (size_t)warp->number];
        read->at = warp->clock.of[warp->agent];
        read->lane = PTX_MANY_LANES;
    }
    if (ended > 0) {
        list->count -= ended;
        memmove(list->items, list->items + ended, list->count * sizeof *list->items);
    }
    end_marks(warp->in_flight, warp->unit_count, list->set, left);
    end_marks(warp->held, warp->unit_count, list->set, left);
}

static void wait(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (ptx_is_whole(warp, instruction)) {
        end_multiplications(warp, (uint32_t)instruction->immediate);
        warp->has_fenced_sums = 0;
    }
}

void ptx_check_warpgroup(ptx_warp *warp, const ptx_instruction *instruction)
{
    const int first = warp->number / WARPS * WARPS;
    const int count = warp->group->warp_count;
    if (warp->multiplied_count > 0 && first + WARPS > count) {
        ptx_fail(warp, instruction, "wgmma by a warpgroup that has fewer than four warps");
        return;
    }
    for (int i = first; i < first + WARPS && i < count; i++) {
        const ptx_warp *other = &warp->group->warps[i];
        if (other->state == PTX_LEFT && (other->multiplied != warp->multiplied ||
                                         other->multiplied_count != warp->multiplied_count)) {
            ptx_fail(warp, instruction,
                     "warps %d and %d of a warpgroup have executed other wgmma: %" PRIu32
                     " and %" PRIu32,
                     i, warp->number, other->multiplied_count, warp->multiplied_count);
            return;
        }
    }
}

static int is_marked(const ptx_warp *warp, uint8_t *marks, uint32_t place)
{
    return place < warp->group->kernel->register_bytes && *mark_at(marks, place) != 0;
}

/* A result that isn't wgmma's. */
static int change(ptx_warp *warp, uint32_t place)
{
    if (place < warp->group->kernel->register_bytes) {
        *mark_at(warp->changed, place) = 1;
    }
    return is_marked(warp, warp->held, place);
}

void ptx_check_in_flight(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (instruction->execute == multiply) {
        return;
    }
    /* The compiler's exchange of names: what is true of a register is so of its copy. */
    if (ptx_is_move(instruction)) {
        *mark_at(warp->in_flight, instruction->d) = *mark_at(warp->in_flight, instruction->a);
        *mark_at(warp->changed, instruction->d) = *mark_at(warp->changed, instruction->a);
        if (is_marked(warp, warp->held, instruction->d)) {
            ptx_fail(warp, instruction, "writes what a wgmma that was not waited for reads");
        }
        return;
    }
    int is_used = is_marked(warp, warp->in_flight, instruction->d) ||
                  is_marked(warp, warp->in_flight, instruction->a) ||
                  is_marked(warp, warp->in_flight, instruction->b) ||
                  is_marked(warp, warp->in_flight, instruction->c);
    int is_changed = change(warp, instruction->d);
    for (int i = 0; i < instruction->list_count; i++) {
        is_used = is_used || is_marked(warp, warp->in_flight, instruction->list[i]);
        is_changed =
            (i < instruction->written_count && change(warp, instruction->list[i])) || is_changed;
    }
    if (is_used) {
        ptx_fail(warp, instruction, "uses sums of a wgmma that was not waited for");
    } else if (is_changed) {
        ptx_fail(warp, instruction, "writes what a wgmma that was not waited for reads");
    }
}

/* Whether the name is a product's; its columns and the type of its operands. */
static int take_product(ptx_span name, int *columns, ptx_half *type)
{
    static const char rows[] = "wgmma.mma_async.sync.aligned.m64n";
    if (!ptx_span_begins(name, rows)) {
        return 0;
    }
    ptx_span rest = {.begin = name.begin + strlen(rows), .length = name.length - strlen(rows)};
    *columns = 0;
    while (rest.length > 0 && rest.begin[0] >= '0' && rest.begin[0] <= '9' && *columns < 1000) {
        *columns = 10 * *columns + *rest.begin++ - '0';
        rest.length--;
    }
    return ptx_span_takes(&rest, "k16.f32") && ptx_take_halves(&rest, type) && rest.length == 0;
}

/* wgmma.mma_async.sync.aligned.m64nNk16.f32, .bf16.bf16 or .f16.f16, {sums}, a, b, p, 1, 1[, a
 * along lines], b along lines; where a is in registers nothing is said of its lines. */
static void decode_multiply(ptx_reader *reader, int columns, const ptx_span *operands, int count,
                            ptx_instruction *instruction)
{
    uint32_t places[MOST_COLUMNS / 2 + KEPT_REGISTERS];
    int found = 0;
    const int is_kept = count > 1 && operands[1].length > 0 && operands[1].begin[0] == '{';
    if (count != 8 - is_kept || columns < 8 || columns > MOST_COLUMNS || columns % BLOCK != 0 ||
        ptx_operand_number(reader, operands[4]) != 1 ||
        ptx_operand_number(reader, operands[5]) != 1) {
        ptx_read_fail(reader, "this form of wgmma isn't known");
        return;
    }
    ptx_operand_list(reader, operands[0], 4, places, &found, MOST_COLUMNS / 2);
    if (found != columns / 2) {
        ptx_read_fail(reader, "wgmma of %d columns with %d sums", columns, found);
        return;
    }
    if (is_kept) {
        ptx_operand_list(reader, operands[1], 4, places, &found, columns / 2 + KEPT_REGISTERS);
        if (found != columns / 2 + KEPT_REGISTERS) {
            ptx_read_fail(reader, "wgmma takes %d registers of a", KEPT_REGISTERS);
            return;
        }
    } else {
        instruction->a = ptx_operand_place(reader, operands[1], 8);
    }
    ptx_keep_registers(reader, instruction, places, found);
    instruction->written_count = (uint8_t)(columns / 2);
    instruction->b = ptx_operand_place(reader, operands[2], 8);
    instruction->d = ptx_operand_place(reader, operands[3], 4);
    const int64_t a_along_lines = is_kept ? 0 : ptx_operand_number(reader, operands[6]);
    const int64_t b_along_lines = ptx_operand_number(reader, operands[7 - is_kept]);
    if (((a_along_lines | b_along_lines) & ~(int64_t)1) != 0) {
        ptx_read_fail(reader, "a layout of wgmma is 0 or 1");
    }
    instruction->immediate = (a_along_lines & 1) | (b_along_lines & 1) << 1;
    instruction->execute = multiply;
    instruction->is_together = 1;
}

int ptx_decode_wgmma(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                     ptx_instruction *instruction)
{
    if (!ptx_span_begins(name, "wgmma.")) {
        return 0;
    }
    if (reader->module->target != 90 || !reader->module->is_specific) {
        ptx_read_fail(reader, "wgmma needs the target sm_90a");
        return 1;
    }
    int columns;
    ptx_half type;
    if (take_product(name, &columns, &type)) {
        instruction->variant = (uint8_t)type;
        decode_multiply(reader, columns, operands, count, instruction);
    } else if (ptx_span_is(name, "wgmma.fence.sync.aligned")) {
        instruction->execute = begin;
        instruction->is_together = 1;
    } else if (ptx_span_is(name, "wgmma.commit_group.sync.aligned")) {
        instruction->execute = commit;
        instruction->is_together = 1;
    } else if (ptx_span_is(name, "wgmma.wait_group.sync.aligned") && count == 1) {
        instruction->immediate = ptx_operand_number(reader, operands[0]);
        instruction->execute = wait;
        instruction->is_together = 1;
    } else {
        return 0;
    }
    return 1;
}
