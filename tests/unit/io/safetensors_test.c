/* Writing safetensors and reading them back: bytes, conversions, sources, and failures that keep
 * the old file. */
#include "scratch_folder.h"

#include "core/error.h"
#include "io/float_decode.h"
#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ttm/safetensors.h>

static const size_t shape_2x3[] = {2, 3};
static const size_t shape_5[] = {5};
static const size_t shape_0[] = {0, 7};
static const float floats[6] = {1, -2.5F, 3e38F, 1e-40F, 0, -0.0F};

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const double scalar = 0.1;
    static const int64_t integers[5] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    const ttm_safetensors_entry entries[] = {
        {.name = "transformer.wte.weight",
         .dtype = TTM_SAFETENSORS_F32,
         .rank = 2,
         .shape = shape_2x3,
         .data = floats},
        {.name = "a \"quoted\" näme", .dtype = TTM_SAFETENSORS_F64, .data = &scalar},
        {.name = "empty", .dtype = TTM_SAFETENSORS_BF16, .rank = 2, .shape = shape_0},
        {.name = "ids",
         .dtype = TTM_SAFETENSORS_I64,
         .rank = 1,
         .shape = shape_5,
         .data = integers},
    };
    const ttm_safetensors_pair metadata[] = {{"step", "100"}, {"note", "ü\n"}};
    const char *path = scratch_path("model.safetensors");
    assert_int_equal(ttm_safetensors_write(path, entries, 4, metadata, 2), TTM_OK);

    ttm_safetensors *file = NULL;
    const ttm_safetensors_tensor *tensor = NULL;
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    assert_int_equal(ttm_safetensors_count(file), 4);
    assert_null(ttm_safetensors_at(file, 4));
    assert_string_equal(ttm_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(ttm_safetensors_metadata(file, "step"), "100");
    assert_string_equal(ttm_safetensors_metadata(file, "note"), "ü\n");
    assert_null(ttm_safetensors_metadata(file, "missing"));
    tensor = ttm_safetensors_at(file, 0);
    assert_string_equal(tensor->name, "transformer.wte.weight");
    assert_int_equal((uintptr_t)tensor->data % 8, 0);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[1], 3);
    assert_int_equal(tensor->count, 6);
    assert_memory_equal(tensor->data, floats, sizeof floats);
    tensor = ttm_safetensors_find(file, "a \"quoted\" näme");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 0);
    assert_int_equal(tensor->bytes, 8);
    assert_memory_equal(tensor->data, &scalar, 8);
    assert_int_equal(ttm_safetensors_get(&tensor, file, "empty"), TTM_OK);
    assert_int_equal(tensor->count, 0);
    assert_int_equal(ttm_safetensors_read_f32(NULL, file, tensor, 0, 0), TTM_OK);
    assert_int_equal(ttm_safetensors_get(&tensor, file, "ids"), TTM_OK);
    assert_memory_equal(tensor->data, integers, sizeof integers);
    assert_int_equal(ttm_safetensors_get(&tensor, file, "idz"), TTM_ERROR_NOT_FOUND);
    assert_message_has("\"idz\"");
    assert_message_has(path);
    ttm_safetensors_close(file);
}

static void metadata_may_name_another_format(void **state)
{
    (void)state;
    const ttm_safetensors_pair metadata[] = {{"format", "np"}};
    const char *path = scratch_path("x.safetensors");
    ttm_safetensors *file = NULL;
    assert_int_equal(ttm_safetensors_write(path, NULL, 0, metadata, 1), TTM_OK);
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    assert_string_equal(ttm_safetensors_metadata(file, "format"), "np");
    assert_null(ttm_safetensors_find(file, "x"));
    ttm_safetensors_close(file);
}

/** A source of bytes that follow from their position. */
static ttm_status supply(void *user, void *out, size_t offset, size_t bytes)
{
    size_t *expected = user;
    unsigned char *destination = out;
    assert_int_equal(offset, *expected);
    for (size_t index = 0; index < bytes; index++) {
        destination[index] = (unsigned char)((offset + index) * 2654435761u >> 11);
    }
    *expected = offset + bytes;
    return TTM_OK;
}

