#!/bin/sh
# Bad input: each case gives one clear line on stderr and exit status 1 or 2, and overwrites nothing.
. "$(dirname "$0")/common.sh"

"$TTM_TEST_PROGRAMS/markov_source" 20000 1 >text.txt 2>/dev/null
: >empty.txt
printf 'short' >short.txt
printf 'xyz' >odd.bin
head -c 400 /dev/zero >zeros.bin
printf '\377\377' | cat zeros.bin - >beyond.bin
head -c 1024 /dev/zero >header.bin
printf '\230\370\064\001\001\000\000\000\377\377\377\177' | dd of=header.bin conv=notrunc 2>/dev/null
printf 'secret' >unreadable.txt
chmod 000 unreadable.txt
mkdir folder occupied
printf 'mine' >occupied/config.json
printf '{"version": 1' >broken.json
expect 0 "$train" $small --data text.txt --out good --steps 2
cp -rL good/latest weights

# case CODES PATTERN ARGUMENTS…: the error says PATTERN.
count=0
case_of()
{
    codes=$1
    pattern=$2
    shift 2
    expect "$codes" "$train" "$@"
    one_line_error
    grep -q -- "$pattern" err || fail "the message doesn't say '$pattern': $(cat err)"
    [ ! -e new ] || fail "a folder was left by: $*"
    count=$((count + 1))
}
new="$small --out new --steps 2"

# Streams that are closed: what would be printed isn't written into a file that gets a stream's number.
# shellcheck disable=SC2086  # options are words
for streams in "2>&-" ">&- 2>&-" "<&- >&- 2>&-"; do
    rm -rf closed
    eval "$train --preset gpt2-tiny-ttm16 --layers 1 --width 32 --heads 2 --context 32 --batch 4 --data text.txt --out closed --steps 3e0 $streams" >out || true
    [ "$(grep -c '^{"step":.*}$' closed/metrics.jsonl)" -eq "$(wc -l <closed/metrics.jsonl)" ] && [ -s closed/metrics.jsonl ] ||
        fail "$streams: something else is in the metrics: $(cat closed/metrics.jsonl)"
done

# Data.
case_of 2 '--data' $new
case_of 1 'missing.txt' $new --data missing.txt
case_of 1 'empty.txt' $new --data empty.txt
case_of 1 'folder' $new --data folder
case_of 1 'token' $new --data short.txt
case_of 1 'odd.bin' $new --data odd.bin
case_of 1 '65535' $new --data beyond.bin
case_of 1 'header.bin' $new --data header.bin
case_of 1 'missing.txt' $new --data text.txt --validation-data missing.txt
case_of 1 'short\|token' $new --data text.txt --validation-data short.txt
[ "$(id -u)" -eq 0 ] || case_of 1 'unreadable.txt' $new --data unreadable.txt
truncate -s 4611686018427387904 huge.bin 2>/dev/null && case_of 1 'huge.bin' $new --data huge.bin
rm -f huge.bin

# Tokenizer and model.
case_of 1 'nowhere' $new --data text.txt --tokenizer nowhere
case_of 1 'broken.json' $new --data text.txt --tokenizer broken.json
case_of 2 '--tokenizer' --preset gpt2-small --out new --data text.txt
case_of 2 'no-such' --preset no-such --out new --data text.txt
case_of 2 '--preset' --out new --data text.txt
case_of 2 'seq 33' $new --data text.txt --seq 33
case_of 2 '7' $new --data text.txt --heads 7
case_of 2 'layers' $new --data text.txt --layers 65537
case_of 2 'heads' $new --data text.txt --heads 0
case_of 2 'dropout' $new --data text.txt --dropout -1
case_of 2 '--batch' $new --data text.txt --batch 1000000000
case_of 1 'use a smaller batch' $new --data text.txt --batch 1000000 --accumulation 1
case_of 2 '9x9' $new --data text.txt --tt mlp=9x9,9x9:4
case_of 2 'mlp' $new --data text.txt --tt mlp=0
case_of 2 'nothing' $new --data text.txt --tt nothing=16
for option in "--tt mlp=4" "--layers 2" "--heads 2" "--width 32" "--context 8" "--vocab-size 300" --zero-residual "--preset gpt2-tiny"; do
    case_of 2 "${option%% *} .*--model" --model weights --out new --data text.txt $option
    [ "$option" = "--preset gpt2-tiny" ] || case_of 2 "${option%% *}" --out good --resume $option
done
case_of 2 '--model .*--resume' --out good --resume --model weights
case_of 2 '--zero-residual .*--resume' $small --out good --resume --zero-residual
case_of 2 '--resume .*--dry-run' --out good --resume --dry-run
case_of 2 '--validation-fraction .*--validation-data' $new --data text.txt --validation-data text.txt --validation-fraction 0.5
case_of 1 'nowhere' --model nowhere --out new --data text.txt

# Weights.
damage()
{
    rm -rf damaged
    cp -r weights damaged
}
damage
head -c 1000 weights/model.safetensors >damaged/model.safetensors
case_of 1 'model.safetensors' --model damaged --out new --data text.txt --steps 1
damage
printf '\377\377\377\377\377\377\377\177' | dd of=damaged/model.safetensors conv=notrunc 2>/dev/null
case_of 1 'model.safetensors' --model damaged --out new --data text.txt --steps 1
damage
sed 's/"F32"/"I32"/' weights/model.safetensors >damaged/model.safetensors
case_of 1 'damaged' --model damaged --out new --data text.txt --steps 1
damage
sed 's/"n_embd": 32/"n_embd": 64/' weights/config.json >damaged/config.json
case_of 1 'damaged\|modes\|n_embd' --model damaged --out new --data text.txt --steps 1
damage
sed 's/"n_layer": 2/"n_layer": "two"/' weights/config.json >damaged/config.json
case_of 1 'n_layer' --model damaged --out new --data text.txt --steps 1
damage
rm damaged/model.safetensors
case_of 1 'model.safetensors' --model damaged --out new --data text.txt --steps 1

# Devices and options.
case_of '1|2' 'no-backend' $new --data text.txt --backend no-backend
case_of '1|2' '99' $new --data text.txt --device 99
case_of 2 'steps' $small --out new --data text.txt --steps 0
case_of 2 'steps.*at most 2147483647' $small --out new --data text.txt --steps 1e10
case_of 2 'steps.*whole' $small --out new --data text.txt --steps 1e-1
case_of 2 '--out' $small --out "" --data text.txt
case_of 2 'learning-rate' $new --data text.txt --learning-rate -1
case_of 2 'batch' $new --data text.txt --batch ten
case_of 2 'schedule' $new --data text.txt --schedule step
case_of 2 'no-such-option' $new --data text.txt --no-such-option

# The run's folder.
case_of 1 'occupied' $small --steps 2 --data text.txt --out occupied
[ "$(cat occupied/config.json)" = mine ] || fail "a file was overwritten"
case_of 1 'resume' $small --steps 2 --data text.txt --out good
case_of 1 'nowhere' --out nowhere/run $small --steps 2 --data text.txt
case_of 1 'new' --out new --resume
case_of 1 'empty.txt' --out empty.txt $small --steps 2 --data text.txt
case_of 2 'dropout' --out good --resume --dropout 0.5
case_of 1 'training data' --out good --resume --validation-data weights/config.json
printf 'changed' >>text.txt
case_of 1 'training data' --out good --resume --steps 4
case_of '1|2' 'batch' --out good --resume --batch 5

echo "$count cases"
