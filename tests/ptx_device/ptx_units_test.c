/* The interpreter's matrix units and copies, in bf16 and in f16: layouts as the PTX ISA draws them,
 * products of numbers with few digits, which are exact, and orders of instructions that must be
 * refused. */
#include "ptx_try.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 32, TEXT = 16384 };

/* Operands: their type, and the exponents of a's numbers and b's. */
typedef struct form {
    int is_f16;
    int of_a;
    int of_b;
} form;

/* Subnormal numbers are among them, and large ones. */
static const form forms[] = {{0, 0, 0}, {1, 0, 0}, {1, -24, 0}, {1, 0, -24}, {1, 6, -17}};
enum { FORMS = sizeof forms / sizeof forms[0] };

static const char *name_of(const form *of)
{
    return of->is_f16 ? ".f16.f16" : ".bf16.bf16";
}

/* An integer that the type has, never 0, scaled; 64 products of them have an exact sum in f32. */
static double random_number(const form *of, int exponent)
{
    const int size = 1 + (int)(random_word() % (of->is_f16 ? 511 : 255));
    return ldexp(random_word() % 2 == 0 ? size : -size, exponent);
}

/* A number that the type has. A bf16 is the upper half of its f32; an f16 counts from 2^-15, or, if
 * subnormal, so many steps of 2^-24. */
static uint16_t half_of(const form *of, double value)
{
    if (!of->is_f16) {
        const float wide = (float)value;
        uint32_t bits;
        memcpy(&bits, &wide, sizeof bits);
        return (uint16_t)(bits >> 16);
    }
    int exponent;
    const double part = frexp(fabs(value), &exponent);
    const int size = exponent < -13 ? (int)ldexp(fabs(value), 24)
                                    : (exponent + 14) * 1024 + (int)(part * 2048) - 1024;
    return (uint16_t)(size | (value < 0 ? 0x8000 : 0));
}

static double float_at(size_t word)
{
    float value;
    memcpy(&value, &words[word], sizeof value);
    return (double)value;
}

/* The same of a body in bf16 and of what it is in f16. */
static const char *in_f16(const char *body)
{
    static const char old[] = ".bf16.bf16";
    static char changed[TEXT];
    changed[0] = '\0';
    assert_in_range(strlen(body), 1, TEXT - 1);
    for (const char *at; (at = strstr(body, old)) != NULL; body = at + strlen(old)) {
        sprintf(changed + strlen(changed), "%.*s.f16.f16", (int)(at - body), body);
    }
    return strcat(changed, body);
}

static void both_pass(const char *body)
{
    passes(body);
    passes(in_f16(body));
}

static void both_are_refused(const char *body, const char *words_of_message)
{
    is_refused(body, words_of_message);
    is_refused(in_f16(body), words_of_message);
}

/* ---- mma ---- */

/* Lane l of m16n8k16 has, with g = l / 4 and t = l mod 4: of a, eight numbers; of b, four; of c and
 * d, four. */
static void place_of_a(int lane, int i, int *row, int *k)
{
    *row = lane / 4 + (i < 2 || (i >= 4 && i < 6) ? 0 : 8);
    *k = lane % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8);
}

static void place_of_b(int lane, int i, int *k, int *col)
{
    *k = lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8);
    *col = lane / 4;
}

static void place_of_c(int lane, int i, int *row, int *col)
{
    *row = lane / 4 + (i < 2 ? 0 : 8);
    *col = lane % 4 * 2 + (i & 1);
}

/* Registers are d, a, b and c. */
#define MULTIPLY(types)                                                                            \
    "mma.sync.aligned.m16n8k16.row.col.f32" types ".f32 {%f5, %f6, %f7, %f8}, {%r10, %r11, %r12, " \
    "%r13}, {%r14, %r15}, {%f1, %f2, %f3, %f4};"

