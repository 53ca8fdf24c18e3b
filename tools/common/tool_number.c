/* Parsing numbers. strtod and strtoll skip white space and stop anywhere; nothing of the kind is
 * let through here. */
#include "common/tool_number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 64 };

/* Copies `text` without the '_' between its digits. */
static bool normalise(char digits[MAX_DIGITS], const char *text)
{
    size_t used = 0;
    for (size_t k = 0; text[k] != '\0'; k++) {
        if (text[k] == '_' && k > 0 && isdigit((unsigned char)text[k - 1]) &&
            isdigit((unsigned char)text[k + 1])) {
            continue;
        }
        if (used + 1 == MAX_DIGITS || isspace((unsigned char)text[k])) {
            return false;
        }
        digits[used++] = text[k];
    }
    digits[used] = '\0';
    return used > 0;
}

bool tool_parse_double(double *value, const char *text)
{
    char digits[MAX_DIGITS];
    char *end = NULL;
    if (!normalise(digits, text)) {
        return false;
    }
    const double number = strtod(digits, &end);
    if (*end != '\0' || !isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}

bool tool_parse_int(int64_t *value, const char *text)
{
    char digits[MAX_DIGITS];
    char *end = NULL;
    double number = 0.0;
    if (!normalise(digits, text)) {
        return false;
    }
    errno = 0;
    const long long whole = strtoll(digits, &end, 10);
    if (*end == '\0' && errno == 0) {
        *value = whole;
        return true;
    }
    /* 1e6: beyond 2^53 not every whole number is a double, and the text could mean another. */
    if (errno != 0 || !tool_parse_double(&number, text) || number != floor(number) ||
        fabs(number) > 9007199254740992.0) {
        return false;
    }
    *value = (int64_t)number;
    return true;
}

/* Cuts a suffix of bytes off `digits` and returns its power of two, -1 for an unknown one. */
static int cut_suffix(char *digits)
{
    static const char letters[] = "KMGT";
    const size_t length = strcspn(digits, "KMGTBkmgtb");
    const char *suffix = digits + length;
    int shift = 0;
    if (*suffix != '\0' && toupper((unsigned char)*suffix) != 'B') {
        shift = 10 * (int)(strchr(letters, toupper((unsigned char)*suffix)) - letters + 1);
        suffix++;
        if (*suffix == 'i') {
            suffix++;
        }
    }
    if (toupper((unsigned char)*suffix) == 'B') {
        suffix++;
    }
    const bool known = *suffix == '\0';
    digits[length] = '\0';
    return known ? shift : -1;
}

bool tool_parse_size(uint64_t *value, const char *text)
{
    char digits[MAX_DIGITS];
    double number = 0.0;
    int64_t whole = 0;
    if (!normalise(digits, text)) {
        return false;
    }
    const int shift = cut_suffix(digits);
    if (shift < 0) {
        return false;
    }
    if (tool_parse_int(&whole, digits)) {
        if (whole < 0 || whole > (INT64_MAX >> shift)) {
            return false;
        }
        *value = (uint64_t)whole << shift;
        return true;
    }
    if (!tool_parse_double(&number, digits) || number < 0.0 || ldexp(number, shift) >= 0x1p63) {
        return false;
    }
    *value = (uint64_t)ldexp(number, shift);
    return true;
}
