/* Words, numbers and operands of PTX text. */
#include "ptx_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a warp: far more than compilers use. Their places stay numbers of 32 bits. */
enum { MOST_REGISTER_BYTES = 1 << 25, MOST_DIGITS = 9 };

void ptx_read_fail(ptx_reader *reader, const char *format, ...)
{
    if (reader->failed) {
        return;
    }
    reader->failed = 1;
    int length = snprintf(reader->message, reader->message_bytes, "PTX, line %d: ", reader->line);
    if (length >= 0 && (size_t)length < reader->message_bytes) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reader->message + length, reader->message_bytes - (size_t)length, format,
                  arguments);
        va_end(arguments);
    }
}

void ptx_need_clusters(ptx_reader *reader)
{
    if (reader->module->target < 90) {
        ptx_read_fail(reader, "clusters need the target sm_90");
    }
}

void *ptx_read_grow(ptx_reader *reader, void *array, int count, size_t element_bytes)
{
    if (count != 0 && (count < 8 || (count & (count - 1)) != 0)) {
        return array;
    }
    void *grown = realloc(array, (count == 0 ? 8 : 2 * (size_t)count) * element_bytes);
    if (grown == NULL) {
        ptx_read_fail(reader, "out of memory");
        return array;
    }
    return grown;
}

int ptx_span_is(ptx_span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.begin, text, span.length) == 0;
}

int ptx_span_begins(ptx_span span, const char *text)
{
    const size_t length = strlen(text);
    return span.length >= length && memcmp(span.begin, text, length) == 0;
}

int ptx_span_takes(ptx_span *rest, const char *text)
{
    const size_t length = strlen(text);
    if (!ptx_span_begins(*rest, text) || (rest->length > length && rest->begin[length] != '.')) {
        return 0;
    }
    rest->begin += length;
    rest->length -= length;
    return 1;
}

