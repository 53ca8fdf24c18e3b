"""The tables of bench/h100.sh in Markdown, from the results in its folder:  python3 bench/h100_summary.py OUT

What wasn't measured is a dash. PyTorch is compared with the slower of our two runs.
"""
import glob
import json
import os
import re
import sys

WAYS = ("nn", "nt", "tn")
TYPES = ("bf16", "fp32", "tf32")


def load(name):
    """The object in a file whose last line, or all of it, is JSON; None where there is none."""
    try:
        with open(os.path.join(sys.argv[1], name), encoding="utf-8") as file:
            text = file.read()
        try:
            return json.loads(text)
        except ValueError:
            return json.loads(text.strip().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None


def number(value, form="{:,.0f}"):
    return "–" if value is None else form.format(value)


def ratio(a, b):
    return number(a / b if a and b else None, "{:.2f}")


def table(title, head, rows):
    print(f"### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def ours(kind, dtype):
    return [run for run in (load(f"step-{kind}-{dtype}-ours{number}.json") for number in (1, 2)) if run]


def speed(runs):
    return min((run["step"]["tokens_per_second"] for run in runs), default=None)


def print_steps():
    rows = []
    for dtype in TYPES:
        for kind in ("dense", "ttm64"):
            runs = ours(kind, dtype)
            eager, compiled = (load(f"step-{kind}-{dtype}-{way}.json") or {} for way in ("eager", "compile"))
            peak = max((run["memory"]["measured_peak_bytes"] for run in runs), default=None)
            mine = speed(runs)
            tuned = (load(f"step-{kind}-{dtype}-tuned.json") or {}).get("step", {}).get("tokens_per_second")
            rows.append([kind, dtype, " ".join(number(run["step"]["tokens_per_second"]) for run in runs) or "–", number(tuned),
                         number(eager.get("tokens_per_second")), number(compiled.get("tokens_per_second")),
                         ratio(mine, eager.get("tokens_per_second")), ratio(mine, compiled.get("tokens_per_second")),
                         number(peak and peak / 2**30, "{:.2f}"),
                         *(number(other.get("peak_mib") and other["peak_mib"] / 1024, "{:.2f}") for other in (eager, compiled))])
    table("Whole steps, tokens/s", ["model", "type", "ours, both times", "tuned", "PyTorch eager", "compiled", "ours / eager", "ours / compiled",
                                    "our peak GiB", "eager's", "compiled's"], rows)
    for dtype in TYPES:
        print(f"TTM-64 / dense, {dtype}: {ratio(speed(ours('ttm64', dtype)), speed(ours('dense', dtype)))}\n")


def print_choices():
    rows = []
    for name, what in (("as-decided", "bf16, dense, as decided"), ("recompute-on", "bf16, dense, outputs of layer norms and GELU computed again"),
                       ("logit-rows-1024", "bf16, dense, 1,024 rows of logits at a time"), ("attention-mma", "bf16, dense, attention by mma.sync"), ("split-dense", "fp32, dense, products split over matrix units"),
                       ("parts-dense", "fp32, dense, split in bf16 parts alone"),
                       ("split-ttm64", "fp32, TTM-64, products split over matrix units"), ("tf32-dense", "tf32, dense, attention by other kernels"),
                       ("tf32-ttm64", "tf32, TTM-64, the same")):
        run = load(f"choice-{name}.json") or {}
        peak = run.get("memory", {}).get("measured_peak_bytes")
        rows.append([what, number(run.get("step", {}).get("tokens_per_second")), number(peak and peak / 2**30, "{:.2f}")])
    table("Steps with other choices, tokens/s", ["choice", "ours", "our peak GiB"], rows)


def entry_speed(name):
    run = load(name)
    flops = [entry.get("flops") for entry in (run or {}).get("entries", []) if entry["group"] == "op" and entry.get("flops")]
    return max(flops) / 1e12 if flops else None


def print_products_of(dtype, cublas):
    names = {os.path.basename(path).split("-")[1] for path in glob.glob(os.path.join(sys.argv[1], f"product-*-{dtype}.json"))}
    rows = []
    for shape in sorted(names | {name.split(":")[0] for name in cublas if name.endswith(f":{dtype}")}):
        row = [shape]
        for way in WAYS:
            mine, theirs = entry_speed(f"product-{shape}-{way}-{dtype}.json"), cublas.get(f"{shape}:{way}:{dtype}")
            row += [number(mine, "{:.1f}"), number(theirs, "{:.1f}"), ratio(mine, theirs)]
        rows.append(row)
    table(f"{dtype} products, TFLOP/s", ["M×N×K"] + [f"{way}: {what}" for way in WAYS for what in ("ours", "cuBLAS", "ratio")], rows)


def print_products():
    cublas = {}
    try:
        with open(os.path.join(sys.argv[1], "cublas.jsonl"), encoding="utf-8") as file:
            cublas = {line["product"]: line["tflops"] for line in map(json.loads, file)}
    except OSError:
        pass
    print_products_of("bf16", cublas)
    print_products_of("tf32", cublas)
    rows = []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "product-*-nn-[sp]*.json"))):
        shape, way = os.path.basename(path)[:-5].split("-")[1::2]
        mine, theirs = entry_speed(os.path.basename(path)), cublas.get(f"{shape}:nn:f32")
        rows.append([shape, way, number(mine, "{:.2f}"), number(theirs, "{:.2f}"), ratio(mine, theirs)])
    table("f32 products, TFLOP/s", ["M×N×K", "TTM_OPENCL_FP32", "ours", "cuBLAS fp32", "ratio"], rows)


