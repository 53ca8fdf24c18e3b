/* Finds out which kind of vocabulary a name stands for and has it read. */
#include "text/tokenizer.h"

#include "core/error.h"
#include "io/io_error.h"
#include "io/mapped_file.h"
#include "io/string_builder.h"
#include "text/vocabulary_files.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/** Reads NAMEvocab.json and NAMEmerges.txt, of which `path` is either; `end` is what it ends in. */
static ttm_status read_pair(ttm_vocabulary *vocabulary, const char *path, const char *end)
{
    int stem = (int)(strlen(path) - strlen(end));
    ttm_string vocab_path = {0};
    ttm_string merges_path = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_string_append_format(&vocab_path, "%.*svocab.json", stem, path));
    TTM_TRY_OUT(ttm_string_append_format(&merges_path, "%.*smerges.txt", stem, path));
    status = ttm_vocabulary_read_pair(vocabulary, vocab_path.text, merges_path.text);
    if (status == TTM_ERROR_NOT_FOUND) {
        status = ttm_fail_context(status, "vocab.json and merges.txt are needed together");
    }
out:
    ttm_string_free(&vocab_path);
    ttm_string_free(&merges_path);
    return status;
}

/** Reads a file whose name says nothing. JSON with a "model" is a tokenizer.json. */
static ttm_status read_by_content(ttm_vocabulary *vocabulary, const char *path)
{
    ttm_mapped_file file = {0};
    TTM_TRY(ttm_mapped_file_open(&file, path));
    size_t start = 0;
    while (start < file.size && strchr(" \t\r\n", file.data[start]) != NULL &&
           file.data[start] != '\0') {
        start++;
    }
    unsigned char first = start < file.size ? file.data[start] : '\0';
    ttm_mapped_file_close(&file);
    if (first == '{') {
        return ttm_vocabulary_read_tokenizer_json(vocabulary, path);
    }
    if (first == '\0') {
        return ttm_fail(TTM_ERROR_FORMAT, "'%s' is no vocabulary: it is empty or binary", path);
    }
    return ttm_vocabulary_read_tiktoken(vocabulary, path);
}

static ttm_status read_file(ttm_vocabulary *vocabulary, const char *path)
{
    if (ends_in(path, "vocab.json")) {
        return read_pair(vocabulary, path, "vocab.json");
    }
    if (ends_in(path, "merges.txt")) {
        return read_pair(vocabulary, path, "merges.txt");
    }
    if (ends_in(path, ".tiktoken")) {
        return ttm_vocabulary_read_tiktoken(vocabulary, path);
    }
    return read_by_content(vocabulary, path);
}

/** *found = the path of the one .tiktoken file in a folder, or NULL when there is none; the caller
 * frees it. */
static ttm_status find_tiktoken(char **found, const char *folder)
{
    *found = NULL;
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        return ttm_io_fail("list", folder, errno);
    }
    ttm_status status = TTM_OK;
    ttm_string path = {0};
    for (struct dirent *item = readdir(listing); item != NULL; item = readdir(listing)) {
        if (!ends_in(item->d_name, ".tiktoken")) {
            continue;
        }
        if (path.text != NULL) {
            status =
                ttm_fail(TTM_ERROR_ARGUMENT,
                         "there are several .tiktoken files in '%s': name one of them", folder);
            goto out;
        }
        TTM_TRY_OUT(ttm_string_append_format(&path, "%s/%s", folder, item->d_name));
    }
    *found = path.text;
    path.text = NULL;
out:
    ttm_string_free(&path);
    closedir(listing);
    return status;
}

static ttm_status read_folder(ttm_vocabulary *vocabulary, const char *folder)
{
    ttm_string path = {0};
    char *tiktoken = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_string_append_format(&path, "%s/tokenizer.json", folder));
    if (access(path.text, F_OK) == 0) {
        status = ttm_vocabulary_read_tokenizer_json(vocabulary, path.text);
        goto out;
    }
    ttm_string_clear(&path);
    TTM_TRY_OUT(ttm_string_append_format(&path, "%s/vocab.json", folder));
    if (access(path.text, F_OK) == 0) {
        status = read_pair(vocabulary, path.text, "vocab.json");
        goto out;
    }
    TTM_TRY_OUT(find_tiktoken(&tiktoken, folder));
    if (tiktoken == NULL) {
        status = ttm_fail(TTM_ERROR_NOT_FOUND,
                          "there is no tokenizer in the folder '%s': neither tokenizer.json, nor "
                          "vocab.json with merges.txt, nor a .tiktoken file",
                          folder);
        goto out;
    }
    status = ttm_vocabulary_read_tiktoken(vocabulary, tiktoken);
out:
    free(tiktoken);
    ttm_string_free(&path);
    return status;
}

ttm_status ttm_tokenizer_open(ttm_tokenizer **out, const char *source)
{
    *out = NULL;
    if (source == NULL || source[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "no tokenizer given: use bytes, or the path of a vocabulary");
    }
    ttm_vocabulary vocabulary;
    ttm_vocabulary_begin(&vocabulary);
    ttm_status status = TTM_OK;
    struct stat information;
    if (strcmp(source, "bytes") == 0) {
        status = ttm_vocabulary_make_bytes(&vocabulary);
    } else if (stat(source, &information) != 0) {
        status = ttm_io_fail("open the tokenizer", source, errno);
    } else if (S_ISDIR(information.st_mode)) {
        status = read_folder(&vocabulary, source);
    } else {
        status = read_file(&vocabulary, source);
    }
    if (status != TTM_OK) {
        ttm_vocabulary_free(&vocabulary);
        return status;
    }
    return ttm_tokenizer_from_vocabulary(out, &vocabulary);
}
