"""The inputs of the fuzz campaign, as strategies of hypothesis.

A command line has options with plausible, odd or arbitrary values. A file is damaged by one to
three edits: of bits and bytes, of a field between separators, of a line.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from hypothesis import strategies as st

from llm4rec_recbole.option_readers import read_options
from tests.campaigns.shop import CHOICE, OURS, QUIET

WORDS = [
    *("", " ", "~", "null", "nan", "NaN", "inf", "-inf", "-1", "0", "1e400", "9" * 400, "2024"),
    *("true", "[]", "{}", "[[]]", "{a: [1, {b: ~}]}", "*a", "&a [*a]", "!!python/name:os.system"),
    *("\x00", "\udce9", "é", "\u202e", "'", '"', "#", "%", "\\", "../..", "/dev/null", "a" * 5000),
]
#: Option → values that some model accepts under some protocol.
OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("seed", "epochs", "eval_step", "stopping_step"), ("1", "2", "7")),
    **dict.fromkeys(("hidden_size", "embedding_size", "inner_size"), ("8", "16", "64")),
    "train_batch_size": ("1", "17", "4096"),
    "eval_batch_size": ("1", "64"),
    "learning_rate": ("1e-3", "0.1", "1"),
    "topk": ("1", "[5, 10]", "[1]"),
    "metrics": ("[NDCG, Hit]", "[AUC]", "[Recall, TailPercentage]", "[RMSE]", "ItemCoverage"),
    "valid_metric": ("NDCG@10", "MRR@5", "AUC", "Hit@1"),
    "eval_args": (
        "{split: {RS: [0.8, 0.1, 0.1]}, order: TO, group_by: user, mode: full}",
        "{split: {LS: valid_and_test}, order: RO, mode: uni10}",
        "{mode: labeled}",
        "{group_by: none}",
    ),
    "load_col": ("~", "{inter: [user_id, item_id, timestamp]}", "{inter: [user_id, item_id]}"),
    "unload_col": ("{inter: [rating]}", "{item: [year]}"),
    "threshold": ("{rating: 4}", "{rating: 1}", "{timestamp: 1000003000}"),
    "train_neg_sample_args": (
        "{distribution: uniform, sample_num: 2}",
        "{distribution: popularity, sample_num: 1, alpha: 0.5}",
        "{distribution: uniform, sample_num: 1, dynamic: true, candidate_num: 2}",
        "~",
    ),
    "val_interval": ("{rating: '[3,inf)'}", "{timestamp: '[0,1000005000]'}"),
    "user_inter_num_interval": ("[2,inf)", "[9,inf)", "(0,8]"),
    "item_inter_num_interval": ("[2,inf)", "[5,inf)"),
    "loss_type": ("CE", "BPR"),
    "MAX_ITEM_LIST_LENGTH": ("1", "3", "50"),
    "field_separator": ("\\t", ","),
    "encoding": ("utf-8", "ascii", "latin-1"),
    "protocol": ("loo", "temporal", "recbole"),
    "method": ("mine", "BPR", "../mine"),
    "components": ("[]", "[fusion]", "[retrieval, debiasing]", "[adaptation]"),
    "results_dir": ("results", "other results", "2024"),
    "checkpoint_dir": ("work/checkpoints", "x/y"),
    "data_path": ("dataset", "dataset/shop"),
    "config_files": ("options.yaml", "[options.yaml]", "options.yaml,options.yaml"),
    "resume": ("true", "false"),
    "TIME_FIELD": ("timestamp", "rating"),
    "USER_ID_FIELD": ("user_id", "item_id"),
    "alias_of_item_id": ("[item_id]", "~"),
    "numerical_features": ("[rating]", "[year]"),
    "nproc": ("1", "2"),
    "learner": ("adam", "sgd", "sparse_adam", "rmsprop"),
    "clip_grad_norm": ("{max_norm: 5}", "~"),
    "benchmark_filename": ("[train, valid, test]", "~"),
    "rm_dup_inter": ("first", "last", "~"),
    "reg_weight": ("0.1", "0", "[1e-5, 1e-3]"),
    "repeatable": ("true", "false"),
    "n_layers": ("1", "2"),
    "item_candidates": ("interacted", "all"),
    "beam_width": ("1", "100000"),
    "num_negatives": ("1", "1000000"),
    "loss": ("full", "sampled", "gbce", "sce"),
    "negatives": ("uniform", "popularity", "in_batch"),
    "item_init": ("random", "spectral", "text"),
    "decoding": ("exhaustive", "beam", "unconstrained"),
    "fairness_groups": ("gender", "age", "[gender]", "colour"),
}
PLAUSIBLE = [
    *("1", "2", "5", "16", "64", "0.1", "1e-3", "true", "false", "~", "CE", "BPR", "[5, 10]"),
    *("full", "uni100", "labeled", "none", "uniform", "popularity", "shop", "loo", "temporal"),
    *("recbole", "user_id", "item_id", "timestamp", "rating", "label", "title", "year", "[year]"),
    *("NDCG@10", "[NDCG, Hit]", "AUC", "[AUC]", "MRR@5", "[1,3]", "(0,inf)", "{rating: 4}"),
    *("{rating: '[3,inf)'}", "[2,inf)", "{inter: [user_id, item_id]}", "{group_by: ~}"),
    *("{split: {RS: [0.8, 0.1, 0.1]}, order: TO, mode: full}", "{distribution: none}", "adam"),
    *(
        "{distribution: uniform, sample_num: 2}",
        "options.yaml",
        "sgd",
        "first",
        "utf-8",
        "[fusion]",
    ),
]
SMALL = ["--epochs=1", "--train_batch_size=64", "--num_threads=1", "--show_progress=false"]
SMALL += ["--load_col=~"]
LABELS = ["--threshold={rating: 4}"]
OURS_SMALL = [word for word in OURS[1 : -len(QUIET)] if not word.startswith("--epochs")]
#: Model → options with which it trains in a fraction of a second.
MODELS = {
    **dict.fromkeys(["Pop", "EASE", "ItemKNN"], SMALL[2:]),
    **dict.fromkeys(["BPR", "SASRec", "BERT4Rec", "LightGCN", "NeuMF", "GRU4Rec"], SMALL),
    **{name: [*SMALL, *LABELS] for name in ("FM", "DeepFM")},
    **{name: [*SMALL, *OURS_SMALL] for name in ("EnhancedGenRec", "GenRecFusion")},
}
#: Command of `llm4rec` → arguments with which it succeeds.
COMMANDS = {
    "recommend": [*CHOICE, "--user=u1"],
    "explain": [*CHOICE, "--user=u1", "--item=i1"],
    "adapt": [*CHOICE, "--events=events.jsonl"],
    "showcase": [*CHOICE, "--users=1"],
    "replay": [*CHOICE, "--most=2"],
    "prepare": ["--dataset=shop"],
    "fetch": ["ml-latest-small", "--from=raw"],
    **{name: [] for name in ("status", "tables", "compare", "dataset_table", "report", "power")},
    "pair": ["BPR", "Pop"],
    "readme": ["--readme=README.md"],
}

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
#: Text of any kind: an odd word, any characters, bytes that are not UTF-8, a value in JSON.
ODD_TEXT = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=30),
    st.binary(max_size=20).map(lambda data: data.decode(errors="surrogateescape")),
    _JSON.map(json.dumps),
)
_PERCENT = st.integers(1, 100)


class Edit(NamedTuple):
    """One change of a file's content."""

    kind: str
    position: int  # modulo the length of the content
    length: int
    new: bytes
    other: int  # the position of a second field


EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from(
            ["flip", "delete", "repeat", "replace", "insert", "cut"]
            + ["field"] * 4
            + ["other field", "repeat line", "delete line"]
        ),
        st.integers(0, 2**20),
        st.sampled_from([1, 1, 4, 40]),
        ODD_TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")[:200])
        | st.binary(min_size=1, max_size=8),
        st.integers(0, 2**20),
    ),
    min_size=1,
    max_size=3,
)
_SEPARATOR = re.compile(rb"[\t\n,;:\"'{}\[\] ]")
_LINE_END = re.compile(rb"\n")


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """`content` after `edits`."""
    for edit in edits:
        start = edit.position % (len(content) + 1)
        end = min(len(content), start + edit.length)
        new = edit.new
        if edit.kind == "flip":
            new = bytes([byte ^ 1 << edit.length % 8 for byte in content[start : start + 1]])
            end = start + 1
        elif edit.kind == "delete":
            new = b""
        elif edit.kind == "repeat":
            new = content[start:end] * 2
        elif edit.kind == "insert":
            end = start
        elif edit.kind == "cut":
            end, new = len(content), b""
        elif edit.kind == "field":
            start, end = _between(_SEPARATOR, content, start)
        elif edit.kind == "other field":
            first, last = _between(_SEPARATOR, content, edit.other % (len(content) + 1))
            new = content[first:last]
            start, end = _between(_SEPARATOR, content, start)
        elif edit.kind != "replace":
            start, end = _between(_LINE_END, content, start)
            end = min(end + 1, len(content))
            new = b"" if edit.kind == "delete line" else content[start:end] * 2
        content = content[:start] + new + content[end:]
    return content


