"""What a search has found, as files: structures, lineage, one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.errors import InputError
from stratal.files import write_frames, write_json, write_structures
from stratal.files.hdf5 import write_hdf5
from stratal.md.properties.hull import hull_figure, hull_of
from stratal.md.search.candidate import Candidate
from stratal.md.search.evolution import Evolution
from stratal.md.structures.crystal_symmetry import space_group
from stratal.report import Report
from stratal.report.search import (
    enthalpy_figure,
    second_difference_figure,
    structure_figure,
    success_figure,
)

TOLERANCES = (1e-3, 1e-2, 1e-1)  # Å, at which symmetry is looked for
SHOWN = 6  # structures with pictures
ROWS = 20  # candidates in tables, and all of the best


def write_results(folder: Path, evolution: Evolution, reason: str) -> None:
    """Write ``best.extxyz``, CIF files, ``search.h5``, ``search.json``, ``report.html``."""
    members = in_order(evolution)
    write_frames(folder / "best.extxyz", [described(evolution, member) for member in members])
    for place, member in enumerate(evolution.population.best()[:SHOWN]):
        if member.atoms.pbc.all():
            write_structures(folder / f"best-{place + 1}.cif", [member.atoms])
    write_hdf5(folder / "search.h5", lineage(evolution), {}, "search")
    write_json(folder / "search.json", summary(evolution, reason))
    report_of(evolution, reason).write(folder / "report.html")


def described(evolution: Evolution, member: Candidate) -> Atoms:
    """A candidate's structure with what is known of it."""
    atoms = member.atoms.copy()
    atoms.calc = member.atoms.calc
    atoms.info |= {
        "number": member.number,
        "enthalpy_per_atom": member.by_atom,
        "above": evolution.population.above(member),
        "operator": member.origin.operator,
        "rediscovered": evolution.population.rediscovered.get(member.number, 0),
    }
    return atoms


def in_order(evolution: Evolution) -> list[Candidate]:
    """All candidates, the best first; of clusters first the best of each size."""
    population = evolution.population
    best = population.best() if population.niches else []
    known = {member.number for member in best}
    return best + [member for member in population.members if member.number not in known]


def shown(evolution: Evolution) -> list[Candidate]:
    """Candidates in tables."""
    return in_order(evolution)[: max(ROWS, len(evolution.population.best()))]


def lineage(evolution: Evolution) -> dict[str, Any]:
    """Every relaxation: how it was made, of which parents, what became of it."""
    steps = evolution.steps
    parents = [[*step.parents, -1, -1][:2] for step in steps]
    return {
        "number": np.array([step.number for step in steps], np.int64),
        "operator": [step.operator for step in steps],
        "parents": np.array(parents, np.int64).reshape(-1, 2),
        "verdict": [step.verdict for step in steps],
        "enthalpy_per_atom": np.array([step.enthalpy for step in steps]),
    }


def summary(evolution: Evolution, reason: str) -> dict[str, Any]:
    """The search for machines."""
    return {
        "stopped_by": reason,
        "relaxations": evolution.done,
        "outcomes": dict(evolution.outcomes),
        "best": [row_of(evolution, member) for member in shown(evolution)],
        "operators": operators(evolution),
        "chance_missed": chance_missed(evolution),
        "slots_busy": slots_busy(evolution),
        "second_differences_eV": {str(n): value for n, value in second_differences(evolution)},
    }


def row_of(evolution: Evolution, member: Candidate) -> dict[str, Any]:
    """A candidate in a few words."""
    return {
        "number": member.number,
        "formula": member.atoms.get_chemical_formula(),
        "space_group": symmetry_of(member.atoms),
        "enthalpy_eV": member.enthalpy,
        "enthalpy_eV_per_atom": member.by_atom,
        "above_eV_per_atom": evolution.population.above(member),
        "made_by": member.origin.operator,
        "parents": list(member.origin.parents),
        "found_again": evolution.population.rediscovered.get(member.number, 0),
    }


def symmetry_of(atoms: Atoms) -> str:
    """The highest space group within some tolerances; a dash where there is none."""
    best = ("–", 0)
    for tolerance in TOLERANCES:
        try:
            found = space_group(atoms, tolerance)
        except InputError:
            continue
        if found.number > best[1]:
            best = (f"{found.symbol} ({found.number})", found.number)
    return best[0]


