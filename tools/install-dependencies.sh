#!/bin/sh
# Installs what libttm needs on a Debian machine:  sh tools/install-dependencies.sh [build] [text] [test] [opencl] [aarch64]
#   build  compiler, meson and the libraries (always)
#   text   an English text to train on: the King James Bible
#   test   what the tests use besides
#   aarch64 a compiler and an emulator for 64-bit Arm
#   opencl what the tests of the opencl backend use besides: rusticl, Oclgrind, compilers for GPUs. Each of these can be missing: the
#          others are installed, a line says which are skipped and why, and the exit status is 3
# Asks for nothing that is installed already, so a second run needs no network.
set -eu

optional=
packages="gcc libc6-dev meson ninja-build pkg-config libopenblas-dev libpcre2-dev libcjson-dev ocl-icd-opencl-dev libclblast-dev"
for group in "$@"; do
    case $group in
    build) ;;
    text) packages="$packages bible-kjv bible-kjv-text" ;;
    test) packages="$packages g++ libcmocka-dev libdnnl-dev pocl-opencl-icd abigail-tools clang clang-format clang-tidy git python3 python3-venv dict-gcide mandoc" ;;
    opencl) optional="pocl-opencl-icd mesa-opencl-icd oclgrind intel-opencl-icd clang-15 libclc-15 lld-15 llvm-15 rocm-device-libs" ;;
    aarch64) packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" ;;
    *) echo "install-dependencies.sh: unknown group '$group'; use build, text, test, opencl or aarch64" >&2; exit 2 ;;
    esac
done

# missing_of PACKAGE…: prints those that aren't installed.
missing_of()
{
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
        *" installed") ;;
        *) printf ' %s' "$package" ;;
        esac
    done
}

# shellcheck disable=SC2086  # one word a package, here and below
missing=$(missing_of $packages)
# shellcheck disable=SC2086
wanted=$(missing_of $optional)
[ -n "$missing$wanted" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-dependencies.sh: these packages are missing, and there is no sudo to install them:$missing$wanted" >&2
        [ -z "$missing" ] && exit 3
        exit 1
    fi
    as_root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# install PACKAGE…: all of them or none.
install()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$log" 2>&1
}

echo "Installing:$missing$wanted"
# A list that can't be renewed may still do.
$as_root apt-get update -q >"$log" 2>&1 || echo "apt-get update failed: $(tail -n 1 "$log")"
# shellcheck disable=SC2086
if [ -n "$missing" ] && ! install $missing; then
    tail -n 20 "$log" >&2
    echo "install-dependencies.sh: apt-get failed; its last lines stand above" >&2
    exit 1
fi
# shellcheck disable=SC2086
if [ -n "$wanted" ] && ! install $wanted; then
    skipped=
    for package in $wanted; do
        if ! install "$package"; then
            skipped="$skipped $package"
            echo "skipped: $package can't be installed: $(grep -m 1 '^E: ' "$log" || tail -n 1 "$log")"
        fi
    done
    [ -z "$skipped" ] || exit 3
fi
