#!/usr/bin/env python3
"""lm-evaluation-harness beside `jneox eval --tasks`, on the same model and the same data: prompts, log-likelihoods and metrics.

    lm_eval_tasks.py MODEL [DOCUMENTS] [TASK...]

A TASK may have wildcards: "mmlu_*".

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
import fnmatch
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
COUNTED = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc", "pct_stereotype", "pct_male_preferred",
           "accuracy_amb", "accuracy_disamb"}
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


def logiqa(words, i):
    return {"label": "abcd"[words.random.randrange(4)] + ("\n" if i % 3 == 0 else ""), "context": words.text(3), "question": words.sentence(),
            "options": words.choices(4)}


def anli(words, i):
    return {"uid": f"made-{i}", "premise": words.text(3), "hypothesis": words.sentence(), "label": words.random.randrange(3), "reason": ""}


def wsc(words, i):
    text = words.text(2) + ' It was n\'t "so" ( here ) , she said .' + ("  Two  spaces." if i % 3 == 2 else "")
    parts = text.split()
    at = words.random.randrange(len(parts))
    return {"text": text, "span1_index": 0, "span2_index": at, "span1_text": parts[0], "span2_text": parts[at], "idx": i,
            "label": words.random.randrange(2)}


def headqa(words, i):
    answers = words.choices(4 + i % 2)
    return {"name": "made", "year": "2014", "category": "biology", "qid": i, "qtext": words.sentence(), "ra": 1 + words.random.randrange(4),
            "answers": [{"aid": k + 1, "atext": answer} for k, answer in enumerate(answers)]}


def prost(words, i):
    row = dict(zip("ABCD", words.choices(4)), context=words.text(1), question=words.sentence(), ex_question=words.sentence())
    return row | {"group": "made", "label": words.random.randrange(4), "name": f"made_{i}"}


def qa4mre(words, i):
    return {"topic_id": "1", "test_id": str(i), "document_id": "1", "document_str": "\n " + words.text(12) + " ", "question_id": "1",
            "question_str": words.sentence(), "correct_answer_id": str(1 + words.random.randrange(5)), "correct_answer_str": "",
            "answer_options": {"answer_id": list("12345"), "answer_str": words.choices(5)}}


def mathqa(words, i):
    options = " , ".join(f"{letter} ) {choice}" for letter, choice in zip("abcde", words.choices(5)))
    return {"Problem": words.text(2), "Rationale": words.sentence(), "options": options, "correct": "abcde"[words.random.randrange(5)],
            "annotated_formula": "", "linear_formula": "", "category": "general"}


def arithmetic(words, i):
    a, b = words.random.randrange(100), words.random.randrange(100)
    return {"context": f"Q: What is {a} plus {b}?\n\nA:" + (" " if i % 3 == 0 else ""), "completion": f" {a + b}"}


def triviaqa(words, i):
    aliases = words.choices(1 + i % 4)
    return {"question": words.sentence()[:-1], "question_id": f"made_{i}", "question_source": "", "entity_pages": [], "search_results": [],
            "answer": {"aliases": aliases, "normalized_aliases": [], "value": aliases[0]}}


def mmlu(words, i):
    return {"question": words.text(1) + (" " if i % 2 else ""), "subject": "made", "choices": words.choices(4), "answer": words.random.randrange(4)}


def blimp(words, i):
    good = words.sentence()
    return {"sentence_good": good, "sentence_bad": good.replace("the ", "a ") + " not", "field": "syntax", "UID": "made", "pair_id": i}


def pile(words, i):
    return {"text": words.text(300 if i == 0 else 3), "meta": {"pile_set_name": "made"}}


STEREOTYPES = "age autre disability gender nationality physical-appearance race-color religion sexual-orientation socioeconomic".split()


def crows_pairs(words, i):
    return {"sent_more": words.sentence(), "sent_less": words.sentence(), "stereo_antistereo": "stereo",
            "bias_type": STEREOTYPES[i % len(STEREOTYPES)]}


def winogender(words, i):
    occupation, participant = words.choices(2)
    return {"sentid": f"made.{i}", "sentence": words.text(1), "pronoun": ["he", "she", "they"][i % 3], "occupation": occupation,
            "participant": participant, "gender": ["male", "female", "neutral"][i % 3], "target": occupation, "label": words.random.randrange(2)}


def cooccurrence(words, i):
    return {"occupation": words.noun(), "sentence": f"{words.phrase().capitalize()} is a"}


def bbq(words, i):
    category = ["Age", "Disability_status", "Gender_identity", "Nationality", "Physical_appearance", "Race_ethnicity", "Race_x_gender",
                "Race_x_SES", "Religion", "SES", "Sexual_orientation"][i // 2 % 11]
    groups = [["F-Black", "F-Latino"], ["lowSES-African", "highSES-African"], ["woman", "man"], ["old", "nonOld"]][i % 4]
    answers = [(words.phrase(), [groups[0], groups[0].split("-")[0]]), (words.phrase() + " 2", [groups[1], ""]),
               (["Not known", "Can't be determined"][i % 2], ["unknown", "unknown"])]
    if category == "Race_x_gender":
        answers[0] = ("The Latina one", ["", ""])
    words.random.shuffle(answers)
    return {"example_id": i, "question_index": "1", "question_polarity": ["neg", "nonneg"][i // 3 % 2],
            "context_condition": ["ambig", "disambig"][i % 2], "category": category,
            "answer_info": {f"ans{k}": info for k, (_, info) in enumerate(answers)},
            "additional_metadata": {"subcategory": "None", "stereotyped_groups": [groups[0].replace("-", " "), "F", "low SES", "Latino"]},
            "context": words.text(2), "question": words.sentence()[:-1] + "?", **{f"ans{k}": text for k, (text, _) in enumerate(answers)},
            "label": words.random.randrange(3)}


def toxigen(words, i):
    return {"text": words.text(1), "target_group": "made", "toxicity_ai": words.random.choice([1.0, 2.5, 3.0, 5.0]),
            "toxicity_human": words.random.choice([1.0, 2.3333333, 3.0, 5.0])}


def truthfulqa(words, i):
    choices = words.choices(6)
    return {"question": words.sentence()[:-1] + "?", "mc1_targets": {"choices": choices[:4], "labels": [1, 0, 0, 0]},
            "mc2_targets": {"choices": choices, "labels": [1, 1, i % 2, 0, 0, 0]}}


def ethics(words, i):
    return {"label": words.random.randrange(2), "input": words.text(2), "scenario": words.sentence(), "excuse": words.sentence() + " ",
            "trait": words.random.choice(ADJECTIVES), "activity": words.text(1), "baseline": words.text(1), "is_short": True}


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
    "lambada_standard": (lambada, "lambada/lambada_standard.yaml", ["validation", "test"]),
    "logiqa": (logiqa, "logiqa/logiqa.yaml", ["train", "validation", "test"]),
    "wsc": (wsc, "super_glue/wsc/default.yaml", ["train", "validation"]),
    "headqa_en": (headqa, "headqa/headqa_en.yaml", ["train", "validation", "test"]),
    "prost": (prost, "prost/corypaik_prost.yaml", ["test"]),
    "mathqa": (mathqa, "mathqa/mathqa.yaml", ["train", "validation", "test"]),
    "triviaqa": (triviaqa, "triviaqa/default.yaml", ["train", "validation"]),
    "simple_cooccurrence_bias": (cooccurrence, "simple_cooccurrence_bias/simple_cooccurrence_bias.yaml", ["test"]),
    "toxigen": (toxigen, "toxigen/toxigen.yaml", ["train", "test"]),
    "truthfulqa_mc1": (truthfulqa, "truthfulqa/truthfulqa_mc1.yaml", ["validation"]),
    "truthfulqa_mc2": (truthfulqa, "truthfulqa/truthfulqa_mc2.yaml", ["validation"]),
    "pile_10k": (pile, "pile_10k/pile_10k.yaml", ["train"]),
}


def family(maker, folder, prefix, splits):
    """Adds a task for each file of the harness's that begins with a prefix."""
    for path in sorted((TASKS / folder).glob(prefix + "*.yaml")):
        name = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader).get("task")
        if isinstance(name, str):
            MADE[name] = (maker, path.relative_to(TASKS), splits(name) if callable(splits) else splits)


