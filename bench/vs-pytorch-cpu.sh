#!/bin/sh
# GPT-2 small on the CPU, libttm beside PyTorch, alternating:  sh bench/vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]
#
# BUILD is a release build folder, PYTHON an interpreter that has torch. Whole training steps (forward, backward, clipping, AdamW), B = 4,
# T = 512, fp32, all cores on both sides; then generation at batch 1 against the memory floor. OPENBLAS_CORETYPE is lifted for these runs.
#   TTM_BENCH_COMPILE=1  also torch.compile (needs a C++ compiler; several minutes)
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]}")
python=${2:?usage: vs-pytorch-cpu.sh BUILD PYTHON [ROUNDS]}
rounds=${3:-3}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck disable=SC2046  # flags are words
cc -O3 -march=native -fopenmp bench/roofs.c -o "$scratch/roofs" $(pkg-config --cflags --libs openblas)
"$scratch/roofs" >"$scratch/roofs.json"

# Random tokens of the whole vocabulary, as nanoGPT's .bin.
"$python" - "$scratch/random.bin" <<'END'
import random, struct, sys
random.seed(0)
tokens = [random.randrange(50257) for _ in range(200000)]
open(sys.argv[1], "wb").write(struct.pack("<%dH" % len(tokens), *tokens))
END

ours() { # ours PRESET: one line of JSON
    rm -rf "$scratch/run"
    /usr/bin/time -f '%M' -o "$scratch/memory" "$build/tools/ttm-train" --preset "$1" --data "$scratch/random.bin" --out "$scratch/run" --steps 5 \
        --batch 4 --seq 512 --dropout 0 --accumulation 1 --validation-fraction 0 --validation-interval 0 --checkpoint-interval 0 --quiet >/dev/null
    "$python" - "$scratch/run/metrics.jsonl" "$1" "$(cat "$scratch/memory")" <<'END'
import json, statistics, sys
speeds = [json.loads(line)["tokens_per_second"] for line in open(sys.argv[1]) if "tokens_per_second" in line][1:]
print(json.dumps({"program": "libttm", "model": sys.argv[2], "tokens_per_second": statistics.median(speeds), "peak_mib": int(sys.argv[3]) / 1024}))
END
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    ours gpt2-small >>"$scratch/results"
    "$python" bench/gpt2_pytorch.py --model dense --steps 4 >>"$scratch/results"
    ours gpt2-small-ttm64 >>"$scratch/results"
    "$python" bench/gpt2_pytorch.py --model ttm64 --steps 4 >>"$scratch/results"
    if [ -n "${TTM_BENCH_COMPILE:-}" ]; then
        "$python" bench/gpt2_pytorch.py --model dense --compile --steps 4 >>"$scratch/results"
        "$python" bench/gpt2_pytorch.py --model ttm64 --compile --steps 4 >>"$scratch/results"
    fi
done
"$scratch/roofs" >>"$scratch/roofs.json"

# The run's folder holds a whole gpt2-small: generation is one pass over its weights for each token. The memory's speed drifts, so it is measured
# right before and after each try.
sh tools/fetch-gpt2-vocabulary.sh build-logs/vocabulary
ours gpt2-small >/dev/null
"$scratch/roofs" read >"$scratch/reads"
round=0
while [ "$round" -lt "${TTM_BENCH_GENERATIONS:-7}" ]; do
    round=$((round + 1))
    "$build/tools/ttm-generate" --model "$scratch/run" --tokenizer build-logs/vocabulary/gpt2.tiktoken --prompt "In" --max-tokens 100 \
        --temperature 0 --ignore-end --json | tr -d '\n' >>"$scratch/generations"
    echo >>"$scratch/generations"
    "$scratch/roofs" read >>"$scratch/reads"
done

"$python" - "$scratch" "$(grep -m 1 'model name' /proc/cpuinfo | cut -d: -f2)" <<'END'
import collections, json, statistics, sys
folder, cpu = sys.argv[1:3]
results = collections.OrderedDict()
for line in open(folder + "/results"):
    entry = json.loads(line)
    compiled = " torch.compile" if entry.get("compile") else ""
    results.setdefault((entry["program"] + compiled, entry["model"].replace("gpt2-small-", "").replace("gpt2-small", "dense")), []).append(entry)
roofs = [json.loads(line) for line in open(folder + "/roofs.json")]
print(f"{cpu.strip()}, {roofs[0]['threads']} threads, {roofs[0]['blas']}")
print("roofs, before and after:", *(f"read {r['read_gb_per_s']} GB/s, SGEMM " + " · ".join(str(v) for k, v in r.items() if k.startswith("sgemm")) + " GFLOP/s;" for r in roofs))
print(f"{'program':34} {'model':8} {'tokens/s (each round)':34} {'median':>8} {'peak MiB':>9}")
for (program, model), entries in results.items():
    speeds = [e["tokens_per_second"] for e in entries]
    print(f"{program:34} {model:8} {' '.join('%.1f' % s for s in speeds):34} {statistics.median(speeds):8.1f} {max(e['peak_mib'] for e in entries):9.0f}")

def ratio(a, b, name):
    pairs = [x["tokens_per_second"] / y["tokens_per_second"] for x, y in zip(results[a], results[b])]
    print(f"{name}: {statistics.median(pairs):.2f} (rounds: {' '.join('%.2f' % p for p in pairs)})")

torch = [program for program, _ in results if program.startswith("pytorch")][0]
ratio(("libttm", "dense"), (torch, "dense"), "dense, libttm / PyTorch")
ratio(("libttm", "ttm64"), (torch, "ttm64"), "TTM-64, libttm / PyTorch")
ratio(("libttm", "ttm64"), ("libttm", "dense"), "libttm, TTM-64 / dense")
reads = [json.loads(line)["read_gb_per_s"] for line in open(folder + "/reads")]
tokens = [json.loads(line)["tokens_per_second"] for line in open(folder + "/generations")]
floors = [(before + after) / 2 * 1e9 / (4 * 124439808) for before, after in zip(reads, reads[1:])]
shares = [speed / floor for speed, floor in zip(tokens, floors)]
print(f"generation, gpt2-small, batch 1: {statistics.median(tokens):.1f} tokens/s; reading all weights once a token allows {statistics.median(floors):.1f};",
      f"share of the floor {statistics.median(shares):.2f} (each try: {' '.join('%.2f' % share for share in shares)})")
END