def _between(separator: re.Pattern[bytes], content: bytes, position: int) -> tuple[int, int]:
    """Where the text around `position` begins and ends, between two matches of `separator`."""
    least = max(0, position - 4096)  # a line of a binary file may be long
    starts = [match.end() for match in separator.finditer(content, least, position)]
    end = separator.search(content, position, position + 4096)
    return (starts[-1] if starts else least), (end.start() if end else len(content))


@st.composite
def option_values(draw: st.DrawFn, option: str) -> str:
    """A value of `option`: 60 % that some model accepts, 20 % odd, the rest of another option."""
    share = draw(_PERCENT)
    if share <= 60:
        return draw(st.sampled_from(OPTIONS[option]))
    if share <= 75:
        return draw(st.sampled_from(PLAUSIBLE))
    if share <= 95:
        return draw(ODD_TEXT)
    value = draw(st.sampled_from(PLAUSIBLE)).encode()
    return edited(value, draw(EDITS)).decode(errors="surrogateescape")


@st.composite
def run_arguments(draw: st.DrawFn) -> list[str]:
    """A command line of run_recbole: a model, a data set, and options with odd values.

    The other options make a training small, if the odd ones let it begin.
    """
    model = draw(ODD_TEXT if draw(_PERCENT) <= 5 else _MODEL)
    dataset = draw(ODD_TEXT) if draw(_PERCENT) <= 5 else "shop"
    protocol = draw(st.sampled_from(["loo", "recbole", "temporal"]))
    argv = [f"--model={model}", f"--dataset={dataset}", f"--protocol={protocol}"]
    obeyed = [*OPTIONS]
    if model in MODELS and draw(_PERCENT) <= 80:
        obeyed = [name for name in OPTIONS if name in read_options(model, protocol)]
    chosen = draw(st.sets(st.sampled_from(obeyed), min_size=1, max_size=3)) - {"protocol"}
    argv += [f"--{name}={draw(option_values(name))}" for name in sorted(chosen)]
    small = MODELS.get(model, SMALL)
    argv += [word for word in small if word[2:].partition("=")[0] not in chosen]
    if draw(_PERCENT) <= 5:
        argv.insert(draw(st.integers(0, len(argv))), draw(ODD_TEXT))
    return argv


_MODEL = st.sampled_from([*MODELS])
_COMMAND_OPTIONS = [
    *(
        "user",
        "item",
        "model",
        "dataset",
        "checkpoint",
        "state",
        "events",
        "results",
        "out",
        "data",
    ),
    *("k", "users", "most", "summary", "raw", "claim", "pilot", "data-path", "trials"),
    *("failures", "printed", "other_results", "figure", "results_dir", "readme"),
]


@st.composite
def command_arguments(draw: st.DrawFn) -> list[str]:
    """A command line of llm4rec: one that succeeds, with one to three changes."""
    if draw(_PERCENT) <= 5:
        return [draw(ODD_TEXT), *draw(run_arguments())[:2]]
    command = draw(st.sampled_from([*COMMANDS]))
    argv = [*COMMANDS[command]]
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from(["option", "word", "value", "delete"]))
        value = draw(st.sampled_from(["u1", "i1", "shop", "BPR"]) | ODD_TEXT)
        position = draw(st.integers(0, len(argv)))
        if change == "option":
            argv.insert(position, f"--{draw(st.sampled_from(_COMMAND_OPTIONS))}={value}")
        elif change == "word":
            argv.insert(position, value)
        elif change == "value" and position < len(argv):
            argv[position] = f"{argv[position].partition('=')[0]}={value}"
        else:
            del argv[position : position + 1]
    if command in ("showcase", "explain"):  # not with the packaged model, which takes minutes
        argv.append("--language_model=none")
    return [command, *argv]
