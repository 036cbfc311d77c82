#!/usr/bin/env python3
"""lm-evaluation-harness through HTTP: its log-likelihoods over `jneox serve` against those of `jneox score`, bit for bit.

    lm_eval_http.py MODEL [DOCUMENTS]

MODEL is a folder or file with a tokenizer, `jneox synth` writes one. Four tasks in the forms of ARC, PIQA, LAMBADA and WikiText are made
of this repository's own texts, with DOCUMENTS documents each (5; a fifth of that, of whole pages, for WikiText). The harness tokenizes
and scores them with its model `local-completions`, ids as prompts. Each of its requests is scored once more with `jneox score --json`,
and the sums must be equal (==). Prints the harness's results and the number of equal sums; exits with 1 unless all are. Needs the
packages lm-eval (with its extra api) and datasets:
    python3 -m venv venv && venv/bin/pip install 'lm-eval[api]' datasets
Exits with 3 when they are missing.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

from served import JNEOX, ROOT, served

try:
    import datasets
    import lm_eval
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    from lm_eval.tasks import TaskManager
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install 'lm-eval[api]' datasets", file=sys.stderr)
    sys.exit(3)


class Recorded(LocalCompletionsAPI):
    """The harness's model, which keeps each request in ids with the sum that came of it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.requests = {}

    def _loglikelihood_tokens(self, requests, **options):
        results = super()._loglikelihood_tokens(requests, **options)
        for (_, context, continuation), (total, _) in zip(requests, results, strict=True):
            # As the harness cuts what is longer than the context.
            ids = (context + continuation)[-self.max_length:]
            self.requests.setdefault((tuple(ids), len(continuation)), set()).add(total)
        return results


def tasks(folder, documents):
    """Writes the data of four tasks, and returns their configurations."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"))
    lines = [line.strip() for line in text.splitlines() if len(line.split()) > 6]
    choice = lambda i, n: lines[i % len(lines)][:n]
    rows = {
        "arc": [
            {"question": "What follows: " + choice(i, 200), "answerKey": "ABCD"[i % 4],
             "choices": {"text": [choice(7 * i + k, 40) for k in range(4)], "label": list("ABCD")}}
            for i in range(documents)
        ],
        "piqa": [
            {"goal": choice(i + 50, 200), "sol1": choice(3 * i, 50), "sol2": choice(5 * i + 1, 60), "label": i % 2}
            for i in range(documents)
        ],
        "lambada": [{"text": choice(i + 100, 400)} for i in range(documents)],
        "wikitext": [{"page": "\n".join(lines[40 * i:40 * i + 80])} for i in range(max(1, documents // 5))],
    }
    asked = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]}
    forms = {
        "arc": asked | {
            "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "{{choices.label.index(answerKey)}}",
            "doc_to_choice": "{{choices.text}}"},
        "piqa": asked | {
            "doc_to_text": "Question: {{goal}}\nAnswer:", "doc_to_target": "label", "doc_to_choice": "{{[sol1, sol2]}}"},
        "lambada": {
            "output_type": "loglikelihood", "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}],
            "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}", "doc_to_target": "{{' '+text.split(' ')[-1]}}"},
        "wikitext": {
            "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{page}}",
            "metric_list": [{"metric": m} for m in ("word_perplexity", "byte_perplexity", "bits_per_byte")]},
    }
    for name, data in rows.items():
        path = pathlib.Path(folder, name + ".jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
        yield forms[name] | {
            "task": "peer_" + name, "test_split": "test", "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder)}}


def score(model, ids):
    """The log-probabilities of ids behind the first."""
    line = [JNEOX, "score", "--model", model, "--ids", " ".join(map(str, ids)), "--json"]
    run = subprocess.run(line, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr.strip())
    return json.loads(run.stdout)["logprobs"][1:]


def main():
    model, documents = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with served(model) as url, tempfile.TemporaryDirectory() as folder:
        with urllib.request.urlopen(url + "/models/peer") as answer:
            context = json.load(answer)["max_model_len"]
        # The harness keeps a place for the new token, which the server does not read: an echo has room for context + 1.
        peer = Recorded(
            model="peer", base_url=url + "/completions", tokenizer_backend="remote", max_length=context + 1, num_concurrent=4, batch_size=1)
        manager = TaskManager(include_defaults=False)
        results = lm_eval.simple_evaluate(
            model=peer, tasks=list(tasks(folder, documents)), task_manager=manager, bootstrap_iters=0)["results"]
    for task, found in results.items():
        print(task, {re.sub(",none$", "", name): value for name, value in found.items() if isinstance(value, float)})
    equal = 0
    for (ids, continuation), totals in peer.requests.items():
        ours = sum(score(model, ids)[-continuation:])
        equal += totals == {ours}
        if totals != {ours}:
            print(f"{len(ids)} ids, the last {continuation} scored: {totals} through HTTP, {ours} by score")
    print(f"{equal} of {len(peer.requests)} sums are equal to the last bit")
    sys.exit(0 if equal == len(peer.requests) > 0 else 1)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main()
