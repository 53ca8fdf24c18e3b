/* The interpreter's tensor maps: how they are made, what comes by them, and what must be refused.
 */
#include "ptx_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    TEXT = 16384,
    TENSOR = 256, /* where the tensor begins in `words`, behind maps; */
    STAGE = 8704  /* and where what has come is stored */
};

/* What is replaced in a map; a tensor of two dimensions. */
typedef struct trial_map {
    int elemtype;
    int element_bytes;
    int rank;
    int global_offset; /* from the tensor's place, in bytes */
    uint32_t global_dim[2];
    uint32_t box_dim[2];
    uint64_t global_stride;
    int element_stride[2];
    int swizzle_mode;
    int interleave_layout;
    int fill_mode;
    int left_out; /* the instruction that isn't there, from 0; −1: none */
} trial_map;

enum { REPLACED = 13 };

/* A tensor of 100 to 40 bf16 whose rows are 208 bytes apart, and a box of 64 to 16. */
static const trial_map usual = {.elemtype = 10,
                                .element_bytes = 2,
                                .rank = 1,
                                .global_dim = {100, 40},
                                .box_dim = {64, 16},
                                .global_stride = 208,
                                .element_stride = {1, 1},
                                .swizzle_mode = 3,
                                .left_out = -1};

static trial_map map;

static int setup(void **state)
{
    try_setup(state);
    trial.version = "8.3";
    trial.word_count = TRY_MOST_WORDS;
    trial.shared_bytes = 65536;
    map = usual;
    memset(words, 0, sizeof words);
    for (int i = TENSOR; i < STAGE; i++) {
        words[i] = random_word();
    }
    return 0;
}

/* The first item makes the map at [%rd1] of what must be zeros. */
static const char *make_map(void)
{
    static char text[4096];
    static const char replace[] = "@%p2 tensormap.replace.tile.";
    char lines[REPLACED][160];
    sprintf(lines[0], "add.s64 %%rd4, %%rd1, %d; %sglobal_address.global.b1024.b64 [%%rd1], %%rd4;",
            4 * TENSOR + map.global_offset, replace);
    sprintf(lines[1], "%srank.global.b1024.b32 [%%rd1], %d;", replace, map.rank);
    sprintf(lines[2], "%sbox_dim.global.b1024.b32 [%%rd1], 0, %u;", replace, map.box_dim[0]);
    sprintf(lines[3], "mov.u32 %%r5, %u; %sbox_dim.global.b1024.b32 [%%rd1], 0x1, %%r5;",
            map.box_dim[1], replace);
    sprintf(lines[4], "%sglobal_dim.global.b1024.b32 [%%rd1], 0, %u;", replace, map.global_dim[0]);
    sprintf(lines[5], "%sglobal_dim.global.b1024.b32 [%%rd1], 1, %u;", replace, map.global_dim[1]);
    sprintf(lines[6], "%sglobal_stride.global.b1024.b64 [%%rd1], 0, %llu;", replace,
            (unsigned long long)map.global_stride);
    for (int i = 0; i < 2; i++) {
        sprintf(lines[7 + i], "%selement_stride.global.b1024.b32 [%%rd1], %d, %d;", replace, i,
                map.element_stride[i]);
    }
    sprintf(lines[9], "%selemtype.global.b1024.b32 [%%rd1], 0x%x;", replace, map.elemtype);
    sprintf(lines[10], "%sinterleave_layout.global.b1024.b32 [%%rd1], %d;", replace,
            map.interleave_layout);
    sprintf(lines[11], "%sswizzle_mode.global.b1024.b32 [%%rd1], %d;", replace, map.swizzle_mode);
    sprintf(lines[12], "%sfill_mode.global.b1024.b32 [%%rd1], %d;", replace, map.fill_mode);
    text[0] = '\0';
    for (int i = 0; i < REPLACED; i++) {
        if (i != map.left_out) {
            strcat(text, lines[i]);
        }
    }
    return text;
}

