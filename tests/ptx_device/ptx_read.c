/* Modules and kernels of PTX text. */
#include "ptx_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ptx_special_names[PTX_SPECIAL_COUNT] = {
    "%tid.x",
    "%tid.y",
    "%tid.z",
    "%ntid.x",
    "%ntid.y",
    "%ntid.z",
    "%ctaid.x",
    "%ctaid.y",
    "%ctaid.z",
    "%nctaid.x",
    "%nctaid.y",
    "%nctaid.z",
    "%laneid",
    "%warpid",
    "%clusterid.x",
    "%clusterid.y",
    "%clusterid.z",
    "%nclusterid.x",
    "%nclusterid.y",
    "%nclusterid.z",
    "%cluster_ctaid.x",
    "%cluster_ctaid.y",
    "%cluster_ctaid.z",
    "%cluster_nctaid.x",
    "%cluster_nctaid.y",
    "%cluster_nctaid.z",
    "%cluster_ctarank",
    "%cluster_nctarank",
    "%is_explicit_cluster",
};

/* Of an item, as on GPUs of today. */
enum { MOST_LOCAL_BYTES = 512 * 1024 };

static char *copy_of_span(ptx_span span)
{
    char *copy = malloc(span.length + 1);
    if (copy != NULL) {
        memcpy(copy, span.begin, span.length);
        copy[span.length] = '\0';
    }
    return copy;
}

