"""Compose strata into one potential for a set of elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, combinations_with_replacement

import numpy as np

from stratal.descriptors.descriptor import Block
from stratal.errors import InputError
from stratal.potentials.evaluate import Potential
from stratal.potentials.moment_potential import MomentPotential, StratumTerms
from stratal.potentials.networks import AtomicNetwork
from stratal.potentials.neural import NeuralPotential
from stratal.potentials.short_range import ZBL, CloseRepulsion
from stratal.potentials.stratum import Coupling, Stratum, stratum_name
from stratal.potentials.sums import SumPotential

Pair = tuple[int, int]  # atomic numbers, ascending

# Fixed pair repulsions, by the name that stands in a stratum's file.
SHORT_RANGE: dict[str, Callable[..., Potential]] = {
    "zbl": ZBL.for_elements,
    "close": CloseRepulsion.for_elements,
}


def compose(strata: Mapping[str, Stratum], elements: Sequence[int]) -> Potential:
    """The potential of ``elements`` (atomic numbers) from strata by name.

    Raises:
        InputError: a stratum is missing, or strata differ in descriptor, size of committee or
            level of theory.
    """
    numbers = tuple(sorted(set(elements)))
    return compose_strata(strata_for(strata, numbers), numbers)


def compose_strata(used: Sequence[Stratum], numbers: tuple[int, ...]) -> Potential:
    """The potential of just these strata, lowest first; see `compose`."""
    check_alike(used)
    coupled = [stratum for stratum in used if not stratum.terms]
    added = [stratum for stratum in used if stratum.terms]
    # A root of several elements is evaluated with all of them, whichever there are.
    numbers = tuple(sorted({*numbers, *(z for stratum in added for z in stratum.elements)}))
    short_range = repulsion(kinds_of_pairs(used), numbers)
    if not added:
        return compose_coupled(coupled, numbers, short_range)
    parts: list[Potential] = [compose_terms(added, numbers)]
    if coupled:
        parts.insert(0, compose_coupled(coupled, numbers, None))
    if short_range is not None:
        parts.append(short_range)
    return parts[0] if len(parts) == 1 else SumPotential(tuple(parts), numbers)


def compose_terms(used: Sequence[Stratum], numbers: tuple[int, ...]) -> MomentPotential:
    """The potential of strata that add terms; each stands for its own elements only."""
    return MomentPotential.of(
        [
            StratumTerms(
                terms=tuple(stratum.terms[z] for z in stratum.elements),
                domain=tuple(stratum.domain[z] for z in stratum.elements if stratum.domain),
                calibration=np.array(stratum.calibration),
                elements=stratum.elements,
                is_root=stratum.is_root,
                descriptor=stratum.descriptor,  # type: ignore[arg-type]
            )
            for stratum in used
        ],
        numbers,
    )


def compose_coupled(
    used: Sequence[Stratum], numbers: tuple[int, ...], short_range: Potential | None
) -> NeuralPotential:
    """The potential of strata that couple into the networks of their elements."""
    descriptor = used[0].descriptor.of_elements(numbers)  # type: ignore[union-attr]
    blocks = descriptor.blocks(numbers)
    couplings = {key: value for stratum in used for key, value in stratum.couplings.items()}
    trunks = {z: trunk for stratum in used for z, trunk in stratum.trunks.items()}
    networks, minimum, factor = [], [], []
    for center in numbers:
        trunk = trunks[center]
        own = [coupling_of(couplings, center, block, len(trunk.bias)) for block in blocks]
        networks.append(
            AtomicNetwork(
                [c.kernel for c in own], trunk.bias, trunk.kernels, trunk.biases, trunk.activations
            )
        )
        minimum.append(np.concatenate([c.minimum for c in own]))
        factor.append(np.concatenate([c.factor for c in own]))
    return NeuralPotential(
        networks=tuple(networks),
        minimum=np.array(minimum),
        factor=np.array(factor),
        short_range=short_range,
        descriptor=descriptor,
        elements=numbers,
    )


def pairs_of(elements: Sequence[int], is_root: bool) -> list[Pair]:
    """Pairs of elements that stand in no stratum below, whose repulsion a stratum brings."""
    pairs = combinations_with_replacement(sorted(elements), 2)
    return [pair for pair in pairs if is_root or set(pair) == set(elements)]


def kinds_of_pairs(used: Iterable[Stratum]) -> dict[Pair, str]:
    """Which repulsion acts between two elements, as the strata have it."""
    return {
        pair: stratum.short_range
        for stratum in used
        for pair in pairs_of(stratum.elements, stratum.is_root)
    }


def repulsion(kinds: Mapping[Pair, str], numbers: Sequence[int]) -> Potential | None:
    """The fixed repulsions of pairs as one potential of ``numbers``; None if there is none.

    Raises:
        InputError: a kind that is not known here.
    """
    terms: list[Potential] = []
    for kind in sorted(set(kinds.values()) - {"none"}):
        if kind not in SHORT_RANGE:
            raise InputError(
                f"short range {kind!r} is not known: give one of none, {', '.join(SHORT_RANGE)}."
            )
        pairs = [pair for pair, own in kinds.items() if own == kind and set(pair) <= set(numbers)]
        if pairs:
            terms.append(SHORT_RANGE[kind](numbers, pairs=pairs))
    if len(terms) < 2:
        return terms[0] if terms else None
    return SumPotential(tuple(terms), tuple(sorted(numbers)))


def strata_for(strata: Mapping[str, Stratum], numbers: Sequence[int]) -> list[Stratum]:
    """The strata of all subsets of up to three elements, or one root that covers them all."""
    for stratum in strata.values():
        if stratum.is_root and len(stratum.elements) > 1 and set(numbers) <= set(stratum.elements):
            return [stratum]
    names = required_strata(numbers)
    missing = [name for name in names if name not in strata]
    if missing:
        raise InputError(
            f"no stratum for {', '.join(missing)}; "
            f"there are {', '.join(sorted(strata)) or 'none'}. "
            f"Train what is missing on top, or ask for fewer elements."
        )
    return [strata[name] for name in names]


def required_strata(numbers: Sequence[int]) -> list[str]:
    """Names of the strata that a potential of these elements is made of, lowest first.

    >>> required_strata([29, 47])
    ['Cu', 'Ag', 'Ag-Cu']
    """
    return [
        stratum_name(subset)
        for size in range(1, min(len(numbers), 3) + 1)
        for subset in combinations(sorted(numbers), size)
    ]


def names_below(numbers: Sequence[int]) -> list[str]:
    """Names of the strata on which that of these elements stands, lowest first."""
    return [name for name in required_strata(numbers) if name != stratum_name(numbers)]


def coupling_of(
    couplings: Mapping[tuple[int, tuple[int, ...]], Coupling],
    center: int,
    block: Block,
    n_hidden: int,
) -> Coupling:
    """The coupling of a block, or zeros where a stratum does not couple it."""
    zeros = np.zeros(block.size)
    silent = Coupling(zeros, zeros, np.zeros((block.size, n_hidden)))
    return couplings.get((center, block.neighbors), silent)


def check_alike(strata: Sequence[Stratum]) -> None:
    """Refuse strata that cannot stand in one potential.

    Raises:
        InputError: they differ in descriptor (where they share networks), size of committee or
            level of theory.
    """
    first = strata[0]
    sizes = {s.n_members: s.name for s in strata if s.terms}
    if len(sizes) > 1:
        found = ", ".join(f"{name} {size}" for size, name in sizes.items())
        raise InputError(
            f"strata have committees of different size ({found} members): train one of them again "
            f"with as many members as the other."
        )
    for other in strata[1:]:
        share = not (first.terms or other.terms)  # terms are sums: each brings its own descriptor
        if share and other.descriptor != first.descriptor:
            raise InputError(
                f"strata {first.name} and {other.name} differ in their descriptor. "
                f"Train one of them again with the settings of the other."
            )
    known = {s.level_of_theory: s.name for s in strata if s.level_of_theory}
    if len(known) > 1:
        levels = "; ".join(f"{name}: {level}" for level, name in known.items())
        raise InputError(
            f"strata of different levels of theory cannot be composed ({levels}). "
            f"Train them on data of one level."
        )
