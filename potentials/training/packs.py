"""Labelled structures as minibatches of moments, their derivatives, and labels.

Moments do not depend on anything that is trained. With them and their derivatives by
positions and strain at hand, forces and stresses of a minibatch are one matrix product.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from stratal.descriptors.invariants import Moments
from stratal.errors import InputError
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.training.moment_rows import RowSource
from stratal.progress import Progress

CLASSES = (8, 16, 36, 72, 128, 256, 512)  # atoms of a structure are padded to one of these


@dataclass(frozen=True)
class Targets:
    """Labels less what is below, by member of the committee below (or one for all)."""

    energy: np.ndarray  # (n_members, n), eV
    forces: tuple[np.ndarray | None, ...]  # (n_members, n_atoms, 3) each, eV/Å
    strain: np.ndarray  # (n_members, n, 6), dE/dstrain, eV; NaN where there is no stress
    weight: np.ndarray  # (n_members, n), how often a structure counts

    def take(self, which: np.ndarray) -> Targets:
        """The structures of these indices."""
        return Targets(
            self.energy[:, which],
            tuple(self.forces[i] for i in which),
            self.strain[:, which],
            self.weight[:, which],
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pack:
    """Minibatches of one padded size, stacked along the first axis of every array."""

    moments: tuple[jax.Array, ...]  # by central species, (n_batches, n_rows, n_moments)
    jacobian: tuple[jax.Array, ...]  # (n_batches, n_rows, n_moments, 3 n_atoms + 6)
    frame: tuple[jax.Array, ...]  # (n_batches, n_rows), place in the minibatch; padding: the last
    n_atoms: jax.Array  # (n_batches, n_frames)
    weight: jax.Array  # (n_batches, n_members, n_frames); 0 for padding
    energy: jax.Array  # (n_batches, n_members, n_frames), eV
    forces: jax.Array  # (n_batches, n_members, n_frames, 3 n_atoms), eV/Å
    force_mask: jax.Array  # (n_batches, n_frames, 3 n_atoms)
    strain: jax.Array  # (n_batches, n_members, n_frames, 6), eV
    strain_mask: jax.Array  # (n_batches, n_frames)
    index: np.ndarray  # (n_batches, n_frames); -1: padding

    @property
    def n_batches(self) -> int:
        """How many minibatches."""
        return len(self.n_atoms)

    def real_rows(self, place: int, number: int) -> np.ndarray:
        """Which rows of one element in a minibatch are no padding, ``(n_rows,)``."""
        return np.asarray(self.frame[place][number]) < self.n_atoms.shape[1] - 1

    def __getitem__(self, number: jax.Array) -> Pack:
        """One minibatch, without the first axis."""
        return jax.tree.map(lambda a: a[number], self)


def pack(
    data: LabelledData,
    targets: Targets,
    descriptor: Moments,
    elements: Sequence[int],
    n_frames: int,
    seed: int,
) -> list[Pack]:
    """Minibatches of about ``n_frames`` structures each, by size of structure.

    Args:
        data: structures with no other elements than ``elements``.
        targets: what is to be fitted.
        descriptor: whose moments.
        elements: atomic numbers, ascending.
        n_frames: structures of a minibatch (fewer where they are large).
        seed: draws which structures stand together.

    Raises:
        InputError: a structure too large to be trained on, overlapping atoms.
    """
    rng = np.random.default_rng(seed)
    packs = []
    total = int(data.n_atoms.sum())
    with Progress(total, "moments") as progress:
        for size, members in by_class(data):
            members = rng.permutation(members)
            n_batches = -(-len(members) * max(1, size // CLASSES[0]) // n_frames)
            groups = np.array_split(members, min(n_batches, len(members)))
            own = pack_class(data, targets, descriptor, elements, size, groups, progress)
            packs.append(jax.device_put(own))  # at once: the host's copy can then go
    return packs


def by_class(data: LabelledData) -> Iterator[tuple[int, np.ndarray]]:
    """Padded numbers of atoms, and which structures have them."""
    if int(data.n_atoms.max(initial=0)) > CLASSES[-1]:
        worst = int(np.argmax(data.n_atoms))
        raise InputError(
            f"{data.sources[worst]}: {data.n_atoms[worst]} atoms; structures of up to "
            f"{CLASSES[-1]} can be trained on. Use smaller cells."
        )
    sizes = np.array(CLASSES)[np.searchsorted(CLASSES, data.n_atoms)]
    for size in np.unique(sizes):
        yield int(size), np.flatnonzero(sizes == size)


def pack_class(
    data: LabelledData,
    targets: Targets,
    descriptor: Moments,
    elements: Sequence[int],
    size: int,
    groups: Sequence[np.ndarray],
    progress: Progress,
) -> Pack:
    """Minibatches of structures of up to ``size`` atoms."""
    members = np.concatenate(groups)
    source = RowSource([data.frames[i] for i in members], descriptor, elements, size)
    starts = np.cumsum([0, *map(len, groups)])
    n_frames = max(map(len, groups)) + 1  # the last place takes what padding rows give
    moments, jacobian, frame = [], [], []
    for species in range(len(elements)):
        rows = [
            np.flatnonzero((source.species == species) & (source.frame >= a) & (source.frame < b))
            for a, b in itertools.pairwise(starts)
        ]
        n_rows = -(-max(map(len, rows)) // 8) * 8
        shape = (len(groups), max(8, n_rows))
        values = np.zeros((*shape, source.n_moments), np.float32)
        slopes = np.zeros((*shape, source.n_moments, 3 * size + 6), np.float32)
        place = np.full(shape, n_frames - 1, np.int32)
        for batch, own in enumerate(rows):
            values[batch, : len(own)], slopes[batch, : len(own)] = source.rows(own)
            place[batch, : len(own)] = source.frame[own] - starts[batch]
            progress.update(len(own))
        moments.append(values)
        jacobian.append(slopes)
        frame.append(place)
    return Pack(
        tuple(moments),
        tuple(jacobian),
        tuple(frame),
        **labels_of(data, targets, size, groups, n_frames),
    )


def labels_of(
    data: LabelledData, targets: Targets, size: int, groups: Sequence[np.ndarray], n_frames: int
) -> dict[str, np.ndarray]:
    """The fields of `Pack` from ``n_atoms`` on."""
    n_members, shape = len(targets.energy), (len(groups), n_frames)
    found = {
        "n_atoms": np.ones(shape, np.float32),
        "weight": np.zeros((len(groups), n_members, n_frames), np.float32),
        "energy": np.zeros((len(groups), n_members, n_frames), np.float32),
        "forces": np.zeros((len(groups), n_members, n_frames, 3 * size), np.float32),
        "force_mask": np.zeros((*shape, 3 * size), np.float32),
        "strain": np.zeros((len(groups), n_members, n_frames, 6), np.float32),
        "strain_mask": np.zeros(shape, np.float32),
        "index": np.full(shape, -1, np.int32),
    }
    for batch, group in enumerate(groups):
        for place, i in enumerate(group):
            found["n_atoms"][batch, place] = data.n_atoms[i]
            found["weight"][batch, :, place] = targets.weight[:, i]
            found["energy"][batch, :, place] = targets.energy[:, i]
            found["index"][batch, place] = i
            if (forces := targets.forces[i]) is not None:
                flat = forces.reshape(n_members, -1)
                found["forces"][batch, :, place, : flat.shape[1]] = flat
                found["force_mask"][batch, place, : flat.shape[1]] = 1.0
            if np.isfinite(targets.strain[:, i]).all():
                found["strain"][batch, :, place] = targets.strain[:, i]
                found["strain_mask"][batch, place] = 1.0
    return found


def with_members(targets: Targets, n_members: int) -> Targets:
    """The same targets for each member of a committee, where there is but one set."""
    if len(targets.energy) == n_members:
        return targets

    def repeat(array: np.ndarray) -> np.ndarray:
        return np.repeat(array, n_members, axis=0)

    return replace(
        targets,
        energy=repeat(targets.energy),
        forces=tuple(None if own is None else repeat(own) for own in targets.forces),
        strain=repeat(targets.strain),
        weight=repeat(targets.weight),
    )
