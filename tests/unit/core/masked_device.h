/* A device of the reference backend, and one of a copy of it under another name, "masked", which
 * takes what a test says: some ops, plain products alone, TF32 or not. */
#ifndef TTM_TESTS_MASKED_DEVICE_H
#define TTM_TESTS_MASKED_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/device_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <ttm/compute.h>
#include <ttm/random.h>

static uint64_t seed;
static uint64_t position;
static uint32_t allowed_ops; /* Bit per opcode that the masked backend supports. */
static bool plain_products_only;
static bool takes_tf32;
static int tf32_runs; /* Ops that the masked backend got with operands of TF32. */
static int (*real_supported)(ttm_backend_device *device, const ttm_op *op);
static ttm_status (*real_run)(ttm_backend_stream *stream, const ttm_op *op);

/* Says which numbers are drawn, and how to draw others. */
static inline uint64_t test_seed(void)
{
    const char *wanted = getenv("TTM_TEST_SEED");
    const uint64_t chosen = wanted != NULL ? strtoull(wanted, NULL, 10) : 20261123;
    printf("seed %" PRIu64 " (repeat with TTM_TEST_SEED)\n", chosen);
    return chosen;
}

static inline double random_value(void)
{
    return (double)ttm_philox_u32(seed, position++) / 4294967296.0 * 2.0 - 1.0;
}

static inline int64_t random_size(int64_t most)
{
    return 1 + (int64_t)(ttm_philox_u32(seed, position++) % (uint32_t)most);
}

static inline ttm_status masked_run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    tf32_runs += ttm_op_without_tf32(&plain, slots, op);
    return real_run(stream, &plain);
}

static inline int masked_supported(ttm_backend_device *device, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    if ((allowed_ops >> op->opcode & 1u) == 0 ||
        (ttm_op_without_tf32(&plain, slots, op) && !takes_tf32)) {
        return 0;
    }
    if (op->opcode == TTM_OP_MATMUL && plain_products_only) {
        const ttm_matmul_params *params = op->params;
        const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
        const ttm_tensor *a = &op->tensors[TTM_MATMUL_A];
        const ttm_tensor *b = &op->tensors[TTM_MATMUL_B];
        if (params->activation != TTM_ACTIVATION_NONE ||
            ttm_tensor_present(&op->tensors[TTM_MATMUL_BIAS]) ||
            ttm_tensor_present(&op->tensors[TTM_MATMUL_RESIDUAL]) || out->rank != 2 ||
            out->stride[1] != 1 || (a->stride[0] != 1 && a->stride[1] != 1) ||
            (b->stride[0] != 1 && b->stride[1] != 1)) {
            return 0;
        }
    }
    return real_supported(device, &plain);
}

typedef struct fixture {
    ttm_device *native;
    ttm_stream *native_stream;
    ttm_backend masked_backend;
    ttm_device masked;
    ttm_stream *masked_stream;
} fixture;

static fixture devices;

static inline int open_devices(void **state)
{
    (void)state;
    assert_int_equal(ttm_device_open(&devices.native, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_stream_create(&devices.native_stream, devices.native), TTM_OK);
    devices.masked_backend = *devices.native->backend;
    devices.masked_backend.name = "masked";
    real_supported = devices.masked_backend.op_supported;
    real_run = devices.masked_backend.op_run;
    devices.masked_backend.op_supported = masked_supported;
    devices.masked_backend.op_run = masked_run;
    devices.masked.backend = &devices.masked_backend;
    devices.masked.handle = devices.native->handle;
    devices.masked.info = devices.native->info;
    assert_int_equal(ttm_stream_create(&devices.masked_stream, &devices.masked), TTM_OK);
    return 0;
}

static inline int close_devices(void **state)
{
    (void)state;
    ttm_stream_destroy(devices.masked_stream);
    ttm_stream_destroy(devices.native_stream);
    ttm_device_close(devices.native);
    return 0;
}

static inline void mask(uint32_t ops, bool plain)
{
    allowed_ops = ops;
    plain_products_only = plain;
    ttm_stream_reset_statistics(devices.masked_stream);
}

static const uint32_t simple_ops = 1u << TTM_OP_COPY | 1u << TTM_OP_ADD | 1u << TTM_OP_MATMUL |
                                   1u << TTM_OP_GELU | 1u << TTM_OP_GELU_BACKWARD |
                                   1u << TTM_OP_REDUCE_ROWS;

static inline uint64_t fallbacks(void)
{
    uint64_t count = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        count += ttm_stream_statistics(devices.masked_stream, (ttm_opcode)opcode).fallback_calls;
    }
    return count;
}

#endif
