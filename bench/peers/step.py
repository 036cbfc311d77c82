#!/usr/bin/env python3
"""The training step of GPT-NeoX in PyTorch + HF transformers, on random tokens: the peer of dev.jneox.bench.StepBench.

    step.py LAYERS HIDDEN HEADS VOCAB SEQUENCES LENGTH f32|bf16 eager|compile ROUNDS

Prints one line a round, as StepBench does. Needs the packages torch (CPU build) and transformers:
    python3 -m venv venv && venv/bin/pip install torch transformers
Exits with 3 when they are missing.
"""
import sys
import time

try:
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install torch transformers", file=sys.stderr)
    sys.exit(3)


def main():
    layers, hidden, heads, vocab, sequences, length = map(int, sys.argv[1:7])
    dtype, mode, rounds = sys.argv[7], sys.argv[8], int(sys.argv[9])
    torch.manual_seed(1)
    config = GPTNeoXConfig(
        vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, max_position_embeddings=length, rotary_pct=0.25, use_cache=False)
    model = GPTNeoXForCausalLM(config).train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    run = torch.compile(model) if mode == "compile" else model
    ids = torch.randint(0, vocab, (sequences, length + 1), generator=torch.Generator().manual_seed(3))
    inputs, labels = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    for _ in range(rounds):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            logits = run(input_ids=inputs).logits
            loss = torch.nn.functional.cross_entropy(logits.float().view(-1, vocab), labels.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - start
        print(f"{sequences * length / seconds:.0f} tokens/s loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()
