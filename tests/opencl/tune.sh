#!/bin/sh
# Products by CLBlast, and on emulated matrix units, are tuned by measurement on PoCL: they stay right, and what was found
# survives the process, but not damage. The search is short: that it runs end to end is what is tested, not how far it gets, nor
# how fast anything is. Most tuning is tune-products', $1: ttm-bench measures roofs and orders of contraction besides.
tune_products=$1
. "$(dirname "$0")/common.sh"
need_device PoCL
# CLBlast's kernels, of which each combination has its own, take PoCL seconds to optimise and milliseconds to run.
export POCL_EXTRA_BUILD_FLAGS=-cl-opt-disable
export TTM_OPENCL_PRODUCTS=clblast
export TTM_TUNE_DIR="$folder/tuned"

conformance()
{
    TTM_LOG=$1 "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul --dtype f32 \
        --cases 8 --in-process > "$folder/out" 2>&1 || fail "conformance: $(tail -5 "$folder/out")"
}

TTM_LOG=info "$tune_products" opencl:PoCL 1 96x160x128 256x192x320 2> "$folder/err" || fail "tune: $(cat "$folder/err")"
grep 'Xgemm' "$folder/err"
grep -q 'Xgemm: ' "$folder/err" && grep -q 'XgemmDirect: ' "$folder/err" || fail "not both kernels were searched"

# One file, private, nothing beside it; the next process uses it, and computes what is right.
file=$(echo "$TTM_TUNE_DIR"/opencl-products-*.txt)
[ -f "$file" ] || fail "no file of tuned products"
[ "$(stat -c '%a %a' "$file" | cut -d ' ' -f 1)" = 600 ] || fail "the file isn't private"
[ "$(find "$TTM_TUNE_DIR" -name 'opencl-*' | wc -l)" = 1 ] || fail "temporary files stay behind"
cat "$file"
conformance debug
grep -q 'tuned products are used' "$folder/out" || fail "the next process doesn't use them"

# Bytes changed anywhere, lines that weren't written, a file cut off, one that others may write: each is one line, and products are as
# they were without it.
cp "$file" "$folder/good"
refuse()
{
    conformance warning
    [ "$(grep -c 'tuned products are ignored' "$folder/out")" = 1 ] || fail "$1: $(cat "$folder/out")"
    grep -q "$2" "$folder/out" || fail "$1: no '$2' in $(grep ignored "$folder/out")"
}
sed 's/^clblast-multiplies .*/clblast-multiplies 1/' "$folder/good" > "$file"
refuse "another number" 'damaged; run ttm-bench tune again'
sed 's/^sum /Xgemm GEMMK 7 KWID 5\n&/' "$folder/good" > "$file" # whatever the search has found
refuse "impossible values" damaged
head -c 300 "$folder/good" > "$file"
refuse "cut off" damaged
: > "$file"
refuse "empty" damaged
head -c 100000 /dev/urandom > "$file"
refuse "noise" 'File too large'
cp "$folder/good" "$file"
chmod 666 "$file"
refuse "writable by others" 'others may have written it'
rm "$file"
mkdir "$file"
refuse "a folder" 'others may have written it\|Is a directory'
rmdir "$file"