def print_variants(dtype):
    """Products by each variant of wgmma, operands as they are, packed, in halves or not, packing included, and by tensor maps."""
    tiles, shapes = {}, set()
    for path in glob.glob(os.path.join(sys.argv[1], "variant-*.json")):
        shape, tile, *more = os.path.basename(path)[:-5].split("-")[1:]
        if (more or ["bf16"]) != [dtype]:
            continue
        shapes.add(shape)
        tiles.setdefault(tile, {})[shape] = entry_speed(os.path.basename(path))
    by_bulk = {tile: tile.endswith(("packed", "halves")) or "mapped" in tile for tile in tiles}
    order = sorted(tiles, key=lambda tile: (by_bulk[tile], tile))
    rows = []
    for shape in sorted(shapes):
        best = {bulk: max((tiles[tile].get(shape) or 0 for tile in order if by_bulk[tile] == bulk), default=0) for bulk in (False, True)}
        rows.append([shape] + [number(tiles[tile].get(shape), "{:.1f}") for tile in order] + [ratio(best[True], best[False])])
    if rows:
        table(f"Variants of wgmma, nn, {dtype}, TFLOP/s with packing", ["M×N×K"] + order + ["best by bulk copies / best other"], rows)


def print_step_ops(kind, dtype):
    runs = ours(kind, dtype)
    if not runs:
        return
    ops = sorted((entry for entry in runs[0]["entries"] if entry["group"] == "op"), key=lambda entry: -entry["median_ns"])
    rows = [[entry["name"], f"{entry['median_ns'] / 1e6:.3f}", number(entry.get("share"), "{:.1%}"), f"{entry['calls']:.0f}",
             number(entry.get("floor_ns") and entry["floor_ns"] / 1e6, "{:.3f}"), number(entry.get("roof_share"), "{:.2f}"), entry.get("bound") or "–",
             number(entry.get("bytes_per_second") and entry["bytes_per_second"] / 1e9),
             number(entry.get("flops") and entry["flops"] / 1e9)] for entry in ops]
    step = runs[0]["step"]
    rows.append(["gaps", f"{step['gaps_ns'] / 1e6:.3f}", number(step.get("gap_share"), "{:.1%}")] + ["–"] * 6)
    table(f"Where a step's {step['wall_ns'] / 1e6:.2f} ms go: {kind}, {dtype}",
          ["op", "ms", "share", "calls", "floor ms", "of the roof", "bound", "GB/s", "GFLOP/s"], rows)


