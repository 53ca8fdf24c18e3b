#!/bin/sh
# Compressing a trained model: exact where it says so, within the error that it tells where not, whole or not at all.
. "$(dirname "$0")/common.sh"

compress=$TTM_TOOLS/ttm-compress
"$TTM_TEST_PROGRAMS/markov_source" 40000 1 >text.txt 2>/dev/null
expect 0 $train --preset gpt2-tiny --layers 2 --width 32 --heads 2 --context 32 --batch 4 --quiet --tt "mlp=4x8,4x8,2x2:64" \
    --steps 40 --learning-rate 0.005 --validation-interval 0 --data text.txt --out run

# loss MODEL
loss()
{
    expect 0 "$TTM_TOOLS/ttm-eval" --model "$1" --data text.txt --max-tokens 3000 --json
    json_value out loss
}

# near A B LIMIT
near()
{
    awk -v a="$1" -v b="$2" -v limit="$3" 'BEGIN { d = a / b - 1; exit !(d <= limit && -d <= limit) }'
}

# errors FILE: the relative errors of a report
errors()
{
    sed -n 's/.*"relative_error": *\([-0-9.e+]*\).*/\1/p' "$1"
}
whole=$(loss run)

# Ranks that bonds can't carry, and back to dense matrices: the same model.
expect 0 "$compress" --model run --out clipped --clip --json
[ "$(json_value out parameters)" -lt "$(json_value out parameters_before)" ] || fail "nothing was clipped: $(cat out)"
[ "$(errors out | wc -l)" -eq 4 ] || fail "not four matrices"
errors out | awk '$1 > 1e-6 { bad = 1 } END { exit bad }' || fail "clipping isn't exact: $(cat out)"
near "$(loss clipped)" "$whole" 1e-5 || fail "clipping changes the loss"
expect 0 "$compress" --model run --out dense --dense
grep -q ' of .* parameters .*; model in dense' out || fail "no last line: $(cat out)"
grep -q in_modes dense/config.json && fail "a dense model with TT-matrices"
near "$(loss dense)" "$whole" 1e-5 || fail "dense matrices change the loss"
grep -q '"eos_token_id": 256' run/config.json && cmp -s run/config.json run/checkpoint-000040/config.json || fail "bytes without an end-of-text token"
grep -q '"bos_token_id": 256' dense/config.json || fail "the end-of-text token isn't the model's"
cmp -s run/tokenizer.json dense/tokenizer.json || fail "the tokenizer isn't the model's"
[ "$(ls dense)" = "$(printf 'config.json\nmodel.safetensors\ntokenizer.json')" ] || fail "other files: $(ls dense)"

# What was made dense has the ranks that it had: with its modes, nothing is lost.
expect 0 "$compress" --model dense --out again --tt "mlp=4x8,4x8,2x2:64" --json
errors out | awk '$1 > 1e-5 { bad = 1 } END { exit bad }' || fail "ranks that suffice lose something: $(cat out)"
near "$(loss again)" "$whole" 1e-4 || fail "ranks that suffice change the loss"

# The lower the rank, the larger the error, and the smaller the model; with modes of its own, a TT-matrix keeps them.
last=0
size=1000000000
for rank in 16 6 2; do
    expect 0 "$compress" --model run --out rank-$rank --rank $rank --json
    worst=$(errors out | sort -g | tail -n 1)
    awk -v last="$last" -v worst="$worst" 'BEGIN { exit !(worst > last && worst < 1) }' || fail "rank $rank: the error is $worst after $last"
    [ "$(json_value out parameters)" -lt "$size" ] || fail "rank $rank doesn't make it smaller"
    grep -q '"shape": "4x8,4x8,2x2:' out || fail "rank $rank has other modes: $(cat out)"
    last=$worst
    size=$(json_value out parameters)
done

expect 0 "$compress" --model dense --out large --rank 64 --quiet
grep -q 'warning: 4 of 4 matrices have as many parameters' err || fail "no word of a model that gets larger: $(cat out err)"
expect 0 "$compress" --model dense --out smaller --rank 8 --quiet
[ ! -s err ] || fail "a warning where the model gets smaller: $(cat err)"

