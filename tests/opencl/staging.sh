#!/bin/sh
# Copies through pinned memory, as to devices with memory of their own, and direct ones, as to those
# that share the host's, give the same bits: weights and moments of a model that is larger than all
# slots together, which go up when a run starts or resumes and down when it is saved.
# staging.sh FAILING_OPENCL.so
. "$(dirname "$0")/common.sh"
preload=$1
need_device PoCL
write_text "$folder/text"

mini()
{
    "$TTM_TOOLS/ttm-train" --preset gpt2-mini-ttm32 --tokenizer bytes --data "$folder/text" \
        --out "$folder/$1" --backend opencl:PoCL --batch 1 --seq 32 --quiet --steps "$2" ${3-}
}

for way in pinned direct; do
    export TTM_OPENCL_STAGING=$way
    mini $way 2 || fail "two steps, $way"
    mini $way 3 --resume || fail "resuming, $way"
done
weights=$(find "$folder/pinned/" -follow -name model.safetensors | head -n 1)
[ "$(stat -L -c %s "$weights")" -gt 4194304 ] || fail "the model fits the slots: choose a larger one"
cmp "$folder/pinned/model.safetensors" "$folder/direct/model.safetensors" || fail "other weights"

# A device that is lost while slots are in flight: one line, status 1.
(LD_PRELOAD=$preload TTM_TEST_CL_FAIL=clWaitForEvents:20:-14 TTM_OPENCL_STAGING=pinned
 export LD_PRELOAD TTM_TEST_CL_FAIL TTM_OPENCL_STAGING
 mini lost 2 > "$folder/out" 2> "$folder/err")
[ $? = 1 ] || fail "the loss of the device isn't noticed"
[ "$(grep -c 'error:' "$folder/err")" = 1 ] || fail "not one line: $(cat "$folder/err")"
grep -q 'CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST' "$folder/err" || fail "$(cat "$folder/err")"
