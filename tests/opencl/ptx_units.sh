#!/bin/sh
# Every variant of products on NVIDIA's matrix units, and both choices of attention, as PTX on the device that interprets it:
# ptx_units.sh LIST-UNIT-VARIANTS
# A few cases each, among them one with edges and depth enough for all stages, without the proof that each gives before its first use: that is
# what conformance on this device does. What the interpreter refuses (races, what isn't waited for, addresses) fails a case.
. "$(dirname "$0")/common.sh"
need_device PTX
export TTM_OPENCL_MATRIX_UNITS_PROBE=1

# check NAME TYPE FILE CASES GROUP…: the cases pass, and the kernels of FILE were used.
check()
{
    name=$1
    type=$2
    file=$3
    cases=$4
    shift 4
    for group in "$@"; do
        TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PTX --cases "$cases" --dtype "$type" --filter "$group" \
            >"$folder/out" 2>"$folder/log" || {
            grep -a -e FAILED -e ptx-device "$folder/out" "$folder/log" | head -n 5 >&2
            fail "$name: $group"
        }
    done
    grep -q "$file.cl \(built\|taken\)" "$folder/log" || fail "$name: $file.cl wasn't used"
    echo "$name: passed"
}

"$1" >"$folder/variants" || fail "the list of variants"
number=0
while read -r unit options; do
    file=matmul_matrix_units
    case $options in *-DPACKED=1*) file=matmul_packed ;; esac
    case $options in
    *-DPARTS=3*) type=f32 fp32=split ;;
    *-DPARTS=2*) type=tf32 fp32=strict ;;
    *) type=bf16 fp32=strict ;;
    esac
    case $unit in
    mma | wgmma)
        export TTM_OPENCL_MATRIX_UNITS="$unit:$number" TTM_OPENCL_FP32=$fp32
        check "$unit:$number" "$type" "$file" 16 matmul/2 matmul/6 matmul/12
        ;;
    esac
    number=$((number + 1))
done <"$folder/variants"
[ "$number" -gt 30 ] || fail "only $number variants"

unset TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_FP32
for type in bf16 tf32 f32; do
    for choice in 0 1; do
        export TTM_OPENCL_ATTENTION=mma:$choice
        check "attention $choice, $type" "$type" attention_matrix_units 42 'attention/[0-9]' 'attention/41' 'attention/22'
        check "attention $choice backward, $type" "$type" attention_dkdv_matrix_units 42 'attention_backward/[0-9]' 'attention_backward/37'
    done
done
