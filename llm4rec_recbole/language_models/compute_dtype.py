"""The type in which a language model computes: bfloat16 or float32.

    auto        bfloat16 on GPUs and on CPUs with AMX
    measured    the faster one on this machine

A list of processor flags ages: AMX, avx512_bf16 and ARM's bf16 are all fast, some only for large
matrices. So the first run measures a layer of SmolLM2-135M, forward and backward, and stores the
answer in work/. Later runs on the same machine read it, so they compute the same.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import read_json, write_json
from llm4rec_recbole.machine import processor_name

STORED = Path("work/compute_dtype.json")
LEAST_GAIN = 1.1  # bfloat16 rounds to 8 bits, so a smaller gain is not worth it
_SECONDS = 0.4  # for each type
_ROWS, _WIDTH, _INNER = 1600, 576, 1536  # tokens of a batch, and a layer of SmolLM2-135M


def compute_dtype(name: str, device: str) -> torch.dtype:
    """The type that the option `llm_dtype` names."""
    if name == "auto":
        return fastest_dtype(device)
    return getattr(torch, measured_dtype(device) if name == "measured" else name)


def fastest_dtype(device: str) -> torch.dtype:
    """bfloat16 on GPUs and on CPUs with AMX, where it is 1.4 to 2.5 times as fast as float32."""
    cpu = Path("/proc/cpuinfo")
    has_amx = cpu.is_file() and "amx_bf16" in cpu.read_text()
    return torch.bfloat16 if device == "cuda" or has_amx else torch.float32


def measured_dtype(device: str, stored: Path = STORED) -> str:
    """`bfloat16` where it is at least LEAST_GAIN times as fast on `device`, else `float32`. The
    answer is stored for each processor, number of threads and version of torch."""
    name = torch.cuda.get_device_name() if device == "cuda" else processor_name()
    key = f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    answers = _read(stored)
    if key not in answers:
        seconds = {dtype: seconds_of_a_layer(dtype, device) for dtype in ("float32", "bfloat16")}
        faster = seconds["float32"] >= LEAST_GAIN * seconds["bfloat16"]
        answers[key] = {"dtype": "bfloat16" if faster else "float32", "seconds": seconds}
        write_json(stored, answers)
    return str(answers[key]["dtype"])


def _read(stored: Path) -> dict[str, dict]:
    """The stored answers that are complete."""
    try:
        content = read_json(stored)
    except (OSError, InputError, json.JSONDecodeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        key: value
        for key, value in content.items()
        if isinstance(value, dict) and value.get("dtype") in ("float32", "bfloat16")
    }


def seconds_of_a_layer(dtype: str, device: str) -> float:
    """The shortest of the passes that fit into _SECONDS, forward and backward; after a warm-up."""
    kind = getattr(torch, dtype)
    x = torch.ones(_ROWS, _WIDTH, dtype=kind, device=device, requires_grad=True)
    up = torch.ones(_WIDTH, _INNER, dtype=kind, device=device)
    down = torch.ones(_INNER, _WIDTH, dtype=kind, device=device)
    best, end = float("inf"), time.perf_counter() + _SECONDS
    passes = 0
    while passes < 2 or time.perf_counter() < end:
        began = time.perf_counter()
        (x @ up @ down).sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        if passes:
            best = min(best, time.perf_counter() - began)
        passes += 1
    return best
