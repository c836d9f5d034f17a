"""How far to trust a prediction: calibrated uncertainties and grades of extrapolation.

The spread of a committee orders errors well but is too small: its members were fitted to the
same structures. Each stratum so carries the factors by which the spread of its members was
exceeded on structures kept apart from the fit, and an atom outside the training set (grade
above 1, see `Domain`) counts its grade on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.potentials.batch import placed_batches
from stratal.potentials.chunks import (
    evaluate_rows,
    rows_by_species,
    rows_of_chunk,
    rows_within,
)
from stratal.potentials.committee import Member, evaluate_members
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential

COVERED = 0.9  # part of errors that an interval is to cover
NORMAL = 1.6448536  # half-width of that interval of a normal distribution, in standard deviations
LEAST_SPREAD = 1e-4  # eV/Å and eV/atom: less spread than this is not taken at its word


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trust:
    """Standard uncertainties and grades; NaN where a potential cannot say.

    90 % of errors are meant to lie within 1.645 standard uncertainties.
    """

    energy: jax.Array  # (n_systems,), eV
    forces: jax.Array  # (n_atoms,), eV/Å, of each component
    grades: jax.Array  # (n_atoms,), 1 at the edge of the training set


class PredictedTrust(NamedTuple):
    """`Trust` of several structures."""

    energy: np.ndarray  # (n,), eV
    forces: tuple[np.ndarray, ...]  # (n_atoms,) each, eV/Å
    grades: tuple[np.ndarray, ...]  # (n_atoms,) each


def evaluate_trust(potential: Potential, structures: Structures, neighbors: Neighbors) -> Trust:
    """Uncertainties from the spread of a committee, and grades."""
    members = evaluate_members(potential, structures, neighbors)
    factors = factors_of(potential, structures, neighbors, neighbors.displacements(structures))
    return trust_of(structures, members.energy, members.forces, factors)


trust_at_once = compiled(evaluate_trust)


def trust_by_rows(
    potential: Potential, structures: Structures, neighbors: Neighbors, n_rows: int
) -> Trust:
    """What `evaluate_trust` gives, from ``n_rows`` rows of the neighbor table at a time.

    Args:
        potential: any; a strictly local one if there are more rows.
        structures: all atoms.
        neighbors: all rows.
        n_rows: as `chunks.rows_within` gives it.
    """
    if n_rows >= structures.n_atoms:
        return trust_at_once(potential, structures, neighbors)
    one_hot = np.eye(getattr(potential, "n_members", 1), dtype=structures.positions.dtype)
    by_member = [
        evaluate_rows(Member(potential, weights), structures, neighbors, n_rows)
        for weights in one_hot
    ]
    return trust_of(
        jax.tree.map(jnp.asarray, structures),
        jnp.stack([result.energy for result in by_member]),
        jnp.stack([result.forces for result in by_member]),
        factors_by_rows(potential, structures, neighbors, n_rows),
    )


def trust_of(
    structures: Structures, energy: jax.Array, forces: jax.Array, factors: jax.Array
) -> Trust:
    """Uncertainties from what the members say and what strata know of their trust.

    Args:
        structures: all atoms.
        energy: ``(n_members, n_systems)``, eV.
        forces: ``(n_members, n_atoms, 3)``, eV/Å.
        factors: ``(3, n_atoms)``, from `factors_of`.
    """
    grades, of_forces, of_energy = factors
    real = jnp.asarray(structures.atom_mask)
    n_atoms = structures.sum_by_system(jnp.where(real, 1.0, 0.0))
    spread = force_spread(forces) * jnp.maximum(grades, 1.0)
    worst = jnp.where(real, of_energy, 0.0)
    factor = jax.ops.segment_max(worst, structures.system, structures.n_systems)
    return Trust(
        energy=factor * n_atoms * energy_spread(energy / jnp.maximum(n_atoms, 1.0)),
        forces=of_forces * spread,
        grades=grades,
    )


def knows_domain(potential: Potential) -> bool:
    """Whether the potential can tell how far atoms are from those it was trained on."""
    return hasattr(potential, "trust_factors")


def factors_of(
    potential: Potential, structures: Structures, neighbors: Neighbors, displacements: jax.Array
) -> jax.Array:
    """Grades and the factors of the spreads of forces and energies, ``(3, n_atoms)``; or NaN."""
    if not knows_domain(potential):
        return jnp.full((3, structures.n_atoms), jnp.nan)
    return potential.trust_factors(structures, neighbors, displacements)  # pyright: ignore[reportAttributeAccessIssue]


@partial(compiled, static_argnames="n_rows")
def factors_by_rows(
    potential: Potential, structures: Structures, neighbors: Neighbors, n_rows: int
) -> jax.Array:
    """What `factors_of` gives, from ``n_rows`` rows of the neighbor table at a time."""
    structures, neighbors = jax.tree.map(jnp.asarray, (structures, neighbors))
    n_atoms = structures.n_atoms
    order = rows_by_species(potential, structures, jnp.arange(n_atoms))

    def add_chunk(number: jax.Array, found: jax.Array) -> jax.Array:
        which, _ = rows_of_chunk(order, number, n_rows)
        rows, receivers = neighbors.rows(which, structures), structures.rows(which)
        displacements = rows.displacements(structures, receivers)
        own = factors_of(potential, receivers, rows, displacements)
        return found.at[:, which].set(own.astype(found.dtype))

    empty = jnp.zeros((3, n_atoms), structures.positions.dtype)
    return jax.lax.fori_loop(0, -(-n_atoms // n_rows), add_chunk, empty)


def predict_trust(
    frames: Sequence[Atoms], potential_of: Callable[[tuple[int, ...]], Potential]
) -> PredictedTrust:
    """Uncertainties and grades of structures of any sizes and elements, in float64.

    Args:
        frames: the structures.
        potential_of: gives the potential for a set of atomic numbers.

    Raises:
        InputError: what ``potential_of`` raises; overlapping atoms.
    """
    energy = np.full(len(frames), np.nan)
    forces: list[np.ndarray] = [np.zeros(0)] * len(frames)
    grades: list[np.ndarray] = [np.zeros(0)] * len(frames)
    with jax.enable_x64(True):
        for members, ends, placed in placed_batches(frames, potential_of, "float64"):
            found = trust_by_rows(*placed, rows_within(*placed))
            energy[members] = np.asarray(found.energy)[: len(members)]
            by_frame = [
                np.split(np.asarray(values)[: ends[-1]], ends[:-1])
                for values in (found.forces, found.grades)
            ]
            for number, of_forces, own in zip(members, *by_frame, strict=True):
                forces[number], grades[number] = of_forces, own
    return PredictedTrust(energy, tuple(forces), tuple(grades))


def force_spread(forces: jax.Array) -> jax.Array:
    """Standard deviation of a force component over members, ``(n_atoms,)``, eV/Å.

    Args:
        forces: ``(n_members, n_atoms, 3)``; of one member the spread is not known (NaN).
    """
    return jnp.maximum(jnp.sqrt(sample_variance(forces).mean(axis=-1)), LEAST_SPREAD)


def energy_spread(energy: jax.Array) -> jax.Array:
    """Standard deviation over members ``(n_systems,)`` of energies ``(n_members, n_systems)``."""
    return jnp.maximum(jnp.sqrt(sample_variance(energy)), LEAST_SPREAD)


def sample_variance(values: jax.Array) -> jax.Array:
    """Variance over the first axis; NaN of a single value."""
    deviations = values - values.mean(axis=0)
    count = len(values) - 1
    return (deviations**2).sum(axis=0) / (count or jnp.nan)


def calibrated(errors: np.ndarray, spread: np.ndarray) -> float:
    """The factor by which ``spread`` must grow to be a standard uncertainty of ``errors``.

    That whose 90 % interval covers the next error with a chance of 90 %, however few are known:
    split conformal calibration (Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), eq. 7).

    Returns:
        the factor; NaN without errors.
    """
    n_errors = errors.size
    if n_errors == 0 or not np.isfinite(spread).all():
        return float("nan")
    part = min(1.0, np.ceil((n_errors + 1) * COVERED) / n_errors)
    return float(np.quantile(np.abs(errors) / spread, part, method="higher") / NORMAL)
