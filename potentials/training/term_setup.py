"""Where the fit of one stratum's terms begins: first weights, scaling, what stays frozen.

A pair begins as if its second element were the first: the mixing of the pair and the network
are those of the element below. A triple begins from both its pairs around each element, a + b
less what both have in common. What is trained is the difference, which weight decay keeps
small; so little is left to learn, and where there are no data the strata below stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.invariants import Moments, first_mixing, subsets
from stratal.potentials.atomic_term import AtomicTerm, features_around
from stratal.potentials.networks import initial_weights
from stratal.potentials.stratum import Stratum
from stratal.potentials.training.config import TrainConfig
from stratal.potentials.training.packs import Pack
from stratal.potentials.training.term_problem import TermProblem, Weights, as_moments

Elements = tuple[int, ...]
OUTPUT = 0.3  # size of the first output weights, in units of LeCun's rule


def set_up_terms(
    elements: Elements,
    config: TrainConfig,
    descriptor: Moments,
    below: Mapping[str, Stratum],
    packs: Sequence[Pack],
) -> tuple[TermProblem, Weights]:
    """The problem of one stratum and the weights to begin with, less what it inherits.

    Args:
        elements: of the stratum, ascending.
        config: settings.
        descriptor: the moments.
        below: strata on which it stands, by name.
        packs: minibatches of its training structures, for the scaling.
    """
    rng = np.random.default_rng(config.seed)
    base, first, free = [], [], []
    for place, center in enumerate(elements):
        parents = [s for s in below.values() if center in s.terms and s.descriptor == descriptor]
        new = random_term(rng, config, descriptor, len(elements))
        if parents:
            own = inherited(elements, center, parents)
            new = jax.tree.map(np.zeros_like, own)
        else:
            scaling = scaling_of(new, place, packs, descriptor, config.spread_floor)
            own = replace(jax.tree.map(np.zeros_like, new), **scaling, mixing=new.mixing)
            new = replace(new, **{key: np.zeros_like(value) for key, value in scaling.items()})
            new = replace(new, mixing=np.zeros_like(new.mixing))
        base.append(own)
        first.append(new)
        free.append(free_weights(own, config, elements, parents, is_root=not below))
    problem = TermProblem(
        base=as_float32(tuple(base)),
        free=as_float32(tuple(free)),
        energy_weight=config.energy_weight,
        force_weight=config.force_weight,
        stress_weight=config.stress_weight,
        is_root=not below,
        descriptor=descriptor,
    )
    return problem, as_float32(tuple(first))


def random_term(
    rng: np.random.Generator, config: TrainConfig, descriptor: Moments, n_species: int
) -> AtomicTerm:
    """First weights where nothing is inherited, unscaled; all species are alike."""
    members = []
    for _ in range(config.members):
        kernels, biases = initial_weights(rng, (descriptor.n_features, *config.hidden, 1))
        kernels[-1] = OUTPUT * kernels[-1]
        members.append((kernels, biases))
    kernels, biases = jax.tree.map(lambda *arrays: np.stack(arrays), *members)
    n_subsets = 2 ** (n_species - 1)
    mixing = first_mixing(rng, descriptor, config.smoothness)
    return AtomicTerm(
        mixing=np.repeat(mixing[None], n_species, axis=0),
        shift=np.zeros(descriptor.n_features),
        scale=np.ones(descriptor.n_features),
        linear=np.zeros((config.members, n_subsets, descriptor.n_features)),
        kernels=(np.repeat(kernels[0][:, None], n_subsets, axis=1), *kernels[1:]),
        biases=tuple(biases),
    )


def inherited(elements: Elements, center: int, parents: Sequence[Stratum]) -> AtomicTerm:
    """The term of the strata below around one element, put together.

    Those of the most elements count once each, the ones that they share as often less: weights
    are a + b - c of pairs a and b on a root c. So a stratum whose elements below all share one
    network begins with that network.
    """
    known: dict[int, np.ndarray] = {}
    for parent in parents:
        known.update(zip(parent.elements, parent.terms[center].mixing, strict=True))
    highest = max(len(parent.elements) for parent in parents)
    top = [parent for parent in parents if len(parent.elements) == highest]
    root = [parent for parent in parents if len(parent.elements) < highest]
    shares = [1.0 if root else 1.0 / len(top)] * len(top) + [1.0 - len(top)] * len(root[:1])
    used = [*top, *root[:1]]
    terms = [parent.terms[center] for parent in used]

    def summed(*arrays: np.ndarray) -> np.ndarray:
        return sum(share * np.asarray(a) for share, a in zip(shares, arrays, strict=True))  # type: ignore[return-value]

    def by_subset(tables: Sequence[np.ndarray]) -> np.ndarray:
        """Arrays with an axis of subsets, from those that each stratum below has of them."""
        parts = []
        for subset in subsets([z for z in elements if z != center]):
            own = []
            for parent, table in zip(used, tables, strict=True):
                theirs = subsets([z for z in parent.elements if z != center])
                own.append(table[:, theirs.index(tuple(z for z in subset if z in parent.elements))])
            parts.append(summed(*own))
        return np.stack(parts, axis=1)

    linear = by_subset([term.linear for term in terms])
    linear[:, :-1] = 0.0  # cancels in a higher stratum, as the output's bias does
    kernels, biases = jax.tree.map(summed, *((term.kernels[1:], term.biases) for term in terms))
    return AtomicTerm(
        mixing=np.stack([known.get(z, known[center]) for z in elements]),
        shift=np.asarray(terms[0].shift),
        scale=np.asarray(terms[0].scale),
        linear=linear,
        kernels=(by_subset([term.kernels[0] for term in terms]), *kernels),
        biases=(*biases[:-1], np.zeros_like(biases[-1])),
    )


def free_weights(
    term: AtomicTerm,
    config: TrainConfig,
    elements: Elements,
    parents: Sequence[Stratum],
    is_root: bool,
) -> AtomicTerm:
    """1 where a weight is trained: never the scaling and the mixing of known pairs.

    With ``coupling = "input"`` of the network only the first layer's part for features that
    all elements make (Hajinazar et al.), with ``"layers"`` also the later layers.
    """
    known = {z for parent in parents for z in parent.elements}
    free = jax.tree.map(np.ones_like, term)
    mixing = np.ones_like(term.mixing)
    mixing[[place for place, z in enumerate(elements) if z in known]] = 0.0
    if is_root and len(elements) == 1:
        mixing[:, 0] = 0.0  # all radial functions stand for themselves: nothing to be mixed
    linear = np.zeros_like(term.linear)
    if config.linear:  # of a higher stratum all but the last cancel
        linear[:, slice(None) if is_root else slice(-1, None)] = 1.0
    free = replace(
        free,
        mixing=mixing,
        shift=np.zeros_like(term.shift),
        scale=np.zeros_like(term.scale),
        linear=linear,
    )
    if config.coupling not in ("input", "layers") or not parents:
        return free
    kernel = np.zeros_like(term.kernels[0])
    kernel[:, -1] = 1.0
    kernels, biases = free.kernels[1:], free.biases
    if config.coupling == "input":
        kernels, biases = jax.tree.map(np.zeros_like, (kernels, biases))
    return replace(free, kernels=(kernel, *kernels), biases=biases)


def scaling_of(
    term: AtomicTerm, place: int, packs: Sequence[Pack], descriptor: Moments, floor: float
) -> dict[str, np.ndarray]:
    """Shift and scale of every feature over the training atoms of one element.

    Features that vary less than ``floor`` times the largest are scaled as if they varied so much.
    """

    @jax.jit
    def sums_of(moments: jax.Array, real: jax.Array) -> jax.Array:
        features = features_around(descriptor, term, as_moments(descriptor, moments), place)[-1]
        features = features * real
        return jnp.stack([features.sum(1), (features**2).sum(1)])

    count, sums = 0.0, np.zeros((2, descriptor.n_features))
    for pack in packs:
        for batch in range(pack.n_batches):
            real = np.asarray(pack.real_rows(place, batch), np.float32)
            count += real.sum()
            sums += np.asarray(sums_of(pack.moments[place][batch], real), float)
    mean, square = sums / max(count, 1.0)
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return {"shift": mean, "scale": 1.0 / np.maximum(spread, max(floor * spread.max(), 1e-12))}


def as_float32(weights: Weights) -> Weights:
    """The type in which terms are fitted."""
    return jax.tree.map(lambda a: np.asarray(a, np.float32), weights)
