/* XXH64 against the values of its reference implementation, however the input is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "io/content_hash.h"

static uint64_t hash_of(const void *data, size_t bytes, uint64_t seed)
{
    ttm_content_hash hash;
    ttm_content_hash_begin(&hash, seed);
    ttm_content_hash_add(&hash, data, bytes);
    return ttm_content_hash_value(&hash);
}

static void known_texts_have_their_published_hashes(void **state)
{
    (void)state;
    assert_true(hash_of("", 0, 0) == UINT64_C(0xEF46DB3751D8E999));
    assert_true(hash_of("a", 1, 0) == UINT64_C(0xD24EC4F1A98C6E5B));
    assert_true(hash_of("abc", 3, 0) == UINT64_C(0x44BC2CF5AD770999));
    assert_true(hash_of("message digest", 14, 0) == UINT64_C(0x066ED728FCEEB3BE));
    assert_true(hash_of("abcdefghijklmnopqrstuvwxyz0123456789", 36, 0) ==
                UINT64_C(0x64F23ECF1609B766));
    assert_true(hash_of("abcdefghijklmnopqrstuvwxyz0123456789", 36, 12345) ==
                UINT64_C(0x1F903AC69608D409));
    assert_true(
        hash_of("01234567890123456789012345678901234567890123456789012345678901234567890123456789",
                80, 0) == UINT64_C(0x56D458ED81C7870B));
}

static void cutting_the_input_changes_nothing(void **state)
{
    (void)state;
    unsigned char data[200];
    for (size_t index = 0; index < sizeof data; index++) {
        data[index] = (unsigned char)(index * 7 + 3);
    }
    for (size_t bytes = 0; bytes <= sizeof data; bytes++) {
        uint64_t whole = hash_of(data, bytes, 9);
        for (size_t piece = 1; piece <= 70; piece++) {
            ttm_content_hash hash;
            ttm_content_hash_begin(&hash, 9);
            for (size_t at = 0; at < bytes; at += piece) {
                ttm_content_hash_add(&hash, data + at, piece < bytes - at ? piece : bytes - at);
            }
            assert_true(ttm_content_hash_value(&hash) == whole);
        }
    }
}

static void integers_count_as_eight_little_endian_bytes(void **state)
{
    (void)state;
    ttm_content_hash hash;
    ttm_content_hash_begin(&hash, 0);
    ttm_content_hash_add_uint64(&hash, UINT64_C(0x6867666564636261));
    assert_true(ttm_content_hash_value(&hash) == hash_of("abcdefgh", 8, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_published_hashes),
        cmocka_unit_test(cutting_the_input_changes_nothing),
        cmocka_unit_test(integers_count_as_eight_little_endian_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
