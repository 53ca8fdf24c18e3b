#!/bin/sh
# ttm-bench compare: a slowdown of one op by a twentieth is found and named; without one nothing is.
. "$(dirname "$0")/common.sh"
bench="$TTM_TOOLS/ttm-bench"
TTM_TEST_WRAPPED=$(find "${TTM_BACKEND_PATH%%:*}" -maxdepth 1 -name 'libttm-backend-reference.so')
TTM_BACKEND_PATH=$TTM_TEST_PROGRAMS:$TTM_BACKEND_PATH
TTM_TUNE_DIR=
TTM_TEST_STEADY=1
export TTM_TEST_WRAPPED TTM_BACKEND_PATH TTM_TUNE_DIR TTM_TEST_STEADY
gelu=6 # TTM_OP_GELU, as the plugin gets it

measure() # measure FILE [VARIABLE=VALUE…]
{
    file=$1
    shift
    expect 0 env "$@" "$bench" ops --backend slowed --preset gpt2-tiny --batch 1 --seq 64 --op e --seconds 0.02 --samples 9 --no-roofs \
        --quiet --output "$file" --append
}
round=0
while [ "$round" -lt 6 ]; do
    round=$((round + 1))
    measure a.json TTM_TEST_SLOW_OP=-1
    measure b.json TTM_TEST_SLOW_OP=-1
    measure slow.json TTM_TEST_SLOW_OP=$gelu TTM_TEST_SLOW_FACTOR=1.05
done
expect 0 "$bench" compare a.json b.json
grep -q '^no difference$' out || { cat out >&2; fail "two runs of one program differ"; }
expect 1 "$bench" compare a.json slow.json
grep -q '^slower: op gelu, +[45]' out || { cat out >&2; fail "the slowdown of gelu isn't named"; }
grep -q '^A difference shows from [0-9.]*% on in a typical entry, from [0-9.]*% on in op ' out || fail "it isn't said what would show"
[ "$(grep -c '^slower: ' out)" -eq 1 ] || { cat out >&2; fail "more than gelu is called slower"; }
# The other way round it is faster, which is no failure.
expect 0 "$bench" compare slow.json a.json
grep -q '^faster: op gelu, -' out || fail "the speed-up of gelu isn't named"
expect 1 "$bench" compare a.json slow.json --json
grep -q '"verdict": "slower"' out || fail "JSON without the verdict"
# Half the interval and the margin of 1 %.
awk -F'[:,]' '/"low"/ { low = $2 } /"high"/ { high = $2 } /"visible_difference"/ { n++; d = sqrt(high / low) * 1.01 - 1 - $2; bad += d > 1e-6 || d < -1e-6 }
    END { exit bad > 0 || n < 3 }' out || fail "JSON with a wrong visible_difference"

# What can't be compared is refused in one line.
expect 0 "$bench" ops --backend slowed --preset gpt2-tiny --batch 2 --seq 64 --op gelu --seconds 0.02 --no-roofs --quiet --output other.json
expect 1 "$bench" compare a.json other.json
one_line_error
grep -q 'not the same work: batch is 1' err || fail "the message doesn't say what differs: $(cat err)"
# Of a few values that jump nothing can be said, least of all in six digits.
printf '{"schema": "ttm-bench", "version": 1, "command": "ops", "entries": [{"group": "op", "name": "x", "samples_ns": [[1e6, 1.1e6, 9e6, 9.5e6, 1e7, 1.1e7]]}]}' >jumps.json
expect 0 "$bench" compare jumps.json jumps.json
grep -q 'from more than 1000% on in op x' out || fail "an interval of any width: $(cat out)"
