#!/bin/sh
# Conformance of the opencl backend on one implementation: conformance.sh NAME CASES [GROUP…]
# Without groups everything is run. TTM_OPENCL_CASES=N runs N cases of each op instead, such as 60,
# which is what ttm-conformance does by itself; TTM_OPENCL_CONFORMANCE_TYPE=bf16 takes cases of one type. With
# TTM_OPENCL_EXPECT=FILE.cl, or a build option, the test fails unless that was built for the last group, and when a log line says that it
# isn't used.
. "$(dirname "$0")/common.sh"
name=$1
cases=${TTM_OPENCL_CASES:-$2}
shift 2
need_device "$name"
[ $# -gt 0 ] || set -- '*'
[ -z "${TTM_OPENCL_EXPECT:-}" ] || export TTM_LOG=debug
for group in "$@"; do
    "$TTM_TOOLS/ttm-conformance" --backend "opencl:$name" --cases "$cases" \
        --time-limit 600 --dtype "${TTM_OPENCL_CONFORMANCE_TYPE:-all}" --filter "$group" 2> "$folder/log" || {
        tail -n 20 "$folder/log" >&2
        exit 1
    }
done
if [ -n "${TTM_OPENCL_EXPECT:-}" ]; then
    grep -q -e "$TTM_OPENCL_EXPECT" "$folder/log" || fail "$TTM_OPENCL_EXPECT was never built"
    grep "aren't used" "$folder/log" && fail "$TTM_OPENCL_EXPECT isn't used"
fi
exit 0
