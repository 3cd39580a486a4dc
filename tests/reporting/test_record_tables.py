"""Tables II and III."""

from __future__ import annotations

import json

import pytest

from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from tests.helpers.fake_results import add_run, ranks_around
from tests.helpers.generated_tables import (
    compare_and_make_tables,
    table_csv_rows,
    table_row,
    table_text,
)

P5 = "P5"


@pytest.fixture
def results(tmp_path):
    for number, method in enumerate(("BPR", "LightGCN", "EASE")):
        add_run(
            tmp_path / "results",
            method,
            ranks_around(20 + number),
            beyond={"novelty@10": 0.1 * (number + 1)},
            cost={"train_seconds": 1000.0 * number + 0.04},
        )
    return tmp_path / "results"


def test_table_2_puts_the_papers_number_beside_ours(results):
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 2, "RecBole (BPR)")[1:] == [
        "0.598", "0.218", "0.423", "0.661", "**0.700**", "**0.200**", "0.100", "**0.600**",
        *["n/a"] * 5, "one seed",
    ]  # fmt: skip
    assert table_row(results, 2, "EASE")[1:5] == ["–"] * 4
    assert table_row(results, 2, P5)[3:] == ["**0.467**", "<ins>0.692</ins>", *["–"] * 9, "not run"]
    assert table_csv_rows(results, 2)["RecBole (BPR)"]["novelty@10"] == "0.100000"
    assert table_csv_rows(results, 2)["Ours (EnhancedGenRec)"]["paper_fairness"] == "0.695"


def test_the_parts_of_fairness_stand_beside_their_shuffled_ranges(results):
    shuffles = {"users": {"low": 0.25, "high": 0.75}, "items": None, "shuffles": 499}
    for seed, part in ((1, 0.5), (2, 0.6)):
        parts = {"gender": part, "category": 0.4}
        beyond = {"fairness_parts@10": parts, "fairness_null@10": shuffles, "coverage@10": 0.125}
        add_run(results, "BPR", ranks_around(20), seed=seed, beyond=beyond)
    assert compare_and_make_tables(results) == 0
    cells = ["0.125 ± 0.000", "0.550 ± 0.071", "0.250–0.750", "0.400 ± 0.000", "n/a"]
    assert [c.strip("*") for c in table_row(results, 2, "RecBole (BPR)")[9:14]] == cells
    row = table_csv_rows(results, 2)["RecBole (BPR)"]
    assert row["user_fairness@10_shuffled"] == "0.250000–0.750000"
    assert "paper_coverage@10" not in row


def test_energy_is_an_estimate_and_an_empty_cell_has_its_reason(results):
    energy = {"training_wh": 3.0, "training_co2e_g": 1.0, "evaluation_wh": 0.5,
              "evaluation_co2e_g": 0.25, "country": "FRA", "method": "CodeCarbon"}  # fmt: skip
    add_run(results, "BPR", ranks_around(20), cost={"energy": energy})
    missing = {"energy": None, "energy_missing": "CodeCarbon is not installed"}
    add_run(results, "EASE", ranks_around(20), cost=missing)
    assert compare_and_make_tables(results) == 0
    text = table_text(results, 3)
    assert "Energy, Wh (estimate)" in text
    assert [c.strip("*") for c in table_row(results, 3, "RecBole (BPR)")[9:11]] == [
        "3.500",
        "1.250",
    ]
    assert table_row(results, 3, "EASE")[9:11] == ["n/a", "n/a"]
    assert "Energy n/a: CodeCarbon is not installed; made before it was recorded." in text


def test_more_is_better_in_table_2_and_less_in_table_3(results):
    assert compare_and_make_tables(results) == 0
    assert [table_row(results, 2, name)[7] for name in ("RecBole (BPR)", "LightGCN", "EASE")] == [
        "0.100", "<ins>0.200</ins>", "**0.300**",
    ]  # fmt: skip
    assert [table_row(results, 3, name)[5] for name in ("RecBole (BPR)", "LightGCN", "EASE")] == [
        "**0.0**", "<ins>1000.0</ins>", "2000.0",
    ]  # fmt: skip
    assert table_row(results, 3, "LightGCN")[1:5] == ["**4.2**", "**34**", "**3.8**", "**89**"]
    assert table_row(results, 3, "RecBole (BPR)")[1] == "<ins>8.9</ins>"


