#!/usr/bin/env python3
"""lm-evaluation-harness beside `jneox eval --tasks`, on the same model and the same data: prompts, log-likelihoods and metrics.

    lm_eval_tasks.py MODEL [DOCUMENTS] [TASK...]

MODEL is a folder of HF transformers with a tokenizer, best in fp32: `jneox synth` writes one. For each task, small data files in the data
set's own schema are made of invented content, DOCUMENTS documents each (24). The harness runs its own task file over them with a model of
HF transformers in fp32; we run ours, then the harness's file (--include-path), without and with examples in front of the documents.
Compared are

    prompts   every context and continuation, byte by byte, and the hashes of documents, prompts and targets
    scores    log-likelihoods, within 1e-4 max(1, |v|); whether a continuation is the greedy one
    metrics   within 1e-9 where they count, else within 1e-4 max(1, |v|), because they are made of the log-likelihoods; standard errors too

Prints a line for each task and number of examples, and exits with 1 unless all agree. Near ties, where two choices are closer than
the bound and the metrics differ, are listed. Needs the packages lm-eval, datasets, torch and transformers:
    python3 -m venv venv && venv/bin/pip install 'lm-eval[hf]'
Packages that the harness imports and these tasks do not use may be missing. Exits with 3 when others are.
"""
import importlib.machinery
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
from unittest.mock import MagicMock

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for unused in ("evaluate", "peft", "sacrebleu", "rouge_score", "rouge_score.rouge_scorer", "sqlitedict", "pytablewriter", "zstandard",
               "word2number", "more_itertools", "dill"):
    try:
        __import__(unused)
    except ImportError:
        module = MagicMock(name=unused)
        module.__spec__, module.__path__, module.__version__ = importlib.machinery.ModuleSpec(unused, None), [], "9.9.9"
        sys.modules[unused] = module
try:
    import datasets
    import lm_eval
    import lm_eval.tasks
    import yaml
    from lm_eval.models.huggingface import HFLM
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install 'lm-eval[hf]'", file=sys.stderr)
    sys.exit(3)

from served import JNEOX

BOUND = 1e-4
BOOTSTRAP = 2000
COUNTED = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc"}
TASKS = pathlib.Path(lm_eval.tasks.__file__).parent

NOUNS = "kettle harbour violin glacier lantern orchard magnet compass river engine café naïveté 東京 beetle valley pump lens".split()
VERBS = "lifts warms follows measures paints carries repairs forgets answers turns".split()
ADJECTIVES = "quiet red heavy distant hollow bright early careful 42 wooden".split()


