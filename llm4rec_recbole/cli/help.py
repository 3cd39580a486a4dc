"""What `run_recbole --help` and `run_recbole --model=X --help` print, and docs/options.md.

    python -m llm4rec_recbole.cli.help docs/options.md

writes the table of all options. Every word comes from the option classes and the property files.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from llm4rec_recbole.console import run_command, write_page
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.files import properties_folder, recbole_folder
from llm4rec_recbole.registry import ENHANCED_GENREC, MODELS, datasets, models, protocols, variant
from llm4rec_recbole.yaml_files import read_yaml


def help_text() -> str:
    """What `run_recbole --help` prints."""
    from llm4rec_recbole.options import RunOptions

    user_models = _own_models()
    others = sorted(set(models()) - set(user_models))
    return "\n".join(
        [
            "usage: run_recbole --model=MODEL [--dataset=DATASET] [--any_option=value ...]",
            "",
            "Train a model to early stopping, rank the held-out items, write a run record.",
            "Values are YAML: --topk=[5,10], --train_neg_sample_args='{distribution: popularity}'.",
            "",
            f"models       {_wrap(user_models)}",
            f"             and RecBole's: {_wrap(others)}",
            f"data sets    {', '.join(datasets())}; any folder of atomic files in --data_path",
            f"protocols    {', '.join(protocols())}",
            "short forms  -m MODEL, -d DATASET; the default data set is ml-100k",
            "files        --config_files=a.yaml,b.yaml  later ones win; options win over files",
            "",
            "options that this project adds to RecBole's:",
            *_lines(RunOptions, {}),
            "",
            "run_recbole --model=MODEL --help   the options of a model, with its defaults",
        ]
    )


def model_help(name: str) -> str:
    """What `run_recbole --model=name --help` prints. Raises InputError for a name of no model."""
    from llm4rec_recbole.model_options import options_class
    from llm4rec_recbole.option_readers import fixed_options, read_options
    from llm4rec_recbole.options import RecBoleOptions

    model, _ = variant(name)
    if model not in models():
        raise InputError(f"there is no model {shorten(name)!r}{did_you_mean(name, models())}")
    values = _default_values(model)
    fixed = fixed_options(model, "loo")
    general = sorted(
        option
        for option in read_options(model, "loo") & set(RecBoleOptions.model_fields)
        if option not in fixed
    )
    return "\n".join(
        [
            f"usage: run_recbole --model={name} [--dataset=DATASET] [--any_option=value ...]",
            "",
            f"options of {model}:",
            *(_lines(options_class(model), values) or ["  none"]),
            "",
            "RecBole's options that it reads under the protocols loo and temporal:",
            f"  {_wrap(general, indent=2)}",
            "",
            "run_recbole --help   the options of every run",
        ]
    )


def _default_values(model: str) -> dict[str, Any]:
    """The values of properties/model/<model>.yaml."""
    family = "EnhancedGenRec" if model in ENHANCED_GENREC else model
    path = properties_folder() / "model" / f"{family}.yaml"
    return read_yaml(path).values if path.is_file() else {}


def _lines(options: Any, values: dict[str, Any]) -> list[str]:
    """A line for each option: name, default, description."""
    lines = []
    for name, kind, default, description in _option_rows(options, values):
        head = f"  --{name}={default}"
        body = textwrap.wrap(f"{description} ({kind})", 100 - 38)
        lines += [f"{head:<37} {body[0]}"] if len(head) <= 37 else [head, f"{'':<37} {body[0]}"]
        lines += [f"{'':<37} {line}" for line in body[1:]]
    return lines


def _option_rows(options: Any, values: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, kind in words, default and description of each option; `values` has other defaults."""
    from llm4rec_recbole.options import kind_in_words

    for name, field in options.model_fields.items():
        default = values.get(name, None if field.is_required() else field.default)
        yield name, kind_in_words(field), shorten(default), field.description or ""


def _own_models() -> list[str]:
    """This project's models, and RecBole's models that have a property file here."""
    return sorted(
        {*MODELS, *(file.stem for file in (properties_folder() / "model").glob("*.yaml"))}
    )


def _wrap(names: list[str], indent: int = 13) -> str:
    return textwrap.fill(", ".join(names), 84).replace("\n", "\n" + " " * indent)


# docs/options.md


def options_page() -> str:
    """The Markdown page of all options: a table for each option class."""
    from llm4rec_recbole.model_options import options_class
    from llm4rec_recbole.options import EvalArgs, NegativeSampling, RecBoleOptions, RunOptions

    files = [
        recbole_folder() / "properties" / name for name in ("dataset/sample.yaml", "overall.yaml")
    ]
    overall: dict[str, Any] = {}
    for file in (*files, properties_folder() / "overall.yaml"):
        overall |= read_yaml(file).values
    parts = [
        "# Options",
        "",
        "Generated by `python -m llm4rec_recbole.cli.help docs/options.md`; do not edit.",
        "`~` is no value. A run refuses an option that it does not read.",
        *_table("Every run", RunOptions, {}),
        *_table("RecBole's general options", RecBoleOptions, overall),
        *_table("`train_neg_sample_args`", NegativeSampling, overall["train_neg_sample_args"]),
        *_table("`eval_args`, protocol recbole", EvalArgs, overall["eval_args"]),
    ]
    for model in _own_models():
        if model == "EnhancedGenRec" or model not in ENHANCED_GENREC:  # not the variants
            parts += _table(model, options_class(model), _default_values(model))
    return "\n".join(parts) + "\n"


def _table(title: str, options: Any, values: dict[str, Any]) -> list[str]:
    lines = ["", f"## {title}", ""]
    if options.model_fields:
        lines += ["| option | value | default | meaning |", "|---|---|---|---|"]
    for name, kind, default, description in _option_rows(options, values):
        default = default.encode("unicode_escape").decode() if default == "\t" else default
        kind, default = (text.replace("|", "\\|") for text in (kind, default))
        lines.append(f"| `{name}` | {kind} | `{default}` | {description} |")
    others = {name: value for name, value in values.items() if name not in options.model_fields}
    if others and title[0] not in "`R":
        listed = ", ".join(f"`{name}: {shorten(value)}`" for name, value in others.items())
        lines += ["", f"Training settings: {listed}."]
    return lines


if __name__ == "__main__":
    sys.exit(run_command("help", lambda: write_page(options_page)))
