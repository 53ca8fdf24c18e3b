#!/bin/sh
# Attention on matrix units, emulated on PoCL: conformance in bf16 with head sizes 64 and 128, small cases with edges; and a kernel is used only
# when a child process has found it right, while a child that crashes, hangs or finds wrong numbers costs one log line.
. "$(dirname "$0")/common.sh"
need_device PoCL
XDG_CACHE_HOME=$folder/cache
TTM_OPENCL_ATTENTION=emulated-mma
export XDG_CACHE_HOME TTM_OPENCL_ATTENTION
conformance="$TTM_TOOLS/ttm-conformance --backend opencl:PoCL --dtype bf16 --cases 150"

# cases OP: names of cases whose heads are 64 or 128 long.
cases()
{
    $conformance --list --filter "$1/*" | awk '/q bf16 \[[0-9, ]*, (64|128)\]/ { print $1 }'
}

# attend CASE TEXT…: the case passes, and the log has each TEXT in it.
attend()
{
    case=$1
    shift
    TTM_LOG=debug $conformance --filter "$case" --in-process > "$folder/out" 2>&1 || fail "$case: $(tail -n 3 "$folder/out")"
    grep -q '1 passed, 0 failed' "$folder/out" || fail "$case wasn't run: $(tail -n 3 "$folder/out")"
    for text in "$@"; do
        grep -q -e "$text" "$folder/out" || fail "$case: no '$text' in: $(grep units "$folder/out")"
    done
}

demoted()
{
    [ "$(grep -c "aren't used" "$folder/out")" = "$1" ] || fail "not $1 lines about a demotion: $(grep "aren't" "$folder/out")"
}

# Every case passes, in both choices of shapes and by both units. $folder/OP.WAY names the first one of each way of dropout: 0 none, 1 of a
# multiple of 4 keys, 2 of another number.
for op in attention attention_backward; do
    case $op in
    attention) kernel=attention_matrix_units.cl ;;
    *) kernel=attention_dkdv_matrix_units.cl ;;
    esac
    used=0
    for name in $(cases $op | head -n 9); do
        choice=$((used % 2))
        unit=emulated-mma
        [ $((used / 2 % 2)) = 0 ] || unit=emulated-wgmma
        (TTM_OPENCL_ATTENTION=$unit:$choice attend "$name") || exit 1
        demoted 0
        way=$(sed -n "s/.*$kernel .* in .*-DDROPOUT=\([0-9]\).*/\1/p" "$folder/out" | head -n 1)
        [ -n "$way" ] || fail "$name wasn't on matrix units"
        [ -f "$folder/$op.$way" ] || echo "$name" > "$folder/$op.$way"
        used=$((used + 1))
    done
    for way in 0 1 2; do
        [ -f "$folder/$op.$way" ] || fail "no case of $op has dropout of way $way"
    done
    echo "ok: $op, $used cases on matrix units"
done
forward=$(cat "$folder/attention.0")
backward=$(cat "$folder/attention_backward.0")

# Proven once, then known.
rm -rf "$XDG_CACHE_HOME"
attend "$forward" 'probing matrix units: attention_matrix_units'
attend "$backward" 'probing matrix units: attention_dq_matrix_units' 'attention_dkdv_matrix_units.cl'
attend "$forward" 'attention_matrix_units.cl'
grep -q 'probing' "$folder/out" && fail "a kernel that is known to be right was probed again"

for fault in "1:wrong numbers" "2:died of signal" "3:didn't end within 5 s"; do
    for name in "$forward" "$backward"; do
        case $name:$fault in "$backward:3"*) continue ;; esac
        case $fault in *5*) seconds=5 ;; *) seconds=$TTM_OPENCL_PROBE_SECONDS ;; esac
        (TTM_OPENCL_OPTIONS=-DUNIT_FAULT=${fault%%:*} TTM_OPENCL_PROBE_SECONDS=$seconds
         export TTM_OPENCL_OPTIONS TTM_OPENCL_PROBE_SECONDS
         attend "$name" "${fault#*:}") || exit 1
        demoted 1
        grep -q '_matrix_units.cl' "$folder/out" && fail "fault $fault: the kernel was used all the same"
        echo "ok: $(grep "aren't used" "$folder/out")"
    done
done

# wgmma's products have a proof of their own, which wrong ones don't pass.
(TTM_OPENCL_ATTENTION=emulated-wgmma TTM_OPENCL_OPTIONS=-DUNIT_FAULT=1
 export TTM_OPENCL_OPTIONS
 attend "$backward" "(emulated-wgmma) of .* aren't used for attention without dropout: .*wrong numbers") || exit 1
demoted 1

# What fails with dropout alone costs attention with dropout alone.
(TTM_OPENCL_OPTIONS=-Dkept_of_block=3
 export TTM_OPENCL_OPTIONS
 attend "$(cat "$folder/attention.1")" "aren't used for attention with dropout: their probe failed: .*expected identifier") || exit 1
demoted 1
(TTM_OPENCL_OPTIONS=-Dkept_of_block=3
 export TTM_OPENCL_OPTIONS
 attend "$forward" 'attention_matrix_units.cl') || exit 1
demoted 0

# Off, by itself, by default on a device without units; and a value that is none.
for wish in off auto; do
    (TTM_OPENCL_ATTENTION=$wish && attend "$forward") || exit 1
    grep -q '_matrix_units.cl' "$folder/out" && fail "$wish isn't off"
done
for wish in tensor emulated emulated-mma:2 mma:-1; do
    TTM_OPENCL_ATTENTION=$wish $conformance --filter "$forward" --in-process > "$folder/out" 2>&1 && fail "a wrong value passes"
    grep -q "TTM_OPENCL_ATTENTION is '$wish'" "$folder/out" || fail "no line about the wrong value: $(cat "$folder/out")"
done
exit 0
