#!/bin/sh
# The plugin ABI against that of the last release:  sh tests/abi/check.sh [HEADERS]
#   HEADERS      folder that holds ttm/backend.h; default: include/ of this tree
#   --update     writes plugin-MAJOR.MINOR.abi for the headers as they are, when a version is released
#   --self-test  shows on copies of the headers that breaks are found and announced additions aren't
#
# An unannounced change fails. One that is announced by a newer minor version (TTM_BACKEND_ABI_MINOR) may only add what
# docs/plugin-abi.md allows (minor.py); a newer major version may change anything. Needs abidw and abidiff (package
# abigail-tools) and python3.
set -eu
here=$(realpath "$(dirname "$0")")
tree=$(realpath "$here/../..")
for tool in abidw abidiff python3; do
    command -v $tool >/dev/null || { echo "check.sh: there is no $tool: install abigail-tools and python3" >&2; exit 1; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# version HEADERS: MAJOR.MINOR that the headers say.
version()
{
    sed -n 's/^#define TTM_BACKEND_ABI_\(MAJOR\|MINOR\) *\([0-9]*\)u.*/\2/p' "$1/ttm/backend.h" | paste -s -d .
}

# dump HEADERS SOURCE FILE: the ABI of the headers, as XML without anything of this machine.
dump()
{
    cp "$2" "$scratch/abi.c"
    (cd "$scratch" && cc -std=c11 -g -gno-record-gcc-switches -O0 -shared -fPIC -fvisibility=hidden -I"$1" abi.c -o libabi.so \
        "-fdebug-prefix-map=$scratch=." "-fdebug-prefix-map=$1=include")
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file "$3" "$scratch/libabi.so"
}

# The dump of the newest release.
last_release()
{
    find "$here" -name 'plugin-*.abi' | sort -V | tail -n 1
}

# compare HEADERS SOURCE: 0 if the ABI is that of the last release, or differs as announced.
compare()
{
    released=$(last_release)
    [ -n "$released" ] || { echo "check.sh: there is no plugin-*.abi yet: run with --update" >&2; return 1; }
    old=$(basename "$released" .abi)
    old=${old#plugin-}
    new=$(version "$1")
    dump "$1" "$2" "$scratch/new.abi" || return 1
    if [ "${new%.*}" -gt "${old%.*}" ]; then
        echo "plugin ABI $new: a new major version, anything may differ from $old"
        return 0
    fi
    if [ "${new#*.}" -gt "${old#*.}" ]; then
        more=' by more than a minor version may'
        python3 -B "$here/minor.py" "$released" "$scratch/new.abi" >"$scratch/report" && judged=compatible || judged=differs
    else
        more=
        # --harmless: that a change is compatible doesn't make it announced.
        abidiff --harmless "$released" "$scratch/new.abi" >"$scratch/report" 2>&1 && judged=compatible || judged=differs
    fi
    if [ "$judged" = compatible ]; then
        echo "plugin ABI $new: compatible with $old"
        return 0
    fi
    cat "$scratch/report" >&2
    echo "check.sh: the plugin ABI differs from that of release $old$more: see docs/plugin-abi.md" >&2
    return 1
}

# try WANTED WHAT FILE SED…: a change of a copy of the headers must pass or fail.
tried=0
try()
{
    wanted=$1 what=$2 file=$3
    shift 3
    rm -rf "$scratch/copy"
    cp -R "$tree/include" "$scratch/copy"
    cp "$here/abi.c" "$scratch/copy/abi.c"
    before=$(cat "$scratch/copy/$file" | cksum)
    for edit in "$@"; do
        case $edit in
        minor) sed -i 's/^#define TTM_BACKEND_ABI_MINOR .*/#define TTM_BACKEND_ABI_MINOR 99u/' "$scratch/copy/ttm/backend.h" ;;
        major) sed -i 's/^#define TTM_BACKEND_ABI_MAJOR .*/#define TTM_BACKEND_ABI_MAJOR 99u/' "$scratch/copy/ttm/backend.h" ;;
        *) sed -i "$edit" "$scratch/copy/$file" ;;
        esac
    done
    [ "$before" != "$(cat "$scratch/copy/$file" | cksum)" ] || { echo "check.sh: '$what' changed nothing in $file" >&2; exit 1; }
    result=passes
    compare "$scratch/copy" "$scratch/copy/abi.c" >"$scratch/log" 2>&1 || result=fails
    # Headers that don't compile are no verdict.
    [ $result = passes ] || grep -q 'differs from that of release' "$scratch/log" || result=broken
    printf '%-6s  %s\n' "$result" "$what"
    [ "$result" = "$wanted" ] || { cat "$scratch/log" >&2; echo "check.sh: it should be: $wanted" >&2; exit 1; }
    tried=$((tried + 1))
}

