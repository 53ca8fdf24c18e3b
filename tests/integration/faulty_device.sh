#!/bin/sh
# No test of ttm-conformance is one that can't fail: for each promise about devices, memory, streams and repeated ops a plugin
# that breaks it, and the case that says so.
. "$(dirname "$0")/common.sh"

# Filling every byte of the largest allocation, as this would, takes minutes.
unset MALLOC_PERTURB_
mkdir plugins
cp "$TTM_TEST_PROGRAMS/libttm-backend-faultydevice.so" plugins
TTM_FAULTY_BASE=$(realpath "$TTM_BACKEND_PATH/libttm-backend-reference.so")
TTM_BACKEND_PATH="$scratch/plugins:$TTM_BACKEND_PATH"
export TTM_FAULTY_BASE TTM_BACKEND_PATH
conformance="$TTM_TOOLS/ttm-conformance"

# Without a fault the plugin is right, with a queue, with writes that come late, and without.
for fault in none queues late; do
    for group in device memory streams threads ops errors/unknown; do
        expect 0 env TTM_FAULTY=$fault "$conformance" --backend faultydevice --filter "$group"
    done
done

# Nor does libttm free memory that a queue uses, not even where nobody waits for the last op.
printf 'abc abd abe %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 >text.txt
expect 0 "$train" $small --layers 1 --data text.txt --out run --steps 1 --batch 1 --backend reference
expect 0 env TTM_FAULTY=late "$TTM_TOOLS/ttm-generate" --backend faultydevice --model run --prompt abc --max-tokens 0
expect 0 env TTM_FAULTY=late "$TTM_TOOLS/ttm-eval" --backend faultydevice --model run --data text.txt
expect 0 env TTM_FAULTY=late "$train" $small --layers 1 --data text.txt --out late --steps 2 --batch 1 --sample-interval 1 \
    --backend faultydevice

# fails_cleanly COMMAND…: whichever call to the plugin fails, the tool ends with that as its message, and memory isn't freed before
# what was queued until then is done. For the first 45 calls, or all that there are.
fails_cleanly()
{
    call=1
    while [ "$call" -le 45 ]; do
        rm -rf made
        expect "0|1" env TTM_FAULTY=late TTM_FAULTY_CALL=$call "$@" --backend faultydevice
        [ -s err ] || break
        grep -q 'this call fails' err || fail "call $call fails, but the message is: $(cat err)"
        call=$((call + 1))
    done
    [ "$call" -gt 20 ] || fail "only $call calls: $*"
}
bench="$TTM_TOOLS/ttm-bench"
quickly="--quiet --no-roofs"
fails_cleanly "$TTM_TOOLS/ttm-generate" --model run --prompt abc --max-tokens 2
fails_cleanly "$TTM_TOOLS/ttm-eval" --model run --data text.txt --block 32
fails_cleanly "$TTM_TOOLS/ttm-eval" --model run --tokens "1 2 3" --logits made
fails_cleanly "$TTM_TOOLS/ttm-compress" --model run --out made --dense --quiet
fails_cleanly "$train" $small --layers 1 --data text.txt --validation-fraction 0 --out made --steps 1 --batch 1
fails_cleanly "$bench" ops $quickly --seconds 0.01 --samples 3 --product 4x4x4
fails_cleanly "$bench" devices --quiet --seconds 0.01 --samples 3 --op launch
fails_cleanly "$bench" generate $quickly --preset gpt2-tiny-ttm16 --layers 1 --prompt 3 --tokens 3

# found FAULT CASE TEXT: the case fails with this text.
found()
{
    expect 1 env TTM_FAULTY="$1" "$conformance" --backend faultydevice --filter "$2" --time-limit 30
    grep -q "^FAILED $2: .*$3" out || fail "$1 passes $2, or for another reason: $(cat out err)"
    tail -n 1 out | grep -q '^0 passed, 1 failed$' || fail "$1: $(cat out)"
    tested="$tested $2"
}
# A sanitizer finds leaks itself, when the process ends.
leaks()
{
    if [ -z "${TTM_TEST_SANITIZED:-}" ]; then
        found "$1" "$2" 'times leaves [0-9]* bytes of heap'
    else
        tested="$tested $2"
    fi
}
tested=
found moody device/info 'something else the second time'
found longinfo device/shorter_info 'device_info writes byte'
found closesall device/open_twice 'the device is closed'
leaks leakopen device/open_and_close
leaks leakstream device/streams_and_events
leaks leakalloc device/allocations
found exitcrash device/close 'when the device was closed: the process died of signal 6'
found aligned memory/round_trip "aren't those written"
found zerofails memory/zero_bytes 'nothing to write'
found overlap memory/separate 'not the [0-9]* that was written'
found borrows memory/source_is_free 'not the [0-9]* that was written'
found copies memory/copy 'after a copy byte'
found zeroes memory/zero 'after zeroing a part byte'
found moves memory/map 'another address the second time'
found boasts memory/largest 'not even a quarter'
found hoards memory/largest 'does memory_free give them back'
found wraps memory/too_large 'succeeds'
found overtakes streams/in_order 'that was written'
found onequeue streams/two_at_once "isn't what the op wrote"
found fewstreams streams/many 'no queue is free'
found drops streams/destroy_waits "isn't what the op wrote"
found nowait streams/synchronize_waits "isn't what the op wrote"
found eventless streams/event_orders "isn't what the op wrote"
found seconds streams/event_times 'are they nanoseconds'
found staging threads/memory 'that was written'
found mixes threads/ops 'gelu'
found accepts errors/unknown "an opcode that doesn't exist"
found claims ops/dtypes 'dtype_mask of device_info has f16'
found crowded ops/back_to_back 'gelu: .* differs when the op is queued twelve times'
found stale ops/rewritten 'gelu: .* differs when its inputs are written over'
found stale ops/reused 'gelu: .* differs in memory that was freed'
leaks leakop ops/leave_nothing

# These are all: a test that is added to the suite needs a fault here.
for group in device memory streams threads ops errors/unknown; do
    expect 0 "$conformance" --backend reference --list --filter "$group"
    for name in $(cut -d ' ' -f 1 out); do
        case "$tested " in
        *" $name "*) ;;
        *) fail "no plugin here breaks the promise of $name" ;;
        esac
    done
done

# A process that ends badly is one failed case, and the rest is told all the same.
expect 1 env TTM_FAULTY=exitcrash "$conformance" --backend faultydevice --filter gelu --json-file report.json
[ "$(tail -n 1 out)" = '60 passed, 1 failed' ] && grep -q '"name": "device/close"' report.json || fail "exitcrash: $(cat out err)"
