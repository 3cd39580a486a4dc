"""The commands `run_recbole`, `llm4rec` and `llm4rec tune`: parsing only.

Nothing heavy is imported before the options are known to be right.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm4rec_recbole.console import no_garbage_collection, run_command
from llm4rec_recbole.errors import InputError

#: Command of `llm4rec` → "module:function" of this package, and its help.
COMMANDS = {
    "status": ("pipeline.status:main", "how far `make repro` is: k of N, failures, ETA"),
    "fetch": ("cli.datasets:fetch", "get a data set's raw files, or check them"),
    "prepare": ("cli.datasets:prepare", "check a data set and write its content tables"),
    "tune": ("cli.run:tune", "choose a model's options on validation"),
    "compare": ("cli.tables:compare", "test every difference that the tables show"),
    "pair": ("cli.tables:pair", "test the differences between two methods"),
    "power": ("cli.tables:power", "how many users a claim needs, from committed ranks"),
    "recommend": ("cli.inference:recommend", "what a trained model shows a user"),
    "explain": ("cli.inference:explain", "why it would show a user an item"),
    "showcase": ("cli.inference:showcase", "recommendations and reasons for some users"),
    "faithfulness": ("cli.inference:faithfulness", "whether explanations cite what the model uses"),
    "adapt": ("cli.adapt:main", "let a trained model learn from events"),
    "replay": ("cli.inference:replay", "test, then train, on what was held out"),
    "tables": ("cli.tables:tables", "write the tables from records and users files"),
    "dataset_table": ("cli.tables:dataset_table", "write Table I over all data sets"),
    "report": ("cli.tables:report", "write the report page"),
    "readme": ("cli.tables:readme", "copy generated tables into README.md and docs/"),
}
_SHORT_FORMS = {"-m": "--model", "-d": "--dataset"}
_SWITCHES = {"resume"}  # options that need no value


def run_recbole(argv: Sequence[str] | None = None) -> int:
    """Entry point of `run_recbole`; returns the exit status (console.py)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return run_command("run_recbole", lambda: _train(arguments))


def _train(argv: list[str]) -> int:
    if not argv or {"-h", "--help"} & set(argv):
        print(_help(argv))
        return 0
    options = parse(argv)
    from llm4rec_recbole.config import check_request
    from llm4rec_recbole.registry import nulls, resolve_model, variant

    method = str(options.get("method"))
    if method in nulls():  # the name of a null says what is run
        options.setdefault("model", method)
    if "model" not in options:
        raise InputError("--model=… is missing", hint="run_recbole --help lists the models")
    model, given = variant(options.pop("model"))
    if method in nulls() and model == variant(method)[0]:
        given = variant(method)[1]
    model = resolve_model(model)
    dataset = options.pop("dataset", "ml-100k")
    options = given | options
    files = _split_files(str(options.pop("config_files", "")))
    check_request(model, dataset, files, options)
    _check_weights(model, dataset, files, options)
    _print_result(_run(model, dataset, files, options))
    return 0


def _check_weights(
    model: str | type, dataset: str, files: list[str], options: dict[str, Any]
) -> None:
    """Refuse a language model whose package is absent, before torch is imported."""
    from llm4rec_recbole.config import defaults_for, merge_options
    from llm4rec_recbole.language_models.sources import check_installed

    given, _ = merge_options(files, options)
    if isinstance(model, str):
        given = defaults_for(model, dataset, given.get("protocol")) | given
    check_installed(given.get("llm"))


