"""Options that several models share: loss, batches, item vectors, schedule, language model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llm4rec_recbole.options import Count, Options, Positive, Share, Size


class LossOptions(Options):
    """The loss over the catalogue (training/losses.py) and its negatives."""

    loss: Literal["auto", "full", "sampled", "gbce", "sce"] = Field(
        "auto",
        description="Softmax over all items (full), over sampled negatives (sampled; sce scales "
        "them), or calibrated binary cross-entropy (gbce). auto is full for catalogues of up to "
        "4096 items, else sampled; name sampled to set its options.",
    )
    num_negatives: Size = Field(
        2048, description="Negatives that all targets of a batch share; `full` draws none."
    )
    negatives: Literal["uniform", "popularity", "in_batch"] = Field(
        "uniform", description="How negatives are drawn; in_batch takes the batch's targets."
    )
    gbce_calibration: Share = Field(
        0.75, description="t of gbce: 0 is plain binary cross-entropy, 1 is calibrated."
    )
    sce_scale: Positive = Field(
        100.0, description="How many items each negative of sce stands for (α of arXiv 2402.06216)."
    )


class BatchOptions(Options):
    """How windows of histories make batches (training/windows.py)."""

    batch_targets: Count = Field(
        0,
        description="Targets in a batch of histories of similar length; 0 makes batches of "
        "`train_batch_size` windows.",
    )


class ItemInitOptions(Options):
    """The item vectors before the first step (components/item_init.py)."""

    item_init: Literal["random", "spectral", "text"] = Field(
        "random",
        description="First item vectors: random, from co-occurrence in training, or from texts.",
    )
    item_init_std: Positive = Field(
        0.1, description="Root mean square of spectral and text item vectors."
    )
    text_encoder: str = Field(
        "all-MiniLM-L6-v2",
        description="Encoder of texts: the packaged one, a folder, a hub name or hash-<width>.",
    )


class ScheduleOptions(Options):
    """The learning rate (training/trainer.py)."""

    warmup: Share | None = Field(
        None,
        description="Share of all steps in which the learning rate rises; then it falls to 0 by a "
        "cosine. ~ is a constant rate.",
    )


class WarmupOptions(Options):
    """The learning rate of the models with a language model."""

    warmup: Share = Field(
        0.05, description="Share of all steps in which the learning rate rises; then it falls."
    )


class LanguageModelOptions(Options):
    """The pretrained language model (language_models/load.py)."""

    llm: str = Field(
        "SmolLM2-135M",
        description="Backbone: the packaged one, a folder, a hub name or scratch-<width>x<layers>.",
    )
    llm_layers: Size | None = Field(2, description="How many of its first layers; ~ is all.")
    llm_dtype: Literal["auto", "measured", "bfloat16", "float32"] = Field(
        "measured",
        description="measured is the one of bfloat16 and float32 that is faster on this machine; "
        "auto is bfloat16 on GPUs and on CPUs with AMX, else float32.",
    )


class DecodingOptions(Options):
    """From token probabilities to items (decoding/beam.py)."""

    decoding: Literal["exhaustive", "beam", "unconstrained"] = Field(
        "exhaustive", description="How items are scored; unconstrained matches generated text."
    )
    beam_width: Size = Field(20, description="Beams of beam and unconstrained decoding.")


#: Option → the option that decides whether it is read, and the values with which it is.
READ_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_negatives": ("loss", ("sampled", "gbce", "sce")),
    "negatives": ("loss", ("sampled", "gbce", "sce")),
    "gbce_calibration": ("loss", ("gbce",)),
    "sce_scale": ("loss", ("sce",)),
    "beam_width": ("decoding", ("beam", "unconstrained")),
    "item_init_std": ("item_init", ("spectral", "text")),
    "item_text_std": ("norm", ("pre",)),
}
