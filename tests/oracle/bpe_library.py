"""What the scripts about tokenizers share: libttm through ctypes, and tiktoken's gpt2 from a local file."""

import ctypes
import os
import random
import sys


class Tokenizer:
    """A ttm_tokenizer."""

    def __init__(self, library_path, source):
        self.library = library = ctypes.CDLL(library_path)
        library.ttm_error_message.restype = ctypes.c_char_p
        library.ttm_tokenizer_hash.restype = ctypes.c_char_p
        library.ttm_tokenizer_vocab_size.restype = ctypes.c_size_t
        for name in ("ttm_tokenizer_hash", "ttm_tokenizer_vocab_size", "ttm_tokenizer_close"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.ttm_tokenizer_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.ttm_tokenizer_encode.argtypes = [
            ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)), ctypes.POINTER(ctypes.c_size_t),
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
        library.ttm_tokenizer_decode.argtypes = [
            ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t),
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self.free = ctypes.CDLL(None).free
        self.free.argtypes = [ctypes.c_void_p]
        self.handle = ctypes.c_void_p()
        self.check(library.ttm_tokenizer_open(ctypes.byref(self.handle), os.fsencode(source)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.ttm_error_message().decode(errors="replace"))

    def hash(self):
        return self.library.ttm_tokenizer_hash(self.handle).decode()

    def vocab_size(self):
        return self.library.ttm_tokenizer_vocab_size(self.handle)

    def save(self, directory):
        self.check(self.library.ttm_tokenizer_save(self.handle, os.fsencode(directory)))

    def encode(self, data):
        tokens = ctypes.POINTER(ctypes.c_int32)()
        count = ctypes.c_size_t()
        self.check(self.library.ttm_tokenizer_encode(
            ctypes.byref(tokens), ctypes.byref(count), self.handle, data, len(data), None))
        result = tokens[:count.value]
        self.free(tokens)
        return result

    def decode(self, tokens):
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        text = ctypes.c_void_p()
        size = ctypes.c_size_t()
        self.check(self.library.ttm_tokenizer_decode(
            ctypes.byref(text), ctypes.byref(size), self.handle, array, len(tokens)))
        result = ctypes.string_at(text, size.value)
        self.free(text)
        return result


def find_vocabulary():
    """Returns the path of GPT-2's ranks, which the package openai-whisper brings along, or None."""
    if os.environ.get("TTM_GPT2_TIKTOKEN"):
        return os.environ["TTM_GPT2_TIKTOKEN"]
    for folder in sys.path:
        path = os.path.join(folder, "whisper", "assets", "gpt2.tiktoken")
        if os.path.exists(path):
            return path
    return None


def reference(vocabulary_path):
    """Returns tiktoken's gpt2 encoding, made from a local file instead of the network."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = load_tiktoken_bpe(vocabulary_path)
    return tiktoken.Encoding(name="gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks,
                             special_tokens={"<|endoftext|>": 50256})


# Where random characters come from: blocks in use, the characters that decide about splitting, and everything.
BLOCKS = [
    (0x20, 0x7e), (0x20, 0x7e), (0x41, 0x7a), (0x00, 0xff), (0xa0, 0x24f), (0x370, 0x3ff), (0x400, 0x4ff),
    (0x590, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff), (0x2000, 0x206f),
    (0x2150, 0x218f), (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xff00, 0xffef),
    (0x1d400, 0x1d7ff), (0x1f300, 0x1faff), (0x10000, 0x1ffff), (0x20000, 0x33fff), (0, 0x10ffff),
]
SPLITTERS = (" ", " ", "  ", "\n", "\t", "\r\n", "\x0b", "\x1c", "\x85", "\xa0", "\u1680", "\u180e", "\u2003",
             "\u2028", "\u202f", "\u3000", "\u200b", "\ufeff", "'", "'s", "'ll", "'LL", "'ve ", "\u2019s", "'t",
             "<|endoftext|>", "0", "12", "\u0661", "\u00bd", "\u2167", "aaaa", "!!!", "\0")


def random_text(generator, longest):
    """Returns random Unicode text: runs of characters of a block, with splitters strewn in."""
    parts = []
    length = generator.randint(0, longest)
    while length > 0:
        first, last = generator.choice(BLOCKS)
        run = min(length, generator.randint(1, 12))
        for _ in range(run):
            character = generator.randint(first, last)
            if not 0xd800 <= character < 0xe000:
                parts.append(chr(character))
        if generator.random() < 0.6:
            parts.append(generator.choice(SPLITTERS))
        length -= run
    return "".join(parts)


def random_bytes(generator, longest):
    """Returns a random byte string: noise, or text that is damaged in one of several ways."""
    kind = generator.randrange(4)
    if kind == 0:
        return generator.randbytes(generator.randint(0, longest))
    data = bytearray(random_text(generator, longest).encode())
    if kind == 1:
        del data[generator.randint(0, len(data)):]
    for _ in range(generator.randint(0, 3) if data else 0):
        place = generator.randrange(len(data))
        if kind == 2:
            data[place] = generator.randrange(256)
        else:
            data[place:place] = generator.randbytes(generator.randint(1, 4))
        if not data:
            break
    return bytes(data)
