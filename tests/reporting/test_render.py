from __future__ import annotations

import pytest

from llm4rec_recbole.reporting.tables.render import Cell, Section, Table, to_latex, to_markdown

TABLE = Table(
    name="Table I",
    label="tab:x",
    title="Title & more",
    columns=[("", "Method"), ("Paper", "HR@10"), ("Full", "HR@10"), ("Full", "NDCG@10")],
    sections=[
        Section(
            "ml_100k",
            [
                [Cell("A|B"), Cell("0.7"), Cell("0.300", "best"), Cell("0.2", "second", True)],
                [Cell("C_D"), Cell("–"), Cell("0.100", marked=True), Cell("100 %")],
            ],
        )
    ],
    notes=["*: p < 0.05.", "50 % of {users}."],
)


def test_markdown():
    assert to_markdown(TABLE).splitlines() == [
        "# Table I. Title &amp; more",
        "",
        "## ml_100k",
        "",
        "| Method | Paper HR@10 | Full HR@10 | Full NDCG@10 |",
        "| --- | ---: | ---: | ---: |",
        r"| A\|B | 0.7 | **0.300** | <ins>0.2</ins>\* |",
        r"| C_D | – | 0.100\* | 100 % |",
        "",
        r"- \*: p < 0.05.",
        "- 50 % of {users}.",
    ]


def test_latex():
    assert to_latex(TABLE).splitlines()[1:] == [
        r"\begin{table*}",
        r"\centering",
        r"\caption{Title \& more. *: p $<$ 0.05. 50 \% of \{users\}.}",
        r"\label{tab:x}",
        r"\resizebox{\ifdim\width>\linewidth \linewidth\else \width\fi}{!}{%",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r" & \multicolumn{1}{c}{Paper} & \multicolumn{2}{c}{Full} \\",
        r"\cmidrule(lr){2-2}\cmidrule(lr){3-4}",
        r"Method & HR@10 & HR@10 & NDCG@10 \\",
        r"\midrule",
        r"\multicolumn{4}{l}{\textit{ml\_100k}} \\",
        r"A|B & 0.7 & \textbf{0.300} & \underline{0.2}$^{*}$ \\",
        r"C\_D & -- & 0.100$^{*}$ & 100 \% \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
    ]


def test_line_breaks_and_backslashes_cannot_break_a_row():
    table = Table("I", "t", "T", [("", "M")], [Section("s", [[Cell("a\nb\\c")]])])
    assert "| a b\\\\c |" in to_markdown(table)
    assert r"a b\textbackslash{}c \\" in to_latex(table)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("[x](javascript:alert)", r"[x\](javascript:alert)"),
        ("![x](http://a.b/c)", r"\![x\](http\://a.b/c)"),
        ("see https://a.b or www.a.b", r"see https\://a.b or www\.a.b"),
        ("<script> & &lt;", r"\<script> &amp; &amp;lt;"),
        ("a|b\n`c`", r"a\|b \`c\`"),
        ("[a][b], [a]: b, [^1]", r"[a\][b], [a\]: b, \[^1]"),
        ("_a_ *b* __init__ x_y", r"\_a\_ \*b\* \_\_init\_\_ x_y"),
        ("SASRec (2 of 30) [-1, 2] p < 0.05!", "SASRec (2 of 30) [-1, 2] p < 0.05!"),
    ],
)
def test_what_a_record_says_cannot_become_a_link_an_image_or_html(text, escaped):
    made = Table("I", "t", "T", [("", text)], [Section(text, [[Cell(text)]])], [text])
    assert to_markdown(made).splitlines() == [
        "# I. T", "", f"## {escaped}", "", f"| {escaped} |", "| --- |", f"| {escaped} |", "",
        f"- {escaped}",
    ]  # fmt: skip
