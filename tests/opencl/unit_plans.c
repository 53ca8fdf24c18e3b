/* The rule that cuts a product's depth into pieces: what it says for products of a model on a
 * device with as many compute units as an H100 has, and what it may never say. */
#include "opencl/matrix_units_plan.h"

#include "check.h"

#include <stdio.h>

static const opencl_unit_choice h100 = {.unit = OPENCL_UNIT_WGMMA,
                                        .parts = 1,
                                        .only = -1,
                                        .compute_units = 132,
                                        .room = (size_t)1 << 30};

static opencl_unit_plan plan(opencl_unit_choice choice, int64_t rows, int64_t cols, int64_t depth)
{
    const opencl_unit_sizes sizes = {rows, cols, depth, 1, 1, 1};
    const opencl_unit_plan made = opencl_unit_plan_for(&choice, &sizes);
    printf("%lldx%lldx%lld: variant %d, %d pieces of %lld\n", (long long)rows, (long long)cols,
           (long long)depth, made.variant, made.pieces, (long long)made.piece_depth);
    return made;
}

static void cuts_only_what_gains(void)
{
    /* Weight gradients of GPT-2 small: few tiles, 16,384 rows deep. */
    CHECK(plan(h100, 768, 768, 16384).pieces > 1);
    CHECK(plan(h100, 768, 3072, 16384).pieces > 1);
    /* Forward passes: the grid fills the device. */
    CHECK(plan(h100, 16384, 3072, 768).pieces == 1);
    CHECK(plan(h100, 8192, 8192, 8192).pieces == 1);
    /* Little depth, little work. */
    CHECK(plan(h100, 64, 64, 256).pieces == 1);
    CHECK(plan(h100, 768, 768, 300).pieces == 1);
}

static void fits_scratch(void)
{
    opencl_unit_choice choice = h100;
    const opencl_unit_sizes sizes = {768, 770, 16384, 3, 3, 3};
    CHECK(opencl_unit_pieces_bytes(&sizes, 2) == (size_t)2 * 3 * 768 * 772 * 4);
    choice.room = 0;
    CHECK(plan(choice, 768, 768, 16384).pieces == 1);
    choice.room = (size_t)3 * 768 * 768 * 4;
    CHECK(plan(choice, 768, 768, 16384).pieces <= 3);
    choice.pieces = 4;
    CHECK(plan(choice, 768, 768, 16384).pieces == 1);
    choice.room = (size_t)1 << 40;
    CHECK(plan(choice, 65536, 65536, 16384).pieces == 1);
}

/* Pieces cover the depth, none is empty, and all but the last are whole slices. */
static void pieces_are_whole(void)
{
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int number = 0; number < count; number++) {
        for (int pieces = 1; pieces <= OPENCL_MOST_PIECES; pieces++) {
            for (int64_t depth = 1; depth < 700; depth += 23) {
                const opencl_unit_choice choice = {
                    .unit = variants[number].unit,
                    .parts = opencl_unit_variant_operands(&variants[number]),
                    .only = number,
                    .pieces = pieces,
                    .compute_units = 2,
                    .room = (size_t)1 << 30,
                    .may_map = 1};
                const opencl_unit_sizes sizes = {65, 33, depth, 2, 2, 1};
                const opencl_unit_plan made = opencl_unit_plan_for(&choice, &sizes);
                CHECK(made.variant == number && made.pieces >= 1 && made.pieces <= pieces);
                CHECK(made.piece_depth % opencl_unit_variant_depth(&variants[number]) == 0);
                CHECK(made.piece_depth * made.pieces >= depth);
                CHECK(made.piece_depth * (made.pieces - 1) < depth);
            }
        }
    }
}

static int is_packed(int number)
{
    int count = 0;
    return number >= 0 && opencl_unit_variants(&count)[number].packed;
}

static int is_in_halves(int number)
{
    int count = 0;
    return number >= 0 && opencl_unit_variants(&count)[number].halves;
}