static void a_source_supplies_a_tensor_piece_by_piece(void **state)
{
    (void)state;
    const size_t shape[] = {3000001};
    size_t position = 0;
    const ttm_safetensors_entry entry = {.name = "x",
                                         .dtype = TTM_SAFETENSORS_U8,
                                         .rank = 1,
                                         .shape = shape,
                                         .source = supply,
                                         .user = &position};
    const char *path = scratch_path("x.safetensors");
    ttm_safetensors *file = NULL;
    assert_int_equal(ttm_safetensors_write(path, &entry, 1, NULL, 0), TTM_OK);
    assert_int_equal(position, shape[0]);
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    const unsigned char *data = ttm_safetensors_at(file, 0)->data;
    for (size_t index = 0; index < shape[0]; index++) {
        if (data[index] != (unsigned char)(index * 2654435761u >> 11)) {
            fail_msg("byte %zu differs", index);
        }
    }
    ttm_safetensors_close(file);
}

static ttm_status fail_late(void *user, void *out, size_t offset, size_t bytes)
{
    (void)user;
    memset(out, 0, bytes);
    return offset == 0 ? TTM_OK : ttm_fail(TTM_ERROR_DEVICE, "the device is gone");
}

static void a_failing_source_keeps_the_old_file(void **state)
{
    (void)state;
    const size_t shape[] = {3000001};
    const ttm_safetensors_entry entry = {
        .name = "x", .dtype = TTM_SAFETENSORS_U8, .rank = 1, .shape = shape, .source = fail_late};
    const char *path = scratch_path("x.safetensors");
    scratch_write(path, "old", 3);
    assert_int_equal(ttm_safetensors_write(path, &entry, 1, NULL, 0), TTM_ERROR_DEVICE);
    assert_message_has("the device is gone");
    assert_file_holds(path, "old");
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void entries_that_fit_no_file_are_refused(void **state)
{
    (void)state;
    static const size_t huge[] = {SIZE_MAX / 2, 4};
    const char *path = scratch_path("x.safetensors");
    const ttm_safetensors_entry good = {
        .name = "x", .dtype = TTM_SAFETENSORS_F32, .rank = 2, .shape = shape_2x3, .data = floats};
    ttm_safetensors_entry bad[2] = {good, good};
    assert_int_equal(ttm_safetensors_write(path, bad, 2, NULL, 0), TTM_ERROR_ARGUMENT);
    assert_message_has("\"x\" occurs twice");
    bad[0].name = "__metadata__";
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    bad[0].name = "\xff";
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    bad[0].name = NULL;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    bad[0] = good;
    bad[0].dtype = TTM_SAFETENSORS_NONE;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_DTYPE);
    bad[0].dtype = (ttm_safetensors_dtype)99;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_DTYPE);
    bad[0] = good;
    bad[0].shape = NULL;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    bad[0].shape = huge;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_SHAPE);
    bad[0] = good;
    bad[0].data = NULL;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    bad[0] = good;
    bad[0].source = supply;
    assert_int_equal(ttm_safetensors_write(path, bad, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    const ttm_safetensors_pair twice[] = {{"a", "1"}, {"a", "2"}};
    const ttm_safetensors_pair null[] = {{"a", NULL}};
    assert_int_equal(ttm_safetensors_write(path, &good, 1, twice, 2), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_write(path, &good, 1, null, 1), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_write("", &good, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_write(NULL, &good, 1, NULL, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_write(scratch_path("no/x"), &good, 1, NULL, 0),
                     TTM_ERROR_NOT_FOUND);
    assert_int_equal(count_entries(scratch_folder), 0);
}

static void a_size_limit_while_writing_keeps_the_old_file(void **state)
{
    (void)state;
    const size_t shape[] = {3000001};
    size_t position = 0;
    const ttm_safetensors_entry entry = {.name = "x",
                                         .dtype = TTM_SAFETENSORS_U8,
                                         .rank = 1,
                                         .shape = shape,
                                         .source = supply,
                                         .user = &position};
    const char *path = scratch_path("x.safetensors");
    const ttm_safetensors_entry old = {
        .name = "old", .dtype = TTM_SAFETENSORS_F32, .rank = 2, .shape = shape_2x3, .data = floats};
    assert_int_equal(ttm_safetensors_write(path, &old, 1, NULL, 0), TTM_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
        bool refused = setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                       ttm_safetensors_write(path, &entry, 1, NULL, 0) == TTM_ERROR_IO;
        _exit(refused ? 0 : 1);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    ttm_safetensors *file = NULL;
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    assert_memory_equal(ttm_safetensors_at(file, 0)->data, floats, sizeof floats);
    ttm_safetensors_close(file);
    assert_int_equal(count_entries(scratch_folder), 1);
}

/** Converts binary16 by its definition. */
static double half_by_definition(unsigned stored)
{
    unsigned exponent = stored >> 10 & 31;
    double fraction = (double)(stored & 1023) / 1024;
    double magnitude = exponent == 0    ? ldexp(fraction, -14)
                       : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                        : ldexp(1 + fraction, (int)exponent - 15);
    return stored >> 15 ? -magnitude : magnitude;
}

static void every_16_bit_float_converts_exactly(void **state)
{
    (void)state;
    enum { ALL = 65536 };
    static uint16_t stored[ALL];
    static float halves[ALL];
    static float brains[ALL];
    const size_t shape[] = {ALL};
    for (unsigned value = 0; value < ALL; value++) {
        stored[value] = (uint16_t)value;
    }
    const ttm_safetensors_entry entries[] = {
        /* One byte in front, so that what follows isn't aligned. */
        {.name = "pad", .dtype = TTM_SAFETENSORS_U8, .data = "x"},
        {.name = "f16", .dtype = TTM_SAFETENSORS_F16, .rank = 1, .shape = shape, .data = stored},
        {.name = "bf16", .dtype = TTM_SAFETENSORS_BF16, .rank = 1, .shape = shape, .data = stored},
    };
    const char *path = scratch_path("x.safetensors");
    ttm_safetensors *file = NULL;
    assert_int_equal(ttm_safetensors_write(path, entries, 3, NULL, 0), TTM_OK);
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    const ttm_safetensors_tensor *tensor = ttm_safetensors_find(file, "f16");
    assert_int_equal(ttm_safetensors_read_f32(halves, file, tensor, 0, 1000), TTM_OK);
    assert_int_equal(ttm_safetensors_read_f32(halves + 1000, file, tensor, 1000, ALL - 1000),
                     TTM_OK);
    tensor = ttm_safetensors_find(file, "bf16");
    assert_int_equal(ttm_safetensors_read_f32(brains, file, tensor, 0, ALL), TTM_OK);
    ttm_safetensors_close(file);
    for (unsigned value = 0; value < ALL; value++) {
        double expected = half_by_definition(value);
        uint32_t bits = 0;
        memcpy(&bits, &brains[value], sizeof bits);
        assert_true(bits == value << 16);
        assert_true(isnan(expected) ? isnan(halves[value]) : halves[value] == expected);
        assert_true((signbit(halves[value]) != 0) == (value >> 15 != 0) || isnan(expected));
    }
}

static void reading_converts_or_refuses_by_type(void **state)
{
    (void)state;
    static const double doubles[6] = {0.1, -1e300, 1e-50, 3, NAN, 16777217};
    static const int32_t integers[6] = {0};
    const ttm_safetensors_entry entries[] = {
        {.name = "f32",
         .dtype = TTM_SAFETENSORS_F32,
         .rank = 2,
         .shape = shape_2x3,
         .data = floats},
        {.name = "f64",
         .dtype = TTM_SAFETENSORS_F64,
         .rank = 2,
         .shape = shape_2x3,
         .data = doubles},
        {.name = "i32",
         .dtype = TTM_SAFETENSORS_I32,
         .rank = 2,
         .shape = shape_2x3,
         .data = integers},
    };
    const char *path = scratch_path("x.safetensors");
    ttm_safetensors *file = NULL;
    float out[6];
    assert_int_equal(ttm_safetensors_write(path, entries, 3, NULL, 0), TTM_OK);
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    const ttm_safetensors_tensor *tensor = ttm_safetensors_find(file, "f32");
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 1, 5), TTM_OK);
    assert_memory_equal(out, floats + 1, 5 * sizeof *out);
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 1, 6), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 7, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_read(out, file, tensor, 20, 5), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_safetensors_read(out, file, tensor, SIZE_MAX, 1), TTM_ERROR_ARGUMENT);
    tensor = ttm_safetensors_find(file, "f64");
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 0, 6), TTM_OK);
    assert_true(out[0] == 0.1F && isinf(out[1]) && out[2] == 0 && out[3] == 3 && isnan(out[4]) &&
                out[5] == 16777216);
    tensor = ttm_safetensors_find(file, "i32");
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 0, 6), TTM_ERROR_DTYPE);
    assert_message_has("I32");
    assert_int_equal(truncate(path, 200), 0);
    tensor = ttm_safetensors_find(file, "f64");
    assert_int_equal(ttm_safetensors_read_f32(out, file, tensor, 0, 6), TTM_ERROR_IO);
    assert_message_has("shortened");
    ttm_safetensors_close(file);
}

