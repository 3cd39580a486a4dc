"""What is read fits, and can be read: on a wide screen, on a phone, on paper, light and dark."""

from __future__ import annotations

import pytest

from tests.helpers.chromium import Chromium

# What sticks out of the page, px; regions that have to be scrolled sideways, with the px they lack;
# regions that the Tab key goes to though nothing scrolls there, or does not though something does.
FIT = """(() => {
const page = document.documentElement;
const seen = [...document.querySelectorAll(".scroll")].filter((e) => e.getClientRects().length);
return { page: page.scrollWidth - page.clientWidth,
  scrolled: seen.filter((e) => e.scrollWidth > e.clientWidth)
    .map((e) => [e.getAttribute("aria-label"), e.scrollWidth - e.clientWidth]),
  unreached: seen.filter((e) => (e.scrollWidth > e.clientWidth) !== (e.tabIndex === 0))
    .map((e) => e.getAttribute("aria-label")) };
})()"""
# Texts of figures that are cut off at an edge of their drawing.
CUT = """[...document.querySelectorAll("svg text")].filter((text) => {
  const [box, sheet] = [text.getBBox(), text.closest("svg").viewBox.baseVal];
  return box.x < -.5 || box.y < -.5 || box.x + box.width > sheet.width + .5
    || box.y + box.height > sheet.height + .5; // half a px, since none is drawn
}).map((text) => text.textContent)"""
# Pairs of texts of one figure that lie on each other.
COVERED = """[...document.querySelectorAll("svg")].flatMap((svg) => {
  const all = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBBox()]);
  return all.flatMap(([said, a], n) => all.slice(n + 1).filter(([, b]) =>
    Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 1 &&
    Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 4
  ).map(([other]) => `${said} / ${other}`));
})"""
# The size in px, as it is seen, of the smallest type of figures and tables.
SMALLEST = """Math.min(...[...document.querySelectorAll("svg text, td, tbody th, .notes")]
  .filter((each) => each.getClientRects().length).map((each) => {
    const svg = each.closest("svg");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    return parseFloat(getComputedStyle(each).fontSize) * scale;
  }))"""
# Words in tables that go on in another line, where there is no hyphen or underscore to end at.
BROKEN = """(() => {
const broken = [];
document.querySelectorAll("th, td, .findings li").forEach((cell) => {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    for (const word of node.data.matchAll(/[^\\s_\\-/–—]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (tops.size > 1) broken.push(word[0]);
    }
  }
});
return broken;
})()"""
# Elements that stick out of the card of the claim they belong to.
OUT_OF_CARDS = """[...document.querySelectorAll("table.cards")].flatMap((table) => {
  const edge = table.closest("section").getBoundingClientRect().right;
  return [...table.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > edge)
    .map((e) => e.textContent);
})"""
# The verdicts of the claims, in the order that the claims stand in.
VERDICTS = """[...document.querySelectorAll("#claims-table-i-improve tbody tr")]
  .map((row) => row.cells[4].textContent)"""


@pytest.fixture
def screen(browser):
    """Sets the window; it is 1280 px wide again afterwards."""

    def resize(width: int) -> Chromium:
        browser.screen(width, phone=width < 640)
        browser.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        return browser

    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    yield resize
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
    browser.media()
    resize(1280)


def test_at_1280_px_no_table_and_no_figure_has_to_be_scrolled(screen):
    found = screen(1280).run(FIT)
    assert found == {"page": 0, "scrolled": [], "unreached": []}


def test_at_1280_px_the_claims_columns_have_room_for_their_words(screen):
    """No column of text is as narrow as the seven ems that once made towers of words."""
    heads = "[...document.querySelectorAll('#claims-table-i-improve thead th')].slice(1)"
    widths = screen(1280).run(f"""{heads}
      .map((th) => th.offsetWidth / parseFloat(getComputedStyle(th).fontSize))""")
    assert len(widths) == 5
    assert min(widths) > 10


