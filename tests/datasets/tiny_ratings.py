"""A small data set to fetch: 20,000 ratings, and users that may be missing."""

from __future__ import annotations

import hashlib

from llm4rec_recbole.datasets.spec import RawFile, Source

RATINGS = b"".join(b"%d::%d::5::%d\n" % (n, n % 7, 978300760 + n) for n in range(20_000))
SUM = hashlib.sha256(RATINGS).hexdigest()


def source(url: str | None = None, **changes) -> Source:
    files = {"ratings": [RawFile("ratings.dat", sha256=SUM, url=url)]}
    files["users"] = [RawFile("users.dat", optional=True)]
    return Source("toy", "movielens_dat", files, home="https://example.org", **changes)
