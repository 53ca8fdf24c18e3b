"""Reference results of small GPT-2 models, dense and TTM, computed by PyTorch in double precision.

    python3 tests/oracle/gpt2_pytorch.py tests/oracle/gpt2

writes one safetensors file a model, which tests/oracle/pytorch_oracle.c compares libttm with. Weights aren't stored: both sides
draw them from Philox4x32-10 (see `weights`). Stored are the logits of the first sequence, the loss of 20 AdamW steps, and of
every gradient its norm and 32 elements. Needs torch and safetensors; the test needs neither.
"""
import sys

import numpy as np
import torch
from safetensors.torch import save_file

LAYERS, HEADS, WIDTH, VOCAB, CONTEXT = 4, 4, 128, 96, 24
BATCH, SEQ, STEPS, SAMPLES = 3, 20, 20, 32
MATRICES = {"attn.c_attn": (WIDTH, 3 * WIDTH), "attn.c_proj": (WIDTH, WIDTH),
            "mlp.c_fc": (WIDTH, 4 * WIDTH), "mlp.c_proj": (4 * WIDTH, WIDTH)}

# Per model: matrix -> list of cores (left rank, n, m, right rank).
def cores(modes, ranks):
    ranks = [1] + ranks + [1]
    return [(ranks[k], n, m, ranks[k + 1]) for k, (n, m) in enumerate(modes)]

def transposed(shape):
    return [(r, m, n, s) for r, n, m, s in shape]

FC3 = cores([(4, 8), (4, 8), (8, 8)], [9, 9])
FC4 = cores([(4, 4), (4, 4), (4, 4), (2, 8)], [8, 24, 12])
FC5 = cores([(2, 4), (4, 4), (4, 4), (2, 4), (2, 2)], [4, 12, 8, 3])
MODELS = {
    "dense": {},
    "tt3": {"mlp.c_fc": FC3, "mlp.c_proj": transposed(FC3)},
    "tt4": {"mlp.c_fc": FC4, "mlp.c_proj": transposed(FC4)},
    "tt5": {"mlp.c_fc": FC5, "mlp.c_proj": transposed(FC5),
            "attn.c_attn": cores([(4, 4), (4, 8), (8, 12)], [6, 6]), "attn.c_proj": cores([(8, 8), (16, 16)], [10])},
}


