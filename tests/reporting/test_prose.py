"""Numbers in the README's and the docs' sentences are those of the committed records.

Of the committed ones: who runs `make repro` has records of another machine, and the same sentences.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
NUMBER = r"(\.\d+|\d+)"


def git(*words: str) -> str:
    done = subprocess.run(["git", "-C", TOP, *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no committed records here: {done.stderr.strip()}")
    return done.stdout


@cache
def committed(folder: str) -> list[str]:
    return git("ls-tree", "-r", "--name-only", "HEAD", "--", folder).splitlines()


@cache
def runs(where: str, method: str) -> list[dict]:
    """The records of a method in a folder of results, one for each seed."""
    paths = [p for p in committed(f"{where}/runs") if f"/loo/{method}/seed_" in p]
    assert paths, f"no record of {method} in {where}"
    return [json.loads(git("show", f"HEAD:{path}")) for path in paths]


def mean(where: str, method: str, metric: str) -> str:
    values = [run["metrics"]["test"]["full"][metric] for run in runs(where, method)]
    return f"{sum(values) / len(values):.3f}".removeprefix("0")


def both(where: str, method: str, first: str = "hit@10", second: str = "ndcg@10") -> list[str]:
    return [mean(where, method, first), mean(where, method, second)]


def minutes(*methods: str, where: str = "results") -> str:
    seconds = sum(runs(where, method)[0]["cost"]["train_seconds"] for method in methods)
    return f"{seconds / 60:.0f}"


CLASSICAL = ("Pop", "ItemKNN", "EASE", "RecencyEASE", "BERT4Rec", "SASRec", "LightGCN", "BPR")
GENERATIVE = ("GenRec", "P5")


def ours() -> list[str]:
    methods = {path.split("/")[-2] for path in committed("results/runs/ml-100k/loo")}
    return sorted(methods - {*CLASSICAL, *GENERATIVE})


def costs() -> list[str]:
    each = sorted((minutes(method) for method in ours()), key=int)
    whole = minutes(*CLASSICAL, *GENERATIVE, *ours())
    return [whole, minutes(*CLASSICAL), *map(minutes, GENERATIVE), each[0], each[-1]]


@cache
def replayed() -> dict[str, dict[str, float]]:
    path = "results/replay/ml-100k/loo/EnhancedGenRec/seed_0.json"
    return json.loads(git("show", f"HEAD:{path}"))["ways"]


def learned() -> list[str]:
    sgd, frozen, selective, ewc = (replayed()[way] for way in ("sgd", "frozen", "selective", "ewc"))
    values = [sgd["score"], frozen["score"], *(sgd[name] for name in ("difference", "low", "high"))]
    places = [f"{abs(value):.3f}" for value in values] + [f"{sgd['p_t']:.2f}"]
    places += [f"{way['score']:.3f}" for way in (selective, ewc)]
    return [place.removeprefix("0") for place in places]


def milliseconds() -> list[str]:
    each = [replayed()[way]["ms_per_update"] for way in ("sgd", "selective", "ewc")]
    return [f"{min(each):.0f}", f"{max(each):.0f}"]


SEEDS, BEAUTY, ML_1M, MOVIES, WITHOUT_AMX = (
    f"benchmarks/results/{name}"
    for name in ("seeds", "beauty", "ml-1m", "amazon-movies", "without_amx")
)


def allowed_for() -> list[str]:
    """How many tests Table I of ml-1m makes, and p of EnhancedGenRec against SASRec there."""
    text = git("show", f"HEAD:{ML_1M}/comparisons.csv")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["table"] == "table_1"]
    full = {
        row["metric"]: row
        for row in rows
        if (row["ranking"], row["method"], row["baseline"]) == ("full", "EnhancedGenRec", "SASRec")
    }
    found = [full[m][p] for p in ("p_holm", "p_t") for m in ("hit@10", "ndcg@10")]
    return [str(len(rows)), *(f"{float(p):.2f}".removeprefix("0") for p in found)]


#: (file, sentence with # for each number, the numbers); spaces stand for any white space.
SENTENCES = [
    ("README.md", "20 cells whose records add up to # minutes of training on one core: the eight "
     "classical baselines #, GenRec #, P5 #, EnhancedGenRec and each of its ablations # to #;",
     costs),
    ("README.md", "to the last bit too, EnhancedGenRec with # and #, P5 and GenRec lower",
     lambda: both(WITHOUT_AMX, "EnhancedGenRec")),
    ("README.md", "EnhancedGenRec has a mean NDCG@10 of # and HR@10 of #, SASRec # and #, and "
     "EnhancedGenRec without its components # and #:",
     lambda: [n for m in ("EnhancedGenRec", "SASRec", "EnhancedGenRec_none")
              for n in both(SEEDS, m, "ndcg@10", "hit@10")]),
    ("README.md", "EnhancedGenRec reaches HR@10 # and NDCG@10 #, SASRec # and #, RecencyEASE # "
     "and #:",
     lambda: [n for m in ("EnhancedGenRec", "SASRec", "RecencyEASE") for n in both(BEAUTY, m)]),
    ("README.md", "(ratings of 4 and more) it reaches # and #, SASRec # and #:",
     lambda: both(ML_1M, "EnhancedGenRec") + both(ML_1M, "SASRec")),
    ("README.md", "once the # tests of that table are allowed for (p # and #; alone # and #)",
     allowed_for),
    ("docs/baselines.md", "comes to # / #, where the TIGER paper has",
     lambda: both(BEAUTY, "BERT4Rec")),
    ("docs/baselines.md", "and comes to # / # on the test items, EnhancedGenRec to # / #.",
     lambda: both(ML_1M, "SASRec") + both(ML_1M, "EnhancedGenRec")),
    ("docs/baselines.md", "and one validation, comes to # / # (TIGER paper: .0254 / .0136)",
     lambda: both(BEAUTY, "P5")),
    ("docs/baselines.md", "validation, beside other runs), comes to # / # there, below P5",
     lambda: both(BEAUTY, "GenRec")),
    ("docs/baselines.md", "in epoch 96 of 116 and comes to # / #;",
     lambda: both(ML_1M, "BERT4Rec")),
    ("docs/baselines.md", "in epoch 64 of 108, comes to # / #:", lambda: both(ML_1M, "LightGCN")),
    ("docs/baselines.md", "validated once, comes to # / # on that", lambda: both(ML_1M, "P5")),
    ("docs/baselines.md", "by its recency, comes to # / # and EASE to # / #:",
     lambda: both(MOVIES, "RecencyEASE") + both(MOVIES, "EASE")),
    ("docs/baselines.md", "on that processor, after # minutes;",
     lambda: [minutes("P5", where=ML_1M)]),
    ("docs/baselines.md", "but for 20 beams, comes to # / # there, ahead of P5",
     lambda: both(ML_1M, "GenRec")),
    ("docs/generative.md", "P5 reaches HR@10 #, NDCG@10 # on ml-100k",
     lambda: both("results", "P5")),
    ("docs/generative.md", "(`--evaluation_prompt=unseen`) it reaches # and #.",
     lambda: both("benchmarks/results/unseen", "P5")),
    ("docs/generative.md", "costs P5 a sixth of the hits: HR@10 # and NDCG@10 #;",
     lambda: both("benchmarks/results/unconstrained", "P5")),
    ("docs/generative.md", "as published, comes to # and # instead of # and #:",
     lambda: both("benchmarks/results/unconstrained", "GenRec") + both("results", "GenRec")),
    ("docs/generative.md", "in the mean # and # (", lambda: both(SEEDS, "P5")),
    ("docs/generative.md", "it comes to # and #, and GenRec to # and # instead of # and #",
     lambda: [n for where, method in (("benchmarks/results/two_threads", "P5"),
              ("benchmarks/results/two_threads", "GenRec"), ("results", "GenRec"))
              for n in both(where, method)]),
    ("docs/generative.md", "On a processor without AMX P5 comes to # and #, GenRec to # and # (",
     lambda: both(WITHOUT_AMX, "P5") + both(WITHOUT_AMX, "GenRec")),
    *(("docs/pipeline.md", f"- {method} comes to {sentence}",
       lambda method=method: both(WITHOUT_AMX, method) + both("results", method))
      for method, sentence in (
          ("EnhancedGenRec", "HR@10 # and NDCG@10 # instead of # and #,"),
          *((method, "# and # instead of # and #,") for method in ("BERT4Rec", "P5", "GenRec")))),
    *(("docs/pipeline.md", f"{last}, and trains # minutes instead of #.",
       lambda method=method: [minutes(method, where=WITHOUT_AMX), minutes(method)])
      for method, last in (("EnhancedGenRec", ".130"), ("GenRec", ".081"))),
    ("docs/enhanced_genrec.md", "NDCG@10 is # with plain updates and # without, difference # "
     "[−#, #], p #; moving the largest tenth of the gradient (30) #, with EWC (33) #.", learned),
    ("docs/enhanced_genrec.md", "An update took # to # ms", milliseconds),
    ("docs/enhanced_genrec.md", "`), on one in # min # s, beside another cell.",
     lambda: [f"{n:.0f}" for n in divmod(round(
         runs("results", "EnhancedGenRec")[0]["cost"]["train_seconds"]), 60)]),
    ("docs/generative.md", "one epoch reaches HR@10 # and NDCG@10 #, validation",
     lambda: both("benchmarks/results/genrec_full", "GenRec")),
]  # fmt: skip


@pytest.mark.parametrize(("file", "sentence", "numbers"), SENTENCES)
def test_the_numbers_of_a_sentence_are_those_of_the_records(file, sentence, numbers):
    pattern = r"\s+".join(re.escape(word).replace(r"\#", NUMBER) for word in sentence.split())
    (found,) = re.finditer(pattern, (TOP / file).read_text(encoding="utf-8"))
    assert list(found.groups()) == numbers()


@pytest.mark.parametrize("method", [m for m in CLASSICAL if m != "BERT4Rec"])
def test_classical_methods_have_the_same_metrics_on_another_processor(method):
    here, there = (runs(where, method)[0] for where in ("results", WITHOUT_AMX))
    assert here["provenance"]["hardware"] != there["provenance"]["hardware"]
    assert here["metrics"] == there["metrics"]


def test_what_is_beyond_chance_in_the_full_ranking_is_so_on_another_processor():
    marks = []
    for table in ("paper_tables/table_1.md", f"{WITHOUT_AMX}/table_1.md"):
        lines = [line.split("|") for line in git("show", f"HEAD:{table}").splitlines()]
        cells = [line[1:6] for line in lines if len(line) > 6 and "0." in line[6]]
        marks.append({name: (r"\*" in hits, r"\*" in ndcg) for name, *_, hits, ndcg in cells})
    assert len(marks[0]) == 11
    assert marks[0] == marks[1]
