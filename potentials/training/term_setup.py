"""Where the fit of one stratum's terms begins: first weights, scaling, what stays frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.harmonics import n_harmonics
from stratal.descriptors.invariants import Moments, first_mixing
from stratal.errors import InputError
from stratal.potentials.atomic_term import AtomicTerm, own_features
from stratal.potentials.networks import initial_weights
from stratal.potentials.stratum import Stratum
from stratal.potentials.training.config import TrainConfig
from stratal.potentials.training.packs import Pack
from stratal.potentials.training.term_problem import TermProblem, Weights

Elements = tuple[int, ...]
OUTPUT = 0.3  # size of the first output weights, in units of LeCun's rule
SPREAD_FLOOR = 1e-3  # features that vary less (relative to the largest) are not blown up further


def set_up_terms(
    elements: Elements,
    config: TrainConfig,
    descriptor: Moments,
    below: Mapping[str, Stratum],
    packs: Sequence[Pack],
) -> tuple[TermProblem, Weights]:
    """The problem of one stratum and the weights to begin with.

    Args:
        elements: of the stratum, ascending.
        config: settings.
        descriptor: the moments.
        below: strata on which it stands, by name.
        packs: minibatches of its training structures, for the scaling.
    """
    rng = np.random.default_rng(config.seed)
    is_root = not below
    terms, free = [], []
    for place, center in enumerate(elements):
        parents = [s for s in below.values() if center in s.terms and s.descriptor == descriptor]
        members = []
        for member in range(config.members):
            own = first_term(rng, config, descriptor, elements, center, is_root)
            members.append(inherit_mixing(own, member, elements, center, parents))
        term = stacked(members)
        term = replace(term, **scaling_of(term, place, packs, descriptor, elements, is_root))
        mask = free_weights(term, elements, center, parents)
        if not config.linear:
            mask = replace(mask, linear=np.zeros_like(term.linear))
        if config.coupling in ("input", "layers") and parents:
            term, mask = share_network(term, mask, config, elements, center, parents, descriptor)
        terms.append(term)
        free.append(mask)
    problem = TermProblem(
        free=as_float32(tuple(free)),
        energy_weight=config.energy_weight,
        force_weight=config.force_weight,
        stress_weight=config.stress_weight,
        is_root=is_root,
        descriptor=descriptor,
    )
    return problem, as_float32(tuple(terms))


def first_term(
    rng: np.random.Generator,
    config: TrainConfig,
    descriptor: Moments,
    elements: Elements,
    center: int,
    is_root: bool,
) -> AtomicTerm:
    """Random first weights of one member, unscaled."""
    blocks = descriptor.blocks(elements)
    n_features = sum(block.size for block in blocks)
    kernels, biases = initial_weights(rng, (n_features, *config.hidden, 1))
    kernels[-1] = OUTPUT * kernels[-1]
    own = np.ones(n_features) if is_root else own_features(blocks, center, elements)
    return AtomicTerm(
        mixing=first_mixing(rng, descriptor, len(elements)),
        shift=np.zeros(n_features),
        scale=np.ones(n_features),
        own=own,
        linear=np.zeros(n_features),
        kernels=tuple(kernels),
        biases=tuple(biases),
    )


def inherit_mixing(
    term: AtomicTerm, member: int, elements: Elements, center: int, parents: Sequence[Stratum]
) -> AtomicTerm:
    """Radial mixing of pairs of species that a stratum below knows is taken over."""
    mixing = np.array(term.mixing)
    for parent in parents:
        for place, element in enumerate(parent.elements):
            mixing[elements.index(element)] = parent.terms[center].mixing[member, place]
    return replace(term, mixing=mixing)


def free_weights(
    term: AtomicTerm, elements: Elements, center: int, parents: Sequence[Stratum]
) -> AtomicTerm:
    """1 where a weight is trained: all but the scaling and the mixing of known pairs."""
    known = {z for parent in parents for z in parent.elements}
    mixing = np.ones_like(term.mixing)
    mixing[:, [elements.index(z) for z in known]] = 0.0
    ones = jax.tree.map(np.ones_like, term)
    return replace(
        ones,
        mixing=mixing,
        shift=np.zeros_like(term.shift),
        scale=np.zeros_like(term.scale),
        own=np.zeros_like(term.own),
    )


def scaling_of(
    term: AtomicTerm,
    place: int,
    packs: Sequence[Pack],
    descriptor: Moments,
    elements: Elements,
    is_root: bool,
) -> dict[str, np.ndarray]:
    """Shift and scale of every feature and member over the training atoms of one element.

    Features that need another element than the center have no shift: they must keep their 0.
    """
    sums = np.zeros((3, *term.shift.shape))

    @jax.jit
    def sums_of(mixing: jax.Array, moments: jax.Array, real: jax.Array) -> jax.Array:
        shape = (n_harmonics(descriptor.l_max), len(elements), -1, len(moments))
        shaped = moments.T.reshape(shape)

        def of_member(own: jax.Array) -> jax.Array:
            features = descriptor.invariants(shaped, own) * real
            ones = jnp.broadcast_to(real, features.shape)
            return jnp.stack([ones.sum(1), features.sum(1), (features**2).sum(1)])

        return jnp.swapaxes(jax.vmap(of_member)(mixing), 0, 1)

    mixing = jnp.asarray(term.mixing, jnp.float32)
    for pack in packs:
        for batch in range(pack.n_batches):
            real = pack.frame[place][batch] < pack.n_atoms.shape[1] - 1
            real = np.asarray(real, np.float32)
            sums += np.asarray(sums_of(mixing, pack.moments[place][batch], real), float)
    count = np.maximum(sums[0], 1.0)
    mean, square = sums[1] / count, sums[2] / count
    center = elements[place]
    can_vanish = np.concatenate(
        [
            np.full(block.size, set(block.neighbors) != {center})
            for block in descriptor.blocks(elements)
        ]
    )
    shift = mean if is_root and len(elements) == 1 else np.where(can_vanish, 0.0, mean)
    spread = np.sqrt(np.maximum(square - 2 * shift * mean + shift**2, 0.0))
    floor = SPREAD_FLOOR * spread.max(axis=1, keepdims=True)
    return {"shift": shift, "scale": 1.0 / np.maximum(spread, np.maximum(floor, 1e-12))}


def share_network(
    term: AtomicTerm,
    free: AtomicTerm,
    config: TrainConfig,
    elements: Elements,
    center: int,
    parents: Sequence[Stratum],
    descriptor: Moments,
) -> tuple[AtomicTerm, AtomicTerm]:
    """Take the network of the element over and free only what its own features touch.

    With ``"input"`` those are their rows of the first layer (Hajinazar et al.); with
    ``"layers"`` also the later layers, which begin as the element's.
    """
    for parent in parents:
        theirs = parent.info.get("config", {}).get("coupling")
        if len(parent.elements) > 1 and theirs != config.coupling:
            raise InputError(
                f"train.coupling = {config.coupling!r}: stratum {parent.name} below was trained "
                f"with {theirs!r} and shares no network with its elements. Train all strata of the "
                f"library with one of the two, or give 'residual'."
            )
    root = next(p for p in parents if p.elements == (center,)).terms[center]
    blocks = {block.neighbors: block.features for block in descriptor.blocks(elements)}
    kernel = np.zeros_like(np.repeat(term.kernels[0][..., :1], root.kernels[0].shape[2], axis=2))
    shift, scale = np.array(term.shift), np.array(term.scale)
    for parent in sorted(parents, key=lambda s: len(s.elements)):
        theirs = parent.terms[center]
        for block in descriptor.blocks(parent.elements):
            here = blocks[block.neighbors]
            kernel[:, here] = theirs.kernels[0][:, block.features]
            shift[:, here] = theirs.shift[:, block.features]
            scale[:, here] = theirs.scale[:, block.features]
    own = np.asarray(term.own)
    rows = np.zeros_like(kernel) + own[..., None]
    later = 1.0 if config.coupling == "layers" else 0.0
    shared = replace(
        term,
        shift=shift,
        scale=scale,
        kernels=(kernel, *(np.array(k) for k in root.kernels[1:])),
        biases=tuple(np.array(b) for b in root.biases),
    )
    mask = replace(
        free,
        linear=own * free.linear,
        kernels=(rows, *(np.full_like(k, later) for k in root.kernels[1:])),
        biases=tuple(np.full_like(b, later) for b in root.biases),
    )
    return shared, mask


def stacked(members: Sequence[AtomicTerm]) -> AtomicTerm:
    """Members of a committee along a leading axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *members)


def as_float32(weights: Weights) -> Weights:
    """The type in which terms are fitted."""
    return jax.tree.map(lambda a: np.asarray(a, np.float32), weights)
