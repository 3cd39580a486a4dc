"""The fixtures of tests/rings.py."""

from rings import one_item, options, own_folder, rings  # noqa: F401