static uint64_t hash_of_file(const ttm_safetensors_entry *entries, size_t count)
{
    const char *path = scratch_path("x.safetensors");
    ttm_safetensors *file = NULL;
    uint64_t hash = 0;
    assert_int_equal(ttm_safetensors_write(path, entries, count, NULL, 0), TTM_OK);
    assert_int_equal(ttm_safetensors_open(&file, path), TTM_OK);
    assert_int_equal(ttm_safetensors_hash(&hash, file), TTM_OK);
    ttm_safetensors_close(file);
    return hash;
}

static void the_hash_sees_every_change_but_order(void **state)
{
    (void)state;
    static const size_t shape_3x2[] = {3, 2};
    const ttm_safetensors_entry a = {
        .name = "a", .dtype = TTM_SAFETENSORS_F32, .rank = 2, .shape = shape_2x3, .data = floats};
    ttm_safetensors_entry b = a;
    b.name = "b";
    uint64_t hash = hash_of_file((ttm_safetensors_entry[]){a, b}, 2);
    assert_true(hash == hash_of_file((ttm_safetensors_entry[]){b, a}, 2));
    ttm_safetensors_entry changed = b;
    changed.name = "c";
    assert_true(hash != hash_of_file((ttm_safetensors_entry[]){a, changed}, 2));
    changed = b;
    changed.shape = shape_3x2;
    assert_true(hash != hash_of_file((ttm_safetensors_entry[]){a, changed}, 2));
    changed = b;
    changed.dtype = TTM_SAFETENSORS_I32;
    assert_true(hash != hash_of_file((ttm_safetensors_entry[]){a, changed}, 2));
    float data[6];
    memcpy(data, floats, sizeof data);
    data[4] = -0.0F;
    changed = b;
    changed.data = data;
    assert_true(hash != hash_of_file((ttm_safetensors_entry[]){a, changed}, 2));
    assert_true(hash != hash_of_file(&a, 1));
}

