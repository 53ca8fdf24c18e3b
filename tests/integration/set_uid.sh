#!/bin/sh
# What a set-uid program doesn't trust: the environment, and plugins that everyone may write. Needs root, setpriv and a folder for
# temporary files where set-uid counts; skipped, and said to be, elsewhere.
. "$(dirname "$0")/common.sh"

skip()
{
    echo "$test_name: skipped: $*" >&2
    exit 77
}
[ -z "${TTM_TEST_SANITIZED:-}" ] || skip "sanitizers don't run in set-uid programs"
[ "$(id -u)" -eq 0 ] || skip "only root can make a program of root's that others run"
command -v setpriv >/dev/null || skip "there is no setpriv"

# ttm-conformance needs no shared libttm, whose place a set-uid program wouldn't look up.
conformance="$TTM_TOOLS/ttm-conformance"
reference=$(realpath "$TTM_BACKEND_PATH/libttm-backend-reference.so")
fakes=$(realpath "$TTM_TEST_PROGRAMS/../unit/core/plugins")
as_nobody="setpriv --reuid=65534 --clear-groups"
chmod 755 "$scratch"
mkdir -m 755 secure first
cp "$fakes/libttm-backend-fake.so" first
# A backend that no installed libttm has: that one would be taken instead.
ours=secure/libttm-backend-noevents.so
cp "$conformance" "$reference" "$fakes/${ours#*/}" secure
chmod 4755 secure/ttm-conformance
chmod 644 secure/*.so
$as_nobody sh -c "secure/ttm-conformance --version" >/dev/null 2>&1 || skip "set-uid doesn't count in $scratch"

trusted="$as_nobody secure/ttm-conformance --backend noevents --filter memory/separate"
expect 0 $trusted
expect 0 env TTM_BACKEND_PATH="$scratch/first:$(dirname "$reference")" "$conformance" --backend fake --filter memory/separate
expect 1 env TTM_BACKEND_PATH="$scratch/first:$(dirname "$reference")" $as_nobody secure/ttm-conformance --backend fake --filter memory/separate
one_line_error
chmod 666 $ours
expect 1 $trusted
grep -q 'written by everyone' err || fail "no word of a file that everyone may write: $(cat err)"
chmod 644 $ours
chmod 777 secure
expect 1 $trusted
grep -q 'written by everyone' err || fail "no word of a folder that everyone may write: $(cat err)"
