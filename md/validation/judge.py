"""Values beside a reference: how far off they are, and what light that gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stratal.md.validation.measured import Measured
from stratal.md.validation.settings import ABSOLUTE, Thresholds

Light = Literal["green", "amber", "red", "none"]
NOT_YET = 2.0  # times the threshold, up to where a light is amber


@dataclass(frozen=True)
class Judged:
    """One property of one subject beside the reference."""

    stratum: str
    name: str
    kind: str
    unit: str
    reference: float  # NaN where there is none
    value: float  # NaN where it could not be computed
    deviation: float  # in `scale`
    scale: str  # %, meV/atom, mJ/m²
    light: Light


def judged(
    stratum: str,
    own: Measured,
    known: Measured,
    reference: Measured | None,
    thresholds: Thresholds,
) -> list[Judged]:
    """Properties of one stratum of a subject.

    Args:
        stratum: its name.
        own: of the subject.
        known: whose properties are looked at, the reference's and others.
        reference: what counts as right, if anything does.
        thresholds: up to where a deviation is green.
    """
    judges = reference.values if reference else {}
    rows = []
    for name, one in known.values.items():
        value = own.values[name].value if name in own.values else float("nan")
        expected = judges[name].value if name in judges else float("nan")
        deviation, scale = off(one.kind, value, expected)
        light: Light = "none"
        if name in judges:
            limit = getattr(thresholds, one.kind)
            light = light_of(deviation, limit)
            if one.kind == "formation" and wrong_sign(value, expected, limit):
                light = "red"
        rows.append(
            Judged(stratum, name, one.kind, one.unit, expected, value, deviation, scale, light)
        )
    return rows


def off(kind: str, value: float, expected: float) -> tuple[float, str]:
    """A deviation, and in what."""
    if kind in ABSOLUTE:
        unit, factor = ABSOLUTE[kind]
        return factor * (value - expected), unit
    return 100 * (value - expected) / max(abs(expected), 1e-12), "%"


def light_of(deviation: float, limit: float) -> Light:
    """Green within the limit, amber within twice that; red beyond, or without a value."""
    if not np.isfinite(deviation):
        return "red"
    size = abs(deviation)
    return "green" if size <= limit else "amber" if size <= NOT_YET * limit else "red"


def wrong_sign(value: float, expected: float, limit: float) -> bool:
    """Whether a compound forms that should not, or the reverse; near 0 neither counts.

    Args:
        value: eV/atom.
        expected: eV/atom.
        limit: meV/atom.
    """
    return value * expected < 0 and 1e3 * abs(value - expected) > limit


def counts(rows: list[Judged]) -> dict[Light, int]:
    """How many rows have each light."""
    found: dict[Light, int] = {"green": 0, "amber": 0, "red": 0}
    for row in rows:
        if row.light != "none":
            found[row.light] += 1
    return found


def as_rows(by_subject: Mapping[str, list[Judged]]) -> list[dict[str, Any]]:
    """One dictionary for each property, with what every subject makes of it."""
    names = list(by_subject)
    found = []
    for together in zip(*by_subject.values(), strict=True):
        one = together[0]
        row: dict[str, Any] = {"stratum": one.stratum, "property": one.name, "kind": one.kind}
        row |= {"unit": one.unit, "reference": one.reference, "scale": one.scale}
        for name, each in zip(names, together, strict=True):
            row[name] = {
                "value": each.value,
                "deviation": each.deviation,
                "light": each.light,
            }
        found.append(row)
    return found
