#!/bin/sh
# Installs what is needed, builds and runs every test:  sh tools/run-tests.sh [STAGE…]
#
# Stages, by default release, opencl, sanitize, threads, install, plugins and lint:
#   release     the build that users get, all tests but OpenCL's
#   sanitize    AddressSanitizer and UndefinedBehaviorSanitizer: unit tests, the cpu plugin's conformance, the tools on bad input
#   threads     ThreadSanitizer on what uses threads: the core, the cpu plugin, and the opencl plugin on PoCL and on interpreted PTX
#   opencl      the opencl backend on every implementation that is installed, and its kernels offline
#   install     an installed prefix works without environment variables
#   plugins     the template and the overlay build out of tree and pass; the ABI is the announced one; seeded faults are found
#   lint        clang-format, public headers as C11 and C++17
#   aarch64     the cpu plugin for 64-bit Arm, under qemu; to ask for
#   tidy        clang-tidy
#   fuzz        each fuzz target for a few seconds
# The last line is `N passed, N failed`; the exit status is 0 when nothing failed. Where an OpenCL implementation or compiler can't be
# installed, its tests are skipped and said to be; with CI set in the environment, as hosted CI does, that is a failure.
set -u
cd "$(dirname "$0")/.."
sh tools/install-dependencies.sh build text test || exit 1

stages=${*:-release opencl sanitize threads install plugins lint}
logs=build-logs
passed=0
failed=0
mkdir -p "$logs"

# GPT-2's vocabulary and tiktoken, for the tests of the tokenizer; without them these tests are skipped.
if sh tools/fetch-gpt2-vocabulary.sh "$logs/vocabulary" >"$logs/vocabulary.log" 2>&1; then
    TTM_GPT2_TIKTOKEN=$(pwd)/$logs/vocabulary/gpt2.tiktoken
    PATH=$(pwd)/$logs/vocabulary/venv/bin:$PATH
    export TTM_GPT2_TIKTOKEN PATH
else
    echo "no vocabulary of GPT-2 to test with: $(tail -n 1 "$logs/vocabulary.log")"
fi

# check NAME COMMAND…: one test by itself.
check() {
    name=$1
    shift
    if "$@" >"$logs/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name: the end of $logs/$name.log:"
        tail -n 30 "$logs/$name.log" | sed 's/^/        /'
    fi
}

# configure FOLDER OPTION…: a build folder, made once and kept up to date.
configure() {
    folder=$1
    shift
    if [ ! -f "$folder/build.ninja" ]; then
        meson setup "$folder" "$@" >"$logs/$(basename "$folder")-setup.log" 2>&1 || {
            cat "$logs/$(basename "$folder")-setup.log"
            return 1
        }
    fi
    ninja -C "$folder" >"$logs/$(basename "$folder")-build.log" 2>&1 || {
        tail -n 40 "$logs/$(basename "$folder")-build.log"
        return 1
    }
}