static void multiply_fragments(const form *of)
{
    double a[16][16];
    double b[16][8];
    double c[16][8];
    int row, col, k;
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            a[i][j] = random_number(of, of->of_a);
            b[i][j % 8] = random_number(of, of->of_b);
            c[i][j % 8] = ldexp((int)(random_word() % 2001) - 1000, of->of_a + of->of_b);
        }
    }
    /* Ten words a lane: four of a, two of b, four of c. */
    trial.items = LANES;
    trial.word_count = 1024;
    for (int lane = 0; lane < LANES; lane++) {
        uint16_t of_a[8];
        uint16_t of_b[4];
        float of_c[4];
        for (int i = 0; i < 8; i++) {
            place_of_a(lane, i, &row, &k);
            of_a[i] = half_of(of, a[row][k]);
        }
        for (int i = 0; i < 4; i++) {
            place_of_b(lane, i, &k, &col);
            of_b[i] = half_of(of, b[k][col]);
            place_of_c(lane, i, &row, &col);
            of_c[i] = (float)c[row][col];
        }
        memcpy(&words[10 * lane], of_a, sizeof of_a);
        memcpy(&words[10 * lane + 4], of_b, sizeof of_b);
        memcpy(&words[10 * lane + 6], of_c, sizeof of_c);
    }
#define LOAD                                                                            \
    "mul.wide.u32 %rd4, %r1, 40; add.s64 %rd4, %rd1, %rd4;"                             \
    "ld.global.v2.u32 {%r10, %r11}, [%rd4]; ld.global.v2.u32 {%r12, %r13}, [%rd4+8];"   \
    "ld.global.v2.u32 {%r14, %r15}, [%rd4+16]; ld.global.v2.f32 {%f1, %f2}, [%rd4+24];" \
    "ld.global.v2.f32 {%f3, %f4}, [%rd4+32];"
#define STORE                                               \
    "mul.wide.u32 %rd4, %r1, 16; add.s64 %rd4, %rd1, %rd4;" \
    "st.global.v4.f32 [%rd4+2048], {%f5, %f6, %f7, %f8};"
    passes(of->is_f16 ? LOAD MULTIPLY(".f16.f16") STORE : LOAD MULTIPLY(".bf16.bf16") STORE);
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 4; i++) {
            place_of_c(lane, i, &row, &col);
            double sum = c[row][col];
            for (k = 0; k < 16; k++) {
                sum += a[row][k] * b[k][col];
            }
            assert_true(float_at((size_t)(512 + 4 * lane + i)) == sum);
        }
    }
}

static void mma_multiplies(void **state)
{
    (void)state;
    for (int i = 0; i < FORMS; i++) {
        multiply_fragments(&forms[i]);
    }
    both_pass(MULTIPLY(".bf16.bf16"));
    both_are_refused("@%p2 bra over;" MULTIPLY(".bf16.bf16") " over: ", "not all 32 lanes");
    is_refused(MULTIPLY(".f16.bf16"), "isn't known");
    is_refused(MULTIPLY(".bf16.f16"), "isn't known");
    is_refused(MULTIPLY(".f16"), "isn't known");
    is_refused(MULTIPLY(".f16.f16.f16"), "isn't known");
    is_refused(MULTIPLY(".f16x2.f16x2"), "isn't known");
    trial.target = "sm_75";
    both_are_refused(MULTIPLY(".bf16.bf16"), "needs the target sm_80");
}

/* ---- wgmma ---- */

enum {
    LINES = 64,          /* of a, and columns of b */
    STEP = 16,           /* of the depth, an instruction's */
    OPERAND = 8192,      /* bytes that the image of an operand has at most */
    GROUP = 128,         /* four warps */
    SUMS = LINES / 2,    /* of an item */
    RESULT = 2 * OPERAND /* where sums lie, in bytes */
};

typedef struct layout {
    int width; /* bytes of a row: 128, 64 or 32 */
    int is_along_lines;
    int is_depth_first; /* along the lines: the next eight steps follow at once, not the next block
                         */
} layout;

/* Where the chunk of 16 bytes is that a swizzled row has at `chunk`, by the ISA's figures: rows of
 * 128 bytes change by their number, two rows of 64 bytes alike, four of 32. */
