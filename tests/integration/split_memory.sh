#!/bin/sh
# On a device that allows small allocations only, everything is spread over several, and every bit of training, resuming, evaluating
# and generating is that of a device without limits. A single tensor that is too large is refused by name.
. "$(dirname "$0")/common.sh"
TTM_TEST_WRAPPED=${TTM_BACKEND_PATH%%:*}/libttm-backend-$TTM_BACKEND.so
TTM_BACKEND_PATH=$TTM_TEST_PROGRAMS:$TTM_BACKEND_PATH
TTM_BACKEND=slowed
export TTM_TEST_WRAPPED TTM_BACKEND_PATH TTM_BACKEND
"$TTM_TEST_PROGRAMS/markov_source" 40000 1 >text.txt 2>/dev/null

# limited BYTES COMMAND…: runs a command on a device that allows no larger allocation.
limited()
{
    (TTM_TEST_ALLOCATION=$1 && export TTM_TEST_ALLOCATION && shift && "$@")
}

# Less than a span of parameters: the norm is summed in another order, so without clipping, and TT-matrices lie in other groups,
# so without a reduction per step. On every real device a span fits, and nothing differs (the large model below).
model="--preset gpt2-tiny --layers 4 --width 64 --heads 2 --context 32 --batch 4"
run="$train $model --data text.txt --steps 12 --clip-norm 0 --checkpoint-interval 5 --validation-windows 6 --quiet --json"
for kind in "" "--tt mlp=8" "--dtype bf16 --accumulation 2 --dropout 0.1"; do
    rm -rf whole parts
    # shellcheck disable=SC2086  # options are words
    expect 0 $run $kind --out whole
    # shellcheck disable=SC2086
    expect 0 limited 300000 $run $kind --out parts
    [ "$(json_value out device_memory_bytes)" -eq "$(json_value out device_memory_peak_bytes)" ] ||
        fail "$kind: the device's peak isn't the plan: $(cat out)"
    cmp whole/model.safetensors parts/model.safetensors || fail "$kind: the weights differ"
    cmp whole/latest/optimizer.safetensors parts/latest/optimizer.safetensors || fail "$kind: the moments differ"
done
expect 0 "$TTM_TOOLS/ttm-eval" --model whole --data text.txt --batch 4 --json
mv out whole.out
expect 0 limited 300000 "$TTM_TOOLS/ttm-eval" --model whole --data text.txt --batch 4 --json
grep -v seconds whole.out >a && grep -v seconds out >b && cmp a b || fail "another evaluation"
expect 0 "$TTM_TOOLS/ttm-generate" --model whole --prompt "the " --max-tokens 60 --seed 3
mv out whole.out
expect 0 limited 300000 "$TTM_TOOLS/ttm-generate" --model whole --prompt "the " --max-tokens 60 --seed 3
cmp out whole.out || fail "another text"

# More parameters than one span holds, with clipping; the second half is trained by a process that resumes.
run="$train --preset gpt2-tiny-ttm16 --vocab-size 66000 --tokenizer bytes --layers 2 --width 512 --heads 4 --context 32 --seq 16
    --batch 2 --accumulation 2 --data text.txt --learning-rate 0.01 --warmup 0 --schedule constant --validation-windows 1 --quiet"
[ -n "${TTM_TEST_SANITIZED:-}" ] || {
    expect 0 $run --out large --steps 2
    expect 0 limited 136000000 $run --out large-parts --steps 1
    expect 0 limited 136000000 "$train" --out large-parts --resume --steps 2 --quiet
    for folder in large large-parts; do
        metrics $folder | grep '"loss"' >$folder.losses
    done
    cmp large.losses large-parts.losses || fail "the losses or norms of the large model differ"
    cmp large/model.safetensors large-parts/model.safetensors || fail "the weights of the large model differ"
    cmp large/latest/optimizer.safetensors large-parts/latest/optimizer.safetensors || fail "its moments differ"
}

# What doesn't fit is refused in one line, before anything is allocated, by a dry run too.
refused()
{
    expected_text=$1
    shift
    expect 1 limited "$@"
    one_line_error
    grep -q -e "$expected_text" err || fail "no '$expected_text' in: $(cat err)"
}
tiny="$train $model --data text.txt --steps 1 --out refused"
for also in "" --dry-run; do
    refused "the parameters of 'transformer.wte.weight' take 65792 bytes, but a single allocation may have 60000 there; use a smaller" \
        60000 $tiny $also
    refused "the activations 'pre', f32 .128, 256., take 131072 bytes.* 100000 there; use a smaller batch or a shorter sequence" \
        100000 $tiny --vocab-size 300 $also
    refused 'matrices built from the TT cores of mlp.c_fc take 65536 bytes.* 65000 there' \
        65000 $tiny --tt mlp=8 --tokenizer bytes --vocab-size 250 --batch 1 --seq 8 $also
done
