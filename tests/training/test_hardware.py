from __future__ import annotations

import re
from types import SimpleNamespace

import torch

from llm4rec_recbole.machine import hardware


def test_a_cpu_is_named_with_the_cores_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert re.fullmatch(r"\S.*, 3 cores", hardware(torch.device("cpu")))


def test_without_proc_the_machine_is_named(monkeypatch):
    monkeypatch.setattr("builtins.open", _raise)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert hardware(torch.device("cpu")).startswith("arm64, ")


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert hardware(SimpleNamespace(type="cuda")) == "NVIDIA H200, 1 of 2"


def _raise(*args, **kwargs):
    raise FileNotFoundError
