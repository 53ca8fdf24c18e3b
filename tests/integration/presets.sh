#!/bin/sh
# --dry-run --json gives the published parameter totals, and TT shapes that fit them.
. "$(dirname "$0")/common.sh"

while read -r preset parameters; do
    expect 0 "$train" --preset "$preset" --dry-run --json
    counted=$(json_value out parameters)
    [ "$counted" = "$parameters" ] || fail "$preset has $counted parameters, not $parameters"
    bytes=$(json_value out memory_bytes)
    [ "$bytes" -gt $((parameters * 16)) ] || fail "$preset takes only $bytes bytes"
    grep -q '"tt"' out || fail "no tt"
done <<END
gpt2-small 124439808
gpt2-small-ttm16 68085504
gpt2-small-ttm32 71756544
gpt2-small-ttm64 83606784
gpt2-small-ttm80 107698944
gpt2-medium 354823168
gpt2-medium-ttm72 218303488
END

# A plan that can't fit says so, and what to do.
expect 0 "$train" --preset gpt2-xl --batch 1048576 --seq 1024 --dry-run
grep -q 'more than the .* smaller --batch' out || fail "a plan of petabytes seems to fit: $(cat out)"
expect 0 "$train" --preset gpt2-tiny --dry-run
grep -q 'more than the' out && fail "a small plan seems not to fit: $(cat out)"

# The help knows the defaults of the trainer, and those of the published presets.
expect 0 "$train" --help
tr -s ' \n' ' ' <out >help
for text in 'of the whole run (default: 1000)' 'micro-batch (default: 16; gpt2-small: 4; gpt2-medium: 2)'; do
    grep -q -F -- "$text" help || fail "the help lacks '$text'"
done
rm help

# The vocabulary follows the tokenizer.
expect 0 "$train" --preset gpt2-small --tokenizer bytes --dry-run --json
[ "$(json_value out parameters)" -eq $((124439808 - (50257 - 257) * 768)) ] ||
    fail "the vocabulary doesn't follow the tokenizer"
[ ! -e run ] && [ "$(ls)" = "$(printf 'err\nout')" ] || fail "a dry run left files: $(ls)"
