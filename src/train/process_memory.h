/* What the process takes, besides what the device counts. */
#ifndef TTM_TRAIN_PROCESS_MEMORY_H
#define TTM_TRAIN_PROCESS_MEMORY_H

#include <stdint.h>

/** Returns how many bytes of this process lie in memory now, files that it has mapped included; 0
 * where the system doesn't tell. Any thread. */
uint64_t ttm_process_resident_bytes(void);

#endif
