#!/bin/sh
# A generated source of known entropy rate: the validation loss of a small model, dense and TTM, comes
# within 0.05 nats of it, and not below what chance allows.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 400000 7 >text.txt 2>rate
rate=$(cat rate)
for preset in gpt2-tiny gpt2-tiny-ttm16; do
    expect 0 "$train" --preset $preset --layers 1 --width 64 --heads 2 --context 64 \
        --data text.txt --out "$preset" --steps 400 --batch 16 --learning-rate 5e-3 \
        --weight-decay 0 --validation-windows 250 --validation-fraction 0.1 --quiet --json
    loss=$(json_value out validation_loss)
    echo "$preset: validation loss $loss, entropy rate $rate"
    awk -v loss="$loss" -v rate="$rate" \
        'BEGIN { exit !(loss - rate < 0.05 && loss - rate > -0.03) }' ||
        fail "$preset: validation loss $loss isn't within 0.05 of $rate"
done
