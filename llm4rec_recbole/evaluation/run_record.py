"""The run record: every field with its type, unit and meaning.

record_writer.py writes records, and record_reader.py reads them. docs/run_record.md is generated
from these classes. A field with a default is absent from older records.

    results/runs/<data set>/<protocol>/<method>/seed_<k>.json
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from llm4rec_recbole.console import run_command, write_page
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.options import kind_in_words

RANKINGS = {
    "full": "all items that the user has not seen",
    "uni100": "the target and 100 uniformly drawn items",
    "pop100": "the target and 100 items drawn by popularity",
}


class RecordPart(BaseModel):
    """Base of all parts of a record. Values keep their type, and numbers are finite."""

    model_config = ConfigDict(
        strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=()
    )


Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
#: One value for each accuracy metric, which stands under its name, such as `hit@10`.
Accuracy: Any = create_model(  # type: ignore[call-overload]
    "Accuracy",
    __base__=RecordPart,
    **{
        name.replace("@", "_"): (Share, Field(alias=name, description=f"Mean {name} of the users."))
        for name in ACCURACY
    },
)


class Range(RecordPart):
    """The middle 95 % of the values that shuffled groups give."""

    low: Share = Field(description="2.5 % of the shuffles are below.")
    high: Share = Field(description="2.5 % of the shuffles are above.")


class FairnessNull(RecordPart):
    """Ranges of the two parts of fairness under the null that groups do not matter."""

    users: Range | None = Field(description="Of `user_fairness@10`, users' groups shuffled.")
    items: Range | None = Field(description="Of `item_exposure@10`, items' categories shuffled.")
    shuffles: Count = Field(description="Number of shuffles.")


class RankedMetrics(RecordPart):
    """Test metrics under the protocols loo and temporal. null: the data lack what it needs."""

    full: Accuracy = Field(description=f"Accuracy among {RANKINGS['full']}.")
    uni100: Accuracy = Field(description=f"Accuracy among {RANKINGS['uni100']}.")
    pop100: Accuracy = Field(description=f"Accuracy among {RANKINGS['pop100']}.")
    intra_list_diversity_10: Share | None = Field(
        alias="intra_list_diversity@10",
        description="Mean over users of 1 − cosine between the categories of two listed items.",
    )
    novelty_10: Amount | None = Field(
        alias="novelty@10", description="Mean over users of the listed items' self-information."
    )
    coverage_10: Share | None = Field(
        None, alias="coverage@10", description="Share of the items that any first ten has."
    )
    coverage_100: Share | None = Field(
        alias="coverage@100", description="Share of the items that any first hundred has."
    )
    fairness_10: Share | None = Field(
        alias="fairness@10",
        description="Mean of `user_fairness@10` and `item_exposure@10`; one where one is null.",
    )
    user_fairness_10: Share | None = Field(
        None,
        alias="user_fairness@10",
        description="Parity of NDCG@10 between groups of users, mean over the attributes.",
    )
    item_exposure_10: Share | None = Field(
        None,
        alias="item_exposure@10",
        description="Parity of exposure in the first ten between categories of items.",
    )
    fairness_parts_10: dict[str, Share | None] = Field(
        {},
        alias="fairness_parts@10",
        description="Parity by attribute of the users, and `category` for the items.",
    )
    fairness_null_10: FairnessNull | None = Field(
        None,
        alias="fairness_null@10",
        description="Ranges of `user_fairness@10` and `item_exposure@10` with shuffled groups.",
    )


class Metrics(RecordPart):
    """Validation and test metrics."""

    valid: dict[str, float] = Field(description="Of the best validation.")
    test: RankedMetrics = Field(description="Of the test users.")


class RecBoleMetrics(RecordPart):
    """Validation and test metrics under the protocol recbole."""

    valid: dict[str, float] = Field(description="Of the best validation.")
    test: dict[str, float] = Field(description="What the option `metrics` asks for.")


class Energy(RecordPart):
    """An estimate by CodeCarbon: the processor's load, or its counters, times its power."""

    training_wh: Amount = Field(description="Energy of `train_seconds`, in Wh.")
    training_co2e_g: Amount = Field(description="CO2e of the training, in g.")
    evaluation_wh: Amount = Field(description="Energy of ranking the test users, in Wh.")
    evaluation_co2e_g: Amount = Field(description="CO2e of ranking the test users, in g.")
    country: str = Field(description="Country whose electricity mix gives the CO2e.")
    method: str = Field(description="Version of CodeCarbon, and what it measured.")


class Cost(RecordPart):
    """Table III. Seconds are wall-clock."""

    train_seconds: Amount | None = Field(
        description="From the first epoch to early stopping, validations included, in s."
    )
    inference_ms_per_user: Amount | None = Field(
        description="Median over batches of the time to score a user, in ms."
    )
    inference_batch_size: Count | None = Field(description="Users scored together.")
    peak_memory_gb: Amount | None = Field(
        description="Peak of the GPU, or of the whole process on a CPU, in GiB."
    )
    model_size_mb: Amount | None = Field(
        description="Parameters, buffers and fitted matrices, in MiB."
    )
    parameters: Count | None = Field(None, description="Number of parameters.")
    epochs: Count | None = Field(None, description="Epochs that were trained.")
    padding_share: Share | None = Field(
        None, description="Share of the training input's positions without an item."
    )
    energy: Energy | None = Field(None, description="Estimated energy; null: not estimated.")
    energy_missing: str | None = Field(None, description="Why there is no estimate.")


