"""dvc.yaml against params.yaml and the code: every run has its stage, every import its dep."""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml

from llm4rec_recbole.evaluation.paths import run_stages
from llm4rec_recbole.registry import nulls
from tests.helpers.checkout import Checkout

TOP = Path(__file__).parents[2]


def test_as_many_stages_as_the_product_also_with_hyphens_in_names(checkout: Checkout) -> None:
    """DVC joins matrix keys with a hyphen: {x, x-y} × {y-z, z} would be three stages."""
    params = {
        "datasets": ["ml-100k", "ml-1m"],
        "protocols": ["loo", "temporal"],
        "methods": {
            "deterministic": ["Pop", "EASE"],
            "baseline": ["BPR", "SASRec", "BERT4Rec"],
            "generative": ["P5"],
            "ours": ["EnhancedGenRec"],
            "parts": ["EnhancedGenRec_none"],
            "nulls": ["EnhancedGenRec-random-body"],
            "sums": ["SASRec+RecencyEASE"],
        },
        "explained": ["EnhancedGenRec"],
        "seeds": [0, 1, 2],
        "seeds_of_parts": [0, 1],
        "seeds_of_generative": [0],
    }
    checkout.write_params(**params)
    listed = [line.split()[0] for line in checkout.dvc("stage", "list").splitlines()]
    runs = {name for name in listed if name.startswith("train_")}
    assert len(runs) == 2 * 2 * (2 + (3 + 1 + 1 + 1) * 3 + 1 * 2 + 1)
    assert runs == set(run_stages(params))
    for name in ("showcase", "faithfulness", "replay"):
        assert sum(stage.startswith(f"{name}@") for stage in listed) == 2 * 2


def test_only_a_model_with_explanations_is_explained() -> None:
    params = yaml.safe_load((TOP / "params.yaml").read_text())
    assert set(params["explained"]) <= set(params["methods"]["ours"])


def test_the_nulls_that_are_trained_are_of_the_ladder() -> None:
    methods = yaml.safe_load((TOP / "params.yaml").read_text())["methods"]
    assert {*methods["nulls"], *methods["sums"]} <= nulls().keys()
    deps = yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]["train_sums"]["deps"]
    named = {part for name in methods["sums"] for part in name.removesuffix("-online").split("+")}
    assert {Path(dep).parts[4] for dep in deps if dep.startswith("results/runs")} == named


def test_params_name_nothing_twice_and_no_two_runs_share_a_stage_or_a_file() -> None:
    params = yaml.safe_load((TOP / "params.yaml").read_text())
    methods = params["methods"]
    lists = [params["datasets"], params["protocols"], params["seeds"]]
    for values in [*lists, [method for group in methods.values() for method in group]]:
        assert len(values) == len(set(values))
    stages = run_stages(params)
    product = len(list(itertools.product(*lists[:2])))
    few = {"generative", "parts"}
    seeded = sum(
        len(group) * len(params[f"seeds_of_{name}" if name in few else "seeds"])
        for name, group in methods.items()
        if name != "deterministic"
    )
    runs = len(methods["deterministic"]) + seeded
    assert len(stages) == len({run.record() for run in stages.values()}) == product * runs
