#!/bin/sh
# Attention of f32 tensors split into three bf16 parts on matrix units, and of TF32 ones into two, emulated on PoCL: conformance of cases
# whose rows are aligned, proven by a child first; and f32 never with TTM_OPENCL_FP32=strict. What is found wrong costs attention of such
# tensors alone.
. "$(dirname "$0")/common.sh"
need_device PoCL
XDG_CACHE_HOME=$folder/cache
TTM_OPENCL_ATTENTION=emulated-mma
TTM_OPENCL_FP32=split
export XDG_CACHE_HOME TTM_OPENCL_ATTENTION TTM_OPENCL_FP32

# attend TYPE CASE TEXT…: the case passes, and the log has each TEXT in it.
attend()
{
    type=$1
    case=$2
    shift 2
    TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --dtype "$type" --cases 1300 --filter "$case" --in-process \
        > "$folder/out" 2>&1 || fail "$case: $(tail -n 3 "$folder/out")"
    grep -q '1 passed, 0 failed' "$folder/out" || fail "$case wasn't run: $(tail -n 3 "$folder/out")"
    for text in "$@"; do
        grep -q -e "$text" "$folder/out" || fail "$case: no '$text' in: $(grep units "$folder/out")"
    done
}

# unused TYPE CASE: the case passes by other kernels.
unused()
{
    attend "$@"
    ! grep -q '_matrix_units.cl' "$folder/out" || fail "$2 was on matrix units"
}

# Causal and not, as many keys as queries and more, several blocks and tiles with edges.
forward='attention/41 attention/122 attention/128 attention/161 attention/556'
backward='attention_backward/421 attention_backward/447 attention_backward/631 attention_backward/1230'
attend f32 attention/122 'probing matrix units: attention_matrix_units .*-DDATA=1 -DPARTS=3'
attend f32 attention_backward/421 'probing matrix units: attention_dq_matrix_units .*-DDATA=1 -DPARTS=3'
for name in $forward; do
    attend f32 "$name" 'attention_matrix_units.cl .*-DPARTS=3'
    grep -q 'probing' "$folder/out" && fail "a kernel that is known to be right was probed again"
done
for name in $backward; do
    attend f32 "$name" 'attention_dq_matrix_units.cl .*-DPARTS=3' 'attention_dkdv_matrix_units.cl .*-DPARTS=3'
done
# With dropout: 304 and 680 of multiples of four keys, 777 and 192 of any number.
attend f32 attention/304 'probing matrix units: attention_matrix_units .*-DDATA=1 -DPARTS=3 .*-DDROPOUT=1'
attend f32 attention/777 'attention_matrix_units.cl .*-DPARTS=3 .*-DDROPOUT=2'
for name in 680:1 192:2; do
    attend f32 "attention_backward/${name%:*}" "attention_dq_matrix_units.cl .*-DPARTS=3 .*-DDROPOUT=${name#*:}" \
        "attention_dkdv_matrix_units.cl .*-DPARTS=3 .*-DDROPOUT=${name#*:}"
done
echo "ok: cases of f32 on matrix units"

# Not where it is forbidden, nor with rows that aren't aligned, nor with heads of another length.
(TTM_OPENCL_FP32=strict && unused f32 attention/122) || exit 1
(unset TTM_OPENCL_FP32 && attend f32 attention/122 'attention_matrix_units.cl .*-DPARTS=3') || exit 1
(TTM_OPENCL_ATTENTION=off && unused f32 attention/122) || exit 1
unused f32 attention/0
unused f32 attention/120
unused f32 attention_backward/91

# TF32, with dropout too: 41 and 70 in large groups, 514 and 680 drop of multiples of four keys.
attend tf32 attention/41 'probing matrix units: attention_matrix_units .*-DDATA=1 -DPARTS=2'
attend tf32 attention_backward/70 'probing matrix units: attention_dq_matrix_units .*-DDATA=1 -DPARTS=2'
for name in 41:0 514:1 777:2; do
    attend tf32 "attention/${name%:*}" "attention_matrix_units.cl .*-DPARTS=2 .*-DDROPOUT=${name#*:}"
done
for name in 70:0 680:1 192:2; do
    attend tf32 "attention_backward/${name%:*}" "attention_dq_matrix_units.cl .*-DPARTS=2 .*-DDROPOUT=${name#*:}" \
        "attention_dkdv_matrix_units.cl .*-DPARTS=2 .*-DDROPOUT=${name#*:}"
done
(TTM_OPENCL_FP32=strict && attend tf32 attention/41 'attention_matrix_units.cl .*-DPARTS=2') || exit 1
unused tf32 attention/120
(TTM_OPENCL_ATTENTION=off && TTM_OPENCL_MATRIX_UNITS=emulated-mma && export TTM_OPENCL_MATRIX_UNITS && unused f32 attention/41) || exit 1
# By wgmma too, which has nothing for three parts.
(TTM_OPENCL_ATTENTION=emulated-wgmma
 attend tf32 attention/514 'attention_matrix_units.cl .*-DUNIT=2 .*-DPARTS=2 .*-DDROPOUT=1'
 attend tf32 attention_backward/70 'attention_dq_matrix_units.cl .*-DUNIT=2 .*-DPARTS=2' 'attention_dkdv_matrix_units.cl .*-DUNIT=2 .*-DPARTS=2'
 unused f32 attention/122) || exit 1
echo "ok: cases of TF32 on matrix units"

# A fault of these kernels alone.
(TTM_OPENCL_OPTIONS=-Dsplit_eight=3
 export TTM_OPENCL_OPTIONS
 attend f32 attention/122 "aren't used for attention of f32 tensors: their probe failed"
 grep -q '_matrix_units.cl built' "$folder/out" && fail "a kernel that failed was used all the same"
 attend bf16 attention/41 'attention_matrix_units.cl .*-DPARTS=1') || exit 1
(TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1
 export TTM_OPENCL_OPTIONS
 attend f32 attention_backward/421 "aren't used for attention of f32 tensors: their probe failed: wrong numbers"
 attend tf32 attention/41 "aren't used for attention of tf32 tensors: their probe failed: wrong numbers" \
     "aren't used for attention of f32 tensors"
 attend tf32 attention_backward/680 "aren't used for attention of tf32 tensors with dropout: their probe failed: wrong numbers") || exit 1
exit 0