class Adaptation(RecordPart):
    """What a model learned from validation items between two rankings."""

    events: Count = Field(description="Validation items that it learned from.")
    explicit_events: Count = Field(description="Those of them with a rating.")
    disliked_events: Count = Field(description="Those rated below the mean of their user.")
    updates: Count = Field(description="Steps of learning, of `adaptation_batch` events each.")
    gradients: bool = Field(True, description="Whether Eqs. 26–33 changed the weights.")
    relations_learned: bool = Field(False, description="Whether the item relations learned.")
    seconds: Amount = Field(description="Wall-clock seconds of learning, in s.")
    share_learned_before_ranking: Share = Field(
        description="Mean over test users of the share of events learned before their ranking."
    )


class Provenance(RecordPart):
    """What the run was made from."""

    data_sha256: str = Field(description="Sum over the data set's atomic files.")
    config_sha256: str | None = Field(None, description="Sum over the options.")
    lock_sha256: str = Field(description="Sum over the installed packages' versions.")
    git_commit: str | None = Field(description="Commit; `-dirty` where the code differs from it.")
    device: str = Field(description="cpu or cuda.")
    hardware: str = Field(description="Processor or GPU, and how many.")
    threads: Count = Field(description="Threads of PyTorch.")
    torch: str = Field(description="Version of PyTorch.")
    python: str = Field(description="Version of Python.")
    started: str | None = Field(None, description="Start of the training, UTC.")
    pretrained: str | None = Field(None, description="Pretrained models that the run read.")
    llm_dtype: str | None = Field(None, description="Number format of the language model.")
    llm_layers: str | None = Field(
        None, description="Layers of the language model that the run used, of how many."
    )
    effective_sample_share: float | None = Field(
        None, description="Effective sample size of the propensity weights (14), per interaction."
    )
    idle_components: dict[str, Any] = Field({}, description="Component → what the data lack.")


class Validation(RecordPart):
    """One validation during training; the other field is the metric that chooses the epoch."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    epoch: Amount = Field(description="Number of epochs that were trained before it.")


class RunRecord(RecordPart):
    """One run: what was measured, what it cost, and what it was made from."""

    dataset: str = Field(description="Name of the data set.")
    protocol: str = Field(description="How the data were split and ranked.")
    method: str = Field(description="Name of the method.")
    seed: Count = Field(description="Seed of the run.")
    components: list[str] = Field([], description="The paper's components that took part.")
    chosen_on_validation: dict[str, Any] = Field(
        {}, description="What the run chose on validation items."
    )
    adaptation: Adaptation | None = Field(
        None, description="Learning between the rankings; absent without it."
    )
    metrics: Metrics = Field(description="Accuracy and beyond.")
    history: list[Validation] = Field(
        [], description="Each validation: its epoch, and `ndcg@10` or another metric."
    )
    cost: Cost = Field(description="Time, memory, size, energy.")
    provenance: Provenance = Field(description="Data, code, packages, machine.")


class RecBoleRunRecord(RunRecord):
    """A run under the protocol recbole."""

    metrics: RecBoleMetrics = Field(description="Metrics as RecBole names them.")  # type: ignore[assignment]


def parse_record(content: Any, file: str | Path) -> RunRecord:
    """`content` of the JSON `file` as a record. Raises InputError: the file and the first field."""
    protocol = content.get("protocol") if isinstance(content, dict) else None
    kind = RunRecord if protocol in PROTOCOLS else RecBoleRunRecord
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    field = ".".join(str(key) for key in problem["loc"]) or "the record"
    if problem["type"] == "missing":
        hint = "made by another version of this project: run it again"
        raise InputError(f"there is no {field}", file=file, hint=hint)
    expected = re.sub(r"a valid dictionary( or instance of \w+)?", "a table", problem["msg"])
    expected = expected.replace("Input ", "it ")
    raise InputError(f"{field} is {shorten(problem['input'])}; {expected}", file=file)


# docs/run_record.md


class FieldRow(NamedTuple):
    """A field for the table of the page."""

    name: str
    kind: str
    required: bool
    description: str


def field_rows(part: type[RecordPart] = RunRecord, prefix: str = "") -> Iterator[FieldRow]:
    """A row for each field of `part` and of its parts, in the order of the file."""
    for name, field in part.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        kinds = (field.annotation, *get_args(field.annotation))
        parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, RecordPart)]
        several = get_origin(field.annotation) is list
        kind = ("list of tables" if several else "table") if parts else kind_in_words(field)
        yield FieldRow(path, kind, field.is_required(), field.description or "")
        if parts and parts[0] is not Accuracy:
            yield from field_rows(parts[0], f"{path}[]." if several else f"{path}.")


def page() -> str:
    """The Markdown page of all fields."""
    lines = [
        "# Run records",
        "",
        "Generated by `python -m llm4rec_recbole.evaluation.run_record docs/run_record.md`; do not "
        "edit. A run writes `results/runs/<data set>/<protocol>/<method>/seed_<k>.json`. Fields "
        'that are marked "newer" are absent from older records. `~` is no value. A bad field is '
        "reported in one line with its file.",
        "",
        f"`metrics.test.full`, `uni100` and `pop100` hold {', '.join(f'`{m}`' for m in ACCURACY)}.",
        "",
        "| field | value | | meaning |",
        "|---|---|---|---|",
    ]
    for row in field_rows():
        newer = "" if row.required else "newer"
        lines.append(f"| `{row.name}` | {row.kind} | {newer} | {row.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_command("run_record", lambda: write_page(page)))
