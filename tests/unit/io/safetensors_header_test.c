/* Safetensors headers that lie, each refused with a message that says where. */
#include "scratch_folder.h"

#include <endian.h>
#include <ttm/safetensors.h>

/** Writes a safetensors file from a header and `data_bytes` zero bytes; returns its path. */
static const char *write_file(const char *header, size_t header_bytes, size_t data_bytes)
{
    const char *path = scratch_path("test.safetensors");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    uint64_t length = htole64(header_bytes);
    assert_int_equal(fwrite(&length, sizeof length, 1, file), 1);
    assert_int_equal(fwrite(header, 1, header_bytes, file), header_bytes);
    for (size_t index = 0; index < data_bytes; index++) {
        assert_int_equal(fputc(0, file), 0);
    }
    assert_int_equal(fclose(file), 0);
    return path;
}

/** Asserts that opening `path` fails with this status, the path and these words. */
static void assert_open_fails(const char *path, ttm_status expected, const char *words)
{
    ttm_safetensors *file = NULL;
    ttm_status status = ttm_safetensors_open(&file, path);
    if (status != expected) {
        fail_msg("status %d instead of %d for \"%s\": %s", status, expected, words,
                 ttm_error_message());
    }
    assert_null(file);
    assert_message_has(words);
    assert_message_has(path);
}

static void assert_refused(const char *header, size_t data_bytes, ttm_status expected,
                           const char *words)
{
    assert_open_fails(write_file(header, strlen(header), data_bytes), expected, words);
}

static void assert_accepted(const char *header, size_t data_bytes, size_t tensors)
{
    ttm_safetensors *file = NULL;
    if (ttm_safetensors_open(&file, write_file(header, strlen(header), data_bytes)) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    assert_int_equal(ttm_safetensors_count(file), tensors);
    ttm_safetensors_close(file);
}

static void well_formed_headers_are_accepted(void **state)
{
    (void)state;
    assert_accepted("{}", 0, 0);
    assert_accepted("{}      ", 0, 0);
    assert_accepted("{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0);
    assert_accepted("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1);
    assert_accepted("{\"a\":{\"dtype\":\"U8\",\"shape\":[0,5],\"data_offsets\":[0,0]}}", 0, 1);
    assert_accepted("{\"b\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[3,7]},"
                    "\"z\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[3,3]},"
                    "\"a\":{\"data_offsets\":[0,3],\"shape\":[3],\"dtype\":\"BOOL\"}}",
                    7, 3);
}

static void files_too_short_for_their_header_are_refused(void **state)
{
    (void)state;
    const char *path = scratch_path("short");
    scratch_write(path, "", 0);
    assert_open_fails(path, TTM_ERROR_FORMAT, "has 0 bytes");
    scratch_write(path, "\2\0\0\0\0\0\0", 7);
    assert_open_fails(path, TTM_ERROR_FORMAT, "has 7 bytes");
    scratch_write(path, "\3\0\0\0\0\0\0\0{}", 10);
    assert_open_fails(path, TTM_ERROR_FORMAT, "cut off");
    scratch_write(path, "\0\0\0\0\0\0\0\0", 8);
    assert_open_fails(path, TTM_ERROR_FORMAT, "start with '{'");
    scratch_write(path, "\377\377\377\377\377\377\377\377{}", 10);
    assert_open_fails(path, TTM_ERROR_FORMAT, "18446744073709551615");
    scratch_write(path, "\1\341\365\5\0\0\0\0{}", 10); /* 100,000,001 */
    assert_open_fails(path, TTM_ERROR_FORMAT, "100000001");
    scratch_write(path, "\0\341\365\5\0\0\0\0{}", 10); /* 100,000,000 */
    assert_open_fails(path, TTM_ERROR_FORMAT, "cut off");
    scratch_write(path, "\177ELF\2\1\1\0\0\0\0\0", 12);
    assert_open_fails(path, TTM_ERROR_FORMAT, "isn't a safetensors file");
}

static void headers_that_are_no_json_object_are_refused(void **state)
{
    (void)state;
    assert_refused("[]", 0, TTM_ERROR_FORMAT, "start with '{'");
    assert_refused(" {}", 0, TTM_ERROR_FORMAT, "start with '{'");
    assert_refused("{", 0, TTM_ERROR_FORMAT, "line 1, column 2");
    assert_refused("{\"a\":1}", 0, TTM_ERROR_FORMAT, "a must be an object, it is 1");
    assert_refused("{} x", 0, TTM_ERROR_FORMAT, "follows the outermost");
    assert_refused("{\"a\xff\":{}}", 0, TTM_ERROR_FORMAT, "UTF-8");
    assert_refused("{\"a\\u0000b\":{}}", 0, TTM_ERROR_FORMAT, "U+0000");
    assert_open_fails(write_file("{}\0", 3, 0), TTM_ERROR_FORMAT, "follows the outermost");
    assert_open_fails(write_file("{\"a\0b\":{}}", 10, 0), TTM_ERROR_FORMAT, "control character");
    static const char start[5] = {'{', '"', 'a', '"', ':'};
    char deep[5000];
    memset(deep, '[', sizeof deep);
    memcpy(deep, start, sizeof start);
    assert_open_fails(write_file(deep, sizeof deep, 0), TTM_ERROR_FORMAT, "64 deep");
    assert_refused("{\"__metadata__\":{\"a\":1}}", 0, TTM_ERROR_FORMAT,
                   "__metadata__.a must be a string");
    assert_refused("{\"__metadata__\":[]}", 0, TTM_ERROR_FORMAT, "__metadata__ must be an object");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                   "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                   2, TTM_ERROR_FORMAT, "\"a\" occurs twice");
}

static void descriptions_that_lack_or_bend_something_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, TTM_ERROR_FORMAT,
                   "a lacks the key \"dtype\"");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, TTM_ERROR_FORMAT,
                   "a lacks the key \"shape\"");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, TTM_ERROR_FORMAT,
                   "a lacks the key \"data_offsets\"");
    assert_refused("{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_UNSUPPORTED, "\"F4\"");
    assert_refused("{\"a\":{\"dtype\":\"none\",\"shape\":[1],\"data_offsets\":[0,0]}}", 0,
                   TTM_ERROR_UNSUPPORTED, "\"none\"");
    assert_refused("{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_FORMAT, "a.dtype must be a string");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_FORMAT, "a.shape must be an array");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,-1],\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_FORMAT, "a.shape[1]");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_FORMAT, "a.shape[0]");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1e300],\"data_offsets\":[0,1]}}", 1,
                   TTM_ERROR_FORMAT, "a.shape[0]");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1]}}", 1,
                   TTM_ERROR_FORMAT, "a.data_offsets must have 2");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1,
                   TTM_ERROR_FORMAT, "a.data_offsets must have 2");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1,
                   TTM_ERROR_FORMAT, "a.data_offsets[0]");
}

