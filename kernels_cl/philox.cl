/* Philox4x32-10 as in ttm/random.h: word `index` of the stream of `seed` is a pure function of
 * both, so every device draws the same dropout masks. Ten rounds of two 32×32-bit products; used
 * where memory is waited for, so that it is nearly free on a GPU. */

/* Words 4·block to 4·block + 3. */
inline uint4 philox_block(ulong seed, ulong block)
{
    uint c0 = (uint)block, c1 = (uint)(block >> 32), c2 = 0, c3 = 0;
    uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint high0 = mul_hi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const uint high1 = mul_hi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (uint4)(c0, c1, c2, c3);
}

inline uint philox_word(ulong seed, ulong index)
{
    const uint4 words = philox_block(seed, index >> 2);
    const uint odd = (uint)index & 1u;
    return ((uint)index & 2u) != 0u ? (odd != 0u ? words.s3 : words.s2)
                                    : (odd != 0u ? words.s1 : words.s0);
}

/* keep_scale where the element is kept, else 0. threshold = ceil(probability·2^32) ≤ 2^32 − 1:
 * word/2^32 ≥ probability says the same as word ≥ threshold. */
inline float dropout_factor(ulong seed, ulong index, uint threshold, float keep_scale)
{
    return philox_word(seed, index) >= threshold ? keep_scale : 0.0f;
}