static int swizzled(int width, int row, int chunk)
{
    static const int of_128[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const int of_64[8] = {0, 0, 1, 1, 2, 2, 3, 3};
    static const int of_32[8] = {0, 0, 0, 0, 1, 1, 1, 1};
    return chunk ^ (width == 128 ? of_128 : width == 64 ? of_64 : of_32)[row % 8];
}

/* Steps of the depth that an image has. */
static int depth_of(const layout *of)
{
    return of->is_along_lines ? STEP : of->width / 2;
}

/* Bytes from the beginning of one block of lines to the next, and from eight rows to the next. */
static int leading_of(const layout *of)
{
    return of->is_depth_first ? STEP * of->width : 8 * of->width;
}

static int stride_of(const layout *of)
{
    return !of->is_along_lines || of->is_depth_first ? 8 * of->width
                                                     : LINES / (of->width / 2) * 8 * of->width;
}

/* The byte of an image at which (line, k) lies. */
static int byte_of(const layout *of, int line, int k)
{
    int row = line;
    int in_row = 2 * k;
    int block = 0;
    if (of->is_along_lines) {
        row = k;
        block = line / (of->width / 2);
        in_row = line % (of->width / 2) * 2;
    }
    return block * leading_of(of) + row / 8 * stride_of(of) + row % 8 * of->width +
           swizzled(of->width, row, in_row / 16) * 16 + in_row % 16;
}

/* All of a descriptor but where the operand begins. */
static uint64_t descriptor_of(const layout *of)
{
    const uint64_t mode = of->width == 128 ? 1 : of->width == 64 ? 2 : 3;
    const uint64_t leading = of->is_along_lines ? (uint64_t)leading_of(of) : 16;
    return mode << 62 | ((uint64_t)stride_of(of) & 0x3ffff) >> 4 << 32 |
           (leading & 0x3ffff) >> 4 << 16;
}

static void fill_image(const layout *of, const form *of_numbers, int exponent, size_t first_word,
                       double numbers[LINES][LINES])
{
    unsigned char image[OPERAND] = {0};
    for (int line = 0; line < LINES; line++) {
        for (int k = 0; k < depth_of(of); k++) {
            numbers[line][k] = random_number(of_numbers, exponent);
            const uint16_t number = half_of(of_numbers, numbers[line][k]);
            memcpy(image + byte_of(of, line, k), &number, sizeof number);
        }
    }
    memcpy(&words[first_word], image, sizeof image);
}

/* Shared memory becomes what the buffer begins with; %rd10 and %rd11 are where a and b begin, as
 * descriptors have it. */
#define FILL                                                                                   \
    "shl.b32 %r5, %r1, 4; mov.u32 %r6, 0; fill: add.s32 %r7, %r3, %r5; cvt.u64.u32 %rd4, %r5;" \
    "add.s64 %rd4, %rd1, %rd4; ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4];"             \
    "st.shared.v4.u32 [%r7], {%r10, %r11, %r12, %r13}; add.s32 %r5, %r5, 2048;"                \
    "add.s32 %r6, %r6, 1; setp.lt.u32 %p3, %r6, 8; @%p3 bra fill;"                             \
    "cvt.u64.u32 %rd10, %r3; shr.u64 %rd10, %rd10, 4; add.s64 %rd11, %rd10, 512;"
#define FENCE      "fence.proxy.async;"
#define BARRIER    "bar.sync 0;"
#define BEGIN      "wgmma.fence.sync.aligned;"
#define COMMIT     "wgmma.commit_group.sync.aligned;"
#define WAIT(left) "wgmma.wait_group.sync.aligned " #left ";"

/* Appends "{%f1, …}", so many of them. */
static void append_sums(char *body, int count)
{
    for (int i = 0; i < count; i++) {
        sprintf(body + strlen(body), "%s%%f%d", i == 0 ? "{" : ", ", i);
    }
    strcat(body, "}");
}

/* Each item stores its sums behind one another. */
static void append_stores(char *body)
{
    strcat(body, COMMIT WAIT(0) "mul.wide.u32 %rd4, %r1, 128; add.s64 %rd4, %rd1, %rd4;");
    for (int i = 0; i < SUMS; i++) {
        sprintf(body + strlen(body), "st.global.f32 [%%rd4+%d], %%f%d;", RESULT + 4 * i, i);
    }
}

/* Whether the stored sums are a·b, as far as that is deep; `what` says of what otherwise. */
static void check_sums(double (*of_a)[LINES], double (*of_b)[LINES], int depth, const char *what)
{
    for (int item = 0; item < GROUP; item++) {
        for (int i = 0; i < SUMS; i++) {
            const int row = item / LANES * 16 + item % LANES / 4 + (i % 4 < 2 ? 0 : 8);
            const int col = i / 4 * 8 + item % 4 * 2 + i % 2;
            double sum = 0;
            for (int k = 0; k < depth; k++) {
                sum += of_a[row][k] * of_b[col][k];
            }
            if (float_at((size_t)(RESULT / 4 + SUMS * item + i)) != sum) {
                fail_msg("%s: row %d, column %d", what, row, col);
            }
        }
    }
}

static void multiply_layouts(const form *of, const layout *a, const layout *b)
{
    static char body[TEXT];
    static double of_a[LINES][LINES];
    static double of_b[LINES][LINES];
    fill_image(a, of, of->of_a, 0, of_a);
    fill_image(b, of, of->of_b, OPERAND / 4, of_b);
    const int depth = depth_of(a) < depth_of(b) ? depth_of(a) : depth_of(b);
    strcpy(body, FILL);
    sprintf(body + strlen(body),
            "or.b64 %%rd10, %%rd10, 0x%llx; or.b64 %%rd11, %%rd11, 0x%llx;" FENCE BARRIER BEGIN,
            (unsigned long long)descriptor_of(a), (unsigned long long)descriptor_of(b));
    for (int k = 0; k < depth; k += STEP) {
        sprintf(body + strlen(body),
                "{ .reg .pred p; setp.ne.b32 p, %d, 0;"
                "wgmma.mma_async.sync.aligned.m64n64k16.f32%s ",
                k, name_of(of));
        append_sums(body, SUMS);
        /* 32 bytes of a row further. */
        sprintf(body + strlen(body),
                ", %%rd10, %%rd11, p, 1, 1, %d, %d; }"
                "add.s64 %%rd10, %%rd10, 2; add.s64 %%rd11, %%rd11, 2;",
                a->is_along_lines, b->is_along_lines);
    }
    append_stores(body);
    passes(body);
    char what[80];
    snprintf(what, sizeof what, "%s: a %d %d %d, b %d %d %d", name_of(of), a->width,
             a->is_along_lines, a->is_depth_first, b->width, b->is_along_lines, b->is_depth_first);
    check_sums(of_a, of_b, depth, what);
}

static void use_four_warps(void)
{
    trial.items = GROUP;
    trial.shared_bytes = 2 * OPERAND;
    trial.word_count = TRY_MOST_WORDS;
}

static void wgmma_knows_layouts(void **state)
{
    (void)state;
    static const layout layouts[] = {{128, 0, 0}, {64, 0, 0},  {32, 0, 0}, {128, 1, 1}, {64, 1, 1},
                                     {32, 1, 1},  {128, 1, 0}, {64, 1, 0}, {32, 1, 0}};
    enum { COUNT = sizeof layouts / sizeof layouts[0] };
    use_four_warps();
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < COUNT; k++) {
            multiply_layouts(&forms[0], &layouts[i], &layouts[k]);
            multiply_layouts(&forms[1], &layouts[i], &layouts[k]);
        }
    }
    for (int i = 0; i < FORMS; i++) {
        multiply_layouts(&forms[i], &layouts[0], &layouts[0]);
    }
}

