"""Turns what was measured into Markdown: one table a part, and one of what had to be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Measured = dict[str, Any]

DEFINITIONS = """\
A *row* is one padded sequence fed to the transformer; a *target* is one position whose item the
loss asks for. Stock RecBole makes a row of every prefix of a history: SASRec has one target in
each, BERT4Rec masks about a fifth of the prefix or its last item. RecTools feeds a user's last 50
interactions only, ours windows of the whole history, overlapping at its ends. An *epoch* is one
pass of an implementation over its own rows. Its rows and targets are counted; its seconds are
extrapolated from the rows timed, unless it was run to its end."""


def render(measured: Measured) -> str:
    """The whole report; parts that were not measured are left out."""
    blocks = ["# Speed, side by side", _head(measured)]
    for name, title, write in SECTIONS:
        if name in measured:
            blocks += [f"## {title}", *write(measured[name])]
    blocks += ["## What had to be reached", table(GOALS_HEADER, goals(measured))]
    return "\n\n".join(blocks) + "\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table: the first column flush left, the others flush right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three significant digits below 100, whole numbers with thousands separated above."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _head(measured: Measured) -> str:
    machine = measured["machine"]
    load = ", ".join(f"{value:.1f}" for value in machine["load_average"])
    text = (
        f"ml-100k, measured in one run on {measured['started']}: {machine['cpu']}, "
        f"{machine['cores']} cores, {measured['threads']} threads, load average {load} before "
        f"the start. {_versions(measured)}"
    )
    warning = "**A quick run: it shows that everything works, its numbers mean nothing.**"
    return f"{warning}\n\n{text}" if measured["quick"] else text


def _versions(measured: Measured) -> str:
    """Which packages each environment had, from the answers of its workers."""
    answers = measured.get("training", []) + measured.get("evaluation", [])
    found = {answer["who"]: answer["versions"] for answer in answers}
    sentences = [
        f"{who}: " + ", ".join(f"{package} {version}" for package, version in versions.items())
        for who, versions in found.items()
    ]
    return "; ".join(sentences) + "." if sentences else ""


def _training(rows: list[Measured]) -> list[str]:
    ours = {row["model"]: row for row in rows if row["who"] == "ours"}
    lines = []
    for row in rows:
        own = ours[row["model"]]
        ratios = [
            f"{own['targets_per_second'] / row['targets_per_second']:.1f} ×",
            f"{row['seconds_per_epoch'] / own['seconds_per_epoch']:.1f} ×",
        ]
        keys = ("rows_per_second", "targets_per_second", "targets_per_epoch", "seconds_per_epoch")
        values = [number(row[key]) for key in keys]
        lines.append([row["model"], row["who"], *values, *ratios])
    header = ["model", "implementation", "rows/s", "targets/s", "targets an epoch", "s an epoch"]
    return [DEFINITIONS, table([*header, "ours, by targets/s", "ours, by epoch"], lines)]


def _evaluation(rows: list[Measured]) -> list[str]:
    lines = [
        [row["who"], ", ".join(row["rankings"]), str(row["users"]), number(row["seconds"])]
        for row in rows
    ]
    return [table(["implementation", "rankings", "users", "s"], lines)]


def _start_up(rows: list[Measured]) -> list[str]:
    lines = [
        [row["who"], number(row["median"]), ", ".join(number(value) for value in row["seconds"])]
        for row in rows
    ]
    return [
        "From starting the BERT4Rec command to the end of its first optimizer step, each with its "
        "own defaults, batch size included.",
        table(["implementation", "median s", "all s"], lines),
    ]


def _quality(quality: Measured) -> list[str]:
    peer, best, reached = quality["peer"], quality["best_on_validation"], quality["reached"]
    lines = [[f"RecTools, {peer['epochs']} epochs", number(peer["seconds"]), "–", _score(peer)]]
    for name, point in (("the peer's test NDCG@10 reached", reached), ("best validation", best)):
        if point:
            scores = [f"{point['valid']:.4f}", f"{point['test']:.4f}"]
            lines.append(
                [f"ours, {name}, epoch {point['epoch']}", number(point["seconds"]), *scores]
            )
        else:
            lines.append([f"ours, {name}", "not reached", "–", "–"])
    return [
        "BERT4Rec, full-ranking NDCG@10 on the exact-order leave-one-out split, seen items "
        "excluded. Models of the same size, trained on the same interactions: RecTools with its "
        "defaults, ours with its property file. Seconds are of training; ours count validation and "
        "checkpoints, but not the looks at the test, which were made to measure only.",
        table(["", "s", "valid NDCG@10", "test NDCG@10"], lines),
    ]


def _score(peer: Measured) -> str:
    return f"{peer['ndcg@10']:.4f}"


SECTIONS: list[tuple[str, str, Callable[[Any], list[str]]]] = [
    ("training", "Training throughput", _training),
    ("evaluation", "Evaluation of all test users", _evaluation),
    ("start_up", "Command to first training step", _start_up),
    ("quality", "Time to quality", _quality),
]

GOALS_HEADER = ["requirement", "needed", "measured", "reached"]


def goals(measured: Measured) -> list[list[str]]:
    """Each requirement that was measured: what was needed, what came out, whether it is reached."""
    rows: list[list[str]] = []

    def add(name: str, needed: float, value: float, unit: str, at_least: bool = True) -> None:
        reached = value >= needed if at_least else value <= needed
        bound = f"{'≥' if at_least else '≤'} {needed:g} {unit}"
        rows.append([name, bound, f"{number(value)} {unit}", "yes" if reached else "no"])

    if "training" in measured:
        found = {(row["model"], row["who"]): row for row in measured["training"]}
        own, stock = found["BERT4Rec", "ours"], found["BERT4Rec", "stock RecBole"]
        add(
            "BERT4Rec training, our targets/s to stock's rows/s (stock makes a row of each target)",
            100,
            own["targets_per_second"] / stock["rows_per_second"],
            "×",
        )
        own, peer = found["SASRec", "ours"], found["SASRec", "RecTools"]
        ratio = own["targets_per_second"] / peer["targets_per_second"]
        add("SASRec training, targets/s to RecTools'", 2, ratio, "×")
    if "evaluation" in measured:
        seconds = {row["who"]: row["seconds"] for row in measured["evaluation"]}
        ratio = seconds["stock RecBole"] / seconds["ours"]
        add("evaluation, three rankings to stock's one", 50, ratio, "×")
    if "start_up" in measured:
        medians = {row["who"]: row["median"] for row in measured["start_up"]}
        add("command to first training step", 8, medians["ours"], "s", at_least=False)
    if "quality" in measured:
        reached = measured["quality"]["reached"]
        share = reached["seconds"] / measured["quality"]["peer"]["seconds"] if reached else None
        name = "seconds to RecTools' test NDCG@10, share of its own"
        if share is None:
            rows.append([name, "≤ 0.333", "not reached", "no"])
        else:
            rows.append([name, "≤ 0.333", number(share), "yes" if share <= 1 / 3 else "no"])
    return rows