#define RELEASE "@%p2 fence.proxy.tensormap::generic.release.gpu;"
#define ACQUIRE "@%p2 fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;"
#define PLAIN   "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
/* An mbarrier at the beginning of shared memory, the box behind it from 1024 on. */
#define START                                                                     \
    "@%p2 mbarrier.init.shared.b64 [%r3], 1; @%p2 fence.proxy.async; bar.sync 0;" \
    "add.s32 %r6, %r3, 1024; mov.u32 %r8, 0;"
#define UNTIL "again: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra again;"
#define COPY  "@%p2 " PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3];"

static const char *expect(uint32_t bytes)
{
    static char text[160];
    sprintf(text, "mov.u32 %%r7, %u; @%%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%%r3], %%r7;",
            bytes);
    return text;
}

static uint32_t box_bytes(void)
{
    return map.box_dim[0] * map.box_dim[1] * (uint32_t)map.element_bytes;
}

static const char *at(int x, int y)
{
    static char text[80];
    sprintf(text, "mov.u32 %%r20, %d; mov.u32 %%r21, %d;", x, y);
    return text;
}

/* All items store what has come. */
static const char *take(void)
{
    static char text[400];
    sprintf(text,
            "mov.u32 %%r9, %%r4; take: add.s32 %%r10, %%r6, %%r9; ld.shared.u32 %%r11, [%%r10];"
            "cvt.u64.u32 %%rd5, %%r9; add.s64 %%rd5, %%rd1, %%rd5; st.global.u32 [%%rd5+%d], %%r11;"
            "add.s32 %%r9, %%r9, 256; setp.lt.u32 %%p3, %%r9, %u; @%%p3 bra take;",
            4 * STAGE, box_bytes());
    return text;
}

/* Several pieces of a body, one behind the other, up to NULL. */
static const char *body(const char *first, ...)
{
    static char text[TEXT];
    va_list pieces;
    va_start(pieces, first);
    text[0] = '\0';
    for (const char *piece = first; piece != NULL; piece = va_arg(pieces, const char *)) {
        assert_true(strlen(text) + strlen(piece) < sizeof text);
        strcat(text, piece);
    }
    va_end(pieces);
    return text;
}

static const char *copy_at(int x, int y)
{
    static char text[TEXT];
    strcpy(text, body(START, ACQUIRE, expect(box_bytes()), at(x, y), COPY, UNTIL, take(), NULL));
    return text;
}

/* Makes a map in a launch of its own. */
static void make(void)
{
    memset(words, 0, 128);
    passes(body(make_map(), RELEASE, NULL));
}

/* Makes the map, and copies by it in the next launch. */
static void copies(int x, int y)
{
    make();
    passes(copy_at(x, y));
}

static void copy_is_refused(const char *words_of_message)
{
    make();
    is_refused(copy_at(0, 0), words_of_message);
}

/* ---- Results ---- */

/* Where the documents' figures have a row's chunk of 16 bytes: with 128 bytes rows change chunks by
 * the lowest three bits of their number, with 64 by bits 1 and 2, with 32 by bit 2. */
static size_t chunk_place(size_t row, size_t chunk)
{
    const size_t row_bytes = map.box_dim[0] * (size_t)map.element_bytes;
    if (map.swizzle_mode != 0) {
        chunk ^= (row >> (3 - map.swizzle_mode)) % ((size_t)1 << map.swizzle_mode);
    }
    return row * row_bytes + 16 * chunk;
}

static void box_is_right(int x, int y)
{
    const unsigned char *tensor = (const unsigned char *)(words + TENSOR) + map.global_offset;
    const unsigned char *stage = (const unsigned char *)(words + STAGE);
    const size_t size = (size_t)map.element_bytes;
    static const unsigned char zeros[8];
    for (int row = 0; row < (int)map.box_dim[1]; row++) {
        for (int column = 0; column < (int)map.box_dim[0]; column++) {
            const int is_inside = x + column >= 0 && x + column < (int)map.global_dim[0] &&
                                  y + row >= 0 && y + row < (int)map.global_dim[1];
            const unsigned char *expected =
                is_inside
                    ? tensor + (size_t)(y + row) * map.global_stride + (size_t)(x + column) * size
                    : zeros;
            const size_t byte = (size_t)column * size;
            const unsigned char *found = stage + chunk_place((size_t)row, byte / 16) + byte % 16;
            if (memcmp(found, expected, size) != 0) {
                fail_msg("x %d, y %d, swizzle %d: row %d, column %d", x, y, map.swizzle_mode, row,
                         column);
            }
        }
    }
}

