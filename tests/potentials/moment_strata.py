"""Small strata of moments with random weights."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from ase.data import atomic_numbers

from stratal.descriptors import Moments
from stratal.potentials.atomic_term import AtomicTerm
from stratal.potentials.domain import Domain
from stratal.potentials.stratum import Stratum, stratum_name
from stratal.potentials.training import TrainConfig
from stratal.potentials.training.term_setup import random_term

MOMENTS = Moments(cutoff=4.5, n_radial=3, l_max=2, n_channels=2, n_triple_channels=2, triples=())
TRIPLES = replace(MOMENTS, triples=((1, 1, 2), (2, 2, 2)))


def random_moment_strata(
    *symbols: str,
    descriptor: Moments = MOMENTS,
    members: int = 2,
    seed: int = 0,
    level: str | None = None,
    roots: bool = True,
    parents: dict[str, Stratum] | None = None,
    short_range: str = "none",
) -> dict[str, Stratum]:
    """All strata of up to three of these elements, lowest first; ``roots`` as well."""
    rng = np.random.default_rng(seed)
    numbers = sorted(atomic_numbers[symbol] for symbol in symbols)
    config = TrainConfig(hidden=(5, 4), members=members)
    strata: dict[str, Stratum] = dict(parents or {})
    for size in (1, 2, 3) if roots else (2, 3):
        for elements in combinations(numbers, size):
            below = [stratum_name(c) for n in range(1, size) for c in combinations(elements, n)]
            below_here = [strata[name] for name in below]
            terms = {
                z: random_weights(rng, config, descriptor, elements, z, below_here)
                for z in elements
            }
            n_features = descriptor.n_features * 2 ** (size - 1)
            strata[stratum_name(elements)] = Stratum(
                elements=elements,
                descriptor=descriptor,
                terms=terms,
                domain={z: Domain.around(rng.normal(size=(50, n_features))) for z in elements},
                parents={name: strata[name].physics_hash for name in below},
                short_range=short_range,
                level_of_theory=level,
                info={"source": "random weights"},
            )
    return strata


def random_weights(rng, config, descriptor, elements, center, below) -> AtomicTerm:
    """Random but for the mixing and scaling, which are those of the strata below."""
    term = random_term(rng, config, descriptor, len(elements))
    mixing = rng.normal(0, 0.5, term.mixing.shape)
    shift = rng.normal(size=term.shift.shape)
    scale = rng.uniform(0.1, 0.4, term.scale.shape)
    for parent in below:
        if center in parent.terms and parent.descriptor == descriptor:
            theirs = parent.terms[center]
            shift, scale = theirs.shift, theirs.scale
            for z, own in zip(parent.elements, theirs.mixing, strict=True):
                mixing[elements.index(z)] = own
    return replace(
        term,
        mixing=mixing,
        shift=shift,
        scale=scale,
        linear=rng.normal(0, 0.1, term.linear.shape),
        kernels=tuple(k + rng.normal(0, 0.1, k.shape) for k in term.kernels),
        biases=tuple(rng.normal(0, 0.3, b.shape) for b in term.biases),
    )
