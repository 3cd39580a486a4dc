"""The LaTeX tables compile with booktabs, where a TeX is installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from llm4rec_recbole.cli import tables
from llm4rec_recbole.reporting.tables.datasets import NAME
from tests.helpers.fake_results import add_run, ranks_around

TEX = next((name for name in ("pdflatex", "lualatex", "tectonic") if shutil.which(name)), None)


def has_booktabs() -> bool:
    """Whether the TeX has the package: tectonic fetches it, others have a kpsewhich that knows."""
    if TEX is None or TEX == "tectonic" or not shutil.which("kpsewhich"):
        return TEX is not None
    return subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode == 0


@pytest.mark.skipif(
    not has_booktabs(), reason="no pdflatex, lualatex or tectonic with booktabs is installed"
)
@pytest.mark.parametrize("table", [*(f"table_{n}" for n in range(1, 6)), NAME])
def test_it_compiles(tmp_path, table):
    for method, middle in (("BPR", 40), ("EASE", 9), ("EnhancedGenRec", 5)):
        add_run(tmp_path / "results", method, ranks_around(middle))
    paths = ["--results", str(tmp_path / "results")]
    assert tables.compare(paths) == 0
    assert tables.tables([*paths, "--out", str(tmp_path)]) == 0
    assert (
        tables.dataset_table([*paths, "--other_results", str(tmp_path), "--out", str(tmp_path)])
        == 0
    )
    lines = [r"\documentclass{article}", r"\usepackage{booktabs,graphicx}", r"\begin{document}",
             rf"\input{{{table}.tex}}", r"\end{document}"]  # fmt: skip
    (tmp_path / "all.tex").write_text("\n".join(lines))
    options = [] if TEX == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    run = subprocess.run(
        [str(TEX), *options, "all.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Overfull" not in run.stdout
    assert (tmp_path / "all.pdf").stat().st_size > 0
