"""Products by cuBLAS, as PyTorch calls it, for bench/h100.sh:  python3 bench/h100_cublas.py MxNxK:nt:bf16,…

Prints a line of JSON for each product: its name as given and TFLOP/s. nn, nt, tn: whether the left and the right matrix lie
transposed in memory, as the forward pass and both gradients of a layer have them. f32 is cuBLAS's true fp32; tf32 lets it round what it multiplies.
"""
import json
import statistics
import sys

import torch


def measure(name):
    sizes, ways, dtype = name.split(":")
    rows, cols, depth = map(int, sizes.split("x"))
    kind = {"bf16": torch.bfloat16, "f32": torch.float32, "tf32": torch.float32}[dtype]
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
    a = torch.randn(*((depth, rows) if ways[0] == "t" else (rows, depth)), device="cuda", dtype=kind)
    b = torch.randn(*((cols, depth) if ways[1] == "t" else (depth, cols)), device="cuda", dtype=kind)
    a = a.T if ways[0] == "t" else a
    b = b.T if ways[1] == "t" else b
    out = torch.empty(rows, cols, device="cuda", dtype=kind)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(21)]
    for _ in range(5):
        torch.matmul(a, b, out=out)
    for event in events:
        event.record()
        torch.matmul(a, b, out=out)
    torch.cuda.synchronize()
    milliseconds = statistics.median(x.elapsed_time(y) for x, y in zip(events, events[1:]))
    print(json.dumps({"product": name, "tflops": 2 * rows * cols * depth / milliseconds / 1e9}), flush=True)


for product in sys.argv[1].split(","):
    measure(product)
