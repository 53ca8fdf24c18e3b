/* What a plugin doesn't know, it refuses: ops, types and layouts of a later version of libttm. */
#include "conformance/device_tests.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <string.h>

enum { EXTENT = 16, BYTES = EXTENT * 8 };

/* A COPY of 16 elements within one block, to be spoilt. */
typedef struct spoilt_op {
    ttm_tensor tensors[TTM_COPY_TENSORS];
    ttm_op op;
} spoilt_op;

static void make_copy(spoilt_op *made, ttm_memory *memory)
{
    memset(made, 0, sizeof *made);
    for (uint32_t slot = 0; slot < TTM_COPY_TENSORS; slot++) {
        made->tensors[slot] = (ttm_tensor){.memory = memory,
                                           .memory_bytes = 2 * (size_t)BYTES,
                                           .offset = slot * (size_t)BYTES,
                                           .dtype = TTM_F32,
                                           .rank = 1,
                                           .shape = {EXTENT},
                                           .stride = {1}};
    }
    made->op = (ttm_op){.struct_size = sizeof made->op,
                        .opcode = TTM_OP_COPY,
                        .tensor_count = TTM_COPY_TENSORS,
                        .tensors = made->tensors};
}

/* Neither supported, nor run, nor a reason to write anything. */
static ttm_status expect_refusal(const struct target *tested, const spoilt_op *spoilt,
                                 const test_block *block, const char *what)
{
    const ttm_backend *backend = tested->backend;
    REQUIRE(!target_supports(tested, &spoilt->op), "op_supported accepts %s", what);
    ttm_plugin_begin();
    const ttm_status status = backend->op_run(tested->stream, &spoilt->op);
    REQUIRE(status != TTM_OK, "op_run reports success for %s", what);
    ttm_plugin_begin();
    TTM_TRY(
        target_check(tested, "stream_synchronize", backend->stream_synchronize(tested->stream)));
    const ttm_status unchanged = block_check(block, tested);
    return unchanged == TTM_OK ? TTM_OK : ttm_fail_context(unchanged, "after %s", what);
}

static ttm_status unknown(const char **skipped, const test_bench *bench)
{
    static const int opcodes[] = {TTM_OP_COUNT, TTM_OP_COUNT + 1000, 1 << 30, -1};
    const struct target *tested = bench->tested;
    test_block block = {0};
    spoilt_op spoilt;
    if (tested->backend->op_run == NULL) {
        *skipped = "the plugin has no ops";
        return TTM_OK;
    }
    ttm_status status = block_new(&block, tested, 2 * (size_t)BYTES, 17);
    for (size_t k = 0; k < sizeof opcodes / sizeof opcodes[0] && status == TTM_OK; k++) {
        make_copy(&spoilt, block.memory);
        memcpy(&spoilt.op.opcode, &opcodes[k], sizeof opcodes[k]);
        status = expect_refusal(tested, &spoilt, &block, "an opcode that doesn't exist");
    }
    for (uint32_t slot = 0; slot < TTM_COPY_TENSORS && status == TTM_OK; slot++) {
        static const int dtype = 99;
        make_copy(&spoilt, block.memory);
        memcpy(&spoilt.tensors[slot].dtype, &dtype, sizeof dtype);
        TTM_TRY_OUT(expect_refusal(tested, &spoilt, &block, "a type that doesn't exist"));
        make_copy(&spoilt, block.memory);
        spoilt.tensors[slot].layout = 0x7fff0001;
        TTM_TRY_OUT(expect_refusal(tested, &spoilt, &block, "a layout that it never gave out"));
    }
out:
    block_free(&block, tested);
    return status;
}

const device_test device_refusal_tests[] = {
    {"errors/unknown", "unknown ops, types and layouts are refused, by op_supported and op_run",
     unknown},
    {0},
};
