"""Copy generated tables into README.md, between markers, so that no number there is typed.

<!-- generated: paper_tables/table_1.md -->
…
<!-- end -->

Of a drawing (.svg) the README gets a link, whose alternative text is the drawing's description.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from llm4rec_recbole.errors import InputError

_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, folder: Path) -> str:
    """`text` with the body of each marked block replaced by its file's, headings left out.

    Raises InputError when a marked file does not exist.
    """

    def body(block: re.Match[str]) -> str:
        path = folder / block[2]
        if not path.is_file():
            raise InputError("README.md shows this file, and it is not there", file=path)
        if path.suffix == ".svg":
            return f"{block[1]}![{_description(path)}]({block[2]})\n{block[3]}"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("# ")]
        return block[1] + "\n".join(kept).strip().replace("\n## ", "\n### ") + "\n" + block[3]

    return _BLOCK.sub(body, text)


def _description(drawing: Path) -> str:
    """The <desc> of a drawing, in one line that cannot end the link."""
    found = re.search(r"<desc>(.*?)</desc>", drawing.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise InputError("the drawing has no description", file=drawing)
    return re.sub(r"([\[\]\\])", r"\\\1", " ".join(unescape(found[1]).split()))
