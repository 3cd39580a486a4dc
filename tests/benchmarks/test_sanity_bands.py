"""BPR and LightGCN against published numbers on MovieLens-1M, where its ratings are at hand."""

from __future__ import annotations

import pytest

from benchmarks.studies import sanity_bands
from llm4rec_recbole.errors import InputError
from tests.helpers.real_data import REAL_DATA, why_absent

ML_1M = REAL_DATA / "ml-1m"
needs_ml_1m = pytest.mark.skipif(bool(why_absent("ml-1m")), reason=str(why_absent("ml-1m")))


def test_a_folder_without_ratings_is_named(tmp_path):
    with pytest.raises(InputError, match=r"neither ratings\.dat nor"):
        sanity_bands.write_atomic_file(tmp_path, tmp_path / "out")


def test_ratings_dat_becomes_an_atomic_file(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3::978302109\n")
    sanity_bands.write_atomic_file(tmp_path, tmp_path / "out")
    lines = (tmp_path / "out" / "ml-1m.inter").read_text().splitlines()
    assert lines == ["user_id:token\titem_id:token\trating:float", "1\t1193\t5", "2\t661\t3"]


@pytest.mark.realdata
@needs_ml_1m
def test_all_ratings_of_ml_1m_arrive(tmp_path):
    sanity_bands.write_atomic_file(ML_1M, tmp_path)
    rows = (tmp_path / "ml-1m.inter").read_text().splitlines()[1:]
    assert len(rows) == 1_000_209
    assert sum(int(row[-1]) >= 3 for row in rows) == 836_478


@pytest.mark.realdata
@pytest.mark.slow
@needs_ml_1m
@pytest.mark.parametrize("model", sanity_bands.PUBLISHED)
def test_published_numbers_are_reached_within_three_percent(model, tmp_path, monkeypatch):
    monkeypatch.setattr(sanity_bands, "WORK", tmp_path / "work")
    assert (
        sanity_bands.main(["--data", str(ML_1M), "--only", model, "--output", str(tmp_path)]) == 0
    )
