"""Evaluate many structures: composed by their elements, in batches of padded sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from stratal.descriptors.host_list import as_table, find_edges, table_width
from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures, bucket
from stratal.errors import InputError
from stratal.potentials.chunks import evaluate_within
from stratal.potentials.evaluate import Potential, in_precision

ATOMS = 2048  # of a batch, unless one structure has more


@dataclass(frozen=True)
class Predictions:
    """What a potential says of several structures."""

    energy: np.ndarray  # (n,), eV
    forces: tuple[np.ndarray, ...]  # (n_atoms, 3) each, eV/Å
    stress: np.ndarray  # (n, 6), eV/Å³, ASE's sign and order; NaN without a full cell


def predict_frames(
    frames: Sequence[Atoms],
    potential_of: Callable[[tuple[int, ...]], Potential],
    precision: str = "float64",
) -> Predictions:
    """Evaluate structures of any sizes and elements.

    Args:
        frames: the structures.
        potential_of: gives the potential for a set of atomic numbers.
        precision: ``"float64"`` or ``"float32"``.

    Raises:
        InputError: what ``potential_of`` raises; overlapping atoms; an unknown precision.
    """
    if precision not in ("float64", "float32"):
        raise InputError(f"precision {precision!r}: give float64 or float32.")
    energy, stress = np.zeros(len(frames)), np.full((len(frames), 6), np.nan)
    forces: list[np.ndarray] = [np.zeros((0, 3))] * len(frames)
    with jax.enable_x64(True):
        for members, ends, placed in placed_batches(frames, potential_of, precision):
            # Cut on the host: on the device each length would be a program of its own.
            result = jax.tree.map(lambda a: np.asarray(a, float), evaluate_within(*placed))
            energy[members] = result.energy[: len(members)]
            voigt = full_3x3_to_voigt_6_stress(result.stress[: len(members)])
            split = np.split(result.forces[: ends[-1]], ends[:-1])
            for number, own, tensor in zip(members, split, voigt, strict=True):
                forces[number] = own
                if frames[number].cell.rank == 3:
                    stress[number] = tensor
    return Predictions(energy, tuple(forces), stress)


def placed_batches(
    frames: Sequence[Atoms], potential_of: Callable[[tuple[int, ...]], Potential], precision: str
) -> Iterator[tuple[list[int], np.ndarray, tuple[Potential, Structures, Neighbors]]]:
    """The batches of `batches_of`, ready to be evaluated.

    Yields:
        which frames; where the atoms of each end; the potential, structures and neighbors.
    """
    for elements, members in batches_of(frames):
        part = [frames[i] for i in members]
        potential = in_precision(potential_of(elements), precision)
        ends = np.cumsum([len(frame) for frame in part])
        yield members, ends, (potential, *batch_arrays(potential, part, precision))


def batches_of(frames: Sequence[Atoms]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Frames of the same elements and about the same size, up to ``ATOMS`` atoms at once."""
    sets = [tuple(sorted(set(frame.numbers.tolist()))) for frame in frames]
    for elements in sorted(set(sets)):
        members = [i for i, own in enumerate(sets) if own == elements]
        members.sort(key=lambda i: (len(frames[i]), -frames[i].cell.volume / len(frames[i])))
        batch: list[int] = []
        n_atoms = 0
        for number in members:
            if batch and n_atoms + len(frames[number]) > ATOMS:
                yield elements, batch
                batch, n_atoms = [], 0
            batch.append(number)
            n_atoms += len(frames[number])
        yield elements, batch


def batch_arrays(
    potential: Potential, frames: Sequence[Atoms], precision: str
) -> tuple[Structures, Neighbors]:
    """Structures and neighbors of a batch, padded to few different shapes."""
    structures = Structures.from_atoms(frames, potential.elements)
    structures = structures.padded(bucket(structures.n_atoms, 64), bucket(len(frames) + 1, 16))
    edges = find_edges(structures, potential.cutoff)
    width = bucket(table_width(structures, edges), 2 * TILE)
    neighbors = as_table(structures, edges, potential.cutoff, 0.0, width)
    return structures.astype(precision), neighbors