/* a in registers, where lanes hold of their warp's 16 rows what they do for mma.sync. */
static void multiply_kept(const form *of, const layout *b)
{
    static char body[TEXT];
    static double of_a[LINES][LINES];
    static double of_b[LINES][LINES];
    fill_image(b, of, of->of_b, OPERAND / 4, of_b);
    for (int row = 0; row < LINES; row++) {
        for (int k = 0; k < STEP; k++) {
            const int lane = row % 8 * 4 + k % 8 / 2;
            const int word = (row / 16 * LANES + lane) * 4 + row % 16 / 8 + k / 8 * 2;
            of_a[row][k] = random_number(of, of->of_a);
            const uint32_t half = half_of(of, of_a[row][k]);
            words[word] = k % 2 == 0 ? half : words[word] | half << 16;
        }
    }
    strcpy(body, FILL "shl.b32 %r5, %r1, 4; cvt.u64.u32 %rd4, %r5; add.s64 %rd4, %rd1, %rd4;"
                      "ld.global.v4.u32 {%r20, %r21, %r22, %r23}, [%rd4];");
    sprintf(body + strlen(body),
            "or.b64 %%rd11, %%rd11, 0x%llx;" FENCE BARRIER BEGIN
            "{ .reg .pred p; setp.ne.b32 p, 0, 0;"
            "wgmma.mma_async.sync.aligned.m64n64k16.f32%s ",
            (unsigned long long)descriptor_of(b), name_of(of));
    append_sums(body, SUMS);
    sprintf(body + strlen(body), ", {%%r20, %%r21, %%r22, %%r23}, %%rd11, p, 1, 1, %d; }",
            b->is_along_lines);
    append_stores(body);
    passes(body);
    check_sums(of_a, of_b, STEP, "a in registers");
}

