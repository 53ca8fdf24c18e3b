"""Whole training steps (forward, backward, clipping, AdamW) of GPT-2 small in PyTorch: what libttm is compared with.

    python3 bench/gpt2_pytorch.py --model dense|ttm64|ttm64-autograd [--device cpu|cuda] [--compile] [--bf16|--tf32] [--batch 4] [--seq 512] [--steps 4]
    python3 bench/gpt2_pytorch.py --generate 100 [--device cpu|cuda] [--batch 1] [--bf16|--tf32]

ttm64 computes y = x·W through a function with its own backward, which saves only x and the cores and rebuilds W, as the authors of
TTM layers do; ttm64-autograd leaves everything to autograd. Prints one line of JSON: tokens per second of every step and their
median, and the peak memory: of the process, or with --device cuda what PyTorch had allocated there. --generate decodes so many tokens of --batch sequences with a
cache of keys and values instead. --tf32 allows it in fp32 products, which are exact otherwise. Random tokens; needs torch only.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

FC_MODES = [(8, 8), (8, 8), (12, 8), (1, 6)]


def build(cores):
    """W [in, out] of cores [r, n, m, r'], as a balanced pair of products."""
    def join(a, b):
        r, n, m, _ = a.shape
        _, p, q, s = b.shape
        product = a.reshape(r * n * m, -1) @ b.reshape(b.shape[0], p * q * s)
        return product.reshape(r, n, m, p, q, s).permute(0, 1, 3, 2, 4, 5).reshape(r, n * p, m * q, s)

    parts = list(cores)
    while len(parts) > 1:
        parts = [join(parts[i], parts[i + 1]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0][0, :, :, 0]


class FullMatrix(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, *cores):
        ctx.save_for_backward(x, *cores)
        return x @ build(cores)

    @staticmethod
    def backward(ctx, dy):
        x, *cores = ctx.saved_tensors
        with torch.enable_grad():
            leaves = [core.detach().requires_grad_() for core in cores]
            w = build(leaves)
        dx = dy @ w.detach().to(dy.dtype).T  # under autocast dy is bf16, and so are the products
        dw = x.to(dy.dtype).reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
        return (dx.to(x.dtype), *torch.autograd.grad(w, leaves, dw.to(w.dtype)))


class TTLinear(nn.Module):
    def __init__(self, modes, rank, custom):
        super().__init__()
        ranks = [1] + [rank] * (len(modes) - 1) + [1]
        deviation = (0.02**2 / rank ** (len(modes) - 1)) ** (0.5 / len(modes))
        self.cores = nn.ParameterList(
            nn.Parameter(torch.randn(ranks[k], n, m, ranks[k + 1]) * deviation) for k, (n, m) in enumerate(modes))
        self.custom = custom

    def forward(self, x):
        return FullMatrix.apply(x, *self.cores) if self.custom else x @ build(list(self.cores))


def mlp_linear(kind, rows, cols):
    if kind == "dense":
        return nn.Linear(rows, cols)
    modes = FC_MODES if rows < cols else [(m, n) for n, m in FC_MODES]
    return TTLinear(modes, 64, kind == "ttm64")


class Block(nn.Module):
    def __init__(self, width, heads, kind):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.proj = mlp_linear(kind, width, 4 * width), mlp_linear(kind, 4 * width, width)

    def decode(self, x, cache, position):
        """One token more: x [batch, 1, width], cache [2, batch, heads, context, head size]."""
        batch = x.shape[0]
        q, k, v = (part.view(batch, 1, self.heads, -1).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(x.shape[2], dim=2))
        cache[0, :, :, position], cache[1, :, :, position] = k[:, :, 0], v[:, :, 0]
        seen = cache[:, :, :, :position + 1]
        x = x + self.c_proj(F.scaled_dot_product_attention(q, seen[0], seen[1]).transpose(1, 2).reshape(x.shape))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))

    def forward(self, x):
        batch, seq, width = x.shape
        q, k, v = (part.view(batch, seq, self.heads, -1).transpose(1, 2)
                   for part in self.c_attn(self.ln_1(x)).split(width, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(batch, seq, width))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, kind, layers=12, heads=12, width=768, vocab=50257, context=1024):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, kind) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        nn.init.normal_(self.wte.weight, std=0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def now(device):
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_mib(device):
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def generate(options):
    """Tokens per second of greedy decoding, the first ten tokens of each sequence left out."""
    batch = options.batch or 1
    model = GPT2("dense").to(options.device, torch.bfloat16 if options.bf16 else torch.float32).eval()

    def next_tokens(tokens, position, caches):
        x = (model.wte(tokens) + model.wpe.weight[position])[:, None]
        for block, cache in zip(model.blocks, caches):
            x = block.decode(x, cache, position)
        return (model.ln_f(x)[:, 0] @ model.wte.weight.T).argmax(dim=1)

    times = []
    with torch.inference_mode():
        caches = [torch.zeros(2, batch, 12, 1024, 64, dtype=model.wte.weight.dtype, device=options.device) for _ in model.blocks]
        tokens = torch.full((batch,), 818, device=options.device)
        for position in range(options.generate + 10):
            start = now(options.device)
            tokens = next_tokens(tokens, position, caches)
            times.append(now(options.device) - start)
    print(json.dumps({"program": "pytorch " + torch.__version__, "model": "generate", "compile": False, "bf16": options.bf16, "tf32": options.tf32,
                      "batch": batch, "tokens_per_second": batch / statistics.median(times[10:])}))


def train(options):
    batch = options.batch or 4
    model = GPT2(options.model).to(options.device)
    parameters = sum(p.numel() for p in model.parameters())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model) if options.compile else model
    warm_ups = 1 if options.device == "cpu" else 3  # a GPU's clocks and allocator need more than one step
    speeds = []
    for step in range(options.steps + warm_ups):
        tokens = torch.randint(0, 50257, (batch, options.seq + 1)).to(options.device)
        start = now(options.device)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            loss = run(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        loss.item()
        if step >= warm_ups:
            speeds.append(batch * options.seq / (now(options.device) - start))
    print(json.dumps({"program": "pytorch " + torch.__version__, "model": options.model, "compile": options.compile,
                      "bf16": options.bf16, "tf32": options.tf32, "batch": batch, "parameters": parameters,
                      "tokens_per_second": statistics.median(speeds), "steps": [round(s, 2) for s in speeds],
                      "peak_mib": peak_mib(options.device)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=["dense", "ttm64", "ttm64-autograd"], default="dense")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true")
    narrow = parser.add_mutually_exclusive_group()
    narrow.add_argument("--bf16", action="store_true")
    narrow.add_argument("--tf32", action="store_true")
    parser.add_argument("--batch", type=int, help="4 in training, 1 in generation")
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--generate", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    if options.generate:
        generate(options)
    else:
        train(options)


if __name__ == "__main__":
    main()