def print_next(kind, dtype):
    """What a step would gain from each op at nine tenths of its roof, the largest gain first."""
    runs = ours(kind, dtype)
    gains = [(entry["median_ns"] - entry["floor_ns"] / 0.9, entry["name"]) for entry in (runs[0]["entries"] if runs else [])
             if entry["group"] == "op" and entry.get("floor_ns")]
    told = [f"{name} {gain / runs[0]['step']['wall_ns']:.1%}" for gain, name in sorted(gains, reverse=True)[:4] if gain > 0]
    if told:
        print(f"Of that step, at nine tenths of the roof, these would save: {', '.join(told)}.\n")


def print_generation():
    rows = []
    for batch in sorted({int(os.path.basename(path).split("-")[1]) for path in glob.glob(os.path.join(sys.argv[1], "generate-*-*.json"))}):
        run, eager = load(f"generate-{batch}-ours.json"), load(f"generate-{batch}-eager.json") or {}
        mine = run["step"]["tokens_per_second"] if run else None
        rows.append([str(batch), number(mine), number(eager.get("tokens_per_second")), ratio(mine, eager.get("tokens_per_second")),
                     number(run and run["step"].get("gap_share"), "{:.1%}")])
    table("Generation, bf16, tokens/s", ["batch", "ours", "PyTorch eager", "ratio", "device idle"], rows)


def print_kernels():
    rows = []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "kernel-*.json"))):
        run = load(os.path.basename(path))
        for entry in run["entries"] if run else []:
            if entry["group"] == "op":
                unit = re.search("-attention-(.*)[.]json", path)
                model = run["settings"]["dtype"] + (", strict" if "kernel-strict" in path else "") + (", " + unit.group(1) if unit else "")
                rows.append([f"{entry['name']} {entry['shapes']}".strip(), model, f"{entry['median_ns'] / 1e3:.1f}",
                             number(entry.get("bytes_per_second") and entry["bytes_per_second"] / 1e9),
                             number(entry.get("flops") and entry["flops"] / 1e9), number(entry.get("roof_share"), "{:.2f}"), entry.get("bound") or "–"])
    table("Kernels by themselves, cold caches", ["op", "model", "µs", "GB/s", "GFLOP/s", "of the roof", "bound"], rows)


def print_machine():
    run = next(filter(None, (run for kind in ("dense", "ttm64") for dtype in TYPES for run in ours(kind, dtype))), None)
    if run:
        device, roofs = run["device"], run.get("roofs", {})
        print(f"{device['name']}, {device['driver']}, {run['environment'].get('time', '')}. Roofs: " +
              ", ".join(f"{name.replace('_bytes_per_second', '')} {value / 1e9:,.0f} GB/s" for name, value in roofs.items() if "bytes" in name) +
              "".join(f", {name.split('_')[1]} products {value / 1e12:.2f} TFLOP/s" for name, value in roofs.items() if name.endswith("_flops")) + ".\n")


def main():
    print_machine()
    print_steps()
    print_choices()
    print_products()
    for dtype in ("bf16", "f32", "tf32"):
        print_variants(dtype)
    for dtype in TYPES:
        for kind in ("dense", "ttm64"):
            print_step_ops(kind, dtype)
            print_next(kind, dtype)
    print_generation()
    print_kernels()
    cold, warm = (load(f"startup-{cache}.json") or {} for cache in ("cold", "warm"))
    table("Start-up to the first checkpoint, gpt2-tiny-ttm16, s", ["nothing built before", "again"],
          [[number(cold.get("seconds"), "{:.2f}"), number(warm.get("seconds"), "{:.2f}")]])
    with open(os.path.join(sys.argv[1], "parts"), encoding="utf-8") as parts:
        last = dict(line.rstrip().replace("|", "\\|").split(": ", 1) for line in parts if ": " in line)  # of a part that was begun again
        table("Parts", ["part", "outcome"], [list(item) for item in last.items()])


if __name__ == "__main__":
    main()
