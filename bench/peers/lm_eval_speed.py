#!/usr/bin/env python3
"""The time that a multiple-choice task with examples takes: lm-evaluation-harness with HF transformers beside `jneox eval --tasks`.

    lm_eval_speed.py MODEL [DOCUMENTS] [TASK] [TURNS]

MODEL is a folder of HF transformers with a tokenizer; both compute in fp32 on all cores, with 5 examples before each of DOCUMENTS (24)
invented documents of TASK (arc_easy), in TURNS (3) turns. The harness is timed without imports and loading the model, at the best of
batch sizes 1, 4 and 16 of a first run; ours is the whole process. Published are

    tokens    that the harness reads, and of the tree of prefixes that the same requests make
    rate      tokens/s of a prompt of 512, ours over HF's
    goal      0.9 of their product
    speed     the harness's time over ours

Needs what lm_eval_tasks.py needs.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from lm_eval_tasks import HFLM, JNEOX, lm_eval, make, ours

SHOTS = 5


def tokens(lm, samples):
    """The tokens of all distinct inputs, and the nodes of the tree of their prefixes."""
    inputs = set()
    for sample in samples:
        for context, continuation in sample["arguments"]:
            begin, end = lm._encode_pair(context, continuation)
            inputs.add(tuple(begin + end)[:-1])
    nodes = set()
    for ids in inputs:
        for length in range(1, len(ids) + 1):
            nodes.add(hash(ids[:length]))
    return sum(map(len, inputs)), len(nodes)


def hf_rate(lm):
    import torch

    ids = torch.randint(0, lm.vocab_size, (1, 512), generator=torch.Generator().manual_seed(1))
    times = []
    with torch.no_grad():
        for _ in range(8):
            start = time.perf_counter()
            lm.model(ids)
            times.append(time.perf_counter() - start)
    return 512 / statistics.median(times[2:])


def our_rate(model):
    line = [JNEOX, "bench", "decode", "--model", model, "--dtype", "f32", "--prompt", "512", "--new", "2", "--rounds", "6", "--json"]
    run = subprocess.run(line, capture_output=True, text=True, check=True)
    rate = json.loads(run.stdout.splitlines()[-1])["prompt_tokens_per_second"]
    return rate["median"] if isinstance(rate, dict) else rate


def main():
    model, rest = sys.argv[1], sys.argv[2:]
    documents = int(rest[0]) if rest else 24
    task = rest[1] if len(rest) > 1 else "arc_easy"
    turns = int(rest[2]) if len(rest) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        manager = lm_eval.tasks.TaskManager(include_path=str(make(folder, [task], documents)), include_defaults=False)

        def harness(batch):
            lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=batch)
            start = time.perf_counter()
            result = lm_eval.simple_evaluate(
                model=lm, tasks=[task], task_manager=manager, num_fewshot=SHOTS, log_samples=True, bootstrap_iters=0)
            return time.perf_counter() - start, lm, result

        first = {batch: harness(batch) for batch in (1, 4, 16)}
        batch = min(first, key=lambda each: first[each][0])
        _, lm, result = first[batch]
        print("harness, by batch size: " + ", ".join(f"{each}: {seconds[0]:.1f} s" for each, seconds in first.items()), flush=True)
        read, tree = tokens(lm, result["samples"][task])
        theirs, mine, rates, seconds = [], [], [], []
        for turn in range(turns):
            theirs.append(harness(batch)[0])
            start = time.perf_counter()
            results, _ = ours(model, [task], folder, SHOTS, "--dtype", "f32")
            mine.append(time.perf_counter() - start)
            rates.append(our_rate(model) / hf_rate(lm))
            print(f"turn {turn + 1}: harness {theirs[-1]:.1f} s, ours {mine[-1]:.1f} s, rate {rates[-1]:.2f}", flush=True)
        for key, value in result["results"][task].items():
            if "," in key and "stderr" not in key and isinstance(value, float):
                print(f"{key}: harness {value:.6f}, ours {results[task][key]:.6f}")
        rate = statistics.median(rates)
        speeds = [a / b for a, b in zip(theirs, mine)]
        print(f"tokens: {read:,} read by the harness, {tree:,} in the tree: {read / tree:.2f}")
        print(f"rate: {rate:.2f} ({min(rates):.2f} to {max(rates):.2f})")
        print(f"goal: {0.9 * rate * read / tree:.2f}")
        print(f"speed: {statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
