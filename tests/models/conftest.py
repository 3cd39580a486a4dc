"""The fixtures of tests/two_cycles.py."""

from two_cycles import options, own_folder, two_cycles  # noqa: F401
