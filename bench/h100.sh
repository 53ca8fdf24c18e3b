#!/bin/sh
# One session on an NVIDIA GPU, in calls of at most nine minutes:  sh bench/h100.sh OUT [PYTHON [PART…]]
#
# Builds a release and measures, the most valuable first: whole training steps beside PyTorch's in turn, products beside cuBLAS, generation, single kernels; tunes, and takes the steps
# again; conformance, start-up, products with packed operands, what the compiler says; proves the kernels on matrix units, each variant by itself; PyTorch compiled. All results go to
# the folder OUT, as JSON; OUT/parts has a line for each part, OUT/summary.md the tables (bench/h100_summary.py). A part that fails or takes too long
# doesn't stop the others, and no call takes longer than TTM_H100_SECONDS. What a call doesn't reach the next one with the same OUT does: parts that ended well aren't begun again,
# and measurements that are there aren't taken again. PARTs are those to run, whatever was before. All of it is some 34 minutes, four calls, the last of them for
# PyTorch compiled alone.
# PYTHON is an interpreter whose torch has CUDA; without CUDA what needs it is skipped.
#   TTM_H100_SECONDS=540         the longest time of a call
#   TTM_H100_ARCHIVE=FILE.tgz    after each part all of OUT, programs as the driver built them too, in one file
#   TTM_H100_BUILD=build-release the folder to build in; where nothing can be built, what was built there before is used
#   TTM_H100_DEVICE=opencl:PoCL  another device   TTM_H100_UNITS="emulated-mma"  other units to prove (default: "mma wgmma"; empty: none)
#   TTM_H100_SMALL=1             sizes for a processor: tries the script, measures nothing
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p "${1:?usage: h100.sh OUT [PYTHON [PART…]]}"
out=$(realpath "$1")
python=${2:-}
device=${TTM_H100_DEVICE:-opencl:NVIDIA}
units=${TTM_H100_UNITS-mma wgmma}
build=${TTM_H100_BUILD:-build-release}
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$out/cache}"
export TTM_TUNE_DIR="$out/untuned"
# A kernel that hangs is given up soon, and what the driver refuses is kept.
export TTM_OPENCL_PROBE_SECONDS="${TTM_OPENCL_PROBE_SECONDS:-30}" TTM_OPENCL_KEEP_PTX="$out/refused"
mkdir -p "$out/refused"
bench="$build/tools/ttm-bench"
if [ -n "${TTM_H100_SMALL:-}" ]; then
    preset=gpt2-tiny-ttm16 dense=gpt2-tiny-ttm16 generated=gpt2-tiny-ttm16 batch_bf16=2 batch_fp32=1 seq=32 ways=1 cases=3
    shapes="96x64x80 70x130x64" shapes_tf32="96x64x80" square=128x128x128
    steps=3 tokens=3 prompt=8 many=4 seconds=0.05 patience=3 tune_seconds=5
else
    preset=gpt2-small-ttm64 dense=gpt2-small generated=gpt2-small batch_bf16=16 batch_fp32=8 seq=1024 ways=8 cases=24
    shapes="8192x8192x8192 16384x3072x768 16384x768x3072 16384x50688x768 16384x2304x768 16384x768x768" square=4096x4096x4096
    shapes_tf32="4096x4096x4096 8192x3072x768 8192x768x3072 8192x50304x768"
    steps=10 tokens=64 prompt=64 many=64 seconds=0.5 patience=1 tune_seconds=75
fi

# In a container the file that names the driver's library is often missing.
find_driver() {
    case $device in *NVIDIA*) ;; *) return ;; esac
    if [ -n "${OCL_ICD_VENDORS:-}" ] || grep -q nvidia /etc/OpenCL/vendors/*.icd 2>/dev/null; then
        return
    fi
    for library in $(ldconfig -p 2>/dev/null | sed -n 's/.*=> \(.*libnvidia-opencl.so.1\)$/\1/p') /usr/local/nvidia/lib*/libnvidia-opencl.so.1 \
        /usr/lib/x86_64-linux-gnu/libnvidia-opencl.so.1; do
        if [ -e "$library" ]; then
            mkdir -p "$out/icd"
            echo "$library" >"$out/icd/nvidia.icd"
            export OCL_ICD_VENDORS="$out/icd"
            return
        fi
    done
}

