"""A slip in a data set's property file is one line that names the file."""

from __future__ import annotations

import pytest

from llm4rec_recbole.datasets.spec import ROLES, read_source
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder

GOOD = """source:
  format: movielens_csv
  files:
    ratings: {name: ratings.csv}
    items: {name: movies.csv}
"""


def test_a_good_one_is_read_and_one_without_a_source_is_none(tmp_path):
    (tmp_path / "toy.yaml").write_text(GOOD + "  keep: {rating: '>=4', core: 5}\n")
    source = read_source("toy", tmp_path)
    assert source.keep == {"rating": ">=4", "core": 5}
    for text in ("", "load_col: {}\n", "source:\n"):
        (tmp_path / "toy.yaml").write_text(text)
        assert read_source("toy", tmp_path) is None


def test_all_of_the_project_are_good():
    names = [path.stem for path in (properties_folder() / "dataset").glob("*.yaml")]
    assert {read_source(name).format for name in names} == set(ROLES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "it names no files"),
        ("hello\n", "it names no files"),
        (b"source: \xff\n", "not YAML"),
        ("source: 2021-13-45\n", "not YAML"),
        ("source: [\n", "not YAML"),
        ("source: abc\n", "it names no files"),
        ("source: {format: movielens_csv}\n", "it names no files"),
        ("source: {format: movielens_csv, files: null}\n", "it names no files"),
        ("source: {format: movielens_csv, files: {}}\n", "no file for ratings"),
        ("source: {files: {ratings: {name: x}}}\n", "format"),
        (GOOD.replace("movielens_csv", "movielens"), "format is 'movielens'.*movielens_dat"),
        (GOOD.replace("ratings:", "rating:"), "role in files is 'rating'.*nearest is ratings"),
        (GOOD.replace("ratings:", "tags:"), "no file for ratings"),
        (GOOD.replace("{name: ratings.csv}", "[]"), "no file for ratings"),
        (GOOD.replace("{name: movies.csv}", "[]"), "no file for items"),
        (GOOD.replace("{name: movies.csv}", "null"), "None is no file"),
        (GOOD.replace("ratings.csv", "5"), "name of a file is 5"),
        (GOOD.replace("ratings.csv", "../ratings.csv"), "a name without folders"),
        (GOOD.replace("ratings.csv", "r.csv, sha256: 12"), "sha256 of a file is 12"),
        (GOOD.replace("ratings.csv", "r.csv, sum: x"), "cannot read its source.*sum"),
        (GOOD + "  sum: 1\n", "cannot read its source.*sum"),
        (GOOD + "  archive: x.zip\n", "'x.zip' is no file"),
        (GOOD + "  archive: {name: 7}\n", "name of a file is 7"),
        (GOOD + "  home: 5\n", "home is 5"),
        (GOOD + "  times: sekunden\n", "times is 'sekunden'.*seconds, position"),
        (GOOD + "  rows: [1]\n", r"rows is \[1\]"),
        (GOOD + "  rows: {ratings: '36'}\n", "rows of ratings is 36"),
        (GOOD + "  rows: {rating: 36}\n", "role in rows is 'rating'"),
        (GOOD + "  statistics: {users: 'x'}\n", "statistics: users is x"),
        (GOOD + "  statistics: 5\n", "statistics is 5"),
        (GOOD + "  keep: null\n", "keep is None"),
        (GOOD + "  keep: 5\n", "keep is 5"),
        (GOOD + "  keep: [core]\n", r"keep is \['core'\]"),
        (GOOD + "  keep: {cores: 5}\n", "no filter 'cores'"),
        (GOOD + "  keep: {core: five}\n", "core in keep is five"),
        (GOOD + "  keep: {core: 2.5}\n", "core in keep is 2.5"),
        (GOOD + "  keep: {core: true}\n", "core in keep is True"),
        (GOOD + "  keep: {core: 0}\n", "core in keep is 0"),
        (GOOD + "  keep: {rating: 4}\n", "must look like '>=4'"),
    ],
)
def test_a_slip_is_one_line_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "toy.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        read_source("toy", tmp_path)
    assert error.value.file == path
    assert "\n" not in str(error.value)