static size_t round_up(size_t bytes, size_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

static void add_name(ptx_reader *reader, ptx_span name, uint64_t value)
{
    reader->names = ptx_read_grow(reader, reader->names, reader->name_count, sizeof *reader->names);
    if (!reader->failed) {
        reader->names[reader->name_count++] = (ptx_name){.name = name, .value = value};
    }
}

/* The bytes of .b8 and so on, 0 for another word. */
static size_t bytes_of_element(ptx_span type)
{
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2},
                 {".s16", 2}, {".f16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4},
                 {".f32", 4}, {".b64", 8}, {".u64", 8}, {".s64", 8}, {".f64", 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (ptx_span_is(type, types[i].name)) {
            return types[i].bytes;
        }
    }
    return 0;
}

/* What follows the space in a declaration: [.ptr .space] [.align N] type name[count]. */
typedef struct variable {
    ptx_span name;
    ptx_parameter_kind kind;
    size_t alignment;
    size_t pointed; /* alignment of what it points to */
    size_t element;
    size_t bytes;
} variable;

static variable read_variable(ptx_reader *reader)
{
    variable read = {.kind = PTX_PARAMETER_VALUE, .pointed = 1};
    int is_pointer = 0;
    ptx_span word = ptx_read_word(reader);
    for (; word.length > 0 && word.begin[0] == '.'; word = ptx_read_word(reader)) {
        const size_t bytes = bytes_of_element(word);
        if (bytes != 0) {
            read.element = read.bytes = bytes;
        } else if (ptx_span_is(word, ".align")) {
            const size_t alignment = ptx_read_number(reader);
            if (alignment == 0 || alignment > 65536 || (alignment & (alignment - 1)) != 0) {
                ptx_read_fail(reader, "an alignment isn't a power of two");
                return read;
            }
            *(is_pointer ? &read.pointed : &read.alignment) = alignment;
        } else if (ptx_span_is(word, ".ptr")) {
            is_pointer = 1;
        } else if (ptx_span_is(word, ".global") || ptx_span_is(word, ".const")) {
            read.kind = PTX_PARAMETER_GLOBAL;
        } else if (ptx_span_is(word, ".shared")) {
            read.kind = PTX_PARAMETER_SHARED;
        } else {
            ptx_read_fail(reader, "'%.*s' isn't known here", (int)word.length, word.begin);
        }
    }
    read.name = word;
    if (ptx_read_if(reader, '[')) {
        const size_t count = ptx_read_number(reader);
        ptx_read_expected(reader, ']');
        if (count > (size_t)1 << 28) {
            ptx_read_fail(reader, "an array is too large");
            return read;
        }
        read.bytes = read.element * count;
    }
    read.alignment = read.alignment < read.element ? read.element : read.alignment;
    if (read.element == 0 || read.name.length == 0) {
        ptx_read_fail(reader, "a declaration without a type or a name");
        read.alignment = 1;
    }
    return read;
}

static void read_values(ptx_reader *reader, const variable *read, unsigned char *memory)
{
    ptx_read_expected(reader, '{');
    for (size_t at = 0; at + read->element <= read->bytes && !reader->failed; at += read->element) {
        const uint64_t value = ptx_read_number(reader);
        memcpy(memory + at, &value, read->element); /* little-endian */
        if (!ptx_read_if(reader, ',')) {
            break;
        }
    }
    ptx_read_expected(reader, '}');
}

/* A variable of the module: in memory, or one that each kernel has in its shared memory. */
static void read_data(ptx_reader *reader, int is_shared)
{
    const variable read = read_variable(reader);
    ptx_data *data = reader->failed ? NULL : calloc(1, sizeof *data);
    if (data == NULL) {
        ptx_read_fail(reader, "out of memory");
        return;
    }
    data->next = reader->module->data;
    reader->module->data = data;
    data->name = copy_of_span(read.name);
    data->bytes = read.bytes;
    data->alignment = read.alignment;
    if (!is_shared) {
        const size_t alignment = read.alignment < 64 ? 64 : read.alignment;
        data->memory = aligned_alloc(alignment, round_up(read.bytes + 1, alignment));
        if (data->memory != NULL) {
            memset(data->memory, 0, read.bytes);
        }
    }
    if (data->name == NULL || (!is_shared && data->memory == NULL)) {
        ptx_read_fail(reader, "out of memory");
        return;
    }
    if (ptx_read_if(reader, '=')) {
        if (is_shared) {
            ptx_read_fail(reader, "shared memory has no values to begin with");
            return;
        }
        read_values(reader, &read, data->memory);
    }
    ptx_read_expected(reader, ';');
}

static void read_parameters(ptx_reader *reader)
{
    ptx_kernel *kernel = reader->kernel;
    ptx_read_expected(reader, '(');
    while (!reader->failed && !ptx_read_if(reader, ')')) {
        const ptx_span word = ptx_read_word(reader);
        if (!ptx_span_is(word, ".param")) {
            ptx_read_fail(reader, ".param is missing");
            return;
        }
        const variable read = read_variable(reader);
        kernel->parameters = ptx_read_grow(reader, kernel->parameters, kernel->parameter_count,
                                           sizeof *kernel->parameters);
        if (reader->failed) {
            return;
        }
        const size_t offset = round_up(kernel->argument_bytes, read.alignment);
        kernel->parameters[kernel->parameter_count++] = (ptx_parameter){
            .kind = read.kind, .offset = offset, .bytes = read.bytes, .alignment = read.pointed};
        kernel->argument_bytes = offset + read.bytes;
        add_name(reader, read.name, offset);
        ptx_read_if(reader, ',');
    }
}

static void place_shared(ptx_reader *reader, ptx_span name, size_t bytes, size_t alignment)
{
    ptx_kernel *kernel = reader->kernel;
    kernel->shared_bytes = round_up(kernel->shared_bytes, alignment);
    add_name(reader, name, PTX_SHARED_BASE + kernel->shared_bytes);
    kernel->shared_bytes += bytes;
}

static void read_local_variable(ptx_reader *reader, int is_shared)
{
    ptx_kernel *kernel = reader->kernel;
    const variable read = read_variable(reader);
    ptx_read_expected(reader, ';');
    if (reader->failed) {
        return;
    }
    if (is_shared) {
        place_shared(reader, read.name, read.bytes, read.alignment);
    } else {
        kernel->local_bytes = round_up(kernel->local_bytes, read.alignment);
        add_name(reader, read.name, kernel->local_bytes);
        kernel->local_bytes += read.bytes;
        if (kernel->local_bytes > MOST_LOCAL_BYTES) {
            ptx_read_fail(reader, "an item's own memory is too large");
        }
    }
}

static void skip_statement(ptx_reader *reader)
{
    ptx_span operands[PTX_MOST_OPERANDS];
    ptx_read_operands(reader, operands);
}

/* .name within a kernel's body. */
static void read_directive(ptx_reader *reader, ptx_span word)
{
    if (ptx_span_is(word, ".reg")) {
        ptx_declare_registers(reader);
    } else if (ptx_span_is(word, ".shared") || ptx_span_is(word, ".local")) {
        read_local_variable(reader, ptx_span_is(word, ".shared"));
    } else if (ptx_span_is(word, ".pragma")) {
        skip_statement(reader);
    } else {
        ptx_read_fail(reader, "%.*s isn't known here", (int)word.length, word.begin);
    }
}

static ptx_instruction *add_instruction(ptx_reader *reader)
{
    ptx_kernel *kernel = reader->kernel;
    kernel->code = ptx_read_grow(reader, kernel->code, kernel->code_count, sizeof *kernel->code);
    if (reader->failed) {
        return NULL;
    }
    ptx_instruction *instruction = &kernel->code[kernel->code_count++];
    *instruction = (ptx_instruction){.line = reader->line, .guard = PTX_NONE, .text = reader->at};
    return instruction;
}

static void read_instruction(ptx_reader *reader, ptx_span word)
{
    ptx_instruction *instruction = add_instruction(reader);
    if (instruction == NULL) {
        return;
    }
    instruction->text = word.begin;
    if (word.begin[0] == '@') {
        instruction->guard_is_negated = word.length > 1 && word.begin[1] == '!';
        const size_t skipped = 1u + instruction->guard_is_negated;
        instruction->guard =
            ptx_operand_place(reader, (ptx_span){word.begin + skipped, word.length - skipped}, 4);
        word = ptx_read_word(reader);
    }
    ptx_span operands[PTX_MOST_OPERANDS];
    const int count = ptx_read_operands(reader, operands);
    if (!reader->failed) {
        ptx_decode(reader, word, operands, count, instruction);
    }
}

static void read_body(ptx_reader *reader)
{
    ptx_read_expected(reader, '{');
    reader->depth = 1;
    while (reader->depth > 0 && !reader->failed) {
        if (ptx_read_if(reader, '{')) {
            reader->depth++;
            continue;
        }
        if (ptx_read_if(reader, '}')) {
            ptx_close_labels(reader);
            ptx_forget_registers(reader, --reader->depth);
            continue;
        }
        const ptx_span word = ptx_read_word(reader);
        if (word.length == 0) {
            ptx_read_fail(reader, "a kernel has no end, or this is no statement");
        } else if (word.begin[word.length - 1] == ':') {
            ptx_add_label(reader, (ptx_span){word.begin, word.length - 1});
        } else if (word.begin[0] == '.') {
            read_directive(reader, word);
        } else {
            read_instruction(reader, word);
        }
    }
    if (reader->kernel->code_count == 0) {
        ptx_read_fail(reader, "a kernel has no instruction");
    }
    ptx_resolve_branches(reader);
}

/* Between parameters and body: how many items a group must or may have, and groups a cluster. */
static void read_limits(ptx_reader *reader)
{
    ptx_kernel *kernel = reader->kernel;
    for (ptx_read_blanks(reader); !reader->failed && reader->at < reader->end && *reader->at == '.';
         ptx_read_blanks(reader)) {
        const ptx_span word = ptx_read_word(reader);
        const int is_required = ptx_span_is(word, ".reqntid");
        const int is_cluster = ptx_span_is(word, ".reqnctapercluster");
        const int is_explicit = ptx_span_is(word, ".explicitcluster");
        if (is_cluster || is_explicit) {
            ptx_need_clusters(reader);
        }
        if (is_explicit) {
            kernel->is_explicit_cluster = 1;
            continue;
        }
        if (!is_required && !is_cluster && !ptx_span_is(word, ".maxntid") &&
            !ptx_span_is(word, ".minnctapersm") && !ptx_span_is(word, ".maxnreg")) {
            ptx_read_fail(reader, "%.*s isn't known here", (int)word.length, word.begin);
        }
        uint32_t numbers[3] = {1, 1, 1};
        int count = 0;
        do {
            numbers[count++] = (uint32_t)ptx_read_number(reader);
        } while (count < 3 && ptx_read_if(reader, ','));
        if (is_required || is_cluster) {
            memcpy(is_required ? kernel->required_items : kernel->required_cluster, numbers,
                   sizeof numbers);
        }
        if (is_cluster && (numbers[0] == 0 || numbers[1] == 0 || numbers[2] == 0)) {
            ptx_read_fail(reader, "a cluster without groups");
        }
    }
}

static void begin_kernel(ptx_reader *reader)
{
    ptx_module *module = reader->module;
    module->kernels =
        ptx_read_grow(reader, module->kernels, module->kernel_count, sizeof *module->kernels);
    if (reader->failed) {
        return;
    }
    ptx_kernel *kernel = &module->kernels[module->kernel_count++];
    *kernel = (ptx_kernel){.module = module};
    for (int i = 0; i < PTX_SPECIAL_COUNT; i++) {
        kernel->special[i] = PTX_NONE;
    }
    reader->kernel = kernel;
    reader->range_count = reader->name_count = reader->label_count = reader->branch_count = 0;
    kernel->name = copy_of_span(ptx_read_word(reader));
    if (kernel->name == NULL) {
        ptx_read_fail(reader, "out of memory");
        return;
    }
    for (const ptx_data *data = module->data; data != NULL; data = data->next) {
        if (data->memory == NULL) {
            place_shared(reader, (ptx_span){data->name, strlen(data->name)}, data->bytes,
                         data->alignment);
        }
    }
}

/* A function isn't called by kernels: the compiler puts all that it has a text for where it is
 * used. */
static void skip_function(ptx_reader *reader)
{
    int depth = 0;
    for (int is_over = 0; !is_over && reader->at < reader->end; ptx_read_blanks(reader)) {
        const char c = *reader->at++;
        depth += c == '{' || c == '(';
        depth -= c == '}' || c == ')';
        is_over = depth == 0 && (c == '}' || c == ';');
        reader->line += c == '\n';
    }
}

/* 8.3, as 83. */
static void read_version(ptx_reader *reader)
{
    const ptx_span word = ptx_read_word(reader);
    int number = 0;
    for (size_t at = 0; at < word.length && number < 1000; at++) {
        if (word.begin[at] >= '0' && word.begin[at] <= '9') {
            number = 10 * number + word.begin[at] - '0';
        }
    }
    if (word.length != 3 || word.begin[1] != '.' || number < 10) {
        ptx_read_fail(reader, "a version that isn't known");
    }
    reader->module->version = number;
}

/* sm_90, or sm_90a. */
static void read_target(ptx_reader *reader)
{
    const ptx_span word = ptx_read_word(reader);
    size_t at = 3;
    int number = 0;
    for (; at < word.length && number < 1000 && word.begin[at] >= '0' && word.begin[at] <= '9';
         at++) {
        number = 10 * number + word.begin[at] - '0';
    }
    const int is_specific = at + 1 == word.length && word.begin[at] == 'a';
    if (!ptx_span_begins(word, "sm_") || number == 0 || at + is_specific != word.length) {
        ptx_read_fail(reader, "a target that isn't known");
        return;
    }
    reader->module->target = number;
    reader->module->is_specific = is_specific;
    if (ptx_read_if(reader, ',')) {
        ptx_read_word(reader); /* texmode_independent */
    }
}

static void read_module(ptx_reader *reader)
{
    for (ptx_read_blanks(reader); reader->at < reader->end && !reader->failed;
         ptx_read_blanks(reader)) {
        const ptx_span word = ptx_read_word(reader);
        if (ptx_span_is(word, ".visible") || ptx_span_is(word, ".weak")) {
            continue;
        }
        if (ptx_span_is(word, ".address_size")) {
            ptx_read_word(reader);
        } else if (ptx_span_is(word, ".version")) {
            read_version(reader);
        } else if (ptx_span_is(word, ".target")) {
            read_target(reader);
        } else if (ptx_span_is(word, ".func") || ptx_span_is(word, ".extern")) {
            skip_function(reader);
        } else if (ptx_span_is(word, ".const") || ptx_span_is(word, ".global") ||
                   ptx_span_is(word, ".shared")) {
            read_data(reader, ptx_span_is(word, ".shared"));
        } else if (ptx_span_is(word, ".entry")) {
            begin_kernel(reader);
            read_parameters(reader);
            read_limits(reader);
            read_body(reader);
        } else {
            ptx_read_fail(reader, "'%.*s' isn't known here",
                          (int)(word.length < 40 ? word.length : 40), word.begin);
        }
    }
}

ptx_module *ptx_module_new(const char *text, size_t bytes, char *message, size_t message_bytes)
{
    ptx_module *module = calloc(1, sizeof *module);
    char *copy = malloc(bytes + 2);
    if (module == NULL || copy == NULL) {
        snprintf(message, message_bytes, "out of memory");
        free(module);
        free(copy);
        return NULL;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = copy[bytes + 1] = '\0';
    module->text = copy;
    ptx_reader reader = {.at = copy,
                         .end = copy + strlen(copy),
                         .line = 1,
                         .module = module,
                         .message = message,
                         .message_bytes = message_bytes};
    read_module(&reader);
    free(reader.ranges);
    free(reader.names);
    free(reader.labels);
    free(reader.branches);
    if (reader.failed) {
        ptx_module_free(module);
        return NULL;
    }
    return module;
}

static void free_kernel(ptx_kernel *kernel)
{
    for (int i = 0; i < kernel->list_count; i++) {
        free(kernel->lists[i]);
    }
    free(kernel->lists);
    free(kernel->name);
    free(kernel->parameters);
    free(kernel->code);
    free(kernel->constants);
}

void ptx_module_free(ptx_module *module)
{
    if (module == NULL) {
        return;
    }
    for (int i = 0; i < module->kernel_count; i++) {
        free_kernel(&module->kernels[i]);
    }
    while (module->data != NULL) {
        ptx_data *old = module->data;
        module->data = old->next;
        free(old->name);
        free(old->memory);
        free(old);
    }
    free(module->kernels);
    free(module->text);
    free(module);
}

int ptx_module_target(const ptx_module *module, int *is_specific)
{
    *is_specific = module->is_specific;
    return module->target;
}

int ptx_module_kernel_count(const ptx_module *module)
{
    return module->kernel_count;
}

const ptx_kernel *ptx_module_kernel(const ptx_module *module, int index)
{
    return &module->kernels[index];
}

const char *ptx_kernel_name(const ptx_kernel *kernel)
{
    return kernel->name;
}

int ptx_kernel_parameter_count(const ptx_kernel *kernel)
{
    return kernel->parameter_count;
}

const ptx_parameter *ptx_kernel_parameter(const ptx_kernel *kernel, int index)
{
    return &kernel->parameters[index];
}

size_t ptx_kernel_argument_bytes(const ptx_kernel *kernel)
{
    return kernel->argument_bytes;
}

size_t ptx_kernel_shared_bytes(const ptx_kernel *kernel)
{
    return kernel->shared_bytes;
}

void ptx_kernel_required_items(const ptx_kernel *kernel, uint32_t items[3])
{
    memcpy(items, kernel->required_items, sizeof kernel->required_items);
}