static void boxes_come_to_their_places(void **state)
{
    (void)state;
    static const int places[][2] = {{0, 0},    {64, 16},  {3, 5},    {-5, 0},    {0, -7},
                                    {90, 35},  {-64, 0},  {100, 0},  {0, 40},    {0, -16},
                                    {-63, 39}, {99, -15}, {-70, 60}, {1000, -9}, {-2147483647, 0}};
    static const int types[][2] = {{10, 2}, {7, 4}, {1, 2}, {0, 1}, {5, 8}};
    for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
        for (int swizzle = 0; swizzle <= 3; swizzle++) {
            map.elemtype = types[type][0];
            map.element_bytes = types[type][1];
            map.swizzle_mode = swizzle;
            map.global_stride = 816;
            map.box_dim[0] = (swizzle == 0 ? 48u : 16u << swizzle) / (uint32_t)map.element_bytes;
            map.box_dim[1] = swizzle == 2 ? 13 : 16;
            make();
            for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
                memset(words + STAGE, 0xff, box_bytes());
                passes(copy_at(places[i][0], places[i][1]));
                box_is_right(places[i][0], places[i][1]);
            }
        }
    }
}

static void boxes_may_be_large(void **state)
{
    (void)state;
    map.swizzle_mode = 0;
    map.element_bytes = 1;
    map.elemtype = 0;
    map.box_dim[0] = 48;
    map.box_dim[1] = 256;
    map.global_dim[1] = 120;
    copies(7, -100);
    box_is_right(7, -100);
    map.box_dim[0] = 256;
    map.box_dim[1] = 48;
    copies(-50, 100);
    box_is_right(-50, 100);
    /* A tensor of one row needs no stride. */
    map.global_dim[1] = 1;
    map.global_stride = 0;
    copies(-50, 0);
    box_is_right(-50, 0);
}

static void maps_are_made_and_used_in_one_launch(void **state)
{
    (void)state;
    passes(body(make_map(), RELEASE, copy_at(2, 3), NULL));
    box_is_right(2, 3);
    /* A map that is there may be changed. */
    passes(body("@%p2 tensormap.replace.tile.global_dim.global.b1024.b32 [%rd1+0], 1, 10;", RELEASE,
                copy_at(2, 3), NULL));
    map.global_dim[1] = 10;
    box_is_right(2, 3);
}

/* ---- Bytes of maps ---- */

static void maps_are_bytes(void **state)
{
    (void)state;
    make();
    uint32_t kept[32];
    memcpy(kept, words, 128);
    /* Copied by the host, by items. */
    memset(words, 0, 128);
    is_refused(copy_at(0, 0), "isn't one, or other stores have changed it");
    memcpy(words, kept, 128);
    passes(copy_at(0, 0));
    memset(words, 0xff, 128);
    memcpy(words + 32, kept, 128);
    passes("@%p1 ld.global.u32 %r5, [%rd2+128]; @%p1 st.global.u32 [%rd2], %r5;");
    passes(copy_at(1, 1));
    box_is_right(1, 1);
    /* Other stores. */
    passes("@%p2 st.global.u8 [%rd1+100], 1;");
    is_refused(copy_at(0, 0), "isn't one, or other stores have changed it");
    is_refused(body(make_map(), NULL), "neither a tensor map nor 128 bytes of zeros");
    memset(words, 0, 128);
    words[31] = 1;
    is_refused(body(make_map(), NULL), "neither a tensor map nor 128 bytes of zeros");
}

static void maps_need_all_fields(void **state)
{
    (void)state;
    static const char *const names[REPLACED] = {
        "global_address",    "rank",          "box_dim",        "box_dim",        "global_dim",
        "global_dim",        "global_stride", "element_stride", "element_stride", "elemtype",
        "interleave_layout", "swizzle_mode",  "fill_mode"};
    for (map.left_out = 0; map.left_out < REPLACED; map.left_out++) {
        char expected[80];
        sprintf(expected, "%s was never replaced", names[map.left_out]);
        copy_is_refused(expected);
    }
}

