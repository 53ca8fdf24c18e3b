#!/bin/sh
# A training run of 200 steps on a device: training.sh NAME
# The losses are those of cpu within 1e-3, and a second run gives the same bits; bf16 runs natively.
. "$(dirname "$0")/common.sh"
need_device "$1"
write_text "$folder/text"

losses()
{
    sed -n 's/.*"step":\([0-9]*\),"loss":\([-0-9.e+]*\),.*/\1 \2/p' "$1/metrics.jsonl"
}

for run in first second; do
    train "opencl:$1" "$folder/$run" --steps 200 --quiet || fail "the $run run"
done
train cpu "$folder/cpu" --steps 200 --quiet || fail "the run on cpu"
for run in first second cpu; do
    losses "$folder/$run" > "$folder/$run.losses"
    [ "$(wc -l < "$folder/$run.losses")" = 200 ] || fail "$run: not 200 losses"
done
cmp -s "$folder/first.losses" "$folder/second.losses" || fail "two runs have different losses"
cmp -s "$folder/first/model.safetensors" "$folder/second/model.safetensors" ||
    fail "two runs have different weights"
paste -d ' ' "$folder/first.losses" "$folder/cpu.losses" | awk '
    { difference = $2 > $4 ? $2 - $4 : $4 - $2; if (difference > largest) largest = difference }
    END { printf "largest difference to cpu: %g\n", largest; exit largest > 1e-3 }' ||
    fail "the losses differ from those of cpu"

# In bf16 every op runs on the device, too, AdamW on bf16 moments among them.
train "opencl:$1" "$folder/bf16" --steps 4 --dtype bf16 --moments bf16 --profile > "$folder/out" 2>&1 ||
    fail "a run in bf16: $(tail -3 "$folder/out")"
grep -q 'nothing went through fallback' "$folder/out" || fail "not wholly on the device: $(cat "$folder/out")"

# Tokens are drawn on the device, and are those that cpu draws.
for limits in "" "--top-k 40 --top-p 0.9"; do
    for device in "opencl:$1" cpu; do
        # shellcheck disable=SC2086 # several options
        "$TTM_TOOLS/ttm-generate" --model "$folder/first" --prompt "The " --backend "$device" --seed 3 --max-tokens 60 $limits \
            > "$folder/text-${device%%:*}" 2> "$folder/out" || fail "generation on $device: $(cat "$folder/out")"
    done
    cmp -s "$folder/text-opencl" "$folder/text-cpu" || fail "another text than on cpu with '$limits'"
done