static void wgmma_takes_registers(void **state)
{
    (void)state;
    static const layout layouts[] = {{128, 0, 0}, {64, 0, 0}, {128, 1, 1}, {32, 1, 0}};
    use_four_warps();
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        for (int k = 0; k < FORMS; k++) {
            multiply_kept(&forms[k], &layouts[i]);
        }
    }
}

/* Rows of 128 bytes along the depth, 1024 bytes for eight of them; sums begin with 0. */
#define DESCRIBE \
    FILL "or.b64 %rd10, %rd10, 0x4000004000010000; or.b64 %rd11, %rd11, 0x4000004000010000;"
#define PRODUCT(sums)                                                                           \
    "{ .reg .pred p; setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 " \
    "{" sums "}, %rd10, %rd11, p, 1, 1, 0, 0; }"
#define FIRST    PRODUCT("%f1, %f2, %f3, %f4")
#define SECOND   PRODUCT("%f11, %f12, %f13, %f14")
#define THIRD    PRODUCT("%f21, %f22, %f23, %f24")
#define READY    DESCRIBE FENCE BARRIER BEGIN
#define USE(sum) "add.f32 %f30, " sum ", " sum ";"

/* Other warps get far meanwhile. */
#define LONG_LOOP \
    "mov.u32 %r9, 0; turn: add.s32 %r9, %r9, 1; setp.lt.u32 %p7, %r9, 200; @%p7 bra turn;"

static void wgmma_needs_its_order(void **state)
{
    (void)state;
    use_four_warps();
    both_pass(READY FIRST COMMIT WAIT(0) USE("%f1"));
    both_are_refused(DESCRIBE BARRIER BEGIN FIRST COMMIT WAIT(0),
                     "wasn't fenced for the asynchronous");
    both_are_refused(DESCRIBE BARRIER FENCE BEGIN FIRST COMMIT WAIT(0),
                     "wasn't fenced for the asynchronous");
    /* Nor when all have fenced by then, but with no barrier behind it. */
    both_are_refused(DESCRIBE BARRIER FENCE LONG_LOOP BEGIN FIRST COMMIT WAIT(0),
                     "wasn't fenced for the asynchronous");
    both_pass(DESCRIBE BARRIER FENCE BARRIER BEGIN FIRST COMMIT WAIT(0));
    both_are_refused(DESCRIBE FENCE BEGIN FIRST COMMIT WAIT(0), "shared memory at");
    both_are_refused(DESCRIBE FENCE BARRIER FIRST COMMIT WAIT(0), "no wgmma.fence");
    both_are_refused(READY FIRST COMMIT WAIT(0) FIRST COMMIT WAIT(0), "no wgmma.fence");
    both_pass(READY FIRST COMMIT WAIT(0) BEGIN FIRST COMMIT WAIT(0));
    both_are_refused(READY FIRST COMMIT USE("%f1") WAIT(0),
                     "sums of a wgmma that was not waited for");
    both_are_refused(READY FIRST COMMIT "st.global.v4.f32 [%rd1], {%f5, %f2, %f5, %f5};" WAIT(0),
                     "sums of a wgmma that was not waited for");
    both_are_refused(READY FIRST COMMIT WAIT(1) USE("%f4"),
                     "sums of a wgmma that was not waited for");
    both_are_refused(READY FIRST WAIT(0) USE("%f4") COMMIT WAIT(0),
                     "sums of a wgmma that was not waited for");
    both_are_refused(READY FIRST COMMIT, "leaves with wgmma that were not waited for");
    both_are_refused(READY FIRST COMMIT WAIT(1), "leaves with wgmma that were not waited for");
    both_are_refused(READY FIRST COMMIT "st.shared.u32 [%r2], %r1;" WAIT(0), "shared memory at");
    both_are_refused(READY FIRST COMMIT BARRIER "st.shared.u32 [%r3+8192], %r1;" WAIT(0),
                     "while a wgmma that was not waited for reads it");
    /* Others' reads end with a barrier behind the wait. */
    both_are_refused(READY FIRST COMMIT WAIT(0) "@%p2 st.shared.u32 [%r3+8192], %r1;",
                     "in a race with a read");
    both_pass(READY FIRST COMMIT WAIT(0) BARRIER "@%p2 st.shared.u32 [%r3+8192], %r1;");
}

