#!/bin/sh
# An installed libttm works on its own:  sh tests/integration/install.sh BUILD-FOLDER
# Installs into a scratch folder, runs the tools without any environment, builds a program against it through pkg-config.
set -eu
build=$(realpath "${1:?usage: install.sh BUILD-FOLDER}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
meson install -C "$build" --destdir "$scratch/root" --no-rebuild >/dev/null

prefix=$(find "$scratch/root" -type d -name bin | head -n 1)
prefix=${prefix%/bin}
library=$(find "$prefix" -name 'libttm.so.0' | head -n 1)
libdir=$(dirname "$library")
fail() {
    echo "install.sh: $1" >&2
    exit 1
}

[ -f "$libdir/libttm.so" ] || fail "no libttm.so"
[ -f "$libdir/ttm/libttm-backend-reference.so" ] || fail "the reference plugin isn't in $libdir/ttm"
[ -f "$libdir/pkgconfig/ttm.pc" ] || fail "no ttm.pc"
for header in include/ttm/*.h; do
    [ -f "$prefix/include/ttm/$(basename "$header")" ] || fail "$header isn't installed"
done
# Only what is public may be seen.
strange=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v '^ttm_' || true)
[ -z "$strange" ] || fail "libttm exports $strange"

cd "$scratch"
for tool in "$prefix"/bin/ttm-*; do
    env -i "$tool" --version >/dev/null || fail "$tool --version fails"
    env -i "$tool" --help >/dev/null || fail "$tool --help fails"
    [ -f "$prefix/share/man/man1/$(basename "$tool").1" ] || fail "$(basename "$tool") has no manual page"
done
env -i "$prefix/bin/ttm-devices" --json | grep -q '"reference"' || fail "the installed tools don't find the installed plugins"

cat >program.c <<'END'
#include <stdio.h>
#include <ttm/device.h>
int main(void)
{
    ttm_device *device = NULL;
    if (ttm_device_open(&device, "reference", NULL) != TTM_OK) {
        fprintf(stderr, "%s\n", ttm_error_message());
        return 1;
    }
    puts(ttm_device_get_info(device)->name);
    ttm_device_close(device);
    return 0;
}
END
export PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$scratch/root"
# shellcheck disable=SC2046  # flags are words
cc program.c -o program $(pkg-config --cflags --libs ttm) -Wl,-rpath,"$libdir"
[ "$(env -i ./program)" = reference ] || fail "a program built through pkg-config doesn't find the plugins"

# A text is learnt and continued with the installed tools alone.
i=0
while [ $i -lt 400 ]; do
    echo "the quick brown fox number $i jumps over the lazy dog"
    i=$((i + 1))
done >text.txt
env -i "$prefix/bin/ttm-train" --preset gpt2-tiny-ttm16 --layers 1 --data text.txt --out run --steps 3 --batch 2 --seq 32 --quiet \
    --backend reference >/dev/null
env -i "$prefix/bin/ttm-generate" --model run --prompt 'the quick' --max-tokens 4 --backend reference >/dev/null
echo "installed, linked, trained and generated"
