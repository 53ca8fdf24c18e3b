#!/bin/sh
# Roofs that `ttm-bench devices` measures through OpenCL beside independent programs: CLBlast called by itself, OpenCL's own copy and
# fill and plain kernels (bench/opencl-roofs.c), and on a device that is the processor plain loops (bench/triad.c).
#     sh bench/check-opencl-roofs.sh BUILD [TURNS [PLATFORM [WHAT…]]]
# Three comparisons: products by CLBlast as it comes, on both sides (WHAT: clblast); the plugin's own copy, add (triad), sum of squares (read) and fill
# (write) beside the best that OpenCL did (copy, triad, read, write); and the roofs, for which ttm-bench tries plain loops of the host too where that is the device,
# beside plain loops (roofs). The memory of a shared machine changes its speed from second to second, so both programs take many short turns, and each goes first in half of them;
# bench/roof_turns.awk says what is compared. In a turn both take each loop about as often: the best of many tries is more than the best of few. A turn of both takes some five seconds. Needs an idle machine.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: check-opencl-roofs.sh BUILD [TURNS [PLATFORM [WHAT…]]]}")
turns=${2:-20}
platform=${3:-PoCL}
shift $(($# < 3 ? $# : 3))
what=${*:-clblast copy triad read write roofs}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cc -O2 -D_GNU_SOURCE bench/opencl-roofs.c -o "$scratch/opencl-roofs" -lOpenCL -lclblast
cc -O3 -march=native -fopenmp bench/triad.c -o "$scratch/triad"
TTM_TUNE_DIR=
export TTM_TUNE_DIR

# note WHERE TURN WHO: keeps lines NAME VALUE.
note()
{
    awk -v where="$1" -v turn="$2" -v who="$3" '{ print where, $1, turn, who, $2 }' >>"$scratch/values"
}
# roofs PART SECONDS: lines NAME VALUE of the device's roofs with PART in their names.
roofs()
{
    "$build/tools/ttm-bench" devices --backend "opencl:$platform" --op "$1" --seconds "$2" --json --quiet |
        sed -n 's/ *"\(product_f32\|copy\|triad\|read\|write\)_\(flops\|bytes_per_second\)": \([^,]*\),*/\1 \3/p'
}
# best_op OP NAME: bytes a second of the fastest call of an op on 200 to 500 MB.
best_op()
{
    "$build/tools/ttm-bench" ops --backend "opencl:$platform" --preset gpt2-small --batch 64 --seq 1024 --op "$1" --no-roofs --seconds 0.3 \
        --json --quiet | awk -v op="\"name\": \"$1\"" -v name="$2" '
        index($0, op) { inside = 1 }
        inside && /"bytes":/ { bytes = $2 + 0 }
        inside && /"samples_ns"/ { samples = 1; next }
        samples && /[0-9]/ { gsub(/[^0-9.]/, ""); if (best == 0 || $0 + 0 < best) best = $0 + 0 }
        samples && /}/ { print name, bytes / best * 1e9; exit }'
}
theirs()
{
    case $1 in
    roofs) "$scratch/triad" 8 256 | tr -d '{}" ' | tr ',:' '\n ' | note roof "$2" theirs ;;
    *) "$scratch/opencl-roofs" "$platform" 256 '' "$1" "$([ "$1" = clblast ] && echo 8 || echo 4)" | tr -d '{}" ' | tr ',:' '\n ' | grep "^$1 " | note opencl "$2" theirs ;;
    esac
}
ours()
{
    case $1 in
    clblast) TTM_OPENCL_PRODUCTS=clblast roofs product_f32 1 | sed 's/product_f32/clblast/' | note opencl "$2" ours ;;
    copy) best_op copy copy | note opencl "$2" ours ;;
    triad) best_op add triad | note opencl "$2" ours ;;
    read) best_op sum_of_squares read | note opencl "$2" ours ;;
    write) best_op fill write | note opencl "$2" ours ;;
    roofs) TTM_LOG=error roofs bytes_per_second 0.1 | note roof "$2" ours ;;
    esac
}
for one in $what; do
    turn=0
    while [ "$turn" -lt "$turns" ]; do
        turn=$((turn + 1))
        if [ $((turn % 2)) = 0 ]; then
            ours "$one" "$turn"
            theirs "$one" "$turn"
        else
            theirs "$one" "$turn"
            ours "$one" "$turn"
        fi
    done
done
awk -f bench/roof_turns.awk "$scratch/values"
