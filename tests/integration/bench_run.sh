#!/bin/sh
# ttm-bench end to end on a tiny model: every command, its outputs, and bad input.
. "$(dirname "$0")/common.sh"
bench="$TTM_TOOLS/ttm-bench"
TTM_TUNE_DIR=$scratch/tune
export TTM_TUNE_DIR
model="--preset gpt2-tiny-ttm16"
briefly="--seconds 0.02 --samples 3 --quiet"
small="$model --batch 1 --seq 32 --layers 2 $briefly"

# value FILE SECTION NAME: a number of a section.
value()
{
    awk -v section="\"$2\": {" -v name="\"$3\":" 'index($0, section) { inside = 1 }
        inside && index($0, name) { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' "$1"
}
# between LOW VALUE HIGH
between()
{
    awk -v low="$1" -v value="$2" -v high="$3" 'BEGIN { exit !(value >= low && value <= high) }'
}

for arguments in "devices $briefly" "ops $small" "train $small --steps 5" "layer $model $briefly --rows 1,16" \
    "generate $model --batch 1 --layers 2 $briefly --tokens 5 --prompt 8"; do
    command=${arguments%% *}
    # shellcheck disable=SC2086  # options are words
    expect 0 "$bench" $arguments --output "$command.json"
    [ -s "$command.json" ] || fail "$command wrote nothing"
done
grep -q '"name": "dense forward, 16 rows"' layer.json || fail "no dense layer of 16 rows"
grep -q 'core gradients, 16 rows: ' layer.json || fail "no order of contraction of the core gradients"
for op in matmul attention_backward tt_linear adamw cross_entropy embedding_backward; do
    grep -q "\"op\": \"$op\"" ops.json || fail "ops doesn't measure $op"
done

# Ops and gaps make up the step; so do the parts of a layer.
for file in train.json generate.json; do
    between 0.97 "$(value "$file" step ops_and_gaps_over_wall)" 1.03 ||
        fail "ops and gaps are $(value "$file" step ops_and_gaps_over_wall) of the step in $file"
    between 1 "$(value "$file" step tokens_per_second)" 1e9 || fail "no tokens per second in $file"
done
planned=$(value train.json memory planned_peak_bytes)
between "$((planned * 95 / 100))" "$(value train.json memory measured_peak_bytes)" "$((planned * 105 / 100))" ||
    fail "the memory plan isn't what the step takes"
grep -q '"name": "layer 1"' train.json || fail "no time by layer"
grep -q '"name": "mlp.c_fc"' train.json || fail "no time by part"

# A model in bf16 is measured as such: its own memory, its own roof, its own peak.
# shellcheck disable=SC2086
expect 0 "$bench" train $small --dtype bf16 --steps 3 --output bf16.json
grep -q '"dtype": "bf16"' bf16.json || fail "--dtype isn't kept"
grep -q '"shapes": "bf16 ' bf16.json || fail "--dtype bf16 doesn't compute in bf16"
planned=$(value bf16.json memory planned_peak_bytes)
between "$((planned * 95 / 100))" "$(value bf16.json memory measured_peak_bytes)" "$((planned * 105 / 100))" ||
    fail "the memory plan isn't what a bf16 step takes"
expect 1 "$bench" compare train.json bf16.json
# shellcheck disable=SC2086
expect 0 "$bench" ops $small --op matmul --dtype bf16 --json
grep -q '"product_bf16_flops"' out || fail "no peak of bf16 products"
bf16_bytes=$(grep -A 12 '"name": "matmul mlp.c_fc dW"' out | sed -n 's/.*"bytes": \([0-9]*\).*/\1/p')
f32_bytes=$(grep -A 12 '"name": "matmul mlp.c_fc dW"' ops.json | sed -n 's/.*"bytes": \([0-9]*\).*/\1/p')
# Operands of 32 × (C + 4·C) elements take half, the gradient that is read and written stays f32.
between "$((f32_bytes / 2 + 1))" "$bf16_bytes" "$((f32_bytes - 1))" || fail "a weight's gradient takes $bf16_bytes bytes in bf16, $f32_bytes in f32"

# Roofs of a plugin that is three thousand times slower than the plainest loops take no minutes: one product of 512 × 512 × 512 would take two.
slow_roofs()
{
    expect 0 env TTM_BACKEND_PATH="$TTM_TEST_PROGRAMS:$TTM_BACKEND_PATH" TTM_TEST_SLOW_OP="$1" TTM_TEST_SLOW_FACTOR=3000 \
        TTM_TEST_WRAPPED="$(find "${TTM_BACKEND_PATH%%:*}" -maxdepth 1 -name 'libttm-backend-reference.so')" \
        timeout 50 "$bench" devices --backend slowed --op "$2" --seconds 0.02 --samples 3 --json
    between 1 "$(value out roofs "$2")" 1e9 || fail "no roof $2 of a slow plugin: $(cat out)"
}
[ -n "${TTM_TEST_SANITIZED:-}" ] || slow_roofs 3 product_f32_flops # TTM_OP_MATMUL, as the plugin gets it

# The trace: balanced JSON of complete events on both tracks.
# shellcheck disable=SC2086
expect 0 "$bench" train $small --steps 3 --trace trace.json
grep -q '^{"displayTimeUnit":"ns","traceEvents":\[' trace.json || fail "no trace"
for part in '"ph":"X"' '"tid":1' '"tid":2' '"label":"layer 1 mlp.c_fc"' '"thread_name"' '"dur":'; do
    grep -q "$part" trace.json || fail "the trace lacks $part"
done

# Tuning is kept, used, and ignored when it is damaged.
# shellcheck disable=SC2086
expect 0 "$bench" tune $small --rows 1,8
tuned=$(find tune -name 'tune-*.txt')
grep -q '^plan core-gradients 8 ' "$tuned" || fail "tune kept no order for 8 rows"
mkdir -p "blocked/${tuned##*/}"
# shellcheck disable=SC2086
expect 1 env TTM_TUNE_DIR="$scratch/blocked" timeout 60 "$bench" tune $model --rows 1 --seconds 3600 --precision 1e-4
one_line_error
grep -q "blocked/${tuned##*/}.*Is a directory" err || fail "tuning that can't be kept: $(cat err)"
TTM_LOG=info
export TTM_LOG
# shellcheck disable=SC2086
expect 0 "$bench" ops $small --op tt_linear
[ "$(grep -c 'tuned settings of' err)" -eq 1 ] || fail "the tuned settings aren't read once: $(cat err)"
echo nonsense >"$tuned"
TTM_LOG=warning
# shellcheck disable=SC2086
expect 0 "$bench" ops $small --op tt_linear
[ "$(wc -l <err)" -eq 1 ] && grep -q 'tuned settings are ignored' err || fail "damaged settings: $(cat err)"

# Showing.
expect 0 "$bench" report train.json layer.json ops.json generate.json devices.json --output page.html
grep -q '<svg' page.html && grep -q 'Dense against Tensor-Train layers' page.html || fail "the page lacks its plots"
grep -q '>matmul</text>' page.html || fail "the plot doesn't name what takes most of the time"
grep -q 'below 0.1 %' page.html || fail "bars that nobody can see"
for load in 0 99; do
    sed "s/\"load_before\": [^,]*/\"load_before\": $load/; s/\"processor_time_stolen\": [^,]*/\"processor_time_stolen\": 0/" train.json >loaded.json
    expect 0 "$bench" report loaded.json --output loaded-$load.html
done
grep -q 'the machine was busy: load 99.0' loaded-99.html || fail "the page hides that the machine was busy"
grep -q 'the machine was busy' loaded-0.html && fail "the page calls an idle machine busy"
if grep -E 'https?://|<script' page.html; then
    fail "the page takes something from elsewhere"
fi
# shellcheck disable=SC2086
expect 0 "$bench" ops $small --op gelu --csv
head -n 1 out | grep -q '^group,name,op,shapes,median_ns,' || fail "CSV without its head"
# shellcheck disable=SC2086
expect 0 "$bench" ops $briefly --product 8x8x8,3x5x7 --json
grep -q '"name": "matmul 3x5x7"' out || fail "--product isn't measured"
# shellcheck disable=SC2086
expect 0 "$bench" ops $briefly --product 8x6x4:nn,8x6x4:tn,8x6x4:nt:bf16,8x6x4:tt:f64,8x6x4:bf16 --json
for name in 8x6x4 8x6x4:tn 8x6x4:nt:bf16 8x6x4:tt:f64 8x6x4:bf16; do
    grep -q "\"name\": \"matmul $name\"" out || fail "--product $name isn't measured"
done
grep -q '"product_bf16_flops"' out || fail "bf16 products without their roof"

# Only the roofs that are asked for.
expect 0 "$bench" devices --backend cpu --op copy_ --seconds 0.02 --json --quiet
grep -q '"copy_bytes_per_second"' out || fail "the roof of copies is missing"
grep -q '"product_f32_flops"\|"launch_ns"' out && fail "roofs that nobody asked for"

# A sequence is at most the model's context, and by itself no longer; what was taken is in the result, as are other numbers of work.
quick="--preset gpt2-tiny --layers 1 --no-roofs"
# shellcheck disable=SC2086
expect 0 "$bench" ops $quick --seconds 0.02 --samples 3 --op softmax --json
[ "$(value out settings seq)" -eq 256 ] && grep -q '"shapes": "\[256,256\]' out || fail "gpt2-tiny isn't measured at its context"
# shellcheck disable=SC2086
expect 0 "$bench" generate $quick --tokens 3 --prompt 255 --json
[ "$(value out settings prompt)" -eq 255 ] && [ "$(value out settings layers)" -eq 1 ] || fail "prompt and layers aren't in the result"
# shellcheck disable=SC2086
expect 0 "$bench" generate $quick --tokens 3 --prompt 8 --quiet --output prompt.json
sed 's/"prompt": 8/"prompt": 9/' prompt.json >other-prompt.json
expect 1 "$bench" compare prompt.json other-prompt.json
grep -q 'not the same work: prompt is 8' err || fail "results of two prompts are compared: $(cat err)"

# What is kept shows in the memory and in the calls of a step; logits in chunks show in its calls, too.
for options in "on 0" "off 0" "on 100"; do
    recompute=${options% *}
    rows=${options#* }
    # shellcheck disable=SC2086
    expect 0 "$bench" train $quick --batch 1 --seq 256 --steps 3 --recompute $recompute --logit-rows $rows --quiet --output $recompute-$rows.json
done
# calls FILE OP: of one step
calls()
{
    tr -d '\n' <"$1" | tr '{' '\n' | sed -n "s/.*\"group\": \"op\", *\"name\": \"$2\",.*\"calls\": \([0-9]*\).*/\1/p"
}
[ "$(calls on-0.json layer_norm)" -eq 5 ] && [ "$(calls off-0.json layer_norm)" -eq 3 ] || fail "--recompute doesn't change the calls of layer_norm"
[ "$(calls on-0.json cross_entropy)" -eq 1 ] && [ "$(calls on-100.json cross_entropy)" -eq 3 ] || fail "--logit-rows doesn't cut the logits"
[ "$(value off-0.json memory activations_bytes)" -gt "$(value on-0.json memory activations_bytes)" ] || fail "keeping outputs takes no memory"
for name in on-0 off-0 on-100; do
    awk -v planned="$(value $name.json memory planned_peak_bytes)" -v peak="$(value $name.json memory measured_peak_bytes)" \
        'BEGIN { exit !(peak > 0.99 * planned && peak <= planned) }' || fail "$name: the peak isn't the plan"
done

# Intervals are those of --confidence: the wider, the surer.
# shellcheck disable=SC2086
expect 0 "$bench" ops $quick --samples 60 --seconds 0.2 --precision 1e-4 --op gelu --confidence 0.5 --quiet --output half.json
[ "$(grep -c '"confidence": 0\.[56]' half.json)" -ge 4 ] || fail "--confidence 0.5 isn't what intervals have: $(grep confidence half.json)"

# Bad input.
long=$(printf '%0400d' 0 | tr 0 9)
for list in 3x4x5: 3x4x5:nx 3x4x5:bf16:tn 3x4x5:tn:tn 3x4x5:i32 3x4x5:tn:bf16x 3x4x5:TN 0x4x5 -3x4x5 +3x4x5 3x4x9999999 \
    3x4x18446744073709551617 "3x4x5,,3x4x5" "" "3 x4x5" "3x4x5 " "3x4x$long" "3x4x5:$long" 3x4x5:%s%n; do
    # shellcheck disable=SC2086
    expect 2 "$bench" ops $briefly --product "$list"
    one_line_error
done
# An option of another command is wrong usage: it would be ignored.
for arguments in "devices --preset gpt2-tiny" "devices --batch 2" "devices --dtype bf16" "devices --no-roofs" "devices --product 8x8x8" \
    "layer --seq 8" "layer --batch 2" "layer --layers 2" "layer --dtype bf16" "layer --op e" "layer --trace t.json" "ops --steps 5" "ops --rows 1" \
    "ops --margin 0.1" "ops --tune-seconds 1" "train --tokens 5" "train --op e" "train --cold" "generate --seq 8" "generate --steps 5" \
    "generate --recompute on" "generate --logit-rows 8" "tune --no-roofs" "tune --cold" "tune --prompt 3" "compare --seconds 1 ops.json ops.json" \
    "compare --backend cpu ops.json ops.json" "compare --quiet ops.json ops.json" "report --device 0 ops.json" "report --confidence 0.9 ops.json"; do
    command=${arguments%% *}
    option=$(printf '%s\n' "$arguments" | sed 's/[^ ]* \(--[a-z-]*\).*/\1/')
    # shellcheck disable=SC2086
    expect 2 "$bench" $arguments
    one_line_error
    grep -q -e "error: $option .* with .*$command" err || fail "the message about '$arguments' doesn't name both: $(cat err)"
done
for option in "--preset gpt2-tiny" "--tt mlp=4" "--layers 2" "--batch 2" "--seq 8" "--op e" "--dtype bf16"; do
    # shellcheck disable=SC2086
    expect 2 "$bench" ops --product 8x8x8 $option
    one_line_error
    grep -q -e "error: ${option%% *} doesn't go with .*--product" err || fail "the message about $option doesn't name both: $(cat err)"
done
# Without roofs nothing of train and generate is measured for a time or until it is precise: steps are counted.
for command in train generate; do
    for option in "--seconds 1" "--samples 5" "--precision 0.1"; do
        # shellcheck disable=SC2086
        expect 2 "$bench" $command --preset gpt2-tiny $option --no-roofs
        one_line_error
        grep -q -e "error: ${option% *} doesn't go with $command --no-roofs;" err || fail "the message about $command $option: $(cat err)"
    done
done
echo '{"schema": "other"}' >other.json
head -c 300 ops.json >cut.json
for arguments in "frobnicate" "ops --preset nope" "ops --product 3x4" "layer --rows 1,x" "train --append" "compare ops.json" \
    "ops --trace t.json" "report" "ops --csv --json" "train --preset gpt2-tiny --seq 257" "ops --preset gpt2-tiny --seq 257" \
    "tune --preset gpt2-tiny --seq 257" "generate --preset gpt2-tiny --prompt 256" "compare ops.json ops.json --csv" \
    "compare ops.json ops.json --output o.json" "report ops.json --json" "report ops.json --csv" "report ops.json --trace t.json"; do
    # shellcheck disable=SC2086
    expect 2 "$bench" $arguments
    one_line_error
done
for arguments in "report other.json" "report cut.json" "report missing.json" "compare ops.json train.json"; do
    # shellcheck disable=SC2086
    expect 1 "$bench" $arguments
    one_line_error
done
# shellcheck disable=SC2086
expect 1 "$bench" ops $small --op gelu --output missing/folder.json
one_line_error
# It says so before it measures, and even before it opens the device.
for file in --output --trace; do
    # shellcheck disable=SC2086
    expect 1 "$bench" train $small --backend nosuch $file missing/folder.json
    grep -q "can't write 'missing/folder.json'" err || fail "a $file that can't be written is told late: $(cat err)"
done
# So it does of a folder, and of results that can't be added to.
mkdir folder
rounds=$(awk 'BEGIN { for (k = 0; k < 64; k++) printf("%s[1.0]", k > 0 ? "," : "") }')
printf '{"schema": "ttm-bench", "version": 1, "command": "ops", "entries": [{"name": "a", "samples_ns": [%s]}]}' "$rounds" >full.json
for arguments in "folder" "train.json --append" "cut.json --append" "full.json --append"; do
    # shellcheck disable=SC2086
    expect 1 "$bench" ops $small --backend nosuch --output $arguments
    one_line_error
    grep -q "'${arguments% *}'" err || fail "--output $arguments is told late: $(cat err)"
done
grep -q '64 rounds' err || fail "a full result: $(cat err)"
# A device is written, not replaced.
mkfifo pipe
timeout 60 cat pipe >piped &
# shellcheck disable=SC2086
expect 0 "$bench" ops $small --op gelu --output pipe
[ -p pipe ] || fail "a pipe is replaced"
wait
grep -q '"name": "gelu' piped || fail "nothing came through a pipe: $(cat piped)"
# What stands in a file from elsewhere is text, not markup.
printf '{"schema": "ttm-bench", "version": 1, "command": "%s", "entries": [{"group": "layer", "name": "%s", "samples_ns": [[1, 2]]}]}' \
    '<script>' 'x, <script>' >markup.json
printf '{"schema": "ttm-bench", "version": 1, "command": "layer", "entries": [{"group": "layer", "name": "x, <script>", "samples_ns": [[1, 2]]},
    {"group": "layer", "name": "y,", "samples_ns": [[1, 2]]}]}' >layer-markup.json
expect 0 "$bench" report markup.json layer-markup.json
! grep -q '<script' out || fail "the page takes over markup"
# shellcheck disable=SC2086
expect 1 "$bench" ops $small --op nosuch
one_line_error
