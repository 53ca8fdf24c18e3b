#!/bin/sh
# ttm-eval: perplexity that agrees with the logits it writes, whatever the batch; strides; bad input.
. "$(dirname "$0")/common.sh"
eval_tool="$TTM_TOOLS/ttm-eval"

"$TTM_TEST_PROGRAMS/markov_source" 3000 1 >text.txt 2>/dev/null
bytes=$(wc -c <text.txt)
expect 0 "$train" $small --data text.txt --out run --steps 20

# measure FILE OPTION…: evaluates the run into FILE.
measure()
{
    file=$1
    shift
    expect 0 "$eval_tool" --model run --json "$@"
    cp out "$file"
}

# close A B LIMIT: two numbers are equal to within a relative error.
close()
{
    awk -v a="$1" -v b="$2" -v limit="$3" \
        'BEGIN { d = a - b; if (d < 0) d = -d; m = b < 0 ? -b : b; exit !(d <= limit * m) }' ||
        fail "$1 and $2 differ by more than $3"
}

# A stride of the block leaves out the first token of each window, a smaller one only the very first.
measure whole.json --data text.txt
[ "$(json_value whole.json block)" = 32 ] || fail "the block isn't the context"
[ "$(json_value whole.json tokens)" -eq $((bytes - (bytes + 31) / 32)) ] || fail "tokens scored"
measure half.json --data text.txt --stride 16
[ "$(json_value half.json tokens)" -eq $((bytes - 1)) ] || fail "tokens scored with a stride"
awk -v a="$(json_value half.json loss)" -v b="$(json_value whole.json loss)" \
    'BEGIN { exit !(a < b + 0.05) }' || fail "more context made the loss worse"

# Bytes are tokens here, so that bits per byte follow from the loss.
loss=$(json_value whole.json loss)
close "$(json_value whole.json bits_per_byte)" \
    "$(awk -v x="$loss" 'BEGIN { printf "%.15g", x / log(2) }')" 1e-9
close "$(json_value whole.json perplexity)" \
    "$(awk -v x="$loss" 'BEGIN { printf "%.15g", exp(x) }')" 1e-9

# The batch is a matter of speed only, and so is how TT-matrices are multiplied.
for option in "--batch 1" "--batch 7" "--tt contract" "--tt cached"; do
    measure other.json --data text.txt $option
    close "$(json_value other.json loss)" "$loss" 1e-5
    [ "$(json_value other.json weights_hash)" = "$(json_value whole.json weights_hash)" ] ||
        fail "the weights' hash changed"
done

# The loss of a short text is that of the logits of its bytes.
head -c 20 text.txt >short.txt
measure short.json --data short.txt
tokens=$(od -An -v -tu1 short.txt | tr -s ' \n' '  ')
expect 0 "$eval_tool" --model run --tokens "$tokens" --logits logits.safetensors
header=$(od -An -tu4 -N4 logits.safetensors | tr -d ' ')
tail -c +$((header + 9)) logits.safetensors | od -An -v -tf4 -w4 >logits.txt
[ "$(wc -l <logits.txt)" -eq $((20 * 257)) ] || fail "the logits aren't 20 × 257"
expected=$(awk -v tokens="$tokens" '
    BEGIN { split(tokens, token, " ") }
    {
        row = int((NR - 1) / 257)
        sum[row] += exp($1)
        if ((NR - 1) % 257 == token[row + 2] && row < 19) target[row] = $1
    }
    END { for (row = 0; row < 19; row++) loss += log(sum[row]) - target[row]; printf "%.9g", loss / 19 }
' logits.txt)
close "$(json_value short.json loss)" "$expected" 1e-5
[ "$(json_value short.json tokens)" -eq 19 ] || fail "19 of 20 tokens can be scored"

# Bad input.
# refuse CODE PATTERN ARGUMENT…: the message says PATTERN.
refuse()
{
    code=$1
    pattern=$2
    shift 2
    expect "$code" "$eval_tool" "$@"
    one_line_error
    grep -q -- "$pattern" err || fail "the message doesn't say '$pattern': $(cat err)"
}
printf 'x' >one.txt
: >empty.txt
refuse 2 '--model' --data text.txt
refuse 2 '--data' --model run
refuse 2 '--tokens' --model run --data text.txt --tokens "1 2" --logits new.safetensors
refuse 2 '--logits' --model run --tokens "1 2"
for option in "--block 8" "--stride 4" "--batch 2" "--max-tokens 9" "--tokenizer bytes" --profile; do
    # shellcheck disable=SC2086  # options are words
    refuse 2 "${option%% *} .* --tokens" --model run --tokens "1 2" --logits new.safetensors $option
done
refuse 2 '--logits .* --tokens' --model run --data text.txt --logits new.safetensors
refuse 2 'block 33' --model run --data text.txt --block 33
refuse 2 'stride 17' --model run --data text.txt --block 16 --stride 17
refuse 2 'x7' --model run --tokens "1 x7" --logits new.safetensors
refuse 2 'no token' --model run --tokens " " --logits new.safetensors
refuse 1 '257' --model run --tokens "1 257" --logits new.safetensors
refuse 1 'context of 32' --model run --logits new.safetensors \
    --tokens "$(seq 1 33 | tr '\n' ' ')"
refuse 1 'missing.txt' --model run --data missing.txt
refuse 1 'empty.txt' --model run --data empty.txt
refuse 1 'at least 2' --model run --data one.txt
refuse 1 'nowhere' --model nowhere --data text.txt
refuse 1 'nowhere' --model run --data text.txt --tokenizer nowhere
refuse 1 'new/logits' --model run --tokens "1 2" --logits new/logits.safetensors
refuse 1 'no-such' --model run --data text.txt --backend no-such
[ ! -e new.safetensors ] || fail "a file was left"
