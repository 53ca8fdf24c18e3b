#!/bin/sh
# A disk that fills up while a checkpoint is written: one clear line, exit status 1, the checkpoint
# before stays whole, and the run goes on from it once there is room.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 20000 1 >text.txt 2>/dev/null
run="$train $small --steps 12 --checkpoint-interval 4 --validation-interval 0 --data text.txt"
expect 0 $run --out whole

weights=$(wc -c <whole/latest/model.safetensors)
moments=$(wc -c <whole/latest/optimizer.safetensors)
[ "$moments" -gt "$weights" ] || fail "the moments aren't the largest file"

# A limit on the size of files that lets the weights through and not the moments.
limit=$(((weights + moments) / 2 / 512))
expect 1 sh -c "ulimit -f $limit; exec \"\$@\"" sh $run --out limited
one_line_error
grep -q 'checkpoint of step 4' err || fail "the step isn't named: $(cat err)"
[ "$(ls -d limited/checkpoint-*)" = limited/checkpoint-000000 ] || fail "$(ls -A limited)"
ls -A limited | grep -q '\.ttm-' && fail "leftovers: $(ls -A limited)"
[ "$(readlink limited/latest)" = checkpoint-000000 ] || fail "latest has moved"
expect 0 "$train" --out limited --resume --quiet
same_run whole limited

# The same on a file system that is really full, where one can be mounted.
mkdir small
if mount -t tmpfs -o size=$(((weights * 2 + moments + 262144) / 1024))k none small 2>/dev/null; then
    trap 'status=$?; trap - EXIT; umount "$scratch/small"; rm -rf "$scratch"; exit $status' EXIT
    expect 1 $run --out small/run
    one_line_error
    grep -q 'No space left' err || fail "the reason isn't named: $(cat err)"
    [ -e small/run/latest/model.safetensors ] || fail "no checkpoint is left"
    mkdir moved
    cp -a small/run moved/run
    expect 0 "$train" --out moved/run --resume --quiet
    same_run whole moved/run
fi
