#!/usr/bin/env python3
"""Writes bpe_cases.txt beside itself: random texts and byte strings of our own making, and tiktoken's gpt2 tokens for
them. tests/unit/text/gpt2_test.c checks them wherever there is a vocabulary but no Python. Needs the Python packages
tiktoken and openai-whisper; run again only to change the cases."""

import os
import random

import bpe_library

SENTENCES = [
    "Hello world!", "It's the cat's; they'll say we've DON'T'LL.", "  leading and trailing  ",
    "line\n\n  indented\n\ttabbed\r\n", "1234567 12 3,000.50 x2 ½ Ⅷ ٣٤", "Straße naïve Ὀδυσσεύς Ελλάδα",
    "Привет, как дела? Съешь ещё", "これはテストです。東京", "你好，世界！", "안녕하세요 세계", "नमस्ते दुनिया", "สวัสดีชาวโลก",
    "שלום עולם", "مرحبا بالعالم", "👩‍👩‍👧‍👦 🇩🇪 👍🏽", "a\u0085b\u00a0c\u2003d\u180ee\u200bf\u3000g", "<|endoftext|>", "",
    "\x1c\x1d\x1e\x1f", "\x0b\x0c", "'", "''s", " '", "x" * 300, " " * 100, "\n" * 50, "ab" * 200,
]


def main():
    encoding = bpe_library.reference(bpe_library.find_vocabulary())
    generator = random.Random(20240520)
    cases = [sentence.encode() for sentence in SENTENCES]
    cases += [bpe_library.random_text(generator, 40).encode() for _ in range(400)]
    cases += [bpe_library.random_bytes(generator, 40) for _ in range(400)]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bpe_cases.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("# Made by bpe_make_cases.py: bytes in hexadecimal, then GPT-2's tokens.\n")
        for case in cases:
            tokens = encoding._encode_bytes(case)
            assert encoding.decode_bytes(tokens) == case
            file.write(" ".join([case.hex(), *map(str, tokens)]) + "\n")


if __name__ == "__main__":
    main()
