/* Enumeration of the trees that the planner chooses from; tests walk through all of them, too. */
#ifndef TTM_TT_PLANNER_H
#define TTM_TT_PLANNER_H

#include <ttm/tt_plan.h>

/** Receives every plan in turn; the plan is only lent. */
typedef void (*ttm_planner_visitor)(void *user, const ttm_tt_plan *plan);

/** Calls visit(user, …) with the plan of each of the 3^(core_count − 1) ways to absorb the cores
 * into x. Errors as ttm_tt_plan_find. */
TTM_CHECKED ttm_status ttm_planner_enumerate(const ttm_tt_shape *shape, int64_t rows,
                                             ttm_tt_direction direction, ttm_planner_visitor visit,
                                             void *user);

#endif
