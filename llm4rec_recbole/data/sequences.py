"""User sequences, as S3-Rec, P5 and OpenP5 publish them: `user item item item …`, a user a line.

    sequences    1 1 2 3 4 5                        oldest first; there are no times
    attributes   {"4": [1, 2, 3], …}                item → numbers of its attributes
    ids          {"id2item": {"1": "B004…"}, …}     numbers → the ids of `titles`
    titles       B004756YJA lip gloss clear         original id, then words of the item's title
    texts        {"0": {"title": …, "description": "Diners, Greek"}}    item number − 1
    products     {"asin": "0310263662", "title": …, …}    Amazon's metadata of 2014 (amazon_2014.py)

The time of an interaction is its position in the user's sequence, from 1. That orders a user's own
interactions, as `loo` needs, and says nothing of two users': there is no `timeline`.

Attributes stay numbers: in the published files of Beauty and Sports their names do not belong to
them.
"""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.data.amazon_2014 import read_products
from llm4rec_recbole.data.lines import read_lines
from llm4rec_recbole.data.raw_log import BAD_ID, LogBuilder, RawData, is_id
from llm4rec_recbole.data.sequence_items import read_items
from llm4rec_recbole.data.source import Source
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.errors import InputError


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the files by role. Raises InputError for a broken file or a user that comes twice."""
    tally = Tally(files["sequences"], "interactions")
    log = LogBuilder()
    lines: dict[str, int] = {}
    for number, line in read_lines(files["sequences"]):
        if not line.strip():
            raise InputError("a blank line", file=files["sequences"], line=number)
        user, *items = line.split()
        if user in lines:
            message = f"user {user!r} has a sequence in line {lines[user]} already"
            raise InputError(message, file=files["sequences"], line=number)
        lines[user] = number
        tally.read += len(items)
        for position, item in enumerate(items, 1):
            if is_id(user) and is_id(item):
                log.add(user, item, position)
            else:
                tally.drop(BAD_ID, number)
    built = log.build()
    data = RawData(built, {"sequences": tally})
    if "products" in files:
        data.tallies["items"] = Tally(files["products"], "products")
        data.items = read_products(files["products"], data.tallies["items"])
    else:
        data.items, tallies = read_items(files, list(built.item_tokens))
        data.tallies.update(tallies)
    return data
