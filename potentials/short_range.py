"""Repulsion at short range, so that no structure falls into a hole of a fitted potential.

`ZBL` is the screened repulsion of two nuclei; `CloseRepulsion` the term that MAISE adds.
Little is left of either at bond lengths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.units import Bohr, Hartree

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import (
    check_elements_ascend,
    pair_distances,
    smooth_step,
    species_of_pairs,
)

COULOMB = Hartree * Bohr  # e^2 / (4 pi epsilon_0), eV Å
# Universal screening phi(x) = sum of weight exp(-decay x), eq. (2-74) of the ZBL book.
SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
MAISE_RADII = {29: 0.895, 46: 0.979, 47: 1.030}  # Å, of Cu, Pd, Ag: those known
MAISE_STRENGTH = 100.0  # eV


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ZBL:
    """Screened nuclear repulsion V = Z_i Z_j e^2 / r phi(r / a) times a smooth step.

    a = 0.8854 a_0 / (Z_i^0.23 + Z_j^0.23). J. F. Ziegler, J. P. Biersack and U. Littmark,
    The Stopping and Range of Ions in Solids (Pergamon, 1985). The step goes from ``inner``
    to ``outer``, where value, force and curvature vanish.
    """

    strictly_local: ClassVar[bool] = True
    inner: jax.Array  # (n_species, n_species), Å: below, the pure repulsion
    outer: jax.Array  # (n_species, n_species), Å: beyond, nothing
    acts: jax.Array  # (n_species, n_species), 1 or 0: between which species
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    cutoff: float = field(metadata={"static": True})  # Å, the largest of outer

    @classmethod
    def for_elements(
        cls,
        numbers: Iterable[int],
        reach: float = 1.0,
        core: float = 0.35,
        pairs: Collection[tuple[int, int]] | None = None,
    ) -> ZBL:
        """ZBL for these atomic numbers.

        Args:
            numbers: atomic numbers, in any order.
            pairs: atomic numbers between which it acts; by default all.
            reach: outer end of a pair in sums of covalent radii (Cu-Cu 2.64 Å), about a bond
                length, where next to nothing is left of it.
            core: where the step begins, in the same unit.

        Raises:
            InputError: no elements, or lengths that are not in order.
        """
        elements = tuple(sorted({int(z) for z in numbers}))
        check_elements_ascend(elements, "ZBL")
        if not 0 <= core < reach:
            raise InputError(f"ZBL: core = {core}, reach = {reach}: give 0 <= core < reach")
        radii = covalent_radii[list(elements)]
        sums = radii[:, None] + radii[None, :]
        acts = between(elements, pairs)
        return cls(core * sums, reach * sums, acts, elements, float((reach * sums * acts).max()))

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV: half of each pair's energy."""
        dtype, pairs = displacements.dtype, species_of_pairs(structures, neighbors)
        inner, outer = (jnp.asarray(ends, dtype)[pairs] for ends in (self.inner, self.outer))
        distances, within = pair_distances(displacements, outer)
        charge = np.array(self.elements, float)
        power = charge**0.23
        length = 0.8854 * Bohr / (power[:, None] + power[None, :])
        x = distances / jnp.asarray(length, dtype)[pairs]
        screening = sum(weight * jnp.exp(-decay * x) for weight, decay in SCREENING)
        strength = jnp.asarray(COULOMB * np.outer(charge, charge) * self.acts, dtype)[pairs]
        pair = strength / distances * screening * smooth_step(distances, inner, outer)
        return 0.5 * jnp.where(within, pair, 0).sum(axis=1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CloseRepulsion:
    """MAISE's default repulsion of atoms that are too close.

    E_i = sum_j U (R / r) (1 + cos(pi r / R)) / 2 for r < R = R_i + R_j; both atoms of a
    pair have it.
    """

    strictly_local: ClassVar[bool] = True
    radii: jax.Array  # (n_species,), Å
    acts: jax.Array  # (n_species, n_species), 1 or 0: between which species
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    cutoff: float = field(metadata={"static": True})  # Å, twice the largest radius
    strength: float = field(default=MAISE_STRENGTH, metadata={"static": True})  # U, eV

    @classmethod
    def for_elements(
        cls,
        numbers: Iterable[int],
        radii: Mapping[int, float] | None = None,
        pairs: Collection[tuple[int, int]] | None = None,
    ) -> CloseRepulsion:
        """The repulsion for these atomic numbers.

        Args:
            numbers: atomic numbers, in any order.
            radii: atomic number to radius (Å); needed for all but Cu, Pd and Ag.
            pairs: atomic numbers between which it acts; by default all.

        Raises:
            InputError: an element without a radius, or a radius that is not above 0.
        """
        elements = tuple(sorted({int(z) for z in numbers}))
        check_elements_ascend(elements, "CloseRepulsion")
        known = {**MAISE_RADII, **(radii or {})}
        acts = between(elements, pairs)
        used = [z for z, row in zip(elements, acts, strict=True) if row.any()]
        unknown = [chemical_symbols[z] for z in used if z not in known]
        if unknown:
            raise InputError(
                f"CloseRepulsion: no radius known for {', '.join(unknown)}. Give it, in Å, as "
                f"radii={{atomic number: radius}}, a little below half of the shortest bond."
            )
        given = np.array([known.get(z, MAISE_RADII[29]) for z in elements], float)
        if not (np.isfinite(given) & (given > 0)).all():
            raise InputError(f"CloseRepulsion: radii = {given} Å: give lengths above 0")
        reach = (given[:, None] + given[None, :]) * acts
        return cls(given, acts, elements, float(reach.max()))

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV."""
        i, j = species_of_pairs(structures, neighbors)
        radii = jnp.asarray(self.radii, displacements.dtype)
        reach = radii[i] + radii[j]
        distances, within = pair_distances(displacements, reach)
        ratio = distances / reach
        strength = self.strength * jnp.asarray(self.acts, displacements.dtype)[i, j]
        pair = strength / ratio * 0.5 * (1 + jnp.cos(jnp.pi * ratio))
        return jnp.where(within, pair, 0).sum(axis=1)


def between(
    elements: tuple[int, ...], pairs: Collection[tuple[int, int]] | None = None
) -> np.ndarray:
    """1 for species that are one of the pairs, else 0, ``(n_species, n_species)``."""
    if pairs is None:
        return np.ones((len(elements), len(elements)))
    acts = np.zeros((len(elements), len(elements)))
    for pair in pairs:
        one, other = (elements.index(z) for z in pair)
        acts[one, other] = acts[other, one] = 1.0
    return acts
