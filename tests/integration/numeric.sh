#!/bin/sh
# A loss that turns NaN stops the run, says at which step, and keeps the last good checkpoint.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 20000 1 >text.txt 2>/dev/null
expect 1 "$train" $small --data text.txt --out run --steps 20 --learning-rate 1e30 --warmup 0 \
    --checkpoint-interval 1 --validation-interval 1
one_line_error
grep -q 'step [0-9]' err || fail "the step isn't named: $(cat err)"
[ -e run/latest/model.safetensors ] || fail "no checkpoint is left"
newest=$(readlink run/latest)
case $newest in
checkpoint-000000 | checkpoint-000001) ;;
*) fail "a bad checkpoint was kept: $newest" ;;
esac

# Weights with NaN are refused before training.
cp -rL run/checkpoint-000000 weights
size=$(wc -c <weights/model.safetensors)
printf '\377\377\377\377' | dd of=weights/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
expect 1 "$train" --model weights --data text.txt --out tuned --steps 2 --quiet
one_line_error
[ ! -e tuned ] || fail "a folder was left"
