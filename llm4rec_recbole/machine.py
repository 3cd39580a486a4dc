"""The machine that a run uses."""

from __future__ import annotations

import platform


def processor_name() -> str:
    """The processor's name, which Linux writes in /proc/cpuinfo only."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return " ".join(value.split())
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
