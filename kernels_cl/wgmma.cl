/* NVIDIA's wgmma (Hopper, sm_90a): four warps (a warpgroup) multiply 64 rows, 16 deep, by up to 256 columns, and may do something else
 * meanwhile. b, and a where it isn't in registers, are in local memory, named by descriptors.
 *
 * OpenCL C is compiled for sm_90, which lacks these instructions. So each is a comment of the assembly with a mark in front,
 * and backends/opencl/matrix_units_retarget.c makes instructions of them, and sm_90a of the target, in the PTX that comes out.
 * Sums are in the list of operands of everything that changes them, and of the wait for them: the compiler moves nothing over that. */

#if UNIT == 2

/* A descriptor: start, leading and stride offset in units of 16 bytes, and the swizzle of rows of `width` bf16. What offsets mean differs
 * with the order of an operand's neighbours, as those who name operands say. */
#define SWIZZLE_CODE(width) ((width) == 64 ? 1ul : (width) == 32 ? 2ul : 3ul)
#define WGMMA_DESCRIPTOR(start, leading_bytes, stride_bytes, width) \
    ((ulong)((start) >> 4) | (ulong)((leading_bytes) >> 4) << 16 | (ulong)((stride_bytes) >> 4) << 32 | SWIZZLE_CODE(width) << 62)

#if EMULATED
#define UNIT_PREPARE()
#define BEGIN_MULTIPLY()
#define END_MULTIPLY()
#else

/* What cp.async and stores wrote becomes visible to the units. */
#define UNIT_PREPARE() asm volatile("fence.proxy.async.shared::cta;" ::: "memory")
/* What was computed for an instruction, and its sums, are in their registers; what was begun since is a set that can be waited for. */
#define BEGIN_MULTIPLY() asm volatile("//@ wgmma.fence.sync.aligned;" ::: "memory")
#define END_MULTIPLY() asm volatile("//@ wgmma.commit_group.sync.aligned;" ::: "memory")
#define WAIT_ALL_BUT_ONE_MULTIPLY() asm volatile("//@ wgmma.wait_group.sync.aligned 1;" ::: "memory")

#define TEXT_2(x) #x
#define TEXT(x) TEXT_2(x)
#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

/* An item's sums of so many columns, in `d`, as operands that an instruction changes. */
#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D8(i) D4(i), D4(i + 4)
#define D16(i) D8(i), D8(i + 8)
#define D32(i) D16(i), D16(i + 16)
#define SUMS_OF_16 D8(0)
#define SUMS_OF_32 D16(0)
#define SUMS_OF_64 D32(0)
#define SUMS_OF_96 D32(0), D16(32)
#define SUMS_OF_128 D32(0), D32(32)
#define SUMS_OF_192 D32(0), D32(32), D32(64)
#define SUMS_OF(cols) JOIN(SUMS_OF_, cols)

/* Their names in the instruction's text; behind them, two operands, or a's four registers and a descriptor. */
#define N8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define N16 N8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define N32 N16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define N48 N32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define N64 N48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define N96                                                                                               \
    N64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, " \
        "%83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define NAMES_OF_16 N8
#define NAMES_OF_32 N16
#define NAMES_OF_64 N32
#define NAMES_OF_96 N48
#define NAMES_OF_128 N64
#define NAMES_OF_192 N96
#define TWO_BEHIND_64 "%32, %33"
#define TWO_BEHIND_96 "%48, %49"
#define TWO_BEHIND_128 "%64, %65"
#define TWO_BEHIND_192 "%96, %97"
#define TWO_BEHIND(cols) JOIN(TWO_BEHIND_, cols)
#define KEPT_BEHIND_16 "{%8, %9, %10, %11}, %12"
#define KEPT_BEHIND_32 "{%16, %17, %18, %19}, %20"
#define KEPT_BEHIND_64 "{%32, %33, %34, %35}, %36"
#define KEPT_BEHIND_128 "{%64, %65, %66, %67}, %68"
#define KEPT_BEHIND(cols) JOIN(KEPT_BEHIND_, cols)

#if HALVES
#define OPERAND_TYPES "f16.f16"
#else
#define OPERAND_TYPES "bf16.bf16"
#endif

/* An instruction up to its operands behind the sums. `compare`: eq for a predicate that is true and adds to the sums, ne for one that is
 * false. */
#define WGMMA_TEXT(compare, cols)                                                                                       \
    "//@ { .reg .pred p; setp." compare ".b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" TEXT(cols) "k16.f32." OPERAND_TYPES " {" \
        JOIN(NAMES_OF_, cols) "}, "

#endif

#endif