# suite FOLDER ARGUMENT…: the tests of a build folder, each counted.
suite() {
    folder=$1
    shift
    log=$logs/$(basename "$folder")-tests.log
    meson test -C "$folder" --print-errorlogs "$@" >"$log" 2>&1
    status=$?
    grep -E '^ *[0-9]+/[0-9]+ .*(FAIL|TIMEOUT|ERROR|SKIP)' "$log"
    ok=$(sed -n 's/^Ok: *\([0-9]*\).*/\1/p' "$log" | tail -n 1)
    bad=$(sed -n 's/^\(Fail\|Timeout\|Unexpected Pass\): *\([0-9]*\).*/\2/p' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
    if [ -z "$ok" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        bad=$((bad + 1))
        tail -n 40 "$log"
    elif [ "$bad" -gt 0 ]; then
        sed -n '/^Summary of Failures/,$p' "$log"
        tail -n 100 "$log" | head -n 80
    fi
    passed=$((passed + ${ok:-0}))
    failed=$((failed + bad))
    echo "$(basename "$folder"): ${ok:-0} ok, $bad failed"
}

# stage_build FOLDER OPTION…: configure, or one failure.
stage_build() {
    if configure "$@"; then
        return 0
    fi
    failed=$((failed + 1))
    echo "FAILED  building $1"
    return 1
}

stage_release() {
    stage_build build-release --buildtype=release -Dwerror=true && suite build-release --no-suite opencl --num-processes 2
}

# Warnings aren't errors in the instrumented builds: gcc finds overflows there that don't exist. Nothing needs
# to be suppressed. For ThreadSanitizer the cpu plugin computes products itself: OpenBLAS's threads aren't instrumented.
sanitized_suite() {
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=8 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        suite build-sanitize --timeout-multiplier 6 --num-processes 2 "$@"
}

stage_sanitize() {
    stage_build build-sanitize --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dopencl=disabled || return
    sanitized_suite --suite core --suite tt --suite io --suite text --suite model --suite train --suite backends \
        --suite conformance --suite oracle --suite tools
    sanitized_suite bad_input faulty_plugin generate resume split_memory
}

# passed_over WHAT: something that can't be tested here.
passed_over() {
    echo "$1"
    if [ -n "${CI:-}" ]; then
        failed=$((failed + 1))
        echo "FAILED  that is a failure, since CI is set"
    fi
}

# What can't be installed is passed over by the tests, which say so.
opencl_dependencies() {
    sh tools/install-dependencies.sh build test opencl || passed_over "not everything for OpenCL can be installed: tests of what is missing are skipped"
}

# Two at a time: most of it is compilers with one thread.
stage_opencl() {
    opencl_dependencies
    if sh tools/fetch-intel-opencl.sh "$logs/intel-opencl" >"$logs/intel-opencl.log" 2>&1; then
        TTM_INTEL_OPENCL=$(pwd)/$logs/intel-opencl
        export TTM_INTEL_OPENCL
    else
        passed_over "no OpenCL runtime of Intel to test with: $(tail -n 1 "$logs/intel-opencl.log")"
    fi
    stage_build build-release --buildtype=release -Dwerror=true || return
    suite build-release --suite opencl --num-processes 2
    check kernel-mutations python3 -B tests/mutations/run.py build-release --kernels --quick
    check ptx-mutations python3 -B tests/mutations/run.py build-release --ptx --quick
}

# CLBlast, PoCL and the loader aren't instrumented, which has given no false reports. gcc 12's ThreadSanitizer doesn't start where the kernel
# spreads addresses over 32 bits (vm.mmap_rnd_bits): they aren't spread at all, where that may be asked for.
stage_threads() {
    opencl_dependencies
    together=
    setarch "$(uname -m)" -R true 2>/dev/null && together="setarch $(uname -m) -R"
    stage_build build-threads --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false &&
        TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1 TTM_CPU_PRODUCTS=own suite build-threads --suite core --suite text --suite backends \
            --suite threads --timeout-multiplier 6 --num-processes 2 ${together:+--wrapper "$together"}
}

stage_install() {
    stage_build build-release --buildtype=release -Dwerror=true || return
    check install sh tests/integration/install.sh build-release
}

stage_plugins() {
    stage_build build-release --buildtype=release -Dwerror=true || return
    check template sh tests/integration/template_plugin.sh build-release
    check overlay sh tests/integration/overlay_plugin.sh build-release
    check abi sh tests/abi/check.sh
    check abi-self-test sh tests/abi/check.sh --self-test
    check mutations python3 -B tests/mutations/run.py build-release --quick
}

stage_lint() {
    check format sh tools/lint.sh format
    check headers sh tools/lint.sh headers
}

# What is built is what is run: gcc 12 breaks off with an internal error on some of the tests when it vectorises them for Arm.
stage_aarch64() {
    if ! sh tools/install-dependencies.sh build aarch64 || ! sh tools/prepare-aarch64.sh "$logs/aarch64" >"$logs/aarch64.log" 2>&1; then
        echo "nothing to cross-compile with: $(tail -n 1 "$logs/aarch64.log")"
        return
    fi
    if [ ! -f build-aarch64/build.ninja ]; then
        meson setup build-aarch64 --cross-file "$logs/aarch64/cross.ini" --buildtype=release -Dwerror=true -Dopencl=disabled -Donednn=disabled \
            >"$logs/build-aarch64-setup.log" 2>&1
    fi
    libraries=$(pwd)/$logs/aarch64/root/usr/lib/aarch64-linux-gnu
    emulate="qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$libraries:$libraries/openblas-pthread"
    check aarch64-build ninja -C build-aarch64 libttm-backend-cpu.so libttm-backend-reference.so tools/ttm-conformance tests/unit/backends/cpu_test
    # shellcheck disable=SC2086  # the emulator and its options are words
    check aarch64-conformance $emulate build-aarch64/tools/ttm-conformance --backend cpu --cases 12
    # shellcheck disable=SC2086
    check aarch64-products env TTM_TEST_SANITIZED=1 TTM_BACKEND_PATH=build-aarch64 $emulate build-aarch64/tests/unit/backends/cpu_test
}

stage_tidy() {
    stage_build build-release --buildtype=release -Dwerror=true || return
    check tidy sh tools/lint.sh tidy build-release
}

stage_fuzz() {
    [ -f build-fuzz/build.ninja ] || export CC=clang
    stage_build build-fuzz --buildtype=debugoptimized -Dfuzz=true -Dcpu=disabled -Dopencl=disabled -Db_sanitize=address,undefined -Db_lundef=false
    unset CC
    python3 tests/fuzz/seeds.py "$logs/fuzz-seeds"
    for target in build-fuzz/tests/fuzz/fuzz_*; do
        if [ -x "$target" ] && [ -f "$target" ]; then
            name=$(basename "$target")
            # What is found is kept: the next time goes on from there.
            mkdir -p "$logs/fuzz-found/$name"
            check "$name" "$target" -max_total_time=15 -rss_limit_mb=2048 -artifact_prefix="$logs/" "$logs/fuzz-found/$name" "$logs/fuzz-seeds/$name"
        fi
    done
}

for stage in $stages; do
    echo "== $stage"
    case $stage in
    release | sanitize | threads | opencl | install | plugins | lint | aarch64 | tidy | fuzz) "stage_$stage" ;;
    *)
        echo "run-tests.sh: there is no stage '$stage'; see the top of this file" >&2
        exit 2
        ;;
    esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
