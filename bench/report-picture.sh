#!/bin/sh
# Takes the picture of the page that `ttm-bench report` writes, docs/images/bench-report.png, with headless Chromium.
#     sh bench/report-picture.sh BUILD [PICTURE]
# Takes two minutes. The picture shows the form of the page; still, an idle machine makes a better one.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: report-picture.sh BUILD [PICTURE]}")
picture=$(realpath "${2:-docs/images/bench-report.png}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "report-picture.sh: needs Chromium: apt-get install chromium" >&2
    exit 1
}
"$build/tools/ttm-bench" train --backend cpu --preset gpt2-small-ttm64 --batch 1 --seq 256 --steps 15 --quiet --output "$scratch/train.json"
"$build/tools/ttm-bench" layer --backend cpu --preset gpt2-small-ttm64 --rows 1,512 --seconds 0.3 --quiet --output "$scratch/layer.json"
"$build/tools/ttm-bench" report "$scratch/train.json" "$scratch/layer.json" --output "$scratch/report.html"
# The budget of time lets the page be painted to its end before the picture is taken.
"$browser" --headless --no-sandbox --hide-scrollbars --run-all-compositor-stages-before-draw --virtual-time-budget=5000 --user-data-dir="$scratch/profile" --window-size=1120,1640 \
    --screenshot="$picture" "file://$scratch/report.html" >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    exit 1
}
echo "$picture"
