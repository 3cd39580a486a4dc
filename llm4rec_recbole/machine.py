"""The machine that a run uses."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


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


def hardware(device: Any) -> str:
    """The name of the torch `device`'s processor, and how many cores or GPUs this process may use.

    For example "Intel(R) Xeon(R) Platinum 8481C, 2 cores" or "NVIDIA H200, 1 of 1".
    """
    if device.type == "cuda":
        import torch

        return f"{torch.cuda.get_device_name(device)}, 1 of {torch.cuda.device_count()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor_name()}, {cores} cores"


@contextmanager
def reused_memory() -> Iterator[None]:
    """Inside the block, large arrays use the memory of those that were freed before.

    glibc gives an array of more than 32 MiB back to the system, which clears the pages of the next
    one. For a batch of scores that takes as long as half of the scoring. Where the C library is
    another, the block changes nothing.
    """
    try:
        library = ctypes.CDLL(None)
        set_option, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield
        return
    for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        set_option(option, 1 << 30)
    try:
        yield
    finally:
        set_option(_M_MMAP_THRESHOLD, 1 << 25)  # the most that glibc itself chooses
        set_option(_M_TRIM_THRESHOLD, 1 << 26)
        trim(0)


@contextmanager
def reused_arrow_memory() -> Iterator[None]:
    """`reused_memory`, also for the columns of Arrow, which has an allocator of its own."""
    import pyarrow as pa

    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        with reused_memory():
            yield
    finally:
        pa.set_memory_pool(pool)
