/* Copies and conversions of NVIDIA's PTX, or their emulation.
 *
 * UNIT_COPIES: what a work-item must declare. COPY_CHUNK brings 16 bytes to local memory, `bytes` of which are read and the
 * others set to 0; END_COPIES closes a set of copies, WAIT_COPIES(n) waits until all but the last n sets are there.
 * UNIT_LANE, UNIT_WARP: a work-item's place in its warp, and its warp's. STORE_FRAGMENT writes a work-item's sums of a fragment to rows
 * that are SEGMENT_PITCH apart. */

#define UNIT_ATTRIBUTES
#define UNIT_LANE(item) ((item) % LANES)
#define UNIT_WARP(item) ((item) / LANES)
#define STORE_FRAGMENT(target, from, lane)                                                   \
    {                                                                                        \
        __local float *to = (target) + (lane) / 4 * SEGMENT_PITCH + (lane) % 4 * 2;          \
        *(__local float2 *)to = (float2)((from)[0], (from)[1]);                              \
        *(__local float2 *)(to + 8 * SEGMENT_PITCH) = (float2)((from)[2], (from)[3]);        \
    }

#if EMULATED
#define UNIT_COPIES                            \
    pending_copies pending = {.count = 0, .group = 0};
#define LOCAL_ADDRESS(p) 0u
#define COPY_CHUNK(target, source, bytes) emulated_copy(&pending, target, source, bytes)
#define END_COPIES() pending.group++
#define WAIT_COPIES(left) emulated_wait(&pending, left, memory)
#define STORE_CHUNK(target, value) vstore8(value, 0, (__local ushort *)(memory + (target)))
#define WARP_BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#else
#define UNIT_COPIES
#define LOCAL_ADDRESS(p) ((uint)(ulong)(p))
#define COPY_CHUNK(target, source, bytes)                                                             \
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source), "r"(bytes) \
                 : "memory")
#define END_COPIES() asm volatile("cp.async.commit_group;" ::: "memory")
#define WAIT_COPIES(left) asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory")
#define STORE_CHUNK(target, value)                                                                      \
    {                                                                                                   \
        const uint4 words = as_uint4(value);                                                            \
        asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(target), "r"(words.x), "r"(words.y), \
                     "r"(words.z), "r"(words.w)                                                         \
                     : "memory");                                                                       \
    }
#define WARP_BARRIER() asm volatile("bar.warp.sync 0xffffffff;" ::: "memory")
#endif
