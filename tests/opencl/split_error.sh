#!/bin/sh
# The error of split f32 products on emulated units: split_error.sh PROGRAM
. "$(dirname "$0")/common.sh"
need_device PoCL
export TTM_OPENCL_MATRIX_UNITS=emulated-mma TTM_OPENCL_FP32=split
TTM_LOG=debug "$1" PoCL 2> "$folder/log" || fail "$(grep -v debug "$folder/log") an error is above its bound"
grep -q 'matmul_matrix_units.cl built' "$folder/log" || fail "products weren't split"
exit 0
