#!/bin/sh
# Roofs that `ttm-bench devices` measures on the CPU beside independent programs: OpenBLAS's own SGEMM and a STREAM-like triad, in turn.
#     sh bench/check-roofs.sh BUILD [ROUNDS]
# Prints the ratio of the best of each over the rounds. Needs an idle machine: what runs beside it is seen.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: check-roofs.sh BUILD [ROUNDS]}")
rounds=${2:-3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cc -O3 -march=native -fopenmp bench/triad.c -o "$scratch/triad"
cat >"$scratch/sgemm.c" <<'PROGRAM'
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(void)
{
    double fastest = 0.0;
    for (int size = 512; size <= 4096; size *= 2) {
        float *m[3];
        for (int k = 0; k < 3; k++) {
            m[k] = malloc(sizeof(float) * size * size);
            for (int i = 0; i < size * size; i++) {
                m[k][i] = (float)(rand() % 1000) / 1000.0F - 0.5F;
            }
        }
        for (int run = 0; run < (size < 2048 ? 60 : 8); run++) {
            struct timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1, m[0], size, m[1], size, 0, m[2], size);
            clock_gettime(CLOCK_MONOTONIC, &b);
            double speed = 2.0 * size * size * size / ((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec));
            fastest = speed > fastest ? speed : fastest;
        }
        for (int k = 0; k < 3; k++) {
            free(m[k]);
        }
    }
    printf("%.4g\n", fastest);
    return 0;
}
PROGRAM
# shellcheck disable=SC2046  # flags are words
cc -O2 "$scratch/sgemm.c" -o "$scratch/sgemm" $(pkg-config --cflags --libs openblas)
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    "$build/tools/ttm-bench" devices --backend cpu --json --quiet | awk -F'[:,]' '
        /"(product_f32_flops|triad_bytes_per_second|copy_bytes_per_second|read_bytes_per_second)"/ { gsub(/[ "]/, "", $1); print $1, $2 }' >>"$scratch/ours"
    echo "product_f32_flops $("$scratch/sgemm")" >>"$scratch/theirs"
    "$scratch/triad" | tr -d '{}" ' | tr ',' '\n' | sed 's/:/_bytes_per_second /' >>"$scratch/theirs"
done
awk 'FNR == 1 { file++ }
    { best[file, $1] = $2 + 0 > best[file, $1] ? $2 + 0 : best[file, $1]; names[$1] }
    END { for (name in names) printf "%-26s ttm-bench %10.4g   independent %10.4g   ratio %.3f\n", name, best[1, name], best[2, name], best[1, name] / best[2, name] }' \
    "$scratch/ours" "$scratch/theirs"
