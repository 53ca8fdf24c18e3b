#!/bin/sh
# One session on an NVIDIA GPU, in under ten minutes:  sh bench/h100.sh OUT [PYTHON]
#
# Builds a release, proves the kernels on matrix units (each variant, each way that operands lie), runs matmul's conformance, measures the products of a
# GPT-2 small step beside cuBLAS, and whole training steps. All results go to the folder OUT; a part that fails or takes too long doesn't stop the others, and
# OUT/summary has a line for each. PYTHON is an interpreter whose torch has CUDA; without one there is nothing to compare with.
#   TTM_H100_DEVICE=opencl:PoCL  another device   TTM_H100_UNITS="emulated-mma"  other units (default: "mma wgmma")
#   TTM_H100_SMALL=1             sizes for a processor: tries the script, measures nothing
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p "${1:?usage: h100.sh OUT [PYTHON]}"
out=$(realpath "$1")
python=${2:-}
device=${TTM_H100_DEVICE:-opencl:NVIDIA}
units=${TTM_H100_UNITS:-mma wgmma}
build=${TTM_H100_BUILD:-build-release}
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$out/cache}"
TTM_TUNE_DIR=$out/tune
export TTM_TUNE_DIR
if [ -n "${TTM_H100_SMALL:-}" ]; then
    preset=gpt2-tiny-ttm16 dense=gpt2-tiny-ttm16 batch=2 seq=32 ways=2 cases=3
    products=96x64x80,70x130x64
else
    preset=gpt2-small-ttm64 dense=gpt2-small batch=16 seq=1024 ways=8 cases=24
    products=8192x8192x8192,16384x3072x768,16384x768x3072,16384x50304x768,16384x2304x768
fi

# part SECONDS NAME COMMAND…: output to OUT/NAME.log, one line to the summary.
part() {
    seconds=$1
    name=$2
    shift 2
    start=$(date +%s)
    timeout "$seconds" "$@" >"$out/$name.log" 2>&1
    echo "$name: status $?, $(($(date +%s) - start)) s: $(tail -n 1 "$out/$name.log" | cut -c 1-140)" | tee -a "$out/summary"
}

# The device's number within opencl, for the probe.
device_number() {
    "$build/tools/ttm-devices" 2>/dev/null | grep -F "${device#opencl:}" | sed -n 's/.*opencl:\([0-9]*\).*/\1/p' | head -n 1
}

# Every variant of every unit, forced, over the ways in which operands lie: result type, runs of a and b, copies.
probe() {
    number=$(device_number)
    failed=0
    line=-1
    "$build/tests/opencl/list-unit-variants" >"$out/variants" || return 1
    while read -r unit options; do
        line=$((line + 1))
        case " $units " in
        *" $unit "*) name=$unit ;;
        *" emulated-$unit "*) name=emulated-$unit ;;
        *) continue ;;
        esac
        data=2
        direct=2
        case $options in *-DPARTS=3*) data=1 direct=1 ;; esac
        done_ways=0
        for way in "2 0 1 2 2" "2 0 0 2 2" "1 1 1 2 2" "1 1 0 2 2" "1 0 1 2 2" "2 1 0 0 2" "2 0 1 0 0" "1 1 1 0 0"; do
            [ "$done_ways" -lt "$ways" ] || break
            done_ways=$((done_ways + 1))
            # shellcheck disable=SC2086  # five numbers
            set -- $way
            [ "$data" = 2 ] || set -- 1 "$2" "$3" "$(($4 < direct ? $4 : direct))" "$(($5 < direct ? $5 : direct))"
            answer=$(TTM_OPENCL_MATRIX_UNITS=$name:$line TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_FP32=split \
                timeout 60 "$build/ttm-opencl-probe" "$(pwd)/$build/libttm-backend-opencl.so" "$number" "$data" "$@" 2>&1 | tail -n 1)
            [ "$answer" = passed ] || failed=$((failed + 1))
            echo "$name:$line  $way  ${answer:-no answer}"
        done
    done <"$out/variants"
    echo "$failed kernels fail"
    [ "$failed" -eq 0 ]
}

# f32 products as they are and split over matrix units. bf16 products aren't ttm-bench's business: they show in the profiles of steps.
products() {
    failed=0
    for way in strict split; do
        TTM_OPENCL_FP32=$way TTM_OPENCL_MATRIX_UNITS=$(if [ $way = strict ]; then echo off; else echo "${units%% *}"; fi) \
            "$build/tools/ttm-bench" ops --backend "$device" --op matmul --product "$products" --no-roofs --output "$out/products-$way.json" ||
            failed=$((failed + 1))
    done
    echo "$failed of 2 failed"
    [ "$failed" -eq 0 ]
}

cublas() {
    "$python" - "$products" <<'END'
import sys, torch
for text in sys.argv[1].split(","):
    rows, cols, depth = map(int, text.split("x"))
    a = torch.randn(rows, depth, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(depth, cols, device="cuda", dtype=torch.bfloat16)
    for _ in range(5):
        a @ b
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        a @ b
    end.record()
    torch.cuda.synchronize()
    print(f"cuBLAS bf16 {text}: {2 * rows * cols * depth * 20 / start.elapsed_time(end) / 1e9:.0f} TFLOP/s")
END
}

# Whole steps on random tokens: their speed in the log's lines, and a table of all ops.
steps() {
    failed=0
    awk 'BEGIN { srand(1); for (i = 0; i < 400000; i++) printf "%c", 32 + int(rand() * 94) }' >"$out/text"
    for type in bf16 fp32; do
        for model in "$dense" "$preset"; do
            rm -rf "$out/run"
            echo "== $model $type"
            "$build/tools/ttm-train" --backend "$device" --preset "$model" --tokenizer bytes --data "$out/text" --out "$out/run" --dtype "$type" \
                --batch "$batch" --seq "$seq" --steps 8 --dropout 0 --accumulation 1 --validation-interval 0 --checkpoint-interval 0 --profile ||
                failed=$((failed + 1))
            cp "$out/run/metrics.jsonl" "$out/steps-$model-$type.jsonl"
        done
    done
    rm -rf "$out/run" "$out/text"
    echo "$failed of 4 failed"
    [ "$failed" -eq 0 ]
}

make() {
    [ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release || return 1
    ninja -C "$build" tools/ttm-bench tools/ttm-train tools/ttm-devices tools/ttm-conformance libttm-backend-opencl.so libttm-backend-reference.so \
        libttm-backend-cpu.so ttm-opencl-probe tests/opencl/list-unit-variants
}

# timeout runs programs, not functions: a part that is one runs this script again.
if [ $# -eq 3 ]; then
    "$3"
    exit
fi
: >"$out/summary"
part 150 build sh bench/h100.sh "$out" "$python" make
part 150 probe sh bench/h100.sh "$out" "$python" probe
for unit in $units; do
    TTM_OPENCL_MATRIX_UNITS=$unit part 60 "conformance-$unit" "$build/tools/ttm-conformance" --backend "$device" --filter matmul --dtype bf16 --cases "$cases"
done
part 100 products sh bench/h100.sh "$out" "$python" products
[ -z "$python" ] || part 40 cublas sh bench/h100.sh "$out" "$python" cublas
part 120 steps sh bench/h100.sh "$out" "$python" steps