# Everything in one file, which is replaced at once.
archive() {
    [ -n "${TTM_H100_ARCHIVE:-}" ] || return
    tar -czf "$TTM_H100_ARCHIVE.part" -C "$out" --exclude=./cold-cache --exclude=./run . 2>/dev/null
    mv "$TTM_H100_ARCHIVE.part" "$TTM_H100_ARCHIVE"
}

# part SECONDS NAME: runs the function of that name, output to OUT/NAME.log, one line to OUT/parts. timeout runs programs, not functions: the
# script runs itself. What a part starts knows when the part ends: its own timeouts must be over by then, for the part's can't reach them.
part() {
    left=$((${TTM_H100_SECONDS:-540} - $(date +%s) + began))
    limit=$(($1 < left ? $1 : left))
    if [ -z "$asked" ] && grep -q "^$2: status 0," "$out/parts" 2>/dev/null; then
        return
    fi
    case " ${asked:-$2} " in *" $2 "*) ;; *) return ;; esac
    if [ "$limit" -lt 10 ]; then
        echo "$2: not begun: no time is left" | tee -a "$out/parts"
        return
    fi
    start=$(date +%s)
    TTM_H100_UNTIL=$((start + limit - 3)) timeout -k 5 "$limit" sh bench/h100.sh "$out" "$python" --function "$2" >"$out/$2.log" 2>&1
    echo "$2: status $?, $(($(date +%s) - start)) s: $(tail -n 1 "$out/$2.log" | cut -c 1-140)" | tee -a "$out/parts"
    archive
}

