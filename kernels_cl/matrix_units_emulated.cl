/* NVIDIA's instructions for matrix units in plain OpenCL C: what PTX's documentation says of fragments, matrices in
 * local memory and asynchronous copies, so that index arithmetic, edges and epilogues can be tested anywhere.
 *
 * An address in local memory is its offset in `memory`. Instructions of a warp are collective: all items of the
 * group call them together. Copies are as late as they may be: they happen when a wait demands them.
 *
 * UNIT_FAULT, for tests of the probe: 1 a multiplication that is wrong, 2 a crash, 3 no end. */

#if EMULATED

#ifndef UNIT_FAULT
#define UNIT_FAULT 0
#endif

/* Copies that an item has begun. */
#define MOST_PENDING 64
typedef struct pending_copies {
    int count;
    int group;
    uint target[MOST_PENDING];
    ulong source[MOST_PENDING];
    int bytes[MOST_PENDING];
    int group_of[MOST_PENDING];
} pending_copies;

/* cp.async with a source size: 16 bytes, of which `bytes` are read and the others are 0. */
INLINE void emulated_copy(pending_copies *pending, uint target, __global const void *source, int bytes)
{
    const int i = pending->count++;
    pending->target[i] = target;
    pending->source[i] = (ulong)source;
    pending->bytes[i] = bytes;
    pending->group_of[i] = pending->group;
}

/* cp.async.wait_group: all but the last `left` groups arrive. */
INLINE void emulated_wait(pending_copies *pending, int left, __local uchar *memory)
{
    int kept = 0;
    for (int i = 0; i < pending->count; i++) {
        if (pending->group_of[i] >= pending->group - left) {
            pending->target[kept] = pending->target[i];
            pending->source[kept] = pending->source[i];
            pending->bytes[kept] = pending->bytes[i];
            pending->group_of[kept] = pending->group_of[i];
            kept++;
            continue;
        }
        __global const uchar *source = (__global const uchar *)pending->source[i];
        for (int byte = 0; byte < 16; byte++) {
            memory[pending->target[i] + byte] = byte < pending->bytes[i] ? source[byte] : 0;
        }
    }
    pending->count = kept;
}

/* mbarriers, 8 bytes of local memory each: in the first word the arrivals that are awaited in this phase (bits 0-7) and in each
 * (8-15), and the phase's parity (16); in the second the bytes of copies that haven't arrived. A phase ends when a turn does
 * (emulated_turn), never within it: so all items of a group see the same. */
INLINE __local int *emulated_words(uint barrier_place, __local uchar *memory)
{
    return (__local int *)(memory + barrier_place);
}

INLINE void emulated_barrier_start(uint barrier_place, int arrivals, __local uchar *memory)
{
    emulated_words(barrier_place, memory)[0] = arrivals | arrivals << 8;
    emulated_words(barrier_place, memory)[1] = 0;
}

/* mbarrier.arrive, and mbarrier.arrive.expect_tx with the bytes that are to come. */
INLINE void emulated_arrive(uint barrier_place, int bytes, __local uchar *memory)
{
    atomic_add(emulated_words(barrier_place, memory) + 1, bytes);
    atomic_sub(emulated_words(barrier_place, memory), 1);
}

/* mbarrier.test_wait.parity: whether the phase of this parity has ended, the one before the first counting as odd. */
INLINE int emulated_passes(uint barrier_place, uint parity, __local uchar *memory)
{
    return (emulated_words(barrier_place, memory)[0] >> 16 & 1) != (int)parity;
}