/* ---- Fences ---- */

static void maps_are_released_and_acquired(void **state)
{
    (void)state;
    static char without[TEXT];
    strcpy(without, body(START, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL));
#define RELEASED "who wrote it has not released it"
#define ACQUIRED "this lane has not acquired it"
    /* From launch to launch. */
    make();
    passes(copy_at(0, 0));
    is_refused(without, ACQUIRED);
    memset(words, 0, 128);
    passes(body(make_map(), NULL));
    is_refused(copy_at(0, 0), RELEASED);
    /* Another launch's fence isn't the writer's. */
    passes(RELEASE);
    is_refused(copy_at(0, 0), RELEASED);
    /* Nor is one before the last of its fields. */
    memset(words, 0, 128);
    passes(body(RELEASE, make_map(), NULL));
    is_refused(copy_at(0, 0), RELEASED);
    make();
    passes("@%p2 tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;");
    is_refused(copy_at(0, 0), RELEASED);
    /* In one launch. */
    static char made[TEXT];
    memset(words, 0, 128);
    strcpy(made, make_map());
    passes(body(made, RELEASE, copy_at(0, 0), NULL));
    is_refused(body(made, copy_at(0, 0), NULL), RELEASED);
    is_refused(body(made, RELEASE, without, NULL), ACQUIRED);
    is_refused(body(made, ACQUIRE, RELEASE, without, NULL), ACQUIRED);
    is_refused(body(made, RELEASE, ACQUIRE, made, RELEASE, without, NULL), ACQUIRED);
    passes(body(made, RELEASE, ACQUIRE, made, RELEASE, ACQUIRE, without, NULL));
}

/* Item 32 copies what item 0 has written, or item 1 does. */
#define OTHER(item)    "setp.eq.u32 %p5, %r1, " item ";"
#define BY_OTHER       "@%p5 " PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3];"
#define OTHER_ACQUIRES "@%p5 fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;"
#define LOOP(name) \
    "mov.u32 %r9, 0; " name ": add.s32 %r9, %r9, 1; setp.lt.u32 %p3, %r9, 500; @%p3 bra " name ";"

static void lanes_know_of_releases(void **state)
{
    (void)state;
    static char made[TEXT];
    static char rest[TEXT];
    static const char *const others[] = {OTHER("32"), OTHER("1")};
    static const char *const meetings[] = {"bar.sync 0;", "bar.warp.sync 0xffffffff;"};
    strcpy(made, make_map());
    strcpy(rest, body(expect(box_bytes()), at(0, 0), "bar.sync 0;", BY_OTHER, UNTIL, NULL));
    for (int i = 0; i < 2; i++) {
        memset(words, 0, 128);
        passes(body(START, others[i], made, RELEASE, meetings[i], OTHER_ACQUIRES, rest, NULL));
        is_refused(body(START, others[i], made, RELEASE, LOOP("late"), OTHER_ACQUIRES, rest, NULL),
                   ACQUIRED);
        is_refused(body(START, others[i], made, meetings[i], LOOP("late"), RELEASE, LOOP("later"),
                        OTHER_ACQUIRES, rest, NULL),
                   ACQUIRED);
        is_refused(body(START, others[i], made, RELEASE, meetings[i], ACQUIRE, rest, NULL),
                   ACQUIRED);
        /* Another lane's release, or its warp's. */
        is_refused(body(START, others[i], made, meetings[i],
                        "@%p5 fence.proxy.tensormap::generic.release.gpu;", meetings[i],
                        OTHER_ACQUIRES, rest, NULL),
                   RELEASED);
        /* All lanes fence. */
        memset(words, 0, 128);
        passes(body(START, others[i], made, "fence.proxy.tensormap::generic.release.gpu;",
                    meetings[i], "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 0x80;", rest,
                    NULL));
    }
    /* Two write a map: both release it. */
    static char twice[TEXT];
    strcpy(twice, body(START, OTHER("32"), made, "bar.sync 0;",
                       "@%p5 tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;", NULL));
    passes(body(twice, RELEASE, "@%p5 fence.proxy.tensormap::generic.release.gpu; bar.sync 0;",
                OTHER_ACQUIRES, rest, NULL));
    is_refused(body(twice, RELEASE, "bar.sync 0;", OTHER_ACQUIRES, rest, NULL), RELEASED);
    is_refused(body(twice, "@%p5 fence.proxy.tensormap::generic.release.gpu; bar.sync 0;",
                    OTHER_ACQUIRES, rest, NULL),
               RELEASED);
}