# Matrix units. What is tuned for one variant in so many pieces is written, and used by a process that may choose: for products of the
# class alone.
unset TTM_OPENCL_PRODUCTS POCL_EXTRA_BUILD_FLAGS
export TTM_TUNE_DIR="$folder/units" TTM_OPENCL_MATRIX_UNITS=emulated-mma
# tune_units VARIANT PIECES PRODUCT
tune_units()
{
    TTM_OPENCL_MATRIX_UNITS=emulated-mma:$1 TTM_OPENCL_PIECES=$2 TTM_LOG=info "$tune_products" opencl:PoCL 0.1 "$3" 2> "$folder/err" ||
        fail "tune: $(cat "$folder/err")"
}
# multiply PRODUCT: $folder/err says how.
multiply()
{
    TTM_LOG=debug "$TTM_TOOLS/ttm-bench" ops --backend opencl:PoCL --product "$1" --no-roofs --seconds 0.01 --quiet \
        > "$folder/out" 2> "$folder/err" || fail "ops: $(cat "$folder/err")"
}
tune_units 3 2 64x64x128:tn:bf16
tune_units 3 1 64x64x128:nt:bf16
file=$(echo "$TTM_TUNE_DIR"/opencl-products-*.txt)
wanted='as tuned: unit emulated-mma parts 1 result 2 runs 1 1 sizes 6 6 7 0 variant 64x64x32:32x32:2 pieces 2$'
[ "$(grep -c '^unit emulated-mma ' "$file")" = 2 ] || fail "not both classes are kept: $(cat "$file")"
multiply 70x64x150:tn:bf16
grep -q "$wanted" "$folder/err" || fail "the tuned plan isn't used: $(grep tuned "$folder/err")"
grep -q 'TILE_DEPTH=32 .*STAGES=2 .*PIECES=1' "$folder/err" || fail "another kernel is used: $(grep built "$folder/err")"
multiply 64x64x128:nt:bf16
grep -q 'as tuned: .* runs 0 0 .* pieces 1$' "$folder/err" || fail "the other class isn't used: $(grep tuned "$folder/err")"
for other in 64x64x128:bf16 64x200x128:tn:bf16; do
    multiply $other
    grep -q 'as tuned' "$folder/err" && fail "$other isn't of a tuned class"
done

# ttm-bench hands the plugin the same product. A folder that can't be written to is an error with its name.
TTM_TUNE_DIR=/proc/nowhere TTM_LOG=info "$TTM_TOOLS/ttm-bench" tune --backend opencl:PoCL --product 64x64x128:tn:bf16 --rows 1 \
    --preset gpt2-tiny-ttm16 --seconds 0.01 --tune-seconds 0.1 --quiet > "$folder/out" 2> "$folder/err" &&
    fail "tuning into a folder that can't be made"
grep -q 'unit emulated-mma parts 1 result 2 runs 1 1 sizes 6 6 7 0 variant .* ms by rule' "$folder/err" || fail "another product: $(cat "$folder/err")"
grep -q "can't write tuned products to '/proc/nowhere" "$folder/err" || fail "$(cat "$folder/err")"

# Another plan for the class replaces the old one. Damage, variants that aren't there and units that aren't used cost one line, or nothing.
tune_units 2 1 64x64x128:tn:bf16
grep -q '^unit .* runs 1 1 .*variant 64x64x64:32x32:3 pieces 1$' "$file" || fail "the plan wasn't replaced: $(cat "$file")"
[ "$(grep -c '^unit ' "$file")" = 2 ] || fail "the old plan is kept too: $(cat "$file")"
cp "$file" "$folder/good"
for damage in 's/pieces 1$/pieces 0/' 's/pieces 1$/pieces 99999999999/' 's/variant 64x64x64/variant 64x65x64/' 's/^unit emulated-mma/unit nothing/' \
    's/sizes 6/sizes 7/'; do
    sed "$damage" "$folder/good" > "$file"
    multiply 64x64x128:tn:bf16
    [ "$(grep -c 'tuned products are ignored' "$folder/err")" = 1 ] || fail "$damage: $(grep tuned "$folder/err")"
    grep -q 'as tuned' "$folder/err" && fail "$damage: used all the same"
