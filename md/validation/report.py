"""The report of a validation: one page, a table and figures for each stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from ase import Atoms

from stratal.md.properties.hull import Hull, hull_figure, hull_of
from stratal.md.validation.measured import Measured
from stratal.md.validation.settings import ABSOLUTE, Thresholds
from stratal.report import Report, Section
from stratal.report.curves import branches_figure, curves_figure, scatter_figure

AXES = {
    "Energy against volume": ("volume (Å³/atom)", "energy (meV/atom)"),
    "Stacking faults": ("shift (Å)", "energy (mJ/m²)"),
    "Dimers": ("distance (Å)", "energy (eV)"),
    "Phonons": ("path through the zone", "frequency (THz)"),
}
TABLE = ["property", "unit", "reference"]
ABOUT = (
    "Green is within the threshold, amber within twice that, red beyond or not computed. A "
    "formation energy of the wrong sign is red."
)


def report_of(
    strata: Sequence[str],
    measured: Mapping[str, Mapping[str, Measured]],
    rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Mapping[Any, int]],
    thresholds: Thresholds,
) -> Report:
    """The whole report.

    Args:
        strata: their names, lowest first.
        measured: by subject (the reference last, if any) and stratum.
        rows: properties with what each subject makes of them.
        summary: lights of each subject.
        thresholds: of the lights.
    """
    report = Report("Validation")
    subjects = list(summary)
    overview = report.section("Summary")
    if "reference" in measured:
        overview.text(ABOUT)
        for subject in subjects:
            overview.table(
                [subject, "green", "amber", "red"],
                [[name, *lights_of(rows, subject, name)] for name in (*strata, "all")],
            )
        overview.text("Thresholds").table(
            ["kind", "green up to"],
            [
                [kind.replace("_", " "), f"{limit:g} {ABSOLUTE.get(kind, ('%',))[0]}"]
                for kind, limit in asdict(thresholds).items()
            ],
        )
    for name in strata:
        section = report.section(name)
        describe(section, name, subjects, measured, [r for r in rows if r["stratum"] == name])
    return report


def lights_of(rows: Sequence[Mapping[str, Any]], subject: str, stratum: str) -> list[int]:
    """How many properties of a stratum, or of all, are green, amber and red."""
    own = [row for row in rows if stratum in (row["stratum"], "all")]
    return [
        sum(row[subject]["light"] == light for row in own) for light in ("green", "amber", "red")
    ]


def describe(
    section: Section,
    name: str,
    subjects: Sequence[str],
    measured: Mapping[str, Mapping[str, Measured]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """One stratum."""
    first = measured["reference" if "reference" in measured else subjects[0]][name]
    if first.chosen:
        words = (f"{key} in {value}" for key, value in first.chosen.items())
        section.text("Crystal looked at: " + ", ".join(words) + ".")
    if rows:
        columns, lights = [*TABLE], []
        for subject in subjects:
            columns += [subject, "off", "light"]
            lights.append(len(columns) - 1)
        section.table(columns, [cells(row, subjects) for row in rows], lights=lights)
    for who in measured:
        for group, why in measured[who][name].failures.items():
            section.text(f"{who}, {group}: {why}")
    add_figures(section, name, measured, rows, subjects)


def cells(row: Mapping[str, Any], subjects: Sequence[str]) -> list[Any]:
    """A row of the table."""
    found = [row["property"], row["unit"], shown(row["reference"])]
    for subject in subjects:
        own = row[subject]
        deviation = own["deviation"]
        off = "–" if not np.isfinite(deviation) else f"{deviation:+.1f} {row['scale']}"
        found += [shown(own["value"]), off, own["light"]]
    return found


def shown(value: float) -> str:
    """A number as a reader wants it."""
    return "–" if not np.isfinite(value) else f"{value:.4g}"


def add_figures(
    section: Section,
    name: str,
    measured: Mapping[str, Mapping[str, Measured]],
    rows: Sequence[Mapping[str, Any]],
    subjects: Sequence[str],
) -> None:
    """Curves of all subjects with those of the reference, and formation energies."""
    for figure, (x_label, y_label) in AXES.items():
        drawn = {who: strata[name].curves.get(figure, {}) for who, strata in measured.items()}
        drawn = {who: panels for who, panels in drawn.items() if panels}
        if not drawn:
            continue
        if figure == "Phonons":
            branches = {who: list(panels.values()) for who, panels in drawn.items()}
            ticks = measured[next(iter(drawn))][name].ticks.get(figure, [])
            picture = branches_figure(branches, y_label, ticks)
        else:
            shared = [p for p in next(iter(drawn.values())) if all(p in d for d in drawn.values())]
            panels = {panel: [d[panel] for d in drawn.values()] for panel in shared}
            picture = curves_figure(panels, x_label, y_label, list(drawn))
        section.figure(picture, f"{figure} of {name}: {', '.join(drawn)}.")
    for who, strata in measured.items():
        if (hull := hull_among(strata, name)) is not None:
            section.figure(hull_figure(hull), f"Convex hull of {name} by {who}.")
    formation = [
        row for row in rows if row["kind"] == "formation" and np.isfinite(row["reference"])
    ]
    if formation:
        points = {
            subject: np.array(
                [[1e3 * r["reference"], 1e3 * r[subject]["value"]] for r in formation]
            )
            for subject in subjects
        }
        picture = scatter_figure(points, "reference (meV/atom)", "own (meV/atom)")
        section.figure(picture, f"Formation energies of {name} against the reference.")


def hull_among(strata: Mapping[str, Measured], name: str) -> Hull | None:
    """The hull of compounds in a stratum and those below, if formation energies are known."""
    within = [
        found for below, found in strata.items() if set(below.split("-")) <= set(name.split("-"))
    ]
    known = [
        (Atoms(title.removeprefix("formation energy ").split()[1]), value.value)
        for found in within
        for title, value in found.values.items()
        if value.kind == "formation"
    ]
    if not known:
        return None
    elements = [Atoms(symbol) for symbol in name.split("-")]
    totals = [0.0] * len(elements) + [energy * len(atoms) for atoms, energy in known]
    return hull_of([*elements, *(atoms for atoms, _ in known)], totals)
