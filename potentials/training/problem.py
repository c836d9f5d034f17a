"""The least-squares problem of one stratum: fixed parts computed once, weights free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.descriptor import Block
from stratal.potentials.networks import AtomicNetwork
from stratal.potentials.stratum import Coupling, Trunk
from stratal.potentials.training.features import FeatureBatch

Params = dict[str, Any]  # by central species: kernel, and of a root also bias, kernels, biases


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """Structures of one padded size, ready for an epoch. Masked entries count nothing."""

    fixed: jax.Array  # (n_frames, n_atoms, n_hidden), first layer's input from below, with bias
    fixed_jacobian: jax.Array  # (n_frames, n_hidden, n_atoms * n_coordinates)
    inputs: jax.Array  # (n_frames, n_atoms, n_new), scaled features of the free weights
    jacobian: jax.Array  # (n_frames, n_atoms * n_new, n_coordinates)
    centers: jax.Array  # (n_species, n_frames, n_atoms), 1 where the atom is of that species
    n_atoms: jax.Array  # (n_frames,)
    volumes: jax.Array  # (n_frames,), Å³
    energy: jax.Array  # (n_frames,), eV
    forces: jax.Array  # (n_frames, 3 n_atoms), eV/Å
    force_mask: jax.Array  # (n_frames, 3 n_atoms)
    stress: jax.Array  # (n_frames, 6), eV/Å³
    stress_mask: jax.Array  # (n_frames,)
    training: jax.Array  # (n_frames,), 1 for training, 0 for validation


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LossWeights:
    """What a residual counts; see `SymmetryFunctionConfig`."""

    energy: jax.Array | float
    force: jax.Array | float
    stress: jax.Array | float
    regularization: jax.Array | float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """All batches, the trunks below, and what residuals count."""

    batches: tuple[Batch, ...]
    trunks: tuple[Trunk, ...] | None  # one per species, frozen; None if the trunks are trained
    weights: LossWeights

    def trunk(self, params: Params, species: int) -> Trunk:
        """The later layers around a central species: frozen, or those being trained."""
        if self.trunks is not None:
            return self.trunks[species]
        own = params[str(species)]
        return Trunk(own["bias"], tuple(own["kernels"]), tuple(own["biases"]))


def predict(
    problem: Problem, params: Params, batch: Batch
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Energies ``(n_frames,)``, forces ``(n_frames, 3 n_atoms)``, stresses ``(n_frames, 6)``."""
    energy = jnp.zeros(len(batch.energy))
    by_hidden = jnp.zeros_like(batch.fixed)
    by_input = jnp.zeros_like(batch.inputs)
    for species, is_center in enumerate(batch.centers):
        trunk = problem.trunk(params, species)
        kernel = params[str(species)]["kernel"]
        network = AtomicNetwork([], trunk.bias, trunk.kernels, trunk.biases)
        bias = trunk.bias if problem.trunks is None else 0.0  # a frozen bias is in `fixed`
        preactivations = batch.fixed + batch.inputs @ kernel + bias
        energies, pull_back = jax.vjp(network.energies, preactivations)
        (pull,) = pull_back(is_center)
        energy = energy + (energies * is_center).sum(axis=1)
        by_hidden = by_hidden + pull
        by_input = by_input + pull @ kernel.T
    n_frames = len(energy)
    gradient = jnp.einsum("nf,nfk->nk", by_input.reshape(n_frames, -1), batch.jacobian)
    if problem.trunks is not None:
        frozen = jnp.einsum("nf,nfk->nk", by_hidden.reshape(n_frames, -1), batch.fixed_jacobian)
        gradient = gradient + frozen
    return energy, -gradient[:, :-6], gradient[:, -6:] / batch.volumes[:, None]