class Words:
    """Invented sentences, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def noun(self):
        return self.random.choice(NOUNS)

    def phrase(self):
        return f"the {self.random.choice(ADJECTIVES)} {self.noun()}"

    def sentence(self):
        end = self.random.choice([".", ".", "!", "; then it rests.", " — so it is said."])
        return f"{self.phrase().capitalize()} {self.random.choice(VERBS)} {self.phrase()}{end}"

    def text(self, sentences):
        return " ".join(self.sentence() for _ in range(sentences))

    def choices(self, n):
        kinds = [self.noun, self.phrase, self.sentence]
        kind = self.random.choice(kinds)
        found = []
        while len(found) < n:
            choice = kind()
            if choice not in found:
                found.append(choice)
        return found


def arc(words, i):
    n = words.random.choice([3, 4, 4, 4, 5])
    labels = [str(k + 1) for k in range(n)] if i % 5 == 4 else list("ABCDE"[:n])
    return {"id": f"made_{i}", "question": words.text(2) + " Why?", "choices": {"text": words.choices(n), "label": labels},
            "answerKey": words.random.choice(labels)}


def openbookqa(words, i):
    row = arc(words, 0)
    answer = words.random.choice(row["choices"]["label"])
    return {"id": f"made-{i}", "question_stem": words.sentence() + " It is", "choices": row["choices"],
            "answerKey": (" " if i % 7 == 0 else "") + answer}


def piqa(words, i):
    a, b = words.choices(2)
    return {"goal": words.text(1), "sol1": a, "sol2": b + (" " if i % 6 == 0 else ""), "label": words.random.randrange(2)}


def winogrande(words, i):
    a, b = words.choices(2)
    return {"sentence": f"{words.text(1)} Because _ was {words.random.choice(ADJECTIVES)}, {words.phrase()} stayed. ", "option1": a,
            "option2": b, "answer": str(1 + words.random.randrange(2))}


def sciq(words, i):
    a, b, c, d = words.choices(4)
    return {"question": words.sentence()[:-1] + "?", "distractor3": a, "distractor1": b, "distractor2": c, "correct_answer": d,
            "support": ("  \n" if i % 4 == 0 else "") + words.text(4) if i % 5 else ""}


def hellaswag(words, i):
    a, b = words.sentence(), (words.sentence().lower() if i % 3 else "")
    endings = [e + (" [title] Next [step] two  spaces" if i % 4 == 0 else "") for e in words.choices(4)]
    return {"ind": i, "activity_label": words.noun(), "ctx_a": a + (" [header] How" if i % 4 == 1 else ""), "ctx_b": b, "ctx": a + " " + b,
            "endings": endings, "source_id": f"made~{i}", "split": "val", "split_type": "indomain", "label": str(words.random.randrange(4))}


def lambada(words, i):
    return {"text": words.text(4) + " " + words.phrase() + (" ." if i % 9 == 8 else "")}


def wikitext(words, i):
    lines = [f" = {words.noun()} = ", ""]
    for k in range(60 if i == 0 else 3):
        lines += [f" = = Part {k} = = ", f" {words.text(4)} It cost 1 @,@ {i}00 @.@ 5 ( about ' {words.noun()} ' ) , half @-@ way ; \" so \" 's N ° [ x ] ",
                  ""]
    return {"page": "\n".join(lines)}


MADE = {
    "lambada_openai": (lambada, "lambada/lambada_openai.yaml", ["test"]),
    "piqa": (piqa, "piqa/piqa.yaml", ["train", "validation"]),
    "winogrande": (winogrande, "winogrande/default.yaml", ["train", "validation"]),
    "arc_easy": (arc, "arc/arc_easy.yaml", ["train", "validation", "test"]),
    "arc_challenge": (arc, "arc/arc_challenge.yaml", ["train", "validation", "test"]),
    "sciq": (sciq, "sciq/sciq.yaml", ["train", "validation", "test"]),
    "hellaswag": (hellaswag, "hellaswag/hellaswag.yaml", ["train", "validation"]),
    "openbookqa": (openbookqa, "openbookqa/openbookqa.yaml", ["train", "validation", "test"]),
    "wikitext": (wikitext, "wikitext/wikitext.yaml", ["train", "validation", "test"]),
}
FEWSHOT = {"lambada_openai": 1, "wikitext": 0}


def make(folder, names, documents):
    """Writes the data, and files of the harness's form that include its own and read them."""
    forms = folder / "forms"
    forms.mkdir()
    for name in names:
        maker, path, splits = MADE[name]
        files = {}
        for split in splits:
            words = Words(f"{name} {split}")
            file = folder / "data" / name / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            n = documents if name != "wikitext" else max(2, documents // 8)
            rows = [maker(words, i) for i in range(n)]
            if split == splits[-1] and name != "wikitext":
                rows.append(rows[0])  # twice the same: a document that is not left out of its examples once
            file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            files[split] = str(file)
        form = {"include": str(TASKS / path), "task": name, "dataset_path": "json", "dataset_name": None,
                "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")}}
        (forms / f"{name}.yaml").write_text(yaml.safe_dump(form), encoding="utf-8")
    return forms


def ours(model, names, folder, fewshot, *more):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder))
    line = [JNEOX, "eval", "--model", model, "--tasks", ",".join(names), "--data", folder / "data", "--num-fewshot", str(fewshot), "--out", out,
            "--json", "--bootstrap-iters", str(BOOTSTRAP), *more]
    run = subprocess.run(line, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr.strip())
    results = json.loads(run.stdout.splitlines()[-1])["results"]
    samples = {}
    for name in names:
        (file,) = out.glob(f"*/samples_{name}_*.jsonl")
        samples[name] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return results, samples


def near(a, b, bound):
    return a == b or abs(a - b) <= bound * max(1, abs(b))


def scores(response):
    """The log-likelihood of a response, and whether it is greedy."""
    while isinstance(response, (list, tuple)) and len(response) == 1:
        response = response[0]
    if isinstance(response, (list, tuple)):
        return float(response[0]), str(response[1]) == "True"
    return float(response), None


