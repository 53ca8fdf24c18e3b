/* NVIDIA's PTX, interpreted: what kernels compile to runs without a GPU, and what a GPU would
 * punish or let pass unnoticed is an error here.
 *
 * A kernel runs cluster by cluster, which are single groups where it says nothing else, the groups
 * of a cluster in turns, warp by warp, 32 lanes at once; nothing is timed. Beside the instructions'
 * results it is checked that
 *  - every access lies in a live buffer or in the group's shared memory, and is aligned to its
 * size;
 *  - no two warps use a word of shared memory, one of them writing, without a barrier or an
 * mbarrier between them;
 *  - nothing touches what an asynchronous copy or a wgmma still writes or reads before it was
 * waited for, and wgmma sees no write that wasn't fenced for the asynchronous proxy;
 *  - no group writes what another one of the launch reads or writes;
 *  - what groups of a cluster do to each other's shared memory is ordered as what the warps of a
 * group do to their own, by what has the cluster's scope, behind their start and before their exit;
 *  - a tensor map is complete, released by who wrote it and acquired by who copies by it;
 *  - shared memory isn't read before it was written;
 *  - instructions for whole warps meet whole warps, and barriers all of their warps;
 *  - a group ends: there is a limit to the instructions that its warps execute.
 *
 * Source of all rules: NVIDIA, Parallel Thread Execution ISA 8.0, its chapters on the memory
 * consistency model, on asynchronous copies, on clusters, on mma and on wgmma; 8.3 on tensor maps.
 *
 * Threads: a module may be used by several at once; a launch is one thread's. */
#ifndef TESTS_PTX_DEVICE_PTX_H
#define TESTS_PTX_DEVICE_PTX_H

#include <stddef.h>
#include <stdint.h>

typedef struct ptx_module ptx_module;
typedef struct ptx_kernel ptx_kernel;

/* What a kernel's parameter is. A global or shared one is an address of 8 bytes. */
typedef enum { PTX_PARAMETER_VALUE, PTX_PARAMETER_GLOBAL, PTX_PARAMETER_SHARED } ptx_parameter_kind;

typedef struct ptx_parameter {
    ptx_parameter_kind kind;
    size_t offset; /* in the block of arguments, aligned as PTX says */
    size_t bytes;
    size_t alignment; /* of what a shared one points to; 1 where the text doesn't say */
} ptx_parameter;

/* A live buffer: [begin, end). */
typedef struct ptx_region {
    uintptr_t begin;
    uintptr_t end;
} ptx_region;

/* The address of a group's first byte of shared memory in the kernels' shared space: not 0, as on
 * GPUs of today. */
enum { PTX_SHARED_BASE = 1024 };

/* Reads a module: PTX text of `bytes` bytes (a 0 at its end may be counted). NULL with one line in
 * `message` where it can't be read, or where it has an instruction that isn't known. */
ptx_module *ptx_module_new(const char *text, size_t bytes, char *message, size_t message_bytes);
void ptx_module_free(ptx_module *module);

/* The target's number (80 for sm_80, 90 for sm_90a), and whether it is one with an "a". */
int ptx_module_target(const ptx_module *module, int *is_specific);

int ptx_module_kernel_count(const ptx_module *module);
/* `index` from 0. Belongs to the module. */
const ptx_kernel *ptx_module_kernel(const ptx_module *module, int index);

const char *ptx_kernel_name(const ptx_kernel *kernel);
int ptx_kernel_parameter_count(const ptx_kernel *kernel);
const ptx_parameter *ptx_kernel_parameter(const ptx_kernel *kernel, int index);
size_t ptx_kernel_argument_bytes(const ptx_kernel *kernel);
/* Shared memory that the kernel itself declares. What parameters point to comes behind it: the
 * first such block may begin at the address PTX_SHARED_BASE + this, rounded up to its alignment. */
size_t ptx_kernel_shared_bytes(const ptx_kernel *kernel);
/* .reqntid; 0s where the kernel has none. */
void ptx_kernel_required_items(const ptx_kernel *kernel, uint32_t items[3]);

/* How many groups clusters have in each dimension; 1s where the kernel doesn't say. */
void ptx_kernel_cluster(const ptx_kernel *kernel, uint32_t groups[3]);
/* Whether so many groups are clusters of the kernel; says why not otherwise. */
int ptx_kernel_may_cluster(const ptx_kernel *kernel, const uint32_t groups[3], char *message,
                           size_t message_bytes);

/* Of a group, where a launch doesn't say: eighty times what the largest of libttm's tests takes,
 * and less than half a minute. */
#define PTX_MOST_INSTRUCTIONS ((uint64_t)100000000)

typedef struct ptx_launch {
    const ptx_kernel *kernel;
    const void *arguments; /* ptx_kernel_argument_bytes of them */
    uint32_t groups[3];
    uint32_t items[3];         /* of a group; at most 1024 in all */
    size_t shared_bytes;       /* all of a group's: the kernel's own and what lies behind */
    const ptx_region *regions; /* by address, none touching another */
    size_t region_count;
    /* That a group's warps may execute, all together; 0: PTX_MOST_INSTRUCTIONS. */
    uint64_t most_instructions;
} ptx_launch;

/* Runs a kernel to its end. Global addresses are those of the process. Returns 0, or −1 with one
 * line in `message` that says what is wrong and where: kernel, group, warp, line of the PTX and the
 * instruction. What the kernel wrote before stays written. */
int ptx_run(const ptx_launch *launch, char *message, size_t message_bytes);

#endif