def test_marks_and_caption_of_table_2_say_what_is_tested(results):
    add_run(results, "EnhancedGenRec", ranks_around(5), beyond={"novelty@10": 0.4})
    assert compare_and_make_tables(results) == 0
    (line,) = (
        x for x in table_text(results, 2).splitlines() if x.startswith(r"- \*: EnhancedGenRec")
    )
    assert "Holm-adjusted over the 9 comparisons" in line  # two baselines, EASE, three metrics
    assert table_row(results, 2, "RecBole (BPR)")[7] == r"0.100\*"
    assert table_row(results, 2, "EASE")[7] == r"<ins>0.300</ins>\*"
    assert table_row(results, 2, "RecBole (BPR)")[5] == "**0.700**"
    assert "- Not tested: ml-100k, loo: Fairness@10.\n" in table_text(results, 2)
    assert "*" not in table_text(results, 3).split("Measured")[0].replace("**", "")


def test_a_method_that_no_table_names_has_its_row_and_marks_in_tables_2_and_3(results):
    add_run(results, "MyEASE", ranks_around(5), beyond={"novelty@10": 0.05})
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 2, "MyEASE")[7] == r"0.050\*"
    assert table_row(results, 3, "MyEASE")[-1] == "one seed"
    assert "at a method of your own: differs" in table_text(results, 2)


def test_one_method_alone_has_nothing_to_be_tested_against(results):
    add_run(results, "Pop", ranks_around(20), dataset="beauty")
    assert compare_and_make_tables(results) == 0
    assert "Not tested" not in table_text(results, 2)


def test_metrics_without_data_are_not_available_and_never_best(results):
    nothing = {"intra_list_diversity@10": None, "fairness@10": None}
    add_run(results, "EASE", ranks_around(18), beyond=nothing)
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 2, "EASE")[5:] == [
        "n/a",
        "**0.200**",
        "**0.300**",
        *["n/a"] * 6,
        "deterministic",
    ]
    assert table_csv_rows(results, 2)["EASE"]["fairness@10"] == "n/a"


def test_seeds_are_averaged_unless_one_of_them_lacks_the_number(results):
    add_run(results, "BPR", ranks_around(9), seed=2, beyond={"novelty@10": 0.3},
            cost={"inference_ms_per_user": None})  # fmt: skip
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 2, "RecBole (BPR)")[7] == "<ins>0.200 ± 0.141</ins>"
    assert table_row(results, 2, "RecBole (BPR)")[-1] == "2 seeds"
    assert table_row(results, 3, "RecBole (BPR)")[6] == "n/a"


def test_the_caption_of_table_3_names_the_hardware(results):
    assert compare_and_make_tables(results) == 0
    assert (
        "- Measured on Some CPU, 2 cores (cpu), 2 torch threads; torch 2.13.0, Python 3.11.7; "
        "ranked in batches of 256 users."
    ) in table_text(results, 3).splitlines()


def test_runs_on_different_hardware_are_distinguished(results):
    add_run(results, "EASE", ranks_around(9), hardware="NVIDIA H200, 1 of 1", device="cuda")
    assert compare_and_make_tables(results) == 0
    assert "Not all runs were made on the same hardware" in table_text(results, 3)
    assert "2 cores (cpu), 2 torch threads; torch 2.13.0, Python 3.11.7; ranked in batches of " \
        "256 users: BPR, LightGCN." in table_text(results, 3)  # fmt: skip
    assert "H200" in table_text(results, 3)


def test_versions_and_seeds_are_in_every_caption(results):
    add_run(results, "EASE", ranks_around(9), git_commit="b" * 40)
    assert compare_and_make_tables(results) == 0
    for table in (1, 2, 3):
        assert "The runs differ in git commit" in table_text(results, table)
        assert "One seed: BPR, LightGCN." in table_text(results, table)


