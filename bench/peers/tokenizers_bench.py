#!/usr/bin/env python3
"""Encoding of a text cut into documents, by the Python peers of dev.jneox.bench.TokenizerBench.

    tokenizers_bench.py TOKENIZER.json TEXT.txt [ROUNDS]

Prints a line for each peer on one and on two threads. (tiktoken has no added tokens that are not special and prefers no longest
one: with GPT-NeoX-20B's runs of spaces it makes more tokens of the same text.) Needs the packages tokenizers and tiktoken:
    python3 -m venv venv && venv/bin/pip install tokenizers tiktoken
Exits with 3 when they are missing.
"""
import json
import os
import subprocess
import sys
import time

# The script's own folder would shadow the standard library's module of the same name.
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]

try:
    import tiktoken
    import tokenizers
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install tokenizers tiktoken", file=sys.stderr)
    sys.exit(3)

DOCUMENT = 10_000
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def documents(path):
    with open(path, encoding="utf-8", newline="") as f:
        text = f.read()
    cut, start = [], 0
    while len(text) - start > DOCUMENT:
        end = text.find("\n", start + DOCUMENT - 1)
        if end < 0:
            break
        cut.append(text[start:end + 1])
        start = end + 1
    return cut + [text[start:]]


def measure(name, threads, rounds, texts, size, encode, count):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = encode()
        times.append(time.perf_counter() - start)
    tokens = sum(count(r) for r in result)
    best = min(times)
    print(f"{name:<28} {threads} threads: first {size / 1e6 / times[0]:6.1f} MB/s, best {size / 1e6 / best:6.1f} MB/s, "
          f"{tokens / 1e6 / best:6.2f} Mtokens/s ({tokens} tokens)", flush=True)


def tiktoken_encoding(path):
    """The same vocabulary for tiktoken, which ranks merges by the ids of their results."""
    with open(path, encoding="utf-8") as f:
        model = json.load(f)
    printable = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    alphabet = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
    special = {token["content"]: token["id"] for token in model["added_tokens"]}
    ranks = {bytes(alphabet[c] for c in token): i for token, i in model["model"]["vocab"].items() if token not in special}
    free = max(*ranks.values(), *special.values()) + 1
    for b in range(256):
        if bytes([b]) not in ranks:
            ranks[bytes([b])] = free
            free += 1
    return tiktoken.Encoding("peer", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=special)


def main():
    path, text, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3
    threads = os.environ.get("RAYON_NUM_THREADS")
    if threads is None:  # the library reads the number of threads once a process
        for n in "12":
            subprocess.run([sys.executable, *sys.argv], env=os.environ | {"RAYON_NUM_THREADS": n, "TOKENIZERS_PARALLELISM": "true"}, check=True)
        return
    texts = documents(text)
    size = sum(len(t.encode("utf-8")) for t in texts)
    hf = tokenizers.Tokenizer.from_file(path)
    count = lambda encoding: len(encoding.ids)
    measure("HF encode_batch", threads, rounds, texts, size, lambda: hf.encode_batch(texts, add_special_tokens=False), count)
    if hasattr(hf, "encode_batch_fast"):
        measure("HF encode_batch_fast", threads, rounds, texts, size,
                lambda: hf.encode_batch_fast(texts, add_special_tokens=False), count)
    tt = tiktoken_encoding(path)
    measure("tiktoken", threads, rounds, texts, size,
            lambda: tt.encode_batch(texts, num_threads=int(threads), allowed_special="all"), len)


if __name__ == "__main__":
    main()
