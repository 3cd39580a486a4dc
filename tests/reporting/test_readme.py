"""README's tables are copies of the generated ones."""

import re
from pathlib import Path

import pytest

from llm4rec_recbole.cli import tables
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.summary import fill
from tests.helpers.fake_results import add_run, ranks_around, unescaped

TOP = Path(__file__).resolve().parents[2]


def test_a_block_is_replaced_and_the_rest_is_left_alone(tmp_path):
    (tmp_path / "t.md").write_text("# Title\n\n| a |\n\n## Part\nnew\n")
    text = "before\n<!-- generated: t.md -->\nold\n<!-- end -->\nafter\n"
    filled = fill(text, tmp_path)
    expected = "before\n<!-- generated: t.md -->\n| a |\n\n### Part\nnew\n<!-- end -->\nafter\n"
    assert filled == expected
    assert fill(filled, tmp_path) == filled


def test_a_missing_file_is_named_in_one_line_and_readme_stays(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- generated: gone.md -->\nold\n<!-- end -->\n")
    assert llm4rec(["readme", "--readme", str(readme)]) == 2
    error = capsys.readouterr().err
    assert "gone.md: a page shows this file" in error
    assert error.count("\n") == 1
    assert "old" in readme.read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/baselines.md"])
def test_the_pages_here_show_the_tables_here(page):
    text = (TOP / page).read_text(encoding="utf-8")
    assert "<!-- generated: paper_tables/" in text
    assert fill(text, TOP) == text


def test_a_drawing_is_linked_with_its_description(tmp_path):
    (tmp_path / "a.svg").write_text("<svg><desc>Of [two]\nmethods &amp; more</desc></svg>")
    filled = fill("<!-- generated: a.svg -->\n<!-- end -->\n", tmp_path)
    link = r"![Of \[two\] methods & more](a.svg)"
    assert filled == f"<!-- generated: a.svg -->\n{link}\n<!-- end -->\n"
    (tmp_path / "a.svg").write_text("<svg></svg>")
    with pytest.raises(InputError, match=r"a\.svg: the drawing has no description"):
        fill(filled, tmp_path)


def test_the_answer_and_the_summary_follow_from_the_runs(tmp_path):
    results = tmp_path / "results"
    for method, middle in (("BPR", 25), ("EASE", 9), ("EnhancedGenRec", 4)):
        add_run(results, method, ranks_around(middle))
    assert tables.compare(["--results", str(results)]) == 0
    paths = ["--results", str(results), "--failures", str(tmp_path), "--out", str(tmp_path)]
    assert tables.tables(paths) == 0
    first, line, ladder = unescaped((tmp_path / "answer.md").read_text()).strip().split("\n\n")
    assert re.fullmatch(
        r"\*\*Not as printed\.\*\* Our runs support \d+ of the paper's 55 claims\. "
        r"The paper's own printed numbers support 2 and contradict 14\.",
        first,
    )
    assert line.startswith("On ml-100k under loo, EnhancedGenRec has NDCG@10 0.")
    assert line.endswith("One seed supports no claim.")
    assert ladder == "No null of a component was run."
    summary = unescaped((tmp_path / "summary.md").read_text())
    header = "| Method | Paper HR@10 | Paper NDCG@10 | Full HR@10 | Full NDCG@10 | Runs |"
    assert header in summary
    rows = [x for x in summary.splitlines() if x.startswith("| RecBole (BPR) | 0.645 | 0.378 | 0.")]
    assert len(rows) == 1
