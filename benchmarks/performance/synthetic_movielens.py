"""A synthetic ratings.csv of MovieLens-25M's shape: nothing of the real data is in it.

Lengths of histories and popularity of movies are log-normal, as skewed as the real ones. The median
length is 71, the median popularity 6, and the most popular movie has 81,491 ratings. Nearly every
user rates 20 movies or more. Every movie is rated, and no pair occurs twice. Rows come user by
user, as in the real file. With fewer rows there are fewer users, and as many movies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS, USERS, ITEMS = 25_000_095, 162_541, 59_047  # of MovieLens-25M
LEAST = 20  # ratings a user
_LENGTH_WIDTH, _POPULARITY_WIDTH = 1.4, 3.0  # of the logarithms
_MOST_POPULAR = 0.005  # of all ratings, before a user's repeats are left out
_GENRES = ("Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Fantasy")
_START, _END = 789_652_009, 1_574_327_703  # Unix times


def write_ratings(path: Path, n_rows: int, seed: int = 0) -> dict[str, float]:
    """Write `n_rows` ratings as `path`; return the shape: users, items, rows and their skew.

    Raises ValueError for too few rows to give every movie one.
    """
    import pyarrow as pa
    from pyarrow import csv

    random = np.random.default_rng(seed)
    n_users = max(1, round(USERS * n_rows / ROWS))
    users, items = _pairs(n_rows, n_users, random)
    times = _times(users, n_users, random)
    stars = random.choice(np.arange(0.5, 5.5, 0.5, dtype=np.float32), n_rows)
    table = {"userId": users + 1, "movieId": items + 1, "rating": stars, "timestamp": times}
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(pa.table(table), path, csv.WriteOptions(quoting_style="none"))
    lengths, popularity = np.bincount(users), np.bincount(items)
    return {
        "rows": n_rows,
        "users": n_users,
        "items": int((popularity > 0).sum()),
        "median_length": float(np.median(lengths)),
        "longest": int(lengths.max()),
        "median_popularity": float(np.median(popularity)),
        "most_popular": int(popularity.max()),
    }


def write_movies(path: Path, seed: int = 0) -> None:
    """Write titles and genres for all ITEMS movies as `path`."""
    random = np.random.default_rng(seed)
    lines = ["movieId,title,genres"]
    for movie in range(1, ITEMS + 1):
        genres = random.choice(len(_GENRES), random.integers(1, 4), replace=False)
        names = "|".join(_GENRES[genre] for genre in sorted(genres))
        lines.append(f"{movie},Movie {movie} ({random.integers(1920, 2020)}),{names}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _pairs(n_rows: int, n_users: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n_rows,) users and items, user by user; no pair twice."""
    if n_rows < max(ITEMS, LEAST * n_users):
        raise ValueError(f"{n_rows} rows cannot give each of {ITEMS} movies one")
    weight = random.lognormal(0, _LENGTH_WIDTH, n_users)
    share = weight / weight.sum()
    popularity = random.lognormal(0, _POPULARITY_WIDTH, ITEMS)
    popularity = np.minimum(popularity, _MOST_POPULAR * popularity.sum())
    edges = np.cumsum(popularity / popularity.sum())
    first_users = random.integers(0, n_users, ITEMS)
    pairs = np.union1d(
        first_users.astype(np.int64) * ITEMS + np.arange(ITEMS),  # every movie once
        _drawn(np.repeat(np.arange(n_users), LEAST + 4), edges, random),  # and some are repeats
    )
    missing, more, n_drawn = n_rows - len(pairs), np.zeros(0, np.int64), 0
    while len(more) < missing:
        n_drawn += 2 * (missing - len(more)) + 100
        users = np.repeat(np.arange(n_users), random.multinomial(n_drawn, share))
        more = np.setdiff1d(np.union1d(more, _drawn(users, edges, random)), pairs, True)
    if missing < 0:
        raise ValueError(f"{n_rows} rows cannot give each of {n_users} users {LEAST}")
    pairs = np.sort(np.concatenate([pairs, random.permutation(more)[:missing]]))
    return pairs // ITEMS, pairs % ITEMS


def _drawn(users: np.ndarray, edges: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A movie by popularity for each of `users`, (N,), as pairs: user * ITEMS + movie."""
    items = np.minimum(np.searchsorted(edges, random.random(len(users))), ITEMS - 1)
    return users * ITEMS + items


def _times(users: np.ndarray, n_users: int, random: np.random.Generator) -> np.ndarray:
    """(N,) a user's ratings within some days of the user's first one."""
    start = random.integers(_START, _END - 40 * 86_400, n_users)
    return start[users] + (random.random(len(users)) ** 3 * 40 * 86_400).astype(np.int64)
