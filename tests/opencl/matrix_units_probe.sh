#!/bin/sh
# A kernel on matrix units is used only when a child process has found it right, and a child that crashes, hangs or finds wrong
# numbers costs one log line. The emulation on PoCL stands in for a device's units.
. "$(dirname "$0")/common.sh"
need_device PoCL
XDG_CACHE_HOME=$folder/cache
TTM_OPENCL_MATRIX_UNITS=emulated-mma:3
export XDG_CACHE_HOME TTM_OPENCL_MATRIX_UNITS

# multiply TEXT…: one bf16 product passes, and the log has each TEXT in it.
multiply()
{
    TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul/1 --in-process > "$folder/out" 2>&1 ||
        fail "the product: $(tail -n 3 "$folder/out")"
    grep -q '1 passed, 0 failed' "$folder/out" || fail "no product was run: $(tail -n 3 "$folder/out")"
    for text in "$@"; do
        grep -q -e "$text" "$folder/out" || fail "no '$text' in: $(grep matrix "$folder/out")"
    done
}

demoted()
{
    [ "$(grep -c "aren't used" "$folder/out")" = "$1" ] || fail "not $1 lines about a demotion: $(grep "aren't" "$folder/out")"
}

# Proven once, then known.
multiply 'probing matrix units' 'matmul_matrix_units.cl'
demoted 0
multiply 'matmul_matrix_units.cl'
grep -q 'probing' "$folder/out" && fail "a kernel that is known to be right was probed again"
[ "$(stat -c %a "$folder/cache/ttm")" = 700 ] || fail "the folder of verdicts isn't private"

for fault in "1:wrong numbers" "2:died of signal" "3:didn't end within 5 s"; do
    case $fault in *5*) seconds=5 ;; *) seconds=$TTM_OPENCL_PROBE_SECONDS ;; esac
    (TTM_OPENCL_OPTIONS=-DUNIT_FAULT=${fault%%:*} TTM_OPENCL_PROBE_SECONDS=$seconds
     export TTM_OPENCL_OPTIONS TTM_OPENCL_PROBE_SECONDS
     multiply "${fault#*:}") || exit 1
    demoted 1
    grep -q 'matmul_matrix_units.cl' "$folder/out" && fail "fault $fault: the kernel was used all the same"
    echo "ok: $(grep "aren't used" "$folder/out")"
done

# A kernel that doesn't build: the line has what the compiler said.
(TTM_OPENCL_OPTIONS=-Dmultiply_slices=3
 export TTM_OPENCL_OPTIONS
 multiply "aren't used: their probe failed: .*build log: error: .*expected identifier") || exit 1
demoted 1

# Packed operands that fail cost them alone, in one line; the unit is used on.
(TTM_OPENCL_MATRIX_UNITS=emulated-wgmma:18 TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_OPTIONS
 multiply "packed operands for matrix units (emulated-wgmma) of .* aren't used: their probe failed: wrong numbers") || exit 1
demoted 1
grep -q 'matmul_packed.cl' "$folder/out" && fail "a packed kernel was used all the same"

# Clusters of groups fail by themselves,
(TTM_OPENCL_MATRIX_UNITS=emulated-wgmma:36 TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_OPTIONS
 multiply "clusters of groups for matrix units (emulated-wgmma) of .* aren't used: their probe failed: wrong numbers") || exit 1
demoted 1
grep -q 'matmul_packed.cl' "$folder/out" && fail "a kernel in clusters was used all the same"

# and so do tensor maps.
(TTM_OPENCL_MATRIX_UNITS=emulated-wgmma:39 TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_OPTIONS
 multiply "tensor maps for matrix units (emulated-wgmma) of .* aren't used: their probe failed: wrong numbers") || exit 1
demoted 1

# Split f32 operands that fail cost f32 products alone: bf16 ones go to the unit all the same.
(TTM_OPENCL_MATRIX_UNITS=emulated-wgmma TTM_OPENCL_FP32=split TTM_OPENCL_OPTIONS=-Dsplit_large=3
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_FP32 TTM_OPENCL_OPTIONS
 TTM_LOG=debug "$TTM_TOOLS/ttm-bench" ops --backend opencl:PoCL --product 64x64x256,64x64x64:bf16 --no-roofs --seconds 0.01 --quiet \
     > "$folder/out" 2>&1 || fail "products: $(tail -n 3 "$folder/out")"
 grep "aren't used for f32: " "$folder/out") || fail "split products that fail are used"
demoted 1
grep -q 'matmul_matrix_units.cl.*PARTS=1' "$folder/out" || fail "bf16 products don't go to the unit: $(grep matmul "$folder/out")"

# Halves fail by themselves.
(TTM_OPENCL_MATRIX_UNITS=emulated-wgmma:45 TTM_OPENCL_FP32=split TTM_OPENCL_OPTIONS=-Dtake_halves=3
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_FP32 TTM_OPENCL_OPTIONS
 TTM_LOG=debug "$TTM_TOOLS/ttm-bench" ops --backend opencl:PoCL --product 64x64x256 --no-roofs --seconds 0.01 --quiet \
     > "$folder/out" 2>&1 || fail "products: $(tail -n 3 "$folder/out")"
 grep "operands in halves for matrix units (emulated-wgmma) of .* aren't used for f32: " "$folder/out") || fail "halves that fail are used"
demoted 1
grep -q 'matmul_packed.cl' "$folder/out" && fail "halves were used all the same"

# Those of TF32 cost these alone, and they go where f32 ones go.
(TTM_OPENCL_MATRIX_UNITS=emulated-mma TTM_OPENCL_OPTIONS=-Dsplit_large=3
 export TTM_OPENCL_MATRIX_UNITS TTM_OPENCL_OPTIONS
 TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul/6 --in-process > "$folder/out" 2>&1 ||
     fail "a product of TF32 fails where units do: $(tail -n 3 "$folder/out")"
 grep "aren't used for tf32: " "$folder/out") || fail "products of TF32 that fail are used"

# Off, and a value that is none.
(TTM_OPENCL_MATRIX_UNITS=off && multiply) || exit 1
grep -q 'matrix_units' "$folder/out" && fail "off isn't off"
TTM_OPENCL_MATRIX_UNITS=tensor "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter matmul/1 --in-process > "$folder/out" 2>&1 &&
    fail "a wrong value passes"
grep -q "TTM_OPENCL_MATRIX_UNITS is 'tensor'" "$folder/out" || fail "no line about the wrong value: $(cat "$folder/out")"
exit 0
