/* What stands in for onednn.c in a build without oneDNN: it can't be started. */
#include "cpu/onednn.h"

int ttm_cpu_onednn_start(void)
{
    return 0;
}

void ttm_cpu_onednn_describe(char *text, size_t bytes)
{
    (void)bytes;
    text[0] = '\0';
}