#define KEPT                                                                                    \
    "{ .reg .pred p; setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 " \
    "{%f1, %f2, %f3, %f4}, {%r20, %r21, %r22, %r23}, %rd11, p, 1, 1, 0; }"
#define WRITE_WORDS "mov.u32 %r20, 1; mov.u32 %r21, 2; mov.u32 %r22, 3; mov.u32 %r23, 4;"
#define CHANGE      "add.s32 %r21, %r21, 1;"

static void wgmma_keeps_registers(void **state)
{
    (void)state;
    use_four_warps();
    both_pass(WRITE_WORDS READY KEPT COMMIT WAIT(0) CHANGE);
    both_pass(WRITE_WORDS READY KEPT COMMIT "add.s32 %r24, %r21, 1;" WAIT(0));
    both_pass(WRITE_WORDS READY KEPT COMMIT SECOND COMMIT WAIT(1) CHANGE WAIT(0));
    both_are_refused(WRITE_WORDS READY KEPT COMMIT CHANGE WAIT(0), "writes what a wgmma");
    both_are_refused(WRITE_WORDS READY KEPT COMMIT WAIT(1) CHANGE WAIT(0), "writes what a wgmma");
    both_are_refused(WRITE_WORDS READY KEPT COMMIT "mov.u32 %r21, %r1;" WAIT(0),
                     "writes what a wgmma");
    both_are_refused(WRITE_WORDS READY KEPT COMMIT "ld.global.u32 %r23, [%rd1];" WAIT(0),
                     "writes what a wgmma");
    /* What is computed for it is so before the fence, sums as well. */
    both_are_refused(WRITE_WORDS READY CHANGE KEPT COMMIT WAIT(0), "written behind wgmma.fence");
    both_are_refused(WRITE_WORDS READY "ld.global.u32 %r23, [%rd1];" KEPT COMMIT WAIT(0),
                     "written behind wgmma.fence");
    both_are_refused(WRITE_WORDS READY
                     "add.s32 %r25, %r21, 1; mov.u32 %r20, %r25;" KEPT COMMIT WAIT(0),
                     "written behind wgmma.fence");
    both_are_refused(READY USE("%f9") "mov.f32 %f2, %f30;" FIRST COMMIT WAIT(0),
                     "written behind wgmma.fence");
    both_pass(WRITE_WORDS READY CHANGE BEGIN KEPT COMMIT WAIT(0));
    both_are_refused(WRITE_WORDS READY
                     "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, "
                     "%f3, %f4}, {%r20, %r21, %r22}, %rd11, %p1, 1, 1, 0;",
                     "4 registers of a");
}

static void wgmma_waits_for_sets(void **state)
{
    (void)state;
    use_four_warps();
    both_pass(READY FIRST COMMIT SECOND COMMIT WAIT(1) USE("%f1") WAIT(0) USE("%f11"));
    both_are_refused(READY FIRST COMMIT SECOND COMMIT WAIT(1) USE("%f11") WAIT(0),
                     "sums of a wgmma that was not waited for");
#define THREE READY FIRST COMMIT SECOND COMMIT THIRD COMMIT
    both_pass(THREE WAIT(2) USE("%f1") WAIT(0));
    both_are_refused(THREE WAIT(2) USE("%f11") WAIT(0), "sums of a wgmma that was not waited for");
    both_are_refused(THREE WAIT(2) USE("%f21") WAIT(0), "sums of a wgmma that was not waited for");
    both_pass(THREE WAIT(1) USE("%f11") WAIT(0));
}