static void every_type_has_a_size_and_a_name(void **state)
{
    (void)state;
    for (int dtype = TTM_SAFETENSORS_BOOL; dtype <= TTM_SAFETENSORS_U64; dtype++) {
        size_t bytes = ttm_safetensors_dtype_bytes((ttm_safetensors_dtype)dtype);
        const char *name = ttm_safetensors_dtype_name((ttm_safetensors_dtype)dtype);
        assert_true(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
        const char *digits = strpbrk(name, "123468");
        assert_int_equal(digits == NULL ? 8 : atoi(digits), bytes * 8);
    }
    assert_int_equal(ttm_safetensors_dtype_bytes((ttm_safetensors_dtype)-1), 0);
    assert_string_equal(ttm_safetensors_dtype_name((ttm_safetensors_dtype)16), "none");
}

/** A tensor beyond 2 GB: its data is a hole in a sparse file, so that the test costs no disk. */
static void tensors_beyond_two_gigabytes_are_read(void **state)
{
    (void)state;
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[3,256,1048576],"
                                 "\"data_offsets\":[0,3221225472]}}";
    const char *path = scratch_path("big.safetensors");
    const uint64_t length = sizeof header - 1;
    const float last = 42;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(&length, sizeof length, 1, file), 1);
    assert_int_equal(fwrite(header, 1, length, file), length);
    if (fseek(file, (long)(8 + length + 3221225472 - sizeof last), SEEK_SET) != 0 ||
        fwrite(&last, sizeof last, 1, file) != 1 || fclose(file) != 0) {
        skip(); /* a file system without sparse files, and too small */
    }
    ttm_safetensors *opened = NULL;
    float value = 0;
    assert_int_equal(ttm_safetensors_open(&opened, path), TTM_OK);
    const ttm_safetensors_tensor *tensor = ttm_safetensors_find(opened, "x");
    assert_int_equal(tensor->count, 805306368);
    assert_int_equal(ttm_safetensors_read_f32(&value, opened, tensor, tensor->count - 1, 1),
                     TTM_OK);
    assert_true(value == 42);
    memcpy(&value, (const char *)tensor->data + tensor->bytes - 4, 4);
    assert_true(value == 42);
    ttm_safetensors_close(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(what_is_written_reads_back),
        scratch_test(metadata_may_name_another_format),
        scratch_test(a_source_supplies_a_tensor_piece_by_piece),
        scratch_test(a_failing_source_keeps_the_old_file),
        scratch_test(entries_that_fit_no_file_are_refused),
        scratch_test(a_size_limit_while_writing_keeps_the_old_file),
        scratch_test(every_16_bit_float_converts_exactly),
        scratch_test(reading_converts_or_refuses_by_type),
        scratch_test(the_hash_sees_every_change_but_order),
        cmocka_unit_test(every_type_has_a_size_and_a_name),
        scratch_test(tensors_beyond_two_gigabytes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