done
cp "$folder/good" "$file"
# Variants with packed operands or tensor maps, in clusters or not, and such whose slices overlap, are told from others of their shape, and used.
for plan in '18 packed-64x128x32:16x128:3 matmul_packed.cl' '34 overlapping-128x128x32:16x128:3 -DOVERLAPS=1' \
    '36 clusters-2x1-packed-128x128x16:16x128:5 -DCLUSTER_ROWS=2' '41 clusters-2x1-mapped-128x128x16:16x128:5 tensor_maps.cl'; do
    # shellcheck disable=SC2086  # words
    set -- $plan
    TTM_OPENCL_MATRIX_UNITS=emulated-wgmma:$1 TTM_OPENCL_PIECES=1 TTM_LOG=info "$tune_products" opencl:PoCL 0.1 64x128x64:nn:bf16 2> "$folder/err" ||
        fail "tune: $(cat "$folder/err")"
    grep -q "^unit emulated-wgmma .* variant $2 pieces [12]$" "$file" || fail "no plan with $2: $(cat "$file")"
    TTM_OPENCL_MATRIX_UNITS=emulated-wgmma multiply 64x128x64:nn:bf16
    grep -q "as tuned: .* variant $2" "$folder/err" || fail "the plan with $2 isn't used: $(grep tuned "$folder/err")"
    grep -q -e "$3" "$folder/err" || fail "another kernel is used: $(grep built "$folder/err")"
done
TTM_OPENCL_MATRIX_UNITS=emulated-dpas multiply 64x64x128:tn:bf16
grep -q 'as tuned' "$folder/err" && fail "another unit uses it"
multiply 64x64x128:tn:bf16
grep -q 'as tuned' "$folder/err" || fail "the file isn't used any more"

# add_entry LINE: what a GPU would have written behind all others, with a new sum.
add_entry()
{
    python3 - "$file" "$1" << 'END' || fail "can't write an entry"
import sys

def add(word, data):
    for byte in data:
        word = (word ^ byte) * 0x100000001b3 % 2**64
    return word

text = open(sys.argv[1], encoding='utf-8').read()
text = text[:text.index('sum ')] + sys.argv[2] + '\n'
data = text.encode() + b'\0'
first = add(0xcbf29ce484222325, data)
second = add(0x84222325cbf29ce4 ^ (first << 17 | first >> 47) % 2**64, data)
open(sys.argv[1], 'w', encoding='utf-8').write(f'{text}sum {first:016x}{second:016x}\n')
END
}

# f32 products are split where tuning has found that to be faster than all other kernels, which the emulation never is: nothing is kept, and
# what was kept is gone. What a GPU would have written is used for its class, but not where TTM_OPENCL_FP32 is strict.
splits()
{
    multiply "$1"
    grep -q 'as tuned: .* parts 3 ' "$folder/err" && grep -q 'PARTS=3' "$folder/err"
}
splits 64x64x256 && fail "split without being tuned"
add_entry 'unit emulated-mma parts 3 result 1 runs 0 1 sizes 6 6 8 0 variant 64x64x16:32x32:3 pieces 1'
splits 64x64x256 || fail "what was tuned isn't split: $(grep -e tuned -e built "$folder/err")"
splits 64x64x128 && fail "another class is split"
TTM_OPENCL_FP32=strict splits 64x64x256 && fail "strict splits"
add_entry 'unit emulated-wgmma parts 3 result 1 runs 0 1 sizes 6 6 8 0 variant halves-64x64x32:16x64:2 pieces 1'
TTM_OPENCL_MATRIX_UNITS=emulated-wgmma multiply 64x64x256
grep -q 'as tuned: .* parts 3 .* variant halves-64x64x32:16x64:2' "$folder/err" && grep -q 'HALVES=1' "$folder/err" ||
    fail "the plan with halves isn't used: $(grep -e tuned -e built "$folder/err")"
TTM_OPENCL_MATRIX_UNITS=emulated-wgmma TTM_OPENCL_FP32=parts multiply 64x64x256
grep -q 'HALVES=1' "$folder/err" && fail "halves where parts are asked for"
grep -q 'PARTS=3' "$folder/err" || fail "not split where parts are asked for: $(grep built "$folder/err")"
tune_units 5 1 64x64x256
grep -q 'not kept, other kernels are as fast' "$folder/err" || fail "the emulation was faster: $(cat "$folder/err")"
grep -q '^unit emulated-mma parts 3' "$file" && fail "what isn't faster is kept: $(cat "$file")"
splits 64x64x256 && fail "still split"
[ "$(grep -c '^unit ' "$file")" = 4 ] || fail "other classes are gone: $(cat "$file")"
TTM_OPENCL_FP32=fast "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul/1 --in-process > "$folder/out" 2>&1 &&
    fail "a wrong value passes"
