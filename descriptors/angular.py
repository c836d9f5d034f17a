"""G4: symmetry functions of pairs of neighbors, the same list for all species."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.gaussians import Gaussian, gaussians
from stratal.descriptors.lanes import Lanes
from stratal.descriptors.triple_terms import Plan, Term
from stratal.descriptors.triples import (
    sight_of,
    squared_length,
    sum_over_triples,
)

COSINE = CutoffFunction(1, 0.0)


class AngularFunction(NamedTuple):
    """One G4: exp(-eta (r_ij² + r_ik² + r_jk²)) (1 + lambda cos theta)^zeta and cutoffs."""

    eta: float  # Å^-2
    zeta: float
    lambda_: float  # +1 or -1


def angular_symmetry_functions(
    functions: Sequence[AngularFunction],
    cutoff: float,
    displacements: jax.Array,
    tile_species: jax.Array,
    n_species: int,
) -> jax.Array:
    """Sum G4 over ordered pairs of neighbors, by the species of the pair.

    G4 = 2^(1-zeta) sum_{j,k != i, j != k} (1 + lambda cos theta_ijk)^zeta
    exp(-eta (r_ij² + r_ik² + r_jk²)) f_c(r_ij) f_c(r_ik) f_c(r_jk).
    Behler, J. Chem. Phys. 134, 074106 (2011), eq. 8.

    Args:
        functions: which G4.
        cutoff: r_c, Å.
        displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.
        tile_species: of each tile's senders, ``(n_atoms, n_neighbors // TILE)``.
        n_species: number of species.

    Returns:
        ``(n_atoms, n_species (n_species + 1) / 2, len(functions))``; pairs of species
        in the order (0, 0), (0, 1), ..., (1, 1), ...
    """
    plan = plan_of(functions, cutoff, n_species)
    alike = jnp.zeros(len(displacements), int)  # the functions are the same for all species
    lanes = Lanes.of(displacements, cutoff, alike, 1)

    @jax.checkpoint  # the pairs of a chunk are computed again in the reverse pass, not stored
    def of_chunk(chunk: tuple[tuple[jax.Array, ...], jax.Array]) -> jax.Array:
        vectors, species = chunk
        squared = squared_length(vectors)
        weights = gaussians(plan.gaussians, plan.cutoff_function, squared)
        sums: jax.Array = sum_over_triples(plan, sight_of(vectors, weights), species)  # pyright: ignore[reportAssignmentType]
        return sums.reshape(-1, sums.shape[-1])

    vectors = tuple(lanes.tiles(displacements[..., axis], 2.0 * cutoff) for axis in range(3))
    tiles = lanes.species_of_tiles(tile_species)
    summed = lanes.back(jax.lax.map(of_chunk, (vectors, tiles)))
    summed = summed.reshape(-1, plan.n_pairs, len(functions))
    # Sums over unordered pairs count each once.
    scale = [2.0 ** (2.0 - function.zeta) for function in functions]
    return summed * jnp.array(scale, displacements.dtype)


def plan_of(functions: Sequence[AngularFunction], cutoff: float, n_species: int) -> Plan:
    """The sums over triples that are asked for, in the order of the functions."""
    etas = sorted({function.eta for function in functions})
    angles = sorted({(function.zeta, function.lambda_) for function in functions})
    return Plan(
        gaussians=tuple(Gaussian(eta, 0.0, cutoff) for eta in etas),
        angles=tuple(angles),
        terms=tuple(
            Term(etas.index(f.eta), angles.index((f.zeta, f.lambda_)), narrow=True)
            for f in functions
        ),
        cutoff_function=COSINE,
        n_species=n_species,
    )
