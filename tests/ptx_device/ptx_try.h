/* Small kernels for tests of the interpreter: a body becomes a module, which runs on the buffer
 * `words`.
 *
 * What a body finds: the buffer's address in %rd1, that of the item's own word in %rd2, the item's
 * number in %r1; `memory`, shared, as large as the trial says, its address in %r3, that of the
 * item's own word in %r2; %p1, whether it is in the first warp, %p2, whether it is the first item.
 * Registers are %p<10>, %rs<20>, %r<40>, %f<140>, %rd<30> and %fd<30>. */
#ifndef TESTS_PTX_DEVICE_PTX_TRY_H
#define TESTS_PTX_DEVICE_PTX_TRY_H

#include <stddef.h>
#include <stdint.h>

enum { TRY_MOST_WORDS = 16384, TRY_MESSAGE = 600 };

typedef struct ptx_trial {
    const char *version;        /* "8.0" */
    const char *target;         /* "sm_90a" */
    const char *data;           /* what the module has before the kernel; "" */
    const char *limits;         /* what it has between its parameters and its body; "" */
    uint32_t groups;            /* 1 */
    uint32_t group_rows;        /* 1; so many times the groups, in the second dimension */
    uint32_t items;             /* 64 */
    size_t shared_bytes;        /* 4096 */
    size_t word_count;          /* of `words`, that the kernel may use: 256 */
    uint64_t most_instructions; /* 0: the interpreter's own limit */
} ptx_trial;

extern ptx_trial trial;
extern uint32_t words[TRY_MOST_WORDS];
extern char message[TRY_MESSAGE];

/* cmocka's setup of a test: the trial is as said above. */
int try_setup(void **state);

/* Returns what ptx_run does; a text that can't be read is an error, too. */
int try_run(const char *body);

/* Asserts that the body runs, or that it is refused with these words. */
void passes(const char *body);
void is_refused(const char *body, const char *words_of_message);

/* The kernel's whole text; returns its length. */
size_t try_text(const char *body, char *text, size_t bytes);

uint32_t random_word(void);

#endif
