"""Negatives for training, drawn by causal components; reached by RecBole's own option:

train_neg_sample_args: {distribution: propensity}           sampling/propensity.py
train_neg_sample_args: {distribution: popularity_strata}    sampling/popularity_strata.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm4rec_recbole.components.pairs import ObservedPairs
    from llm4rec_recbole.sampling.rejection import NegativeSampler

DISTRIBUTIONS = ("propensity", "popularity_strata")
DEFAULT_STRATA = 10


def make_sampler(seen: ObservedPairs, options: dict[str, Any]) -> NegativeSampler:
    """The sampler that `options`, a train_neg_sample_args, asks for, given the training pairs.

    `distribution` is one of DISTRIBUTIONS; `alpha` as each sampler reads it; `strata` (default 10)
    is how many strata of popularity there are. Raises InputError for values that make no sense.
    """
    if options["distribution"] == "propensity":
        from llm4rec_recbole.sampling.propensity import PropensitySampler

        return PropensitySampler(seen, options["alpha"])
    from llm4rec_recbole.sampling.popularity_strata import PopularityStrataSampler

    strata = options.get("strata", DEFAULT_STRATA)
    return PopularityStrataSampler(seen, options["alpha"], strata)
