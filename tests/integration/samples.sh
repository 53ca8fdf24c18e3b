#!/bin/sh
# Samples on request: they are shown, and leave the bits of the training alone. So do --quiet, --json
# and where the run is started from.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 20000 1 >text.txt 2>/dev/null
run="$train --preset gpt2-tiny-ttm16 --layers 2 --width 32 --heads 2 --context 32 --batch 4 --steps 6
    --dropout 0.1 --data text.txt"
expect 0 $run --out plain --json --quiet
[ ! -s err ] || fail "--quiet isn't quiet: $(cat err)"
[ "$(json_value out step)" -eq 6 ] || fail "no summary: $(cat out)"

expect 0 $run --out sampled --sample-interval 2 --sample-tokens 20 --sample-prompt abc
[ "$(grep -c '^--- sample after step' err)" -eq 3 ] || fail "not three samples: $(cat err)"
grep -q '^step 6/6  loss' err || fail "no progress line: $(cat err)"
same_run plain sampled

# A resumed run may move to another device: a note, and no failure.
if [ "${TTM_BACKEND:-}" = cpu ]; then
    expect 0 "$train" --out plain --resume --steps 8 --quiet --backend reference
    grep -q 'reference' err || fail "the change of device isn't noted: $(cat err)"
fi
