"""What a run was timed on, in words."""

from __future__ import annotations

import os
import platform
from typing import Any


def hardware(device: Any) -> str:
    """The name of the torch `device`'s processor, and how many cores or GPUs this process may use.

    For example "Intel(R) Xeon(R) Platinum 8481C, 2 cores" or "NVIDIA H200, 1 of 1".
    """
    if device.type == "cuda":
        import torch

        return f"{torch.cuda.get_device_name(device)}, 1 of {torch.cuda.device_count()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    """Linux tells its processor's name only in /proc/cpuinfo."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return " ".join(value.split())
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