# attempt SECONDS FILE COMMAND…: one measurement of a part, its standard output to OUT/FILE; says whether it succeeded, and counts.
tried=0
failed=0
attempt() {
    limit=$1
    file=$2
    shift 2
    tried=$((tried + 1))
    left=$((${TTM_H100_UNTIL:-9999999999} - $(date +%s)))
    limit=$((limit < left ? limit : left))
    if [ -s "$out/$file" ]; then
        echo "$file: measured before"
    elif [ "$limit" -lt 3 ]; then
        echo "$file: no time is left"
        failed=$((failed + 1))
    elif timeout -k 2 "$limit" "$@" >"$out/$file.part"; then
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

# Found out once: it takes seconds to load PyTorch.
has_cuda() {
    [ -n "$python" ] || return 1
    if [ ! -e "$out/cuda" ]; then
        "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null
        echo $? >"$out/cuda"
    fi
    [ "$(cat "$out/cuda")" = 0 ]
}
no_cuda="; skipped what needs PyTorch with CUDA"

# The device's number within opencl, for the probe.
device_number() {
    "$build/tools/ttm-devices" 2>/dev/null | grep -F "${device#opencl:}" | sed -n 's/.*opencl:\([0-9]*\).*/\1/p' | head -n 1
}

# What is there, and a first product: which unit takes it, and what is said of those that don't.
look() {
    nvidia-smi 2>/dev/null
    "$build/tools/ttm-devices" || return 1
    TTM_LOG=debug attempt 60 first-product.json "$bench" ops --backend "$device" --product "$square:nn:bf16" --no-roofs --seconds 0.05 --json
    tell ""
}

batch_of() {
    [ "$1" = bf16 ] && echo "$batch_bf16" || echo "$batch_fp32"
}

# train TYPE KIND: the arguments of ttm-bench for that step.
train() {
    [ "$2" = dense ] && model=$dense || model=$preset
    echo "train --backend $device --preset $model --dtype $1 --batch $(batch_of "$1") --seq $seq"
}

# pytorch TYPE KIND: the arguments of gpt2_pytorch.py for that step.
pytorch() {
    [ "$1" = fp32 ] && option='' || option=--$1
    echo "--device cuda --model $2 $option --batch $(batch_of "$1") --seq $seq --steps 8"
}

# Every kernel of the steps built and proven, three models at a time, so that no measurement waits for compilers.
prepare() {
    for kind in dense ttm64; do
        for type in bf16 fp32 tf32; do
            # shellcheck disable=SC2046  # arguments
            TTM_LOG=debug timeout -k 2 $((150 * patience)) "$bench" $(train $type $kind) --steps 3 --seconds 0.05 --json >/dev/null 2>"$out/prepare-$kind-$type.log" &
        done
        wait
    done
    for kind in dense ttm64; do
        for type in bf16 fp32 tf32; do
            tried=$((tried + 1))
            grep -q 'ttm-bench: error' "$out/prepare-$kind-$type.log" && failed=$((failed + 1))
            grep -h "aren't used\|error" "$out/prepare-$kind-$type.log"
        done
    done
    tell ""
}

# Whole steps on random tokens. Ours, PyTorch's as it comes, in tf32 with that allowed, ours: so both see the same clocks and temperatures.
steps() {
    without=$no_cuda
    has_cuda && without=
    for type in bf16 fp32 tf32; do
        for kind in dense ttm64; do
            # shellcheck disable=SC2046  # arguments
            {
                attempt $((45 * patience)) "step-$kind-$type-ours1.json" "$bench" $(train $type $kind) --steps $steps --seconds 1 --json
                [ -n "$without" ] || attempt 60 "step-$kind-$type-eager.json" "$python" bench/gpt2_pytorch.py $(pytorch $type $kind)
                attempt $((30 * patience)) "step-$kind-$type-ours2.json" "$bench" $(train $type $kind) --steps $steps --no-roofs --json
            }
        done
    done
    tell "$without"
}

# What was decided by reckoning, decided the other way: outputs computed again, logits in chunks as on a processor, attention by mma.sync, f32 products split
# over matrix units, in halves where they may be and without, and of tf32 models attention by other kernels.
choices() {
    # shellcheck disable=SC2046  # arguments
    {
        attempt $((30 * patience)) choice-recompute-on.json "$bench" $(train bf16 dense) --steps $steps --no-roofs --json --recompute on
        attempt $((30 * patience)) choice-logit-rows-1024.json "$bench" $(train bf16 dense) --steps $steps --no-roofs --json --logit-rows 1024
        [ -z "$units" ] || TTM_OPENCL_ATTENTION=${units%% *} attempt $((30 * patience)) choice-attention-mma.json "$bench" $(train bf16 dense) --steps $steps --no-roofs --json
        attempt $((30 * patience)) choice-as-decided.json "$bench" $(train bf16 dense) --steps $steps --no-roofs --json
        TTM_OPENCL_FP32="parts" attempt $((45 * patience)) choice-parts-dense.json "$bench" $(train fp32 dense) --steps $steps --no-roofs --json
        for kind in dense ttm64; do
            TTM_OPENCL_FP32="split" attempt $((45 * patience)) "choice-split-$kind.json" "$bench" $(train fp32 $kind) --steps $steps --no-roofs --json
            TTM_OPENCL_ATTENTION="off" attempt $((30 * patience)) "choice-tf32-$kind.json" "$bench" $(train tf32 $kind) --steps $steps --no-roofs --json
        done
    }
    tell ""
}

# The same steps by PyTorch compiled, but in tf32, for want of time: compiling takes most of it.
compiled() {
    if ! has_cuda; then
        echo "skipped: no PyTorch with CUDA"
        return 0
    fi
    for type in bf16 fp32; do
        for kind in dense ttm64; do
            # shellcheck disable=SC2046  # arguments
            attempt 120 "step-$kind-$type-compile.json" "$python" bench/gpt2_pytorch.py $(pytorch $type $kind) --compile
        done
    done
    tell ""
}

# All transposes that training uses: forward pass, gradient of the input, gradient of the weights. tf32 too; f32 as it is, and split over matrix units.
products() {
    for shape in $shapes; do
        for way in nn nt tn; do
            attempt 25 "product-$shape-$way-bf16.json" "$bench" ops --backend "$device" --product "$shape:$way:bf16" --no-roofs --seconds $seconds --json
        done
    done
    for shape in $shapes_tf32; do
        for way in nn nt tn; do
            attempt 25 "product-$shape-$way-tf32.json" "$bench" ops --backend "$device" --product "$shape:$way:tf32" --no-roofs --seconds $seconds --json
        done
    done
    for way in strict split parts; do
        TTM_OPENCL_FP32=$way attempt 25 "product-$square-nn-$way.json" "$bench" ops --backend "$device" --product "$square:nn:f32" --no-roofs --seconds $seconds --json
    done
    tell ""
}

# Packed operands beside operands as they are, both with their variants of 128 rows: on Hopper alone. A tile in the file's name, its stages, and whether
# it is packed, in halves or not, or has tensor maps, in clusters of so many groups or not, or its slices overlap. Of split f32, tf32's among it, all variants, on
# two shapes.
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
    # Those that nobody has seen run first.
    measure_variants "MAPPED|CLUSTER|HALVES"
    measure_variants .
    tell ""
}

