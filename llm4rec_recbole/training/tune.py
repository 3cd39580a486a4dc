"""Choose options on validation alone, with the same budget of trials for every method.

    llm4rec tune --model=SASRec --dataset=ml-100k

runs trials of the space properties/search/<model>.yaml with Optuna: first the options of the
property files, then the space's own `first_trials`, then what the tree-structured Parzen estimator
draws. From its fourth validation on, a trial ends early where it is below the median of the others
at the same validation. It also ends at the ceiling of time. Its score is its best validation
NDCG@10. The test items are never scored. `--space FILE` is another space: for a model of your own,
or for a search of your own.

All trials stand in results/tuning/<dataset>/<protocol>/<model>.csv, for git. The search itself is a
journal in work/tuning: the same command started several times at once shares the trials, and a
search that was stopped continues. `--write` puts the best options into
properties/experiment/<dataset>/<model>.yaml.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.config import folder
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.training.setting_checks import no_validation
from llm4rec_recbole.training.trials import COLUMNS, METRIC, SCORE, read_trials
from llm4rec_recbole.yaml_files import read_yaml

#: Trials, and minutes of processor time a trial, for every method. Other data sets: OTHERWISE.
BUDGETS = {"ml-100k": (20, 5), "beauty": (12, 10), "ml-1m": (8, 15)}
OTHERWISE = (8, 15)
#: Not searched, since a training takes too long: model → trials.
NOT_SEARCHED = {"GenRec": 3, "P5": 3}
JOURNALS = Path("work/tuning")
_RANGE = {"from", "to", "log"}
#: The entry of a space that lists settings to try first. An option that a setting omits is drawn.
_FIRST = "first_trials"


def read_space(model: str, file: Path | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The search space of `model`, and the settings to try first.

    The space is option → a list of values, or a range {from, to, log}. file: holds it instead of
    properties/search/<model>.yaml. Raises InputError where there is none, where an entry is
    neither, or where a first setting is outside of the space.
    """
    path = file or folder() / "search" / f"{model}.yaml"
    if not path.is_file():
        hint = "--space=FILE names a space of your own"
        raise InputError(f"there is no search space for {model}", file=path, hint=hint)
    space = dict(read_yaml(path).values)
    first = space.pop(_FIRST, [])
    for name, values in space.items():
        is_list = isinstance(values, list) and len(values) > 0
        is_range = isinstance(values, dict) and {"from", "to"} <= set(values) <= _RANGE
        if not is_list and not is_range:
            hint = "write a list of values, or {from: 0.001, to: 0.01, log: true}"
            raise InputError(f"{name} has no values to try", file=path, hint=hint)
    if not isinstance(first, list) or not all(isinstance(setting, dict) for setting in first):
        raise InputError(f"{_FIRST} is a list of settings", file=path)
    for setting in first:
        outside = [name for name, value in setting.items() if not _is_inside(space, name, value)]
        if outside:
            hint = f"{_FIRST} has values of the space alone"
            raise InputError(f"{', '.join(outside)} is outside of the space", file=path, hint=hint)
    return space, first


def _is_inside(space: dict[str, Any], name: str, value: Any) -> bool:
    """Whether `value` is one that the space has for the option `name`."""
    values = space.get(name, [])
    if isinstance(values, list):
        return any(type(value) is type(v) and value == v for v in values)
    return isinstance(value, (int, float)) and values["from"] <= value <= values["to"]


def distributions(space: dict[str, Any]) -> dict[str, Any]:
    """Optuna's distribution of each option. A value that is a list or a mapping stands as JSON."""
    from optuna import distributions as kinds

    kinds_of: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, list):
            kinds_of[name] = kinds.CategoricalDistribution([_plain(value) for value in values])
        else:
            low, high = values["from"], values["to"]
            is_whole = isinstance(low, int) and isinstance(high, int)
            kind = kinds.IntDistribution if is_whole else kinds.FloatDistribution
            kinds_of[name] = kind(low, high, log=bool(values.get("log", False)))
    return kinds_of


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else value


class _Ended(Exception):
    """The trial's state: pruned, below the median of the others at the same validation; or out of
    time, at its ceiling."""


def name_of(model: str | type) -> str:
    """The name of `model` in files: of a class its own."""
    return model if isinstance(model, str) else model.__name__