static void wgmma_is_refused(void **state)
{
    (void)state;
    use_four_warps();
    both_are_refused(DESCRIBE FENCE BARRIER "@%p2 bra over;" BEGIN " over: ", "not all 32 lanes");
    both_are_refused(READY "@%p2 bra over;" FIRST " over: " COMMIT WAIT(0), "not all 32 lanes");
    both_are_refused(READY "and.b64 %rd10, %rd10, 0x3fffffffffffffff;" FIRST COMMIT WAIT(0),
                     "without a swizzle");
    both_are_refused(READY "add.s64 %rd11, %rd11, 512;" FIRST COMMIT WAIT(0),
                     "aren't in the group's shared memory");
    both_are_refused(READY PRODUCT("%f1, %f2, %f3") COMMIT WAIT(0), "8 columns with 3 sums");
    both_are_refused(READY PRODUCT("%f1, %f2, %f3, _") COMMIT WAIT(0), "_ in place of a register");
    both_are_refused(READY
                     "wgmma.mma_async.sync.aligned.m64n12k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4, "
                     "%f5, %f6}, %rd10, %rd11, %p1, 1, 1, 0, 0;" COMMIT WAIT(0),
                     "this form of wgmma");
    both_are_refused(READY
                     "setp.gt.u32 %p4, %r1, 95; @%p4 bra over;" FIRST COMMIT WAIT(0) " over: ",
                     "of a warpgroup have executed other wgmma");
    both_are_refused(READY "setp.gt.u32 %p4, %r1, 31; @%p4 bra other;" FIRST COMMIT WAIT(
                         0) "bra over; other: " FIRST COMMIT WAIT(0) " over: ",
                     "of a warpgroup have executed other wgmma");
#define MIXED(types)                                                                            \
    READY "wgmma.mma_async.sync.aligned.m64n8k16" types " {%f1, %f2, %f3, %f4}, %rd10, %rd11, " \
          "%p1, 1, 1, 0, 0;" COMMIT WAIT(0)
    passes(MIXED(".f32.f16.f16"));
    static const char *const mixed[] = {MIXED(".f32.f16.bf16"),    MIXED(".f32.bf16.f16"),
                                        MIXED(".f16.f16.f16"),     MIXED(".f32.f16"),
                                        MIXED(".f32.f16.f16.f16"), MIXED(".f32.f16x2.f16x2"),
                                        MIXED("x.f32.f16.f16")};
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        is_refused(mixed[i], "isn't known");
    }
    trial.items = GROUP + LANES;
    both_are_refused(
        "setp.gt.u32 %p4, %r1, 127; @%p4 bra ready;" FILL
        "ready: cvt.u64.u32 %rd10, %r3; shr.u64 %rd10, %rd10, 4;"
        "or.b64 %rd10, %rd10, 0x4000004000010000; add.s64 %rd11, %rd10, 512;" FENCE BARRIER BEGIN
            FIRST COMMIT WAIT(0),
        "fewer than four warps");
    trial.items = GROUP;
    static const char *const others[] = {"sm_80", "sm_90"};
    for (int i = 0; i < 2; i++) {
        trial.target = others[i];
        both_are_refused(READY FIRST COMMIT WAIT(0), "needs the target sm_90a");
    }
}

/* ---- Bulk copies ---- */

#define MAKE  "@%p2 mbarrier.init.shared.b64 [%r3], 1;"
#define KNOWN "@%p2 fence.mbarrier_init.release.cluster; bar.sync 0;"
#define ANNOUNCE(bytes)                                                                  \
    "add.s32 %r5, %r3, 1024; mov.u32 %r6, 256; mov.u32 %r7, " #bytes "; mov.u32 %r8, 0;" \
    "@%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r7;"
#define BULK                                                                                      \
    "@%p2 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd1], %r6, " \
    "[%r3];"
