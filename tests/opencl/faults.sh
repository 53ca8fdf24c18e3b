#!/bin/sh
# What can go wrong with OpenCL: each fault is one clear line and a clean exit, or a working fallback.
# faults.sh FAILING_OPENCL.so MANY_POSITIONS
. "$(dirname "$0")/common.sh"
preload=$1
many_positions=$2
write_text "$folder/text"

# expect_failure TEXT: the command that follows ends with status 1 and one error line with TEXT in it.
expect_failure()
{
    text=$1
    shift
    "$@" > "$folder/out" 2> "$folder/err"
    status=$?
    grep 'error:' "$folder/err" > "$folder/lines"
    [ "$status" = 1 ] || fail "status $status, not 1, with: $(cat "$folder/err")"
    [ "$(wc -l < "$folder/lines")" = 1 ] || fail "not one error line: $(cat "$folder/err")"
    grep -q -e "$text" "$folder/lines" || fail "no '$text' in: $(cat "$folder/lines")"
    echo "ok: $(cut -c 1-160 "$folder/lines")"
}

# Without an ICD, and with one whose library is missing, other backends work and opencl has no device.
mkdir "$folder/none" "$folder/missing"
echo "$folder/missing/libnothing.so" > "$folder/missing/nothing.icd"
for vendors in "$folder/none" "$folder/missing"; do
    OCL_ICD_VENDORS=$vendors "$TTM_TOOLS/ttm-devices" > "$folder/devices" ||
        fail "ttm-devices with vendors in $vendors"
    grep -q 'opencl:' "$folder/devices" && fail "a device from nowhere"
    grep -q 'reference:0' "$folder/devices" || fail "other backends are gone"
    (OCL_ICD_VENDORS=$vendors; export OCL_ICD_VENDORS
     expect_failure 'opencl' train opencl "$folder/run" --steps 1 --quiet) || exit 1
done

need_device PoCL
run="train opencl:PoCL"

# A platform without a device, and a device that can't run the kernels.
(LD_PRELOAD=$preload TTM_TEST_CL_FAIL=clGetDeviceIDs:0:-1; export LD_PRELOAD TTM_TEST_CL_FAIL
 expect_failure 'no device' train opencl "$folder/run" --steps 1 --quiet) || exit 1
(LD_PRELOAD=$preload TTM_TEST_CL_GROUP=32; export LD_PRELOAD TTM_TEST_CL_GROUP
 expect_failure 'groups of 32 work-items.*the kernels need 64' $run "$folder/run" --steps 1 --quiet) || exit 1

# Where allocations are small, memory is spread over several, and the bits stay. A tensor larger than the largest is refused with
# both numbers.
(LD_PRELOAD=$preload TTM_TEST_CL_ALLOCATION=1100000; export LD_PRELOAD TTM_TEST_CL_ALLOCATION
 $run "$folder/parts" --steps 4 --clip-norm 0 --dry-run > "$folder/out" && $run "$folder/parts" --steps 4 --clip-norm 0 --quiet) ||
    fail "a run with small allocations"
$run "$folder/whole" --steps 4 --clip-norm 0 --quiet || fail "a run with large allocations"
cmp "$folder/whole/model.safetensors" "$folder/parts/model.safetensors" || fail "another result with small allocations"
(LD_PRELOAD=$preload TTM_TEST_CL_ALLOCATION=100000; export LD_PRELOAD TTM_TEST_CL_ALLOCATION
 expect_failure 'take [0-9]* bytes, but a single allocation may have 100000 there; use a smaller' $run "$folder/run" --steps 1 --quiet) || exit 1

# A kernel that doesn't build: the build log is in the message.
(TTM_OPENCL_OPTIONS='-Dfloat=nonsense'; export TTM_OPENCL_OPTIONS
 expect_failure 'build log: .*error' $run "$folder/run" --steps 1 --quiet) || exit 1

# No more groups in the second dimension than such drivers take, for many rows either: sums of pieces.
(LD_PRELOAD=$preload TTM_TEST_CL_GRID=65535 TTM_OPENCL_MATRIX_UNITS=emulated-mma:3 TTM_OPENCL_PIECES=2
 export LD_PRELOAD TTM_TEST_CL_GRID TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_PIECES
 TTM_LOG=debug "$TTM_TOOLS/ttm-bench" ops --backend opencl:PoCL --product 66000x16x64:nn:bf16 --no-roofs --samples 3 --seconds 0.01 --json --quiet \
     > "$folder/out" 2> "$folder/err" || fail "sums of pieces of many rows: $(tail -n 2 "$folder/err")"
 grep -q 'matmul_pieces.cl' "$folder/err" || fail "no pieces") || exit 1
(LD_PRELOAD=$preload TTM_TEST_CL_GRID=65535; export LD_PRELOAD TTM_TEST_CL_GRID
 "$many_positions" opencl:PoCL > "$folder/out" 2>&1 || fail "gradients of many positions: $(cat "$folder/out")") || exit 1