def philox(seed, count):
    """The first `count` words of the stream of a 64-bit seed, as ttm/random.h defines them."""
    blocks = (count + 3) // 4
    index = np.arange(blocks, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    c = [index & mask, index >> np.uint64(32), np.zeros_like(index), np.zeros_like(index)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1).reshape(-1)[:count].astype(np.uint64)


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def weights(name, shape, scale, shift=0.0):
    """Element i = shift + scale·(word_i/2^32 − 1/2) of the stream seeded by the FNV-1a hash of the name, rounded to float."""
    words = philox(fnv1a(name), int(np.prod(shape)))
    values = (shift + scale * (words.astype(np.float64) / 2.0**32 - 0.5)).astype(np.float32)
    return torch.tensor(values.astype(np.float64)).reshape(shape)


def parameters(tt):
    table = {}
    table["transformer.wte.weight"] = weights("transformer.wte.weight", (VOCAB, WIDTH), 0.4)
    table["transformer.wpe.weight"] = weights("transformer.wpe.weight", (CONTEXT, WIDTH), 0.4)
    for layer in range(LAYERS):
        prefix = f"transformer.h.{layer}."
        for norm in ("ln_1", "ln_2"):
            table[prefix + norm + ".weight"] = weights(prefix + norm + ".weight", (WIDTH,), 0.4, 1.0)
            table[prefix + norm + ".bias"] = weights(prefix + norm + ".bias", (WIDTH,), 0.2)
        for matrix, (rows, cols) in MATRICES.items():
            table[prefix + matrix + ".bias"] = weights(prefix + matrix + ".bias", (cols,), 0.2)
            if matrix not in tt:
                table[prefix + matrix + ".weight"] = weights(prefix + matrix + ".weight", (rows, cols), 0.3)
                continue
            for k, shape in enumerate(tt[matrix]):
                name = f"{prefix}{matrix}.cores.{k}"
                table[name] = weights(name, shape, 1.6 / shape[0] ** 0.5)
    for suffix, shift in (("weight", 1.0), ("bias", 0.0)):
        table["transformer.ln_f." + suffix] = weights("transformer.ln_f." + suffix, (WIDTH,), 0.3, shift)
    return {name: value.requires_grad_() for name, value in table.items()}


def matrix_of(table, tt, prefix, matrix):
    if matrix not in tt:
        return table[prefix + matrix + ".weight"]
    product = None
    for k in range(len(tt[matrix])):
        core = table[f"{prefix}{matrix}.cores.{k}"]
        if product is None:
            product = core[0]                                            # [n, m, r]
        else:
            product = torch.einsum("imr,rjqs->ijmqs", product, core)
            product = product.reshape(product.shape[0] * product.shape[1], product.shape[2] * product.shape[3], -1)
    return product[:, :, 0]


def forward(table, tt, tokens):
    batch, time = tokens.shape
    size = WIDTH // HEADS
    norm = torch.nn.functional.layer_norm
    x = table["transformer.wte.weight"][tokens] + table["transformer.wpe.weight"][:time]
    for layer in range(LAYERS):
        prefix = f"transformer.h.{layer}."
        linear = lambda y, name: y @ matrix_of(table, tt, prefix, name) + table[prefix + name + ".bias"]
        y = norm(x, (WIDTH,), table[prefix + "ln_1.weight"], table[prefix + "ln_1.bias"], 1e-5)
        q, k, v = linear(y, "attn.c_attn").split(WIDTH, dim=2)
        heads = lambda z: z.reshape(batch, time, HEADS, size).transpose(1, 2)
        y = torch.nn.functional.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=True)
        x = x + linear(y.transpose(1, 2).reshape(batch, time, WIDTH), "attn.c_proj")
        y = norm(x, (WIDTH,), table[prefix + "ln_2.weight"], table[prefix + "ln_2.bias"], 1e-5)
        y = torch.nn.functional.gelu(linear(y, "mlp.c_fc"), approximate="tanh")
        x = x + linear(y, "mlp.c_proj")
    x = norm(x, (WIDTH,), table["transformer.ln_f.weight"], table["transformer.ln_f.bias"], 1e-5)
    return x @ table["transformer.wte.weight"].T


def sample_places(count):
    """Where gradients are sampled: multiples of Knuth's constant modulo the count."""
    return [(i * 2654435761) % count for i in range(SAMPLES)]


def main(folder):
    words = philox(fnv1a("tokens"), BATCH * (SEQ + 1)) % np.uint64(VOCAB)
    windows = torch.tensor(words.astype(np.int64)).reshape(BATCH, SEQ + 1)
    tokens, targets = windows[:, :-1], windows[:, 1:]
    for model, tt in MODELS.items():
        table = parameters(tt)
        results = {}
        decay = [p for p in table.values() if p.dim() >= 2]
        other = [p for p in table.values() if p.dim() < 2]
        optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": other, "weight_decay": 0.0}],
                                      lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
        losses = []
        for step in range(STEPS):
            optimiser.zero_grad()
            logits = forward(table, tt, tokens)
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1))
            loss.backward()
            losses.append(loss.item())
            if step == 0:
                results["logits"] = logits[0].detach()
                for name, parameter in table.items():
                    gradient = parameter.grad.reshape(-1)
                    places = torch.tensor(sample_places(gradient.numel()))
                    results["gradient." + name] = torch.cat([gradient.norm().reshape(1), gradient[places]])
            torch.nn.utils.clip_grad_norm_(table.values(), 1.0)
            optimiser.step()
        results["losses"] = torch.tensor(losses, dtype=torch.float64)
        results = {name: value.contiguous().clone() for name, value in results.items()}
        save_file(results, f"{folder}/{model}.safetensors")
        print(model, "first loss", losses[0], "last", losses[-1])


if __name__ == "__main__":
    main(sys.argv[1])