/* The end of a turn for all items of the group; `count` mbarriers lie from `first` on. */
INLINE void emulated_turn(uint first, int count, __local uchar *memory)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) == 0) {
        for (int i = 0; i < count; i++) {
            __local int *words = emulated_words(first + i * 8, memory);
            if ((words[0] & 0xff) == 0 && words[1] == 0) {
                words[0] = (words[0] & 0xff00) | (words[0] >> 8 & 0xff) | (~words[0] & 0x10000);
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Bulk copies that an item has begun, the oldest first. */
#define MOST_PENDING_BULK 32
typedef struct pending_bulk {
    int count;
    uint target[MOST_PENDING_BULK];
    ulong source[MOST_PENDING_BULK];
    int bytes[MOST_PENDING_BULK];
    uint barrier_place[MOST_PENDING_BULK];
    int is_box[MOST_PENDING_BULK]; /* by a map, which source is then, from these coordinates on */
    int x[MOST_PENDING_BULK];
    int y[MOST_PENDING_BULK];
} pending_bulk;

/* A box by a map as tensor_maps.cl's emulation writes them. */
INLINE void emulated_box_arrives(uint target, __global const long *fields, int first_x, int first_y, __local uchar *memory)
{
    __global const ushort *start = (__global const ushort *)fields[0];
    const int width = (int)fields[4];
    const uint mask = (uint)(width / 8 - 1);
    for (int i = 0; i < width * (int)fields[5]; i++) {
        const long x = first_x + i % width;
        const long y = first_y + i / width;
        const uint address = target + 2 * i;
        const int is_inside = x >= 0 && x < fields[1] && y >= 0 && y < fields[2];
        *(__local ushort *)(memory + (address ^ (address >> 7 & mask) << 4)) = is_inside ? start[y * fields[3] + x] : 0;
    }
}

/* The oldest copy arrives, and its mbarrier counts it. */
INLINE void emulated_bulk_arrives(pending_bulk *pending, __local uchar *memory)
{
    if (pending->count == 0) {
        return;
    }
    if (pending->is_box[0]) {
        emulated_box_arrives(pending->target[0], (__global const long *)pending->source[0], pending->x[0], pending->y[0], memory);
    } else {
        __global const uint4 *source = (__global const uint4 *)pending->source[0];
        __local uint4 *target = (__local uint4 *)(memory + pending->target[0]);
        for (int i = 0; i < pending->bytes[0] / 16; i++) {
            target[i] = source[i];
        }
    }
    atomic_sub(emulated_words(pending->barrier_place[0], memory) + 1, pending->bytes[0]);
    pending->count--;
    for (int i = 0; i < pending->count; i++) {
        pending->target[i] = pending->target[i + 1];
        pending->source[i] = pending->source[i + 1];
        pending->bytes[i] = pending->bytes[i + 1];
        pending->barrier_place[i] = pending->barrier_place[i + 1];
        pending->is_box[i] = pending->is_box[i + 1];
        pending->x[i] = pending->x[i + 1];
        pending->y[i] = pending->y[i + 1];
    }
}

INLINE void emulated_any_copy(pending_bulk *pending, int at_once, uint target, __global const void *source, int bytes, uint barrier_place,
                              __local uchar *memory)
{
    const int i = pending->count++;
    pending->target[i] = target;
    pending->source[i] = (ulong)source;
    pending->bytes[i] = bytes;
    pending->barrier_place[i] = barrier_place;
    if (at_once || pending->count == MOST_PENDING_BULK) {
        emulated_bulk_arrives(pending, memory);
    }
}

/* cp.async.bulk.tensor, which arrives at once or when it must. */
INLINE void emulated_box_copy(pending_bulk *pending, int at_once, uint target, __global const void *map, int x, int y, int bytes,
                              uint barrier_place, __local uchar *memory)
{
    const int i = pending->count;
    pending->is_box[i] = 1;
    pending->x[i] = x;
    pending->y[i] = y;
    emulated_any_copy(pending, at_once, target, map, bytes, barrier_place, memory);
}

/* cp.async.bulk, likewise. */
INLINE void emulated_bulk_copy(pending_bulk *pending, int at_once, uint target, __global const void *source, int bytes,
                               uint barrier_place, __local uchar *memory)
{
    pending->is_box[pending->count] = 0;
    emulated_any_copy(pending, at_once, target, source, bytes, barrier_place, memory);
}

/* ldmatrix.x4: lanes 8i … 8i + 7 give the addresses of the rows of matrix i (8 rows of 8 bf16). Lane l gets of each
 * matrix elements 2·(l mod 4) and the next of row l/4; transposed, of column l/4. */
INLINE void emulated_load_matrices(uint *registers, uint address, int transposed, __local uchar *memory,
                                   __local uint *exchange)
{
    const int item = get_local_id(0);
    const int lane = item % LANES;
    barrier(CLK_LOCAL_MEM_FENCE);
    exchange[item] = address;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < 4; i++) {
        __local const uint *rows = exchange + (item - lane) + 8 * i;
        uint pair[2];
        for (int j = 0; j < 2; j++) {
            const int along = 2 * (lane % 4) + j;
            const int row = transposed ? along : lane / 4;
            const int col = transposed ? lane / 4 : along;
            pair[j] = *(__local const ushort *)(memory + rows[row] + 2 * col);
        }
        registers[i] = pair[0] | pair[1] << 16;
    }
}

/* shfl.sync.bfly: the value of the lane whose number differs in the bits of `mask`. */
INLINE float emulated_swap(float value, int mask, __local uint *exchange)
{
    const int item = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    exchange[item] = as_uint(value);
    barrier(CLK_LOCAL_MEM_FENCE);
    return as_float(exchange[item ^ mask]);
}

/* shfl.sync.idx: the word of lane `from`. */
INLINE uint emulated_word(uint word, int from, __local uint *exchange)
{
    const int item = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    exchange[item] = word;
    barrier(CLK_LOCAL_MEM_FENCE);
    return exchange[item / LANES * LANES + from];
}

/* What units multiply: bf16, or f16 where operands are in halves. */
INLINE float part_to_float(ushort bits)
{
    return HALVES ? f16_to_float(bits) : bf16_to_float(bits);
}

/* One step of a unit's adder, as bad as it is known to be: nine numbers aligned to the largest, what lies below its
 * last bit cut off, the sum cut off to f32. */
INLINE float add_eight_products(float sum, const float *products)
{
    float largest = fabs(sum);
    float plain = sum;
    for (int i = 0; i < 8; i++) {
        largest = fmax(largest, fabs(products[i]));
        plain += products[i];
    }
    if (!isfinite(plain) || largest < 0x1p-100f) {
        return plain;
    }
    const int shift = 23 - ilogb(largest);
    int total = convert_int_rtz(ldexp(sum, shift));
    for (int i = 0; i < 8; i++) {
        total += convert_int_rtz(ldexp(products[i], shift));
    }
    return ldexp(convert_float_rtz(total), -shift);
}

/* Faults 2 and 3. */
INLINE void emulated_fault(int lane)
{
#if UNIT_FAULT == 2
    *(volatile __global int *)(ulong)(lane * 4) = 1;
#elif UNIT_FAULT == 3
    for (volatile int turn = 1; turn != 0;) {
    }
#endif
}

/* mma.m16n8k16, sums += a·b. Lane l, with g = l/4 and t = 2·(l mod 4), holds of a: rows g, g + 8, g, g + 8, from columns
 * t, t, t + 8, t + 8 on, two each; of b: column g, rows from t and from t + 8 on; of sums: rows g, g, g + 8, g + 8,
 * columns t, t + 1, t, t + 1. */
INLINE void emulated_multiply(float *sums, const uint *a, const uint *b, __local uint *exchange)
{
    const int item = get_local_id(0);
    const int lane = item % LANES;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < 4; i++) {
        exchange[item * 6 + i] = a[i];
    }
    exchange[item * 6 + 4] = b[0];
    exchange[item * 6 + 5] = b[1];
    barrier(CLK_LOCAL_MEM_FENCE);
    emulated_fault(lane);
    __local const uint *warp = exchange + (item - lane) * 6;
    for (int i = 0; i < 4; i++) {
        const int lower = i / 2;
        const int col = 2 * (lane % 4) + i % 2;
        for (int high = 0; high < 2; high++) {
            float products[8];
            for (int k = 0; k < 8; k++) {
                const uint a_pair = warp[(lane / 4 * 4 + k / 2) * 6 + lower + 2 * high];
                const uint b_pair = warp[(col * 4 + k / 2) * 6 + 4 + high];
                products[k] = part_to_float((ushort)(a_pair >> 16 * (k % 2))) *
                              part_to_float((ushort)(b_pair >> 16 * (k % 2)));
            }
#if UNIT_FAULT == 1
            products[3] = 0.0f;
#endif
            sums[i] = add_eight_products(sums[i], products);
        }
    }
}

/* The element (line, k) of an operand of wgmma that a descriptor names: bits 0-13 the start, 16-29 the leading and
 * 32-45 the stride offset, all in units of 16 bytes, 62-63 the swizzle: 1 128 bytes, 2 64, 3 32. The swizzle works on
 * bits of the address. */
INLINE float emulated_operand(ulong descriptor, int along_lines, int line, int k, __local const uchar *memory)
{
    const int width = 16 >> (int)(descriptor >> 62) << 3; /* elements of a swizzled row: 64, 32, 16 */
    const uint start = (uint)(descriptor & 0x3fff) * 16;
    const uint leading = (uint)(descriptor >> 16 & 0x3fff) * 16;
    const uint stride = (uint)(descriptor >> 32 & 0x3fff) * 16;
    uint address = start;
    if (along_lines) {
        address += line / width * leading + line % width * 2 + k / 8 * stride + k % 8 * width * 2;
    } else {
        address += line / 8 * stride + line % 8 * width * 2 + k * 2;
    }
    const uint mask = (uint)(width / 8 - 1);
    address ^= (address >> 7 & mask) << 4;
    return part_to_float(*(__local const ushort *)(memory + address));
}

/* wgmma.m64nNk16, sums += a·b, or a·b alone where `is_first`, for the item's two rows and N/4 columns. */
INLINE void emulated_wide_multiply(float *sums, ulong a, ulong b, int is_first, int cols, int a_along_lines, int b_along_lines,
                                   __local const uchar *memory)
{
    const int item = get_local_id(0) % 128;
    const int lane = item % LANES;
    for (int j = 0; j < cols / 8; j++) {
        for (int i = 0; i < 4; i++) {
            const int row = item / LANES * 16 + lane / 4 + i / 2 * 8;
            const int col = j * 8 + 2 * (lane % 4) + i % 2;
            sums[j * 4 + i] = is_first ? 0.0f : sums[j * 4 + i];
            for (int high = 0; high < 2; high++) {
                float products[8];
                for (int k = 0; k < 8; k++) {
                    products[k] = emulated_operand(a, a_along_lines, row, high * 8 + k, memory) *
                                  emulated_operand(b, b_along_lines, col, high * 8 + k, memory);
                }
#if UNIT_FAULT == 1
                products[3] = 0.0f;
#endif
                sums[j * 4 + i] = add_eight_products(sums[j * 4 + i], products);
            }
        }
    }
}

/* The same with a in registers: of its warp's 16 rows an item holds what it does for mma. */
INLINE void emulated_kept_multiply(float *sums, const uint *a, ulong b, int is_first, int cols, int b_along_lines,
                                   __local const uchar *memory, __local uint *exchange)
{
    const int item = get_local_id(0);
    const int lane = item % LANES;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < 4; i++) {
        exchange[item * 4 + i] = a[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    emulated_fault(lane);
    __local const uint *warp = exchange + (item - lane) * 4;
    for (int j = 0; j < cols / 8; j++) {
        for (int i = 0; i < 4; i++) {
            const int col = j * 8 + 2 * (lane % 4) + i % 2;
            sums[j * 4 + i] = is_first ? 0.0f : sums[j * 4 + i];
            for (int high = 0; high < 2; high++) {
                float products[8];
                for (int k = 0; k < 8; k++) {
                    const uint pair = warp[(lane / 4 * 4 + k / 2) * 4 + i / 2 + 2 * high];
                    products[k] = bf16_to_float((ushort)(pair >> 16 * (k % 2))) *
                                  emulated_operand(b, b_along_lines, col, high * 8 + k, memory);
                }
#if UNIT_FAULT == 1
                products[3] = 0.0f;
#endif
                sums[j * 4 + i] = add_eight_products(sums[j * 4 + i], products);
            }
        }
    }
}

#endif