@pytest.mark.parametrize("width", [360, 390, 700, 1000, 1280, 1920])
def test_no_width_lets_the_page_or_a_claim_stick_out_or_breaks_a_word(screen, width):
    page = screen(width)
    assert page.run("window.innerWidth") == width
    found = page.run(FIT)
    assert found["page"] == 0
    assert found["unreached"] == []
    claims = [
        lacking for name, lacking in found["scrolled"] if name.startswith("Claims of the paper")
    ]
    assert claims == []
    assert page.run(OUT_OF_CARDS) == []
    assert page.run(BROKEN) == []


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_the_smallest_type_can_be_read(screen, width):
    assert screen(width).run(SMALLEST) >= 11


def test_no_figure_cuts_its_words_off_or_writes_one_on_another(screen):
    page = screen(1280)
    assert page.run("document.querySelectorAll('svg text').length") > 100
    training = page.run("document.querySelector('#training svg').textContent")
    assert "EnhancedGenRec" in training
    assert page.run(CUT) == []
    assert page.run(COVERED) == []


def test_the_room_left_for_a_name_is_enough_in_a_wide_typeface(screen):
    """Names are drawn in a typeface of the reader's; Verdana and its like are the widest."""
    page = screen(1280)
    page.run("""document.head.insertAdjacentHTML("beforeend", `<style id="wide">
      .figure text { font-family: "DejaVu Sans", Verdana, sans-serif !important; }</style>`)""")
    cut = page.run(CUT)
    page.run("document.querySelector('#wide').remove()")
    assert cut == []


def test_on_a_phone_the_claims_can_be_sorted(screen):
    page = screen(390)
    buttons = "[...document.querySelectorAll('#claims-table-i-improve thead button')]"
    heights = page.run(f"{buttons}.map((each) => each.getBoundingClientRect().height)")
    assert len(heights) == 6
    assert min(heights) >= 24  # WCAG 2.5.8: a target for a finger
    page.run(f"{buttons}[4].click()")
    first = page.run(VERDICTS)
    page.run(f"{buttons}[4].click()")
    second = page.run(VERDICTS)
    assert first != second
    assert {tuple(first), tuple(second)} == {
        tuple(sorted(first)),
        tuple(sorted(first, reverse=True)),
    }


def test_on_paper_nothing_is_scrolled_out_of_sight(screen):
    """A4 with Chromium's margins is some 718 px wide."""
    page = screen(718)
    page.media("print")
    assert page.run(FIT)["scrolled"] == []
    assert page.run(CUT) == []
    assert page.run(BROKEN) == []


def test_on_paper_the_names_of_columns_come_again_on_the_next_page(screen):
    """Chromium leaves buttons out of a repeated head, so on paper the names are plain text."""
    page = screen(718)
    script = """[...new Set([...document.querySelectorAll("thead button")]
      .map((each) => getComputedStyle(each).display))]"""
    assert page.run(script) == ["inline-block"]
    page.media("print")
    assert page.run(script) == ["contents"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrasts_with_its_background(screen, scheme):
    """A contrast of 4.5, as WCAG 1.4.3 asks, between the page's inks and its sheets."""
    page = screen(1280)
    page.media("screen", scheme)
    found = page.run("""(() => {
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
      document.body.style.outlineColor = style.getPropertyValue(name);
      const [r, g, b] = getComputedStyle(document.body).outlineColor.match(/[\\d.]+/g)
        .slice(0, 3).map((x) => x / 255).map((x) => x <= .04045 ? x / 12.92
          : ((x + .055) / 1.055) ** 2.4);
      return .2126 * r + .7152 * g + .0722 * b;
    };
    return ["--ink", "--muted", "--link", "--yes", "--no", "--contradicted", "--open"].flatMap(
      (ink) => ["--sheet", "--ground", "--tint"].map((ground) => {
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        return [ink, ground, (a + .05) / (b + .05)];
      }));
    })()""")
    assert len(found) == 21
    assert [each for each in found if each[2] < 4.5] == []
