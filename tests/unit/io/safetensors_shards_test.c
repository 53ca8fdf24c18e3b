/* Checkpoints in several files, and indexes that don't match them. */
#include "scratch_folder.h"

#include <ttm/safetensors.h>

static const size_t shape[] = {3};

/** Writes a file with tensors "NAME.0" and "NAME.1" of three bytes each. */
static void write_shard(const char *file_name, const char *name, int value)
{
    unsigned char data[2][3] = {{(unsigned char)value, 1, 2}, {(unsigned char)value, 3, 4}};
    char names[2][32];
    ttm_safetensors_entry entries[2];
    for (int index = 0; index < 2; index++) {
        snprintf(names[index], sizeof names[index], "%s.%d", name, index);
        entries[index] = (ttm_safetensors_entry){.name = names[index],
                                                 .dtype = TTM_SAFETENSORS_U8,
                                                 .rank = 1,
                                                 .shape = shape,
                                                 .data = data[index]};
    }
    assert_int_equal(ttm_safetensors_write(scratch_path(file_name), entries, 2, NULL, 0), TTM_OK);
}

static void write_index(const char *text)
{
    scratch_write(scratch_path("model.safetensors.index.json"), text, strlen(text));
}

static void assert_open_fails(ttm_status expected, const char *words)
{
    ttm_safetensors *file = NULL;
    ttm_status status = ttm_safetensors_open(&file, scratch_folder);
    if (status != expected) {
        fail_msg("status %d instead of %d for \"%s\": %s", status, expected, words,
                 ttm_error_message());
    }
    assert_null(file);
    assert_message_has(words);
}

static void a_folder_of_shards_opens_as_one(void **state)
{
    (void)state;
    ttm_safetensors *file = NULL;
    uint64_t sharded_hash = 0;
    uint64_t whole_hash = 0;
    write_shard("s1.safetensors", "b", 10);
    write_shard("s2.safetensors", "a", 20);
    write_index("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a.0\":\"s2.safetensors\","
                "\"b.0\":\"s1.safetensors\",\"a.1\":\"s2.safetensors\",\"b.1\":"
                "\"s1.safetensors\"}}");
    assert_int_equal(ttm_safetensors_open(&file, scratch_folder), TTM_OK);
    assert_int_equal(ttm_safetensors_count(file), 4);
    assert_string_equal(ttm_safetensors_at(file, 0)->name, "b.0");
    const ttm_safetensors_tensor *tensor = NULL;
    unsigned char bytes[3];
    assert_int_equal(ttm_safetensors_get(&tensor, file, "a.1"), TTM_OK);
    assert_memory_equal(tensor->data, "\24\3\4", 3);
    assert_int_equal(ttm_safetensors_read(bytes, file, tensor, 0, 3), TTM_OK);
    assert_memory_equal(bytes, "\24\3\4", 3);
    assert_string_equal(tensor->path, scratch_path("s2.safetensors"));
    assert_string_equal(ttm_safetensors_metadata(file, "format"), "pt");
    assert_int_equal(ttm_safetensors_hash(&sharded_hash, file), TTM_OK);
    ttm_safetensors_close(file);

    /* The same tensors in one file, which comes first in a folder, hash alike. */
    ttm_safetensors_entry entries[4];
    static const char *const names[] = {"a.1", "b.0", "b.1", "a.0"};
    static const unsigned char data[][3] = {{20, 3, 4}, {10, 1, 2}, {10, 3, 4}, {20, 1, 2}};
    for (int index = 0; index < 4; index++) {
        entries[index] = (ttm_safetensors_entry){.name = names[index],
                                                 .dtype = TTM_SAFETENSORS_U8,
                                                 .rank = 1,
                                                 .shape = shape,
                                                 .data = data[index]};
    }
    const char *path = scratch_path("model.safetensors");
    assert_int_equal(ttm_safetensors_write(path, entries, 4, NULL, 0), TTM_OK);
    assert_int_equal(ttm_safetensors_open(&file, scratch_folder), TTM_OK);
    assert_string_equal(ttm_safetensors_at(file, 0)->name, "a.1");
    assert_int_equal(ttm_safetensors_hash(&whole_hash, file), TTM_OK);
    assert_true(sharded_hash == whole_hash);
    ttm_safetensors_close(file);
    assert_int_equal(ttm_safetensors_open(&file, scratch_path("model.safetensors.index.json")),
                     TTM_OK);
    ttm_safetensors_close(file);
}

static void an_index_that_does_not_match_is_refused(void **state)
{
    (void)state;
    write_shard("s1.safetensors", "a", 1);
    write_shard("s2.safetensors", "a", 2);
    write_shard("s3.safetensors", "b", 3);
    write_index("{");
    assert_open_fails(TTM_ERROR_FORMAT, "line 1");
    write_index("{}");
    assert_open_fails(TTM_ERROR_FORMAT, "lacks the key \"weight_map\"");
    write_index("{\"weight_map\":{}}");
    assert_open_fails(TTM_ERROR_FORMAT, "names no tensors");
    write_index("{\"weight_map\":{\"a.0\":7}}");
    assert_open_fails(TTM_ERROR_FORMAT, "weight_map.a.0 must be a string");
    write_index("{\"weight_map\":{\"a.0\":\"s9.safetensors\"}}");
    assert_open_fails(TTM_ERROR_NOT_FOUND, "s9.safetensors");
    assert_message_has("a shard of");
    write_index("{\"weight_map\":{\"a.0\":\"s1.safetensors\",\"a.9\":\"s1.safetensors\"}}");
    assert_open_fails(TTM_ERROR_FORMAT, "weight_map.a.9 is in none of the shards");
    write_index("{\"weight_map\":{\"a.0\":\"s1.safetensors\",\"a.1\":\"s2.safetensors\"}}");
    assert_open_fails(TTM_ERROR_FORMAT, "is in two shards");
    write_index("{\"weight_map\":{\"a.0\":\"s1.safetensors\",\"b.0\":\"s3.safetensors\","
                "\"b.1\":\"s1.safetensors\"}}");
    assert_open_fails(TTM_ERROR_FORMAT, "weight_map.b.1 should be in \"s1.safetensors\"");
    scratch_write(scratch_path("s3.safetensors"), "x", 1);
    assert_open_fails(TTM_ERROR_FORMAT, "has 1 bytes");
}

static void shards_outside_the_folder_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"../s1.safetensors", "/etc/passwd", "a/b", "..", ".", ""};
    write_shard("s1.safetensors", "a", 1);
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        char text[128];
        snprintf(text, sizeof text, "{\"weight_map\":{\"a.0\":\"%s\"}}", names[index]);
        write_index(text);
        assert_open_fails(TTM_ERROR_FORMAT, "must be the name of a file in the folder");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_folder_of_shards_opens_as_one),
        scratch_test(an_index_that_does_not_match_is_refused),
        scratch_test(shards_outside_the_folder_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
