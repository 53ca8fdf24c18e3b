#!/bin/sh
# One session on an NVIDIA GPU, in under ten minutes:  sh bench/h100.sh OUT [PYTHON]
#
# Builds a release and measures, the most valuable first: whole training steps beside PyTorch's in turn, products beside cuBLAS and with packed operands, generation, single
# kernels, start-up; then proves the kernels on matrix units, each variant by itself. A step's first use of a kernel proves that one anyway. All results go
# to the folder OUT, as JSON; OUT/parts has a line for each part, OUT/summary.md the tables (bench/h100_summary.py). A part that fails or takes too long
# doesn't stop the others, and nothing begins after nine and a half minutes. PYTHON is an interpreter whose torch has CUDA; without CUDA what needs it is skipped.
#   TTM_H100_DEVICE=opencl:PoCL  another device   TTM_H100_UNITS="emulated-mma"  other units to prove (default: "mma wgmma"; empty: none)
#   TTM_H100_SMALL=1             sizes for a processor: tries the script, measures nothing
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p "${1:?usage: h100.sh OUT [PYTHON]}"
out=$(realpath "$1")
python=${2:-}
device=${TTM_H100_DEVICE:-opencl:NVIDIA}
units=${TTM_H100_UNITS-mma wgmma}
build=${TTM_H100_BUILD:-build-release}
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$out/cache}"
TTM_TUNE_DIR=$out/tune
export TTM_TUNE_DIR
bench="$build/tools/ttm-bench"
if [ -n "${TTM_H100_SMALL:-}" ]; then
    preset=gpt2-tiny-ttm16 dense=gpt2-tiny-ttm16 generated=gpt2-tiny-ttm16 batch_bf16=2 batch_fp32=1 seq=32 ways=1 cases=3
    shapes="96x64x80 70x130x64" square=128x128x128
    steps=3 tokens=3 prompt=8 many=4 seconds=0.05 patience=3
else
    preset=gpt2-small-ttm64 dense=gpt2-small generated=gpt2-small batch_bf16=16 batch_fp32=8 seq=1024 ways=8 cases=24
    shapes="8192x8192x8192 16384x3072x768 16384x768x3072 16384x50688x768 16384x2304x768 16384x768x768" square=4096x4096x4096
    steps=6 tokens=64 prompt=64 many=64 seconds=0.5 patience=1
fi

# part SECONDS NAME: runs the function of that name, output to OUT/NAME.log, one line to OUT/parts. timeout runs programs, not functions: the
# script runs itself.
part() {
    left=$((570 - $(date +%s) + began))
    limit=$(($1 < left ? $1 : left))
    if [ "$limit" -lt 5 ]; then
        echo "$2: not begun: no time is left" | tee -a "$out/parts"
        return
    fi
    start=$(date +%s)
    timeout "$limit" sh bench/h100.sh "$out" "$python" "$2" >"$out/$2.log" 2>&1
    echo "$2: status $?, $(($(date +%s) - start)) s: $(tail -n 1 "$out/$2.log" | cut -c 1-140)" | tee -a "$out/parts"
}

# attempt SECONDS FILE COMMAND…: one measurement of a part, its standard output to OUT/FILE; says whether it succeeded, and counts.
tried=0
failed=0
attempt() {
    limit=$1
    file=$2
    shift 2
    tried=$((tried + 1))
    if timeout "$limit" "$@" >"$out/$file.part"; then
        mv "$out/$file.part" "$out/$file"
        echo "$file: measured"
    else
        echo "$file: status $?"
        rm -f "$out/$file.part"
        failed=$((failed + 1))
    fi
}

# The last line of a part, and its status.
tell() {
    echo "$failed of $tried failed$1"
    [ "$failed" -eq 0 ]
}

has_cuda() {
    [ -n "$python" ] && "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null
}
no_cuda="; skipped what needs PyTorch with CUDA"