static void groups_dont_share_new_maps(void **state)
{
    (void)state;
    trial.groups = 2;
    is_refused(body(make_map(), RELEASE, ACQUIRE, NULL), "is written by two groups");
    memset(words, 0, 128);
    is_refused(body("mov.u32 %r30, %ctaid.x; setp.eq.u32 %p7, %r30, 1; @%p7 bra acquire;",
                    make_map(), RELEASE, "ret; acquire: ", ACQUIRE, NULL),
               "is read by a group and written by another before");
    trial.groups = 1;
    make();
    trial.groups = 2;
    passes(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL));
}

/* ---- What maps may say ---- */

static void tensors_are_aligned(void **state)
{
    (void)state;
    static const int wrong_offsets[] = {1, 2, 4, 8};
    for (int i = 0; i < 4; i++) {
        map = usual;
        map.global_offset = wrong_offsets[i];
        copy_is_refused("global_address is 0 or no multiple of 16");
        map = usual;
        map.global_stride += (uint64_t)wrong_offsets[i];
        copy_is_refused("global_stride is no multiple of 16");
    }
    map = usual;
    map.global_offset = 16;
    copies(0, 0);
    box_is_right(0, 0);
    map.global_stride = 0;
    copy_is_refused("global_stride is 0");
    map.global_stride = (uint64_t)1 << 40;
    copy_is_refused("or too large");
    map = usual;
    map.global_dim[0] = 0;
    copy_is_refused("global_dim is 0");
    map = usual;
    map.global_dim[1] = 0;
    copy_is_refused("global_dim is 0");
    map = usual;
    map.element_stride[0] = 2;
    copy_is_refused("an element_stride other than 1");
    map = usual;
    map.element_stride[1] = 0;
    copy_is_refused("an element_stride other than 1");
}

static void boxes_fit(void **state)
{
    (void)state;
    static const struct {
        uint32_t box[2];
        int swizzle;
        const char *message;
    } wrong[] = {
        {{0, 16}, 0, "box_dim is 0 or more than 256"},
        {{64, 0}, 0, "box_dim is 0 or more than 256"},
        {{264, 16}, 0, "box_dim is 0 or more than 256"},
        {{64, 257}, 0, "box_dim is 0 or more than 256"},
        {{60, 16}, 0, "a row of the box is no multiple of 16 bytes"},
        {{4, 16}, 0, "a row of the box is no multiple of 16 bytes"},
        {{72, 16}, 3, "a row of the box is longer than swizzle_mode's span"},
        {{40, 16}, 2, "a row of the box is longer than swizzle_mode's span"},
        {{24, 16}, 1, "a row of the box is longer than swizzle_mode's span"},
        {{56, 16}, 3, "a row of the box that is shorter"},
        {{24, 16}, 2, "a row of the box that is shorter"},
        {{64, 16}, 4, "this swizzle_mode isn't known"},
        {{64, 16}, 259, "this swizzle_mode isn't known"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        map.box_dim[0] = wrong[i].box[0];
        map.box_dim[1] = wrong[i].box[1];
        map.swizzle_mode = wrong[i].swizzle;
        copy_is_refused(wrong[i].message);
    }
    map = usual;
    map.interleave_layout = 1;
    copy_is_refused("this interleave_layout or fill_mode");
    map = usual;
    map.fill_mode = 1;
    copy_is_refused("this interleave_layout or fill_mode");
    static const int types[] = {8, 11, 12, 13, 266};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        map = usual;
        map.elemtype = types[i];
        copy_is_refused("this elemtype isn't known");
    }
    map = usual;
    map.rank = 0;
    copy_is_refused("its rank isn't that of two dimensions");
    map.rank = 257;
    copy_is_refused("never replaced");
}

