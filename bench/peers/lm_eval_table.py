#!/usr/bin/env python3
"""The table maker of lm-evaluation-harness over the files that `jneox eval --tasks --out DIR` writes.

    lm_eval_table.py RESULTS.json...

Prints the rows of the harness's table, and exits with 1 unless every number of the file is in it, with its standard error. Needs the
package lm-eval; where pytablewriter is missing, which only lays the rows out, a stand-in takes them. Exits with 3 without lm-eval.
"""
import json
import sys
import types


class Rows:
    headers, value_matrix = [], []

    def dumps(self):
        return "\n".join("|" + "|".join(str(cell) for cell in row) + "|" for row in [self.headers, *self.value_matrix])


try:
    import pytablewriter  # noqa: F401
except ImportError:
    module = types.ModuleType("pytablewriter")
    module.MarkdownTableWriter = module.LatexTableWriter = Rows
    sys.modules["pytablewriter"] = module
try:
    from lm_eval.utils import make_table
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install lm-eval", file=sys.stderr)
    sys.exit(3)


def main(files):
    missing = 0
    for file in files:
        report = json.load(open(file))
        table = make_table(report)
        if "groups" in report:
            table += "\n" + make_table(report, "groups")
        print(file, table, sep="\n")
        for task, numbers in report["results"].items():
            for key, value in numbers.items():
                metric, _, filtered = key.partition(",")
                if not filtered or metric.endswith("_stderr") or not isinstance(value, float):
                    continue
                error = numbers.get(f"{metric}_stderr,{filtered}", "N/A")
                shown = [f"{value:.4f}", f"{error:.4f}" if isinstance(error, float) else str(error)]
                row = [line for line in table.splitlines()
                       if f"|{metric}" in line.replace(" ", "") and all(number in line for number in shown)]
                if not row:
                    print(f"{file}: {task}: {key}: {shown} is not in the table", file=sys.stderr)
                    missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
