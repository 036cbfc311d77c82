#!/usr/bin/env python3
"""Reference values of training: loss, gradient norms and 12 AdamW steps of an HF folder, by PyTorch over HF transformers in fp32.

    hf_reference.py FOLDER > expected.json

FOLDER holds a model and expected.safetensors with input_ids [B,S]. Dropout is off, whatever config.json says: with it, the values
would be those of one random mask. expected.json in core/src/test/resources/parity/gpt2 is from this. Needs the packages torch (CPU
build), transformers and safetensors:
    python3 -m venv venv && venv/bin/pip install torch transformers safetensors
Exits with 3 when they are missing.
"""
import json
import sys

try:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install torch transformers safetensors", file=sys.stderr)
    sys.exit(3)

folder = sys.argv[1]
ids = load_file(f"{folder}/expected.safetensors")["input_ids"]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def loss():
    logits = model(ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.size(-1)), ids[:, 1:].reshape(-1))


first = loss()
first.backward()
norms = {name: p.grad.norm().item() for name, p in model.named_parameters()}
groups = [
    {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
    {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
]
adam = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
steps = []
for _ in range(12):
    adam.zero_grad()
    value = loss()
    value.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    steps.append([value.item(), norm.item()])
    adam.step()
json.dump(
    {"loss": first.item(), "grad_norms": norms, "adamw_lr1e-3_b0.9_0.95_eps1e-8_wd0.1on2d_clip1.0": steps}, sys.stdout, indent=1
)
