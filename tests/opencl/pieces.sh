#!/bin/sh
# Products whose depth is cut into pieces, by emulated units on PoCL: the program that probes kernels multiplies odd sizes with padded
# strides, two matrices a batch, with every epilogue, in all transpose cases and several
# numbers of pieces.
. "$(dirname "$0")/common.sh"
need_device PoCL
device=$("$TTM_TOOLS/ttm-devices" 2> "$folder/devices.log" | sed -n 's/.*opencl:\([0-9]*\).*/\1/p' | head -n 1)

# multiply UNIT DATA RESULT A_RUNS B_RUNS A_ACCESS B_ACCESS PIECES…
multiply()
{
    unit=$1
    way="$2 $3 $4 $5 $6 $7"
    shift 7
    for pieces in "$@"; do
        # shellcheck disable=SC2086
        TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_MATRIX_UNITS=emulated-$unit TTM_OPENCL_FP32=split \
            "$TTM_BACKEND_PATH/ttm-opencl-probe" "$TTM_BACKEND_PATH/libttm-backend-opencl.so" "$device" $way "$pieces" > "$folder/out" 2>&1
        [ "$(tail -n 1 "$folder/out")" = passed ] || fail "emulated-$unit $way in $pieces pieces: $(tail -n 1 "$folder/out")"
    done
    echo "emulated-$unit $way: $*"
}
multiply mma:3 2 1 1 0 2 2 2 3 5 16
multiply mma:3 2 2 0 1 2 2 2 3 5 16
multiply mma:3 2 2 0 0 0 2 2 16
multiply mma:3 2 1 1 1 2 0 2 16
multiply mma:5 1 1 1 0 1 0 2 3 16
multiply wgmma:9 2 1 1 0 2 2 2 3
# Packed operands, in one piece too: slices of 16 and 32 deep, 96 columns.
multiply wgmma:14 2 2 0 0 1 0 1
multiply wgmma:15 2 1 1 1 0 1 3
multiply wgmma:16 2 2 1 0 1 1 1
multiply wgmma:17 2 1 0 1 0 0 2
multiply dpas:11 2 2 0 0 1 1 3
multiply mfma:13 2 1 1 0 1 1 3

# What is wrong in pieces is found.
TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1 TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_MATRIX_UNITS=emulated-mma:3 \
    "$TTM_BACKEND_PATH/ttm-opencl-probe" "$TTM_BACKEND_PATH/libttm-backend-opencl.so" "$device" 2 1 1 0 2 2 3 > "$folder/out" 2>&1 &&
    fail "wrong products pass in pieces"
grep -q 'wrong numbers' "$folder/out" || fail "$(cat "$folder/out")"

for wrong in 0 17 two 3x; do
    TTM_OPENCL_PIECES=$wrong "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul/1 --in-process > "$folder/out" 2>&1 &&
        fail "TTM_OPENCL_PIECES=$wrong passes"
    grep -q "TTM_OPENCL_PIECES is '$wrong'; use 1 to 16" "$folder/out" || fail "no line about $wrong: $(cat "$folder/out")"
done
exit 0
