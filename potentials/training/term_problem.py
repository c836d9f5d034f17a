"""The least-squares problem of one stratum's terms: prediction, residuals, loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from stratal.descriptors.harmonics import n_harmonics
from stratal.descriptors.invariants import Moments
from stratal.potentials.atomic_term import AtomicTerm
from stratal.potentials.training.packs import Pack

Weights = tuple[AtomicTerm, ...]  # one per central element, a leading axis of members


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TermProblem:
    """What is fixed while the terms of one stratum are fitted."""

    free: Weights  # 1 where a weight is trained, 0 where it is frozen
    energy_weight: float = field(metadata={"static": True})
    force_weight: float = field(metadata={"static": True})
    stress_weight: float = field(metadata={"static": True})
    is_root: bool = field(metadata={"static": True})
    descriptor: Moments = field(metadata={"static": True})

    def energies(self, term: AtomicTerm, moments: jax.Array) -> jax.Array:
        """Energies ``(n_rows,)``, eV, by one member, of flat moments ``(n_rows, n_moments)``."""
        return term.energies(self.descriptor, self.shaped(moments), self.is_root)

    def shaped(self, moments: jax.Array) -> jax.Array:
        """Flat moments ``(n_rows, n_moments)`` as the descriptor has them, atoms last."""
        n_rows = len(moments)
        shape = (n_harmonics(self.descriptor.l_max), -1, self.descriptor.n_radial, n_rows)
        return moments.T.reshape(shape)


def predict(
    problem: TermProblem, weights: Weights, batch: Pack
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What each member gives for one minibatch.

    Returns:
        energies ``(n_members, n_frames)``, eV; forces ``(n_members, n_frames, 3 n_atoms)``, eV/Å;
        dE/dstrain ``(n_members, n_frames, 6)``, eV.
    """
    total = jnp.zeros(())
    n_frames = batch.n_atoms.shape[-1]
    parts = zip(weights, batch.moments, batch.jacobian, batch.frame, strict=True)
    for term, moments, jacobian, frame in parts:

        def with_slopes(own: AtomicTerm, rows: jax.Array = moments) -> tuple[jax.Array, jax.Array]:
            values, pull_back = jax.vjp(lambda m: problem.energies(own, m), rows)
            return values, pull_back(jnp.ones_like(values))[0]

        values, slopes = jax.vmap(with_slopes)(term)
        gradient = jnp.einsum("mrf,rfq->rmq", slopes, jacobian, precision="highest")
        both = jnp.concatenate([values.T[..., None], gradient], axis=-1)
        total = total + jax.ops.segment_sum(both, frame, n_frames)
    total = jnp.moveaxis(total, 1, 0)
    return total[..., 0], -total[..., 1:-6], total[..., -6:]


def residuals(
    problem: TermProblem, weights: Weights, batch: Pack
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Energy and strain derivative per atom (eV) and forces (eV/Å) less their labels, masked."""
    energy, forces, strain = predict(problem, weights, batch)
    return (
        (energy - batch.energy) / batch.n_atoms,
        (forces - batch.forces) * batch.force_mask,
        (strain - batch.strain) / batch.n_atoms[:, None] * batch.strain_mask[:, None],
    )


def squares(problem: TermProblem, weights: Weights, batch: Pack) -> jax.Array:
    """Sums of squares and their counts, ``(3, 2, n_members)``: energy, forces, strain."""
    energy, forces, strain = residuals(problem, weights, batch)
    counts = batch.weight  # (n_members, n_frames)
    return jnp.array(
        [
            [(counts * energy**2).sum(1), counts.sum(1)],
            [
                (counts * (forces**2).sum(2)).sum(1),
                (counts * batch.force_mask.sum(1)).sum(1),
            ],
            [
                (counts * (strain**2).sum(2)).sum(1),
                (counts * batch.strain_mask).sum(1) * 6.0,
            ],
        ]
    )


def weighted(problem: TermProblem, sums: jax.Array) -> jax.Array:
    """The loss of each member, ``(n_members,)``, in (10 meV/atom)², from `squares`."""
    means = sums[:, 0] / jnp.maximum(sums[:, 1], 1e-6)
    factors = jnp.array([problem.energy_weight, problem.force_weight, problem.stress_weight])
    return 1e4 * jnp.einsum("q,qm->m", factors.astype(means.dtype), means)


def loss(problem: TermProblem, weights: Weights, batch: Pack) -> jax.Array:
    """Weighted mean squares of a minibatch, summed over the members, which share nothing."""
    return weighted(problem, squares(problem, weights, batch)).sum()


def total_squares(problem: TermProblem, weights: Weights, packs: list[Pack]) -> jax.Array:
    """`squares` summed over all minibatches."""
    total = jnp.zeros((3, 2, weights[0].linear.shape[0]))
    for pack in packs:
        total = total + jax.lax.map(lambda b: squares(problem, weights, b), pack).sum(axis=0)
    return total


def decay_of(n_layers: int) -> Any:
    """Which weights are drawn to zero: kernels and linear ones, not biases or mixing."""
    return AtomicTerm(
        mixing=False,
        shift=False,
        scale=False,
        own=False,
        linear=True,
        kernels=(True,) * n_layers,
        biases=(False,) * n_layers,
    )  # type: ignore[arg-type]


def plain_errors(sums: jax.Array) -> Mapping[str, float]:
    """Root-mean-square errors of the members' mean square: energy (eV/atom), forces (eV/Å)."""
    means = (sums[:, 0] / jnp.maximum(sums[:, 1], 1e-6)).mean(axis=1)
    return {"energy": float(jnp.sqrt(means[0])), "forces": float(jnp.sqrt(means[1]))}
