"""Do the tests hold their level? Simulated experiments with known answers.

    python -m benchmarks.studies.simulation_checks benchmarks/results/simulation_checks.md

Each experiment has two methods, three seeds each, 300 users. Users differ in which method suits
them (SD .2), seeds in how well they train (SD .003), and users and seeds interact (SD .1).
"""

from __future__ import annotations

import sys

import numpy as np

from llm4rec_recbole.analysis.power import users_needed
from llm4rec_recbole.analysis.significance import (
    holm,
    paired_t,
    users_and_seeds,
    users_to_decide,
)
from llm4rec_recbole.console import run_command, write_page

EXPERIMENTS, USERS, SEEDS = 2_000, 300, 3


def tost(difference: float, error: float, df: float, margin: float) -> float:
    """The p value of TOST: the larger p of the tests of d ≤ -margin and d ≥ margin."""
    from scipy import stats

    lower = stats.t.sf((difference + margin) / error, df)
    return float(max(lower, stats.t.cdf((difference - margin) / error, df)))


def experiment(random: np.random.Generator, effect: float) -> tuple[float, float, float]:
    """Mean difference, its standard error, and the error's degrees of freedom."""
    runs = [
        random.normal(0, 0.003, (SEEDS, 1)) + random.normal(0, 0.1, (SEEDS, USERS))
        for _ in range(2)
    ]
    suits = random.normal(effect, 0.2, USERS)
    differences = suits + runs[0].mean(axis=0) - runs[1].mean(axis=0)
    return float(differences.mean()), *users_and_seeds(differences, runs)


def checks(experiments: int = EXPERIMENTS) -> list[tuple[str, str, float]]:
    """(what is checked, what it should be, what it is)."""
    from scipy import stats

    random = np.random.default_rng(0)
    null = np.array([experiment(random, 0.0) for _ in range(experiments)])  # (E, 3)
    t = null[:, 0] / null[:, 1]
    false = float(np.mean(2 * stats.t.sf(np.abs(t), null[:, 2]) < 0.05))
    shifted = np.array([experiment(random, 0.03) for _ in range(experiments)])
    half = stats.t.ppf(0.975, shifted[:, 2]) * shifted[:, 1]
    covered = float(np.mean(np.abs(shifted[:, 0] - 0.03) <= half))
    users = users_needed(0.2, 0.03)
    found = float(np.mean(paired_t(random.normal(0.03, 0.2, (users, experiments))) < 0.05))
    edge = np.array([experiment(random, 0.03) for _ in range(experiments)])
    equal = float(np.mean([tost(d, s, df, 0.03) < 0.05 for d, s, df in edge]))
    enough, _ = users_to_decide(0.2**2, 0.03)
    means = random.normal(0, 0.2 / enough**0.5, experiments)
    shown = float(np.mean([tost(d, 0.2 / enough**0.5, enough - 1, 0.03) < 0.05 for d in means]))
    families = random.uniform(size=(experiments, 12))
    family = float(np.mean([holm(p).min() < 0.05 for p in families]))
    return [
        ("True nulls rejected, users and seeds random", ".05 ± .01", false),
        ("95 % intervals that contain the true difference", ".95 ± .01", covered),
        (f"A difference found with the {users} users that power asks for", ".80 ± .03", found),
        ("TOST at a true difference equal to the margin", "at most .05 ± .01", equal),
        (f"Equal methods shown equivalent with the {enough} users asked for", ".80 ± .03", shown),
        ("Families of 12 true nulls with a rejection after Holm", ".05 ± .01", family),
    ]


def page() -> str:
    """The table of all checks."""
    from tabulate import tabulate

    rows = [(name, goal, f"{value:.3f}") for name, goal, value in checks()]
    headers = [f"{EXPERIMENTS:,} experiments each", "should be", "is"]
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    return f"# Simulation checks of the tests\n\n{table}\n"


if __name__ == "__main__":
    sys.exit(run_command("simulation_checks", lambda: write_page(page)))
