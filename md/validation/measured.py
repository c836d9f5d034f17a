"""What was computed of one stratum: values, curves, and what failed; as JSON and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from stratal.errors import InputError
from stratal.report.curves import Curve


@dataclass(frozen=True)
class Value:
    """One number."""

    kind: str  # of thresholds
    value: float
    unit: str


@dataclass
class Measured:
    """Not frozen: group after group of properties is added."""

    values: dict[str, Value] = field(default_factory=dict)
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)  # by figure and panel
    ticks: dict[str, list[tuple[float, str]]] = field(default_factory=dict)  # by figure: named x
    failures: dict[str, str] = field(default_factory=dict)  # why a group of properties is absent
    chosen: dict[str, str] = field(default_factory=dict)  # such as an element's crystal
    seconds: float = 0.0

    def add(self, kind: str, name: str, value: float, unit: str) -> None:
        """Add one number."""
        self.values[name] = Value(kind, float(value), unit)

    def draw(self, figure: str, panel: str, x: np.ndarray, y: np.ndarray) -> None:
        """Add a curve."""
        self.curves.setdefault(figure, {})[panel] = (np.asarray(x, float), np.asarray(y, float))

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """What fails within is noted, and all else goes on."""
        try:
            yield
        except InputError as error:
            self.failures[name] = str(error)

    def as_json(self) -> dict[str, Any]:
        """As plain lists and numbers."""
        return {
            "values": {name: asdict(value) for name, value in self.values.items()},
            "curves": {
                figure: {panel: [x.tolist(), y.tolist()] for panel, (x, y) in panels.items()}
                for figure, panels in self.curves.items()
            },
            "ticks": self.ticks,
            "failures": self.failures,
            "chosen": self.chosen,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Measured:
        """Back from `as_json`; of a file written by hand the values are enough."""
        found = cls(
            failures=dict(content.get("failures", {})),
            chosen=dict(content.get("chosen", {})),
            seconds=float(content.get("seconds", 0.0)),
        )
        for name, value in content["values"].items():
            found.values[name] = Value(value["kind"], float(value["value"]), value["unit"])
        for figure, panels in content.get("curves", {}).items():
            for panel, (x, y) in panels.items():
                found.draw(figure, panel, np.array(x), np.array(y))
        for figure, ticks in content.get("ticks", {}).items():
            found.ticks[figure] = [(float(x), str(label)) for x, label in ticks]
        return found