@dataclass(frozen=True)
class Search:
    """What all trials of one search have in common."""

    model: str | type
    dataset: str
    space: dict[str, Any]
    config_files: Sequence[str]
    options: dict[str, Any]  # of every trial, the protocol among them
    minutes: float  # ceiling of one trial: of processor time, on a GPU of time

    def defaults(self) -> dict[str, Any]:
        """The options of the property files, as far as they are in the space."""
        from llm4rec_recbole.training.run import load_config

        config = load_config(self.model, self.dataset, self.config_files, self.options)
        return {
            name: _plain(config[name])
            for name in self.space
            if _is_inside(self.space, name, config[name])
        }

    def run(self, study: Any, trial: Any) -> str:
        """Train one trial, and report its best validation NDCG@10 to Optuna; return its state."""
        from optuna.trial import TrialState

        from llm4rec_recbole.training.experiment import prepare
        from llm4rec_recbole.training.run import fit

        trial.set_user_attr("pid", os.getpid())
        setting = {name: self._as_in_space(name, value) for name, value in trial.params.items()}
        began, state = 0.0, "complete"
        values: list[tuple[int, float]] = []  # epoch, validation NDCG@10

        def watch(epoch: int, value: float) -> None:
            values.append((epoch, value))
            trial.report(value, len(values))  # spaces may differ in epochs between validations
            if epoch < experiment.trainer.epochs and trial.should_prune():
                raise _Ended("pruned")
            if clock() - began > 60 * self.minutes:
                raise _Ended("out of time")

        try:
            options = self.options | setting
            experiment = prepare(self.model, self.dataset, self.config_files, options)
            _check_validation(experiment.config)
            is_cpu = experiment.config["device"].type == "cpu"
            clock = time.process_time if is_cpu else time.perf_counter
            began = clock()
            fit(experiment.trained, experiment.data, save=False, watch=watch)
            if not values:
                raise InputError("no epoch was validated", hint="eval_step is at most epochs")
        except _Ended as ended:
            state = str(ended)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        best_epoch, best = max(values, key=lambda pair: pair[1])
        row = {
            "options": json.dumps(setting, sort_keys=True),
            SCORE: f"{best:.6f}",
            "best_epoch": str(best_epoch),
            "epochs": str(values[-1][0]),
            "seconds": f"{clock() - began:.1f}",
            "seed": str(experiment.config["seed"]),
            "state": state,
        }
        trial.set_user_attr("row", row)
        if state == "pruned":
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, best)
        return f"{state}, {best:.4f} {row['options']}"

    def _as_in_space(self, name: str, value: Any) -> Any:
        """A value that Optuna drew: a choice as the space has it, or a number with three digits."""
        values = self.space[name]
        if isinstance(values, list):
            return next((choice for choice in values if _plain(choice) == value), value)
        return float(f"{value:.3g}") if isinstance(value, float) else value


def _check_validation(config: Any) -> None:
    """Refuse a run that does not validate, or by another metric than the one of all trials."""
    if str(config["valid_metric"]).lower() != METRIC:
        message = f"trials are compared by {METRIC}, but valid_metric is {config['valid_metric']}"
        raise InputError(message, hint="valid_metric: NDCG@10 in a file of --config_files")
    if (why := no_validation(config)) is not None:
        raise InputError(f"{why}, and trials are compared by validation")


def tune(
    model: str | type,
    dataset: str,
    protocol: str,
    results: Path,
    trials: int | None = None,
    minutes: float | None = None,
    journals: Path = JOURNALS,
    space_file: Path | None = None,
    config_files: Sequence[str] = (),
    **options: Any,
) -> Path:
    """Run trials of `model` until there are `trials`; return the file of all trials.

    trials, minutes: in all, and of one trial; None: those of BUDGETS. space_file: see read_space.
    config_files, options: of every trial. Raises InputError for a space or options that cannot be
    run, and where Optuna is missing.
    """
    model_name = name_of(model)
    space, first = read_space(model_name, space_file)
    budget = BUDGETS.get(dataset, OTHERWISE)
    trials = trials or NOT_SEARCHED.get(model_name, budget[0])
    options = {"protocol": protocol, **options}
    search = Search(model, dataset, space, config_files, options, minutes or budget[1])
    path = results / "tuning" / dataset / protocol / f"{model_name}.csv"
    name = f"{dataset}-{protocol}-{model_name}"
    if space_file is not None:  # a journal holds trials of one space
        name += f"-{hashlib.sha256(json.dumps(space).encode()).hexdigest()[:8]}"
    study = _study(journals / f"{name}.journal", name, int(options.get("seed", 0)))
    earlier = read_trials(path) if path.exists() else []
    if not study.get_trials(deepcopy=False):
        _add_earlier(study, earlier, space)
        for setting in (search.defaults(), *first):
            plain = {name: _plain(value) for name, value in setting.items()}
            study.enqueue_trial(plain, skip_if_exists=True)
    while len(_counted(study)) < trials:
        state = search.run(study, study.ask(distributions(space)))
        _write(path, study, earlier)
        print(f"{model_name} trial {len(_counted(study))} of {trials}: {state}", flush=True)
    _write(path, study, earlier)
    return path


def _study(journal: Path, name: str, seed: int) -> Any:
    """The study of this journal; trials of processes that are dead count as failed."""
    try:
        import optuna
    except ImportError as error:
        raise InputError("the search needs optuna", hint="pip install optuna") from error
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not Path(f"/proc/{trial.user_attrs.get('pid', 0)}").exists():
            study.tell(trial.number, state=TrialState.FAIL)
    return study


def _counted(study: Any) -> list[Any]:
    """The trials that count: all but the failed and those that wait."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return study.get_trials(deepcopy=False, states=states)


def _add_earlier(study: Any, rows: list[dict[str, str]], space: dict[str, Any]) -> None:
    """Add the trials of the table that are of this space: a journal may be lost."""
    from optuna.trial import create_trial

    for row in rows:
        setting = json.loads(row["options"])
        if set(setting) != set(space):
            continue
        try:
            study.add_trial(
                create_trial(
                    params={name: _plain(value) for name, value in setting.items()},
                    distributions=distributions(space),
                    value=float(row[SCORE]),
                    user_attrs={"row": {name: row.get(name, "complete") for name in COLUMNS}},
                )
            )
        except ValueError:  # a value that the space no longer has
            continue


def _write(path: Path, study: Any, earlier: list[dict[str, str]]) -> None:
    """Write the trials of earlier spaces and of the study, atomically."""
    new = [trial.user_attrs["row"] for trial in _counted(study) if "row" in trial.user_attrs]
    old = [row | {"state": row.get("state", "complete")} for row in earlier]
    rows: list[dict[str, str]] = [row for row in old if row not in new] + new
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, table.getvalue())
