#!/bin/sh
# Trains one model in fp32 and in bf16 on real text and compares the loss curves: within 0.5 % or exit status 1.
# Usage: bench/bf16-loss-curve.sh [BUILD [TEXT [OPTION…]]]
# TEXT: by default the King James Bible of Debian's package bible-kjv. OPTIONs go to ttm-train and come last, so that
# they may name another preset or seed.
set -eu
build=${1:-build}
text=${2:-}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
work=$(mktemp -d "${TMPDIR:-/tmp}/ttm-curve-XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "$text" ]; then
    command -v bible >/dev/null || { echo "install bible-kjv, or give a text" >&2; exit 1; }
    text=$work/text.txt
    bible -f gen1:1-rev22:21 </dev/null | sed 's/^[^ ]*[0-9]*:[0-9]* //' >"$text"
fi
steps=500
for dtype in fp32 bf16; do
    "$build/tools/ttm-train" --preset gpt2-tiny --data "$text" --out "$work/$dtype" --steps $steps \
        --batch 8 --seq 128 --validation-interval 0 --quiet --dtype $dtype "$@"
    grep '"loss"' "$work/$dtype/metrics.jsonl" | sed 's/.*"loss":\([^,]*\),.*/\1/' >"$work/$dtype.losses"
done
# Single steps of a model that is just leaving a plateau differ by more than the curves do: means over 50 steps count.
paste "$work/fp32.losses" "$work/bf16.losses" | awk '{
    d = ($2 - $1) / $1; d = d < 0 ? -d : d
    if (d > worst) worst = d
    a += $1; b += $2
    if (NR % 50 == 0) {
        m = (b - a) / a
        printf "steps %3d to %3d: %.4f in fp32, %.4f in bf16 (%+.3f %%)\n", NR - 49, NR, a / 50, b / 50, 100 * m
        m = m < 0 ? -m : m
        if (m > worst_mean) worst_mean = m
        a = b = 0
    }
} END {
    printf "largest difference: %.3f %% over 50 steps, %.3f %% in a single one\n", 100 * worst_mean, 100 * worst
    exit !(worst_mean < 0.005)
}'
