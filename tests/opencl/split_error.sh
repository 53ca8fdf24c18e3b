#!/bin/sh
# The error of split f32 products on emulated units: split_error.sh PROGRAM
. "$(dirname "$0")/common.sh"
need_device PoCL
export TTM_OPENCL_FP32=split

# measure UNIT KERNEL DEPTH…
measure()
{
    unit=$1
    kernel=$2
    shift 2
    echo "$unit"
    TTM_OPENCL_MATRIX_UNITS=emulated-$unit TTM_LOG=debug "$program" PoCL "$@" 2> "$folder/log" ||
        fail "$(grep -v debug "$folder/log") an error is above its bound"
    grep -q "$kernel built" "$folder/log" || fail "products weren't split"
}

program=$1
measure mma matmul_matrix_units.cl 240 251 512 1024 2048
measure wgmma:20 matmul_matrix_units.cl 251
measure wgmma:24 matmul_packed.cl 251 512
exit 0
