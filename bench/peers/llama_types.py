#!/usr/bin/env python3
"""Compares JNeoX with llama.cpp on types of weights that JNeoX reads and does not write.

    NODE_LLAMA=DIR python3 bench/peers/llama_types.py MODEL OUT [TYPE ...]

Writes MODEL as a GGUF file in F32, has the llama.cpp of node-llama-cpp quantise it to each TYPE (Q4_1, Q5_0, Q5_1, IQ4_NL,
Q2_K, Q3_K_S, Q3_K_M, Q4_K_M, Q5_K_M, Q6_K), continues two prompts greedily with both, and prints how many of 32
tokens are alike and how far apart the probabilities of llama.cpp's tokens are. The width of MODEL is a multiple of 256, or
llama.cpp takes other types for its matrices. llama_cpp.mjs says how DIR is made. Needs Linux on x86-64.
"""
import ctypes
import json
import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ["public static int max(int a, int b) {\n    ", "/**\n * Returns the number of"]
TOKENS = 32

# enum llama_ftype of llama.h
TYPES = {"Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "IQ4_NL": 25, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q4_K_M": 15,
         "Q5_K_M": 17, "Q6_K": 18}


class QuantizeParams(ctypes.Structure):
    """llama_model_quantize_params: its first fields, and more room than the others take."""
    _fields_ = [("threads", ctypes.c_int32), ("ftype", ctypes.c_int32), ("rest", ctypes.c_char * 248)]


def library(folder):
    libraries = Path(folder, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")
    for pattern in ("libggml-base.so", "libggml.*so", "libllama.*so"):
        loaded = ctypes.CDLL(str(next(libraries.glob(pattern))), mode=ctypes.RTLD_GLOBAL)
    loaded.llama_model_quantize_default_params.restype = QuantizeParams
    loaded.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(QuantizeParams)]
    loaded.llama_backend_init()
    return loaded


def jneox(*args):
    return subprocess.run([str(ROOT / "jneox"), *args], check=True, stdout=subprocess.PIPE, text=True).stdout


def compare(file):
    ours = [json.loads(jneox("generate", "--model", file, "--prompt", prompt, "--temperature", "0",
                             "--max-tokens", str(TOKENS), "--json")) for prompt in PROMPTS]
    lines = "\n".join(json.dumps({"prompt": p, "ids": o["prompt_ids"]}) for p, o in zip(PROMPTS, ours))
    peer = subprocess.run(["node", str(ROOT / "bench/peers/llama_cpp.mjs"), file, str(TOKENS)], input=lines, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    theirs = [json.loads(line) for line in peer.splitlines() if line.startswith("{")]
    alike, apart = [], 0
    for our, their in zip(ours, theirs, strict=True):
        same = [a == b for a, b in zip(our["ids"], their["ids"])]
        alike.append(f"{same.index(False) if False in same else len(same)}/{len(same)}")
        ids = our["prompt_ids"] + their["ids"]
        scores = json.loads(jneox("score", "--model", file, "--ids", " ".join(map(str, ids)), "--json"))["logprobs"]
        for score, probability in zip(scores[len(our["prompt_ids"]):], their["probabilities"], strict=True):
            apart = max(apart, abs(math.exp(score) - probability))
    return alike, apart


def main(model, out, *types):
    llama = library(os.environ["NODE_LLAMA"])
    Path(out).mkdir(parents=True, exist_ok=True)
    whole = os.path.join(out, "f32.gguf")
    jneox("convert", "--from", model, "--to", whole, "--format", "gguf", "--dtype", "f32", "--force")
    for name in types or TYPES:
        file = os.path.join(out, name.lower() + ".gguf")
        params = llama.llama_model_quantize_default_params()
        params.ftype = TYPES[name]
        if llama.llama_model_quantize(whole.encode(), file.encode(), ctypes.byref(params)) != 0:
            sys.exit(f"{name}: llama.cpp does not write it")
        alike, apart = compare(file)
        print(f"{name:8} alike {' '.join(alike)}, probabilities apart by at most {apart:.4f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
