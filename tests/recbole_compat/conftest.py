"""The fixtures of tests/tiny_data.py."""

from tiny_data import dataset, own_folder, write  # noqa: F401
