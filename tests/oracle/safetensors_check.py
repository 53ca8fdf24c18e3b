#!/usr/bin/env python3
"""Checks libttm's safetensors reader and writer against the Python package, both ways. Run by hand:

    pip install torch numpy safetensors xxhash
    cc -Iinclude tests/oracle/safetensors_check.c -Lbuild -lttm -o build/safetensors_check
    LD_LIBRARY_PATH=build python3 tests/oracle/safetensors_check.py build/safetensors_check

Random files of every type are written by the package, read and copied by libttm (sums and hash compared), and the copies
are read by the package (bytes compared). The hash is computed here from its documented definition.
"""
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

try:
    import xxhash
except ImportError:
    xxhash = None

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool, "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}
SUMMABLE = ("F64", "F32", "F16", "BF16")


def raw(tensor):
    """The tensor's bytes."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def random_tensor(dtype, shape):
    """Small integers, which every type holds and which sum exactly in any order."""
    return torch.randint(0, 2, shape).to(dtype)


def random_file(rng):
    tensors = {}
    for index in range(rng.randrange(0, 12)):
        shape = [rng.choice([0, 1, 2, 3, 17]) if rng.random() < 0.2 else rng.randrange(1, 9)
                 for _ in range(rng.randrange(0, 5))]
        name = rng.choice(["h.%d.mlp.c_fc.cores.0", "wte %d", "größe-%d", 'quote"%d', "tab\t%d"]) % index
        tensors[name] = random_tensor(rng.choice(list(TYPES.values())), shape)
    return tensors


def expected_hash(tensors):
    digest = xxhash.xxh64(seed=0)
    names = {dtype: name for name, dtype in TYPES.items()}
    for name in sorted(tensors, key=lambda text: text.encode()):
        tensor = tensors[name]
        digest.update(name.encode() + b"\0" + names[tensor.dtype].encode() + b"\0")
        digest.update(struct.pack("<%dQ" % (1 + tensor.dim()), tensor.dim(), *tensor.shape))
        digest.update(raw(tensor))
    return digest.hexdigest()


def check(program, tensors, folder):
    source, copy = folder / "source.safetensors", folder / "copy.safetensors"
    save_file(tensors, source, metadata={"format": "pt"})
    lines = subprocess.run([program, source, copy], check=True, capture_output=True, text=True).stdout
    if xxhash is not None:
        assert "hash " + expected_hash(tensors) in lines, lines
    names = {dtype: name for name, dtype in TYPES.items()}
    for name, tensor in tensors.items():
        dtype = names[tensor.dtype]
        line = "%s %s [%s] " % (name, dtype, ",".join(map(str, tensor.shape)))
        found = [text for text in lines.split("\n") if text.startswith(line)]
        assert len(found) == 1, (line, lines)
        if dtype in SUMMABLE:
            assert float(found[0][len(line):]) == float(tensor.double().sum()), found
    copied = load_file(copy)
    assert copied.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert copied[name].dtype == tensor.dtype and copied[name].shape == tensor.shape, name
        assert raw(copied[name]) == raw(tensor), name


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(100):
            check(sys.argv[1], random_file(rng), Path(folder))
    print("100 files agree (seed %d%s)" % (seed, "" if xxhash else "; hash not checked: no xxhash"))


main()
