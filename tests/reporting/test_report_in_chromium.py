"""The report page in a real browser: it loads without a complaint, and its buttons work."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.helpers.chromium import Chromium

# Presses every button of every table's head, twice.
SORT = """(() => {
const texts = (table, column) => [...table.tBodies[0].rows].map((r) => r.cells[column].textContent);
const sorted = [];
[...document.querySelectorAll("table.sortable")].forEach((table, n) => {
  table.querySelectorAll("thead button").forEach((button) => {
    const head = button.closest("th");
    for (let click = 0; click < 2; click += 1) {
      button.click();
      sorted.push({ table: n, column: head.cellIndex, name: head.textContent,
        order: head.getAttribute("aria-sort"), shown: texts(table, head.cellIndex) });
    }
  });
});
return sorted;
})()"""
# Which of the controls that are seen cannot be reached with the Tab key.
UNREACHED = """(() => {
const seen = [...document.querySelectorAll("button, a[href], summary, input, select")]
  .filter((each) => each.checkVisibility());
return { seen: seen.length, unreached: seen.filter((each) => {
  each.focus();
  return document.activeElement !== each || each.tabIndex < 0;
}).map((each) => each.outerHTML) };
})()"""
# The head of Table I whose numbers are read, and these numbers.
COLUMN = """(() => {
const table = document.querySelector("#accuracy table.sortable");
const head = table.tHead.rows[1].cells[COLUMN];
return { order: head.getAttribute("aria-sort"),
  shown: [...table.tBodies[0].rows].map((row) => row.cells[COLUMN].textContent) };
})()"""


@pytest.fixture(scope="module")
def clicks(browser: Chromium) -> list[dict[str, Any]]:
    return browser.run(SORT)


def shown(browser: Chromium, selector: str) -> int:
    """How many are not hidden."""
    return browser.run(
        f"[...document.querySelectorAll('{selector}')].filter((each) => !each.hidden).length"
    )


def click(browser: Chromium, selector: str) -> None:
    browser.run(f"document.querySelector('{selector}').click()")


def test_it_opens_without_an_error_or_a_warning(browser, clicks):
    assert browser.said == []


def test_nothing_is_fetched(browser, clicks, report_page):
    assert {url for url in browser.fetched if not url.startswith("data:")} == {report_page.as_uri()}


def test_every_column_of_every_table_sorts_both_ways(clicks):
    assert len(clicks) > 100
    for each in clicks:
        texts = each["shown"]
        if each["column"] == 0 or not any(number(text) is not None for text in texts):
            continue
        if each["name"] == "Options":
            continue  # hashes, some of which are digits only
        known = [n for text in texts if (n := number(text)) is not None]
        descending = each["order"] == "descending"
        assert known == sorted(known, reverse=descending), each
        last = [number(text) for text in texts][len(known) :]
        assert set(last) <= {None}, "what has no number stands last"


def test_a_second_click_turns_the_order_round(clicks):
    pairs = [*zip(clicks[::2], clicks[1::2])]
    assert all({a["order"], b["order"]} == {"ascending", "descending"} for a, b in pairs)


@pytest.mark.parametrize("name", ["Options", "Started", "Commit"])
def test_hashes_and_dates_are_sorted_as_text(clicks, name):
    orders = {
        each["order"]: [text for text in each["shown"] if text != "–"]
        for each in clicks
        if each["name"] == name
    }
    assert len(set(orders["ascending"])) > 1
    assert orders["ascending"] == sorted(orders["ascending"], key=runs_of_digits)
    assert orders["descending"] == sorted(orders["ascending"], key=runs_of_digits, reverse=True)


@pytest.mark.parametrize(("key", "column"), [("Enter", 3), (" ", 4)])
def test_a_column_is_sorted_from_the_keyboard(browser, key, column):
    """Tab goes to the head's button, Enter or Space presses it, once more turns the order round."""
    script = COLUMN.replace("COLUMN", str(column))
    before = browser.run(script)
    browser.run(
        "document.querySelector('#accuracy table.sortable').tHead.rows[1]"
        f".cells[{column - 1}].querySelector('button').focus()"
    )
    browser.press("Tab")
    orders = []
    for _ in range(2):
        browser.press(key)
        after = browser.run(script)
        numbers = [n for text in after["shown"] if (n := number(text)) is not None]
        orders.append(after["order"])
        assert len(numbers) > 5
        assert numbers == sorted(numbers, reverse=after["order"] == "descending")
        assert sorted(after["shown"]) == sorted(before["shown"])
    assert {*orders} == {"ascending", "descending"}
    assert before["order"] != orders[0]


def test_verdicts_can_be_shown_alone_and_together_again(browser):
    everything = shown(browser, "[data-verdict]")
    click(browser, ".verdicts .contradicted")
    alone = shown(browser, "[data-verdict]"), shown(browser, "[data-verdict=contradicted]")
    click(browser, ".verdicts .contradicted")
    assert everything == shown(browser, "[data-verdict]") > alone[0] == alone[1] > 0


def test_the_leaderboard_is_filtered(browser):
    def set_filter(name: str, value: str) -> None:
        field = f"document.querySelector('form.filters').elements.{name}"
        browser.run(f"{field}.value = '{value}'")
        browser.run(f"{field}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    rows = "table.board tbody tr"
    full = shown(browser, rows)
    assert 0 < full == shown(browser, f"{rows}[data-ranking=Full]")
    set_filter("group", "reference")
    references = shown(browser, rows)
    assert 0 < references == shown(browser, f"{rows}[data-group=reference]") < full
    set_filter("group", "")
    set_filter("ranking", "")
    assert shown(browser, rows) == 3 * full
    set_filter("ranking", "Full")


def test_a_link_to_a_place_in_the_paper_unfolds_its_claims(browser):
    assert browser.run("document.querySelectorAll('details[open]').length") == 0
    browser.run("document.querySelector('table.matrix a').click()")
    browser.run("new Promise((done) => setTimeout(done, 200))")
    assert browser.run("document.querySelectorAll('details[open]').length") == 1
    browser.run("document.querySelector('details[open]').open = false")


def test_a_data_set_and_protocol_can_be_shown_alone(browser):
    assert shown(browser, "[data-setting$=temporal]") > 0
    click(browser, ".settings button")
    assert shown(browser, "[data-setting$=temporal]") == 0 < shown(browser, "[data-setting$=loo]")
    click(browser, ".settings button")
    assert shown(browser, "[data-setting$=temporal]") > 0


def test_every_control_is_reached_by_keyboard(browser):
    found = browser.run(UNREACHED)
    assert found["seen"] > 50
    assert found["unreached"] == []


def test_it_prints(browser):
    pages = len(re.findall(rb"/Type ?/Page\b", browser.pdf()))
    assert pages >= 5


def runs_of_digits(text: str) -> list[tuple[int, str]]:
    """A key that has seed_2 before seed_10."""
    parts = re.findall(r"(\d+)|(\D+)", text)
    return [(int(digits or -1), letters) for digits, letters in parts]


def number(text: str) -> float | None:
    found = re.match(r"\s*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)(?![\w.:-])", text.replace("−", "-"))
    return float(found[1]) if found else None
