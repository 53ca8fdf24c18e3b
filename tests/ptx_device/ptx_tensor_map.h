/* What running asks of tensor maps. */
#ifndef TESTS_PTX_DEVICE_PTX_TENSOR_MAP_H
#define TESTS_PTX_DEVICE_PTX_TENSOR_MAP_H

#include "ptx_machine.h"

/* The group begins anew: none of its warps has written or acquired a map. */
void ptx_maps_clear(ptx_maps *maps);
void ptx_maps_end(ptx_maps *maps);

#endif
