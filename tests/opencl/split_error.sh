#!/bin/sh
# The error of split f32 products, and of those of TF32 operands, on emulated units: split_error.sh PROGRAM
. "$(dirname "$0")/common.sh"
need_device PoCL

# measure UNIT KERNEL TYPE DEPTH…
measure()
{
    unit=$1
    kernel=$2
    shift 2
    case $1 in
    f32) parts=3 ;;
    halves) parts='2 .*-DHALVES=1' ;;
    *) parts=2 ;;
    esac
    echo "$unit, $1"
    TTM_OPENCL_MATRIX_UNITS=emulated-$unit TTM_LOG=debug "$program" PoCL "$@" 2> "$folder/log" ||
        fail "$(grep -v debug "$folder/log") an error is above its bound"
    grep -q "$kernel built.* -DPARTS=$parts" "$folder/log" || fail "products weren't split"
}

program=$1
# TF32 is split whatever TTM_OPENCL_FP32 says.
export TTM_OPENCL_FP32=strict
measure mma matmul_matrix_units.cl tf32 16 251
measure wgmma:32 matmul_packed.cl tf32 251
export TTM_OPENCL_FP32=split
measure mma matmul_matrix_units.cl f32 240 251 1024
measure wgmma:20 matmul_matrix_units.cl f32 251
measure wgmma:24 matmul_packed.cl f32 251 512
measure wgmma:43 matmul_packed.cl halves 240 1000
measure wgmma:45 matmul_packed.cl halves 251
measure mma:46 matmul_packed_copies.cl halves 251
exit 0