def operators(evolution: Evolution) -> dict[str, dict[str, int]]:
    """How many structures each operator or start made, and how many of them lived."""
    made = Counter(step.operator for step in evolution.steps)
    lived = Counter(
        step.operator for step in evolution.steps if step.verdict in ("new", "new best")
    )
    return {name: {"made": count, "lived": lived[name]} for name, count in made.most_common()}


def chance_missed(evolution: Evolution) -> float:
    """Of the good structures that there are, the part not seen yet, estimated.

    Good's estimate: the part of all discoveries of members that were of members found only once.
    I. J. Good, Biometrika 40, 237 (1953).
    """
    population = evolution.population
    times = [1 + population.rediscovered.get(member.number, 0) for member in population.members]
    return sum(count == 1 for count in times) / max(1, sum(times))


def slots_busy(evolution: Evolution) -> float:
    """Part of the slots' steps in which a structure moved."""
    moved, possible = evolution.use
    return float(moved / max(1, possible))


def second_differences(evolution: Evolution) -> list[tuple[int, float]]:
    """E(N+1) + E(N-1) - 2 E(N) of the lowest clusters by number of atoms N, eV.

    Large where a size is more stable than its neighbors. With a formula neighbors have one unit
    more or less; of clusters with other compositions there are none.
    """
    population, config = evolution.population, evolution.config
    if not population.niches or config.variable:
        return []
    lowest = {len(member.atoms): member.enthalpy for member in population.best()}
    step = config.sizes[1] - config.sizes[0] if len(config.sizes) > 1 else 1
    return [
        (n, lowest[n + step] + lowest[n - step] - 2 * lowest[n])
        for n in config.sizes
        if {n - step, n, n + step} <= set(lowest)
    ]


def report_of(evolution: Evolution, reason: str) -> Report:
    """One page."""
    population, config = evolution.population, evolution.config
    symbols = [chemical_symbols[z] for z in population.elements]
    report = Report(f"Search: {config.formula or '-'.join(symbols)}")
    section = report.section("Summary")
    section.metrics(
        {
            "stopped by": reason,
            "relaxations": evolution.done,
            "candidates": len(population.members),
            "chance that something was missed": f"{chance_missed(evolution):.2f}",
        }
    )
    section.text(
        "The chance is Good's: the part of all discoveries that were of candidates found once."
    )
    rows = [row_of(evolution, member) for member in shown(evolution)]
    report.section("Candidates").table(
        [
            "number",
            "formula",
            "space group",
            "eV",
            "eV/atom",
            "above, meV/atom",
            "made by",
            "found again",
        ],
        [
            [
                row["number"],
                row["formula"],
                row["space_group"],
                f"{row['enthalpy_eV']:.5f}",
                f"{row['enthalpy_eV_per_atom']:.5f}",
                f"{1e3 * row['above_eV_per_atom']:.1f}",
                row["made_by"],
                row["found_again"],
            ]
            for row in rows
        ],
    )
    add_hull(report, evolution)
    add_sizes(report, evolution)
    course = report.section("Course")
    course.figure(enthalpy_figure(evolution.steps), "Enthalpies of candidates as they came.")
    course.figure(success_figure(operators(evolution)), "What operators and starts made.")
    pictures = report.section("Structures")
    several = population.variable or population.niches
    for member in population.best()[:SHOWN] if several else population.members[:SHOWN]:
        name = f"{member.number}: {member.atoms.get_chemical_formula()}"
        pictures.figure(structure_figure(member.atoms), name)
    return report


def add_hull(report: Report, evolution: Evolution) -> None:
    """The convex hull, where all elements are among the candidates."""
    population = evolution.population
    if not population.variable or len(population.elements) > 3:
        return
    try:
        hull = hull_of(
            [member.atoms for member in population.members],
            [member.enthalpy for member in population.members],
        )
    except InputError as error:
        report.section("Hull").text(str(error))
        return
    report.section("Hull").figure(hull_figure(hull), "Convex hull of the candidates.")


def add_sizes(report: Report, evolution: Evolution) -> None:
    """How stable clusters are beside those of neighboring sizes."""
    if differences := second_differences(evolution):
        sizes, energies = zip(*differences, strict=True)
        report.section("Sizes").figure(
            second_difference_figure(sizes, energies),
            "Second differences of the lowest energies: large where a size is more stable than "
            "its neighbors.",
        )