grep -q "TTM_OPENCL_FP32 is 'fast'; use auto, split, parts or strict" "$folder/out" || fail "no line about a wrong value: $(cat "$folder/out")"

# Attention of f32 tensors is split unless tuning has found that to be slower, as the emulation is; each pass and type by itself.
export TTM_OPENCL_ATTENTION=emulated-mma TTM_OPENCL_MATRIX_UNITS=off
# attends PASS SEQ [DTYPE PARTS]: whether it is split, in so many parts.
attends()
{
    TTM_LOG=debug "$TTM_TOOLS/ttm-bench" ops --op "attention${1#forward}" --preset gpt2-small --batch 1 --seq "$2" --backend opencl:PoCL \
        --no-roofs --seconds 0.01 --quiet --dtype "${3:-fp32}" > "$folder/out" 2> "$folder/err" || fail "ops: $(cat "$folder/err")"
    grep -q "attention_.*matrix_units.*PARTS=${4:-3}" "$folder/err"
}
attends _backward 32 || fail "attention isn't split: $(grep built "$folder/err")"
TTM_OPENCL_FP32=strict attends _backward 32 && fail "strict splits attention"
add_entry 'attention emulated f32 backward head 64 sizes 5 5 3 plain'
attends _backward 32 && fail "attention is split that was found to be slower so"
TTM_OPENCL_FP32=split attends _backward 32 || fail "what is asked for isn't done"
attends _backward 16 || fail "attention of another class isn't split"
cp "$file" "$folder/good"
for damage in 's/head 64/head 65/' 's/ plain$/ mma/' 's/f32 backward/f32 sideways/' 's/emulated f32/emulated f16/'; do
    sed "$damage" "$folder/good" > "$file"
    attends _backward 32 || fail "$damage: used all the same"
    [ "$(grep -c 'tuned products are ignored' "$folder/err")" = 1 ] || fail "$damage: $(grep tuned "$folder/err")"
done
sed 's/^attention .*/attention emulated f32 backward head 64 sizes 5 5 3 mma/; /^sum /d' "$folder/good" > "$file"
echo 'sum ' >> "$file"
add_entry 'attention emulated f32 forward head 64 sizes 5 5 3 mma'
attends _backward 32 || fail "what was found to be faster split isn't"
TTM_LOG=info "$TTM_TOOLS/ttm-bench" tune --backend opencl:PoCL --preset gpt2-small --batch 1 --seq 32 --rows 1 --seconds 0.01 \
    --tune-seconds 60 --json > "$folder/tune.json" 2> "$folder/err" || fail "tune: $(cat "$folder/err")"
python3 - "$folder/tune.json" << 'END' || fail "the result lacks times of what was tuned"
import json
import sys
result = json.load(open(sys.argv[1], encoding='utf-8'))
before = result['tuned']['products_before_ns']
after = result['tuned']['products_after_ns']
names = [entry['name'] for entry in result['entries']]
print(f'attention: {before / 1e6:.2f} ms before, {after / 1e6:.2f} ms after')
sys.exit(not before > 0 or not after > 0 or 'attention, before' not in names or 'attention_backward, after' not in names)
END
for pass in forward backward; do
    for way in 'other kernels' mma; do
        grep -q "attention emulated f32 $pass .* plain: .* ms by $way" "$folder/err" || fail "no measurement: $(cat "$folder/err")"
    done
done
[ "$(grep -c '^attention emulated .* plain$' "$file")" = 2 ] || fail "what was found isn't kept: $(cat "$file")"
attends _backward 32 && fail "attention is still split"
# What is asked for by name is done so, but for f32 tensors, which TTM_OPENCL_FP32 is asked of.
add_entry 'attention emulated bf16 forward head 64 sizes 5 5 3 plain'
attends forward 32 bf16 1 || fail "attention of bf16 isn't on the unit that was asked for"
exit 0
