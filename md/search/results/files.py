"""What a search has found, as files: structures, lineage, one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.files import atomic_path, write_frames, write_json, write_structures
from stratal.files.hdf5 import write_hdf5
from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.ending.final import NO_GROUP, Ending, Finalist, groups_of
from stratal.md.search.evolution import Evolution
from stratal.md.search.results.page import report_of
from stratal.md.structures.crystal_symmetry import standard_cell

ROWS = 20  # candidates in tables, and all of the best


def write_results(
    folder: Path, evolution: Evolution, reason: str, ending: Ending | None = None
) -> None:
    """Write structures, ``search.h5``, ``search.json`` and ``report.html``.

    Args:
        folder: of the search.
        evolution: as it ended, or stands.
        reason: why it stopped; nothing: not over yet.
        ending: what was made of the best candidates.
    """
    ending = ending or Ending()
    members = in_order(evolution)
    put(folder / "best.extxyz", [described(evolution, member) for member in members])
    put(folder / "final.extxyz", [as_frame(finalist) for finalist in ending.finalists])
    put(folder / "aside.extxyz", [described(evolution, candidate) for candidate in ending.aside])
    put(folder / "labelled.extxyz", list(ending.labelled))
    for old in folder.glob("final-*.cif"):
        old.unlink()
    for place, finalist in enumerate(ending.finalists):
        best = finalist.atoms if finalist.taught is None else finalist.taught
        if best.pbc.all():
            formula = best.symbols.formula.reduce()[0].format("hill")
            name = f"final-{place + 1:02d}-{formula}.cif"
            write_cif(folder / name, best)
    write_hdf5(folder / "search.h5", lineage(evolution), {}, "search")
    content = summary(evolution, reason, ending)
    write_json(folder / "search.json", content)
    report_of(evolution, content, ending).write(folder / "report.html")


def put(path: Path, frames: list[Atoms]) -> None:
    """Write frames; without any there is no file."""
    if frames:
        write_frames(path, frames)
    else:
        path.unlink(missing_ok=True)


def write_cif(path: Path, crystal: Atoms) -> None:
    """The conventional cell with its space group's operations, as far as there is one."""
    from pymatgen.core import Structure
    from pymatgen.io.cif import CifWriter

    try:
        cell = standard_cell(crystal, primitive=False)
    except InputError:
        write_structures(path, [crystal])
        return
    structure = Structure(cell.cell.array, list(cell.symbols), cell.get_scaled_positions())
    with atomic_path(path) as temporary:
        temporary.write_text(str(CifWriter(structure, symprec=1e-3)))


def described(evolution: Evolution, member: Candidate) -> Atoms:
    """A candidate's structure with what is known of it."""
    atoms = member.atoms.copy()
    atoms.calc = member.atoms.calc
    atoms.info |= {
        "number": member.number,
        "enthalpy_per_atom": member.by_atom,
        "above": evolution.population.above(member),
        "operator": member.origin.operator,
        "rediscovered": evolution.discoveries.again(member),
        "outside": member.outside,
    }
    if np.isfinite(member.grade):
        atoms.info["grade"] = member.grade
    return atoms


def as_frame(finalist: Finalist) -> Atoms:
    """A finalist at its minimum, of the teacher where there is one."""
    best = finalist.atoms if finalist.taught is None else finalist.taught
    atoms = best.copy()
    atoms.calc = best.calc
    atoms.info |= {
        "number": finalist.number,
        "enthalpy_per_atom": finalist.enthalpy,
        "above": finalist.above,
        "space_group": finalist.group,
        "operator": finalist.candidate.origin.operator,
    }
    if finalist.taught is not None:
        atoms.info |= {
            "teacher_enthalpy_per_atom": finalist.taught_enthalpy,
            "teacher_above": finalist.taught_above,
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
        "formula": [step.formula for step in steps],
        "enthalpy_per_atom": np.array([step.enthalpy for step in steps]),
    }


def summary(evolution: Evolution, reason: str, ending: Ending) -> dict[str, Any]:
    """The search for machines."""
    coverage = evolution.coverage
    return {
        "stopped_by": reason,
        "relaxations": evolution.done,
        "outcomes": dict(evolution.outcomes),
        "best": [row_of(evolution, member) for member in shown(evolution)],
        "operators": operators(evolution),
        "chance_missed": coverage.chance_missed,
        "low_structures": {
            "within_eV_per_atom": evolution.config.near,
            "found": coverage.found,
            "expected": coverage.expected,
        },
        "slots_busy": slots_busy(evolution),
        "second_differences_eV": {str(n): value for n, value in second_differences(evolution)},
        "aside": {
            "relaxations": len(evolution.aside),
            "structures": len(ending.aside),
            "labelled": len(ending.labelled),
        },
        "final": [final_row(finalist) for finalist in ending.finalists],
        "teacher": ending.teacher,
        "failures": list(ending.failures),
    }


def row_of(evolution: Evolution, member: Candidate) -> dict[str, Any]:
    """A candidate in a few words."""
    return {
        "number": member.number,
        "formula": member.atoms.get_chemical_formula(),
        "space_group": symmetry_of(member.atoms),
        "enthalpy_eV": member.enthalpy,
        "enthalpy_eV_per_atom": member.by_atom,
        # Rounding may fall below the hull.
        "above_eV_per_atom": max(0.0, evolution.population.above(member)),
        "made_by": member.origin.operator,
        "parents": list(member.origin.parents),
        "found_again": evolution.discoveries.again(member),
        "outside": member.outside,
    }


def final_row(finalist: Finalist) -> dict[str, Any]:
    """A finalist in a few words; null where the teacher did not tell."""
    known = finalist.taught is not None
    return {
        "number": finalist.number,
        "formula": finalist.atoms.get_chemical_formula(),
        "space_group": finalist.group,
        "enthalpy_eV_per_atom": finalist.enthalpy,
        "above_eV_per_atom": max(0.0, finalist.above),
        "teacher_enthalpy_eV_per_atom": finalist.taught_enthalpy if known else None,
        "teacher_above_eV_per_atom": max(0.0, finalist.taught_above) if known else None,
        "teacher_space_group": finalist.taught.info.get("space_group", NO_GROUP)
        if finalist.taught is not None
        else None,
        "merged": list(finalist.merged),
    }


def symmetry_of(atoms: Atoms) -> str:
    """The highest space group within some tolerances; a dash where there is none."""
    if not atoms.pbc.all():
        return NO_GROUP
    return max((name for _, name in groups_of(atoms)), key=number_in, default=NO_GROUP)


def number_in(name: str) -> int:
    """Of a space group's name.

    >>> number_in("Pm-3m (221)")
    221
    """
    return int(name[name.index("(") + 1 : -1])


def operators(evolution: Evolution) -> dict[str, dict[str, int]]:
    """How many structures each operator or start made, how many lived, how often it gave up."""
    made = Counter(step.operator for step in evolution.steps)
    lived = Counter(
        step.operator for step in evolution.steps if step.verdict in ("new", "new best")
    )
    gave_up = +evolution.gave_up
    return {
        name: {"made": made[name], "lived": lived[name], "gave_up": gave_up[name]}
        for name, _ in (made + gave_up).most_common()
    }


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
