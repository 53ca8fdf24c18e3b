#!/usr/bin/env python3
"""Inputs that libFuzzer begins with:  python3 tests/fuzz/seeds.py FOLDER

Makes FOLDER/TARGET for each fuzz target, with files that the library accepts, so that seconds are spent behind the checks that guessing alone
hardly passes: a header's length, a whole alphabet, names of members."""
import base64
import json
import os
import struct
import sys


def alphabet():
    """GPT-2's letters for the 256 bytes, by its tokens' order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def tokenizer_json():
    letters = alphabet()
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    vocabulary.update({"th": 256, "the": 257})
    return json.dumps({"added_tokens": [{"id": 258, "content": "<|endoftext|>", "special": True}], "normalizer": None,
                       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                       "model": {"type": "BPE", "vocab": vocabulary, "merges": ["t h", ["th", "e"]]}}, ensure_ascii=False).encode()


def tiktoken():
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the"]
    return b"".join(base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(tokens))


SEEDS = {
    "fuzz_encode": ["the theme, the thesis; it's 12 o'clock\n\n  the end".encode(), "für Öl, 数字 ١٢٣ \u2003e\u0301".encode(), b"\xff\xfe the \xc3"],
    "fuzz_json": [b'{"a": [1, -2.5e3, true, null], "b\\u00e9": {"c": "\\ud83d\\ude00\\n"}, "d": []}', b"[[[[0]]]]", b'"text"'],
    "fuzz_safetensors": [
        safetensors({}),
        safetensors({"a": tensor("F32", [2, 3], 0, 24)}, bytes(24)),
        safetensors({"__metadata__": {"format": "pt"}, "a": tensor("BF16", [2], 0, 4), "b": tensor("F16", [1, 2], 4, 8)}, b"\x00\x3c\x80\x3f" * 2),
        safetensors({"a": tensor("I64", [], 0, 8), "b": tensor("U8", [0, 5], 8, 8), "c": tensor("F64", [1], 8, 16)}, bytes(16)),
    ],
    "fuzz_token_file": [
        struct.pack("<256i", 20240520, 1, 4, *[0] * 253) + struct.pack("<4H", 1, 2, 3, 65535),
        struct.pack("<256i", 20240801, 7, 2, *[0] * 253) + struct.pack("<2I", 1, 69999),
        struct.pack("<3H", 0, 50256, 7),
    ],
    # By its first byte an input is a tokenizer.json or a .tiktoken file.
    "fuzz_tokenizer": [b"0" + tokenizer_json(), b"1" + tiktoken()],
}


def main():
    for target, seeds in SEEDS.items():
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for i, seed in enumerate(seeds):
            with open(os.path.join(folder, f"seed-{i}"), "wb") as file:
                file.write(seed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: seeds.py FOLDER")
    main()
