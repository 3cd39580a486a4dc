"""Every component trains on data with empty groups: no loss, gradient or score is NaN.

The data have items, categories and a popularity stratum that training never shows, groups without
users, users of a single interaction, and users who have the same item twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.adaptation.adapter import NextItemEvent
from llm4rec_recbole.components.debiasing.backdoor import (
    StratifiedScores,
    popularity_strata,
    stratum_prior,
)
from llm4rec_recbole.components.fusion.item_content import item_content
from llm4rec_recbole.components.item_init import spectral_vectors
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.models.enhanced_genrec.build import COMPONENTS
from llm4rec_recbole.training.experiment import prepare, train

N_ITEMS, N_USERS = 60, 24


@pytest.fixture
def sparse(tmp_path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """A data set in which two thirds of the items occur once, as some user's last interactions."""
    folder = tmp_path / "sparse" / "sparse"
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(N_USERS):
        history = random.permutation(20)[: 1 if user == 0 else random.integers(4, 9)].tolist()
        held_out = [] if user < 2 else [20 + 2 * user % 40, 21 + 2 * user % 40]
        for step, item in enumerate([*history, *held_out]):
            rows.append(f"u{user}\ti{item}\t{1 + item % 5}\t{1_000_000 + 100 * step + user}")
    rows.append(f"u1\ti{history[0]}\t3\t1000001")
    (folder / "sparse.inter").write_text("\n".join(rows) + "\n")
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for item in range(N_ITEMS):  # the category `late` is of items that training never shows
        kind = "late" if item >= 20 else "early" if item % 2 else ""
        title = "" if item % 3 == 0 else f"Title of {kind or 'nothing'} {item}"
        items.append(f"i{item}\t{title}\t{1950 + item if item >= 20 else ''}\t{kind}")
    (folder / "sparse.item").write_text("\n".join(items) + "\n")
    users = ["user_id:token\tage:token\tgender:token\toccupation:token"]
    users += [f"u{u}\t\t{'F' if u == 5 else 'M' if u == 6 else ''}\t" for u in range(N_USERS)]
    (folder / "sparse.user").write_text("\n".join(users) + "\n")
    return options | {
        "data_path": str(folder.parent),
        "llm": "scratch-32x1",
        "llm_layers": 1,
        "llm_dtype": "float32",
        "text_encoder": "hash-16",
        "epochs": 1,
        "eval_step": 1,
        "train_batch_size": 3,
        "popularity_strata": N_ITEMS,  # a stratum for each count, 0 too
        "backdoor_weight": 0.5,
        "fairness_weight": 1.0,
        "adaptation_rate": 0.01,
    }


@pytest.mark.parametrize("cold_items_as_negatives", [True, False])
@pytest.mark.parametrize(
    "components", [*[[name] for name in COMPONENTS], list(COMPONENTS)], ids=str
)
def test_every_component_trains_and_adapts(
    sparse: dict[str, Any], components: tuple[str, ...], cold_items_as_negatives: bool
) -> None:
    given = {"components": list(components), "cold_items_as_negatives": cold_items_as_negatives}
    trained = train("EnhancedGenRec", "sparse", options=sparse | given)
    model = trained.model
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
    for data in (trained.data.valid, trained.data.test):
        scores = model.score_histories(data.held_out, np.arange(len(data.held_out)))
        assert np.isfinite(scores).all()


def test_the_data_have_what_this_file_says(sparse: dict[str, Any]) -> None:
    run = prepare("EnhancedGenRec", "sparse", options=sparse)
    debiasing, features = run.model.debiasing, run.model.retrieved.features
    assert (features.counts[1:] == 0).sum() > 20
    assert (debiasing.stratified.prior == 0).any()
    assert (np.diff(features.indptr)[1:] <= 1).any()
    trained_categories = features.categories[features.counts > 0].any(0)
    assert features.categories.any(0).all()
    assert not trained_categories.all()
    assert (features.user_groups["gender"] == -1).sum() > 20


def test_a_gradient_passes_every_term_of_the_scores(sparse: dict[str, Any]) -> None:
    model = prepare("EnhancedGenRec", "sparse", options=sparse).model.eval()
    model.score(torch.tensor([1, 2]), torch.tensor([[3, 0], [4, 5]])).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_a_user_without_history_is_scored(sparse: dict[str, Any]) -> None:
    model = prepare("EnhancedGenRec", "sparse", options=sparse).model.eval()
    rows = HeldOut(
        users=np.array([1, 2]),
        targets=np.array([2, 3]),
        indptr=np.array([0, 0, 2]),
        items=np.array([4, 5]),
        times=np.array([1e6, 1e6 + 1]),
        n_items=model.n_items,
    )
    for chosen in ([0, 1], [0]):
        assert np.isfinite(model.score_histories(rows, np.array(chosen))).all()
    assert np.isfinite(model.aspect_distribution(rows, np.array([0, 1]))).all()


def test_an_event_of_an_item_that_the_history_holds_has_a_finite_loss(
    sparse: dict[str, Any],
) -> None:
    model = prepare("EnhancedGenRec", "sparse", options=sparse).model.eval()
    for liked in (True, False):
        event = NextItemEvent(1, np.array([3, 4, 3]), 3, "explicit", liked, 2e6)
        assert torch.isfinite(model.event_losses([event])[0].loss)


def test_a_stratum_without_interactions_changes_nothing_and_has_a_gradient() -> None:
    counts = np.array([0, 0, 0, 0, 0, 1, 5, 9])
    strata = popularity_strata(counts, 3)
    prior = stratum_prior(strata, counts)
    assert prior[0] == 0
    scores = StratifiedScores(4, torch.from_numpy(prior))
    torch.nn.init.normal_(scores.scale)
    states, items = torch.randn(3, 4, requires_grad=True), torch.randn(8, 4)
    result = scores.intervene(states, items)
    taste = states @ items.T
    modulated = (states @ scores.projection.T) @ (items @ scores.projection.T).T
    naive = sum(
        share * (taste + scale * modulated).softmax(1)
        for share, scale in zip(torch.from_numpy(prior).float(), scores.scale)
    )
    torch.testing.assert_close(result, naive.log())
    result.sum().backward()
    assert torch.isfinite(states.grad).all()
    assert torch.isfinite(scores.scale.grad).all()


def test_numbers_that_no_trained_item_has_are_unknown() -> None:
    numbers = np.array([[np.nan, 7.0], [np.nan, 1.0], [3.0, 1.0]])
    content = item_content(
        np.zeros((3, 1)), np.zeros((3, 0), bool), numbers, np.array([0, 1, 0], bool)
    )
    assert content.is_number.tolist() == [[False, True], [False, True], [False, True]]
    assert torch.isfinite(content.numbers).all()


@pytest.mark.parametrize("items", [[], [1], [1, 1], [1, 1, 1, 1], [1, 2]])
def test_initial_vectors_of_next_to_no_interactions_are_finite(items: list[int]) -> None:
    vectors = spectral_vectors(np.ones(len(items), int), np.array(items, int), 4, 3)
    assert np.isfinite(vectors).all()
