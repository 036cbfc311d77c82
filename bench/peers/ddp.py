#!/usr/bin/env python3
"""The training step of GPT-NeoX in PyTorch's DistributedDataParallel over Gloo, on random tokens: the peer of bench/ddp.sh.

    ddp.py PROCESSES LAYERS HIDDEN HEADS VOCAB SEQUENCES LENGTH f32|bf16 ROUNDS

SEQUENCES are of one process; each process has one thread. Process 0 prints one line a round, tokens/s of all together.
Needs the packages torch (CPU build) and transformers. Exits with 3 when they are missing.
"""
import os
import socket
import sys
import time

try:
    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install torch transformers", file=sys.stderr)
    sys.exit(3)


def work(rank, processes, port, layers, hidden, heads, vocab, sequences, length, dtype, rounds):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    torch.manual_seed(1)
    config = GPTNeoXConfig(
        vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, max_position_embeddings=length, rotary_pct=0.25, use_cache=False)
    model = torch.nn.parallel.DistributedDataParallel(GPTNeoXForCausalLM(config).train())
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    ids = torch.randint(0, vocab, (sequences, length + 1), generator=torch.Generator().manual_seed(3 + rank))
    inputs, labels = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    for _ in range(rounds):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            logits = model(input_ids=inputs).logits
            loss = torch.nn.functional.cross_entropy(logits.float().view(-1, vocab), labels.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - start
        if rank == 0:
            print(f"{processes * sequences * length / seconds:.0f} tokens/s loss {loss.item():.4f}", flush=True)
    dist.destroy_process_group()


def main():
    processes, layers, hidden, heads, vocab, sequences, length = map(int, sys.argv[1:8])
    dtype, rounds = sys.argv[8], int(sys.argv[9])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(work, (processes, port, layers, hidden, heads, vocab, sequences, length, dtype, rounds), processes)


if __name__ == "__main__":
    main()
