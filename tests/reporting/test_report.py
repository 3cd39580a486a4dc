"""The report page, as a file: whole, self-contained, labelled, and true to what it was made of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from llm4rec_recbole.cli import tables
from llm4rec_recbole.reporting.page.model_outputs import faithfulness, recommendations
from llm4rec_recbole.reporting.page.render import words
from tests.helpers.fake_model_outputs import FAITHFUL, REASON, add_answer
from tests.helpers.fake_report import make_report
from tests.helpers.fake_results import add_run, ranks_around

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Page(HTMLParser):
    """Every start tag with its attributes; raises where an end tag does not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def each(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


@pytest.fixture(scope="module")
def page(report_page: Path) -> Page:
    return Page(report_page.read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_every_id_is_there_once(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in page.each("a") if a["href"].startswith("#")}
    targets |= {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert targets <= set(ids)


def test_nothing_is_fetched_from_elsewhere(page, report_page):
    text = report_page.read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    assert "http:" not in text
    assert "https:" not in text
    links = [a[key] for _, a in page.tags for key in ("src", "href", "srcset") if key in a]
    elsewhere = [link for link in links if re.match(r"(?!data:)\w+:|//", link)]
    assert elsewhere == []  # a link to a record or to options is relative


def test_every_figure_says_in_words_what_it_shows(page):
    drawings = [*page.each("svg")]
    assert len(drawings) >= 8
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert len(drawing["aria-label"]) > 40
    assert not [*page.each("img")]


def test_tables_have_heads_and_are_scrolled_and_sorted_by_keyboard(page):
    parts = [a for a in page.each("details") if a.get("class") == "claims"]
    assert len(parts) > 5
    # Tables of two protocols; all data sets, power, sentences, faithfulness, replay, runs, the
    # leaderboard, verdicts; few interactions on three committed data sets; claims.
    assert sum(1 for _ in page.each("table")) == 5 * 2 + 8 + 3 + len(parts)
    regions = [a for a in page.each("div") if a.get("class") == "scroll"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    assert all(a["type"] == "button" for a in page.each("button"))
    assert all("scope" in a for a in page.each("th"))


def test_the_first_sentence_answers_and_the_leaderboard_links_to_records(page, report_page):
    text = report_page.read_text(encoding="utf-8")
    assert re.search(r"</h1><p class=\"answer\">Not as printed\. Our runs support \d+ of", text)
    links = [a["href"] for a in page.each("a") if a["href"].endswith(".json")]
    assert links
    assert [link for link in links if not (report_page.parent / unquote(link)).is_file()] == []
    rows = [a for a in page.each("tr") if "data-ranking" in a]
    assert {a["data-ranking"] for a in rows} == {"Full", "Uniform-100", "Popular-100"}
    assert {"ours", "baseline", "reference", "part"} <= {a["data-group"] for a in rows}


def test_it_is_small_and_has_a_style_for_print_dark_and_phone(report_page):
    assert report_page.stat().st_size < 3 * 2**20
    text = report_page.read_text(encoding="utf-8")
    for feature in ("@media print", "prefers-color-scheme: dark", "max-width: 640px", "viewport"):
        assert feature in text


def test_all_parts_are_there(page):
    for expected in ("Table I.", "Table II.", "Table III.", "Table IV.", "Table V.",
                 "EnhancedGenRec", "out of <memory>", "may be chance", "Started"):  # fmt: skip
        assert expected in page.text, expected
    titles = " ".join(a["aria-label"] or "" for a in page.each("svg"))
    for kind in ("Forest plot", "HR@10 of 6 methods", "SASRec reaches 0.101 after epoch 4"):
        assert kind in titles, kind


def test_what_comes_from_files_cannot_become_markup(page, report_page):
    assert "<Fargo>" in page.text
    assert "<fargo>" not in report_page.read_text(encoding="utf-8").lower()
    assert "written by SmolLM2-135M; evidence: similar Fargo, 0.831" in page.text
    refused = "by template (the language model's sentence: '<Heat>' is a title; too long)"
    assert f"similarity template, {refused}; evidence: " in page.text


def rows_of(report_page: Path, part: str) -> list[list[str]]:
    """The texts of the rows of the tables in a part of the page."""
    section = report_page.read_text(encoding="utf-8").split(f'<section id="{part}"')[1]
    section = section.split("</section>")[0]
    rows = re.findall(r"<tr[^>]*>(<th scope=\"row\">.*?)</tr>", section)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells]


def test_faithfulness_has_its_interval_and_who(report_page):
    (row,) = rows_of(report_page, "faithfulness")
    assert row == ["EnhancedGenRec, seed 1", "940", "3", "0.75", "0.625", "0.5",
                   "+0.125 [+0.0625, +0.188]", "+0.25 [+0.125, +0.375]", "0.40", "1e-09", "0.0001",
                   "62 %", "yes"]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.1, 0.1, "no"), (0.0, 0.0, "no"), (-0.2, -0.1, "the other way")],
)
def test_an_interval_that_contains_0_is_not_faithful(tmp_path, low, high, expected):
    add_answer(tmp_path, "faithfulness", FAITHFUL | {"low_popular": low, "high_popular": high})
    assert f"<td>{expected}</td></tr>" in faithfulness(tmp_path)