const char *ptx_span_find(ptx_span span, const char *text)
{
    for (ptx_span rest = span; rest.length > 0; rest.begin++, rest.length--) {
        if (ptx_span_begins(rest, text)) {
            return rest.begin;
        }
    }
    return NULL;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void ptx_read_blanks(ptx_reader *reader)
{
    while (reader->at < reader->end) {
        if (reader->at[0] == '/' && reader->at[1] == '/') {
            while (reader->at < reader->end && *reader->at != '\n') {
                reader->at++;
            }
        } else if (is_blank(*reader->at)) {
            reader->line += *reader->at == '\n';
            reader->at++;
        } else {
            return;
        }
    }
}

ptx_span ptx_read_word(ptx_reader *reader)
{
    ptx_read_blanks(reader);
    ptx_span word = {.begin = reader->at, .length = 0};
    while (reader->at < reader->end && !is_blank(*reader->at) &&
           strchr(",;{}[]()<>=", *reader->at) == NULL) {
        reader->at++;
    }
    word.length = (size_t)(reader->at - word.begin);
    return word;
}

int ptx_read_if(ptx_reader *reader, char character)
{
    ptx_read_blanks(reader);
    if (reader->at >= reader->end || *reader->at != character) {
        return 0;
    }
    reader->at++;
    return 1;
}

void ptx_read_expected(ptx_reader *reader, char character)
{
    if (!ptx_read_if(reader, character)) {
        ptx_read_fail(reader, "'%c' is missing", character);
    }
}

/* Decimal and hexadecimal numbers, and 0fXXXXXXXX and 0dX…, the bits of an f32 and an f64. Returns
 * whether it is one. */
static int parse_number(ptx_span word, uint64_t *value)
{
    char text[40];
    if (word.length == 0 || word.length >= sizeof text) {
        return 0;
    }
    memcpy(text, word.begin, word.length);
    text[word.length] = '\0';
    char *rest = NULL;
    if (text[0] == '0' && (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D')) {
        *value = strtoull(text + 2, &rest, 16);
    } else if (text[0] == '-') {
        *value = (uint64_t)strtoll(text, &rest, 0);
    } else if (text[0] >= '0' && text[0] <= '9') {
        *value = strtoull(text, &rest, 0);
    }
    return rest != NULL && (*rest == '\0' || (*rest == 'U' && rest[1] == '\0'));
}

uint64_t ptx_read_number(ptx_reader *reader)
{
    uint64_t value = 0;
    if (!parse_number(ptx_read_word(reader), &value)) {
        ptx_read_fail(reader, "a number is missing");
    }
    return value;
}

int ptx_read_operands(ptx_reader *reader, ptx_span operands[PTX_MOST_OPERANDS])
{
    int count = 0;
    while (!ptx_read_if(reader, ';')) {
        if (count == PTX_MOST_OPERANDS || reader->at >= reader->end) {
            ptx_read_fail(reader, "this statement has no end, or too many operands");
            return 0;
        }
        ptx_span *operand = &operands[count++];
        operand->begin = reader->at;
        int depth = 0;
        while (reader->at < reader->end &&
               (depth > 0 || (*reader->at != ',' && *reader->at != ';'))) {
            depth += *reader->at == '{' || *reader->at == '[';
            depth -= *reader->at == '}' || *reader->at == ']';
            reader->line += *reader->at == '\n';
            reader->at++;
        }
        operand->length = (size_t)(reader->at - operand->begin);
        while (operand->length > 0 && is_blank(operand->begin[operand->length - 1])) {
            operand->length--;
        }
        ptx_read_if(reader, ',');
    }
    return count;
}

/* A range's register of this name; PTX_NONE if it has none. */
static uint32_t place_in_range(const ptx_range *range, ptx_span name)
{
    if (name.length < range->prefix.length ||
        memcmp(name.begin, range->prefix.begin, range->prefix.length) != 0) {
        return PTX_NONE;
    }
    if (range->count < 0) {
        return name.length == range->prefix.length ? range->place : PTX_NONE;
    }
    const ptx_span digits = {.begin = name.begin + range->prefix.length,
                             .length = name.length - range->prefix.length};
    uint64_t number = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.begin[i] < '0' || digits.begin[i] > '9') {
            return PTX_NONE;
        }
        number = 10 * number + (uint64_t)(digits.begin[i] - '0');
    }
    if (digits.length == 0 || digits.length > MOST_DIGITS || number >= (uint64_t)range->count) {
        return PTX_NONE;
    }
    return range->place + (uint32_t)number * range->bytes * PTX_LANES;
}

static uint32_t new_place(ptx_reader *reader, uint32_t bytes)
{
    const uint32_t place = (uint32_t)reader->kernel->register_bytes;
    reader->kernel->register_bytes += (size_t)bytes * PTX_LANES;
    return place;
}

static uint32_t constant_place(ptx_reader *reader, uint64_t value, uint32_t bytes)
{
    ptx_kernel *kernel = reader->kernel;
    for (int i = 0; i < kernel->constant_count; i++) {
        if (kernel->constants[i].value == value && kernel->constants[i].bytes == bytes) {
            return kernel->constants[i].place;
        }
    }
    kernel->constants =
        ptx_read_grow(reader, kernel->constants, kernel->constant_count, sizeof *kernel->constants);
    if (reader->failed) {
        return 0;
    }
    const ptx_constant made = {.value = value, .place = new_place(reader, bytes), .bytes = bytes};
    kernel->constants[kernel->constant_count++] = made;
    return made.place;
}

/* The place of %tid.x and the like; PTX_NONE for another name. */
static uint32_t special_place(ptx_reader *reader, ptx_span name)
{
    for (int i = 0; i < PTX_SPECIAL_COUNT; i++) {
        if (ptx_span_is(name, ptx_special_names[i])) {
            if (i >= PTX_CLUSTER_SPECIALS) {
                ptx_need_clusters(reader);
            }
            if (reader->kernel->special[i] == PTX_NONE) {
                reader->kernel->special[i] = new_place(reader, 4);
            }
            return reader->kernel->special[i];
        }
    }
    return PTX_NONE;
}