static void places_are_aligned(void **state)
{
    (void)state;
    is_refused("@%p2 tensormap.replace.tile.rank.global.b1024.b32 [%rd1+64], 1;",
               "is no multiple of 128");
    is_refused("@%p2 fence.proxy.tensormap::generic.acquire.gpu [%rd1+64], 128;",
               "is no multiple of 128");
    make();
    is_refused(body("add.s64 %rd1, %rd1, 64;", START, expect(box_bytes()), at(0, 0), COPY, NULL),
               "is no multiple of 128");
    is_refused(body("mov.u64 %rd1, 1024;", START, expect(box_bytes()), at(0, 0), COPY, NULL),
               "aren't in a live buffer");
    /* The target. */
    for (map.swizzle_mode = 0; map.swizzle_mode <= 3; map.swizzle_mode++) {
        const int least = 128 << map.swizzle_mode;
        char text[80];
        char expected[80];
        map.box_dim[0] = 8u << map.swizzle_mode;
        make();
        sprintf(text, "add.s32 %%r6, %%r6, %d;", least);
        passes(body(START, text, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL));
        sprintf(text, "add.s32 %%r6, %%r6, %d;", least / 2);
        sprintf(expected, "is no multiple of %d", least);
        is_refused(body(START, text, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL),
                   expected);
    }
    map = usual;
    make();
    is_refused(
        body(START, "add.s32 %r6, %r3, 64512;", ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
        "aren't in the group's shared memory");
}

static void tensors_are_in_buffers(void **state)
{
    (void)state;
    /* What the tensor has behind the buffer's end may be there as long as no box takes it. */
    trial.word_count = TENSOR + 20 * 208 / 4;
    make();
    const char *copy = body(START, ACQUIRE, expect(box_bytes()), at(0, 4), COPY, UNTIL, NULL);
    passes(copy);
    passes(body(START, ACQUIRE, expect(box_bytes()), at(36, -12), COPY, UNTIL, NULL));
    passes(body(START, ACQUIRE, expect(box_bytes()), at(-64, 24), COPY, UNTIL, NULL));
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 5), COPY, UNTIL, NULL),
               "aren't in a live buffer");
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(-63, 5), COPY, UNTIL, NULL),
               "aren't in a live buffer");
    /* Another group's stores. */
    trial.word_count = TRY_MOST_WORDS;
    trial.groups = 2;
    is_refused(body("mov.u32 %r30, %ctaid.x; setp.eq.u32 %p7, %r30, 0; @!%p7 bra on;"
                    "@%p2 st.global.u32 [%rd1+1024], %r1; ret; on: ",
                    copy_at(0, 0), NULL),
               "is read by a group and written by another before");
}

/* ---- mbarriers, stages, clusters ---- */

static void boxes_come_late(void **state)
{
    (void)state;
    make();
    is_refused(body(START, ACQUIRE, expect(box_bytes() - 16), at(0, 0), COPY, UNTIL, NULL),
               "waits for ever");
    is_refused(body(START, ACQUIRE, expect(box_bytes() + 16), at(0, 0), COPY, UNTIL, NULL),
               "waits for ever");
    /* What lies outside counts. */
    passes(body(START, ACQUIRE, expect(box_bytes()), at(-1000, 0), COPY, UNTIL, NULL));
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, take(), NULL), "is read");
    is_refused(
        body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, "bar.sync 0;", take(), NULL),
        "is read in a race with a write");
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
               "exits with a copy under way");
    is_refused(body("@%p2 mbarrier.init.shared.b64 [%r3], 1; bar.sync 0; add.s32 %r6, %r3, 1024;",
                    ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
               "initialisation wasn't fenced");
    /* A stage that is still read. */
    static char first[TEXT];
    strcpy(first, copy_at(0, 0));
#define SECOND                                                      \
    "@%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r7;" COPY \
    "mov.u32 %r8, 1; more: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra more;"
    passes(body(first, "bar.sync 0;", SECOND, NULL));
    is_refused(body(first, LOOP("late"), SECOND, NULL), "is written in a race with a read");
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0),
                    "st.shared.u32 [%r2+1024], %r1; bar.sync 0;", COPY, UNTIL, NULL),
               "the write before wasn't fenced for the asynchronous proxy");
}