def mean_squares(
    problem: Problem, params: Params, training: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean squared errors of energy (eV/atom)², forces (eV/Å)² and virial per atom (eV)².

    Args:
        problem: the data.
        params: the free weights.
        training: over the training structures, else over the validation structures.
    """
    sums = jnp.zeros((3, 2))
    for batch in problem.batches:
        energy, forces, stress = predict(problem, params, batch)
        chosen = batch.training if training else 1.0 - batch.training
        force_mask = batch.force_mask * chosen[:, None]
        stress_mask = jnp.broadcast_to((batch.stress_mask * chosen)[:, None], batch.stress.shape)
        per_atom = (batch.volumes / batch.n_atoms)[:, None]
        of_energy = (chosen * ((energy - batch.energy) / batch.n_atoms) ** 2).sum()
        of_forces = (force_mask * (forces - batch.forces) ** 2).sum()
        of_stress = (stress_mask * ((stress - batch.stress) * per_atom) ** 2).sum()
        sums = sums + jnp.array(
            [
                [of_energy, chosen.sum()],
                [of_forces, force_mask.sum()],
                [of_stress, stress_mask.sum()],
            ]
        )
    means = sums[:, 0] / jnp.maximum(sums[:, 1], 1.0)
    return means[0], means[1], means[2]


def loss(problem: Problem, params: Params, training: bool = True) -> jax.Array:
    """Weighted mean squares; in training with the penalty on the first layer's weights."""
    energy, forces, stress = mean_squares(problem, params, training)
    weights = problem.weights
    total = weights.energy * energy + weights.force * forces + weights.stress * stress
    if not training:
        return total
    kernels = [own["kernel"] for own in params.values()]
    size = sum(jnp.sum(kernel**2) for kernel in kernels) / sum(kernel.size for kernel in kernels)
    return total + weights.regularization * size


def build_batch(
    batch: FeatureBatch,
    elements: Sequence[int],
    blocks: Sequence[Block],
    free: Sequence[Sequence[int]],
    scaling: Sequence[tuple[np.ndarray, np.ndarray]],
    below: Mapping[tuple[int, tuple[int, ...]], Coupling],
    trunks: Sequence[Trunk] | None,
    targets: Mapping[str, np.ndarray],
) -> Batch:
    """Scale features and contract all that stays fixed.

    Args:
        batch: features and Jacobians.
        elements: atomic numbers, ascending.
        blocks: of the descriptor for these elements.
        free: around each central species, the numbers of the blocks with free weights.
        scaling: around each central species, minimum and factor of every feature.
        below: frozen couplings, by center and block.
        trunks: frozen, one per species; None where they are trained.
        targets: the fields of `Batch` from ``n_atoms`` on.
    """
    n_frames, n_atoms, n_features = batch.features.shape
    n_coordinates = batch.jacobian.shape[-1]
    columns = [np.concatenate([np.arange(n_features)[blocks[b].features] for b in f]) for f in free]
    n_new = len(columns[0])
    n_hidden = len(trunks[0].bias) if trunks else 1
    fixed = np.zeros((n_frames, n_atoms, n_hidden))
    fixed_jacobian = np.zeros((n_frames, n_atoms, n_hidden, n_coordinates if trunks else 0))
    inputs = np.zeros((n_frames, n_atoms, n_new))
    jacobian = np.zeros((n_frames, n_atoms, n_new, n_coordinates))
    centers = np.zeros((len(elements), n_frames, n_atoms))
    for species, center in enumerate(elements):
        here = batch.mask & (batch.species == species)
        centers[species][here] = 1.0
        minimum, factor = scaling[species]
        scaled = (batch.features[here] - minimum) * factor
        slopes = batch.jacobian[here]  # (n_rows, n_features, n_coordinates)
        inputs[here] = scaled[:, columns[species]]
        jacobian[here] = slopes[:, columns[species]] * factor[columns[species], None]
        if trunks is None:
            continue
        fixed[here] = trunks[species].bias
        for number, block in enumerate(blocks):
            if number in free[species] or (center, block.neighbors) not in below:
                continue
            coupling = below[center, block.neighbors]
            part = (batch.features[here][:, block.features] - coupling.minimum) * coupling.factor
            fixed[here] += part @ coupling.kernel
            weighted = coupling.factor[:, None] * coupling.kernel
            fixed_jacobian[here] += np.einsum("rfk,fh->rhk", slopes[:, block.features], weighted)
    return Batch(
        fixed=fixed,
        fixed_jacobian=fixed_jacobian.reshape(n_frames, n_atoms * n_hidden, -1),
        inputs=inputs,
        jacobian=jacobian.reshape(n_frames, n_atoms * n_new, -1),
        centers=centers,
        **targets,  # type: ignore[arg-type]
    )
