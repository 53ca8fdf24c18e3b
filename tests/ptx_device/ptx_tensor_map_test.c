/* The interpreter's tensor maps: how they are made, what comes by them, and which must be refused.
 */
#include "ptx_try_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void copy_is_refused(const char *words_of_message)
{
    make();
    is_refused(copy_at(0, 0), words_of_message);
}

/* ---- Results ---- */

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
                memset(words + TRY_STAGE, 0xff, box_bytes());
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
    static const char *const names[TRY_REPLACED] = {
        "global_address",    "rank",          "box_dim",        "box_dim",        "global_dim",
        "global_dim",        "global_stride", "element_stride", "element_stride", "elemtype",
        "interleave_layout", "swizzle_mode",  "fill_mode"};
    for (map.left_out = 0; map.left_out < TRY_REPLACED; map.left_out++) {
        char expected[80];
        sprintf(expected, "%s was never replaced", names[map.left_out]);
        copy_is_refused(expected);
    }
}

/* ---- What maps may say ---- */

static void tensors_are_aligned(void **state)
{
    (void)state;
    static const int wrong_offsets[] = {1, 2, 4, 8};
    for (int i = 0; i < 4; i++) {
        usual_map();
        map.global_offset = wrong_offsets[i];
        copy_is_refused("global_address is 0 or no multiple of 16");
        usual_map();
        map.global_stride += (uint64_t)wrong_offsets[i];
        copy_is_refused("global_stride is no multiple of 16");
    }
    usual_map();
    map.global_offset = 16;
    copies(0, 0);
    box_is_right(0, 0);
    map.global_stride = 0;
    copy_is_refused("global_stride is 0");
    map.global_stride = (uint64_t)1 << 40;
    copy_is_refused("or too large");
    usual_map();
    map.global_dim[0] = 0;
    copy_is_refused("global_dim is 0");
    usual_map();
    map.global_dim[1] = 0;
    copy_is_refused("global_dim is 0");
    usual_map();
    map.element_stride[0] = 2;
    copy_is_refused("an element_stride other than 1");
    usual_map();
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
    usual_map();
    map.interleave_layout = 1;
    copy_is_refused("this interleave_layout or fill_mode");
    usual_map();
    map.fill_mode = 1;
    copy_is_refused("this interleave_layout or fill_mode");
    static const int types[] = {8, 11, 12, 13, 266};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        usual_map();
        map.elemtype = types[i];
        copy_is_refused("this elemtype isn't known");
    }
    usual_map();
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
    usual_map();
    make();
    is_refused(
        body(START, "add.s32 %r6, %r3, 64512;", ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
        "aren't in the group's shared memory");
}

static void tensors_are_in_buffers(void **state)
{
    (void)state;
    /* What the tensor has behind the buffer's end may be there as long as no box takes it. */
    trial.word_count = TRY_TENSOR + 20 * 208 / 4;
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
    } wrong[] = {{"8.2", "sm_90a"}, {"8.0", "sm_90a"}, {"8.3", "sm_80"}, {"8.6", "sm_100a"}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            trial.version = wrong[k].version;
            trial.target = wrong[k].target;
            is_refused(bodies[i], "tensor maps need PTX 8.3 and the target sm_90");
        }
    }
    trial.version = "8.3";
    trial.target = "sm_90";
    is_refused(bodies[0], "tensor maps need PTX 8.3 and the target sm_90a");
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
        cmocka_unit_test_setup(boxes_come_to_their_places, try_map_setup),
        cmocka_unit_test_setup(boxes_may_be_large, try_map_setup),
        cmocka_unit_test_setup(maps_are_made_and_used_in_one_launch, try_map_setup),
        cmocka_unit_test_setup(maps_are_bytes, try_map_setup),
        cmocka_unit_test_setup(maps_need_all_fields, try_map_setup),
        cmocka_unit_test_setup(tensors_are_aligned, try_map_setup),
        cmocka_unit_test_setup(boxes_fit, try_map_setup),
        cmocka_unit_test_setup(places_are_aligned, try_map_setup),
        cmocka_unit_test_setup(tensors_are_in_buffers, try_map_setup),
        cmocka_unit_test_setup(maps_need_their_target, try_map_setup),
        cmocka_unit_test_setup(forms_are_known, try_map_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
