#!/bin/sh
# The memory that a dry run foretells is what a run really takes: on the device exactly, of the process
# within 5 %. TTM_TEST_SANITIZED leaves out the process, which a sanitiser makes larger.
. "$(dirname "$0")/common.sh"
unset MALLOC_PERTURB_ # meson sets it: malloc then writes to memory that nobody else would touch

"$TTM_TEST_PROGRAMS/markov_source" 60000 1 >text.txt 2>/dev/null
# The last one takes more for its embeddings than for its activations.
for model in "gpt2-mini --batch 6" "gpt2-mini-ttm32 --batch 3 --accumulation 2" \
    "gpt2-tiny --batch 1 --seq 16 --vocab-size 100000 --tokenizer bytes"; do
    expect 0 "$train" --preset $model --dry-run --json
    planned=$(json_value out memory_bytes)
    expect 0 "$train" --preset $model --data text.txt --out run --steps 1 --validation-windows 1 \
        --quiet --json
    [ "$(json_value out device_memory_bytes)" -eq "$(json_value out device_memory_peak_bytes)" ] ||
        fail "$model: the device's peak isn't the plan: $(cat out)"
    peak=$(json_value out process_memory_peak_bytes)
    echo "$model: planned $planned, process $peak"
    [ -n "${TTM_TEST_SANITIZED:-}" ] ||
        awk -v peak="$peak" -v planned="$planned" \
            'BEGIN { exit !(peak < planned * 1.05 && peak > planned * 0.95) }' ||
        fail "$model takes $peak bytes, $planned were planned"
    rm -rf run
done

# Plugins that were only tried stay loaded, and count: PoCL brings a whole compiler.
[ -z "${TTM_TEST_SANITIZED:-}" ] || exit 0
unset TTM_BACKEND
expect 0 "$train" --preset gpt2-mini --batch 1 --dry-run --json
planned=$(json_value out memory_bytes)
[ "$(json_value out backend)" = cpu ] || exit 0
expect 0 "$train" --preset gpt2-mini --batch 1 --data text.txt --out run --steps 1 --validation-windows 1 --quiet --json
peak=$(json_value out process_memory_peak_bytes)
echo "with every plugin: planned $planned, process $peak"
awk -v peak="$peak" -v planned="$planned" 'BEGIN { exit !(peak < planned * 1.05 && peak > planned * 0.95) }' ||
    fail "gpt2-mini takes $peak bytes, $planned were planned"
