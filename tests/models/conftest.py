"""The fixtures of tests/rings.py."""

from rings import options, own_folder, rings  # noqa: F401
