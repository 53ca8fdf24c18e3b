#!/bin/sh
# Style checks:  sh tools/lint.sh format | headers | tidy BUILD-FOLDER
set -eu
cd "$(dirname "$0")/.."

c_files() {
    git ls-files '*.c' '*.h' 2>/dev/null || find backends include src tests tools examples -name '*.[ch]'
}

case ${1:-} in
format)
    c_files | xargs clang-format --dry-run --Werror
    ;;
headers)
    # Every public header compiles alone, as C11 and as C++17, by the system's compiler and by clang where it is installed.
    for compilers in "cc c++" "clang clang++"; do
        c=${compilers% *}
        cpp=${compilers#* }
        if [ "$c" = clang ] && ! command -v clang++ >/dev/null; then
            continue
        fi
        for header in include/ttm/*.h; do
            # export.h declares nothing: a declaration after it keeps -pedantic content.
            printf '#include "%s"\nextern int after_header;\n' "$header" |
                "$c" -std=c11 -Wall -Wextra -Werror -pedantic -Iinclude -I. -fsyntax-only -x c -
            printf '#include "%s"\n' "$header" | "$cpp" -std=c++17 -Wall -Wextra -Werror -Iinclude -I. -fsyntax-only -x c++ -
        done
    done
    ;;
tidy)
    build=${2:?usage: lint.sh tidy BUILD-FOLDER}
    # Sources that this build compiles, of tests those of the conformance suite and of units; clang-tidy doesn't know gcc's warning flags.
    python3 - "$build" <<'END' | xargs -P 2 -n 4 clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option
import json, os, sys
build = sys.argv[1]
files = {os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in json.load(open(build + "/compile_commands.json"))}
root = os.path.realpath(".")
tests = ("/tests/conformance/", "/tests/unit/")
print("\n".join(sorted(f for f in files if f.endswith(".c") and f.startswith(root) and ("/tests/" not in f or any(t in f for t in tests)))))
END
    ;;
*)
    echo "usage: lint.sh format | headers | tidy BUILD-FOLDER" >&2
    exit 2
    ;;
esac