def _split_files(text: str) -> list[str]:
    """The files of `--config_files`: names between commas or, as RecBole has them, spaces, or a
    YAML list. A file whose name has a space is one file."""
    files: list[str] = []
    for name in text.strip("[]").split(","):
        files += [name] if Path(name).is_file() else name.split()
    return files


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Options from `--key=value` and `--key value`, values read as YAML.

    Raises InputError for anything else, and for an option given twice.
    """
    from llm4rec_recbole.option_readers import DISTRIBUTED
    from llm4rec_recbole.yaml_files import is_text_option, parse_value

    options: dict[str, Any] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        word = _SHORT_FORMS.get(word, word)
        if not word.startswith("--") or word == "--":
            raise InputError(f"cannot read {word!r}", hint="options look like --key=value")
        key, equals, text = word[2:].partition("=")
        if not equals and key in _SWITCHES and (not words or words[0].startswith("-")):
            text = "true"
        elif not equals:
            if not words or words[0].startswith("--"):
                raise InputError(f"--{key} has no value", hint="options look like --key=value")
            text = words.pop(0)
        if key in options:
            raise InputError(f"--{key} is given twice")
        if key in DISTRIBUTED:
            hint = "recbole.quick_start.run(..., nproc=N) trains in N processes"
            raise InputError(
                f"--{key} is no option of this command: it trains in one process", hint=hint
            )
        options[key] = text if is_text_option(key) else parse_value(text)
    return options


def _help(argv: list[str]) -> str:
    """The general help, or the help of the model that `argv` names."""
    from llm4rec_recbole.cli import help as texts

    model = parse([word for word in argv if word not in ("-h", "--help")]).get("model")
    return texts.help_text() if model is None else texts.model_help(model)


def _run(model: str | type, dataset: str, files: list[str], options: dict[str, Any]) -> Path:
    sys.argv = sys.argv[:1]  # RecBole reads the command line too, with `eval`
    with no_garbage_collection():
        from llm4rec_recbole.training.run import run

    return run(model, dataset, files, options)


def _print_result(path: Path) -> None:
    """The test metrics as a table, and where the record lies."""
    import json

    from tabulate import tabulate

    record = json.loads(path.read_text(encoding="utf-8"))
    test = record["metrics"]["test"]
    rankings = {name: values for name, values in test.items() if isinstance(values, dict)}
    plain = {name: value for name, value in test.items() if isinstance(value, float)}
    if plain:
        print(tabulate(list(plain.items()), headers=["test", ""], floatfmt=".4f"))
    if "full" in rankings:
        names = [name for name in rankings if set(rankings[name]) == set(rankings["full"])]
        rows = [[m, *(rankings[name][m] for name in names)] for m in rankings["full"]]
        print(tabulate(rows, headers=["test", *names], floatfmt=".4f"))
    print(f"\nrecord: {path}")


def tune(argv: Sequence[str]) -> int:
    """`llm4rec tune`: search, and print the best options. Raises InputError for bad input."""
    from llm4rec_recbole.cli.options import count, positive
    from llm4rec_recbole.parser import Parser

    parser = Parser(
        description="Choose options on validation alone, with the same trials for every method."
    )
    parser.add_argument("--model", required=True, help="a name, or file.py:Class of your own")
    parser.add_argument("--dataset", default="ml-100k", help="data set (%(default)s)")
    parser.add_argument("--protocol", default="loo", help="loo or temporal (%(default)s)")
    parser.add_argument("--space", type=Path,
                        help="search space (properties/search/<model>.yaml)")  # fmt: skip
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="trials go to its folder tuning (%(default)s)")  # fmt: skip
    parser.add_argument("--data-path", help="folder of the data sets' folders (dataset)")
    parser.add_argument("--config_files", default="",
                        help="files of options, with commas, as for run_recbole")  # fmt: skip
    parser.add_argument("--trials", type=count, help="in all (20 on ml-100k, 12 on beauty, else 8)")
    parser.add_argument(
        "--minutes", type=positive,
        help="ceiling of a trial, of processor time (5 on ml-100k, 10 on beauty, else 15)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    parser.add_argument(
        "--write", action="store_true", help="write the best options to properties/experiment"
    )
    a = parser.parse_args(argv)
    from llm4rec_recbole.registry import resolve_model
    from llm4rec_recbole.training import trials
    from llm4rec_recbole.training import tune as search

    options = {"num_threads": a.threads, "quiet": True, "show_progress": False}
    if a.data_path:
        options["data_path"] = a.data_path
    model, files = resolve_model(a.model), _split_files(a.config_files)
    path = search.tune(
        model, a.dataset, a.protocol, a.results, a.trials, a.minutes,
        space_file=a.space, config_files=files, **options,
    )  # fmt: skip
    print(f"best: {trials.best_trial(path)['options']}\ntrials: {path}")
    if a.write:
        print(trials.write_experiment(path, search.name_of(model), a.dataset, a.protocol))
    return 0


def llm4rec(argv: Sequence[str] | None = None) -> int:
    """Entry point of `llm4rec COMMAND …`; returns the exit status (console.py)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    return run_command(f"llm4rec {command}".strip(), lambda: _run_command(arguments))


def _run_command(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {description}" for name, (_, description) in COMMANDS.items()]
        print("usage: llm4rec COMMAND [--help]\n\n" + "\n".join(lines))
        return 0
    if argv[0] not in COMMANDS:
        from llm4rec_recbole.errors import did_you_mean

        raise InputError(f"no command {argv[0]!r}{did_you_mean(argv[0], COMMANDS)}")
    sys.argv = [f"llm4rec {argv[0]}"]  # what its --help calls it
    module, _, function = COMMANDS[argv[0]][0].partition(":")
    command = getattr(importlib.import_module(f"llm4rec_recbole.{module}"), function)
    return command(argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(run_recbole())
