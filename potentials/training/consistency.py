"""What holds the network of a pair or triple to those below it.

A stratum gives N(all) less what N gives without some of its elements, and the strata below give
theirs for just those surroundings. Where both agree they cancel, and the sum of all strata is
N(all): one network, as full training has it. Where they differ the difference is a function of
surroundings with holes that no data determine. So the fit is asked to agree, at the
surroundings of the training structures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.invariants import Moments, subsets
from stratal.potentials.atomic_term import BY_MEMBER, AtomicTerm
from stratal.potentials.stratum import Stratum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Anchor:
    """The network below for one set of the other elements."""

    term: AtomicTerm | None  # nothing is known below: the stratum is held to 0
    seen: tuple[int, ...] = field(metadata={"static": True})  # its subsets among the stratum's

    @property
    def by_member(self) -> Anchor:
        """Which arrays have the axis of members, for `jax.vmap`."""
        return replace(self, term=None if self.term is None else BY_MEMBER)

    def output(self, added: Sequence[jax.Array]) -> jax.Array:
        """Energies of one member, ``(n_atoms,)``, eV, of what the stratum's subsets add."""
        if self.term is None:
            return jnp.zeros(added[0].shape[-1])
        return self.term.outputs([added[u] for u in self.seen])[-1]


def anchors_around(
    center: int, elements: Sequence[int], below: Mapping[str, Stratum], descriptor: Moments
) -> tuple[Anchor, ...]:
    """For every set of the other elements but that of all of them, the network below.

    Args:
        center: the central element.
        elements: of the stratum, ascending.
        below: strata on which it stands, by name.
        descriptor: of the stratum.
    """
    all_seen = subsets([z for z in elements if z != center])
    known = [s for s in below.values() if center in s.terms and s.descriptor == descriptor]
    found = []
    for own in all_seen[:-1]:
        within = subsets(own)
        serving = [s for s in known if {center, *own} <= set(s.elements)]
        smallest = min(serving, key=lambda s: len(s.elements), default=None)
        term = None if smallest is None else seeing(smallest, center, within)
        found.append(Anchor(term, tuple(all_seen.index(part) for part in within)))
    return tuple(found)


def seeing(stratum: Stratum, center: int, within: Sequence[tuple[int, ...]]) -> AtomicTerm:
    """A term's network for some of its subsets; the element's own energy left out."""
    theirs = subsets([z for z in stratum.elements if z != center])
    rows = [theirs.index(part) for part in within]
    term = jax.tree.map(lambda a: np.asarray(a, np.float32), stratum.terms[center])
    first, *kernels = term.kernels
    *biases, last = term.biases
    if stratum.is_root:
        last = np.zeros_like(last)
    return replace(
        term,
        linear=term.linear[:, rows],
        kernels=(first[:, rows], *kernels),
        biases=(*biases, last),
    )
