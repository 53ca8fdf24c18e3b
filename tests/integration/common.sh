# What the integration tests share. A test is a POSIX shell script that begins with
#     . "$(dirname "$0")/common.sh"
# and gets the tools' folder in TTM_TOOLS and that of the tests' own programs in TTM_TEST_PROGRAMS.
# It works in a folder of its own, which is removed afterwards.
set -eu

test_name=$(basename "$0" .sh)
: "${TTM_TOOLS:?the folder of the tools}"
: "${TTM_TEST_PROGRAMS:?the folder of the programs of the tests}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ttm-$test_name-XXXXXX")
trap 'status=$?; trap - EXIT; chmod -R u+w "$scratch"; rm -rf "$scratch"; exit $status' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
# A BLAS that is held back is warned of, where tests want one line of error.
unset OPENBLAS_CORETYPE

# fail TEXT…: ends the test.
fail()
{
    echo "$test_name: FAILED: $*" >&2
    exit 1
}

# expect CODES COMMAND…: runs a command, checks that its exit status is one of CODES (as 1 or "1|2"),
# keeps stdout and stderr in the files out and err.
expect()
{
    expected=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    case "|$expected|" in
    *"|$status|"*) ;;
    *)
        cat err >&2
        fail "exit status $status, not $expected: $*"
        ;;
    esac
}

# one_line_error: the stderr of the last `expect` is one line that says "error", with no trace of a
# crash or a sanitiser.
one_line_error()
{
    grep -q 'error' err || fail "no error message: $(cat err)"
    [ "$(grep -c 'error' err)" -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] ||
        fail "not one line: $(cat err)"
}

# warned_of_tf32: the stderr of the last `expect` is the warning of a device without tf32, and nothing else.
warned_of_tf32()
{
    [ "$(wc -l <err)" -eq 1 ] && grep -q '^ttm warning: tf32: .* has no products in it; they are computed in fp32$' err ||
        fail "not the warning: $(cat err)"
}

# json_value FILE KEY: prints a number or text of a JSON object with one member a line or all in one.
json_value()
{
    tr ',' '\n' <"$1" | sed -n "s/.*\"$2\": *\"\{0,1\}\([^\"}]*\).*/\1/p" | head -n 1
}

# metrics DIR: prints a run's metrics without what depends on the clock.
metrics()
{
    sed 's/,"seconds":.*}$/}/' "$1/metrics.jsonl"
}

# same_run A B: two runs have the same metrics, weights and moments.
same_run()
{
    metrics "$1" >a.metrics
    metrics "$2" >b.metrics
    cmp a.metrics b.metrics || fail "the metrics of $1 and $2 differ"
    cmp "$1/latest/model.safetensors" "$2/latest/model.safetensors" ||
        fail "the weights of $1 and $2 differ"
    cmp "$1/latest/optimizer.safetensors" "$2/latest/optimizer.safetensors" ||
        fail "the moments of $1 and $2 differ"
}

# wait_for_step DIR STEP PID: waits until a run has done a step, or has ended.
wait_for_step()
{
    while kill -0 "$3" 2>/dev/null && ! grep -q "^{\"step\":$2," "$1/metrics.jsonl" 2>/dev/null; do
        sleep 0.02
    done
}

# A model that trains quickly on any backend, and text for it.
train="$TTM_TOOLS/ttm-train"
small="--preset gpt2-tiny-ttm16 --layers 2 --width 32 --heads 2 --context 32 --batch 4 --quiet"
