"""The end of a search: its best candidates once more, tightly, in their symmetry, by a teacher.

Candidates of a search are relaxed to what tells them apart. The lowest are relaxed on to
``final_fmax``; those that fall together are one; crystals are brought to the highest space group
that costs no energy. A teacher, such as a calculator of density functional theory, relaxes them
once more by itself, and labels what had been set aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.state import Outcome
from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.candidates.lower_hull import LowerHull
from stratal.md.search.candidates.sameness import Sameness, twin_among
from stratal.md.search.ending.kept import Kept
from stratal.md.search.ending.teacher import FAILED, USABLE, Teacher, evaluated
from stratal.md.search.evolution import Evolution
from stratal.md.search.plan import CELLS
from stratal.md.structures.crystal_symmetry import space_group, standard_cell
from stratal.md.structures.similarity import fingerprints
from stratal.potentials.evaluate import Potential

TOLERANCES = (1e-3, 1e-2, 1e-1)  # Å, at which symmetry is looked for
FREE = 5e-4  # eV/atom that an exact symmetry may cost
MAX_STEPS = 2000  # evaluations of each relaxation
NO_GROUP = "–"
MINIMA = (Outcome.CONVERGED.label, Outcome.OUTSIDE.label)


@dataclass(frozen=True)
class Finalist:
    """One of the best: as the search, the potential and the teacher have it."""

    candidate: Candidate
    atoms: Atoms  # by the potential, tightly
    enthalpy: float  # eV/atom
    above: float  # eV/atom, over the lowest or the hull of all finalists
    group: str = NO_GROUP  # space group
    merged: tuple[int, ...] = ()  # numbers of candidates that turned out to be this one
    taught: Atoms | None = None  # by the teacher
    taught_enthalpy: float = np.nan  # eV/atom; NaN where it did not end at a minimum
    taught_above: float = np.nan  # eV/atom

    @property
    def number(self) -> int:
        """Of the candidate."""
        return self.candidate.number


@dataclass(frozen=True)
class Ending:
    """What was made of a search."""

    finalists: tuple[Finalist, ...] = ()  # the lowest first, by the potential
    aside: tuple[Candidate, ...] = ()  # different structures outside the domain, the lowest first
    labelled: tuple[Atoms, ...] = ()  # of these, by the teacher
    teacher: str = ""  # its name; nothing: none
    failures: tuple[str, ...] = ()  # a sentence each


def ending_of(
    evolution: Evolution,
    folder: str | Path,
    potential: Potential | None,
    teacher: Teacher | None = None,
) -> Ending:
    """Relax, compare and label; goes on where it was.

    Args:
        evolution: of the search.
        folder: where results are kept, under ``final`` and ``labels``.
        potential: of the search; None: only what is there already is looked at.
        teacher: likewise, after it.
    """
    config, folder = evolution.config, Path(folder)
    chosen = finalists_of(evolution)
    aside = different(sorted(evolution.aside, key=lambda c: c.by_atom), config.similarity)
    tightly = RelaxConfig(
        fmax=config.final_fmax,
        cell=CELLS[config.kind],
        pressure_gpa=config.pressure_gpa,
        max_steps=MAX_STEPS,
    )
    student = None if potential is None else Teacher("potential", potential)
    tight = relaxed(chosen, student, folder / "final" / "potential", tightly, moved=True)
    finalists = merged(chosen, tight, evolution)
    starts = [replace(finalist.candidate, atoms=finalist.atoms) for finalist in finalists]
    less = replace(tightly, fmax=config.teacher_fmax)
    taught = relaxed(starts, teacher, folder / "final" / "teacher", less)
    labelled = labels(aside[: config.labels], teacher, folder / "labels")
    failures = [
        f"candidate {number}: {atoms.info['failure']}"
        for number, atoms in [*taught.items(), *labelled.items()]
        if "failure" in atoms.info
    ]
    finalists = with_teacher(finalists, taught, evolution)
    done = tuple(atoms for atoms in labelled.values() if atoms.calc is not None)
    name = teacher.name if teacher else name_in(taught, labelled)
    return Ending(tuple(finalists), tuple(aside), done, name, tuple(failures))


def finalists_of(evolution: Evolution) -> list[Candidate]:
    """Those on the hull and near it, or the lowest and what is near it."""
    population, config = evolution.population, evolution.config
    near = [m for m in population.members if population.above(m) <= config.near]
    return near[: config.finalists]


def different(candidates: Sequence[Candidate], alike: float) -> list[Candidate]:
    """The first of each structure."""
    found: list[Candidate] = []
    same = Sameness()
    for candidate in candidates:
        if twin_among(candidate, found, alike, same) is None:
            found.append(candidate)
    return found


def relaxed(
    candidates: Sequence[Candidate],
    by: Teacher | None,
    folder: Path,
    how: RelaxConfig,
    moved: bool = False,
) -> dict[int, Atoms]:
    """Candidates at their minima, by number; those that failed before are tried again.

    Args:
        candidates: where they begin.
        by: what relaxes them; None: only what is there already is looked at.
        folder: where they are kept.
        how: they are relaxed.
        moved: crystals into their symmetry, else it is only looked for.
    """
    kept = Kept(folder, f"{by.identity} {how}" if by else "", by is not None)
    found, open_ = parted(candidates, kept)
    if by is None or not open_:
        return found
    results = by.relaxed(open_, how)
    if moved:  # all at once: few programs are compiled
        results = in_their_symmetry(dict(results), by.source, how.pressure).items()
    for number, atoms in results:
        if atoms.info["outcome"] in USABLE and atoms.pbc.all() and not moved:
            atoms.info["space_group"] = group_of(atoms)
        found[number] = atoms
        if atoms.info["outcome"] != FAILED:
            kept.put(number, open_[number], atoms)
    return found


def labels(candidates: Sequence[Candidate], by: Teacher | None, folder: Path) -> dict[int, Atoms]:
    """Single points of candidates, by number."""
    kept = Kept(folder, by.identity if by else "", by is not None)
    found, open_ = parted(candidates, kept)
    grades = {candidate.number: candidate.grade for candidate in candidates}
    for number, atoms in by.labelled(open_) if by else ():
        if atoms.calc is not None:
            atoms.info |= {"number": number, "grade": grades[number]}
            kept.put(number, open_[number], atoms)
        found[number] = atoms
    return found


def parted(
    candidates: Sequence[Candidate], kept: Kept
) -> tuple[dict[int, Atoms], dict[int, Atoms]]:
    """What is done, and what is left to do, by number."""
    found, open_ = {}, {}
    for candidate in candidates:
        bare = candidate.atoms.copy()
        bare.info = {}
        done = kept.get(candidate.number, bare)
        if done is None:
            open_[candidate.number] = bare
        else:
            found[candidate.number] = done
    return found, open_


def in_their_symmetry(
    relaxed: Mapping[int, Atoms], potential: Potential, pressure: float
) -> dict[int, Atoms]:
    """Crystals that obey the highest space group which costs no enthalpy; others as they are.

    They are in their primitive cells: the fewest atoms for whoever relaxes them next.

    Args:
        relaxed: at their minima, by number.
        potential: that says what it costs.
        pressure: eV/Å³.
    """
    options = [
        (number, symbol, standard_cell(atoms, primitive=True, tolerance=tolerance))
        for number, atoms in relaxed.items()
        if atoms.info["outcome"] in USABLE and atoms.pbc.all()
        for tolerance, symbol in groups_of(atoms)
    ]
    trials = evaluated([cell for *_, cell in options], potential)
    found = dict(relaxed)
    for (number, symbol, _), trial in zip(options, trials, strict=True):
        if enthalpy_of(trial, pressure) <= enthalpy_of(relaxed[number], pressure) + FREE:
            trial.info = relaxed[number].info | {"space_group": symbol}
            found[number] = trial  # the last is of the loosest tolerance, the highest
    return found


def group_of(crystal: Atoms) -> str:
    """The space group within the middle tolerance, or a stricter one."""
    names = [name for _, name in groups_of(crystal)]
    return names[min(1, len(names) - 1)] if names else NO_GROUP


def groups_of(crystal: Atoms) -> Iterator[tuple[float, str]]:
    """Tolerances, Å, the strictest first, and the space group within each."""
    for tolerance in TOLERANCES:
        try:
            found = space_group(crystal, tolerance)
            yield tolerance, f"{found.symbol} ({found.number})"
        except InputError:
            continue


def enthalpy_of(atoms: Atoms, pressure: float) -> float:
    """E + pV, eV/atom."""
    volume = atoms.cell.volume if atoms.pbc.all() else 0.0
    return float((atoms.get_potential_energy() + pressure * volume) / len(atoms))


def merged(
    chosen: Sequence[Candidate], tight: Mapping[int, Atoms], evolution: Evolution
) -> list[Finalist]:
    """Candidates as they were relaxed, each structure once, the lowest first."""
    config, elements = evolution.config, evolution.config.numbers
    again = []
    for candidate in chosen:
        atoms = tight.get(candidate.number)
        if atoms is None or atoms.info["outcome"] not in USABLE:
            again.append(candidate)  # as the search left it
            continue
        (vector,) = fingerprints([atoms], elements=elements)
        enthalpy = enthalpy_of(atoms, config.pressure) * len(atoms)
        again.append(replace(candidate, atoms=atoms, enthalpy=enthalpy, fingerprint=vector))
    again.sort(key=lambda candidate: candidate.by_atom)
    same, kept, twins = Sameness(), [], {}
    for candidate in again:
        twin = twin_among(candidate, kept, config.similarity, same)
        if twin is None:
            kept.append(candidate)
        else:
            twins.setdefault(twin.number, []).append(candidate.number)
    heights = above(kept, [c.by_atom for c in kept], evolution)
    by_number = {candidate.number: candidate for candidate in chosen}
    found = [
        Finalist(
            candidate=by_number[own.number],
            atoms=own.atoms,
            enthalpy=own.by_atom,
            above=height,
            group=own.atoms.info.get("space_group", NO_GROUP),
            merged=tuple(twins.get(own.number, ())),
        )
        for own, height in zip(kept, heights, strict=True)
    ]
    return sorted(found, key=lambda finalist: (finalist.above, finalist.number))


def above(
    candidates: Sequence[Candidate], by_atom: Sequence[float], evolution: Evolution
) -> list[float]:
    """Enthalpies over the lowest of their niche, or over the hull of these alone, eV/atom."""
    if not evolution.population.variable:
        niches = [evolution.population.niche_of(candidate) for candidate in candidates]
        lowest: dict[Any, float] = {}
        for niche, value in zip(niches, by_atom, strict=True):
            lowest[niche] = min(value, lowest.get(niche, value))
        return [value - lowest[niche] for niche, value in zip(niches, by_atom, strict=True)]
    hull = LowerHull(evolution.config.numbers)
    each = list(zip((c.atoms.numbers for c in candidates), by_atom, strict=True))
    for numbers, value in each:
        hull.add(numbers, value)
    return [hull.above(numbers, value) for numbers, value in each]


def with_teacher(
    finalists: Sequence[Finalist], taught: Mapping[int, Atoms], evolution: Evolution
) -> list[Finalist]:
    """Finalists with what the teacher made of them; its hull is of these alone."""
    pressure = evolution.config.pressure
    known = [f for f in finalists if is_minimum(taught.get(f.number))]
    values = [enthalpy_of(taught[f.number], pressure) for f in known]
    heights = above([f.candidate for f in known], values, evolution)
    numbers = {f.number: place for place, f in enumerate(known)}
    return [
        replace(
            f,
            taught=taught[f.number],
            taught_enthalpy=values[numbers[f.number]],
            taught_above=heights[numbers[f.number]],
        )
        if f.number in numbers
        else f
        for f in finalists
    ]


def is_minimum(atoms: Atoms | None) -> bool:
    """Whether a relaxation ended at one."""
    return atoms is not None and atoms.info["outcome"] in MINIMA


def name_in(*found: Mapping[int, Atoms]) -> str:
    """The teacher of structures that are there."""
    names = {a.info.get("level_of_theory", "") for each in found for a in each.values()}
    return ", ".join(sorted(names - {""}))
