"""Where the reference data lie, for all benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--reference", type=Path, default=SHARED / "reference" / "maise")
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "potentials")
    return parser


def add_settings(parser: argparse.ArgumentParser) -> None:
    """An option ``--set`` for settings of training."""
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="train settings")


def settings_given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of training that the option of `add_settings` gives."""
    pairs = (setting.split("=", 1) for setting in options.set)
    return {key: json.loads(value) for key, value in pairs}


def one_core() -> None:
    """Keep this process on the first core it may use; before jax is imported."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def median_seconds(function: Callable[[], object], repeats: int = 7) -> float:
    """Median wall time of a call that blocks until its result is there; one call warms up."""
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def machine() -> str:
    """Processor and number of cores in use, for the head of a table."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor()
    return f"{name}, {len(os.sched_getaffinity(0))} core(s)"
