/* Small kernels that make a tensor map of the beginning of `words` and copy a box by it.
 *
 * Beside what bodies of ptx_try.h find they use: the mbarrier at the beginning of shared memory,
 * the box behind it from 1024 on (%r6), its coordinates (%r20 and %r21), %r5 to %r11, %rd4 and
 * %rd5. */
#ifndef TESTS_PTX_DEVICE_PTX_TRY_MAP_H
#define TESTS_PTX_DEVICE_PTX_TRY_MAP_H

#include "ptx_try.h"

enum {
    TRY_TENSOR = 256, /* where the tensor begins in `words`, behind maps; */
    TRY_STAGE = 8704, /* and where what has come is stored */
    TRY_REPLACED = 13 /* instructions that make a map */
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

extern trial_map map;

#define RELEASE "@%p2 fence.proxy.tensormap::generic.release.gpu;"
#define ACQUIRE "@%p2 fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;"
#define PLAIN   "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
/* An mbarrier at the beginning of shared memory, the box behind it from 1024 on. */
#define START                                                                     \
    "@%p2 mbarrier.init.shared.b64 [%r3], 1; @%p2 fence.proxy.async; bar.sync 0;" \
    "add.s32 %r6, %r3, 1024; mov.u32 %r8, 0;"
#define UNTIL "again: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra again;"
#define COPY  "@%p2 " PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3];"

/* Runs on until a body's loop has taken some time. */
#define LOOP(name) \
    "mov.u32 %r9, 0; " name ": add.s32 %r9, %r9, 1; setp.lt.u32 %p3, %r9, 500; @%p3 bra " name ";"

/* A map of 100 to 40 bf16 whose rows are 208 bytes apart, its box of 64 to 16, swizzled in 128
 * bytes. */
void usual_map(void);

/* cmocka's setup of a test: the usual map; the whole buffer, in which the map is zeros and the
 * tensor random. */
int try_map_setup(void **state);

/* The box's bytes. */
uint32_t box_bytes(void);

/* Pieces of bodies, valid until the next call: the first item makes the map at [%rd1] of what must
 * be zeros; announces so many bytes; the coordinates; all items store what has come. */
const char *make_map(void);
const char *expect(uint32_t bytes);
const char *at(int x, int y);
const char *take(void);
/* All of a copy, from the mbarrier to the stores, by a map that is there. */
const char *copy_at(int x, int y);
/* Several pieces, one behind the other, up to NULL. */
const char *body(const char *first, ...);

/* Makes the map in a launch of its own. */
void make(void);
/* Copies by it in the next launch. */
void copies(int x, int y);
/* Asserts that what was stored is the box. */
void box_is_right(int x, int y);

#endif
