#!/bin/sh
# Every variant of products on NVIDIA's matrix units, and both choices of attention by each of them, as PTX on the device that interprets it:
# ptx_units.sh LIST-UNIT-VARIANTS
# A few cases each, among them one with edges and depth enough for all stages, without the proof that each gives before its first use: that is
# what conformance on this device does. What the interpreter refuses (races, what isn't waited for, addresses) fails a case.
. "$(dirname "$0")/common.sh"
need_device PTX
export TTM_OPENCL_MATRIX_UNITS_PROBE=1

# check NAME TYPE FILE CASES OP NUMBER…: these of an op's CASES pass, and the kernels of FILE were used for each.
check()
{
    name=$1
    type=$2
    file=$3
    cases=$4
    op=$5
    shift 5
    for number_of_case in "$@"; do
        TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PTX --cases "$cases" --dtype "$type" --filter "$op/$number_of_case" \
            >"$folder/out" 2>"$folder/log" || {
            grep -a -h -e FAILED -e ptx-device "$folder/out" "$folder/log" | head -n 5 >&2
            fail "$name: $op/$number_of_case"
        }
        grep -q "$file.cl \(built\|taken\)" "$folder/log" || fail "$name: $op/$number_of_case: $file.cl wasn't used"
    done
    echo "$name: passed"
}

"$1" >"$folder/variants" || fail "the list of variants"
number=0
while read -r unit options; do
    file=matmul_matrix_units
    case "$unit $options" in
    mma*-DPACKED=1*) file=matmul_packed_copies ;;
    *-DPACKED=1*) file=matmul_packed ;;
    esac
    case $options in
    *-DPARTS=3* | *-DHALVES=1*) type=f32 fp32=split ;;
    *-DPARTS=2*) type=tf32 fp32=strict ;;
    *) type=bf16 fp32=strict ;;
    esac
    case $unit in
    mma | wgmma)
        export TTM_OPENCL_MATRIX_UNITS="$unit:$number" TTM_OPENCL_FP32=$fp32
        case $options in
        *-DMAPPED=1*)
            check "$unit:$number" "$type" tensor_maps 60 matmul 1 31 41
            check "$unit:$number, batches" "$type" tensor_maps 1000 matmul 11 200
            ;;
        *) check "$unit:$number" "$type" "$file" 16 matmul 2 6 12 ;;
        esac
        ;;
    esac
    number=$((number + 1))
done <"$folder/variants"
[ "$number" -gt 30 ] || fail "only $number variants"

# Causal and not, of one tile and of several, heads of 64 and 128, and with dropout of multiples of four keys and of other numbers.
unset TTM_OPENCL_MATRIX_UNITS
export TTM_OPENCL_FP32=split
for way in mma:0 mma:1 wgmma:0 wgmma:1; do
    export TTM_OPENCL_ATTENTION=$way
    for type in bf16 tf32 f32; do
        case $type in
        bf16) forward='41 129 22 54' backward='37 70 11 104' ;;
        tf32) forward='41 514 777' backward='70 680 192' ;;
        f32) forward='122 304 777' backward='421 680 192' ;;
        esac
        [ "${way%:*}:$type" = wgmma:f32 ] && continue # it has none of three parts
        # shellcheck disable=SC2086  # one word a case
        check "attention $way, $type" "$type" attention_matrix_units 1300 attention $forward
        # shellcheck disable=SC2086
        check "attention $way backward, $type" "$type" attention_dkdv_matrix_units 1300 attention_backward $backward
    done
done