def compare(name, results, samples, theirs, their_samples):
    """Returns what differs, and the largest difference of a log-likelihood beside its bound."""
    wrong, worst, ties = [], 0.0, []
    their_samples = sorted(their_samples, key=lambda sample: sample["doc_id"])
    if len(samples) != len(their_samples):
        return [f"{len(samples)} samples, not {len(their_samples)}"], worst, ties
    for mine, peer in zip(samples, their_samples):
        place = f"document {peer['doc_id']}"
        asked = [list(each.values()) for each in mine["arguments"].values()]
        if asked != [list(each) for each in peer["arguments"]]:
            wrong.append(f"{place}: prompt {asked} is not {peer['arguments']}")
            continue
        for key in ("doc_hash", "prompt_hash", "target_hash"):
            if mine[key] != peer[key]:
                wrong.append(f"{place}: {key}")
        sums = []
        for a, b in zip(mine["resps"], peer["resps"], strict=True):
            (mine_sum, mine_greedy), (peer_sum, peer_greedy) = scores(a), scores(b)
            sums.append(peer_sum)
            worst = max(worst, abs(mine_sum - peer_sum) / max(1, abs(peer_sum)))
            if not near(mine_sum, peer_sum, BOUND):
                wrong.append(f"{place}: log-likelihood {mine_sum} is not {peer_sum}")
            if peer_greedy is not None and mine_greedy != peer_greedy:
                wrong.append(f"{place}: greedy {mine_greedy} is not {peer_greedy}")
        for metric in peer["metrics"]:
            if metric in COUNTED and mine[metric] != peer[metric]:
                best = sorted(sums)[-2:]
                tie = len(best) == 2 and near(best[0], best[1], BOUND)
                (ties if tie else wrong).append(f"{place}: {metric} {mine[metric]} is not {peer[metric]}")
    for key, value in theirs.items():
        if "," not in key:
            continue
        found, counted = results.get(key), key.split(",")[0].removesuffix("_stderr") in COUNTED
        if isinstance(value, (int, float)):
            # Perplexities multiply what log-likelihoods differ by.
            bound = 1e-9 if counted else 10 * BOUND
            if not isinstance(found, (int, float)) or not near(found, value, bound):
                if not (ties and counted):
                    wrong.append(f"{key}: {found} is not {value}")
        elif found != value:
            wrong.append(f"{key}: {found} is not {value}")
    more = {key for key in results if "," in key} - set(theirs)
    if more:
        wrong.append(f"metrics that the harness has not: {sorted(more)}")
    return wrong, worst, ties


def main():
    model, rest = sys.argv[1], sys.argv[2:]
    documents = int(rest.pop(0)) if rest and rest[0].isdigit() else 24
    names = rest or list(MADE)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        forms = make(folder, names, documents)
        manager = lm_eval.tasks.TaskManager(include_path=str(forms), include_defaults=False)
        lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=4)
        print(f"{'task':16} {'n-shot':>6} {'prompts':>8} {'largest error':>14}  metrics")
        for several in (0, 3):
            shots = {name: min(several, FEWSHOT.get(name, several)) for name in names}
            for fewshot in sorted(set(shots.values()) - ({0} if several else set())):
                these = [name for name in names if shots[name] == fewshot]
                peer = lm_eval.simple_evaluate(
                    model=lm, tasks=these, task_manager=manager, num_fewshot=fewshot, log_samples=True, bootstrap_iters=BOOTSTRAP)
                results, samples = ours(model, these, folder, fewshot)
                again, _ = ours(model, these, folder, fewshot, "--include-path", forms, "--batch-size", "3")
                for name in these:
                    wrong, worst, ties = compare(name, results[name], samples[name], peer["results"][name], peer["samples"][name])
                    if again[name] != results[name]:
                        wrong.append(f"the harness's file gives {again[name]}, ours {results[name]}")
                    prompts = sum(len(sample["arguments"]) for sample in samples[name])
                    shown = {key.split(",")[0]: value for key, value in results[name].items() if "," in key and "stderr" not in key}
                    print(f"{name:16} {fewshot:6} {prompts:8} {worst:14.1e}  " + ", ".join(f"{k} {v:.6g}" for k, v in shown.items()), flush=True)
                    for tie in ties:
                        print(f"  near tie: {tie}")
                    for line in wrong[:5]:
                        print(f"  DIFFERS: {line}")
                    failed |= bool(wrong)
    print("all agree" if not failed else "not all agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
