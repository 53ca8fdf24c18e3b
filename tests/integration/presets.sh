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

# The vocabulary follows the tokenizer.
expect 0 "$train" --preset gpt2-small --tokenizer bytes --dry-run --json
[ "$(json_value out parameters)" -eq $((124439808 - (50257 - 257) * 768)) ] ||
    fail "the vocabulary doesn't follow the tokenizer"
[ ! -e run ] && [ "$(ls)" = "$(printf 'err\nout')" ] || fail "a dry run left files: $(ls)"
