"""Coordinates of relaxation: of atoms in the undeformed cell, and the logarithm of its strain.

A system's atoms and cell make one vector, as in ASE's ``FrechetCellFilter``: the atoms where they
were before the cell was deformed by F = exp(u), r = F X, and u times the number of atoms, so
that both parts are about equally stiff. Forces on the two are exact derivatives of the energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp

from stratal.descriptors.structures import Structures
from stratal.potentials.evaluate import Result

Arrays = TypeVar("Arrays")  # a pytree

SQUARINGS, ORDER = 5, 8  # of the exponential: to rounding for strains up to 2

# What of the strain may change: all, all but the volume, or the volume alone.
Strain = Literal["free", "fixed volume", "fixed shape"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Coordinates:
    """A vector for each system; two parts that share its length."""

    atoms: jax.Array  # (n_systems, ..., n_places, 3), Å
    cell: jax.Array  # (n_systems, ..., 3, 3), log-strain times the number of atoms, as if Å

    def __add__(self, other: Coordinates) -> Coordinates:
        return Coordinates(self.atoms + other.atoms, self.cell + other.cell)

    def __sub__(self, other: Coordinates) -> Coordinates:
        return Coordinates(self.atoms - other.atoms, self.cell - other.cell)

    def scaled(self, factors: jax.Array) -> Coordinates:
        """Each vector times its factor, ``(n_systems, ...)``."""
        factors = factors[..., None, None]
        return Coordinates(factors * self.atoms, factors * self.cell)

    def dot(self, other: Coordinates) -> jax.Array:
        """Scalar products, ``(n_systems, ...)``."""
        return (self.atoms * other.atoms).sum((-2, -1)) + (self.cell * other.cell).sum((-2, -1))

    def norm(self) -> jax.Array:
        """Lengths, ``(n_systems, ...)``."""
        return jnp.sqrt(self.dot(self))

    def longest(self) -> jax.Array:
        """Length of the longest three-vector: of an atom, or a row of the cell's part."""
        squares = [(part * part).sum(-1).max(-1) for part in (self.atoms, self.cell)]
        return jnp.sqrt(jnp.maximum(*squares))

    def where(self, which: jax.Array, other: Coordinates) -> Coordinates:
        """These where True, ``(n_systems,)``, else others."""
        return where(which, self, other)


def where(which: jax.Array, these: Arrays, others: Arrays) -> Arrays:
    """Arrays with a leading axis of systems: these where True, ``(n_systems,)``, else others."""

    def pick(one: jax.Array, other: jax.Array) -> jax.Array:
        return jnp.where(which.reshape(-1, *(1,) * (one.ndim - 1)), one, other)

    return jax.tree.map(pick, these, others)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Freedom:
    """What may move in each system."""

    atoms: jax.Array  # (n_systems, n_places), True for those that may
    # (n_systems, 3, 3): projects on the directions in which the cell may be strained; 0 if in none.
    strain: jax.Array


def placed(structures: Structures, start: jax.Array, x: Coordinates) -> Structures:
    """The structures at these coordinates.

    Args:
        structures: whose atoms and systems; ``n_systems`` times as many places as ``x`` has.
        start: cells before deformation, ``(n_systems, 3, 3)``, Å.
        x: coordinates.
    """
    deformation = deformations(structures, x)
    positions = jnp.einsum("sai,sji->saj", x.atoms, deformation, precision="highest")
    cell = jnp.einsum("sai,sji->saj", start, deformation, precision="highest")
    return replace(structures, positions=positions.reshape(-1, 3), cell=cell)


def undeformed(structures: Structures) -> Coordinates:
    """Coordinates of structures whose cells are the start."""
    n_systems = structures.n_systems
    positions = jnp.asarray(structures.positions).reshape(n_systems, -1, 3)
    return Coordinates(positions, jnp.zeros((n_systems, 3, 3), positions.dtype))


def deformations(structures: Structures, x: Coordinates) -> jax.Array:
    """F of each system, ``(n_systems, 3, 3)``; a column vector r becomes F r."""
    return exponential(log_strains(structures, x))


def log_strains(structures: Structures, x: Coordinates) -> jax.Array:
    """U of each system, ``(n_systems, 3, 3)``."""
    return x.cell / atoms_of(structures)[:, None, None]


def atoms_of(structures: Structures) -> jax.Array:
    """Atoms of each system, ``(n_systems,)``, at least 1."""
    real = structures.atom_mask.reshape(structures.n_systems, -1)
    return jnp.maximum(real.sum(axis=1), 1).astype(structures.positions.dtype)


def forces_on(
    x: Coordinates,
    structures: Structures,
    result: Result,
    freedom: Freedom,
    strain: Strain = "free",
    pressure: float = 0.0,
    symmetrized: Callable[[Coordinates], Coordinates] | None = None,
) -> Coordinates:
    """Minus the derivative of the enthalpy E + pV by the coordinates, for what may move.

    Args:
        x: coordinates of the structures.
        structures: as `placed` gives them.
        result: their energies, forces (eV/Å) and stresses (eV/Å³).
        freedom: what may move.
        strain: what of the cell may change.
        pressure: eV/Å³.
        symmetrized: makes forces symmetric, if symmetry is kept.

    Returns:
        in eV/Å; of the cell, eV by strain and atom.
    """
    log_strain = log_strains(structures, x)
    deformation, pull_back = jax.vjp(exponential, log_strain)
    own = result.forces.reshape(x.atoms.shape)
    atoms = jnp.einsum("sai,sij->saj", own, deformation, precision="highest")
    atoms = jnp.where(freedom.atoms[..., None], atoms, 0.0)

    # dE/dstrain, in the directions that are free; dE/dF = dE/dstrain F^-T.
    stress = result.stress + pressure * jnp.eye(3, dtype=own.dtype)
    by_strain = structures.volumes[:, None, None] * stress
    by_strain = jnp.einsum("sij,sjk,skl->sil", freedom.strain, by_strain, freedom.strain)
    if strain == "fixed shape":
        by_strain = isotropic(by_strain, freedom)
    back = exponential(-log_strain)  # F^-1
    (by_log,) = pull_back(jnp.einsum("sij,skj->sik", by_strain, back, precision="highest"))
    if strain == "fixed volume":
        by_log = by_log - isotropic(by_log, freedom)
    cell = -by_log / atoms_of(structures)[:, None, None]
    forces = Coordinates(atoms, cell)
    return symmetrized(forces) if symmetrized else forces


def isotropic(tensor: jax.Array, freedom: Freedom) -> jax.Array:
    """The part of tensors ``(n_systems, 3, 3)`` that is alike in all free directions."""
    traces = [jnp.trace(each, axis1=1, axis2=2) for each in (tensor, freedom.strain)]
    mean = traces[0] / jnp.maximum(traces[1], 1.0)
    return mean[:, None, None] * freedom.strain


def exponential(matrices: jax.Array) -> jax.Array:
    """Exp of small matrices ``(n_systems, 3, 3)``, by its series, scaled and squared."""
    small = matrices / 2**SQUARINGS
    identity = jnp.eye(3, dtype=matrices.dtype)
    total = identity + small / ORDER
    for order in range(ORDER - 1, 0, -1):  # Horner's scheme
        total = identity + jnp.matmul(small, total, precision="highest") / order
    for _ in range(SQUARINGS):
        total = jnp.matmul(total, total, precision="highest")
    return total
