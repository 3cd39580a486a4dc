"""A slip in a data set's property file is one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4rec_recbole.datasets.spec import ROLES, DatasetSpec, Filters, RawFile, read_spec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder

GOOD = """source:
  format: movielens_csv
  files:
    ratings: {name: ratings.csv}
    items: {name: movies.csv}
"""


def test_a_good_one_is_read_and_one_without_a_source_is_none(tmp_path):
    (tmp_path / "tiny.yaml").write_text(GOOD + "  filters: {rating: '>=4', core: 5}\n")
    assert read_spec("tiny", tmp_path).filters == Filters(rating=">=4", core=5)
    for text in ("", "load_col: {}\n", "source:\n"):
        (tmp_path / "tiny.yaml").write_text(text)
        assert read_spec("tiny", tmp_path) is None


def test_all_of_the_project_are_good():
    names = [path.stem for path in (properties_folder() / "dataset").glob("*.yaml")]
    assert {read_spec(name).format for name in names} == set(ROLES)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- a\n- b\n", None, "must be a mapping"),
        ("hello\n", None, "must be a mapping"),
        (b"source: \xff\n", None, "not YAML"),
        ("source: 2021-13-45\n", None, "not YAML"),
        ("source: [\n", None, "not YAML"),
        ("source: abc\n", None, "must be a mapping"),
        ("source: {dataset: x}\n", None, "unknown key 'dataset'"),
        ("source: {1: x}\n", 1, "source.format is missing"),
        ("source: {format: movielens_csv}\n", 1, "source.files is missing"),
        ("source: {format: movielens_csv, files: null}\n", 1, "source.files is None"),
        ("source: {format: movielens_csv, files: {}}\n", 1, "no file for ratings"),
        ("source: {files: {ratings: {name: x}}}\n", 1, "source.format is missing"),
        (
            GOOD.replace("movielens_csv", "movielens_csw"),
            2,
            "source.format is 'movielens_csw'; did you mean movielens_csv.*valid: sequences",
        ),
        (GOOD.replace("ratings:", "rating:"), 4, "unknown role 'rating'; did you mean ratings"),
        (GOOD.replace("ratings:", "tags:"), 3, "no file for ratings, which movielens_csv needs"),
        (GOOD.replace("{name: ratings.csv}", "[]"), 4, "no file for ratings"),
        (GOOD.replace("{name: movies.csv}", "[]"), 5, "no file for items"),
        (GOOD.replace("{name: movies.csv}", "null"), 5, "source.files.items.0 is None"),
        (GOOD.replace("ratings.csv", "5"), 4, "source.files.ratings.0.name is 5"),
        (GOOD.replace("ratings.csv", "../ratings.csv"), 4, "a name without folders"),
        (GOOD.replace("ratings.csv", "r.csv, sha256: 12"), 4, "sha256 is 12"),
        (GOOD.replace("ratings.csv", "r.csv, sha256: abc"), 4, "sha256 is 'abc'"),
        (GOOD.replace("ratings.csv", "r.csv, url: 'file:///x'"), 4, "url is 'file:///x'"),
        (
            GOOD.replace("ratings.csv", "r.csv, sha: x"),
            4,
            "unknown key.*0.sha; did you mean sha256",
        ),
        (GOOD + "  sum: 1\n", 6, "unknown key source.sum; .*valid: format"),
        (GOOD + "  filter: {core: 5}\n", 6, "unknown key source.filter; did you mean filters"),
        (GOOD + "  archive: x.zip\n", 6, "source.archive is 'x.zip'"),
        (GOOD + "  archive: {name: 7}\n", 6, "source.archive.name is 7"),
        (GOOD + "  homepage: 5\n", 6, "source.homepage is 5"),
        (GOOD + "  timestamps: second\n", 6, "'second'; did you mean seconds"),
        (GOOD + "  expected_rows: [1]\n", 6, r"source.expected_rows is \[1\]"),
        (GOOD + "  expected_rows: {ratings: '36'}\n", 6, "expected_rows.ratings is '36'"),
        (GOOD + "  expected_rows: {ratings: -1}\n", 6, "expected_rows.ratings is -1"),
        (
            GOOD + "  expected_rows: {rating: 36}\n",
            6,
            "unknown role 'rating'; did you mean ratings",
        ),
        (GOOD + "  expected_statistics: {users: 'x'}\n", 6, "expected_statistics.users.* is 'x'"),
        (GOOD + "  expected_statistics: {users: .nan}\n", 6, "expected_statistics.users is nan"),
        (GOOD + "  expected_statistics: {users: .inf}\n", 6, "expected_statistics.users is inf"),
        (GOOD + "  expected_statistics: {user: 5}\n", 6, "is 'user'; did you mean users"),
        (GOOD + "  expected_statistics: 5\n", 6, "source.expected_statistics is 5"),
        (GOOD + "  filters: null\n", 6, "source.filters is None"),
        (GOOD + "  filters: 5\n", 6, "source.filters is 5"),
        (GOOD + "  filters: [core]\n", 6, r"source.filters is \['core'\]"),
        (
            GOOD + "  filters: {cores: 5}\n",
            6,
            "unknown key source.filters.cores; did you mean core",
        ),
        (GOOD + "  filters: {core: five}\n", 6, "source.filters.core is 'five'"),
        (GOOD + "  filters: {core: 2.5}\n", 6, "source.filters.core is 2.5"),
        (GOOD + "  filters: {core: true}\n", 6, "source.filters.core is True"),
        (GOOD + "  filters:\n    core: 0\n", 7, "source.filters.core is 0"),
        (GOOD + "  filters: {rating: 4}\n", 6, "source.filters.rating is 4"),
        (GOOD + "  filters: {rating: '>= x'}\n", 6, "source.filters.rating is '>= x'"),
    ],
)
def test_a_slip_is_one_line_that_names_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "tiny.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        read_spec("tiny", tmp_path)
    assert (error.value.file, error.value.line) == (path, line)
    assert "\n" not in str(error.value)


def test_every_key_is_described():
    for model in (DatasetSpec, Filters, RawFile):
        assert all(field.description for field in model.model_fields.values())


def test_the_error_about_a_huge_value_is_short(tmp_path):
    (tmp_path / "tiny.yaml").write_text(GOOD + f"  homepage: [{'x, ' * 100_000}]\n")
    with pytest.raises(InputError) as error:
        read_spec("tiny", tmp_path)
    assert len(str(error.value)) < 500


def test_the_docs_describe_every_key():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for model in (DatasetSpec, Filters, RawFile):
        for name, field in model.model_fields.items():
            assert name == "dataset" or f"| `{name}` | {field.description} |\n" in page
