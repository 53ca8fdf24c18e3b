/* COPY and FILL of neighbours, for CPUs: their runtimes copy and fill in one thread.
 *
 * copy_flat: out[i] = x[i], fill_flat: out[i] = bits, for i < count; the two don't overlap.
 * Launch: groups of 1, ⌈count / stretch⌉ of them; each takes `stretch` elements, a multiple of LANES,
 * the first also those before out's first whole vector.
 * Macros: RAW_BYTES 1, 2, 4, 8: elements are bits. A vector of LANES of them is 16 to 64 bytes.
 * past_caches: what is written goes to memory at once. Else a processor reads each line before it
 * changes it, though nothing of it stays: half as many bytes again.
 * Bound by memory bandwidth, or by that of the caches. */

#define RAW_1 uchar
#define RAW_2 ushort
#define RAW_4 uint
#define RAW_8 ulong
#if RAW_BYTES == 8
#define LANES 8
#else
#define LANES 16
#endif
typedef PASTE(RAW_, RAW_BYTES) raw;
typedef PASTE(PASTE(RAW_, RAW_BYTES), LANES) raw_vector;

#ifdef ALWAYS_PAST_CACHES /* For tests: few arrays are large enough. */
#define GOES_PAST_CACHES(wanted) 1
#else
#define GOES_PAST_CACHES(wanted) ((wanted) != 0)
#endif

#define STORE_PAST(value, to) (*(to) = (value))
#define FINISH_STORES
#ifdef __has_builtin
#if __has_builtin(__builtin_nontemporal_store)
#undef STORE_PAST
#define STORE_PAST(value, to) __builtin_nontemporal_store(value, to)
#endif
#if __has_builtin(__builtin_ia32_sfence) && defined(__SSE2__)
/* Others may see such stores late, and what ends the launch early. */
#undef FINISH_STORES
#define FINISH_STORES __builtin_ia32_sfence()
#endif
#endif

/* Elements of `out` before an address that vectors may be written to. */
inline long before_vectors(__global const raw *out, long count)
{
    const size_t bytes = (0 - (size_t)out) % sizeof(raw_vector);
    return min((long)(bytes / RAW_BYTES), count);
}

/* Writes this group's stretch of out: single elements up to the first vector and behind the last. */
#define WRITE_STRETCH(ELEMENT, VALUES)                                              \
    const long head = before_vectors(out, count);                                   \
    const long number = get_global_id(0);                                           \
    const long end = min(head + (number + 1) * stretch, count);                     \
    long i = number == 0 ? 0 : head + number * stretch;                             \
    for (; i < min(head, end); i++) {                                               \
        out[i] = ELEMENT;                                                           \
    }                                                                               \
    if (GOES_PAST_CACHES(past_caches)) {                                            \
        for (; i + LANES <= end; i += LANES) {                                      \
            STORE_PAST(VALUES, (__global raw_vector *)(out + i));                   \
        }                                                                           \
        FINISH_STORES;                                                              \
    }                                                                               \
    for (; i + LANES <= end; i += LANES) {                                          \
        *(__global raw_vector *)(out + i) = VALUES;                                 \
    }                                                                               \
    for (; i < end; i++) {                                                          \
        out[i] = ELEMENT;                                                           \
    }

__kernel void copy_flat(__global raw *out, long out_start, __global const raw *x, long x_start,
                        long count, long stretch, int past_caches)
{
    out += out_start;
    x += x_start;
    WRITE_STRETCH(x[i], PASTE(vload, LANES)(0, x + i))
}

__kernel void fill_flat(__global raw *out, long out_start, ulong bits, long count, long stretch,
                        int past_caches)
{
    const raw element = (raw)bits;
    const raw_vector values = (raw_vector)(element);
    out += out_start;
    WRITE_STRETCH(element, values)
}