/* The value of a variable's name, or of a number. */
static int find_value(ptx_reader *reader, ptx_span word, uint64_t *value)
{
    for (int i = 0; i < reader->name_count; i++) {
        const ptx_span name = reader->names[i].name;
        if (name.length == word.length && memcmp(name.begin, word.begin, word.length) == 0) {
            *value = reader->names[i].value;
            return 1;
        }
    }
    for (const ptx_data *data = reader->module->data; data != NULL; data = data->next) {
        if (ptx_span_is(word, data->name)) {
            *value = (uint64_t)(uintptr_t)data->memory;
            return data->memory != NULL;
        }
    }
    return parse_number(word, value);
}

static uint32_t register_place(ptx_reader *reader, ptx_span name, uint32_t bytes)
{
    for (int i = reader->range_count - 1; i >= 0; i--) {
        const uint32_t place = place_in_range(&reader->ranges[i], name);
        if (place != PTX_NONE) {
            if (reader->ranges[i].bytes != bytes) {
                ptx_read_fail(reader, "%.*s has not the size that its instruction says",
                              (int)name.length, name.begin);
            }
            return place;
        }
    }
    return PTX_NONE;
}

uint32_t ptx_operand_place(ptx_reader *reader, ptx_span operand, uint32_t bytes)
{
    uint32_t place = register_place(reader, operand, bytes);
    if (place == PTX_NONE && bytes == 4) {
        place = special_place(reader, operand);
    }
    uint64_t value = 0;
    if (place == PTX_NONE && find_value(reader, operand, &value)) {
        place = constant_place(reader, bytes == 4 ? (uint32_t)value : value, bytes);
    }
    if (place == PTX_NONE) {
        ptx_read_fail(reader, "'%.*s' is no operand that is known", (int)operand.length,
                      operand.begin);
        return 0;
    }
    return place;
}

void ptx_operand_list(ptx_reader *reader, ptx_span operand, uint32_t bytes, uint32_t *places,
                      int *count, int most)
{
    const int is_vector = operand.length > 0 && operand.begin[0] == '{';
    ptx_reader inside = *reader;
    inside.at = operand.begin + is_vector;
    inside.end = operand.begin + operand.length - is_vector;
    do {
        const ptx_span word = ptx_read_word(&inside);
        if (*count == most) {
            ptx_read_fail(reader, "too many registers");
            return;
        }
        places[(*count)++] =
            ptx_span_is(word, "_") ? PTX_NONE : ptx_operand_place(reader, word, bytes);
    } while (ptx_read_if(&inside, ',') && !reader->failed);
}

uint32_t ptx_register_bytes(ptx_reader *reader, ptx_span operand)
{
    ptx_reader inside = *reader;
    const int skipped = operand.length > 0 && (operand.begin[0] == '{' || operand.begin[0] == '[');
    inside.at = operand.begin + skipped;
    inside.end = operand.begin + operand.length;
    ptx_span name = ptx_read_word(&inside);
    const char *plus = memchr(name.begin, '+', name.length);
    name.length = plus != NULL ? (size_t)(plus - name.begin) : name.length;
    for (int i = reader->range_count - 1; i >= 0; i--) {
        if (place_in_range(&reader->ranges[i], name) != PTX_NONE) {
            return reader->ranges[i].bytes;
        }
    }
    return 0;
}

uint32_t ptx_address_bytes(ptx_reader *reader, ptx_span operand)
{
    return ptx_register_bytes(reader, operand) == 4 ? 4 : 8;
}