def test_the_sentences_have_their_variety_and_support(report_page):
    """Both sentences are "Because you liked <Fargo>."; one claim of two of the model's holds."""
    rows = rows_of(report_page, "people")
    assert rows == [
        ["shown", "2", "0.500", "0.500", "100 %", "50 %", "2", "100 %"],
        ["the language model&#39;s own", "2", "0.714", "0.800", "0 %", "0 %", "2", "50 %"],
    ]


def test_replay_has_a_row_for_each_way_of_learning(page, report_page):
    assert rows_of(report_page, "learning") == [
        ["frozen", "0.1250", "+0.0000 [+0.0000, +0.0000]", "0.5000 → 0.5000", "+0.0000", "0.0",
         "0.0 %"],
        ["selective", "0.1250", "+0.0625 [−0.0312, +0.1562]", "0.5000 → 0.2500", "+0.2500", "12.3",
         "10.0 %"],
    ]  # fmt: skip
    assert "ml-100k, loo: EnhancedGenRec, seed 1, 300 events of 41 users" in page.text


def test_models_are_shown_by_data_set_and_protocol(tmp_path):
    for protocol in ("loo", "temporal"):
        add_answer(tmp_path, "explanations", [REASON], protocol)
    shown = recommendations(tmp_path)
    assert shown.index('data-setting="ml-100k, loo"') < shown.index("ml-100k, temporal: Enhanced")
    assert shown.count("<article>") == 2


def test_each_run_is_traced_to_its_record(page):
    assert "runs/ml-100k/loo/SASRec/seed_1.json" in page.text
    shown = [a.get("title") for a in page.each("code")]
    assert "b" * 40 in shown
    assert "The runs differ in git commit" in page.text


def test_missing_runs_and_missing_values_are_reported(tmp_path):
    results = tmp_path / "results"
    for method in ("BPR", "EASE"):
        add_run(results, method, ranks_around(9), valid=None)
    assert tables.compare(["--results", str(results)]) == 0
    assert make_report(results) == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "the paper's model has no result (not run)" in page.text
    assert "of the 2 methods that ran (GenRec, P5, LightGCN, " in page.text
    assert "No run record holds the validation scores" in page.text
    for kind in ("explanations", "faithfulness", "replay"):
        assert f"there is nothing in results/{kind}." in page.text