# The device's number within opencl, for the probe.
device_number() {
    "$build/tools/ttm-devices" 2>/dev/null | grep -F "${device#opencl:}" | sed -n 's/.*opencl:\([0-9]*\).*/\1/p' | head -n 1
}

# Whole steps on random tokens. Ours, PyTorch's as it comes, ours, PyTorch's compiled: so both see the same clocks and temperatures.
steps() {
    without=$no_cuda
    has_cuda && without=
    for type in bf16 fp32; do
        [ $type = bf16 ] && batch=$batch_bf16 bf16=--bf16 || batch=$batch_fp32 bf16=
        for kind in dense ttm64; do
            [ $kind = dense ] && model=$dense || model=$preset
            for round in 1 2; do
                [ $round = 1 ] && roofs='' compile=eager || roofs=--no-roofs compile=compile
                # shellcheck disable=SC2086  # options that may be none
                attempt $((45 * patience)) "step-$kind-$type-ours$round.json" "$bench" train --backend "$device" --preset $model --dtype $type --batch $batch --seq $seq \
                    --steps $steps --seconds 4 $roofs --json
                # shellcheck disable=SC2086
                [ -n "$without" ] || attempt 70 "step-$kind-$type-$compile.json" "$python" bench/gpt2_pytorch.py --device cuda --model $kind $bf16 \
                    --batch $batch --seq $seq --steps 8 $([ $compile = eager ] || echo --compile)
            done
        done
    done
    tell "$without"
}

# All transposes that training uses: forward pass, gradient of the input, gradient of the weights. f32 as it is, and split over matrix units.
products() {
    for shape in $shapes; do
        for way in nn nt tn; do
            attempt 20 "product-$shape-$way-bf16.json" "$bench" ops --backend "$device" --product "$shape:$way:bf16" --no-roofs --seconds $seconds --json
        done
    done
    for way in strict split; do
        (
            TTM_OPENCL_FP32=$way
            export TTM_OPENCL_FP32
            attempt 20 "product-$square-nn-$way.json" "$bench" ops --backend "$device" --product "$square:nn:f32" --no-roofs --seconds $seconds --json
            exit $failed
        )
        failed=$?
        tried=$((tried + 1))
    done
    tell ""
}

# Packed operands beside operands as they are, both with their variants of 128 rows: on Hopper alone. A tile in the file's name, its stages, and whether
# it is packed.
packed() {
    case " $units " in
    *" wgmma "*) name=wgmma ;;
    *" emulated-wgmma "*) name=emulated-wgmma ;;
    *)
        echo "skipped: wgmma isn't among the units"
        return 0
        ;;
    esac
    "$build/tests/opencl/list-unit-variants" >"$out/variants" || return 1
    line=-1
    while read -r unit options; do
        line=$((line + 1))
        case "$unit $options" in *wgmma*TILE_ROWS=128*) ;; *) continue ;; esac
        tile=$(echo "$options" | sed 's/.*TILE_ROWS=\([0-9]*\).*TILE_COLS=\([0-9]*\).*TILE_DEPTH=\([0-9]*\).*STAGES=\([0-9]*\).*/\1x\2x\3s\4/')
        case $options in *PACKED=1*) tile=${tile}packed ;; esac
        for shape in $shapes; do
            TTM_OPENCL_MATRIX_UNITS=$name:$line attempt $((20 * patience)) "variant-$shape-$tile.json" "$bench" ops --backend "$device" \
                --product "$shape:nn:bf16" --no-roofs --seconds 0.1 --json
        done
    done <"$out/variants"
    tell ""
}

cublas() {
    if ! has_cuda; then
        echo "skipped: no PyTorch with CUDA"
        return 0
    fi
    list=$square:nn:f32
    for shape in $shapes; do
        list="$list,$shape:nn:bf16,$shape:nt:bf16,$shape:tn:bf16"
    done
    attempt 40 cublas.jsonl "$python" bench/h100_cublas.py "$list"
    tell ""
}