void ptx_operand_address(ptx_reader *reader, ptx_span operand, uint32_t bytes, uint32_t *place,
                         int64_t *number)
{
    *place = PTX_NONE;
    *number = 0;
    if (operand.length < 3 || operand.begin[0] != '[') {
        ptx_read_fail(reader, "an address is missing");
        return;
    }
    ptx_span inside = {.begin = operand.begin + 1, .length = operand.length - 2};
    const char *plus = memchr(inside.begin, '+', inside.length);
    uint64_t value = 0;
    if (plus != NULL) {
        const ptx_span after = {.begin = plus + 1,
                                .length = inside.length - (size_t)(plus + 1 - inside.begin)};
        if (!parse_number(after, &value)) {
            ptx_read_fail(reader, "'%.*s' is no address that is known", (int)inside.length,
                          inside.begin);
        }
        inside.length = (size_t)(plus - inside.begin);
    }
    *number = (int64_t)value;
    *place = register_place(reader, inside, bytes);
    if (*place == PTX_NONE) {
        if (!find_value(reader, inside, &value)) {
            ptx_read_fail(reader, "'%.*s' is no address that is known", (int)inside.length,
                          inside.begin);
        }
        *number = (int64_t)((uint64_t)*number + value);
    }
}

uint32_t ptx_operand_register_address(ptx_reader *reader, ptx_span operand, uint8_t *bytes)
{
    uint32_t place;
    int64_t added;
    *bytes = (uint8_t)ptx_address_bytes(reader, operand);
    ptx_operand_address(reader, operand, *bytes, &place, &added);
    if (place == PTX_NONE || added != 0) {
        ptx_read_fail(reader, "an address that isn't just a register isn't known here");
    }
    return place;
}

int64_t ptx_operand_number(ptx_reader *reader, ptx_span operand)
{
    uint64_t value = 0;
    if (!parse_number(operand, &value)) {
        ptx_read_fail(reader, "'%.*s' is no number", (int)operand.length, operand.begin);
    }
    return (int64_t)value;
}

/* The bytes that a lane's register of this type has: 4 or 8, 0 for a type that isn't known. */
static uint32_t bytes_of_type(ptx_span type)
{
    static const char *const small[] = {".pred", ".b16", ".u16", ".s16", ".f16",
                                        ".b32",  ".u32", ".s32", ".f32", ".b8"};
    static const char *const large[] = {".b64", ".u64", ".s64", ".f64"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        if (ptx_span_is(type, small[i])) {
            return 4;
        }
    }
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        if (ptx_span_is(type, large[i])) {
            return 8;
        }
    }
    return 0;
}

void ptx_declare_registers(ptx_reader *reader)
{
    const ptx_span type = ptx_read_word(reader);
    const uint32_t bytes = bytes_of_type(type);
    if (bytes == 0) {
        ptx_read_fail(reader, "registers of type %.*s aren't known", (int)type.length, type.begin);
        return;
    }
    do {
        reader->ranges =
            ptx_read_grow(reader, reader->ranges, reader->range_count, sizeof *reader->ranges);
        if (reader->failed) {
            return;
        }
        ptx_range *range = &reader->ranges[reader->range_count];
        range->prefix = ptx_read_word(reader);
        range->count = -1;
        range->bytes = bytes;
        range->depth = reader->depth;
        if (ptx_read_if(reader, '<')) {
            const uint64_t count = ptx_read_number(reader);
            if (count > 100000) {
                ptx_read_fail(reader, "too many registers");
                return;
            }
            range->count = (int)count;
            ptx_read_expected(reader, '>');
        }
        range->place = (uint32_t)reader->kernel->register_bytes;
        reader->kernel->register_bytes +=
            (size_t)bytes * PTX_LANES * (size_t)(range->count < 0 ? 1 : range->count);
        reader->range_count++;
        if (reader->kernel->register_bytes > MOST_REGISTER_BYTES) {
            ptx_read_fail(reader, "too many registers");
        }
    } while (ptx_read_if(reader, ','));
    ptx_read_expected(reader, ';');
}

void ptx_forget_registers(ptx_reader *reader, int depth)
{
    while (reader->range_count > 0 && reader->ranges[reader->range_count - 1].depth > depth) {
        reader->range_count--;
    }
}
