# What the opencl tests share. The environment names the tools (TTM_TOOLS), a folder that stays from
# run to run (TTM_OPENCL_CACHE), so that kernels are compiled once, and, where Intel's runtime isn't
# installed, a folder that tools/fetch-intel-opencl.sh has made (TTM_INTEL_OPENCL).
set -u
export RUSTICL_ENABLE=${RUSTICL_ENABLE-llvmpipe}
export XDG_CACHE_HOME=${TTM_OPENCL_CACHE:-${TMPDIR:-/tmp}/ttm-opencl-cache}
export POCL_CACHE_DIR=$XDG_CACHE_HOME/pocl
mkdir -p "$XDG_CACHE_HOME" "$POCL_CACHE_DIR"
# Emulated matrix units are slow, and a machine that does other work beside is slower still: no test is to fail for time.
export TTM_OPENCL_PROBE_SECONDS=${TTM_OPENCL_PROBE_SECONDS-600}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# Shows the loader one implementation only: drivers with different versions of LLVM don't always
# stand each other in one process, and loading all of them takes seconds.
use_implementation()
{
    vendors=${OCL_ICD_VENDORS:-/etc/OpenCL/vendors}
    case $1 in
    PoCL) only=$vendors/pocl.icd ;;
    rusticl) only=$vendors/rusticl.icd ;;
    PTX)
        only=${TTM_PTX_ICD:-/nowhere}
        # Built programs are kept by what they were made of, of which this device's own functions are no part.
        export XDG_CACHE_HOME=$folder/cache
        ;;
    Intel)
        only=${TTM_INTEL_OPENCL:-/nowhere}/vendors/intel.icd
        export LD_LIBRARY_PATH="${TTM_INTEL_OPENCL:-/nowhere}/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        ;;
    *) only= ;;
    esac
    if [ -f "$only" ]; then
        OCL_ICD_VENDORS=$only
        export OCL_ICD_VENDORS
    fi
}

# Ends the test as skipped where no device of the backend has $1 in its name.
need_device()
{
    use_implementation "$1"
    "$TTM_TOOLS/ttm-devices" 2> "$folder/devices.log" | grep "opencl:" | grep -q -i -F "$1" && return
    echo "skipped: there is no OpenCL device $1"
    exit 77
}

# Writes a text that a small model learns quickly to $1.
write_text()
{
    awk 'BEGIN { for (i = 1; i <= 2000; i++)
        printf "line %d: %d the quick brown fox jumps over the lazy dog number %d.\n",
               i, (i * 7919) % 1000, (i * 31) % 97 }' > "$1"
}

# Runs ttm-train on $1 into folder $2 with whatever follows.
train()
{
    train_backend=$1
    train_out=$2
    shift 2
    "$TTM_TOOLS/ttm-train" --preset gpt2-tiny-ttm16 --tokenizer bytes --data "$folder/text" \
        --out "$train_out" --backend "$train_backend" --batch 4 --seq 64 "$@"
}