# measure_variants PATTERN: those of wgmma whose options have it; `name`: the unit.
measure_variants() {
    line=-1
    while read -r unit options; do
        line=$((line + 1))
        echo "$options" | grep -q -E -e "$1" || continue
        case "$unit $options" in *wgmma*PARTS=[23]* | *wgmma*TILE_ROWS=128*) ;; *) continue ;; esac
        tile=$(echo "$options" | sed 's/.*TILE_ROWS=\([0-9]*\).*TILE_COLS=\([0-9]*\).*TILE_DEPTH=\([0-9]*\).*STAGES=\([0-9]*\).*/\1x\2x\3s\4/')
        case $options in
        *MAPPED=1*) tile=${tile}mapped$(echo "$options" | sed -n 's/.*CLUSTER_ROWS=\([0-9]*\).*CLUSTER_COLS=\([0-9]*\).*/\1x\2/p') ;;
        *CLUSTER_ROWS=*) tile=${tile}clusters$(echo "$options" | sed 's/.*CLUSTER_ROWS=\([0-9]*\).*CLUSTER_COLS=\([0-9]*\).*/\1x\2/')packed ;;
        *HALVES=1*) tile=${tile}halves ;;
        *PACKED=1*) tile=${tile}packed ;;
        *OVERLAPS=1*) tile=${tile}overlapping ;;
        esac
        case $options in
        *PARTS=[23]*)
            type=tf32
            case $options in *PARTS=3* | *HALVES=1*) type=f32 ;; esac
            for shape in $square "$(echo "$shapes" | cut -d " " -f 2)"; do
                TTM_OPENCL_FP32="split" TTM_OPENCL_MATRIX_UNITS=$name:$line attempt $((25 * patience)) "variant-$shape-$tile-$type.json" "$bench" ops \
                    --backend "$device" --product "$shape:nn:$type" --no-roofs --seconds 0.1 --json
            done
            ;;
        *)
            for shape in $shapes; do
                TTM_OPENCL_MATRIX_UNITS=$name:$line attempt $((25 * patience)) "variant-$shape-$tile.json" "$bench" ops --backend "$device" \
                    --product "$shape:nn:bf16" --no-roofs --seconds 0.1 --json
            done
            ;;
        esac
    done <"$out/variants"
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
    for shape in $shapes_tf32; do
        list="$list,$shape:nn:tf32,$shape:nt:tf32,$shape:tn:tf32"
    done
    attempt 60 cublas.jsonl "$python" bench/h100_cublas.py "$list"
    tell ""
}

generation() {
    without=$no_cuda
    has_cuda && without=
    for batch in 1 $many; do
        attempt 60 "generate-$batch-ours.json" "$bench" generate --backend "$device" --preset $generated --dtype bf16 --batch "$batch" --prompt $prompt \
            --tokens $tokens --no-roofs --json
        [ -n "$without" ] || attempt 40 "generate-$batch-eager.json" "$python" bench/gpt2_pytorch.py --device cuda --bf16 --generate $tokens --batch "$batch"
    done
    tell "$without"
}

