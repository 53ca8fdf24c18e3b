/* What running asks of branches and of wgmma. */
#ifndef TESTS_PTX_DEVICE_PTX_RUN_H
#define TESTS_PTX_DEVICE_PTX_RUN_H

#include "ptx_machine.h"

/* The active lanes for which the instruction's guard holds. */
uint32_t ptx_guarded_lanes(const ptx_warp *warp, const ptx_instruction *instruction);

/* Whether an instruction looks at its guard itself. */
int ptx_is_control(const ptx_instruction *instruction);

/* Lanes that have come to where others wait go on together with them. */
void ptx_meet_lanes(ptx_warp *warp);

/* Lanes that aren't all wait for the others, of whom some go on; 0 where none of them can. */
int ptx_park_lanes(ptx_warp *warp);

/* The same before an instruction for all: lanes that asked in vain ask again. */
int ptx_await_lanes(ptx_warp *warp);

/* Fails where an instruction uses sums that a wgmma still writes: only wgmma itself and moves may,
 * which compilers put between them. */
void ptx_check_in_flight(ptx_warp *warp, const ptx_instruction *instruction);

/* Fails where a warp that leaves has executed other wgmma than those of its warpgroup that have
 * left: each of these is one instruction of all four. */
void ptx_check_warpgroup(ptx_warp *warp, const ptx_instruction *instruction);

#endif
