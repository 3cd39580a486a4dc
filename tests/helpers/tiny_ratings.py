"""A small data set to fetch: 20,000 ratings, and a file of users that is optional."""

from __future__ import annotations

import hashlib

from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile

RATINGS = b"".join(b"%d::%d::5::%d\n" % (n, n % 7, 978300760 + n) for n in range(20_000))
SUM = hashlib.sha256(RATINGS).hexdigest()


def spec(url: str | None = None, **changes) -> DatasetSpec:
    files = {"ratings": [RawFile(name="ratings.dat", sha256=SUM, url=url)]}
    files["users"] = [RawFile(name="users.dat", optional=True)]
    return DatasetSpec(
        dataset="tiny",
        format="movielens_dat",
        files=files,
        homepage="https://example.org",
        **changes,
    )
