"""Which files of a raw folder are read: those of one place, whatever else lies around."""

from __future__ import annotations

import json

import pytest

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile, raw_files
from llm4rec_recbole.errors import InputError

FILES = {
    "tags": [RawFile(name="tags.csv", optional=True)],
    "ratings": [RawFile(name="ratings.csv")],
    "items": [RawFile(name="movies.csv")],
}
SOURCE = DatasetSpec(dataset="tiny", format="movielens_csv", files=FILES)
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(f"1,{n},4.0,{n}\n" for n in range(9))
MOVIES = "movieId,title,genres\n4,Heat,Drama\n"
TAGS = "userId,movieId,tag,timestamp\n1,4,slow,1147880044\n"


def put(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)


def test_files_of_two_places_never_mix(tmp_path):
    put(tmp_path / "ml", ratings=RATINGS, movies=MOVIES)
    put(tmp_path / "other", tags=TAGS)
    assert sorted(raw_files(SOURCE, tmp_path)) == ["items", "ratings"]
    (tmp_path / "ml" / "movies.csv").rename(tmp_path / "other" / "movies.csv")
    with pytest.raises(InputError, match=r"/ml: there is no movies\.csv"):
        raw_files(SOURCE, tmp_path)


def test_the_roles_keep_the_order_of_the_property_file(tmp_path):
    put(tmp_path / "ml", ratings=RATINGS, movies=MOVIES)
    put(tmp_path / "ml" / "more", tags=TAGS)
    assert list(raw_files(SOURCE, tmp_path)) == list(FILES)


def test_a_file_that_does_not_lie_at_the_top_is_reported_by_its_path(tmp_path):
    put(tmp_path / "raw", ratings=RATINGS, movies=MOVIES)
    put(tmp_path / "raw" / "altered", tags=TAGS)
    row_reports = convert(SOURCE, tmp_path / "raw", tmp_path / "tiny")
    assert str(row_reports[2]) == "altered/tags.csv: 1 tags read, 1 kept"
    files = json.loads((tmp_path / "tiny" / "raw.json").read_text())["files"]
    names = [file["name"] for file in files.values()]
    assert names == ["altered/tags.csv", "ratings.csv", "movies.csv"]


@pytest.mark.parametrize("left", [[], ["download/ratings.csv"], ["README.txt"]])
def test_a_raw_folder_without_raw_files_is_none(tmp_path, capsys, left):
    name = "ml-latest-small"
    folder = tmp_path / "dataset" / name
    command = ["--dataset", name, "--data-path", str(tmp_path / "dataset")]
    command += ["--out", str(tmp_path / "out")]
    for path in (folder / "raw" / one for one in left):
        path.parent.mkdir(parents=True)
        path.write_text(RATINGS)
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    assert llm4rec(["prepare", *command]) == 2
    assert capsys.readouterr().err == (
        f"llm4rec prepare: the data set {name} is not here (llm4rec fetch {name})\n"
    )
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    rows = "".join(f"u\ti{n}\t{n}\n" for n in range(9))
    (folder / f"{name}.inter").write_text(header + rows)
    assert llm4rec(["prepare", *command]) == 0
    put(folder / "raw", movies=MOVIES)
    assert llm4rec(["prepare", *command]) == 2
    assert "there is no ratings.csv" in capsys.readouterr().err