static void sizes_and_offsets_that_lie_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,1]}}", 2,
                   TTM_ERROR_FORMAT, "begin at 2");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 8,
                   TTM_ERROR_FORMAT, "the file has 8 bytes of data");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9007199254740991]}}",
                   8, TTM_ERROR_FORMAT, "the file has 8 bytes of data");
    assert_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}", 9,
                   TTM_ERROR_FORMAT, "9 bytes by its data_offsets, but 8");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
                   "\"data_offsets\":[0,0]}}",
                   0, TTM_ERROR_FORMAT, "overflows");
    assert_refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,536870912],"
                   "\"data_offsets\":[0,0]}}",
                   0, TTM_ERROR_FORMAT, "overflows");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}}",
                   5, TTM_ERROR_FORMAT, "overlaps");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
                   3, TTM_ERROR_FORMAT, "overlaps");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]}}",
                   7, TTM_ERROR_FORMAT, "holes");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]}}", 4,
                   TTM_ERROR_FORMAT, "holes");
    assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 4,
                   TTM_ERROR_FORMAT, "4 bytes of data, its tensors cover 3");
    assert_refused("{}", 1, TTM_ERROR_FORMAT, "1 bytes of data, its tensors cover 0");
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    ttm_safetensors *file = NULL;
    assert_open_fails(scratch_path("missing.safetensors"), TTM_ERROR_NOT_FOUND, "No such file");
    assert_open_fails(scratch_folder, TTM_ERROR_NOT_FOUND, "holds neither");
    assert_open_fails("/dev/null", TTM_ERROR_IO, "a device");
    assert_int_equal(ttm_safetensors_open(&file, ""), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_open(&file, NULL), TTM_ERROR_ARGUMENT);
    ttm_safetensors_close(NULL);
}

/** Every prefix of a good file, and every file with one byte changed, is refused or at least read
 * without a fault. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}";
    unsigned char good[sizeof header + 18] = {(unsigned char)(sizeof header - 1)};
    size_t total = 8 + sizeof header - 1 + 11;
    const char *path = scratch_path("damaged");
    memcpy(good + 8, header, sizeof header - 1);
    for (size_t bytes = 0; bytes <= total; bytes++) {
        ttm_safetensors *file = NULL;
        scratch_write(path, good, bytes);
        assert_int_equal(ttm_safetensors_open(&file, path),
                         bytes == total ? TTM_OK : TTM_ERROR_FORMAT);
        ttm_safetensors_close(file);
    }
    for (size_t at = 0; at < total; at++) {
        static const unsigned char flips[] = {0x01, 0x02, 0x10, 0x80, 0xff};
        for (size_t flip = 0; flip < sizeof flips; flip++) {
            ttm_safetensors *file = NULL;
            uint64_t hash = 0;
            good[at] ^= flips[flip];
            scratch_write(path, good, total);
            if (ttm_safetensors_open(&file, path) == TTM_OK) {
                assert_int_equal(ttm_safetensors_hash(&hash, file), TTM_OK);
            }
            ttm_safetensors_close(file);
            good[at] ^= flips[flip];
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(well_formed_headers_are_accepted),
        scratch_test(files_too_short_for_their_header_are_refused),
        scratch_test(headers_that_are_no_json_object_are_refused),
        scratch_test(descriptions_that_lack_or_bend_something_are_refused),
        scratch_test(sizes_and_offsets_that_lie_are_refused),
        scratch_test(what_is_no_file_is_refused),
        scratch_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