def test_one_method_alone_makes_a_page_without_a_forest_plot(tmp_path):
    results = tmp_path / "results"
    add_run(results, "Pop", ranks_around(9))
    assert tables.compare(["--results", str(results)]) == 0
    assert make_report(results) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Forest plot, " not in text  # of one data set
    assert "HR@10 of 1 methods" in text


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("explanations", "[", "not JSON"),
        ("explanations", "{}", "not a list"),
        ("explanations", '[{"user": 1}]', "recommendation 1 has no item, title"),
        ("explanations", "[3]", "recommendation 1 has no user"),
        ("explanations", json.dumps([REASON | {"problems": "x"}]), "1: problems is no list"),
        ("explanations", json.dumps([REASON | {"claims": ["x"]}]), "1: a claim is not [kind"),
        (
            "explanations",
            json.dumps([REASON | {"claims": [["item", "Alien", []]]}]),
            "1: a claim is not [kind",
        ),
        ("explanations", json.dumps([REASON | {"sentence": 3}]), "1: sentence is no text"),
        ("faithfulness", '{"users": 3}', "no number for left_out, drop_cited"),
        ("faithfulness", "[]", "no number for users"),
        ("faithfulness", json.dumps(FAITHFUL | {"low": float("nan")}), "not a finite number: NaN"),
        ("faithfulness", json.dumps(FAITHFUL | {"users": True}), "no number for users"),
        ("faithfulness", json.dumps(FAITHFUL | {"high": 10**400}), "not a finite number: 1000"),
        ("replay", "{}", "no record of a replay"),
        ("replay", '{"events": 1, "users": 1, "rules": {"sgd": {}}}', "no number for score"),
    ],
)
def test_a_bad_answer_is_reported_in_one_line_and_the_old_page_stays(
    tmp_path, full_results, kind, content, expected, capsys
):
    results = tmp_path / "results"
    shutil.copytree(full_results, results)
    (tmp_path / "report.html").write_text("old")
    add_answer(results, kind, None).write_text(content)
    assert make_report(results) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"/{kind}/ml-100k/loo/EnhancedGenRec/seed_1.json:" in error
    assert expected in error
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_broken_history_is_named(tmp_path, full_results, capsys):
    results = tmp_path / "results"
    shutil.copytree(full_results, results)
    path = results / "runs/ml-100k/loo/SASRec/seed_1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"history": [{"ndcg@10": 0.1}]}))
    assert make_report(results) == 2
    assert "seed_1.json: there is no history.0.epoch" in capsys.readouterr().err


def test_the_readmes_figure_is_a_drawing_of_its_own(report_page):
    drawn = ElementTree.parse(report_page.parent / "rankings.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert drawn.tag == f"{space}svg"
    assert "HR@10 of 6 methods" in (drawn.findtext(f"{space}desc") or "")
    assert "prefers-color-scheme" in (drawn.findtext(f"{space}style") or "")


def test_the_report_starts_without_torch_recbole_pandas_or_scipy():
    modules = "llm4rec_recbole.cli.tables, llm4rec_recbole.reporting.page.report"
    script = f"import sys, {modules}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "recbole", "pandas", "scipy"} & set(run.stdout.split())


def test_what_belongs_together_stays_in_one_line_and_long_names_may_end_one():
    assert words("-1.5 % [-2.4, -0.6], p 9.5e-08") == (
        '<span class="whole">−1.5 %</span> <span class="whole">[−2.4, −0.6]</span>, '
        '<span class="whole">p 9.5e-08</span>'
    )
    assert words("GenRec_none on Uniform-100, <b>") == "GenRec_<wbr>none on Uniform-100, &lt;b&gt;"


def test_each_measurement_of_a_claim_has_a_line_of_its_own(report_page):
    claims = report_page.read_text(encoding="utf-8").split('<section id="claims"')[1]
    lines = re.findall(r'<span class="line">(.*?);? ?</span>(?=<span class="line">|</td>)', claims)
    assert len(lines) > 8
    assert all(re.match(r"ml-100k, (loo|temporal)", line) for line in lines)


def test_titles_users_and_errors_from_files_are_escaped(tmp_path):
    nasty = REASON | {"user": "<u>", "sentence": '"><script>x</script>', "title": "a & <b>"}
    add_answer(tmp_path, "explanations", [nasty])
    shown = str(recommendations(tmp_path))
    assert "<script" not in shown
    assert "<h3>User &lt;u&gt;</h3>" in shown
    assert "<b>a &amp; &lt;b&gt;</b>" in shown
