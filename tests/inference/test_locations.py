"""Where explanations find the locations of items and users in a data set's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4rec_recbole.components.explanation.context import ItemLocations, UserLocations
from llm4rec_recbole.inference.recommend import locations
from llm4rec_recbole.inference.restore import TrainedModel, newest_checkpoint, restore

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")


@pytest.fixture
def model(trained_options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    """EASE, whose data set has no files beside its interactions yet."""
    found = restore(newest_checkpoint(trained_options["checkpoint_dir"], "EASE", "two_cycles"))
    monkeypatch.setitem(found.config.final_config_dict, "data_path", str(tmp_path))
    return found


def write(model: TrainedModel, suffix: str, text: str) -> None:
    (Path(model.config["data_path"]) / f"two_cycles.{suffix}").write_text(text)


def test_a_data_set_without_locations_has_none(model: TrainedModel) -> None:
    assert locations(model) is None
    write(model, "user", "user_id:token\tage:token\nu1\t31\n")
    assert locations(model) is None


def test_zip_codes_of_users_are_read(model: TrainedModel) -> None:
    write(model, "user", "user_id:token\tzip_code:token\nu2\t94043\nu1\tm5a\n")
    found = locations(model)
    assert isinstance(found, UserLocations)
    regions = dict(zip(model.user_tokens.tolist(), found.regions.tolist()))
    assert (regions["u1"], regions["u2"], regions["u3"]) == ("M", "9", "")


def test_cities_of_items_come_before_zip_codes(model: TrainedModel) -> None:
    write(model, "user", "user_id:token\tzip_code:token\nu2\t94043\n")
    write(model, "item", "item_id:token\tcity:token\tstate:token\ni1\tLas Vegas\tNV\ni2\t\tNV\n")
    found = locations(model)
    assert isinstance(found, ItemLocations)
    names = found.names[found.codes].tolist()
    cities = dict(zip(model.item_tokens.tolist(), names))
    assert (cities["i1"], cities["i2"], cities["i3"]) == ("Las Vegas, NV", "NV", "")
