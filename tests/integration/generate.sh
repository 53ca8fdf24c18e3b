#!/bin/sh
# ttm-generate: the same seed gives the same text, beyond the context too; output is valid UTF-8; bad input.
. "$(dirname "$0")/common.sh"
generate="$TTM_TOOLS/ttm-generate"

"$TTM_TEST_PROGRAMS/markov_source" 3000 1 >text.txt 2>/dev/null
expect 0 "$train" $small --data text.txt --out run --steps 5

# sample FILE OPTION…: generates into FILE.
sample()
{
    file=$1
    shift
    expect 0 "$generate" --model run --prompt "Gr\303\274\303\237e" "$@"
    cp out "$file"
}

# Far beyond the context of 32 tokens.
sample a --seed 3 --max-tokens 150
sample b --seed 3 --max-tokens 150
sample c --seed 4 --max-tokens 150
cmp a b || fail "one seed gave two texts"
! cmp -s a c || fail "two seeds gave one text"
case $(cat a) in
Gr*) ;;
*) fail "the prompt doesn't come first" ;;
esac
iconv -f UTF-8 -t UTF-8 a >/dev/null || fail "the output isn't UTF-8"

# Every backend draws the same tokens from the same numbers.
for limits in "" "--top-k 20" "--top-p 0.8" "--top-k 30 --top-p 0.9"; do
    # shellcheck disable=SC2086 # several options
    sample elsewhere --seed 5 --max-tokens 60 --backend reference $limits
    # shellcheck disable=SC2086
    sample here --seed 5 --max-tokens 60 $limits
    cmp here elsewhere || fail "reference gave another text with '$limits'"
done

# However TT-matrices are multiplied, the most probable token is the same.
sample cached --temperature 0 --max-tokens 40 --tt cached
sample contract --temperature 0 --max-tokens 40 --tt contract
cmp cached contract || fail "contraction gave another text"
sample best --top-k 1 --max-tokens 40
cmp cached best || fail "top-k 1 isn't temperature 0"

# What --json says is what was printed.
expect 0 "$generate" --model run --prompt abc --seed 3 --max-tokens 12 --ignore-end --json
[ "$(json_value out generated_tokens)" = 12 ] || fail "12 tokens were asked for"
[ "$(json_value out prompt_tokens)" = 3 ] || fail "the prompt has 3 tokens"
expect 0 "$generate" --model run --prompt abc --max-tokens 0
[ "$(cat out)" = abc ] || fail "nothing was asked for"
expect 0 "$generate" --model run --prompt "" --max-tokens 3
expect 0 "$generate" --model run --prompt "$(cat text.txt)" --max-tokens 3 --verbose
grep -q 'tokens/s' err || fail "no speed"

# refuse CODE PATTERN ARGUMENT…: the message says PATTERN.
refuse()
{
    code=$1
    pattern=$2
    shift 2
    expect "$code" "$generate" "$@"
    one_line_error
    grep -q -- "$pattern" err || fail "the message doesn't say '$pattern': $(cat err)"
}
refuse 2 '--prompt' --model run
refuse 2 '--model' --prompt x
refuse 2 'temperature' --model run --prompt x --temperature -1
refuse 2 'top-p' --model run --prompt x --top-p 0
refuse 2 'max-tokens' --model run --prompt x --max-tokens -1
refuse 1 'nowhere' --model nowhere --prompt x
refuse 1 'no-such' --model run --prompt x --backend no-such
cp -rL run/latest bare
rm bare/tokenizer.json
refuse 2 '--tokenizer' --model bare --prompt x
expect 0 "$generate" --model bare --prompt x --tokenizer bytes --max-tokens 2
