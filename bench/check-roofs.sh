#!/bin/sh
# Roofs that `ttm-bench devices` measures on the CPU beside independent programs: OpenBLAS's own SGEMM, and STREAM-like loops
# (bench/triad.c), on one thread and on all.
#     sh bench/check-roofs.sh BUILD [ROUNDS [THREADS…]]
# Memory of a shared machine changes its speed from second to second, so the programs take turns, and a round counts for a roof only
# where the independent program found the same before and after ttm-bench, within 5 %. Prints medians over the rounds that count, and of
# their ratios. Needs an idle machine: what runs beside it is seen.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: check-roofs.sh BUILD [ROUNDS [THREADS…]]}")
rounds=${2:-6}
shift
[ $# -eq 0 ] || shift
all=$(nproc)
[ $# -gt 0 ] || if [ "$all" -gt 1 ]; then set -- 1 "$all"; else set -- 1; fi
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
    for (int size = 512; size <= 2048; size *= 2) {
        float *m[3];
        for (int k = 0; k < 3; k++) {
            m[k] = malloc(sizeof(float) * size * size);
            for (int i = 0; i < size * size; i++) {
                m[k][i] = (float)(rand() % 1000) / 1000.0F - 0.5F;
            }
        }
        for (int run = 0; run < (size < 2048 ? 20 : 6); run++) {
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

# independent THREADS TURN, and ours THREADS TURN: lines "THREADS ROOF TURN WHO VALUE".
independent()
{
    {
        echo "product_f32_flops $(OPENBLAS_NUM_THREADS=$1 "$scratch/sgemm")"
        OMP_NUM_THREADS=$1 "$scratch/triad" | tr -d '{}" ' | tr ',' '\n' | sed 's/:/_bytes_per_second /'
    } | awk -v threads="$1" -v turn="$2" '{ print threads "-thread" (threads > 1 ? "s" : ""), $1, turn, "theirs", $2 }' >>"$scratch/values"
}
ours()
{
    TTM_THREADS=$1 "$build/tools/ttm-bench" devices --backend cpu --json --quiet | awk -F'[:,]' -v threads="$1" -v turn="$2" '
        /"(product_f32_flops|(triad|copy|read|write)_bytes_per_second)"/ {
            gsub(/[ "]/, "", $1); print threads "-thread" (threads > 1 ? "s" : ""), $1, turn, "ours", $2 }' >>"$scratch/values"
}
for threads in "$@"; do
    independent "$threads" 0
    round=0
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        ours "$threads" "$round"
        independent "$threads" "$round"
    done
done
awk -v rounds="$rounds" -f bench/roof_ratios.awk "$scratch/values"