def test_a_data_set_the_paper_lacks_gets_none_of_its_numbers(tmp_path):
    add_run(tmp_path / "results", "BPR", ranks_around(9), dataset="steam")
    assert compare_and_make_tables(tmp_path / "results") == 0
    for table in (2, 3):
        assert table_row(tmp_path / "results", table, "RecBole (BPR)")[1:5] == ["–"] * 4


def test_a_record_of_an_older_version_is_named_not_averaged(results, capsys):
    path = results / "runs/ml-100k/loo/EASE/seed_1.json"
    record = json.loads(path.read_text())
    del record["metrics"]["test"]["fairness@10"]
    path.write_text(json.dumps(record))
    assert llm4rec(["compare", "--results", str(results)]) == 2
    message = capsys.readouterr().err
    assert "EASE/seed_1.json: there is no metrics.test.fairness@10" in message
    assert "run it again" in message


def test_the_latex_tables_have_as_many_cells_as_columns(results):
    assert compare_and_make_tables(results) == 0
    for table, cells in ((2, 14), (3, 11)):
        body = table_text(results, table, "tex").split(r"\midrule")[1].splitlines()
        rows = [line for line in body if line.endswith(r"\\") and "multicolumn" not in line]
        assert len(rows) == 12
        assert {line.count(" & ") for line in rows} == {cells}


def test_a_printed_table_with_a_cell_too_few_is_named_by_its_line(tmp_path):
    (tmp_path / "table_2.csv").write_text("method,a,b\nX,1,2\nY,1\n")
    with pytest.raises(InputError, match=r"table_2\.csv:3: not as many cells as columns"):
        paper_tables.read_printed_table(tmp_path / "table_2.csv")
    (tmp_path / "table_2.csv").write_text("")
    with pytest.raises(InputError, match=r"table_2\.csv: not a table"):
        paper_tables.read_printed_table(tmp_path / "table_2.csv")


def test_the_caption_of_table_2_has_the_null_range_of_the_groups(results):
    for method, measured, low, high in (("BPR", 0.5, 0.6, 0.9), ("EASE", 0.8, 0.7, 0.95)):
        shuffles = {"users": {"low": low, "high": high}, "items": None, "shuffles": 499}
        beyond = {"fairness_parts@10": {"gender": measured}, "fairness_null@10": shuffles}
        add_run(results, method, ranks_around(20), beyond=beyond)
    assert compare_and_make_tables(results) == 0
    message = table_text(results, 2)
    assert "the users' part of Fairness@10 is 0.50 to 0.80" in message
    assert "at random it is 0.60 to 0.95 (95 % of 499 shuffles" in message
    assert "for 1 of 2 methods (BPR)" in message
    for method in ("BPR", "EASE"):
        add_run(results, method, ranks_around(20))
    assert compare_and_make_tables(results) == 0
    assert "at random" not in table_text(results, 2)


def test_a_fairness_of_one_part_is_named(results):
    for method in ("BPR", "LightGCN", "EASE"):
        parts = {"gender": None, "category": 0.5}
        add_run(results, method, ranks_around(20), beyond={"fairness_parts@10": parts})
    assert compare_and_make_tables(results) == 0
    message = (
        "ml-100k, loo: no two groups of users are known; Fairness@10 is the items' part alone."
    )
    assert message in table_text(results, 2)
    parts = {"gender": 0.5, "category": 0.5}
    add_run(results, "EASE", ranks_around(20), beyond={"fairness_parts@10": parts})
    assert compare_and_make_tables(results) == 0
    assert "different parts in different runs: category; category, gender." in table_text(
        results, 2
    )
    for method in ("BPR", "LightGCN", "EASE"):
        add_run(results, method, ranks_around(20), beyond={"fairness_parts@10": parts})
    assert compare_and_make_tables(results) == 0
    assert "part alone" not in table_text(results, 2)
    assert "different parts" not in table_text(results, 2)
