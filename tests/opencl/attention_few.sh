#!/bin/sh
# Attention of few queries on PoCL, in the kernels for CPUs and in those for GPUs: keys split over as many groups as the rule says, over
# several, and over more than there are keys; what is dropped, or has many queries, goes elsewhere; and it can be turned off.
. "$(dirname "$0")/common.sh"
need_device PoCL
cases=${TTM_OPENCL_CASES:-60}

# The cases with few queries are every fifth, from 3 on: they pass. Leaves their log in $folder/log.
attend()
{
    TTM_LOG=debug "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --cases "$cases" --filter 'attention/*[38]' > "$folder/out" 2> "$folder/log" ||
        fail "$(tail -n 5 "$folder/out" "$folder/log")"
}

# built WHAT: how many programs of attention_few.cl were asked for with WHAT among their options.
built()
{
    grep 'attention_few\.cl' "$folder/log" | grep -c -e "$1"
}

XDG_CACHE_HOME=$folder/cache
POCL_CACHE_DIR=$TTM_OPENCL_CACHE/pocl
export XDG_CACHE_HOME POCL_CACHE_DIR
for style in cpu gpu; do
    for splits in auto 3 4096; do
        TTM_OPENCL_STYLE=$style
        TTM_OPENCL_ATTENTION_FEW=$splits
        export TTM_OPENCL_STYLE TTM_OPENCL_ATTENTION_FEW
        attend
        for type in 1 2 3; do
            [ "$(built "-DDATA=$type")" -gt 0 ] || fail "$style, $splits: nothing of type $type was few: $(grep attention "$folder/log")"
        done
        echo "ok: $style, splits $splits: $(tail -n 1 "$folder/out"), $(built '') programs"
    done
done

# In the kernels for GPUs rows are read in pieces of 16 bytes where they are aligned, else element by element.
[ "$(built -DWIDTH=1)" -gt 0 ] || fail "no case was read element by element"
[ "$(built -DWIDTH=[48])" -gt 0 ] || fail "no case was read in pieces"

TTM_OPENCL_ATTENTION_FEW=off
attend
[ "$(built '')" = 0 ] || fail "off isn't off"
for wish in 0 -1 many 3x; do
    TTM_OPENCL_ATTENTION_FEW=$wish "$TTM_TOOLS/ttm-conformance" --backend opencl:PoCL --filter attention/3 --in-process > "$folder/out" 2>&1 &&
        fail "a wrong value passes"
    grep -q "TTM_OPENCL_ATTENTION_FEW is '$wish'" "$folder/out" || fail "no line about the wrong value: $(cat "$folder/out")"
done
exit 0