# Markers that carry no time: something else marks it, so that ops still take some.
for markers in zero refused; do
    LD_PRELOAD=$preload TTM_TEST_CL_MARKERS=$markers "$TTM_TOOLS/ttm-bench" ops --backend opencl:PoCL --product 96x96x96 --no-roofs --seconds 0.05 \
        --json --quiet > "$folder/out" 2> "$folder/err" || fail "markers $markers: $(cat "$folder/err")"
    awk '/"median_ns":/ { found = $2 + 0 > 1000 } END { exit !found }' "$folder/out" || fail "no time with markers $markers: $(cat "$folder/out")"
done

# Too little memory: what was asked, and what to lower.
(POCL_MEMORY_LIMIT=1; export POCL_MEMORY_LIMIT
 expect_failure 'smaller batch' "$TTM_TOOLS/ttm-train" --preset gpt2-medium --tokenizer bytes \
     --data "$folder/text" --out "$folder/large" --backend opencl:PoCL --steps 1 --quiet) || exit 1

# A cache folder that can't be made, or written to even by root, costs one line of the log, nothing
# else. PoCL has a cache of its own, so ours has to be asked for.
TTM_OPENCL_PROGRAM_CACHE=on
export TTM_OPENCL_PROGRAM_CACHE
for cache in /dev/null /sys; do
    XDG_CACHE_HOME=$cache TTM_LOG=warning $run "$folder/uncached-${cache##*/}" --steps 1 > "$folder/out" 2>&1 ||
        fail "a run without a cache in $cache"
    [ "$(grep -c "aren't kept" "$folder/out")" = 1 ] || fail "not one line about the cache in $cache"
done

# Cached programs are private; damaged ones are built anew and written again.
XDG_CACHE_HOME=$folder/cache
export XDG_CACHE_HOME
$run "$folder/cached" --steps 2 --quiet > "$folder/out" 2>&1 || fail "a run with a new cache"
[ "$(stat -c %a "$folder/cache/ttm")" = 700 ] || fail "the cache's folder isn't private"
stat -c %a "$folder"/cache/ttm/*.clbin | grep -v -q '^600$' && fail "an entry isn't private"
ls "$folder"/cache/ttm/ | grep -v -q 'clbin$' && fail "temporary files stay behind"
for entry in "$folder"/cache/ttm/*.clbin; do
    dd if=/dev/zero of="$entry" bs=1 seek=100 count=8 conv=notrunc 2> /dev/null
done
: > "$entry"
TTM_LOG=info $run "$folder/rebuilt" --steps 2 > "$folder/out" 2>&1 || fail "a damaged cache"
grep -q 'damaged' "$folder/out" || fail "nobody noticed the damage"
cmp -s "$folder/cached/model.safetensors" "$folder/rebuilt/model.safetensors" ||
    fail "another result after the damage"
# A pipe in the place of an entry isn't waited for.
rm -f "$entry"
mkfifo "$entry"
TTM_LOG=info timeout 300 "$TTM_TOOLS/ttm-train" --preset gpt2-tiny-ttm16 --tokenizer bytes --data "$folder/text" --out "$folder/piped" \
    --backend opencl:PoCL --batch 4 --seq 64 --steps 2 > "$folder/out" 2>&1 || fail "a run with a pipe among the entries"
grep -q 'untrusted' "$folder/out" || fail "nobody noticed the pipe"
TTM_LOG=info $run "$folder/again" --steps 2 > "$folder/out" 2>&1 || fail "a repaired cache"
grep -q 'damaged' "$folder/out" && fail "the damage is still there"

# A device that is lost, or out of resources, in the middle of a step: the last checkpoint is intact.
$run "$folder/lost" --steps 4 --quiet || fail "four steps"
for fault in clEnqueueNDRangeKernel:200:-2 clEnqueueNDRangeKernel:200:-5 clWaitForEvents:8:-14; do
    (LD_PRELOAD=$preload TTM_TEST_CL_FAIL=$fault; export LD_PRELOAD TTM_TEST_CL_FAIL
     expect_failure 'last checkpoint' $run "$folder/lost" --resume --steps 400 --quiet) || exit 1
done
# Memory that runs out in mid-training, at a kernel's launch or when a buffer is asked for, and before the first step.
(LD_PRELOAD=$preload TTM_TEST_CL_FAIL=clEnqueueNDRangeKernel:200:-4; export LD_PRELOAD TTM_TEST_CL_FAIL
 expect_failure 'ALLOCATION_FAILURE.*smaller batch' $run "$folder/lost" --resume --steps 400 --quiet) || exit 1
(LD_PRELOAD=$preload TTM_TEST_CL_FAIL=clCreateBuffer:15:-4; export LD_PRELOAD TTM_TEST_CL_FAIL
 expect_failure 'ALLOCATION_FAILURE.*smaller batch' $run "$folder/lost" --resume --steps 400 --quiet) || exit 1
(LD_PRELOAD=$preload TTM_TEST_CL_FAIL=clCreateBuffer:6:-4; export LD_PRELOAD TTM_TEST_CL_FAIL
 expect_failure 'smaller batch' $run "$folder/short" --steps 4 --quiet) || exit 1
train opencl:PoCL "$folder/lost" --resume --steps 6 --quiet || fail "resuming after the loss"
