#!/bin/sh
# Makes a folder with what libttm links against on 64-bit Arm and a meson cross file for it:  sh tools/prepare-aarch64.sh FOLDER
#
# Needs gcc-aarch64-linux-gnu and qemu-user. Packages are unpacked, not installed: the machine itself stays as it is.
# FOLDER/cross.ini then goes to `meson setup --cross-file`; programs that are built so run under qemu-aarch64.
set -eu
mkdir -p "${1:?usage: prepare-aarch64.sh FOLDER}"
folder=$(realpath "$1")
libraries=$folder/root/usr/lib/aarch64-linux-gnu
for program in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$program" >/dev/null || { echo "prepare-aarch64.sh: there is no $program: install gcc-aarch64-linux-gnu and qemu-user" >&2; exit 1; }
done
if [ ! -f "$folder/complete" ]; then
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/packages" "$folder/root"
    options="-q -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State::Lists=$folder/lists -oDir::Cache=$folder/cache -oDir::State::status=/dev/null"
    # shellcheck disable=SC2086  # options are words
    apt-get $options update
    # shellcheck disable=SC2086
    (cd "$folder/packages" && apt-get $options download libopenblas0-pthread libopenblas-pthread-dev libgfortran5 libpcre2-8-0 libpcre2-dev \
        libcjson1 libcjson-dev libcmocka0 libcmocka-dev)
    for package in "$folder/packages"/*.deb; do
        dpkg -x "$package" "$folder/root"
    done
    rm -rf "$folder/lists" "$folder/cache" "$folder/packages"
    touch "$folder/complete"
fi
cat >"$folder/cross.ini" <<END
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', '-E', 'LD_LIBRARY_PATH=$libraries:$libraries/openblas-pthread']

[properties]
sys_root = '$folder/root'
pkg_config_libdir = ['$libraries/pkgconfig', '$libraries/openblas-pthread/pkgconfig']

[built-in options]
c_link_args = ['-Wl,-rpath-link,$libraries:$libraries/openblas-pthread']

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END
