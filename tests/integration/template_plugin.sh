#!/bin/sh
# The plugin guide's steps, as they stand in examples/plugin/README.md:  sh tests/integration/template_plugin.sh BUILD-FOLDER
# Installs libttm into a scratch prefix and runs every sh block of the guide in a copy of the template, with that prefix and
# pkg-config alone. Prints how long it takes from the clean prefix to a plugin that trains.
set -eu
build=$(realpath "${1:?usage: template_plugin.sh BUILD-FOLDER}")
template=$(realpath "$(dirname "$0")/../../examples/plugin")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "template_plugin.sh: $1" >&2
    exit 1
}

meson install -C "$build" --destdir "$scratch/root" --no-rebuild >/dev/null
pkgconfig=$(dirname "$(find "$scratch/root" -name ttm.pc)")
bin=$(dirname "$(find "$scratch/root" -name ttm-conformance)")
# Nothing of the source tree and nothing of the caller's environment; one thread, since small models gain nothing by more.
run() {
    env -i HOME="$scratch" PATH="$bin:$PATH" PKG_CONFIG_PATH="$pkgconfig" PKG_CONFIG_SYSROOT_DIR="$scratch/root" \
        OMP_NUM_THREADS=1 "$@"
}

mkdir "$scratch/plugin"
cp "$template"/*.c "$template"/*.h "$template"/meson* "$template/README.md" "$scratch/plugin"
cd "$scratch/plugin"
# steps FROM TO: the sh blocks of the sections whose headings begin with these numbers.
steps() {
    awk -v from="$1" -v to="$2" '
        /^## / { section = $2 + 0 }
        /^```/ { inside = ($0 == "```sh"); next }
        inside && section >= from && section <= to' README.md
}

started=$(date +%s)
{ echo "set -eu"; steps 1 2; } >first.sh
run sh first.sh >first.log 2>&1 || { cat first.log >&2; fail "steps 1 and 2 of the guide fail"; }
ended=$(date +%s)
grep -q ', 0 failed$' first.log || fail "the template fails the suite"
# How much of the time that is depends on what else the machine does.
awk '$1 == "matmul" && $2 > 0 && $3 == 0 && $4 == 0 && $5 == $2 { found = 1 } END { exit !found }' first.log &&
    grep -Eq '^[0-9.]+% of the time went through fallback; .* write that op next for backend template' first.log ||
    { cat first.log >&2; fail "the profile doesn't say what to write next"; }
[ -f run/latest/model.safetensors ] || fail "50 steps left no model"

{ echo "set -eu"; echo 'export TTM_BACKEND_PATH="$PWD/build"'; steps 3 4; } >second.sh
run sh second.sh >second.log 2>&1 || { cat second.log >&2; fail "steps 3 and 4 of the guide fail"; }
[ "$(grep -c ', 0 failed$' second.log)" -eq 2 ] || { cat second.log >&2; fail "MATMUL or TT_LINEAR fail the suite"; }
# op calls native decomposed fallback
awk '$1 == "matmul" && $3 ~ /^[0-9]+$/ && $3 > 0 && $4 > 0 && $5 == 0 { found = 1 } END { exit !found }' second.log ||
    { cat second.log >&2; fail "with MATMUL no product is native"; }
awk '$1 == "tt_linear" && $3 ~ /^[0-9]+$/ { tables++; native[tables] = $3; decomposed[tables] = $4 }
    END { exit !(tables == 2 && native[1] == 0 && decomposed[1] > 0 && native[2] > 0 && decomposed[2] == 0) }' second.log ||
    { cat second.log >&2; fail "TT_LINEAR isn't decomposed first and native then"; }
# What is trained doesn't depend on who computes: same loss to the digits shown.
grep -h -o 'loss [0-9.]*, validation' first.log second.log | sort -u | wc -l | grep -q '^1$' ||
    { grep -h 'loss' first.log second.log >&2; fail "the losses differ"; }
echo "from a clean prefix to a plugin that has trained 50 steps: $((ended - started)) s"
