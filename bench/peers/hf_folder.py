#!/usr/bin/env python3
"""Model folders opened by HF transformers, and the log-probabilities of random ids there against those of `jneox score`.

    hf_folder.py FOLDER...

Both compute in fp32, whatever the weights are stored as. Prints the largest difference for each folder, and exits with 1 when it
is above 1e-3 or when transformers misses a tensor or does not know one. Needs the packages torch (CPU build) and transformers:
    python3 -m venv venv && venv/bin/pip install torch transformers
Exits with 3 when they are missing.
"""
import json
import pathlib
import subprocess
import sys

try:
    import torch
    from transformers import AutoModelForCausalLM
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install torch transformers", file=sys.stderr)
    sys.exit(3)

JNEOX = pathlib.Path(__file__).resolve().parents[2] / "jneox"
TOLERANCE = 1e-3


def check(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    config = model.eval().config
    wrong = {kind: sorted(info[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[kind]}
    torch.manual_seed(1)
    ids = torch.randint(0, config.vocab_size, (min(100, config.max_position_embeddings),))
    with torch.no_grad():
        theirs = torch.log_softmax(model(ids[None]).logits[0, :-1], -1).gather(1, ids[1:, None])[:, 0]
    line = [JNEOX, "score", "--model", folder, "--ids", " ".join(map(str, ids.tolist())), "--dtype", "f32", "--json"]
    run = subprocess.run(line, capture_output=True, text=True)
    if run.returncode:
        print(f"{folder}: {config.model_type}: {run.stderr.strip()}")
        return False
    ours = torch.tensor(json.loads(run.stdout)["logprobs"][1:])
    difference = (ours - theirs).abs().max().item()
    stored = json.loads((pathlib.Path(folder) / "config.json").read_text()).get("dtype")
    print(f"{folder}: {config.model_type}, {stored}: largest difference of {len(ours)} log-probabilities {difference:.1e} {wrong or ''}")
    return difference <= TOLERANCE and not wrong


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(0 if all([check(folder) for folder in sys.argv[1:]]) else 1)
