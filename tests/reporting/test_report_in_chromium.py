"""The report page in a real browser: it loads without a complaint, and its buttons work."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((n for n in ("chromium", "chromium-browser", "google-chrome") if shutil.which(n)),
                None)  # fmt: skip
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr", "--window-size=500,900")  # fmt: skip

# Runs in the page; what it finds is left in the page for `--dump-dom` to print.
PROBE = """
const texts = (table, column) => [...table.tBodies[0].rows].map((r) => r.cells[column].textContent);
const tables = [...document.querySelectorAll("table.sortable")];
const sorted = [];
tables.forEach((table, n) => table.querySelectorAll("thead button").forEach((button) => {
  const head = button.closest("th");
  for (let click = 0; click < 2; click += 1) {
    button.click();
    sorted.push({ table: n, column: head.cellIndex, order: head.getAttribute("aria-sort"),
      shown: texts(table, head.cellIndex), rows: table.tBodies[0].rows.length });
  }
}));
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = (selector) => all(selector).filter((each) => !each.hidden).length;
const press = (selector) => document.querySelector(selector).click();
const verdicts = [shown("[data-verdict]")];
press(".verdicts .contradicted");
verdicts.push(shown("[data-verdict]"), shown("[data-verdict=contradicted]"));
press(".verdicts .contradicted");
verdicts.push(shown("[data-verdict]"));
const places = [shown("[data-place$=timeline]")];
press(".places button");
places.push(shown("[data-place$=timeline]"), shown("[data-place$=loo]"));
const outside = all("svg text").filter((text) => {
  const [box, sheet] = [text.getBBox(), text.closest("svg").viewBox.baseVal];
  return box.x < -1 || box.x + box.width > sheet.width + 1;
}).map((text) => text.textContent);
const controls = all("button, a[href], summary, input, select");
const unreached = controls.filter((each) => {
  if (each.getClientRects().length === 0) return false; // nobody sees it
  each.focus();
  return document.activeElement !== each || each.tabIndex < 0;
}).map((each) => each.outerHTML);
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify({ sorted, verdicts, places, outside, unreached,
  controls: controls.length, errors: window.errors,
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
  wide: document.documentElement.scrollWidth - window.innerWidth });
document.body.append(probe);
"""
CATCH = "window.errors = []; window.onerror = (said) => { window.errors.push(String(said)); };"


# The page around the report: Chromium opens no window as narrow as a phone.
PHONE = """
<iframe width="360" height="640"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument.documentElement;
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify({ width: page.clientWidth, needed: page.scrollWidth });
  document.body.append(probe);
};
frame.srcdoc = REPORT;
</script>
"""


@pytest.fixture(scope="module")
def seen(report_page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the probe saw, and under "log" what the browser's console said."""
    folder = tmp_path_factory.mktemp("chromium")
    text = report_page.read_text(encoding="utf-8")
    text = text.replace("<head>", f"<head><script>{CATCH}</script>")
    copy = folder / "report.html"
    copy.write_text(text.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    run = browse(copy, "--dump-dom")
    log = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    return probed(run) | {"log": log}


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={page.parent / 'profile'}", *options]
    return subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=300, check=True
    )


def probed(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = re.search(r'<pre id="probe">(.*?)</pre>', run.stdout, re.DOTALL)
    assert found, run.stdout[-500:] + run.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def test_it_opens_without_an_error_or_a_warning(seen):
    assert seen["errors"] == []
    assert seen["log"] == []


def test_nothing_is_fetched(seen):
    assert seen["fetched"] == []


def test_every_column_of_every_table_sorts_both_ways(seen):
    assert len(seen["sorted"]) > 100
    for click in seen["sorted"]:
        if click["column"] == 0 or not any(number(text) is not None for text in click["shown"]):
            continue
        known = [n for text in click["shown"] if (n := number(text)) is not None]
        descending = click["order"] == "descending"
        assert known == sorted(known, reverse=descending), click
        last = [number(text) for text in click["shown"]][len(known) :]
        assert set(last) <= {None}, "what has no number stands last"


def test_a_second_click_turns_the_order_round(seen):
    pairs = [*zip(seen["sorted"][::2], seen["sorted"][1::2])]
    assert all({a["order"], b["order"]} == {"ascending", "descending"} for a, b in pairs)


def test_verdicts_and_places_can_be_shown_alone_and_together_again(seen):
    everything, alone, contradicted, again = seen["verdicts"]
    assert everything == again > alone == contradicted > 0
    before, hidden, left = seen["places"]
    assert (before > 0, hidden, left > 0) == (True, 0, True)


def test_in_a_narrow_window_the_page_is_not_wider_than_the_screen(seen):
    assert seen["wide"] <= 0


def test_on_a_phone_the_page_is_not_wider_than_the_screen(report_page, tmp_path):
    report = json.dumps(report_page.read_text(encoding="utf-8")).replace("</", "<\\/")
    page = tmp_path / "phone.html"
    page.write_text(PHONE.replace("REPORT", report), encoding="utf-8")
    found = probed(browse(page, "--dump-dom", "--virtual-time-budget=20000"))
    assert 340 <= found["width"] <= 360
    assert found["needed"] <= found["width"]


def test_every_control_is_reached_by_keyboard(seen):
    assert seen["controls"] > 50
    assert seen["unreached"] == []


def test_it_prints(report_page, tmp_path):
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_bytes(report_page.read_bytes())
    browse(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type ?/Page\b", paper.read_bytes()))
    assert pages >= 5


def test_no_figure_cuts_its_words_off(seen):
    assert seen["outside"] == []


def number(text: str) -> float | None:
    found = re.match(r"\s*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)", text.replace("−", "-"))
    return float(found[1]) if found else None
