"""Table III: what training and recommending cost, and on what it was measured."""

from __future__ import annotations

from llm4rec_recbole.reporting.tables.record_table import Measure, RecordTable
from llm4rec_recbole.reporting.tables.rows import COMMON, AccuracySection, run_notes

TABLE = RecordTable(
    name="Table III",
    label="tab:cost",
    title="Cost: the paper's numbers and ours",
    of="cost",
    measures=(
        Measure("train_seconds", "training_time_hours", "Training, s", "Training, h", 1, True),
        Measure("inference_ms_per_user", "inference_time_ms", "ms/user", "Inference, ms", 3, True),
        Measure("peak_memory_gb", "memory_gb", "Memory, GiB", "Memory, GB", 2, True),
        Measure("model_size_mb", "model_size_mb", "Model, MiB", "Model, MB", 1, True),
    ),
)


def notes(sections: list[AccuracySection]) -> list[str]:
    """The caption: what was timed, and on which hardware."""
    return [
        "Paper: as printed, on the authors' hardware and at their scale: their columns and ours "
        "can be compared for order only.",
        *_hardware(sections),
        "Training: wall-clock seconds until early stopping, validation included. ms/user: scoring "
        "every item for a user, the median over batches after a warm-up, by the time for a batch "
        "over its users; some models take a batch in smaller parts. On a CPU a run may have had "
        "another one beside it on the next core, as in make repro. Memory: the peak of the device "
        "on a GPU; on a CPU that of the whole process, data, Python and torch included. Model: "
        "parameters, buffers and fitted matrices.",
        *COMMON,
        *run_notes(sections),
    ]


def _hardware(sections: list[AccuracySection]) -> list[str]:
    """One sentence for each set-up that runs were made with; methods named where there are more."""
    methods: dict[str, list[str]] = {}
    for section in sections:
        for row in section.rows:
            for record in row.records:
                made = record.provenance
                batch = record.cost["inference_batch_size"]
                users = "a batch size not recorded" if batch is None else f"batches of {batch:g}"
                key = (
                    f"{made['hardware']} ({made['device']}), {made['threads']} torch threads; "
                    f"torch {made['torch']}, Python {made['python']}; asked for {users} users"
                )
                named = methods.setdefault(key, [])
                if row.method not in named:
                    named.append(row.method)
    if len(methods) == 1:
        return [f"Measured on {key}." for key in methods]
    found = [f"Measured on {key}: {', '.join(named)}." for key, named in methods.items()]
    warning = "Not all runs were made on the same hardware and software; do not compare across."
    return [warning, *found] if found else []
