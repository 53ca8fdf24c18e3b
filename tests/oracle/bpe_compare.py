#!/usr/bin/env python3
"""Compares libttm's GPT-2 encoding with tiktoken's, token for token, on text of this machine, on generated
mixed-language text, on random Unicode strings and on random byte strings; also compares libttm's loaders with
each other. Needs the Python packages tiktoken and openai-whisper (for the vocabulary; or set TTM_GPT2_TIKTOKEN).

    bpe_compare.py LIBRARY [--seed N] [--strings N] [--megabytes N]

Exits 0 when all are equal, 1 when not, 77 (skipped) when a package is missing."""

import argparse
import json
import os
import random
import sys
import tempfile
import time

import bpe_library


def machine_text(wanted):
    """Returns about `wanted` bytes of text that packages installed, at most 64 KiB a file, in all languages there are."""
    parts = []
    total = 0
    for folder, folders, names in os.walk("/usr/share"):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            try:
                with open(path, "rb") as file:
                    text = file.read(65536).decode("utf-8", errors="ignore")
            except OSError:
                continue
            if "\0" in text:
                continue
            parts.append(text)
            total += len(text.encode())
            if total >= wanted:
                return "".join(parts)
    return "".join(parts)


def first_difference(left, right):
    for place, (a, b) in enumerate(zip(left, right)):
        if a != b:
            return place
    return min(len(left), len(right))


class Comparison:
    def __init__(self, ours, theirs):
        self.ours = ours
        self.theirs = theirs
        self.failures = 0

    def one(self, data, expected, what):
        tokens = self.ours.encode(data)
        if tokens != expected:
            self.failures += 1
            if self.failures <= 10:
                place = first_difference(tokens, expected)
                print(f"DIFFERENT: {what}: token {place}: ours {tokens[place:place + 5]}, tiktoken's "
                      f"{expected[place:place + 5]}; data {data[:200]!r}")
        elif self.ours.decode(tokens) != data:
            self.failures += 1
            print(f"NOT DECODED BACK: {what}: {data[:200]!r}")
        return len(tokens)

    def text(self, text, what):
        data = text.encode()
        start = time.perf_counter()
        expected = self.theirs.encode_ordinary(text)
        theirs_seconds = time.perf_counter() - start
        start = time.perf_counter()
        self.ours.encode(data)
        ours_seconds = time.perf_counter() - start
        count = self.one(data, expected, what)
        print(f"{what}: {len(data)} bytes, {count} tokens; tiktoken {len(data) / theirs_seconds / 1e6:.1f} MB/s, "
              f"libttm {len(data) / ours_seconds / 1e6:.1f} MB/s (both with the making of a Python list)")

    def long_pieces(self):
        """Text without a place to split it, where a quadratic algorithm would never end."""
        for what, text in (("one letter", "a" * 300000), ("one space", " " * 300000),
                           ("a long word", "abracadabra" * 30000), ("ideographs", "的一是不了人我在有他" * 20000),
                           ("newlines", "\n" * 100001), ("marks", "!?" * 100000)):
            # tiktoken itself is slow on some of these: it gets a part, and the whole must decode back.
            part = text[:20000]
            self.one(part.encode(), self.theirs.encode_ordinary(part), what)
            tokens = self.ours.encode(text.encode())
            if self.ours.decode(tokens) != text.encode():
                self.failures += 1
                print(f"NOT DECODED BACK: {what}")
        noise = random.Random(1).randbytes(5000)
        self.one(noise, self.theirs._encode_bytes(noise), "noise")


def byte_letters():
    """GPT-2's alphabet for bytes, written down anew: libttm's is checked against it."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(0x100 + len(letters) - len(printable))
    return letters


def write_other_formats(theirs, folder):
    """Writes vocab.json + merges.txt for tiktoken's ranks; merges are found as everybody finds them."""
    letters = byte_letters()
    spell = lambda token: "".join(letters[byte] for byte in token)
    ranks = theirs._mergeable_ranks
    merges = []
    for token in sorted(ranks, key=ranks.get):
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            pairs = [ranks.get(parts[i] + parts[i + 1], 1 << 30) for i in range(len(parts) - 1)]
            best = pairs.index(min(pairs))
            assert pairs[best] < ranks[token]
            parts[best:best + 2] = [parts[best] + parts[best + 1]]
        if len(parts) == 2:
            merges.append(f"{spell(parts[0])} {spell(parts[1])}")
    vocab = {spell(token): rank for token, rank in ranks.items()}
    vocab["<|endoftext|>"] = 50256
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocab, file)  # with \\u escapes, as GPT-2's own file has
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "\n".join(merges) + "\n")


def compare_formats(comparison, library, seed):
    """All formats must give the same tokenizer: fingerprints equal, and encodings too."""
    ours = comparison.ours
    with tempfile.TemporaryDirectory() as pair, tempfile.TemporaryDirectory() as saved:
        write_other_formats(comparison.theirs, pair)
        ours.save(saved)
        others = [bpe_library.Tokenizer(library, source)
                  for source in (pair, os.path.join(pair, "merges.txt"), saved)]
        generator = random.Random(seed)
        samples = [bpe_library.random_bytes(generator, 200) for _ in range(3000)]
        for other in others:
            if other.hash() != ours.hash() or any(other.encode(s) != ours.encode(s) for s in samples):
                comparison.failures += 1
                print("DIFFERENT: a vocabulary read from another format")
    print(f"vocab.json + merges.txt and tokenizer.json read as {ours.hash()}, like .tiktoken")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="libttm.so")
    parser.add_argument("--seed", type=int, default=20241127)
    parser.add_argument("--strings", type=int, default=100000, help="random Unicode and random byte strings, each")
    parser.add_argument("--megabytes", type=float, default=8, help="text of this machine; half as much is generated")
    options = parser.parse_args()
    vocabulary = bpe_library.find_vocabulary()
    if vocabulary is None:
        print("skipped: no gpt2.tiktoken; install openai-whisper or set TTM_GPT2_TIKTOKEN")
        return 77
    try:
        theirs = bpe_library.reference(vocabulary)
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    ours = bpe_library.Tokenizer(options.library, vocabulary)
    assert ours.vocab_size() == 50257
    comparison = Comparison(ours, theirs)
    generator = random.Random(options.seed)
    print(f"seed {options.seed}")

    comparison.text(machine_text(int(options.megabytes * 1e6)), "text of this machine")
    generated = []
    while sum(map(len, generated)) < options.megabytes * 2e5:
        generated.append(bpe_library.random_text(generator, 20000))
    comparison.text("".join(generated), "generated text")
    everything = "".join(chr(c) + "x " + chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000)
    comparison.text(everything, "every character")
    comparison.long_pieces()
    compare_formats(comparison, options.library, options.seed)
    for _ in range(options.strings):
        text = bpe_library.random_text(generator, 60)
        comparison.one(text.encode(), theirs.encode_ordinary(text), "random text")
    print(f"{options.strings} random Unicode strings")
    for _ in range(options.strings):
        data = bpe_library.random_bytes(generator, 60)
        comparison.one(data, theirs._encode_bytes(data), "random bytes")
    print(f"{options.strings} random byte strings")
    print(f"{comparison.failures} differences")
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    sys.exit(main())
