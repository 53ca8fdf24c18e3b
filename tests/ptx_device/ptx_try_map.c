/* Small kernels that make a tensor map and copy a box by it. */
#include "ptx_try_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT = 16384 };

trial_map map;

void usual_map(void)
{
    map = (trial_map){.elemtype = 10,
                      .element_bytes = 2,
                      .rank = 1,
                      .global_dim = {100, 40},
                      .box_dim = {64, 16},
                      .global_stride = 208,
                      .element_stride = {1, 1},
                      .swizzle_mode = 3,
                      .left_out = -1};
}

int try_map_setup(void **state)
{
    try_setup(state);
    trial.version = "8.3";
    trial.word_count = TRY_MOST_WORDS;
    trial.shared_bytes = 65536;
    usual_map();
    memset(words, 0, sizeof words);
    for (int i = TRY_TENSOR; i < TRY_STAGE; i++) {
        words[i] = random_word();
    }
    return 0;
}

const char *make_map(void)
{
    static char text[4096];
    static const char replace[] = "@%p2 tensormap.replace.tile.";
    char lines[TRY_REPLACED][160];
    sprintf(lines[0], "add.s64 %%rd4, %%rd1, %d; %sglobal_address.global.b1024.b64 [%%rd1], %%rd4;",
            4 * TRY_TENSOR + map.global_offset, replace);
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
    for (int i = 0; i < TRY_REPLACED; i++) {
        if (i != map.left_out) {
            strcat(text, lines[i]);
        }
    }
    return text;
}

const char *expect(uint32_t bytes)
{
    static char text[160];
    sprintf(text, "mov.u32 %%r7, %u; @%%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%%r3], %%r7;",
            bytes);
    return text;
}

uint32_t box_bytes(void)
{
    return map.box_dim[0] * map.box_dim[1] * (uint32_t)map.element_bytes;
}

const char *at(int x, int y)
{
    static char text[80];
    sprintf(text, "mov.u32 %%r20, %d; mov.u32 %%r21, %d;", x, y);
    return text;
}

const char *take(void)
{
    static char text[400];
    sprintf(text,
            "mov.u32 %%r9, %%r4; take: add.s32 %%r10, %%r6, %%r9; ld.shared.u32 %%r11, [%%r10];"
            "cvt.u64.u32 %%rd5, %%r9; add.s64 %%rd5, %%rd1, %%rd5; st.global.u32 [%%rd5+%d], %%r11;"
            "add.s32 %%r9, %%r9, 256; setp.lt.u32 %%p3, %%r9, %u; @%%p3 bra take;",
            4 * TRY_STAGE, box_bytes());
    return text;
}

const char *body(const char *first, ...)
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

const char *copy_at(int x, int y)
{
    static char text[TEXT];
    strcpy(text, body(START, ACQUIRE, expect(box_bytes()), at(x, y), COPY, UNTIL, take(), NULL));
    return text;
}

void make(void)
{
    memset(words, 0, 128);
    passes(body(make_map(), RELEASE, NULL));
}

void copies(int x, int y)
{
    make();
    passes(copy_at(x, y));
}

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

void box_is_right(int x, int y)
{
    const unsigned char *tensor = (const unsigned char *)(words + TRY_TENSOR) + map.global_offset;
    const unsigned char *stage = (const unsigned char *)(words + TRY_STAGE);
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
