"""The table of bench/vs-pytorch-cpu.sh from the raw results in a folder:  python3 bench/vs_pytorch_table.py FOLDER CPU-NAME"""
import collections
import json
import os
import statistics
import sys

WEIGHTS = 124439808  # gpt2-small's, all of which a token reads


def lines(path):
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []


def print_steps(entries):
    groups = collections.OrderedDict()
    for entry in entries:
        program = entry["program"] + (" torch.compile" if entry.get("compile") else "")
        groups.setdefault(("bf16" if entry["bf16"] else "fp32", entry["model"], program), []).append(entry)
    print(f"{'type':5} {'model':6} {'program':38} {'tokens/s, each time':44} {'median':>8} {'peak MiB':>9}")
    for (dtype, model, program), group in sorted(groups.items(), key=lambda item: (item[0][0] == "bf16", item[0][1])):
        speeds = [entry["tokens_per_second"] for entry in group]
        print(f"{dtype:5} {model:6} {program:38} {' '.join('%.1f' % s for s in speeds):44} {statistics.median(speeds):8.1f}"
              f" {max(entry['peak_mib'] for entry in group):9.0f}")
    return {key: statistics.median(entry["tokens_per_second"] for entry in group) for key, group in groups.items()}


def print_ratios(medians, roof):
    for dtype in ("fp32", "bf16"):
        ours = {model: medians.get((dtype, model, "libttm")) for model in ("dense", "ttm64")}
        for (kind, model, program), speed in medians.items():
            if kind == dtype and program.startswith("pytorch") and ours[model]:
                print(f"{dtype} {model}: libttm / {program}: {ours[model] / speed:.2f}")
        alone = medians.get((dtype, "dense", "libttm, 1 thread"))
        if ours["dense"] and ours["ttm64"]:
            print(f"{dtype}: TTM-64 / dense of libttm: {ours['ttm64'] / ours['dense']:.3f}")
        if alone:
            print(f"{dtype}: all threads / one thread, dense: {ours['dense'] / alone:.2f}")
    dense = medians.get(("fp32", "dense", "libttm"))
    if dense:
        # 6 operations a weight of the products and token, attention's 12·T·C/2 a layer besides.
        flops = 6 * (WEIGHTS - 1024 * 768) + 12 * 6 * 512 * 768
        print(f"fp32 dense: {dense * flops * 1e-9:.0f} GFLOP/s in whole steps, {dense * flops * 1e-9 / roof:.2f} of OpenBLAS's own SGEMM ({roof:.0f})")


def print_generation(folder, dtype):
    reads = [entry["read_gb_per_s"] for entry in lines(f"{folder}/reads-{dtype}")]
    tokens = [entry["tokens_per_second"] for entry in lines(f"{folder}/generations-{dtype}")]
    if not tokens:
        return
    size = WEIGHTS * (4 if dtype == "fp32" else 2)
    floors = [(before + after) / 2 * 1e9 / size for before, after in zip(reads, reads[1:])]
    shares = [speed / floor for speed, floor in zip(tokens, floors)]
    theirs = lines(f"{folder}/pytorch-generation-{dtype}")
    print(f"generation, {dtype}, batch 1: {statistics.median(tokens):.1f} tokens/s; reading all weights once a token allows"
          f" {statistics.median(floors):.1f}; share of that {statistics.median(shares):.2f} ({' '.join('%.2f' % share for share in shares)})"
          + (f"; PyTorch {theirs[-1]['tokens_per_second']:.1f}" if theirs else ""))


def main():
    folder, cpu = sys.argv[1:3]
    roofs = lines(folder + "/roofs")
    print(f"{cpu.strip()}, {roofs[0]['threads']} threads, {roofs[0]['blas']}")
    sgemm = [value for roof in roofs for key, value in roof.items() if key.startswith("sgemm")]
    print("SGEMM:", " · ".join(f"{value}" for value in sgemm), "GFLOP/s; reads:", " · ".join(f"{roof['read_gb_per_s']}" for roof in roofs), "GB/s")
    print_ratios(print_steps(lines(folder + "/steps")), statistics.median(sgemm))
    for dtype in ("fp32", "bf16"):
        print_generation(folder, dtype)


main()
