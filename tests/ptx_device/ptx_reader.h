/* Reading PTX: what the parts of the reader share. */
#ifndef TESTS_PTX_DEVICE_PTX_READER_H
#define TESTS_PTX_DEVICE_PTX_READER_H

#include "ptx_machine.h"

enum { PTX_MOST_OPERANDS = 16 };

/* A piece of the module's text. */
typedef struct ptx_span {
    const char *begin;
    size_t length;
} ptx_span;

/* Registers declared together: %r<45> has 45 whose names end with their numbers, p is alone. */
typedef struct ptx_range {
    ptx_span prefix;
    int count; /* -1: one, without a number */
    uint32_t bytes;
    uint32_t place;
    int depth; /* of the block that declares it */
} ptx_range;

/* A name of the kernel: a parameter, a variable in shared memory or of an item's own. */
typedef struct ptx_name {
    ptx_span name;
    uint64_t value;
} ptx_name;

typedef struct ptx_label {
    ptx_span name;
    int at;    /* the instruction that follows */
    int depth; /* of the block that it stands in */
} ptx_label;

typedef struct ptx_branch {
    ptx_span label;
    int at;     /* the branch itself */
    int depth;  /* of the innermost block whose labels haven't been looked through */
    int target; /* -1 as long as none was found */
} ptx_branch;

typedef struct ptx_reader {
    const char *at;
    const char *end;
    int line;
    int depth;
    int failed;
    char *message;
    size_t message_bytes;
    ptx_module *module;
    ptx_kernel *kernel;
    ptx_range *ranges;
    int range_count;
    ptx_name *names;
    int name_count;
    ptx_label *labels;
    int label_count;
    ptx_branch *branches;
    int branch_count;
} ptx_reader;

/* Ends the reading with what is wrong at this line; the first word counts. */
void ptx_read_fail(ptx_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fails where the module's target has no clusters. */
void ptx_need_clusters(ptx_reader *reader);

/* Makes room for one more element; returns the array's new place, or the old one, having failed. */
void *ptx_read_grow(ptx_reader *reader, void *array, int count, size_t element_bytes);

int ptx_span_is(ptx_span span, const char *text);
int ptx_span_begins(ptx_span span, const char *text);
/* Takes ".text" off the beginning of what is left of a name. */
int ptx_span_takes(ptx_span *rest, const char *text);
/* Where it has the text first, or NULL. */
const char *ptx_span_find(ptx_span span, const char *text);

/* Blanks and comments are passed. A word ends at a blank or at one of ,;{}[]()<>= */
void ptx_read_blanks(ptx_reader *reader);
ptx_span ptx_read_word(ptx_reader *reader);
/* Whether this character comes next; it is passed then. */
int ptx_read_if(ptx_reader *reader, char character);
void ptx_read_expected(ptx_reader *reader, char character);
uint64_t ptx_read_number(ptx_reader *reader);

/* A statement's operands up to its ';'. Braces and brackets stay together. */
int ptx_read_operands(ptx_reader *reader, ptx_span operands[PTX_MOST_OPERANDS]);

/* The place of a register, a special register or a constant that is used as a number of `bytes` (4
 * or 8). */
uint32_t ptx_operand_place(ptx_reader *reader, ptx_span operand, uint32_t bytes);
/* The places of {a, b, …}, or of one register, `bytes` each, put behind each other into `places`
 * from `*count` on. "_" is PTX_NONE. */
void ptx_operand_list(ptx_reader *reader, ptx_span operand, uint32_t bytes, uint32_t *places,
                      int *count, int most);
/* The bytes of a register, of a vector's first one or of an address's; 0 for what isn't one. */
uint32_t ptx_register_bytes(ptx_reader *reader, ptx_span operand);
/* The bytes of an address's register: 4 for one of 32 bits, else 8. */
uint32_t ptx_address_bytes(ptx_reader *reader, ptx_span operand);
/* [register + number] or [name + number]: the register, or PTX_NONE with the name's value in the
 * number. */
void ptx_operand_address(ptx_reader *reader, ptx_span operand, uint32_t bytes, uint32_t *place,
                         int64_t *number);
/* [register], without a number added: its place; `bytes` is its size. */
uint32_t ptx_operand_register_address(ptx_reader *reader, ptx_span operand, uint8_t *bytes);
/* A number that is part of the instruction. */
int64_t ptx_operand_number(ptx_reader *reader, ptx_span operand);

/* Declares registers. */
void ptx_declare_registers(ptx_reader *reader);
void ptx_forget_registers(ptx_reader *reader, int depth);

/* A label at this place, and a branch to one that may come later. */
void ptx_add_label(ptx_reader *reader, ptx_span name);
void ptx_add_branch(ptx_reader *reader, ptx_span label, const ptx_instruction *instruction);
/* The block of depth reader->depth ends: its branches find its labels, which nobody sees from now
 * on. */
void ptx_close_labels(ptx_reader *reader);
/* The kernel ends: fails where a branch has found no label. */
void ptx_resolve_branches(ptx_reader *reader);

/* An instruction of this name; fails where it isn't known. */
void ptx_decode(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                ptx_instruction *instruction);

#endif