# Kernels by themselves with cold caches, against the measured roofs; attention in tf32, that of f32 by other kernels, and by mma.sync too.
kernels() {
    for type in bf16 fp32; do
        for op in attention layer_norm cross_entropy adamw; do
            attempt $((25 * patience)) "kernel-$type-$op.json" "$bench" ops --backend "$device" --preset $dense --dtype $type --batch $batch_fp32 --seq $seq --op $op --cold \
                --seconds $seconds --json
        done
    done
    attempt $((25 * patience)) kernel-tf32-attention.json "$bench" ops --backend "$device" --preset $dense --dtype tf32 --batch $batch_fp32 --seq $seq --op attention \
        --cold --seconds $seconds --json
    TTM_OPENCL_FP32="strict" attempt $((25 * patience)) kernel-strict-attention.json "$bench" ops --backend "$device" --preset $dense --dtype fp32 --batch $batch_fp32 \
        --seq $seq --op attention --cold --seconds $seconds --json
    for type in bf16 tf32; do
        [ -z "$units" ] || TTM_OPENCL_ATTENTION=${units%% *} attempt $((25 * patience)) "kernel-$type-attention-${units%% *}.json" "$bench" ops --backend "$device" \
            --preset $dense --dtype $type --batch $batch_fp32 --seq $seq --op attention --cold --seconds $seconds --json
    done
    tell ""
}

# What the driver's compiler says of each kernel: registers, local memory, spills. They are proven by now.
registers() {
    for type in bf16 fp32; do
        # shellcheck disable=SC2046  # arguments
        XDG_CACHE_HOME=$out/verbose-cache CUDA_CACHE_DISABLE=1 TTM_OPENCL_OPTIONS=-cl-nv-verbose TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_LOG=debug \
            timeout -k 2 $((60 * patience)) \
            "$bench" $(train $type ttm64) --steps 3 --no-roofs --json 2>"$out/registers-$type.log" >/dev/null || failed=$((failed + 1))
        tried=$((tried + 1))
    done
    rm -rf "$out/verbose-cache"
    tell ""
}