#define PAIR ".explicitcluster .reqnctapercluster 2, 1, 1"
#define RANKS                                                                          \
    "mov.u32 %r30, %cluster_ctarank; xor.b32 %r31, %r30, 1; setp.eq.u32 %p7, %r30, 0;" \
    "and.pred %p5, %p7, %p2; not.pred %p8, %p7;"
#define MEET "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;"
#define READY                                              \
    RANKS "@%p2 mbarrier.init.shared.b64 [%r3], 1;"        \
          "@%p2 fence.mbarrier_init.release.cluster;" MEET \
          "add.s32 %r6, %r3, 1024; mov.u32 %r8, 0;"
#define MULTICAST(mask)                                                                       \
    "mov.u16 %rs1, " mask "; @%p5 " PLAIN ".multicast::cluster [%r6], [%rd1, {%r20, %r21}], " \
    "[%r3], %rs1;"

static void boxes_reach_several_groups(void **state)
{
    (void)state;
    make();
    trial.limits = PAIR;
    trial.groups = 2;
    /* Group 1 stores what group 0 has copied. */
    passes(body(READY, ACQUIRE, expect(box_bytes()), at(9, -2), MULTICAST("3"), UNTIL, "@%p7 ret;",
                take(), NULL));
    box_is_right(9, -2);
    memset(words + STAGE, 0, box_bytes());
    passes(body(READY, ACQUIRE, at(5, 30), MULTICAST("2"), "@%p7 ret;", expect(box_bytes()), UNTIL,
                take(), NULL));
    box_is_right(5, 30);
    memset(words + STAGE, 0, box_bytes());
    passes(body(READY, ACQUIRE, at(7, 7),
                "mapa.shared::cluster.u32 %r14, %r6, 1; mapa.shared::cluster.u32 %r15, %r3, 1;"
                "@%p5 " PLAIN " [%r14], [%rd1, {%r20, %r21}], [%r15]; @%p7 ret;",
                expect(box_bytes()), UNTIL, take(), NULL));
    box_is_right(7, 7);
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("1"), UNTIL, NULL),
               "waits for ever");
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("4"), UNTIL, NULL),
               "a copy to the groups 0x4 of a cluster of 2");
    is_refused(body(READY, at(0, 0), MULTICAST("3"), NULL), ACQUIRED);
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), "ld.shared.u32 %r9, [%r6];",
                    MULTICAST("3"), UNTIL, NULL),
               "is read before it was written");
    is_refused(body(READY,
                    "st.shared.u32 [%r2+1024], %r1; fence.proxy.async;" MEET
                    "ld.shared.u32 %r9, [%r2+1024]; bar.sync 0;" LOOP("late"),
                    ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("3"), UNTIL, NULL),
               "of group 1 of the cluster is written in a race with a read");
}

/* ---- Names ---- */

static void maps_need_their_target(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;",
        "fence.proxy.tensormap::generic.release.gpu;",
        "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;",
        PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3];",
        PLAIN ".multicast::cluster [%r6], [%rd1, {%r20, %r21}], [%r3], 1;",
    };
    static const struct {
        const char *version;
        const char *target;
    } wrong[] = {{"8.2", "sm_90a"},
                 {"8.0", "sm_90a"},
                 {"8.3", "sm_90"},
                 {"8.3", "sm_80"},
                 {"8.6", "sm_100a"}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            trial.version = wrong[k].version;
            trial.target = wrong[k].target;
            is_refused(bodies[i], "tensor maps need PTX 8.3 and the target sm_90a");
        }
    }
    trial.version = "8";
    is_refused("", "a version that isn't known");
}