/* Packing pays where much is done with each element, and only into scratch that is there. */
static void packs_only_what_gains(void)
{
    opencl_unit_choice choice = h100;
    /* Logits of 16,384 tokens, and a large square. */
    CHECK(is_packed(plan(choice, 16384, 50304, 768).variant));
    CHECK(is_packed(plan(choice, 8192, 8192, 8192).variant));
    /* Many small stages: the other packed variants were slower than operands as they are. */
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    CHECK(variants[plan(choice, 16384, 50304, 768).variant].stages == 5);
    /* Products of a layer: what packing takes is what it saves, or more. */
    CHECK(!is_packed(plan(choice, 16384, 768, 3072).variant));
    CHECK(!is_packed(plan(choice, 16384, 2304, 768).variant));
    CHECK(!is_packed(plan(choice, 768, 3072, 16384).variant));
    choice.never = 1u << OPENCL_PACKED;
    CHECK(!is_packed(plan(choice, 16384, 50304, 768).variant));
    choice.never = 0;
    choice.room = (size_t)64 << 20;
    CHECK(plan(choice, 16384, 50304, 768).variant >= 0);
    CHECK(!is_packed(plan(choice, 16384, 50304, 768).variant));
    /* More than is ever asked for: the gradient of the logits. */
    choice.room = (size_t)1 << 40;
    CHECK(!is_packed(plan(choice, 16384, 768, 50304).variant));
    /* f32 in parts is there for all: in halves, which are packed, where packing gains, and in three
     * parts packed by tuning alone. */
    choice.parts = 3;
    CHECK(is_in_halves(plan(choice, 4096, 4096, 4096).variant));
    CHECK(is_in_halves(plan(choice, 8192, 3072, 768).variant));
    CHECK(plan(choice, 64, 64, 256).variant >= 0);
    CHECK(!is_packed(plan(choice, 64, 64, 256).variant));
    choice.never = 1u << OPENCL_PACKED_HALVES;
    CHECK(plan(choice, 4096, 4096, 4096).variant >= 0);
    CHECK(!is_packed(plan(choice, 4096, 4096, 4096).variant));
    CHECK(!is_packed(plan(choice, 8192, 50304, 768).variant));
}

static opencl_unit_manner manner_of(int number)
{
    int count = 0;
    return number < 0 ? OPENCL_AS_THEY_ARE
                      : opencl_unit_variant_manner(&opencl_unit_variants(&count)[number]);
}

/* Groups run in clusters, and copies go by tensor maps, where somebody asks for it, until that has
 * failed; the latter only of operands that can have maps. */
static void untried_only_when_asked(void)
{
    int count = 0;
    int found = 0;
    opencl_unit_choice choice = h100;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int64_t size = 64; size <= 16384; size *= 2) {
        CHECK(manner_of(plan(choice, size, size, size).variant) <= OPENCL_PACKED);
    }
    for (int number = 0; number < count; number++) {
        const opencl_unit_manner manner = manner_of(number);
        choice.only = number;
        choice.unit = variants[number].unit;
        choice.parts = opencl_unit_variant_operands(&variants[number]);
        choice.never = ~(1u << manner);
        choice.may_map = 1;
        CHECK(plan(choice, 2048, 2048, 2048).variant == number);
        choice.never = 1u << manner;
        CHECK(plan(choice, 2048, 2048, 2048).variant < 0);
        choice.never = 0;
        choice.may_map = 0;
        CHECK((plan(choice, 2048, 2048, 2048).variant < 0) == variants[number].mapped);
        found |= 1 << manner;
    }
    CHECK(found == (1 << OPENCL_UNIT_MANNERS) - 1);
}

/* The bytes that a plan asks for are those of whole tiles and slices in all parts, once for what
 * batches share; in halves, pairs of slices, and of each line its size and the largest numbers of
 * eight pieces. */
static void counts_packed_bytes(void)
{
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    const opencl_unit_sizes sizes = {65, 33, 70, 3, 3, 1};
    for (int number = 0; number < count; number++) {
        const opencl_unit_variant *one = &variants[number];
        const opencl_unit_plan cut = {.variant = number, .pieces = 2};
        const size_t sums = opencl_unit_pieces_bytes(&sizes, 2);
        if (!one->packed || one->mapped) {
            CHECK(opencl_unit_plan_bytes(&cut, &sizes) == sums + (size_t)one->mapped * 128 * 5);
            continue;
        }
        const int whole = one->halves ? 32 : one->tile_depth;
        const size_t line =
            2 * (size_t)one->parts * (size_t)opencl_parts(70, whole) * (size_t)whole +
            (one->halves ? 36 : 0);
        const size_t a_lines = (size_t)opencl_parts(65, one->tile_rows) * (size_t)one->tile_rows;
        CHECK(opencl_unit_plan_bytes(&cut, &sizes) ==
              line * (3 * a_lines + (size_t)one->tile_cols) + sums);
    }
}

int main(void)
{
    packs_only_what_gains();
    untried_only_when_asked();
    counts_packed_bytes();
    cuts_only_what_gains();
    fits_scratch();
    pieces_are_whole();
    return 0;
}
