#!/bin/sh
# Outputs that are kept or computed again: the same training, other memory, and a run stays with what it began with.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 40000 1 >text.txt 2>/dev/null
run="$train $small --steps 10 --accumulation 2 --dropout 0.1 --checkpoint-interval 5 --validation-interval 0 --data text.txt --quiet --json"

# same_losses A B LIMIT
same_losses()
{
    for name in "$1" "$2"; do
        grep '"loss"' "$name/metrics.jsonl" | sed 's/.*"loss":\([^,]*\),.*/\1/' >"$name.losses"
    done
    [ "$(wc -l <"$1.losses")" -eq 10 ] || fail "not 10 losses in $1"
    paste "$1.losses" "$2.losses" | awk -v limit="$3" '{
        d = ($2 - $1) / $1; d = d < 0 ? -d : d
        if (d > worst) worst = d
    } END { print "largest difference of losses", worst; exit !(worst <= limit) }' ||
        fail "losses of $1 and $2 differ by more than $3"
}

for dtype in fp32 bf16; do
    for recompute in on off auto; do
        expect 0 $run --out $dtype-$recompute --dtype $dtype --recompute $recompute
        [ "$(json_value out device_memory_bytes)" -eq "$(json_value out device_memory_peak_bytes)" ] ||
            fail "$dtype, recompute $recompute: the device's peak isn't the plan: $(cat out)"
        json_value out device_memory_bytes >$dtype-$recompute.bytes
    done
    [ "$(cat $dtype-off.bytes)" -gt "$(cat $dtype-on.bytes)" ] || fail "keeping outputs takes no memory"
done
same_losses fp32-on fp32-off 1e-5
same_losses bf16-on bf16-off 1e-2
[ "$TTM_BACKEND" != cpu ] || same_run fp32-on fp32-auto

# A run goes on as it began; one that is older than the choice computed again.
for checkpoint in fp32-on fp32-off; do
    cp -R $checkpoint old-$checkpoint
    rm -rf old-$checkpoint/checkpoint-000010
    ln -sfn checkpoint-000005 old-$checkpoint/latest
done
expect 0 "$train" --out old-fp32-off --resume --quiet
same_run fp32-off old-fp32-off
expect "1|2" "$train" --out fp32-off --resume --quiet --recompute on
one_line_error
grep -q recompute err || fail "the message doesn't name the option: $(cat err)"
state=old-fp32-on/checkpoint-000005/trainer_state.json
sed 's/"moments": "fp32",/"moments": "fp32"/; /"logit_rows"/d; /"recompute"/d' $state >without
[ "$(wc -l <without)" -lt "$(wc -l <$state)" ] || fail "the state names no recompute"
cp without $state
expect 0 "$train" --out old-fp32-on --resume --quiet
same_run fp32-on old-fp32-on
