"""What each member of a committee says: the spread of their answers is an uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.potentials.batch import placed_batches
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import (
    CACHED,
    Potential,
    Result,
    as_result,
    is_strictly_local,
)


class MemberPredictions(NamedTuple):
    """What each member says of several structures."""

    energy: np.ndarray  # (n_members, n), eV
    forces: tuple[np.ndarray, ...]  # (n_members, n_atoms, 3) each, eV/Å
    stress: np.ndarray  # (n_members, n, 6), eV/Å³, ASE's sign and order; NaN without a full cell


def member_energies(
    potential: Potential, structures: Structures, neighbors: Neighbors, displacements: jax.Array
) -> jax.Array:
    """Atomic energies by each member, ``(n_members, n_atoms)``, eV."""
    by_member = getattr(potential, "member_energies", None)
    if by_member is None:
        return potential.energies(structures, neighbors, displacements)[None]
    return by_member(structures, neighbors, displacements)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Member:
    """One member of a committee as a potential of its own, or any weighted sum of them.

    The weights are an array: all members share one compiled program.
    """

    committee: Potential
    weights: jax.Array  # (n_members,)

    @property
    def strictly_local(self) -> bool:
        """Whether the committee is."""
        return is_strictly_local(self.committee)

    @property
    def cached_rows(self) -> int:
        """Rows of the neighbor table that stay in a processor's cache."""
        return getattr(self.committee, "cached_rows", CACHED)

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        return self.committee.cutoff

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers covered, ascending."""
        return self.committee.elements

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies, ``(n_atoms,)``, eV."""
        return self.weights @ member_energies(self.committee, structures, neighbors, displacements)


def evaluate_members(potential: Potential, structures: Structures, neighbors: Neighbors) -> Result:
    """What `evaluate` gives, for each member: every array has a leading axis of members."""
    structures, neighbors = jax.tree.map(jnp.asarray, (structures, neighbors))
    displacements = neighbors.displacements(structures)
    energies, pull_back = jax.vjp(
        lambda d: member_energies(potential, structures, neighbors, d), displacements
    )
    real = jnp.where(structures.atom_mask, 1.0, 0.0).astype(energies.dtype)

    def of_member(one_hot: jax.Array, own: jax.Array) -> Result:
        (pull,) = pull_back(one_hot[:, None] * real)
        pull = jnp.where(neighbors.mask[..., None], pull, 0.0)
        forces = pull.sum(axis=1) - neighbors.reversed(pull).sum(axis=1)
        virials = jnp.einsum("ijk,ijl->ikl", displacements, pull, precision="highest")
        return as_result(structures, own, forces, virials)

    return jax.vmap(of_member)(jnp.eye(len(energies), dtype=energies.dtype), energies)


_evaluate_members = compiled(evaluate_members)


def predict_members(
    frames: Sequence[Atoms],
    potential_of: Callable[[tuple[int, ...]], Potential],
    precision: str = "float64",
) -> MemberPredictions:
    """Evaluate structures of any sizes and elements by every member.

    Args:
        frames: the structures.
        potential_of: gives the potential for a set of atomic numbers; all have as many members.
        precision: ``"float64"`` or ``"float32"``.

    Raises:
        InputError: what ``potential_of`` raises; overlapping atoms.
    """
    energy: list[np.ndarray] = [np.zeros(0)] * len(frames)
    forces: list[np.ndarray] = [np.zeros(0)] * len(frames)
    stress: list[np.ndarray] = [np.zeros(0)] * len(frames)
    with jax.enable_x64(True):
        for members, ends, placed in placed_batches(frames, potential_of, precision):
            result = _evaluate_members(*placed)
            split = np.split(np.asarray(result.forces[:, : ends[-1]], float), ends[:-1], axis=1)
            tensors = np.asarray(result.stress[:, : len(members)], float)
            voigt = full_3x3_to_voigt_6_stress(tensors.reshape(-1, 3, 3))
            voigt = voigt.reshape(len(tensors), -1, 6)
            for place, number in enumerate(members):
                energy[number] = np.asarray(result.energy[:, place], float)
                forces[number] = split[place]
                full = frames[number].cell.rank == 3
                stress[number] = voigt[:, place] if full else np.full_like(voigt[:, place], np.nan)
    return MemberPredictions(np.stack(energy, 1), tuple(forces), np.stack(stress, 1))