# Edits that several changes below have in common.
member_at_the_end='s/^} ttm_backend;/    void (*later)(void);\n} ttm_backend;/'
two_members_swapped='s/(\*memory_alloc)(/(*memory_other)(/; s/(\*stream_create)(/(*memory_alloc)(/; s/(\*memory_other)(/(*stream_create)(/'
member_in_the_middle='s/^    const char \*description;/    const char *licence; const char *description;/'
other_parameter='s/(\*device_count)(int32_t \*count)/(*device_count)(int64_t *count)/'
op_renumbered='s/TTM_OP_GELU = 6/TTM_OP_GELU = 7/; s/TTM_OP_GELU_BACKWARD = 7/TTM_OP_GELU_BACKWARD = 6/'
op_at_the_end='s/TTM_OP_COUNT = 24/TTM_OP_LATER = 24,\n    TTM_OP_COUNT = 25/'

self_test()
{
    try fails 'a member of the table is removed' ttm/backend.h '/(\*memory_zero)/,/;/d'
    try fails 'the same with a newer minor version' ttm/backend.h '/(\*memory_zero)/,/;/d' minor
    try fails 'two members of the table change places' ttm/backend.h "$two_members_swapped"
    try fails 'the same with a newer minor version' ttm/backend.h "$two_members_swapped" minor
    try fails 'the same with a member at the end, too' ttm/backend.h "$two_members_swapped" "$member_at_the_end" minor
    try fails 'a member is put in the middle of the table' ttm/backend.h "$member_in_the_middle"
    try fails 'the same with a newer minor version' ttm/backend.h "$member_in_the_middle" minor
    try fails 'a function takes another type' ttm/backend.h "$other_parameter"
    try fails 'the same with a newer minor version' ttm/backend.h "$other_parameter" minor
    try fails 'the same with a member at the end, too' ttm/backend.h "$other_parameter" "$member_at_the_end" minor
    try fails 'a text gets longer' ttm/backend.h 's/char vendor\[64\]/char vendor[96]/'
    try fails 'the same with a newer minor version' ttm/backend.h 's/char vendor\[64\]/char vendor[96]/' minor
    try fails 'the entry point takes another type' abi.c 's/ttm_backend_entry(const ttm_backend_host \*host)/ttm_backend_entry(const void *host)/' minor
    try fails 'an op gets another number' ttm/ops.h "$op_renumbered"
    try fails 'the same with a newer minor version' ttm/ops.h "$op_renumbered" minor
    try fails 'two slots of an op change places' ttm/ops.h 's/TTM_MATMUL_A = 1/TTM_MATMUL_A = 2/; s/TTM_MATMUL_B = 2/TTM_MATMUL_B = 1/' minor
    try fails 'an op is gone' ttm/ops.h 's/TTM_OP_COUNT = 24/TTM_OP_COUNT = 23/' minor
    try fails 'a parameter gets another type' ttm/ops.h 's/^    int32_t causal;/    int64_t causal;/' minor
    try fails 'an op gets another parameter, at the end' ttm/ops.h 's/^} ttm_fill_params;/    double step;\n} ttm_fill_params;/' minor
    try fails 'a type gets another number' ttm/types.h 's/TTM_BF16 = 2/TTM_BF16 = 3/; s/TTM_F16 = 3/TTM_F16 = 2/'
    try fails 'the same with a newer minor version' ttm/types.h 's/TTM_BF16 = 2/TTM_BF16 = 3/; s/TTM_F16 = 3/TTM_F16 = 2/' minor
    try fails 'tensors get more dimensions' ttm/types.h 's/TTM_MAX_RANK 8/TTM_MAX_RANK 9/' minor
    try fails 'a status gets another number' ttm/status.h 's/TTM_ERROR_IO = 7/TTM_ERROR_IO = 70/' minor
    try fails 'a member at the end of the table, unannounced' ttm/backend.h "$member_at_the_end"
    try fails 'an op behind the last one, unannounced' ttm/ops.h "$op_at_the_end"
    try passes 'a member at the end of the table, with a newer minor version' ttm/backend.h "$member_at_the_end" minor
    try passes 'an op behind the last one, with a newer minor version' ttm/ops.h "$op_at_the_end" minor
    try passes 'anything, with a newer major version' ttm/types.h 's/TTM_MAX_RANK 8/TTM_MAX_RANK 9/' major
    try passes 'another comment' ttm/backend.h 's/Logs one line/Logs a line/'
    echo "$tried changes judged as they should be"
}

case ${1:-} in
--update)
    dump "$tree/include" "$here/abi.c" "$here/plugin-$(version "$tree/include").abi"
    echo "plugin-$(version "$tree/include").abi written: commit it with the release"
    ;;
--self-test) self_test ;;
*) compare "$(realpath "${1:-$tree/include}")" "$here/abi.c" ;;
esac