#define UNTIL "again: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra again;"
#define TAKE  "ld.shared.u32 %r9, [%r2+1024]; st.global.u32 [%rd2+512], %r9;"

static void bulk_copies_come_with_their_mbarrier(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) {
        words[i] = random_word();
    }
    passes(MAKE KNOWN ANNOUNCE(256) BULK UNTIL TAKE);
    assert_memory_equal(words, words + 128, 256);
    is_refused(MAKE "bar.sync 0;" ANNOUNCE(256) BULK UNTIL TAKE, "initialisation wasn't fenced");
    /* By the first warp, but behind the barrier, for a copy by the second. */
    is_refused(MAKE "bar.sync 0; @%p2 fence.mbarrier_init.release.cluster; setp.eq.u32 %p2, %r1, "
                    "32;" ANNOUNCE(256) LONG_LOOP BULK UNTIL TAKE,
               "initialisation wasn't fenced");
    is_refused(MAKE KNOWN ANNOUNCE(256) BULK TAKE UNTIL, "is read");
    is_refused(MAKE KNOWN ANNOUNCE(256) BULK BARRIER TAKE UNTIL, "in a race with a write");
    is_refused(MAKE KNOWN ANNOUNCE(256) BULK, "exits with a copy under way");
    is_refused(MAKE KNOWN ANNOUNCE(272) BULK UNTIL TAKE, "waits for ever");
    is_refused(MAKE KNOWN ANNOUNCE(256) UNTIL, "waits for ever");
    is_refused(MAKE "@%p2 fence.mbarrier_init.release.cluster; mov.u32 %r8, 0;" UNTIL, "mbarrier");
    is_refused(MAKE KNOWN ANNOUNCE(256) "mov.u32 %r6, 248;" BULK, "248 bytes");
    is_refused(MAKE KNOWN ANNOUNCE(256) "add.s64 %rd1, %rd1, 8;" BULK, "no multiple of 16");
    is_refused(MAKE KNOWN ANNOUNCE(256) "add.s64 %rd1, %rd1, 784;" BULK, "aren't in a live buffer");
    trial.word_count = TRY_MOST_WORDS;
    is_refused(MAKE KNOWN ANNOUNCE(256) "mov.u32 %r6, 4080;" BULK,
               "aren't in the group's shared memory");
}

static void bulk_copies_need_fences(void **state)
{
    (void)state;
    is_refused(MAKE "st.shared.u32 [%r2+1024], %r1;" KNOWN ANNOUNCE(256) BULK UNTIL TAKE,
               "wasn't fenced for the asynchronous proxy");
    passes(MAKE "st.shared.u32 [%r2+1024], %r1;" FENCE KNOWN ANNOUNCE(256) BULK UNTIL TAKE);
    /* What comes by a bulk copy needs no fence for wgmma, but may not be written before that. */
    use_four_warps();
#define OPERANDS                                                                                 \
    "mov.u32 %r6, 9216; cvt.u64.u32 %rd10, %r5; shr.u64 %rd10, %rd10, 4; add.s64 %rd11, %rd10, " \
    "512;"                                                                                       \
    "or.b64 %rd10, %rd10, 0x4000004000010000; or.b64 %rd11, %rd11, 0x4000004000010000;"
    passes(MAKE KNOWN ANNOUNCE(9216) OPERANDS BULK UNTIL BEGIN FIRST COMMIT WAIT(0) USE("%f1"));
    is_refused(MAKE KNOWN ANNOUNCE(9216) OPERANDS BULK BEGIN FIRST COMMIT WAIT(0) UNTIL, "is read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mma_multiplies, try_setup),
        cmocka_unit_test_setup(wgmma_knows_layouts, try_setup),
        cmocka_unit_test_setup(wgmma_takes_registers, try_setup),
        cmocka_unit_test_setup(wgmma_needs_its_order, try_setup),
        cmocka_unit_test_setup(wgmma_keeps_registers, try_setup),
        cmocka_unit_test_setup(wgmma_waits_for_sets, try_setup),
        cmocka_unit_test_setup(wgmma_is_refused, try_setup),
        cmocka_unit_test_setup(bulk_copies_come_with_their_mbarrier, try_setup),
        cmocka_unit_test_setup(bulk_copies_need_fences, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
