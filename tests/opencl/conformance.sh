#!/bin/sh
# Conformance of the opencl backend on one implementation: conformance.sh NAME CASES [GROUP…]
# Without groups everything is run. TTM_OPENCL_CASES=N runs N cases of each op instead, such as 60,
# which is what ttm-conformance does by itself.
. "$(dirname "$0")/common.sh"
name=$1
cases=${TTM_OPENCL_CASES:-$2}
shift 2
need_device "$name"
[ $# -gt 0 ] || set -- '*'
for group in "$@"; do
    "$TTM_TOOLS/ttm-conformance" --backend "opencl:$name" --cases "$cases" --time-limit 600 \
        --filter "$group" || exit 1
done
