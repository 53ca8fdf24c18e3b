#!/bin/sh
# bf16 end to end: the loss curve is that of fp32 within 0.5 %, the memory is what was planned, a run
# that was stopped ends with the same bits, and its model is evaluated and continued in either type.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 60000 1 >text.txt 2>/dev/null
steps=60
[ -z "${TTM_TEST_SANITIZED:-}" ] || steps=12
run="$train $small --steps $steps --accumulation 2 --data text.txt --validation-interval $steps --dropout 0.1"

expect 0 $run --out fp32
expect 0 $run --out bf16 --dtype bf16 --json
[ "$(json_value out device_memory_bytes)" -eq "$(json_value out device_memory_peak_bytes)" ] ||
    fail "the device's peak isn't the plan: $(cat out)"
grep -q '"host_fallback' out && fail "ops went to the host: $(cat out)"
grep '"loss"' fp32/metrics.jsonl | sed 's/.*"loss":\([^,]*\),.*/\1/' >fp32.losses
grep '"loss"' bf16/metrics.jsonl | sed 's/.*"loss":\([^,]*\),.*/\1/' >bf16.losses
[ "$(wc -l <bf16.losses)" -eq "$steps" ] || fail "not $steps losses"
paste fp32.losses bf16.losses | awk '{
    d = ($2 - $1) / $1; d = d < 0 ? -d : d
    if (d > worst) worst = d
    if ($1 != $2) differs = 1
} END { print "largest difference of losses", worst; exit !(differs && worst < 0.005) }' ||
    fail "the losses of bf16 aren't those of fp32 within 0.5 %, or are the very same"

# Half the moments' memory, and the same bits after a stop.
moments="$run --dtype bf16 --moments bf16 --checkpoint-interval 4"
expect 0 $moments --out whole
$moments --out stopped >/dev/null 2>stop.err &
pid=$!
wait_for_step stopped 6 $pid
kill -KILL $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
expect 0 "$train" --out stopped --resume --quiet
same_run whole stopped
expect "1|2" "$train" --out stopped --resume --quiet --dtype fp32
one_line_error
expect 0 "$train" --out stopped --resume --quiet --dtype auto
expect 0 $train $small --dry-run --json --dtype bf16
narrow=$(json_value out moment_bytes)
expect 0 $train $small --dry-run --json --dtype bf16 --moments bf16
[ "$((2 * $(json_value out moment_bytes)))" -eq "$narrow" ] || fail "moments aren't halved"

for dtype in fp32 bf16; do
    expect 0 "$TTM_TOOLS/ttm-eval" --model bf16 --data text.txt --max-tokens 4000 --dtype $dtype --json
    json_value out loss >$dtype.loss
    expect 0 "$TTM_TOOLS/ttm-generate" --model bf16 --prompt a --max-tokens 20 --dtype $dtype
done
paste fp32.loss bf16.loss | awk '{ d = ($2 - $1) / $1; exit !(d != 0 && d < 0.002 && d > -0.002) }' ||
    fail "evaluation in bf16 isn't near that in fp32: $(cat fp32.loss bf16.loss)"
