/* What copies and fences ask of mbarriers. */
#ifndef TESTS_PTX_DEVICE_PTX_MBARRIER_H
#define TESTS_PTX_DEVICE_PTX_MBARRIER_H

#include "ptx_machine.h"

/* The mbarrier at an address of a group's own, of whose initialisation the warp knows; NULL, having
 * failed, otherwise. */
ptx_mbarrier *ptx_find_mbarrier(ptx_warp *warp, const ptx_instruction *instruction,
                                ptx_group *group, uint64_t address);

/* Whether the asynchronous proxy may use it, as far as the warp knows. */
int ptx_is_mbarrier_fenced(const ptx_warp *warp, const ptx_mbarrier *mbarrier);

/* The number of a copy that is under way and will complete on it: its words are that agent's. */
uint32_t ptx_begin_copy(ptx_mbarrier *mbarrier);
/* The copy's bytes have come. */
void ptx_complete_copy(ptx_mbarrier *mbarrier, uint32_t bytes);

/* Initialisations by the warp are fenced for the asynchronous proxy; by fence.mbarrier_init, which
 * makes them known to the cluster as well. */
void ptx_fence_mbarriers(ptx_warp *warp, int is_init_fence);

#endif
