#!/bin/sh
# The overlay's README, run as it stands:  sh tests/integration/overlay_plugin.sh BUILD-FOLDER
# Installs libttm into a scratch prefix, builds the overlay out of tree with pkg-config, and looks at what it logs.
set -eu
build=$(realpath "${1:?usage: overlay_plugin.sh BUILD-FOLDER}")
overlay=$(realpath "$(dirname "$0")/../../examples/overlay")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "overlay_plugin.sh: $1" >&2
    cat "$scratch/overlay/log" >&2
    exit 1
}

meson install -C "$build" --destdir "$scratch/root" --no-rebuild >/dev/null
pkgconfig=$(dirname "$(find "$scratch/root" -name ttm.pc)")
bin=$(dirname "$(find "$scratch/root" -name ttm-conformance)")
mkdir "$scratch/overlay"
cp "$overlay"/*.c "$overlay"/*.h "$overlay/meson.build" "$overlay/README.md" "$scratch/overlay"
cd "$scratch/overlay"
# pkg-config leaves variables without the scratch root: the plugins are where their prefix is.
{
    echo 'set -eu'
    awk '/^```/ { inside = ($0 == "```sh"); next } inside' README.md |
        sed "s|^plugins=.*|plugins='$(dirname "$(find "$scratch/root" -name libttm-backend-reference.so)")'|"
} >steps.sh
env -i HOME="$scratch" PATH="$bin:$PATH" PKG_CONFIG_PATH="$pkgconfig" PKG_CONFIG_SYSROOT_DIR="$scratch/root" \
    sh steps.sh >log 2>&1 || fail "its steps fail"
grep -q 'Overlay of reference' log || fail "ttm-devices doesn't list it"
grep -q 'overlay: matmul  *[0-9][0-9]* calls  *0 failed' log || fail "it counted no product"
grep -q ', 0 failed$' log || fail "it fails the suite"

# Without something to watch it says so, in one line, and the next backend is taken.
status=0
env -i TTM_BACKEND_PATH="$PWD/build" "$bin/ttm-conformance" --backend overlay >log 2>&1 || status=$?
[ "$status" -eq 1 ] && grep -q 'set TTM_OVERLAY_BACKEND' log || fail "no word of TTM_OVERLAY_BACKEND"
echo "built, trained and counted through the overlay"
