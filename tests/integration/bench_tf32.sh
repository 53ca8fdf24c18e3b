#!/bin/sh
# ttm-bench in tf32: on a device without it as in fp32, with one warning; on one that has it its products, and they alone, are measured against
# their own roof.
. "$(dirname "$0")/common.sh"
bench="$TTM_TOOLS/ttm-bench"

briefly="--seconds 0.02 --samples 3"
model="--preset gpt2-tiny-ttm16 --layers 2 --batch 1 --seq 32"
expect 0 "$bench" ops $briefly --product 8x6x4:tf32,8x6x4:tn:tf32,8x6x4 --json
warned_of_tf32
for name in 8x6x4:tf32 8x6x4:tn:tf32 8x6x4; do
    grep -q "\"name\": \"matmul $name\"" out || fail "--product $name isn't measured"
done
grep -q 'product_f32_flops' out || fail "no roof for products in tf32: $(cat out)"
grep -q 'product_tf32_flops' out && fail "a roof of tf32 on a device without it"
grep -A 16 '"matmul 8x6x4:tf32"' out | grep -q '"roof_share"' || fail "products in tf32 aren't judged by f32's roof: $(cat out)"
expect 0 "$bench" ops $briefly $model --op matmul --dtype tf32 --no-roofs --quiet
warned_of_tf32
expect 0 env TTM_TUNE_DIR="$scratch/tune" "$bench" tune $briefly --preset gpt2-tiny-ttm16 --rows 1 --product 8x6x4:tf32 --dtype tf32 --quiet
warned_of_tf32
for type in tf32x TF32 tf; do
    expect 2 "$bench" ops $briefly --product 8x6x4:$type
    one_line_error
done

# A device whose products in tf32 take twenty times as long as those in f32: each is judged by its roof.
TTM_TEST_WRAPPED=$(find "${TTM_BACKEND_PATH%%:*}" -maxdepth 1 -name 'libttm-backend-reference.so')
TTM_BACKEND_PATH="$TTM_TEST_PROGRAMS:$TTM_BACKEND_PATH"
TTM_TEST_TF32=20
TTM_BACKEND=slowed
export TTM_TEST_WRAPPED TTM_BACKEND_PATH TTM_TEST_TF32 TTM_BACKEND
# judged FILE GROUP NAME ROOF: an entry's floor is the largest of those of products by this roof, of memory and of launches.
judged()
{
    awk -v group="\"group\": \"$2\"" -v name="\"name\": \"$3\"" -v roof="\"product_$4_flops\"" '
        { number = $2; sub(/,$/, "", number) }
        index($0, roof) { flops = number }
        index($0, "\"memory_bytes_per_second\"") { memory = number }
        index($0, "\"launch_ns\"") { launch = number }
        index($0, "\"group\":") { here = index($0, group) }
        index($0, "\"name\":") { here = here && index($0, name) }
        here && $1 == "\"operations\":" { operations = number }
        here && $1 == "\"bytes\":" { bytes = number }
        here && $1 == "\"floor_ns\":" { floor = number }
        here && $1 == "\"calls\":" { calls = number }
        END {
            expected = 1e9 * operations / flops
            expected = 1e9 * bytes / memory > expected ? 1e9 * bytes / memory : expected
            expected = launch * calls > expected ? launch * calls : expected
            exit !(floor > 0 && floor / expected > 0.999 && floor / expected < 1.001)
        }' "$1" || fail "$3 in $1 isn't judged by the roof of $4"
}
expect 0 "$bench" ops $briefly --product 64x64x64:tf32,64x64x64 --quiet --output products.json
[ ! -s err ] || fail "a device with tf32 is warned of: $(cat err)"
judged products.json op 'matmul 64x64x64:tf32' tf32
judged products.json op 'matmul 64x64x64' f32
awk '/"product_f32_flops"/ { f32 = $2 + 0 } /"product_tf32_flops"/ { tf32 = $2 + 0 } END { exit !(tf32 > 0 && tf32 < f32 / 3) }' products.json ||
    fail "the roof of tf32 isn't of tf32: $(grep product_ products.json)"
expect 0 "$bench" ops $briefly $model --dtype tf32 --op m --quiet --output ops.json
judged ops.json op 'matmul mlp.c_fc dW' tf32
judged ops.json op 'norm_matmul mlp.c_fc of one row' f32
expect 0 "$bench" layer $briefly --preset gpt2-tiny-ttm16 --rows 16 --dtype tf32 --quiet --output layer.json
judged layer.json layer 'dense forward, 16 rows' tf32
judged layer.json layer 'TT forward and backward, W built, 16 rows' tf32
judged layer.json layer 'TT forward, tt_linear, 16 rows' f32
expect 0 "$bench" train $briefly $model --steps 3 --dtype tf32 --quiet --output step.json
[ ! -s err ] || fail "a device with tf32 is warned of: $(cat err)"
grep -q '"dtype": "tf32"' step.json && grep -q '"shapes": ".*tf32 \[' step.json || fail "--dtype tf32 doesn't compute in it"
matrix='\[[^]]*\]'
for op in matmul attention attention_backward; do
    case $op in
    matmul) shapes="f32 $matrix tf32 $matrix $matrix" ;;
    attention) shapes="f32 $matrix tf32 $matrix $matrix $matrix" ;;
    *) shapes="f32 $matrix $matrix $matrix tf32 $matrix $matrix $matrix $matrix" ;;
    esac
    grep "\"name\": \"$op, .*tf32 \[" step.json > calls || fail "no $op in tf32"
    grep -v "\"name\": \"$op, [^:]*: $shapes\(\"\| f32 \[\)" calls && fail "$op has tf32 where no operand is"
done
grep '"name": .*tf32 \[' step.json | grep -v '"name": "\(matmul\|attention\|attention_backward\), ' && fail "tf32 of another op"
judged step.json op matmul tf32
judged step.json op attention tf32
judged step.json op layer_norm f32
judged step.json part mlp.c_fc tf32
judged step.json part attention tf32
judged step.json part 'layer norm' f32
awk '/"model_flops"/ { flops = $2 + 0 } /"model_flop_utilisation"/ { share = $2 + 0 } /"product_tf32_flops"/ { roof = $2 + 0 }
    END { exit !(share > 0.999 * flops / roof && share < 1.001 * flops / roof) }' step.json || fail "the utilisation isn't that of tf32's roof"
expect 0 "$bench" generate $briefly --preset gpt2-tiny-ttm16 --layers 2 --tokens 3 --prompt 8 --dtype tf32 --quiet --output token.json
judged token.json op matmul tf32
judged token.json op norm_matmul f32
expect 0 env TTM_TEST_TF32=0 "$bench" train $model --steps 3 --no-roofs --quiet --output fp32.json
expect 1 "$bench" compare fp32.json step.json
grep -q "dtype is 'fp32'.*'tf32'" err || fail "steps in two types are compared: $(cat err)"
expect 0 "$TTM_TOOLS/ttm-devices" --json
grep -q '"tf32"' out || fail "ttm-devices hides tf32"
