"""The least-squares problem of one stratum's terms: prediction, residuals, loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.harmonics import n_harmonics
from stratal.descriptors.invariants import Moments
from stratal.potentials.atomic_term import BY_MEMBER, AtomicTerm, features_around
from stratal.potentials.training.packs import Pack

Weights = tuple[AtomicTerm, ...]  # one per central element
COLUMNS = 32  # derivatives of the features found at a time


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TermProblem:
    """What is fixed while the terms of one stratum are fitted."""

    base: Weights  # what the strata below hand down; what is trained is added to it
    free: Weights  # 1 where a weight is trained, 0 where it is frozen
    energy_weight: float = field(metadata={"static": True})
    force_weight: float = field(metadata={"static": True})
    stress_weight: float = field(metadata={"static": True})
    is_root: bool = field(metadata={"static": True})
    descriptor: Moments = field(metadata={"static": True})
    # Whether minibatches hold what subsets add to the features in place of moments.
    features_known: bool = field(default=False, metadata={"static": True})

    def whole(self, trained: Weights) -> Weights:
        """The weights of the stratum."""
        return jax.tree.map(jnp.add, self.base, trained)

    def added(self, term: AtomicTerm, moments: jax.Array, place: int) -> list[jax.Array]:
        """What subsets of species add to the features of rows of one element.

        Args:
            term: of that element.
            moments: ``(n_rows, n_moments)``.
            place: of the element in the stratum.
        """
        if self.features_known:
            return jnp.split(moments.T, term.linear.shape[1])
        shaped = as_moments(self.descriptor, moments)
        return term.added(features_around(self.descriptor, term, shaped, place))


def know_features(
    problem: TermProblem, packs: Sequence[list[Pack]]
) -> tuple[TermProblem, list[list[Pack]]]:
    """Minibatches with features in place of moments where no mixing is left to be trained.

    A triple takes all its mixing from below: its features are as fixed as its moments are.
    """
    if any(np.any(own.mixing) for own in problem.free):
        return problem, list(packs)
    places = range(len(problem.base))

    def of_rows(term: AtomicTerm, moments: jax.Array, jacobian: jax.Array) -> Any:
        def features(rows: jax.Array) -> jax.Array:
            return jnp.concatenate(problem.added(term, rows, 0)).T

        def along(direction: jax.Array) -> jax.Array:
            return jax.jvp(features, (moments,), (direction,))[1]

        slopes = jax.lax.map(along, jnp.moveaxis(jacobian, -1, 0), batch_size=COLUMNS)
        return features(moments), jnp.moveaxis(slopes, 0, -1)

    @jax.jit
    def of_batches(term: AtomicTerm, *rows: jax.Array) -> Any:
        return jax.lax.map(lambda own: of_rows(term, *own), rows)

    def of_pack(pack: Pack) -> Pack:
        # As many rows for each element, and the element first: one program serves all.
        n_rows = [own.shape[1] for own in pack.moments]
        found = []
        for place in places:
            order = np.array([place, *(s for s in places if s != place)])
            term = replace(problem.base[place], mixing=problem.base[place].mixing[order])
            flat = np.arange(pack.moments[place].shape[2])
            flat = flat.reshape(-1, len(order), problem.descriptor.n_radial)[:, order].ravel()
            missing = ((0, 0), (0, max(n_rows) - n_rows[place]), (0, 0))
            moments = jnp.pad(pack.moments[place][:, :, flat], missing)
            jacobian = jnp.pad(pack.jacobian[place][:, :, flat], (*missing, (0, 0)))
            both = of_batches(term, moments, jacobian)
            found.append(tuple(own[:, : n_rows[place]] for own in both))
        moments, jacobian = zip(*found, strict=True)
        return replace(pack, moments=moments, jacobian=jacobian)

    known = replace(problem, features_known=True)
    return known, [[of_pack(pack) for pack in own] for own in packs]


def as_moments(descriptor: Moments, rows: jax.Array) -> jax.Array:
    """Flat moments ``(n_rows, n_moments)`` as the descriptor has them, atoms last."""
    shape = (n_harmonics(descriptor.l_max), -1, descriptor.n_radial, len(rows))
    return rows.T.reshape(shape)


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
    for place, (term, moments, jacobian, frame) in enumerate(parts):

        def of_rows(rows: jax.Array, own: AtomicTerm = term, place: int = place) -> list[jax.Array]:
            return problem.added(own, rows, place)

        def with_slopes(own: AtomicTerm, added: list[jax.Array]) -> tuple[jax.Array, Any]:
            values, pull_back = jax.vjp(lambda x: own.energy(x, problem.is_root), added)
            return values, pull_back(jnp.ones_like(values))[0]

        added, pull_back = jax.vjp(of_rows, moments)
        values, pulls = jax.vmap(with_slopes, (BY_MEMBER, None))(term, added)
        (slopes,) = jax.vmap(pull_back)(pulls)
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


def loss(problem: TermProblem, trained: Weights, batch: Pack) -> jax.Array:
    """Weighted mean squares of a minibatch, summed over the members."""
    return weighted(problem, squares(problem, problem.whole(trained), batch)).sum()


def total_squares(problem: TermProblem, weights: Weights, packs: list[Pack]) -> jax.Array:
    """`squares` summed over all minibatches."""
    total = jnp.zeros((3, 2, weights[0].n_members))
    for pack in packs:
        total = total + jax.lax.map(lambda b: squares(problem, weights, b), pack).sum(axis=0)
    return total


def decay_of(n_layers: int) -> Any:
    """Which weights are drawn to the base: kernels and linear ones, not biases or mixing."""
    return AtomicTerm(
        mixing=False,
        shift=False,
        scale=False,
        linear=True,
        kernels=(True,) * n_layers,
        biases=(False,) * n_layers,
    )  # type: ignore[arg-type]


def plain_errors(sums: jax.Array) -> Mapping[str, float]:
    """Root-mean-square errors of the members' mean square: energy (eV/atom), forces (eV/Å)."""
    means = (sums[:, 0] / jnp.maximum(sums[:, 1], 1e-6)).mean(axis=1)
    return {"energy": float(jnp.sqrt(means[0])), "forces": float(jnp.sqrt(means[1]))}