static void forms_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *message;
    } wrong[] = {
        {"tensormap.replace.tile.rank.global.b1024.b64 [%rd1], 1;", "isn't known"},
        {"tensormap.replace.tile.global_address.global.b1024.b32 [%rd1], 1;", "isn't known"},
        {"tensormap.replace.tile.colour.global.b1024.b32 [%rd1], 1;", "isn't known"},
        {"tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 0, 1;", "rank with 3 operands"},
        {"tensormap.replace.tile.box_dim.global.b1024.b32 [%rd1], 1;", "box_dim with 2 operands"},
        {"tensormap.replace.tile.box_dim.global.b1024.b32 [%rd1], 5, 1;", "no box_dim 5"},
        {"tensormap.replace.tile.global_stride.global.b1024.b64 [%rd1], 4, 1;",
         "no global_stride 4"},
        {"tensormap.replace.tile.global_dim.global.b1024.b32 [%rd1], -1, 1;", "no global_dim -1"},
        {"tensormap.replace.tile.global_dim.global.b1024.b32 [%rd1], %r1, 1;", "is no number"},
        {"tensormap.replace.tile.elemtype.global.b1024.b32 [%rd1], %r1;",
         "elemtype must be a number"},
        {"tensormap.replace.tile.global_dim.global.b1024.b32 [%rd1], 0, %rd2;", "size"},
        {"tensormap.replace.tile.global_address.global.b1024.b64 [%rd1], %r1;", "size"},
        {"tensormap.replace.tile.rank.global.b1024.b32 [%r1], 1;", "size"},
        {"fence.proxy.tensormap::generic.acquire.gpu [%rd1], 64;", "128 bytes"},
        {"fence.proxy.tensormap::generic.acquire.gpu [%rd1];", "128 bytes"},
        {"fence.proxy.tensormap::generic.release.gpu [%rd1], 128;", "isn't known"},
        {"fence.proxy.tensormap::generic.release.cta;", "isn't known"},
        {PLAIN " [%r6], [%rd1, {%r20}], [%r3];", "two coordinates are missing"},
        {PLAIN " [%r6], [%rd1, {%r20, %r21, %r22}], [%r3];", "too many registers"},
        {PLAIN " [%r6], [%rd1], [%r3];", "without coordinates"},
        {PLAIN " [%r6], [%rd1, {%r20, %r21], [%r3];", ""},
        {PLAIN " [%r6], [%r1, {%r20, %r21}], [%r3];", "size"},
        {PLAIN " [%r6], [%rd1, {%r20, _}], [%r3];", "isn't known"},
        {PLAIN " [%r6], [%rd1, {%r20, %r21}];", "with 2 operands"},
        {PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3], 3;", "with 4 operands"},
        {PLAIN ".multicast::cluster [%r6], [%rd1, {%r20, %r21}], [%r3];", "with 3 operands"},
        {PLAIN " %r6, [%rd1, {%r20, %r21}], [%r3];", "an address is missing"},
        {PLAIN " [%r6], %rd1, [%r3];", "a tensor map is missing"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        is_refused(wrong[i].body, wrong[i].message);
    }
    /* Numbers in place of registers, and blanks. */
    make();
    passes(body(START, ACQUIRE, expect(box_bytes()),
                "@%p2 " PLAIN " [%r6], [ %rd1 , { -3 ,\n 2 } ], [%r3];", UNTIL, take(), NULL));
    box_is_right(-3, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(boxes_come_to_their_places, setup),
        cmocka_unit_test_setup(boxes_may_be_large, setup),
        cmocka_unit_test_setup(maps_are_made_and_used_in_one_launch, setup),
        cmocka_unit_test_setup(maps_are_bytes, setup),
        cmocka_unit_test_setup(maps_need_all_fields, setup),
        cmocka_unit_test_setup(maps_are_released_and_acquired, setup),
        cmocka_unit_test_setup(lanes_know_of_releases, setup),
        cmocka_unit_test_setup(groups_dont_share_new_maps, setup),
        cmocka_unit_test_setup(tensors_are_aligned, setup),
        cmocka_unit_test_setup(boxes_fit, setup),
        cmocka_unit_test_setup(places_are_aligned, setup),
        cmocka_unit_test_setup(tensors_are_in_buffers, setup),
        cmocka_unit_test_setup(boxes_come_late, setup),
        cmocka_unit_test_setup(boxes_reach_several_groups, setup),
        cmocka_unit_test_setup(maps_need_their_target, setup),
        cmocka_unit_test_setup(forms_are_known, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
