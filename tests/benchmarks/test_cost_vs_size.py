"""The tables of cost against size and of before and after."""

from __future__ import annotations

from benchmarks.performance import before_after, cost_vs_size


def test_seconds_are_divided_by_the_growth_of_the_work() -> None:
    """Evaluation work grows with users: twice the seconds at twice the users is 1, thrice 1.5."""

    def row(users: int, seconds: float) -> dict:
        cost = {"seconds": seconds, "mib": 10.0}
        sizes = {**cost_vs_size.BASE, "users": users}
        return {"sizes": sizes, "costs": dict.fromkeys(cost_vs_size.WORK, cost)}

    users = cost_vs_size.BASE["users"]
    measured = {"date": "", "machine": "", "load": 0.0, "rows": [row(users, 2), row(2 * users, 6)]}
    page = cost_vs_size.render(measured)
    line = next(line for line in page.splitlines() if line.startswith("| 2 ×"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["2 ×", "6", "10", "1.50", "6", "10", "3.00", "6", "10", "1.50"]


def test_every_axis_is_measured_at_every_factor() -> None:
    sizes = cost_vs_size.rows()
    assert len(sizes) == 1 + 3 * 3
    assert {row["items"] // cost_vs_size.BASE["items"] for row in sizes} == {1, 2, 4, 8}


def test_made_up_interactions_repeat_no_pair(tmp_path) -> None:
    path = tmp_path / "made" / "made.inter"
    cost_vs_size.write_interactions(path, users=7, items=40, length=30)
    rows = [tuple(line.split("\t")[:2]) for line in path.read_text().splitlines()[1:]]
    assert len(rows) == len(set(rows)) == 7 * 30


def test_ratios_are_of_cpu_seconds_with_the_kernels() -> None:
    sides = {
        "before": {"user": 6.0, "kernel": 2.0, "wall": 90.0},
        "after": {"user": 1.5, "kernel": 0.5, "wall": 1.0},
    }
    measured = {"before": "a", "after": "b", "date": "", "machine": "", "load": 0.0}
    page = before_after.render(measured | {"rows": {"prepare": sides}})
    assert "| prepare | 8 (2) | 2 (0.5) | 4.0 × |" in page
