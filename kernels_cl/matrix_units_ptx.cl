/* Instructions of NVIDIA's PTX, or their emulation: copies, fragments of matrices, and what lanes of a warp say to each other.
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

/* Four matrices of 8 x 8 bf16 from local memory, and mma.sync's product of fragments of 16 x 16 and 16 x 8: d += a·b. */
#if EMULATED
#define LOAD_MATRICES(r, address) emulated_load_matrices(r, address, 0, memory, exchange)
#define LOAD_MATRICES_TRANSPOSED(r, address) emulated_load_matrices(r, address, 1, memory, exchange)
#else
#define LOAD_MATRICES_AS(form, r, address)                                                      \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" form ".shared.b16 {%0, %1, %2, %3}, [%4];"    \
                 : "=r"((r)[0]), "=r"((r)[1]), "=r"((r)[2]), "=r"((r)[3])                       \
                 : "r"(address)                                                                 \
                 : "memory")
#define LOAD_MATRICES(r, address) LOAD_MATRICES_AS("", r, address)
#define LOAD_MATRICES_TRANSPOSED(r, address) LOAD_MATRICES_AS(".trans", r, address)
#endif
#if UNIT == 1 && EMULATED
#define MULTIPLY(d, a, b) emulated_multiply(d, a, b, exchange)
#elif UNIT == 1
#if HALVES
#define MMA_TYPES "f16.f16"
#else
#define MMA_TYPES "bf16.bf16"
#endif
#define MULTIPLY(d, a, b)                                                                             \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." MMA_TYPES ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, " \
                 "{%8, %9}, {%0, %1, %2, %3};"                                                        \
                 : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])                             \
                 : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))
#endif

/* PACK_PAIR: `pair` = two f32 rounded to bf16, `low` in the lower half. SWAP_LANES: `other` = `value` (both float) of the lane whose
 * number differs in the bits of `mask`. WORD_OF_LANE: `other` = `word` (both uint) of lane `from`. */
#if EMULATED
#define PACK_PAIR(pair, low, high) pair = float_to_bf16(low) | (uint)float_to_bf16(high) << 16
#define SWAP_LANES(other, value, mask) other = emulated_swap(value, mask, exchange)
#define WORD_OF_LANE(other, word, from) other = emulated_word(word, from, exchange)
#else
#define PACK_PAIR(pair, low, high) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low))
#define SWAP_LANES(other, value, mask) \
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(other) : "f"(value), "n"(mask))
#define WORD_OF_LANE(other, word, from) \
    asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(other) : "r"(word), "r"(from))
#endif
