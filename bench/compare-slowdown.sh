#!/bin/sh
# Does `ttm-bench compare` find a slowdown of one op by a twentieth, and nothing where nothing changed?
#     sh bench/compare-slowdown.sh BUILD [TRIES [ROUNDS [OP]]]
# Measures ops of a small model (those with OP in their name; all: '') through a plugin that passes everything on to `cpu`, and once in
# every round through the same with GELU made 5 % slower by waiting: same program, same data, real ops. Each try has its own rounds, three
# results in turn. Prints one line a try and the score; fails unless the slowdown is found and named each time and at least 19 of 20
# identical pairs show no difference. Many ops need many rounds: their intervals hold together, so each is wider.
set -eu
build=$(realpath "${1:?usage: compare-slowdown.sh BUILD [TRIES [ROUNDS]]}")
tries=${2:-20}
rounds=${3:-24}
ops=${4-gel}
bench=$build/tools/ttm-bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
TTM_TEST_WRAPPED=$build/libttm-backend-cpu.so
TTM_BACKEND_PATH=$build/tests/integration:$build
TTM_TUNE_DIR=
TTM_THREADS=1 # threads that wait for each other measure what else the machine does
export TTM_THREADS TTM_TEST_WRAPPED TTM_BACKEND_PATH TTM_TUNE_DIR
gelu=6 # TTM_OP_GELU, as the plugin gets it

measure() # measure FILE OPCODE
{
    TTM_TEST_SLOW_OP=$2 TTM_TEST_SLOW_FACTOR=1.05 "$bench" ops --backend slowed --preset gpt2-tiny --batch 1 --seq 128 --op "$ops" --seconds 0.05 \
        --samples 31 --no-roofs --quiet --output "$1" --append
}
found=0
alike=0
try=0
while [ "$try" -lt "$tries" ]; do
    try=$((try + 1))
    rm -f a.json b.json slow.json
    round=0
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        # Each of the three is first as often as the others.
        case $((round % 3)) in
        0) measure a.json -1 && measure b.json -1 && measure slow.json $gelu ;;
        1) measure b.json -1 && measure slow.json $gelu && measure a.json -1 ;;
        *) measure slow.json $gelu && measure a.json -1 && measure b.json -1 ;;
        esac
    done
    if "$bench" compare a.json b.json >same.txt && grep -q '^no difference$' same.txt; then
        alike=$((alike + 1))
        same="no difference"
    else
        same=$(grep -E '^(slower|faster): ' same.txt | tr '\n' ' ')
    fi
    if ! "$bench" compare a.json slow.json >slow.txt && grep -q '^slower: op gelu, ' slow.txt &&
        [ "$(grep -c '^slower: ' slow.txt)" -eq 1 ]; then
        found=$((found + 1))
    fi
    slow=$(grep -E '^(slower|faster): ' slow.txt | tr '\n' ' ')
    echo "try $try: identical: $same; gelu 5% slower: ${slow:-nothing found} $(grep '^op gelu ' slow.txt | sed 's/.*  //')"
done
echo "slowdown found and named, and nothing else: $found of $tries; identical runs without a difference: $alike of $tries"
[ "$found" -eq "$tries" ] && [ $((alike * 20)) -ge $((tries * 19)) ]