# From the program's start to the end of its first step and checkpoint: with nothing built before, then again.
startup() {
    awk 'BEGIN { srand(1); for (i = 0; i < 40000; i++) printf "%c", 32 + int(rand() * 94) }' >"$out/text"
    export XDG_CACHE_HOME="$out/cold-cache" POCL_CACHE_DIR="$out/cold-cache/pocl" CUDA_CACHE_PATH="$out/cold-cache/nv"
    rm -rf "$out/cold-cache"
    rm -f "$out"/startup-*.json "$out"/startup-*.log
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

# probe_one NAME WAY…: what the program that proves kernels says, in a file of its own.
probe_one() {
    file=$out/probes/$(echo "$*" | tr -c 'a-z0-9\n' _)
    [ -s "$file" ] && return
    left=$((${TTM_H100_UNTIL:-9999999999} - $(date +%s)))
    [ "$left" -ge 3 ] || return
    probed=$1
    shift
    answer=$(TTM_OPENCL_MATRIX_UNITS=$probed TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_FP32=split \
        timeout -k 2 $((left < 60 ? left : 60)) "$build/ttm-opencl-probe" "$(pwd)/$build/libttm-backend-opencl.so" "$number" "$@" 1 2>&1 | tail -n 1)
    echo "$probed  $*  ${answer:-no answer}" >"$file"
}

# Every variant of every unit, forced, the depth in one piece, over the ways in which operands lie: result type, runs of a and b, copies. Half as many at a time
# as there are processors: most of it is compiling.
probe() {
    number=$(device_number)
    line=-1
    running=0
    most=$(($(nproc) / 2))
    mkdir -p "$out/probes"
    "$build/tests/opencl/list-unit-variants" >"$out/variants" || return 1
    while read -r unit options; do
        line=$((line + 1))
        case " $units " in
        *" $unit "*) name=$unit ;;
        *" emulated-$unit "*) name=emulated-$unit ;;
        *) continue ;;
        esac
        done_ways=0
        for way in "2 0 1 2 2" "2 0 0 2 2" "1 1 1 2 2" "1 1 0 2 2" "1 0 1 2 2" "2 1 0 0 2" "2 0 1 0 0" "1 1 1 0 0"; do
            [ "$done_ways" -lt "$ways" ] || break
            done_ways=$((done_ways + 1))
            # shellcheck disable=SC2086  # five numbers
            set -- $way
            case $options in
            *-DPARTS=3* | *-DHALVES=1*) set -- 1 1 "$2" "$3" "$(($4 < 1 ? $4 : 1))" "$(($5 < 1 ? $5 : 1))" ;;
            *-DPARTS=2*) set -- 6 1 "$2" "$3" "$(($4 < 1 ? $4 : 1))" "$(($5 < 1 ? $5 : 1))" ;; # TTM_TF32
            *) set -- 2 "$@" ;;
            esac
            tried=$((tried + 1))
            probe_one "$name:$line" "$@" &
            running=$((running + 1))
            if [ "$running" -ge "$most" ]; then
                wait
                running=0
            fi
        done
    done <"$out/variants"
    wait
    cat "$out/probes"/* 2>/dev/null
    failed=$((tried - $(cat "$out/probes"/* 2>/dev/null | grep -c 'passed$')))
    failed=$((failed > 0 ? failed : 0))
    tell ""
}

# What the fast kernels take, against the reference.
conformance() {
    for unit in $units; do
        TTM_OPENCL_MATRIX_UNITS=$unit attempt 90 "conformance-$unit" "$build/tools/ttm-conformance" --backend "$device" --filter matmul --dtype bf16 --cases "$cases"
    done
    for unit in $units; do
        for type in bf16 tf32; do
            TTM_OPENCL_ATTENTION=$unit attempt 60 "conformance-attention-$type-$unit" "$build/tools/ttm-conformance" --backend "$device" --filter 'attention*' \
                --dtype $type --cases "$cases"
        done
    done
    attempt 60 conformance-tf32 "$build/tools/ttm-conformance" --backend "$device" --filter matmul --dtype tf32 --cases "$cases"
    attempt 120 conformance-all "$build/tools/ttm-conformance" --backend "$device" --cases $((cases / 3))
    tell ""
}

# The best parameters and plans for these models' products and attention, in a folder of their own, and the steps with them.
tune() {
    export TTM_TUNE_DIR="$out/tuned"
    for type in fp32 bf16 tf32; do
        attempt $((tune_seconds + 40 * patience)) "tune-$type.json" "$bench" tune --backend "$device" --preset $dense --dtype $type --batch "$(batch_of $type)" --seq $seq \
            --rows 16 --tune-seconds $tune_seconds --seconds 0.1 --json
        for kind in dense ttm64; do
            # shellcheck disable=SC2046  # arguments
            attempt $((40 * patience)) "step-$kind-$type-tuned.json" "$bench" $(train $type $kind) --steps $steps --no-roofs --json
        done
    done
    tell ""
}

make() {
    [ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release || return 1
    ninja -C "$build" tools/ttm-bench tools/ttm-train tools/ttm-devices tools/ttm-conformance libttm-backend-opencl.so libttm-backend-reference.so \
        libttm-backend-cpu.so ttm-opencl-probe tests/opencl/list-unit-variants
}

find_driver
if [ "${3:-}" = --function ]; then
    "$4"
    exit
fi
began=$(date +%s)
asked=
if [ $# -gt 2 ]; then
    shift 2
    asked=$*
fi
part 150 make
part 90 look
part 240 prepare
part 420 steps
part 120 products
part 200 choices
part 70 cublas
part 120 generation
part 90 kernels
part 480 tune
part 240 conformance
part 90 startup
part 220 packed
part 120 registers
part 150 probe
part 400 compiled
python3 bench/h100_summary.py "$out" >"$out/summary.md" || echo "the summary failed"
archive
cat "$out/summary.md"
