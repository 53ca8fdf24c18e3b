/* W and dW of TT-matrices, for the layers that use them. */
#ifndef TTM_MODEL_TT_GROUPS_H
#define TTM_MODEL_TT_GROUPS_H

#include "model/model_internal.h"
#include <ttm/compute.h>

/** Returns the elements between two matrices of this shape that lie in one allocation. */
int64_t ttm_tt_matrix_elements(const ttm_model *model, const ttm_tt_shape *shape);

/** Allocates W of a group if it has none yet. */
TTM_CHECKED ttm_status ttm_tt_group_allocate(ttm_model *model, ttm_tt_group *group);

/** Allocates dW, for each layer or for the largest matrix only, as the model's reduction wants it.
 */
TTM_CHECKED ttm_status ttm_tt_groups_allocate_gradients(ttm_model *model);

/** Builds W of a group from its cores unless it is up to date. */
TTM_CHECKED ttm_status ttm_tt_group_build(ttm_model *model, ttm_tt_group *group,
                                          ttm_stream *stream);

/** Adds the gradient of the one W that dW holds now to the cores of the group's layer `place`
 * (keep = 0: replaces theirs). */
TTM_CHECKED ttm_status ttm_tt_group_reduce_layer(ttm_tt_group *group, int64_t place, double keep,
                                                 ttm_stream *stream);

/** Return W, and where dW goes, of the group's layer `place` [in, out]. */
ttm_tensor ttm_tt_group_matrix(const ttm_tt_group *group, int64_t place);
ttm_tensor ttm_tt_group_matrix_gradient(const ttm_tt_group *group, int64_t place);

#endif
