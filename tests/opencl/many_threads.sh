#!/bin/sh
# Threads that use the plugin at once on device NAME: many_threads.sh NAME MANY-THREADS
# On interpreted PTX three times: with kernels on matrix units that are proven while all wait for them; with all such kernels, unproven,
# in pieces; and where no proof can be made, so that each kind is given up while others run.
. "$(dirname "$0")/common.sh"
name=$1
threads=$2
need_device "$name"

# run WHAT VARIABLE=VALUE… -- TURNS [WITHOUT…]
run()
{
    what=$1
    shift
    rm -rf "$folder/cache"
    mkdir "$folder/cache"
    variables=
    while [ "$1" != -- ]; do
        variables="$variables $1"
        shift
    done
    shift
    # shellcheck disable=SC2086  # one word a variable
    env XDG_CACHE_HOME="$folder/cache" $variables "$threads" "opencl:$name" "$@" >"$folder/log" 2>&1 || {
        head -c 20000 "$folder/log" >&2
        fail "$what"
    }
    echo "$what: passed"
}

if [ "$name" != PTX ]; then
    run "$name" -- 2
    exit 0
fi
# Under ThreadSanitizer proofs of tf32 and of gradients take a minute.
turns=2
without=
if [ -n "${TTM_TEST_SANITIZED:-}" ]; then
    turns=1
    without="tf32 gradients"
fi
# shellcheck disable=SC2086  # words
run "proven" -- "$turns" $without
run "unproven" TTM_OPENCL_MATRIX_UNITS_PROBE=1 TTM_OPENCL_PIECES=3 TTM_OPENCL_FP32=split -- "$turns"
mkdir "$folder/alone"
cp "${TTM_BACKEND_PATH:?}/libttm-backend-opencl.so" "$folder/alone/"
run "given up" TTM_BACKEND_PATH="$folder/alone" -- 2
grep -q "aren't used for attention" "$folder/log" || fail "given up: units were used"
