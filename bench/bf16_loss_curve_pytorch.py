"""What PyTorch's bf16 makes of a loss curve: bench/bf16-loss-curve.sh, with another implementation.

    ttm-train --preset gpt2-tiny-ttm16 --data TEXT --out RUN --steps 1 --validation-interval 0 --seed SEED
    batches TEXT SEED 8 128 500 >BATCHES            # bench/batches.c
    python3 bench/bf16_loss_curve_pytorch.py RUN/checkpoint-000000 BATCHES [--steps 500] [--bf16-residual]

Trains a byte-level GPT-2 with TT or dense MLPs from the checkpoint's weights on the given batches (8 sequences of 128), twice:
in fp32, and with autocast, which leaves the residual stream in fp32; --bf16-residual rounds that too, as libttm does.
AdamW and learning rate are ttm-train's defaults. Prints means over 50 steps and steps whose loss leaps. Needs torch and numpy.
"""
import argparse
import json
import math
import struct

import numpy
import torch
import torch.nn.functional as F

BATCH, SEQ, RUN, RATE = 8, 128, 500, 1e-3


def read_weights(folder):
    """The f32 tensors of model.safetensors by name, without "transformer."."""
    data = open(f"{folder}/model.safetensors", "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    weights = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            values = numpy.frombuffer(data[begin:end], dtype=numpy.float32).reshape(entry["shape"])
            weights[name.removeprefix("transformer.")] = torch.nn.Parameter(torch.tensor(values))
    return weights


def build(cores):
    """W [in, out] of cores [r, n, m, r']."""
    w = cores[0]
    for core in cores[1:]:
        r, n, m, s = w.shape
        _, p, q, t = core.shape
        w = (w.reshape(r * n * m, s) @ core.reshape(s, -1)).reshape(r, n, m, p, q, t)
        w = w.permute(0, 1, 3, 2, 4, 5).reshape(r, n * p, m * q, t)
    return w[0, :, :, 0]


class Model:
    def __init__(self, folder, round_residual):
        config = json.load(open(f"{folder}/config.json"))
        self.layers, self.heads, self.width = config["n_layer"], config["n_head"], config["n_embd"]
        self.weights = read_weights(folder)
        self.residual = (lambda x: x.to(torch.bfloat16)) if round_residual else (lambda x: x)

    def linear(self, x, name):
        cores = [self.weights[f"{name}.cores.{k}"] for k in range(16) if f"{name}.cores.{k}" in self.weights]
        with torch.autocast("cpu", enabled=False):
            w = build(cores) if cores else self.weights[f"{name}.weight"]
        return F.linear(x, w.T, self.weights[f"{name}.bias"])

    def norm(self, x, name):
        return F.layer_norm(x, (self.width,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-5)

    def loss(self, tokens, targets):
        batch, seq = tokens.shape
        x = self.residual(self.weights["wte.weight"][tokens] + self.weights["wpe.weight"][:seq])
        for layer in range(self.layers):
            name = f"h.{layer}"
            q, k, v = (part.view(batch, seq, self.heads, -1).transpose(1, 2)
                       for part in self.linear(self.norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn").split(self.width, 2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
            x = self.residual(x + self.linear(y, f"{name}.attn.c_proj"))
            y = F.gelu(self.linear(self.norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"), approximate="tanh")
            x = self.residual(x + self.linear(y, f"{name}.mlp.c_proj"))
        logits = F.linear(self.norm(x, "ln_f"), self.weights["wte.weight"]).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def learning_rate(step):
    warm_up = RUN // 10
    if step <= warm_up:
        return RATE * step / warm_up
    return RATE * (0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm_up) / (RUN - warm_up))))


def train(folder, batches, bf16, round_residual):
    model = Model(folder, bf16 and round_residual)
    weights = list(model.weights.values())
    groups = [{"params": [w for w in weights if w.dim() >= 2], "weight_decay": 0.1},
              {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))
    losses = []
    for step, (tokens, targets) in enumerate(batches, 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.loss(torch.tensor(tokens), torch.tensor(targets))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("batches")
    parser.add_argument("--steps", type=int, default=RUN)
    parser.add_argument("--bf16-residual", action="store_true")
    options = parser.parse_args()
    batches = numpy.fromfile(options.batches, dtype=numpy.int32).astype(numpy.int64).reshape(-1, 2, BATCH, SEQ)[:options.steps]
    fp32, bf16 = (train(options.checkpoint, batches, wide, options.bf16_residual) for wide in (False, True))
    for step in range(1, len(fp32)):
        if fp32[step] > 1.15 * fp32[step - 1]:
            print(f"step {step + 1} leaps to {fp32[step]:.3f} in fp32, {bf16[step]:.3f} in bf16")
    worst = 0.0
    for first in range(0, len(fp32), 50):
        difference = sum(bf16[first:first + 50]) / sum(fp32[first:first + 50]) - 1
        worst = max(worst, abs(difference))
        print(f"steps {first + 1} to {first + 50}: {sum(fp32[first:first + 50]) / 50:.4f} in fp32, {100 * difference:+.3f} % in bf16")
    print(f"largest difference: {100 * worst:.3f} % over 50 steps")


if __name__ == "__main__":
    main()
