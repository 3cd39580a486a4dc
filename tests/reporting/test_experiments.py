"""The table of options chosen on each data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.tables import datasets

TOP = Path(__file__).resolve().parents[2]


def test_every_committed_file_has_a_row_with_the_metrics_of_its_run() -> None:
    table = datasets.build_experiments(TOP / "benchmarks" / "results")
    rows = {(s.heading, row[0].text): row for s in table.sections for row in s.rows}
    files = sorted((TOP / "properties" / "experiment").glob("*/*.yaml"))
    assert set(rows) == {(file.parent.name, file.stem) for file in files}
    sasrec = [cell.text for cell in rows["beauty", "SASRec"]]
    assert "num_negatives 512" in sasrec[1]
    assert sasrec[2:] == ["unknown", "0.0715", "0.0580"]


def test_a_file_without_its_number_of_trials_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "shop" / "EASE.yaml"
    file.parent.mkdir()
    file.write_text("# EASE on shop.\nreg_weight: 5\n")
    with pytest.raises(InputError, match=r"EASE\.yaml: no line"):
        datasets.build_experiments(tmp_path, tmp_path)
    file.write_text("# EASE on shop.\n# Validation trials: 3.\nreg_weight: 5\n")
    [section] = datasets.build_experiments(tmp_path / "results", tmp_path).sections
    assert [cell.text for cell in section.rows[0]] == ["EASE", "reg_weight 5", "3", "–", "–"]