generation() {
    without=$no_cuda
    has_cuda && without=
    for batch in 1 $many; do
        attempt 40 "generate-$batch-ours.json" "$bench" generate --backend "$device" --preset $generated --dtype bf16 --batch $batch --prompt $prompt \
            --tokens $tokens --seconds 4 --no-roofs --json
        [ -n "$without" ] || attempt 40 "generate-$batch-eager.json" "$python" bench/gpt2_pytorch.py --device cuda --bf16 --generate $tokens --batch $batch
    done
    tell "$without"
}

# Kernels by themselves with cold caches, against the measured roofs.
kernels() {
    for type in bf16 fp32; do
        for op in attention layer_norm cross_entropy adamw; do
            attempt 25 "kernel-$type-$op.json" "$bench" ops --backend "$device" --preset $dense --dtype $type --batch $batch_fp32 --seq $seq --op $op --cold \
                --seconds $seconds --json
        done
    done
    tell ""
}

# From the program's start to the end of its first step and checkpoint: with nothing built before, then again.
startup() {
    awk 'BEGIN { srand(1); for (i = 0; i < 40000; i++) printf "%c", 32 + int(rand() * 94) }' >"$out/text"
    XDG_CACHE_HOME=$out/cold-cache
    POCL_CACHE_DIR=$out/cold-cache/pocl
    export XDG_CACHE_HOME POCL_CACHE_DIR
    rm -rf "$out/cold-cache"
    mkdir -p "$out/cold-cache/pocl"
    for cache in cold warm; do
        rm -rf "$out/run"
        from=$(date +%s%N)
        attempt 60 "startup-$cache.log" "$build/tools/ttm-train" --backend "$device" --preset gpt2-tiny-ttm16 --tokenizer bytes --data "$out/text" \
            --out "$out/run" --batch 2 --seq 32 --steps 1 --validation-interval 0
        echo "{\"seconds\": $(awk "BEGIN { print ($(date +%s%N) - $from) / 1e9 }")}" >"$out/startup-$cache.json"
    done
    [ "$failed" -eq 0 ] || rm -f "$out"/startup-*.json
    rm -rf "$out/run" "$out/text" "$out/cold-cache"
    tell ""
}

# Every variant of every unit, forced, the depth in one piece, over the ways in which operands lie: result type, runs of a and b, copies.
probe() {
    number=$(device_number)
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
            tried=$((tried + 1))
            answer=$(TTM_OPENCL_MATRIX_UNITS=$name:$line TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_FP32=split \
                timeout 60 "$build/ttm-opencl-probe" "$(pwd)/$build/libttm-backend-opencl.so" "$number" "$data" "$@" 1 2>&1 | tail -n 1)
            [ "$answer" = passed ] || failed=$((failed + 1))
            echo "$name:$line  $way  ${answer:-no answer}"
        done
    done <"$out/variants"
    tell ""
}

# What the fast kernels take, against the reference.
conformance() {
    for unit in $units; do
        TTM_OPENCL_MATRIX_UNITS=$unit attempt 40 "conformance-$unit" "$build/tools/ttm-conformance" --backend "$device" --filter matmul --dtype bf16 --cases "$cases"
    done
    attempt 40 conformance-attention "$build/tools/ttm-conformance" --backend "$device" --filter 'attention*' --dtype bf16 --cases "$cases"
    tell ""
}

make() {
    [ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release || return 1
    ninja -C "$build" tools/ttm-bench tools/ttm-train tools/ttm-devices tools/ttm-conformance libttm-backend-opencl.so libttm-backend-reference.so \
        libttm-backend-cpu.so ttm-opencl-probe tests/opencl/list-unit-variants
}

if [ $# -eq 3 ]; then
    "$3"
    exit
fi
began=$(date +%s)
: >"$out/parts"
part 150 make
part 240 steps
part 60 products
part 45 cublas
part 75 packed
part 60 generation
part 70 kernels
part 60 startup
part 60 probe
part 60 conformance
python3 bench/h100_summary.py "$out" >"$out/summary.md" || echo "the summary failed"
cat "$out/summary.md"
