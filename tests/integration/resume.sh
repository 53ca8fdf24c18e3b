#!/bin/sh
# A run that is stopped by SIGTERM or kill -9 at any step and resumed ends with the same bits as one
# that never stopped; so does one that is stopped again and again.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 40000 1 >text.txt 2>/dev/null
run="$train $small --steps 40 --accumulation 2 --dropout 0.1 --checkpoint-interval 6
    --validation-interval 5 --validation-windows 6 --data text.txt"
expect 0 $run --out whole
grep -q '"validation_loss"' whole/metrics.jsonl || fail "no validation"
[ "$(grep -c '"loss"' whole/metrics.jsonl)" -eq 40 ] || fail "not 40 steps in metrics.jsonl"

# stop_at SIGNAL STEP DIR COMMAND…: runs a command and sends it a signal after a step.
stop_at()
{
    signal=$1
    step=$2
    folder=$3
    shift 3
    "$@" >/dev/null 2>stop.err &
    pid=$!
    wait_for_step "$folder" "$step" $pid
    kill -"$signal" $pid 2>/dev/null || true
    status=0
    wait $pid 2>/dev/null || status=$?
}

# A sanitizer looks at the code, not at every step.
steps="1 7 18 29"
often="8 9 15 21 33"
if [ -n "${TTM_TEST_SANITIZED:-}" ]; then
    steps=7
    often="8 21"
fi
for step in $steps; do
    stop_at TERM $step term-$step $run --out term-$step
    [ $status -eq 0 ] || fail "exit status $status after SIGTERM: $(cat stop.err)"
    expect 0 "$train" --out term-$step --resume --quiet
    same_run whole term-$step

    stop_at KILL $step kill-$step $run --out kill-$step
    expect 0 $run --out kill-$step --resume
    same_run whole kill-$step
done

# SIGINT is like SIGTERM; a non-interactive shell ignores it in the background unless told otherwise.
stop_at INT 3 int sh -c 'trap - INT; exec "$@"' sh $run --out int
expect 0 "$train" --out int --resume --quiet
same_run whole int

# A second signal ends the program at once, also one of the other kind, while the step in which the first came goes on.
# shellcheck disable=SC2086
sh -c 'trap - INT; exec "$@"' sh ${run% --quiet*} ${run#*--quiet} --out twice --accumulation 1000000 >/dev/null 2>stop.err &
pid=$!
while kill -0 $pid && ! grep -q ' steps of ' stop.err; do
    sleep 0.02
done
kill -INT $pid
sleep 0.5
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status -eq 143 ] || fail "exit status $status after SIGINT and SIGTERM: $(cat stop.err)"

stop_at KILL 2 often $run --out often
for step in $often; do
    stop_at KILL $step often "$train" --out often --resume --quiet
done
expect 0 "$train" --out often --resume --quiet
same_run whole often
ls -A often | grep -q '\.ttm-' && fail "leftovers of killed processes: $(ls -A often)"

# Data that has moved is named again, and nothing else.
expect 0 $run --out part --validation-fraction 0.2 --steps 3
cp text.txt moved.txt
expect 0 "$train" --out part --resume --quiet --steps 5 --data moved.txt
grep -q '^{"step":5,' part/metrics.jsonl || fail "a run of moved data doesn't go on"

# Resuming a finished run does nothing and breaks nothing.
expect 0 "$train" --out whole --resume --quiet
same_run whole often