yaml.BaseLoader.add_constructor("!function", lambda loader, node: node.value)
family(anli, "anli", "anli", lambda name: [f"{split}_{name[5:]}" for split in ("train", "dev", "test")])
family(qa4mre, "qa4mre", "qa4mre", ["train"])
family(arithmetic, "arithmetic", "arithmetic", ["validation"])
family(mmlu, "mmlu/default", "mmlu", ["dev", "test"])
family(blimp, "blimp", "", ["train"])
family(pile, "pile", "pile", ["train"])
family(crows_pairs, "crows_pairs", "crows_pairs_english", ["test"])
family(winogender, "winogender", "winogender", ["test"])
family(bbq, "bbq", "bbq", ["test"])
family(ethics, "hendrycks_ethics", "", ["train", "test"])
# The harness's own examples of toxigen fail: their answer is no int of Python's.
FEWSHOT = {"lambada_openai": 1, "lambada_standard": 1, "toxigen": 0} | {
    name: 0 for name in MADE if name.startswith(("wikitext", "pile", "blimp", "crows_pairs_english_", "bbq_generate"))
}
LONG = {"wikitext", *(name for name in MADE if name.startswith("pile"))}


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
            n = documents if name not in LONG else max(2, documents // 8)
            rows = [maker(words, i) for i in range(n)]
            if split == splits[-1] and name not in LONG:
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
        (file,) = out.glob(f"*/samples_{name}_20*.jsonl")  # behind the name is the date
        samples[name] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return results, samples


def is_counted(task, metric):
    return (metric in COUNTED or "amb_bias_score" in metric) and task != "truthfulqa_mc2"


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
        for arguments, given in zip(asked, peer["arguments"]):
            if isinstance(given[-1], dict):  # how to generate: ours says all, also what the task's file does not
                arguments[-1] = {key: value for key, value in arguments[-1].items() if key in given[-1]}
        if asked != [list(each) for each in peer["arguments"]]:
            wrong.append(f"{place}: prompt {asked} is not {peer['arguments']}")
            continue
        for key in ("doc_hash", "prompt_hash", "target_hash"):
            if mine[key] != peer[key]:
                wrong.append(f"{place}: {key}")
        sums = []
        for a, b in zip(mine["resps"], peer["resps"], strict=True):
            if isinstance(b[0], str):
                if list(a) != list(b):
                    wrong.append(f"{place}: text {a} is not {b}")
                continue
            (mine_sum, mine_greedy), (peer_sum, peer_greedy) = scores(a), scores(b)
            sums.append(peer_sum)
            worst = max(worst, abs(mine_sum - peer_sum) / max(1, abs(peer_sum)))
            if not near(mine_sum, peer_sum, BOUND):
                wrong.append(f"{place}: log-likelihood {mine_sum} is not {peer_sum}")
            if peer_greedy is not None and mine_greedy != peer_greedy:
                wrong.append(f"{place}: greedy {mine_greedy} is not {peer_greedy}")
        for metric in peer["metrics"]:
            if is_counted(name, metric) and isinstance(peer[metric], (int, float)) and mine[metric] != peer[metric]:
                best = sorted(sums)[-2:]
                tie = len(best) == 2 and near(best[0], best[1], BOUND)
                (ties if tie else wrong).append(f"{place}: {metric} {mine[metric]} is not {peer[metric]}")
    for key, value in theirs.items():
        if "," not in key:
            continue
        found, counted = results.get(key), is_counted(name, key.split(",")[0].removesuffix("_stderr"))
        if isinstance(value, float) and math.isnan(value):
            if found != "NaN":
                wrong.append(f"{key}: {found} is not NaN")
        elif isinstance(value, (int, float)):
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
    names = [name for name in MADE if not rest or any(fnmatch.fnmatchcase(name, each) for each in rest)]
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
                    print(f"{name:16} {fewshot:6} {prompts:8} {worst:14.1e}  " + ", ".join(f"{k} {float(v):.6g}" for k, v in list(shown.items())[:6]), flush=True)
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
