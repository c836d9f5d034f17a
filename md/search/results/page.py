"""The page of a search: what was found, how, and how far it is to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.errors import InputError
from stratal.md.properties.hull import hull_figure, hull_of
from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.ending.final import Ending
from stratal.md.search.evolution import ASIDE, Evolution
from stratal.md.search.results.lineage import ancestors
from stratal.md.structures.crystal_symmetry import standard_cell
from stratal.report import Report
from stratal.report.search import (
    coverage_figure,
    enthalpy_figure,
    lineage_figure,
    second_difference_figure,
    structure_figure,
    success_figure,
)

PICTURES = 6  # structures of each kind with pictures


def report_of(evolution: Evolution, content: dict[str, Any], ending: Ending) -> Report:
    """One page.

    Args:
        evolution: of the search.
        content: its summary for machines.
        ending: what was made of the best candidates.
    """
    config, population = evolution.config, evolution.population
    symbols = [chemical_symbols[z] for z in config.numbers]
    report = Report(f"Search: {config.formula or '-'.join(symbols)}")
    add_summary(report, evolution, content, ending)
    add_final(report, content, ending)
    add_candidates(report, content)
    add_hull(report, evolution, ending)
    add_sizes(report, content)
    course = report.section("Course")
    heights, over = heights_of(evolution)
    counted = population.variable or len(population.lowest) > 1
    course.figure(enthalpy_figure(heights, over, counted), "Enthalpies of candidates as they came.")
    course.figure(
        success_figure(content["operators"]),
        "What operators and starts made, what of it lived, and how often they gave up.",
    )
    add_coverage(report, evolution)
    add_lineage(report, evolution)
    add_aside(report, evolution, ending)
    pictures = report.section("Structures")
    several = population.variable or population.niches
    for member in (population.best() if several else population.members)[:PICTURES]:
        name = named(member.number, member.atoms)
        pictures.figure(structure_figure(conventional(member.atoms)), name)
    return report


def conventional(atoms: Atoms) -> Atoms:
    """A crystal in its conventional cell, in which it is known; others as they are."""
    try:
        return standard_cell(atoms, primitive=False)
    except InputError:  # no crystal, or no group is found
        return atoms


def heights_of(evolution: Evolution) -> tuple[np.ndarray, str]:
    """Of each relaxation eV/atom, over the hull where compositions differ; and what that is.

    Of clusters of several sizes over the lowest of each; NaN of what is no candidate.
    """
    steps, population = evolution.steps, evolution.population
    values = np.array([np.nan if s.verdict == ASIDE else s.enthalpy for s in steps])
    if len(population.lowest) > 1:  # niches
        formulas = np.array([step.formula for step in steps])
        for formula in np.unique(formulas[np.isfinite(values)]):
            values[formulas == formula] -= np.nanmin(values[formulas == formula])
        return values, "above the lowest of its formula (eV/atom)"
    if not population.variable:
        return values, "enthalpy (eV/atom)"
    for place in np.flatnonzero(np.isfinite(values)):
        numbers = Atoms(steps[place].formula).numbers
        values[place] = population.hull.above(numbers, values[place])
    return values, "above the hull (eV/atom)"


def named(number: int, atoms: Atoms) -> str:
    """Of a candidate."""
    return f"{number}: {atoms.get_chemical_formula()}"


def add_summary(
    report: Report, evolution: Evolution, content: dict[str, Any], ending: Ending
) -> None:
    """Figures that count, and how relaxations ended."""
    low, section = content["low_structures"], report.section("Summary")
    tiles = {
        "stopped by": content["stopped_by"] or "not over yet",
        "relaxations": evolution.done,
        "candidates": len(evolution.population.members),
        "low structures found": low["found"],
        "chance that the next is new": f"{content['chance_missed']:.2f}",
        "set aside": len(evolution.aside),
    }
    if ending.teacher:
        tiles["teacher"] = ending.teacher
    section.metrics(tiles)
    rows = sorted(evolution.outcomes.items(), key=lambda row: -row[1])
    section.table(["what became of relaxations", "count"], rows)
    if ending.failures:
        section.text("The teacher failed:\n" + "\n".join(ending.failures))


def add_final(report: Report, content: dict[str, Any], ending: Ending) -> None:
    """The best by the potential and by the teacher."""
    if not ending.finalists:
        return
    columns = ["number", "formula", "space group", "eV/atom", "above, meV/atom"]
    if ending.teacher:
        columns += ["teacher: eV/atom", "above, meV/atom", "space group"]
    rows = []
    for row in content["final"]:
        cells = [
            row["number"],
            row["formula"],
            row["space_group"],
            f"{row['enthalpy_eV_per_atom']:.5f}",
            f"{1e3 * row['above_eV_per_atom']:.1f}",
        ]
        if ending.teacher:
            known = row["teacher_enthalpy_eV_per_atom"] is not None
            cells += [
                f"{row['teacher_enthalpy_eV_per_atom']:.5f}" if known else None,
                f"{1e3 * row['teacher_above_eV_per_atom']:.1f}" if known else None,
                row["teacher_space_group"],
            ]
        rows.append(cells)
    section = report.section("Final candidates")
    section.table(columns, rows)
    merged = sum(len(row["merged"]) for row in content["final"])
    section.text(
        "Relaxed once more, tightly, and moved into the highest space group that costs no "
        f"enthalpy. {merged} candidate(s) fell together with others."
    )


def add_candidates(report: Report, content: dict[str, Any]) -> None:
    """The best of the population."""
    rows = [
        [
            row["number"],
            row["formula"],
            row["space_group"],
            f"{row['enthalpy_eV']:.5f}",
            f"{row['enthalpy_eV_per_atom']:.5f}",
            f"{1e3 * row['above_eV_per_atom']:.1f}",
            row["made_by"].replace("_", " "),
            row["found_again"],
            "outside" if row["outside"] else "",
        ]
        for row in content["best"]
    ]
    columns = ["number", "formula", "space group", "eV", "eV/atom", "above, meV/atom", "made by"]
    report.section("Candidates").table([*columns, "found again", "domain"], rows)


def add_hull(report: Report, evolution: Evolution, ending: Ending) -> None:
    """The convex hull, where all elements are among the candidates; the teacher's beside it."""
    population, pressure = evolution.population, evolution.config.pressure
    if not population.variable or len(population.elements) > 3:
        return
    members = population.members
    sets = {"candidates": ([m.atoms for m in members], [m.enthalpy for m in members])}
    taught = [f for f in ending.finalists if f.taught is not None]
    if taught:
        frames = [f.taught for f in taught if f.taught is not None]
        values = [f.taught_enthalpy * len(atoms) for f, atoms in zip(taught, frames, strict=True)]
        sets[f"final candidates by {ending.teacher}"] = frames, values
    section = report.section("Hull")
    at = f" at {evolution.config.pressure_gpa:g} GPa" if pressure else ""
    quantity = "formation enthalpy" if pressure else "formation energy"
    for name, (frames, values) in sets.items():
        try:
            figure = hull_figure(hull_of(frames, values), quantity)
            section.figure(figure, f"Convex hull of {name}{at}.")
        except InputError as error:
            section.text(f"{name}: {error}")


