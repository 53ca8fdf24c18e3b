#!/bin/sh
# A training run as on a GPU with matrix units, as far as there is none: gpu_rehearsal.sh NAME
# On PoCL the device is taken for a GPU, so that kernels have the shapes and libttm makes the decisions that they have there, and
# matrix units and their attention are emulated; the device that interprets PTX is a GPU, and has them. In bf16 the losses are those
# of cpu within 1 % and a second run gives the same bits, wholly on the device, in the memory that was planned. In tf32 two steps
# have the losses of fp32 on cpu within 0.01 %.
. "$(dirname "$0")/common.sh"
need_device "$1"
write_text "$folder/text"
[ "$1" = PTX ] || export TTM_OPENCL_STYLE=gpu TTM_OPENCL_MATRIX_UNITS=emulated-wgmma TTM_OPENCL_ATTENTION=emulated-mma

# Heads of 64 and products of 64³ and more are what matrix units take.
run()
{
    run_backend=$1
    run_out=$2
    shift 2
    train "$run_backend" "$run_out" --batch 2 --layers 2 --heads 2 --accumulation 2 --validation-interval 0 "$@"
}
run_bf16()
{
    run "$@" --steps 5 --dtype bf16
}

losses()
{
    sed -n 's/.*"step":\([0-9]*\),"loss":\([-0-9.e+]*\),.*/\1 \2/p' "$1/metrics.jsonl"
}

run_bf16 "opencl:$1" "$folder/first" --json --quiet >"$folder/out" 2>"$folder/err" || fail "the first run: $(tail -3 "$folder/err")"
tr ',' '\n' <"$folder/out" | sed -n 's/.*"\(device_memory[a-z_]*\)": *\([0-9]*\).*/\1 \2/p' >"$folder/memory"
awk '{ bytes[$1] = $2 } END { exit !(bytes["device_memory_bytes"] > 0 && bytes["device_memory_bytes"] == bytes["device_memory_peak_bytes"]) }' \
    "$folder/memory" || fail "the device's peak isn't the plan: $(cat "$folder/memory")"
grep -q '"recompute": "off"' "$folder/first/latest/trainer_state.json" || fail "the device isn't taken for a GPU with memory to spare"

TTM_LOG=debug run_bf16 "opencl:$1" "$folder/second" --profile >"$folder/out" 2>&1 || fail "the second run: $(tail -3 "$folder/out")"
grep -q 'nothing went through fallback' "$folder/out" || fail "not wholly on the device: $(cat "$folder/out")"
for kernels in matmul_matrix_units attention_matrix_units attention_dq_matrix_units attention_dkdv_matrix_units; do
    grep -q "$kernels.cl \(built\|taken\)" "$folder/out" || fail "$kernels wasn't used"
done
cmp -s "$folder/first/model.safetensors" "$folder/second/model.safetensors" || fail "two runs have different weights"

run_bf16 cpu "$folder/cpu" --recompute off --quiet || fail "the run on cpu"

# close NAME OTHER STEPS MOST: the losses of so many steps differ by at most this part.
close()
{
    for name in "$1" "$2"; do
        losses "$folder/$name" >"$folder/$name.losses"
        [ "$(wc -l <"$folder/$name.losses")" -eq "$3" ] || fail "$name: not $3 losses"
    done
    paste -d ' ' "$folder/$1.losses" "$folder/$2.losses" | awk -v most="$4" '
        { difference = $2 / $4 - 1; size = difference < 0 ? -difference : difference; if (size > largest) largest = size }
        END { printf "largest difference to cpu: %.4f %%\n", 100 * largest; exit largest > most }' ||
        fail "the losses of $1 differ from those of cpu: $(cat "$folder/$1.losses" "$folder/$2.losses")"
}
close first cpu 5 0.01

TTM_LOG=debug run "opencl:$1" "$folder/tf32" --steps 2 --dtype tf32 >"$folder/out" 2>&1 || fail "the run in tf32: $(tail -3 "$folder/out")"
for kernels in matmul_matrix_units attention_matrix_units attention_dq_matrix_units attention_dkdv_matrix_units; do
    grep -q "$kernels.cl \(built\|taken\).*PARTS=2" "$folder/out" || fail "$kernels: nothing was multiplied in tf32"
done
grep 'tf32: .* has no products in it' "$folder/out" && fail "the device doesn't offer tf32"
run cpu "$folder/fp32" --steps 2 --dtype fp32 --quiet || fail "the run in fp32 on cpu"
close tf32 fp32 2 0.0001
