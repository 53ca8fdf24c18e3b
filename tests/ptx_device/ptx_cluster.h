/* What groups of a cluster do to each other: beside the barrier of all, copies and arrivals in
 * another group's shared memory. */
#ifndef TESTS_PTX_DEVICE_PTX_CLUSTER_H
#define TESTS_PTX_DEVICE_PTX_CLUSTER_H

#include "ptx_machine.h"

/* The cluster begins anew, as its groups do. */
void ptx_cluster_clear(ptx_cluster *cluster);

/* The group that has a shared::cluster address, which becomes that group's own; NULL, having
 * failed, where there is none, or where ptx_may_reach says no. */
ptx_group *ptx_group_at(ptx_warp *warp, const ptx_instruction *instruction, uint64_t *address);

/* Whether a warp may use a group's shared memory: its own, or one that is known to have started and
 * hasn't exited; fails otherwise. */
int ptx_may_reach(ptx_warp *warp, const ptx_instruction *instruction, const ptx_group *group);

/* Notes what an agent did to a group's shared memory at its number: the group may exit only when
 * one of its warps knows of that. */
void ptx_touch_group(ptx_group *group, int agent, uint32_t number);

/* A warp has left the kernel: it counts as arrived at the cluster's barrier, and its group may have
 * exited with it. */
void ptx_leave_cluster(ptx_warp *warp, const ptx_instruction *instruction);

#endif
