/* Which instruction a name is. */
#include "ptx_families.h"
#include "ptx_operations.h"

#include <stdlib.h>
#include <string.h>

void ptx_keep_list(ptx_reader *reader, ptx_instruction *instruction, const uint32_t *places,
                   int count)
{
    ptx_kernel *kernel = reader->kernel;
    kernel->lists = ptx_read_grow(reader, kernel->lists, kernel->list_count, sizeof *kernel->lists);
    uint32_t *kept = reader->failed ? NULL : malloc((size_t)count * sizeof *kept);
    if (kept == NULL) {
        ptx_read_fail(reader, "out of memory");
        return;
    }
    memcpy(kept, places, (size_t)count * sizeof *kept);
    kernel->lists[kernel->list_count++] = kept;
    instruction->list = kept;
    instruction->list_count = count;
}

void ptx_keep_registers(ptx_reader *reader, ptx_instruction *instruction, const uint32_t *places,
                        int count)
{
    for (int i = 0; i < count; i++) {
        if (places[i] == PTX_NONE) {
            ptx_read_fail(reader, "_ in place of a register isn't known here");
        }
    }
    ptx_keep_list(reader, instruction, places, count);
}

/* Whether the operands have the sizes that the operation says; those that aren't registers may have
 * any. */
static int has_sizes(ptx_reader *reader, const ptx_operation *operation, const ptx_span *operands,
                     int count)
{
    int fits = (size_t)count == strlen(operation->sizes);
    for (int i = 0; fits && i < count; i++) {
        const uint32_t bytes = ptx_register_bytes(reader, operands[i]);
        fits = bytes == 0 || bytes == (uint32_t)(operation->sizes[i] - '0');
    }
    return fits;
}

static const ptx_operation *find_operation(ptx_reader *reader, ptx_span name,
                                           const ptx_span *operands, int count)
{
    static const ptx_operation *const tables[] = {ptx_integer_operations, ptx_float_operations,
                                                  ptx_compare_operations, ptx_convert_operations};
    for (size_t table = 0; table < sizeof tables / sizeof tables[0]; table++) {
        for (const ptx_operation *operation = tables[table]; operation->name != NULL; operation++) {
            if (ptx_span_is(name, operation->name) &&
                has_sizes(reader, operation, operands, count)) {
                return operation;
            }
        }
    }
    return NULL;
}

static void decode_operation(ptx_reader *reader, const ptx_operation *operation,
                             const ptx_span *operands, int count, ptx_instruction *instruction)
{
    uint32_t *const places[] = {&instruction->d, &instruction->a, &instruction->b, &instruction->c};
    instruction->execute = operation->execute;
    if (ptx_register_bytes(reader, operands[0]) == 0) {
        ptx_read_fail(reader, "'%.*s' isn't a register that may be written",
                      (int)operands[0].length, operands[0].begin);
    }
    for (int i = 0; i < count; i++) {
        *places[i] = ptx_operand_place(reader, operands[i], (uint32_t)(operation->sizes[i] - '0'));
    }
}

/* mov between a register and the halves of one twice as long: {%r1, %r2} and %rd1, {%rs1, %rs2} and
 * %r1. `variant` is the bytes of a half. */
static void join_halves(ptx_warp *warp, const ptx_instruction *instruction)
{
    const uint32_t *low = ptx_words(warp, instruction->list[0]);
    const uint32_t *high = ptx_words(warp, instruction->list[1]);
    FOR_LANES({
        if (instruction->variant == 4) {
            ptx_longs(warp, instruction->d)[lane] = (uint64_t)high[lane] << 32 | low[lane];
        } else {
            ptx_words(warp, instruction->d)[lane] = high[lane] << 16 | (low[lane] & 0xffffu);
        }
    })
}

static void split_halves(ptx_warp *warp, const ptx_instruction *instruction)
{
    FOR_LANES({
        const uint64_t whole = instruction->variant == 4 ? ptx_longs(warp, instruction->a)[lane]
                                                         : ptx_words(warp, instruction->a)[lane];
        for (int half = 0; half < 2; half++) {
            if (instruction->list[half] != PTX_NONE) {
                ptx_words(warp, instruction->list[half])[lane] =
                    instruction->variant == 4 ? (uint32_t)(whole >> 32 * half)
                                              : (uint32_t)(whole >> 16 * half) & 0xffffu;
            }
        }
    })
}

static int decode_halves(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                         ptx_instruction *instruction)
{
    const int is_long = ptx_span_is(name, "mov.b64");
    if ((!is_long && !ptx_span_is(name, "mov.b32")) || count != 2) {
        return 0;
    }
    const int is_split = operands[0].begin[0] == '{';
    if (!is_split && operands[1].begin[0] != '{') {
        return 0;
    }
    uint32_t places[2];
    int found = 0;
    ptx_operand_list(reader, operands[!is_split], 4, places, &found, 2);
    if (found != 2) {
        ptx_read_fail(reader, "two halves are missing");
        return 1;
    }
    (is_split ? ptx_keep_list : ptx_keep_registers)(reader, instruction, places, 2);
    *(is_split ? &instruction->a : &instruction->d) =
        ptx_operand_place(reader, operands[is_split], is_long ? 8 : 4);
    instruction->variant = is_long ? 4 : 2;
    instruction->written_count = is_split ? 2 : 0;
    instruction->execute = is_split ? split_halves : join_halves;
    return 1;
}

/* Fails where the module's target is older than the instruction. */
static void need_target(ptx_reader *reader, ptx_span name)
{
    static const char *const of_80[] = {"cvt.rn.bf16x2.f32", "cvt.rn.f16x2.f32",
                                        "mma.sync.aligned.m16n8k16", "cp.async"};
    for (size_t i = 0; reader->module->target < 80 && i < sizeof of_80 / sizeof of_80[0]; i++) {
        if (ptx_span_begins(name, of_80[i])) {
            ptx_read_fail(reader, "%s needs the target sm_80", of_80[i]);
        }
    }
}

void ptx_decode(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                ptx_instruction *instruction)
{
    instruction->d = instruction->a = instruction->b = instruction->c = PTX_NONE;
    need_target(reader, name);
    if (decode_halves(reader, name, operands, count, instruction)) {
        return;
    }
    const ptx_operation *operation = find_operation(reader, name, operands, count);
    if (operation != NULL) {
        decode_operation(reader, operation, operands, count, instruction);
        return;
    }
    if (!ptx_decode_memory(reader, name, operands, count, instruction) &&
        !ptx_decode_control(reader, name, operands, count, instruction) &&
        !ptx_decode_warp(reader, name, operands, count, instruction) &&
        !ptx_decode_mbarrier(reader, name, operands, count, instruction) &&
        !ptx_decode_async(reader, name, operands, count, instruction) &&
        !ptx_decode_cluster(reader, name, operands, count, instruction) &&
        !ptx_decode_tensor_map(reader, name, operands, count, instruction) &&
        !ptx_decode_wgmma(reader, name, operands, count, instruction)) {
        ptx_read_fail(reader, "the instruction %.*s isn't known, or not with these operands",
                      (int)(name.length < 80 ? name.length : 80), name.begin);
    }
}