# A budget is kept by each matrix, and so is an error.
expect 0 "$compress" --model dense --out budget --budget 0.4 --matrices all --json
awk '/"matrices"/ { on = 1 } on && /"parameters_before"/ { gsub(/[^0-9]/, ""); before = $0 } on && /"parameters":/ { gsub(/[^0-9]/, ""); count++; if ($0 > 0.4 * before) bad = 1 }
    END { exit !(count == 8 && !bad) }' out || fail "the budget isn't kept: $(cat out)"
expect 0 "$compress" --model dense --out within --rank 16 --error 0.3 --json
errors out | awk '$1 > 0.3 { bad = 1 } $1 > 0 { some = 1 } END { exit bad || !some }' || fail "the error isn't kept: $(cat out)"

# By layer: the others stay as they are. Training goes on from it.
expect 0 "$compress" --model dense --out mixed --tt "0/c_fc=8" --json
[ "$(errors out | wc -l)" -eq 1 ] && grep -q '"matrix": "mlp.c_fc"' out || fail "not one matrix: $(cat out)"
before=$(loss mixed)
expect 0 "$train" --model mixed --data text.txt --out tuned --steps 20 --batch 4 --quiet --validation-interval 0
awk -v before="$before" -v after="$(loss tuned)" 'BEGIN { exit !(after < before) }' || fail "training doesn't go on from a compressed model"

# Faults: one line, nothing written, what is there stays.
# wrong STATUS TEXT ARGUMENT…
wrong()
{
    status_wanted=$1
    text=$2
    shift 2
    expect "$status_wanted" "$compress" "$@"
    one_line_error
    grep -q -e "$text" err || fail "the message doesn't say '$text': $(cat err)"
    [ ! -e new ] && [ ! -e new.part ] || fail "something was left of: $*"
}
wrong 2 'one of --rank' --model dense --out new
wrong 2 'one of --rank' --model dense --out new --rank 4 --clip
wrong 2 '--matrices' --model run --out new --clip --matrices all
wrong 2 '--error' --model run --out new --dense --error 0.1
wrong 2 'rank' --model dense --out new --rank 0
wrong 2 'budget' --model dense --out new --budget 1.5
wrong 1 'budget\|rank 1' --model dense --out new --budget 1e-6
wrong 1 'nothing to clip' --model dense --out new --clip
wrong 1 'nothing to make dense' --model dense --out new --dense
wrong 1 'nowhere' --model nowhere --out new --rank 4
wrong 1 'nowhere' --model dense --out nowhere/new --rank 4
wrong '1|2' 'c_fc=' --model dense --out new --tt 'c_fc=3x5'
wrong 1 'is there already' --model dense --out clipped --rank 4
[ -f clipped/config.json ] || fail "what was there is gone"
mkdir damaged
cp dense/* damaged/
printf '\000\000\300\177' | dd of=damaged/model.safetensors bs=1 seek=$(($(wc -c <damaged/model.safetensors) - 4)) conv=notrunc 2>/dev/null
wrong 1 'damaged' --model damaged --out new --rank 4
mkdir new
expect 0 "$compress" --model dense --out new --rank 4 --quiet
[ "$(wc -l <out)" -eq 1 ] && [ -f new/config.json ] || fail "an empty folder isn't filled, or --quiet isn't: $(cat out)"

# Whoever stops listening, or stops it, finds nothing that wasn't there; neither does a link get in the way after all the work.
ls -A >before
"$compress" --model run --out unheard --rank 2 | head -c 0
ls -A | diff before - >/dev/null || fail "left behind: $(ls -A | diff before -)"
mkdir empty
ln -s empty link
expect 1 "$compress" --model dense --out link --rank 4
one_line_error
grep -q 'symbolic link' err && [ ! -s out ] || fail "told after the work: $(cat out err)"
expect 0 "$TTM_TOOLS/ttm-tokenize" train --vocab-size 300 --out vocabulary text.txt
expect 0 $train $small --layers 1 --tokenizer vocabulary --data text.txt --out other --steps 1
end=$("$TTM_TOOLS/ttm-tokenize" info --tokenizer vocabulary | sed -n 's/end_of_text //p')
grep -q "\"eos_token_id\": $end," other/config.json || fail "the end of text of another vocabulary isn't $end: $(cat other/config.json)"
