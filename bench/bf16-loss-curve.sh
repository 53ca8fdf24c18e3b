#!/bin/sh
# Trains one model in fp32, in fp32 with the plainest instruction set, which rounds elsewhere, and in bf16, on real text,
# and compares the loss curves: bf16 within 0.5 % of fp32 or exit status 1. What the two fp32 runs differ by is what the
# model makes of any rounding.
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

# train NAME DTYPE LEVEL OPTION…: losses, a line a step, to $work/NAME.losses. LEVEL: as TTM_CPU_LEVEL, or nothing.
train() {
    name=$1
    dtype=$2
    level=$3
    shift 3
    env ${level:+"TTM_CPU_LEVEL=$level"} "$build/tools/ttm-train" --preset gpt2-tiny --data "$text" --out "$work/$name" --steps $steps \
        --batch 8 --seq 128 --validation-interval 0 --quiet --dtype "$dtype" "$@"
    grep '"loss"' "$work/$name/metrics.jsonl" | sed 's/.*"loss":\([^,]*\),.*/\1/' >"$work/$name.losses"
    rm -rf "${work:?}/$name"
}

train fp32 fp32 "" "$@"
train control fp32 baseline "$@"
train bf16 bf16 "" "$@"
# Single steps of a model that is just leaving a plateau differ by more than the curves do: means over 50 steps count.
paste "$work/fp32.losses" "$work/control.losses" "$work/bf16.losses" | awk '
function size(x) { return x < 0 ? -x : x }
function larger(a, b) { return a > b ? a : b }
{
    for (i = 1; i <= 3; i++) sum[i] += $i
    worst = larger(worst, size($3 / $1 - 1))
    if (NR % 50 == 0) {
        control = sum[2] / sum[1] - 1
        bf16 = sum[3] / sum[1] - 1
        printf "steps %3d to %3d: %.4f in fp32, %.4f in bf16 (%+.3f %%; fp32 otherwise rounded %+.3f %%)\n", \
            NR - 49, NR, sum[1] / 50, sum[3] / 50, 100 * bf16, 100 * control
        worst_control = larger(worst_control, size(control))
        worst_mean = larger(worst_mean, size(bf16))
        split("", sum)
    }
} END {
    printf "largest difference: %.3f %% over 50 steps, %.3f %% in a single one; fp32 otherwise rounded: %.3f %% over 50 steps\n", \
        100 * worst_mean, 100 * worst, 100 * worst_control
    exit !(NR > 0 && worst_mean < 0.005)
}'
