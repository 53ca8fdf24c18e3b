#!/bin/sh
# GPT-2 small on the CPU, libttm beside PyTorch, alternating:  sh bench/vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]
#
# BUILD is a release build folder, PYTHON an interpreter that has torch. Whole training steps (forward, backward, clipping, AdamW), B = 4,
# T = 512, all cores on both sides, in fp32 and, on processors with bf16 instructions, in bf16; one thread against all; then generation
# at batch 1 against the memory floor. OPENBLAS_CORETYPE is lifted for these runs. A round takes about ten minutes on two cores.
#   TTM_BENCH_COMPILE=0      without torch.compile, which takes most of the time
#   TTM_BENCH_DTYPES="fp32"  only these
#   TTM_BENCH_WRAP="flock F" a command that each measurement is run through
#   TTM_BENCH_FOLDER=F       keep raw results in folder F and add to those that are there
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]}")
python=${2:?usage: vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]}
rounds=${3:-3}
wrap=${TTM_BENCH_WRAP:-}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
results=${TTM_BENCH_FOLDER:-$scratch/results}
mkdir -p "$results"
dtypes=fp32
if grep -q -m 1 -w -E 'avx512_bf16|amx_bf16' /proc/cpuinfo; then
    dtypes="fp32 bf16"
fi
dtypes=${TTM_BENCH_DTYPES:-$dtypes}

# shellcheck disable=SC2046  # flags are words
cc -O3 -march=native -fopenmp bench/roofs.c -o "$scratch/roofs" $(pkg-config --cflags --libs openblas)
$wrap "$scratch/roofs" >>"$results/roofs"

# Random tokens of the whole vocabulary, as nanoGPT's .bin.
"$python" - "$scratch/random.bin" <<'END'
import random, struct, sys
random.seed(0)
tokens = [random.randrange(50257) for _ in range(200000)]
open(sys.argv[1], "wb").write(struct.pack("<%dH" % len(tokens), *tokens))
END

ours() { # ours PRESET DTYPE THREADS: one line of JSON
    rm -rf "$scratch/run"
    $wrap env ${3:+TTM_THREADS=$3} /usr/bin/time -f '%M' -o "$scratch/memory" "$build/tools/ttm-train" --preset "$1" --dtype "$2" \
        --data "$scratch/random.bin" --out "$scratch/run" --steps 5 --batch 4 --seq 512 --dropout 0 --accumulation 1 --validation-fraction 0 \
        --validation-interval 0 --checkpoint-interval 0 --quiet >/dev/null
    "$python" - "$scratch/run/metrics.jsonl" "$1" "$2" "${3:-}" "$(cat "$scratch/memory")" <<'END' >>"$results/steps"
import json, statistics, sys
path, preset, dtype, threads, memory = sys.argv[1:]
speeds = [json.loads(line)["tokens_per_second"] for line in open(path) if "tokens_per_second" in line][1:]
model = {"gpt2-small": "dense", "gpt2-small-ttm64": "ttm64"}[preset]
print(json.dumps({"program": "libttm" + (", 1 thread" if threads else ""), "model": model, "bf16": dtype == "bf16",
                  "tokens_per_second": statistics.median(speeds), "peak_mib": int(memory) / 1024}))
END
}

theirs() { # theirs MODEL DTYPE [--compile]
    # shellcheck disable=SC2046,SC2086  # options are words, or none
    set -- --model "$1" --steps 4 $([ "$2" = bf16 ] && echo --bf16) ${3:-}
    # A compiled model may not be had, for want of a compiler; the table then goes without it.
    $wrap "$python" bench/gpt2_pytorch.py "$@" >>"$results/steps" || echo "gpt2_pytorch.py $* failed" >&2
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    for dtype in $dtypes; do
        ours gpt2-small "$dtype"
        theirs dense "$dtype"
        ours gpt2-small-ttm64 "$dtype"
        theirs ttm64 "$dtype"
        if [ "${TTM_BENCH_COMPILE:-1}" = 1 ]; then
            theirs dense "$dtype" --compile
            theirs ttm64 "$dtype" --compile
        fi
        ours gpt2-small "$dtype" 1
        ours gpt2-small "$dtype"
    done
done
$wrap "$scratch/roofs" >>"$results/roofs"

# The run's folder holds a whole gpt2-small: generation is one pass over its weights for each token. The memory's speed drifts, so it is measured
# right before and after each try.
sh tools/fetch-gpt2-vocabulary.sh build-logs/vocabulary
for dtype in $dtypes; do
    $wrap sh -c '"$1/roofs" read >"$2/reads-$3"
        try=0
        while [ "$try" -lt "${TTM_BENCH_GENERATIONS:-7}" ]; do
            try=$((try + 1))
            "$4/tools/ttm-generate" --model "$1/run" --dtype "$3" --tokenizer build-logs/vocabulary/gpt2.tiktoken --prompt In --max-tokens 100 \
                --temperature 0 --ignore-end --json | tr -d "\n"
            echo
            "$1/roofs" read >>"$2/reads-$3"
        done' sh "$scratch" "$results" "$dtype" "$build" >"$results/generations-$dtype"
    # shellcheck disable=SC2046
    $wrap "$python" bench/gpt2_pytorch.py --generate 100 $([ "$dtype" = bf16 ] && echo --bf16) >"$results/pytorch-generation-$dtype"
done

"$python" bench/vs_pytorch_table.py "$results" "$(grep -m 1 'model name' /proc/cpuinfo | cut -d: -f2)"
