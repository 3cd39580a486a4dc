"""Hypothesis without deadlines: how long an example takes tells of the machine's other work."""

from hypothesis import settings
from trained_models import adaptive, cycle_data, trained_options, two_cycles  # noqa: F401

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
