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

# A model that knows nothing draws any bytes: whole characters are shown as they are, the rest can't steer a terminal.
expect 0 $run --out bytes --sample-interval 1 --sample-tokens 400 --sample-temperature 5 --sample-prompt "$(printf 'Gr\303\274\303\237e')"
iconv -f UTF-8 -t UTF-8 err >text-shown 2>iconv-says || fail "a sample isn't UTF-8: $(cat iconv-says)"
! LC_ALL=C tr -d '\n\t\040-\176\200-\377' <err | grep -q . || fail "control characters reach the terminal"
# U+0080 to U+009F are control characters of two bytes.
! LC_ALL=C grep -q "$(printf '\302[\200-\237]')" err || fail "control characters of two bytes reach the terminal"
[ "$(grep -c "^$(printf 'Gr\303\274\303\237e')" err)" -eq 6 ] || fail "a prompt in UTF-8 doesn't stay as it is"
grep -q "$(printf '\357\277\275')" err || fail "no bytes were replaced: the test draws too few"
same_run plain bytes

# Without anybody to show them to, none are made: they would cost time for nothing.
expect 0 $run --out profiled --sample-interval 2 --sample-tokens 20 --profile
grep -q '^sample ' err || fail "no samples in the profile: $(cat err)"
expect 0 $run --out quiet --sample-interval 2 --sample-tokens 20 --profile --quiet
! grep -q '^sample ' err || fail "samples are made for nobody: $(cat err)"
same_run plain quiet

# What can't be sampled is refused at the start, not at the first sample.
expect 2 "$train" --preset gpt2-tiny-ttm16 --layers 1 --width 32 --heads 2 --context 1 --batch 4 --steps 6 --data text.txt \
    --out short --sample-interval 2
one_line_error
grep -q 'sample-interval is 2, but a model with a context of 1' err || fail "a context of 1: $(cat err)"
[ ! -e short ] || fail "a run was begun that can't be sampled"
"$TTM_TOOLS/ttm-tokenize" encode --tokenizer bytes --out text.bin text.txt >/dev/null 2>&1 || fail "no tokens"
expect 1 "$train" --preset gpt2-tiny-ttm16 --layers 1 --width 32 --heads 2 --context 32 --vocab-size 300 --batch 4 --steps 6 --data text.bin \
    --out untold --sample-interval 2
one_line_error
grep -q 'without a tokenizer samples' err || fail "no tokenizer: $(cat err)"
[ ! -e untold ] || fail "a run was begun that can't be sampled"

# A resumed run may move to another device: a note, and no failure.
if [ "${TTM_BACKEND:-}" = cpu ]; then
    expect 0 "$train" --out plain --resume --steps 8 --quiet --backend reference
    grep -q 'reference' err || fail "the change of device isn't noted: $(cat err)"
fi
