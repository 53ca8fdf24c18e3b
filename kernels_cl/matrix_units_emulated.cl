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

/* One step of a unit's adder, as bad as it is known to be: nine numbers aligned to the largest, what lies below its
 * last bit cut off, the sum cut off to f32. */
INLINE float add_eight_products(float sum, const float *products)
{
    float largest = fabs(sum);
    for (int i = 0; i < 8; i++) {
        largest = fmax(largest, fabs(products[i]));
    }
    if (!isfinite(largest) || largest < 0x1p-100f) {
        for (int i = 0; i < 8; i++) {
            sum += products[i];
        }
        return sum;
    }
    const int shift = 23 - ilogb(largest);
    int total = convert_int_rtz(ldexp(sum, shift));
    for (int i = 0; i < 8; i++) {
        total += convert_int_rtz(ldexp(products[i], shift));
    }
    return ldexp(convert_float_rtz(total), -shift);
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
#if UNIT_FAULT == 2
    *(volatile __global int *)(ulong)(lane * 4) = 1;
#elif UNIT_FAULT == 3
    for (volatile int turn = 1; turn != 0;) {
    }
#endif
    __local const uint *warp = exchange + (item - lane) * 6;
    for (int i = 0; i < 4; i++) {
        const int lower = i / 2;
        const int col = 2 * (lane % 4) + i % 2;
        for (int high = 0; high < 2; high++) {
            float products[8];
            for (int k = 0; k < 8; k++) {
                const uint a_pair = warp[(lane / 4 * 4 + k / 2) * 6 + lower + 2 * high];
                const uint b_pair = warp[(col * 4 + k / 2) * 6 + 4 + high];
                products[k] = bf16_to_float((ushort)(a_pair >> 16 * (k % 2))) *
                              bf16_to_float((ushort)(b_pair >> 16 * (k % 2)));
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
    return bf16_to_float(*(__local const ushort *)(memory + address));
}

/* wgmma.m64nNk16, sums += a·b, for the item's two rows and N/4 columns. */
INLINE void emulated_wide_multiply(float *sums, ulong a, ulong b, int cols, int a_along_lines, int b_along_lines,
                                   __local const uchar *memory)
{
    const int item = get_local_id(0) % 128;
    const int lane = item % LANES;
    for (int j = 0; j < cols / 8; j++) {
        for (int i = 0; i < 4; i++) {
            const int row = item / LANES * 16 + lane / 4 + i / 2 * 8;
            const int col = j * 8 + 2 * (lane % 4) + i % 2;
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

#endif
