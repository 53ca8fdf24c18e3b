#!/bin/sh
# The error of split f32 and TF32 attention on emulated units: attention_split_error.sh PROGRAM
. "$(dirname "$0")/common.sh"
need_device PoCL
export TTM_OPENCL_ATTENTION=emulated-mma TTM_OPENCL_FP32=split TTM_OPENCL_MATRIX_UNITS_PROBE=1
for parts in 3 2; do
    [ $parts = 3 ] && type=f32 || type=tf32
    echo "$type:"
    TTM_LOG=debug "$1" PoCL $type 2> "$folder/log" || fail "$(grep -v debug "$folder/log") an error is above its bound"
    for kernel in attention attention_dq attention_dkdv; do
        grep -q "${kernel}_matrix_units.cl built .*-DPARTS=$parts" "$folder/log" || fail "$kernel wasn't split"
        grep -q "_backward.cl built\| attention.cl built" "$folder/log" || fail "$kernel was compared with itself"
    done
done
exit 0
