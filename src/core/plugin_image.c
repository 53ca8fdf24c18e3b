/* Reads the ELF header and the program headers, whose layout is that of the System V ABI. */
#include "core/plugin_image.h"

#include "core/checked.h"
#include "core/error.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PROGRAM_HEADERS = 64 };

static bool read_exactly(int file, void *target, size_t bytes, off_t offset)
{
    ssize_t got = 0;
    do {
        got = pread(file, target, bytes, offset);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)bytes;
}

static ttm_status check_header(const ElfW(Ehdr) * header)
{
    static const ElfW(Half) own_machine =
#if defined(__x86_64__)
        EM_X86_64;
#elif defined(__aarch64__)
        EM_AARCH64;
#elif defined(__riscv)
        EM_RISCV;
#elif defined(__powerpc64__)
        EM_PPC64;
#else
        EM_NONE; /* the linker's own check has to do */
#endif
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        return ttm_fail(TTM_ERROR_PLUGIN, "it isn't a shared object (no ELF header)");
    }
    const int own_class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    if (header->e_ident[EI_CLASS] != own_class ||
        (own_machine != EM_NONE && header->e_machine != own_machine)) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "it is built for another processor (ELF machine %u, here %u)",
                        header->e_machine, own_machine);
    }
    if (header->e_type != ET_DYN) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "it is an ELF file of type %u, not a shared object: link it with -shared",
                        header->e_type);
    }
    if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 ||
        header->e_phnum > MAX_PROGRAM_HEADERS) {
        return ttm_fail(TTM_ERROR_PLUGIN, "its ELF header is damaged (%u program headers)",
                        header->e_phnum);
    }
    return TTM_OK;
}

static ttm_status check_segments(const ElfW(Phdr) * segments, size_t count, size_t file_bytes)
{
    for (size_t k = 0; k < count; k++) {
        size_t end = 0;
        const bool whole =
            ttm_checked_add(&end, segments[k].p_offset, segments[k].p_filesz) && end <= file_bytes;
        if (segments[k].p_type == PT_LOAD && !whole) {
            return ttm_fail(TTM_ERROR_PLUGIN,
                            "it is cut off after %zu bytes (segment %zu needs %llu at %llu): "
                            "install it again",
                            file_bytes, k, (unsigned long long)segments[k].p_filesz,
                            (unsigned long long)segments[k].p_offset);
        }
    }
    return TTM_OK;
}

ttm_status ttm_plugin_image_check(const char *path)
{
    ttm_status status = TTM_OK;
    struct stat information = {0};
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[MAX_PROGRAM_HEADERS];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &information) != 0) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "it can't be read: %s", strerror(errno));
        goto out;
    }
    if (information.st_size == 0) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "it is empty");
        goto out;
    }
    memset(&header, 0, sizeof header);
    if (!read_exactly(file, &header, sizeof header, 0)) {
        /* Shorter than a header: what is there decides between a text file and a cut-off plugin. */
        char start[SELFMAG] = {0};
        const bool elf =
            read_exactly(file, start, sizeof start, 0) && memcmp(start, ELFMAG, SELFMAG) == 0;
        status =
            elf ? ttm_fail(TTM_ERROR_PLUGIN, "it is cut off after %lld bytes: install it again",
                           (long long)information.st_size)
                : ttm_fail(TTM_ERROR_PLUGIN, "it isn't a shared object (no ELF header)");
        goto out;
    }
    TTM_TRY_OUT(check_header(&header));
    if (!read_exactly(file, segments, header.e_phnum * sizeof segments[0], (off_t)header.e_phoff)) {
        status = ttm_fail(TTM_ERROR_PLUGIN,
                          "it is cut off after %lld bytes (its program headers are missing): "
                          "install it again",
                          (long long)information.st_size);
        goto out;
    }
    status = check_segments(segments, header.e_phnum, (size_t)information.st_size);
out:
    if (file >= 0) {
        close(file);
    }
    return status;
}