def add_sizes(report: Report, content: dict[str, Any]) -> None:
    """How stable clusters are beside those of neighboring sizes."""
    if differences := content["second_differences_eV"]:
        report.section("Sizes").figure(
            second_difference_figure([int(n) for n in differences], [*differences.values()]),
            "Second differences of the lowest energies: large where a size is more stable than "
            "its neighbors.",
        )


def add_coverage(report: Report, evolution: Evolution) -> None:
    """How many low structures were found, and how many there may be."""
    coverage = evolution.coverage
    section = report.section("Was something missed?")
    if not coverage.draws:
        section.text("No structure was found yet.")
        return
    section.figure(
        coverage_figure(
            coverage.course(), coverage.curve(), coverage.relaxations, coverage.expected
        ),
        f"Different structures within {1e3 * evolution.config.near:g} meV/atom of the lowest or "
        f"the hull, and the chance that the next discovery is another one.",
    )
    section.text(
        f"Found {coverage.found} in {len(coverage.draws)} discoveries; by Chao's estimate there "
        f"are at least {coverage.expected:.1f}. The chance is Good's: the part of discoveries that "
        f"are of structures found once. Children that fell back to a parent do not count. Both "
        f"hold for what this search can find; structures that it hardly reaches may be missing "
        f"from both."
    )


def add_lineage(report: Report, evolution: Evolution) -> None:
    """The family tree of the best; over compositions, of one on the hull."""
    best = to_be_traced(evolution)
    if best is None:
        return
    found = ancestors(evolution.steps, best.number)
    if len(found) == 1:
        report.section("Lineage").text("The best were starts: none has ancestors.")
        return
    figure = lineage_figure(
        {one.step.number: one.words for one in found},
        {one.step.number: one.generation for one in found},
        {one.step.number: one.step.parents for one in found},
    )
    name = named(best.number, best.atoms)
    report.section("Lineage").figure(figure, f"Ancestors of candidate {name}, starts on the left.")


def to_be_traced(evolution: Evolution) -> Candidate | None:
    """The best; over compositions, the one on the hull with the most ancestors."""
    best = list(evolution.population.best())
    if not best:
        return None
    return max(best, key=lambda member: len(ancestors(evolution.steps, member.number)))


def add_aside(report: Report, evolution: Evolution, ending: Ending) -> None:
    """What lies outside the potential's domain."""
    if not evolution.aside:
        return
    section = report.section("Set aside")
    section.text(
        f"{len(evolution.aside)} relaxations ended outside the domain of the potential; their "
        f"enthalpies are guesses, and they are no candidates. {len(ending.aside)} different "
        f"structures stand in aside.extxyz"
        + (
            f", {len(ending.labelled)} of them labelled in labelled.extxyz."
            if ending.labelled
            else "."
        )
    )
    columns = ["number", "formula", "eV/atom by the potential", "grade", "made by"]
    section.table(
        columns,
        [
            [c.number, c.atoms.get_chemical_formula(), f"{c.by_atom:.5f}", f"{c.grade:.2f}",
             c.origin.operator.replace("_", " ")]
            for c in ending.aside[:20]
        ],
    )  # fmt: skip
    for candidate in ending.aside[:PICTURES]:
        name = f"{named(candidate.number, candidate.atoms)}, set aside"
        section.figure(structure_figure(candidate.atoms), name)
