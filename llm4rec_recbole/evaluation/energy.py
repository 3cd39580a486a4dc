"""How much energy a run takes: an estimate by CodeCarbon, without a network and without files.

CodeCarbon (https://codecarbon.io) reads the counters of the processor and the GPU where it may. It
multiplies the process's share of the processor by the processor's power where it may not, as in a
virtual machine. It adds a constant for memory. The country's electricity mix gives the CO2e.

CodeCarbon is the extra `[energy]`: it brings fourteen packages. Without it a record holds no
estimate, and says why.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError, did_you_mean
from llm4rec_recbole.machine import processor_name

PHASES = ("training", "evaluation")


def detect_hardware(country: str | None) -> None:
    """Start to find the machine's sensors, in the background: it takes up to seconds.

    country: ISO code of three letters, or None for no estimate. Raises InputError for a country
    that CodeCarbon does not know.
    """
    if country is None or (folder := _codecarbon()) is None:
        return
    mixes = json.loads((folder / "data/private_infra/global_energy_mix.json").read_text("utf-8"))
    if country not in mixes:
        message = f"energy_country is {country}: CodeCarbon has no electricity mix for it"
        hint = "an ISO code of three letters, such as USA; ~ for no estimate"
        raise InputError(message + did_you_mean(country, mixes), hint=hint)
    _tracker(country)


def _codecarbon() -> Path | None:
    """The folder of the package CodeCarbon; None where it is not installed."""
    specification = importlib.util.find_spec("codecarbon")
    return Path(specification.origin).parent if specification and specification.origin else None


@functools.cache
def _tracker(country: str) -> Future[Any]:
    """The tracker of this process, which is being made in a thread of its own."""
    executor = ThreadPoolExecutor(1, "energy")
    future = executor.submit(_make_tracker, country)
    executor.shutdown(wait=False)
    return future


def _make_tracker(country: str) -> Any:
    """CodeCarbon's tracker, with its sensors found. It opens no connection and writes no file."""
    import codecarbon
    import cpuinfo

    logging.getLogger("codecarbon").disabled = True
    # It would start processes to find this name: .3 CPU-seconds.
    cpuinfo.get_cpu_info = lambda: {"brand_raw": processor_name()}
    tracker = codecarbon.OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="process",
        allow_multiple_runs=True,  # else it writes a lock file
        save_to_file=False,
        save_to_api=False,
        save_to_logger=False,
        save_to_prometheus=False,
        save_to_logfire=False,
        electricitymaps_api_token="",
        log_level="critical",
    )
    tracker.start_task("sensors")  # finds them
    tracker.stop_task("sensors")
    return tracker


class EnergyMeter:
    """Measures the phases of one run.

    country: ISO code of three letters, or None for no estimate. A failure of the estimate never
    stops a run: `missing` holds its reason.
    """

    def __init__(self, country: str | None = None) -> None:
        self.country = country
        self.missing: str | None = None
        if country is None:
            self.missing = "energy_country is ~"
        elif _codecarbon() is None:
            self.missing = "CodeCarbon is not installed; the extra [energy] brings it"
        self._measured: dict[str, Any] = {}
        self._method = ""

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Measure what the process does in this block, as `phase`, one of PHASES."""
        tracker, task = None, f"{phase}_{id(self)}"
        if self.missing is None:
            try:
                assert self.country is not None
                tracker = _tracker(self.country).result()
                tracker.start_task(task)
            except Exception as error:  # whatever a sensor does
                self._fail(error)
        try:
            yield
        finally:
            if tracker is not None and self.missing is None:
                try:
                    self._measured[phase] = tracker.stop_task(task)
                    self._method = _method(tracker)
                except Exception as error:
                    self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.missing = f"CodeCarbon failed: {type(error).__name__}: {error}"[:200]

    def record(self) -> dict[str, Any]:
        """The fields `energy` and `energy_missing` of a record's cost."""
        missing = self.missing
        if missing is None and (left_out := [p for p in PHASES if not self._measured.get(p)]):
            missing = f"not measured: {', '.join(left_out)}"
        if missing is not None:
            return {"energy": None, "energy_missing": missing}
        energy: dict[str, Any] = {}
        for phase in PHASES:
            data = self._measured[phase]
            energy[f"{phase}_wh"] = round(1000 * float(data.energy_consumed), 6)  # from kWh
            energy[f"{phase}_co2e_g"] = round(1000 * float(data.emissions), 6)  # from kg
        energy |= {"country": self.country, "method": self._method}
        return {"energy": energy, "energy_missing": None}


def _method(tracker: Any) -> str:
    """For example "CodeCarbon 3.3.2: RAM(), CPU(Cpu Load) of 8 W"; the power is all cores'."""
    import codecarbon

    sensors = []
    for sensor in tracker._hardware:
        power = getattr(sensor, "_tdp", None)
        sensors.append(sensor.description() + (f" of {power:g} W" if power else ""))
    return f"CodeCarbon {codecarbon.__version__}: {', '.join(sensors)}"
