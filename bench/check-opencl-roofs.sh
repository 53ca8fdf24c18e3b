#!/bin/sh
# Roofs that `ttm-bench devices` measures through OpenCL beside independent programs: CLBlast called by itself, OpenCL's own copy and
# fill and plain kernels (bench/opencl-roofs.c), and on a device that is the processor plain loops (bench/triad.c).
#     sh bench/check-opencl-roofs.sh BUILD [ROUNDS [PLATFORM]]
# Three comparisons: products by CLBlast as it comes, on both sides; the plugin's own copy, add (triad), sum of squares (read) and fill
# (write) beside the best that OpenCL did; and the roofs, for which ttm-bench tries plain loops of the host too where that is the device,
# beside plain loops. ttm-bench gets two seconds a roof, as long as the other programs take: the best of few tries is less than the best
# of many. Programs take turns, as in check-roofs.sh. Needs an idle machine. A round takes a minute.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: check-opencl-roofs.sh BUILD [ROUNDS [PLATFORM]]}")
rounds=${2:-4}
platform=${3:-PoCL}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cc -O2 -D_GNU_SOURCE bench/opencl-roofs.c -o "$scratch/opencl-roofs" -lOpenCL -lclblast
cc -O3 -march=native -fopenmp bench/triad.c -o "$scratch/triad"
TTM_TUNE_DIR=
export TTM_TUNE_DIR

# pairs: a line of JSON as lines NAME VALUE.
pairs()
{
    tr -d '{}" ' | tr ',' '\n' | tr ':' ' '
}
# note WHERE TURN WHO: keeps lines NAME VALUE.
note()
{
    awk -v where="$1" -v turn="$2" -v who="$3" '{ print where, $1, turn, who, $2 }' >>"$scratch/values"
}
# roofs VARIABLE=VALUE…: the roofs of the device.
roofs()
{
    env "$@" "$build/tools/ttm-bench" devices --backend "opencl:$platform" --seconds 2 --json --quiet | sed -n '/"roofs"/,/}/p'
}
# best_op OP NAME: bytes a second of the fastest call of an op on 200 to 500 MB.
best_op()
{
    "$build/tools/ttm-bench" ops --backend "opencl:$platform" --preset gpt2-small --batch 64 --seq 1024 --op "$1" --no-roofs --seconds 0.7 \
        --json --quiet | awk -v op="\"name\": \"$1\"" -v name="$2" '
        index($0, op) { inside = 1 }
        inside && /"bytes":/ { bytes = $2 + 0 }
        inside && /"samples_ns"/ { samples = 1; next }
        samples && /[0-9]/ { gsub(/[^0-9.]/, ""); if (best == 0 || $0 + 0 < best) best = $0 + 0 }
        samples && /}/ { print name, bytes / best * 1e9; exit }'
}
independent()
{
    "$scratch/opencl-roofs" "$platform" | pairs | sed 's/product_f32_flops/clblast/' | grep -E '^(clblast|copy|triad|read|write) ' | note opencl "$1" theirs
    "$scratch/triad" | pairs | note roof "$1" theirs
}
ours()
{
    {
        roofs TTM_OPENCL_PRODUCTS=clblast | awk -F'[:,]' '/"product_f32_flops"/ { print "clblast", $2 }'
        best_op copy copy
        best_op add triad
        best_op sum_of_squares read
        best_op fill write
    } | note opencl "$1" ours
    roofs TTM_LOG=error | sed -n 's/ *"\(copy\|triad\|read\|write\)_bytes_per_second": \([^,]*\),*/\1 \2/p' | note roof "$1" ours
}
independent 0
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    ours "$round"
    independent "$round"
done
awk -v rounds="$rounds" -f bench/roof_ratios.awk "$scratch/values"
