/* What bulk copies have in common, wherever their bytes come from. */
#ifndef TESTS_PTX_DEVICE_PTX_BULK_H
#define TESTS_PTX_DEVICE_PTX_BULK_H

#include "ptx_machine.h"

enum { PTX_CHUNK_BYTES = 16 };

/* One lane's copy. */
typedef struct ptx_bulk {
    uint64_t target;   /* shared::cluster addresses, */
    uint64_t mbarrier; /* of the same group */
    const unsigned char *content;
    uint32_t bytes;     /* a multiple of PTX_CHUNK_BYTES, not 0 */
    uint32_t alignment; /* that the target must have */
    int swizzled_bits;  /* of a chunk's address, from bit 4 on; the bits from 7 on change them */
    int has_groups;     /* goes to the groups of a mask, */
    uint32_t groups;    /* 16 bits, to the same places in each */
} ptx_bulk;

/* Makes a copy, which is under way until its mbarrier has been waited for; fails where it may not
 * be made. */
void ptx_copy_bulk(ptx_warp *warp, const ptx_instruction *instruction, ptx_bulk *copy);

#endif
