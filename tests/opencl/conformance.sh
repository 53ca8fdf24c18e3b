#!/bin/sh
# Conformance of the opencl backend on one device: conformance.sh NAME CASES [option…]
. "$(dirname "$0")/common.sh"
name=$1
cases=$2
shift 2
need_device "$name"
exec "$TTM_TOOLS/ttm-conformance" --backend "opencl:$name" --cases "$cases" --time-limit 600 "$@"
