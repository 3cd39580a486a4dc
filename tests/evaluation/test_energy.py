"""The estimate of energy: offline, without files, and never the end of a run."""

from __future__ import annotations

import json
import socket
import time
from types import SimpleNamespace

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation import energy
from llm4rec_recbole.evaluation.energy import EnergyMeter, detect_hardware
from llm4rec_recbole.evaluation.run_record import Energy


class FakeTracker:
    """Counts what it is asked for: 2 Wh and 1 g for each task."""

    _hardware = (SimpleNamespace(description=lambda: "CPU(fake)"),)

    def __init__(self, broken: bool = False) -> None:
        self.broken, self.tasks = broken, []

    def start_task(self, name: str) -> None:
        self.tasks.append(name)

    def stop_task(self, name: str) -> SimpleNamespace:
        if self.broken:
            raise OSError("no sensor")
        return SimpleNamespace(energy_consumed=0.002, emissions=0.001)


def use(monkeypatch, tracker) -> None:
    monkeypatch.setattr(energy, "_tracker", lambda _: SimpleNamespace(result=lambda: tracker))
    monkeypatch.setattr(energy, "_codecarbon", lambda: "installed")
    monkeypatch.setattr(energy, "_method", lambda _: "fake")


def test_each_phase_is_measured_by_itself(monkeypatch):
    tracker = FakeTracker()
    use(monkeypatch, tracker)
    meter = EnergyMeter("FRA")
    for phase in ("training", "evaluation"):
        with meter.measure(phase):
            assert tracker.tasks[-1].startswith(phase)
    assert meter.record() == {
        "energy": {
            "training_wh": 2.0,
            "training_co2e_g": 1.0,
            "evaluation_wh": 2.0,
            "evaluation_co2e_g": 1.0,
            "country": "FRA",
            "method": "fake",
        },
        "energy_missing": None,
    }


def test_a_phase_that_was_not_measured_leaves_the_cell_empty_with_a_reason(monkeypatch):
    use(monkeypatch, FakeTracker())
    meter = EnergyMeter("FRA")
    with meter.measure("training"):
        pass
    assert meter.record() == {"energy": None, "energy_missing": "not measured: evaluation"}


def test_a_failing_sensor_stops_no_run(monkeypatch):
    use(monkeypatch, FakeTracker(broken=True))
    meter = EnergyMeter("FRA")
    with meter.measure("training"):
        done = True
    assert done
    assert meter.record()["energy"] is None
    assert meter.record()["energy_missing"] == "CodeCarbon failed: OSError: no sensor"


def test_an_error_of_the_run_is_not_swallowed(monkeypatch):
    use(monkeypatch, FakeTracker(broken=True))
    with pytest.raises(KeyError), EnergyMeter("FRA").measure("training"):
        raise KeyError("of the training")


def test_without_codecarbon_the_reason_names_the_extra(monkeypatch):
    monkeypatch.setattr(energy.importlib.util, "find_spec", lambda _: None)
    detect_hardware("USA")
    meter = EnergyMeter("USA")
    with meter.measure("training"):
        pass
    assert "extra [energy]" in meter.record()["energy_missing"]


def test_no_country_is_no_estimate():
    detect_hardware(None)
    assert EnergyMeter(None).record() == {"energy": None, "energy_missing": "energy_country is ~"}


def test_an_unknown_country_is_refused_in_one_line():
    pytest.importorskip("codecarbon")
    with pytest.raises(InputError, match=r"energy_country is USB: .*no electricity mix.*USA") as e:
        detect_hardware("USB")
    assert "\n" not in str(e.value)


def test_codecarbon_measures_without_a_network_or_a_file(monkeypatch, tmp_path, capfd):
    pytest.importorskip("codecarbon")

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    energy._tracker.cache_clear()
    detect_hardware("FRA")
    meter = EnergyMeter("FRA")
    for phase in ("training", "evaluation"):
        with meter.measure(phase):
            busy_for(0.2)
    energy._tracker.cache_clear()
    written = meter.record()
    assert written["energy_missing"] is None
    measured = Energy.model_validate(json.loads(json.dumps(written["energy"])))
    assert 0 < measured.training_wh < 1
    assert 0 < measured.training_co2e_g < measured.training_wh  # France: below 1 kg a kWh
    assert measured.method.startswith("CodeCarbon")
    assert list(tmp_path.rglob("*")) == []
    assert capfd.readouterr() == ("", "")


def busy_for(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
