"""Relaxed structures in files: extended XYZ, or HDF5 where there are many.

In HDF5 the atoms of all structures stand one after the other, as in `Structures`; ``sizes`` tells
how many belong to each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.jsonio import decode, encode

from stratal.errors import InputError
from stratal.files import read_frames, read_hdf5, write_frames, write_hdf5
from stratal.files.hdf5 import Tree
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.state import Outcome

KIND = "set of relaxed structures"
NUMBER = "relax_number"  # info key in a partial file: of the structure in the input
KEYS = (NUMBER, "outcome", "n_steps", "largest_force", "extrapolation_grade")  # of info
BY_ATOM = ("numbers", "positions", "forces")  # of HDF5; all else is by structure
OUTCOMES = {outcome.label: outcome for outcome in Outcome}


def is_hdf5(path: Path) -> bool:
    """Whether a file of this name is HDF5."""
    return path.suffix.lower() in (".h5", ".hdf5")


def write_relaxed(path: Path, results: Sequence[Relaxed]) -> Counter[str]:
    """Write results in the order of their numbers; returns how many ended in which way.

    Args:
        path: HDF5 if it ends in .h5 or .hdf5, else extended XYZ.
        results: one or more.

    Raises:
        InputError: the file cannot be written.
    """
    results = sorted(results, key=lambda result: result.number)
    if is_hdf5(path):
        write_hdf5(path, as_arrays(results), {}, KIND)
    else:
        frames = [annotated(result) for result in results]
        for frame in frames:
            del frame.info[NUMBER]
        write_frames(path, frames)
    return Counter(result.outcome.label for result in results)


def read_relaxed(path: str | Path) -> list[Relaxed]:
    """What ``stratal relax`` wrote, extended XYZ or HDF5.

    Returns:
        results in the order of the structures that were relaxed, as `relax` gives them.

    Raises:
        InputError: no such file, a damaged one, or structures that were not relaxed here.
    """
    path = Path(path)
    if is_hdf5(path):
        return from_arrays(read_hdf5(path, KIND)[0])
    frames = read_frames(path)
    return [from_frame(frame, number, str(path)) for number, frame in enumerate(frames)]


def annotated(result: Relaxed) -> Atoms:
    """A result as it stands in extended XYZ."""
    atoms = result.atoms
    atoms.info |= {
        NUMBER: result.number,
        "outcome": result.outcome.label,
        "n_steps": result.n_steps,
        "largest_force": result.largest_force,
    }
    if np.isfinite(result.grade):
        atoms.info["extrapolation_grade"] = result.grade
    return atoms


def from_frame(frame: Atoms, number: int, where: str) -> Relaxed:
    """A result from extended XYZ.

    Args:
        frame: of `annotated`.
        number: of the structure, where the frame does not tell.
        where: the file, for errors.

    Raises:
        InputError: not of a relaxation.
    """
    found = {key: frame.info.pop(key, None) for key in KEYS}
    if found["outcome"] not in OUTCOMES or frame.calc is None:
        raise InputError(
            f"{where}, frame {number}: no outcome of a relaxation ({found['outcome']!r}). Give a "
            f"file that stratal relax wrote."
        )
    return Relaxed(
        number if found[NUMBER] is None else int(found[NUMBER]),
        frame,
        OUTCOMES[str(found["outcome"])],
        int(found["n_steps"]),
        float(found["largest_force"]),
        float("nan" if found["extrapolation_grade"] is None else found["extrapolation_grade"]),
    )


def as_arrays(results: Sequence[Relaxed]) -> Tree:
    """Results as a tree for HDF5."""
    frames = [result.atoms for result in results]
    found = [{} if atoms.calc is None else atoms.calc.results for atoms in frames]
    no_stress = np.full(6, np.nan)  # where there is no full cell
    return {
        "number": np.array([result.number for result in results], np.int64),  # in the input
        "outcome": [result.outcome.label for result in results],
        "n_steps": np.array([result.n_steps for result in results], np.int64),
        "largest_force": np.array([result.largest_force for result in results]),  # eV/Å
        "extrapolation_grade": np.array([result.grade for result in results]),
        "energy": np.array([own["energy"] for own in found]),  # eV
        "stress": np.array([own.get("stress", no_stress) for own in found]),  # eV/Å³, Voigt
        "cell": np.array([atoms.cell.array for atoms in frames]),  # Å
        "pbc": np.array([atoms.pbc for atoms in frames]),
        "sizes": np.array([len(atoms) for atoms in frames], np.int64),
        "numbers": np.concatenate([atoms.numbers for atoms in frames]),
        "positions": np.concatenate([atoms.positions for atoms in frames]),  # Å
        "forces": np.concatenate([own["forces"] for own in found]),  # eV/Å
        "extras": [extras_of(atoms) for atoms in frames],  # JSON
    }


def from_arrays(tree: Tree) -> list[Relaxed]:
    """The results of `as_arrays`."""
    ends = np.cumsum(tree["sizes"])[:-1]
    by_atom = zip(*(np.split(tree[key], ends) for key in BY_ATOM), strict=True)
    results = []
    for n, (numbers, positions, forces) in enumerate(by_atom):
        atoms = Atoms(numbers, positions, cell=tree["cell"][n], pbc=tree["pbc"][n])
        set_extras(atoms, tree["extras"][n])
        labels = {"energy": float(tree["energy"][n]), "forces": forces}
        if not np.isnan(tree["stress"][n]).all():
            labels["stress"] = tree["stress"][n]
        atoms.calc = SinglePointCalculator(atoms, **labels)
        figures = (float(tree[key][n]) for key in ("largest_force", "extrapolation_grade"))
        how = (OUTCOMES[tree["outcome"][n]], int(tree["n_steps"][n]))
        results.append(Relaxed(int(tree["number"][n]), atoms, *how, *figures))
    return results


def joined(trees: Sequence[Tree]) -> Tree:
    """Trees of `as_arrays` as one, in the order of the input."""
    order = np.argsort(np.concatenate([tree["number"] for tree in trees]))
    sizes = np.concatenate([tree["sizes"] for tree in trees])
    ends = np.cumsum(sizes)
    atoms = np.concatenate([np.arange(ends[n] - sizes[n], ends[n]) for n in order])
    whole: Tree = {}
    for key, first in trees[0].items():
        if isinstance(first, list):
            texts = [text for tree in trees for text in tree[key]]
            whole[key] = [texts[n] for n in order]
        else:
            whole[key] = np.concatenate([tree[key] for tree in trees])
            whole[key] = whole[key][atoms if key in BY_ATOM else order]
    return whole


def extras_of(atoms: Atoms) -> str:
    """What else a structure brought along, as JSON: its info and further arrays."""
    info = {key: value for key, value in atoms.info.items() if key not in KEYS}
    arrays = {key: value for key, value in atoms.arrays.items() if key not in BY_ATOM}
    if not info and not arrays:
        return ""
    return encode({"info": plain(info), "arrays": plain(arrays)})


def set_extras(atoms: Atoms, text: str) -> None:
    """Give a structure what `extras_of` told."""
    if not text:
        return
    extras: Any = decode(text, always_array=False)
    atoms.info.update(extras["info"])
    for name, values in extras["arrays"].items():
        atoms.new_array(name, np.asarray(values))


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON can hold them: text for what it cannot, as in extended XYZ."""
    found = {}
    for key, value in values.items():
        try:
            encode(value)
        except (TypeError, ValueError):
            value = str(value)
        found[str(key)] = value
    return found
