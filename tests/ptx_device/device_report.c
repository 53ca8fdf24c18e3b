/* Lines of all processes go to one file, each written at once. */
#include "device_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void device_report(const char *format, ...)
{
    char message[1024];
    const char *path = getenv("PTX_DEVICE_REPORT");
    FILE *file = path != NULL && path[0] != '\0' ? fopen(path, "a") : NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fprintf(stderr, "ptx-device: %s\n", message);
    if (file != NULL) {
        fprintf(file, "ptx-device: %s\n", message);
        fclose(file);
    }
}
