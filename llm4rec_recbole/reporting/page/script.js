"use strict";
// Sorting, and showing only one data set or one verdict. Without it the page shows everything.

// The number that a cell begins with; what has none sorts last, whichever the direction. A date
// and the digits of a hash are no numbers.
const numberIn = (cell) => {
  if (cell.querySelector("code")) return NaN;
  const found = cell.textContent.replace(/−/g, "-")
    .match(/^\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.:-])/);
  return found ? Number(found[1]) : NaN;
};

const sortBy = (head) => {
  const table = head.closest("table");
  const body = table.tBodies[0];
  const column = head.cellIndex;
  const rows = [...body.rows];
  const numeric = column > 0 && rows.some((row) => !Number.isNaN(numberIn(row.cells[column])));
  const first = numeric ? "descending" : "ascending"; // best first: most columns want more
  const other = numeric ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  const sign = order === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]];
    if (!numeric) return sign * x.textContent.localeCompare(y.textContent, "en", { numeric: true });
    const [n, m] = [numberIn(x), numberIn(y)];
    if (Number.isNaN(n) || Number.isNaN(m)) return Number.isNaN(n) - Number.isNaN(m);
    return sign * (n - m);
  });
  table.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  body.append(...rows);
};

document.querySelectorAll("table.sortable thead button").forEach((button) => {
  button.addEventListener("click", () => sortBy(button.closest("th")));
});

// A region takes the focus, for the arrow keys, only while there is something to scroll.
const regions = new ResizeObserver((seen) => seen.forEach(({ target }) => {
  target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
}));
document.querySelectorAll(".scroll").forEach((region) => regions.observe(region));

// A group of buttons of which at most one is pressed; pressing it again shows everything.
const onlyOne = (buttons, show) => {
  buttons.forEach((button) => {
    button.addEventListener("click", () => {
      const chosen = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.show;
      buttons.forEach((each) => {
        each.setAttribute("aria-pressed", String(each.dataset.show === chosen));
      });
      show(chosen);
    });
  });
};

const hideUnless = (selector, key) => (chosen) => {
  document.querySelectorAll(selector).forEach((each) => {
    each.hidden = chosen !== null && each.dataset[key] !== chosen;
  });
};

// A verdict opens the places in the paper that have it.
const hideOtherVerdicts = hideUnless("[data-verdict]", "verdict");
onlyOne([...document.querySelectorAll(".verdicts button")], (chosen) => {
  hideOtherVerdicts(chosen);
  document.querySelectorAll("details.claims").forEach((place) => {
    const rows = [...place.querySelectorAll("[data-verdict]")];
    place.open = chosen !== null && rows.some((row) => !row.hidden);
  });
});
onlyOne([...document.querySelectorAll(".settings button")], hideUnless("[data-setting]", "setting"));

// The leaderboard's filters: a row stays where it matches every one that is set.
const filters = document.querySelector("form.filters");
if (filters) {
  const rows = [...document.querySelector("table.board").tBodies[0].rows];
  const apply = () => {
    const chosen = [...filters.querySelectorAll("select")].filter((each) => each.value);
    rows.forEach((row) => {
      row.hidden = chosen.some((each) => row.dataset[each.name] !== each.value);
    });
    const left = rows.filter((row) => !row.hidden).length;
    filters.querySelector("output").value = `${left} of ${rows.length} rows`;
  };
  filters.hidden = false;
  filters.elements.ranking.selectedIndex = Math.min(1, filters.elements.ranking.length - 1);
  filters.addEventListener("change", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

// A link to a place opens it; paper shows all of them.
const openTarget = () => {
  const place = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const folded = place && place.closest("details");
  if (folded) { folded.open = true; place.scrollIntoView(); }
};
addEventListener("hashchange", openTarget);
openTarget();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));
