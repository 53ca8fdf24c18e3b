#!/bin/sh
# From a fresh Debian machine to two trained language models:  sh tools/quickstart.sh [TEXT-FILE]
#
# Installs what is needed, builds, and trains a dense and a TTM model of one width on a text, side by side (default: the King James
# Bible, from a Debian package). Prints sizes, perplexities and a sample of each. Takes under five minutes on two cores.
#   TTM_QUICKSTART_STEPS  how long each of the two models trains (default 600 steps, about a minute)
set -eu
text=${1:-}
case $text in
"" | /*) ;;
*) text=$PWD/$text ;; # as the caller sees it
esac
cd "$(dirname "$0")/.."
steps=${TTM_QUICKSTART_STEPS:-600}
work=build/quickstart

if [ -n "$text" ] && { [ ! -f "$text" ] || [ ! -r "$text" ]; }; then
    echo "quickstart.sh: can't read '$text'; give a plain text file, or nothing for the default text" >&2
    exit 1
fi

echo "== 1. Install and build"
if [ -n "$text" ]; then
    sh tools/install-dependencies.sh build
else
    sh tools/install-dependencies.sh build text
fi
[ -f build/build.ninja ] || meson setup build -Dtests=false >/dev/null
ninja -C build | tail -n 1

rm -rf "$work"
mkdir -p "$work"
if [ -z "$text" ]; then
    text=$work/bible.txt
    bible -f gen1:1-rev22:21 </dev/null | sed 's/^[^ ]*[0-9]*:[0-9]* //' >"$text"
fi
bytes=$(wc -c <"$text")
if [ "$bytes" -lt 200000 ]; then
    echo "quickstart.sh: '$text' has $bytes bytes; a model needs at least 200000 to learn anything from" >&2
    exit 1
fi
# The last twentieth is kept apart: the models are judged by text that they have never seen.
held_out=$((bytes / 20))
head -c $((bytes - held_out)) "$text" >"$work/train.txt"
tail -c "$held_out" "$text" >"$work/held-out.txt"

echo "== 2. Learn a vocabulary of 1,024 tokens from $bytes bytes of text"
build/tools/ttm-tokenize train --vocab-size 1024 --out "$work/tokenizer" "$work/train.txt"

echo "== 3. Train a dense and a TTM model of the same width"
for model in gpt2-tiny gpt2-tiny-ttm16; do
    echo "-- $model"
    build/tools/ttm-train --preset "$model" --tokenizer "$work/tokenizer" --data "$work/train.txt" \
        --validation-data "$work/held-out.txt" --out "$work/$model" --steps "$steps" --batch 16 --seq 128 \
        --learning-rate 4e-3 --validation-interval 0 --checkpoint-interval 0
    build/tools/ttm-eval --model "$work/$model" --data "$work/held-out.txt" --block 128 --stride 64 --json >"$work/$model.json"
done

value() { # value FILE KEY: a number in a JSON file
    tr ',{}' '\n\n\n' <"$1" | sed -n "s/^ *\"$2\": *\\([0-9.eE+-]*\\).*/\\1/p" | head -n 1
}

echo
echo "== 4. Results on text that neither model has seen"
printf '%-18s %12s %14s %15s\n' model parameters perplexity 'bits per byte'
for model in gpt2-tiny gpt2-tiny-ttm16; do
    result=$work/$model.json
    printf '%-18s %12s %14.2f %15.3f\n' "$model" "$(value "$result" parameters)" "$(value "$result" perplexity)" \
        "$(value "$result" bits_per_byte)"
done
for model in gpt2-tiny gpt2-tiny-ttm16; do
    echo
    echo "-- A sample of $model:"
    build/tools/ttm-generate --model "$work/$model" --prompt "And it came to pass" --max-tokens 80 --temperature 0.8 --top-k 40 --seed 1
    echo
done
echo
echo "The models are in $work. Go on, in $PWD, with:  build/tools/ttm-generate --model $work/gpt2-tiny-ttm16 --prompt 'In the'"
