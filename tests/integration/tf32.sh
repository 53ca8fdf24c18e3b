#!/bin/sh
# tf32 end to end on a device without it: one line says so, all bits are those of fp32, and a run that began in it is resumed in nothing else.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 30000 1 >text.txt 2>/dev/null
run="$train $small --steps 10 --data text.txt --validation-interval 5 --checkpoint-interval 3 --dropout 0.1 --quiet"
expect 0 $run --out fp32
[ ! -s err ] || fail "fp32 warns: $(cat err)"
expect 0 $run --out whole --dtype tf32
warned_of_tf32
same_run fp32 whole
grep -q '"dtype": "tf32"' whole/latest/trainer_state.json || fail "the run doesn't remember tf32"

# A run goes on in tf32, whether it is said again or not, and in nothing else.
$run --out stopped --dtype tf32 >/dev/null 2>&1 &
pid=$!
wait_for_step stopped 4 $pid
kill -KILL $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
expect 0 "$train" --out stopped --resume --quiet
warned_of_tf32
same_run whole stopped
expect 0 "$train" --out stopped --resume --quiet --dtype auto
warned_of_tf32
expect 0 "$train" --out stopped --resume --quiet --dtype tf32
for dtype in fp32 bf16; do
    expect "1|2" "$train" --out stopped --resume --quiet --dtype $dtype
    one_line_error
    grep -q "dtype is $dtype.*tf32" err || fail "resumed in $dtype: $(cat err)"
done
expect 0 $train $small --dry-run --json --dtype tf32
[ "$(json_value out dtype)" = tf32 ] || fail "the plan isn't in tf32: $(cat out)"
warned_of_tf32
tf32_bytes=$(json_value out memory_bytes)
expect 0 $train $small --dry-run --json
[ "$(json_value out memory_bytes)" = "$tf32_bytes" ] || fail "tf32 takes other memory than fp32"
expect 2 $train $small --dry-run --moments tf32
one_line_error

for dtype in fp32 tf32; do
    expect 0 "$TTM_TOOLS/ttm-eval" --model whole --data text.txt --max-tokens 2000 --dtype $dtype --json
    json_value out loss >$dtype.loss
    [ $dtype = fp32 ] || warned_of_tf32
    expect 0 "$TTM_TOOLS/ttm-generate" --model whole --prompt a --max-tokens 20 --dtype $dtype
    mv out $dtype.text
    [ $dtype = fp32 ] || warned_of_tf32
done
cmp fp32.loss tf32.loss && cmp fp32.text tf32.text || fail "tf32 isn't fp32 on this device"
