"""Symmetry functions of which each element has its own list, as in n2p2.

Radial ones (n2p2's type 2), angular ones with (type 3) and without (type 9) the distance
between the two neighbors. Behler, J. Chem. Phys. 134, 074106 (2011), eqs. 5, 8 and 9;
Singraber, Behler and Dellago, J. Chem. Theory Comput. 15, 1827 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.angular import COSINE
from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.descriptor import Block
from stratal.descriptors.gaussians import Gaussian, gaussians
from stratal.descriptors.lanes import Lanes
from stratal.descriptors.triple_terms import Plan, Term
from stratal.descriptors.triples import (
    pair_index,
    sight_of,
    squared_length,
    sum_over_triples,
)
from stratal.errors import InputError


class PairFunction(NamedTuple):
    """sum_j exp(-eta (r_ij - r_s)²) f_c(r_ij) over the neighbors of one element."""

    neighbor: int  # atomic number
    eta: float  # Å^-2
    r_s: float  # Å
    cutoff: float  # Å

    @property
    def block(self) -> tuple[int, ...]:
        """The neighbor species without which it vanishes."""
        return (self.neighbor,)


class TripleFunction(NamedTuple):
    """Sum over unordered pairs of neighbors of two elements, each pair once.

    2^(1-zeta) (1 + lambda cos theta)^zeta G_ij G_ik [G_jk], with G the term of a
    `PairFunction`; G_jk is left out of a wide function.
    """

    first: int  # atomic number, not above `second`
    second: int
    eta: float  # Å^-2
    zeta: float
    lambda_: float  # +1 or -1
    r_s: float  # Å
    cutoff: float  # Å
    wide: bool

    @property
    def block(self) -> tuple[int, ...]:
        """The neighbor species without which it vanishes."""
        return (self.first, self.second)


Function = PairFunction | TripleFunction


@dataclass(frozen=True)
class ElementSymmetryFunctions:
    """A list of functions for each element, and one kind of cutoff function.

    The layout of the features is the same for all atoms: the n-th feature of a block is the
    n-th function of that block in the list of the atom's own element, and 0 where its list
    is shorter.
    """

    functions: tuple[tuple[int, tuple[Function, ...]], ...]  # by atomic number, ascending
    cutoff_function: CutoffFunction = COSINE
    elements: tuple[int, ...] = ()  # what species 0, 1, ... are; all that have functions if ()

    def __post_init__(self) -> None:
        known = tuple(element for element, _ in self.functions)
        if not known or list(known) != sorted(set(known)):
            raise InputError(f"functions of elements {known}: give each once, in ascending order")
        if not self.elements:
            object.__setattr__(self, "elements", known)
        for element, functions in self.functions:
            for function in functions:
                check_function(function, known, f"element {element}")

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        return max(function.cutoff for _, functions in self.functions for function in functions)

    def of_elements(self, elements: Sequence[int]) -> ElementSymmetryFunctions:
        """The same functions in a system of fewer elements (atomic numbers, ascending)."""
        return replace(self, elements=tuple(elements))

    def blocks(self, elements: Sequence[int]) -> tuple[Block, ...]:
        """One block per neighbor species, then one per pair of them."""
        labels = [(z,) for z in elements] + list(combinations_with_replacement(elements, 2))
        blocks, start = [], 0
        for label in labels:
            size = max(len(self.positions(center, label)) for center, _ in self.functions)
            if size:
                blocks.append(Block(tuple(label), start, size))
            start += size
        return tuple(blocks)

    def positions(self, center: int, label: Sequence[int]) -> list[int]:
        """Where the functions of a block stand in the list of an element."""
        functions = dict(self.functions)[center]
        return [n for n, function in enumerate(functions) if function.block == tuple(label)]

    def __call__(
        self,
        displacements: jax.Array,
        tile_species: jax.Array,
        species: jax.Array,
        n_species: int,
    ) -> jax.Array:
        """Describe every atom, ``(n_atoms, n_features)``; see `Descriptor`."""
        if n_species != len(self.elements):
            raise ValueError(
                f"{n_species} species for functions of {len(self.elements)} elements: "
                f"choose them first by of_elements"
            )
        branches = [partial(self.describe, center) for center in self.elements]
        size = sum(block.size for block in self.blocks(self.elements))
        lanes = Lanes.of(displacements, self.cutoff, species, n_species)
        empty = jnp.zeros((size, lanes.atoms.shape[1]), displacements.dtype)
        branches.append(lambda vectors, tiles: empty)

        @jax.checkpoint  # a chunk is computed again in the reverse pass, not stored
        def of_chunk(chunk: tuple[Any, ...]) -> jax.Array:
            center, *arguments = chunk
            return jax.lax.switch(center, branches, *arguments)

        vectors = tuple(
            lanes.tiles(displacements[..., axis], 2.0 * self.cutoff) for axis in range(3)
        )
        tiles = lanes.species_of_tiles(tile_species)
        return lanes.back(jax.lax.map(of_chunk, (lanes.species, vectors, tiles)))

    def describe(
        self, center: int, vectors: tuple[jax.Array, ...], tile_species: jax.Array
    ) -> jax.Array:
        """Features ``(n_features, n_atoms)`` of a few atoms of one element.

        Args:
            center: atomic number.
            vectors: x, y and z of their neighbors, ``(n_tiles, TILE, n_atoms)``, Å.
            tile_species: ``(n_tiles, n_atoms)``.
        """
        functions = dict(self.functions)[center]
        kinds = tuple(sorted({Gaussian(f.eta, f.r_s, f.cutoff) for f in functions}))
        squared = squared_length(vectors)
        weights = gaussians(kinds, self.cutoff_function, squared)
        plan = self.plan(functions)
        pairs = {Gaussian(f.eta, f.r_s, f.cutoff) for f in functions if isinstance(f, PairFunction)}
        sums = {
            kind: self.by_neighbor(weight, tile_species)
            for kind, weight in zip(kinds, weights, strict=True)
            if kind in pairs
        }
        triples = None
        if plan.terms:
            of_triples = [weights[kinds.index(kind)] for kind in plan.gaussians]
            sight = sight_of(vectors, of_triples)
            triples = sum_over_triples(plan, sight, tile_species)

        def value(function: Function) -> jax.Array:
            kind = Gaussian(function.eta, function.r_s, function.cutoff)
            if isinstance(function, PairFunction):
                return sums[kind][self.elements.index(function.neighbor)]
            assert triples is not None
            first, second = (self.elements.index(z) for z in function.block)
            pair = pair_index(len(self.elements))[first, second]
            scale = 2.0 ** (1.0 - function.zeta)
            return scale * triples[pair, plan.terms.index(term_of(plan, function))]  # pyright: ignore[reportIndexIssue]

        zero = jnp.zeros(tile_species.shape[-1], squared.dtype)
        features = []
        for block in self.blocks(self.elements):
            own = [value(functions[n]) for n in self.positions(center, block.neighbors)]
            features += own + [zero] * (block.size - len(own))
        return jnp.stack(features)

    def by_neighbor(self, weights: jax.Array, tile_species: jax.Array) -> list[jax.Array]:
        """Weights ``(n_tiles, TILE, n_atoms)`` summed over the neighbors of each species."""
        by_tile = weights.sum(axis=1)
        return [
            jnp.where(tile_species == s, by_tile, 0.0).sum(axis=0)
            for s in range(len(self.elements))
        ]

    def plan(self, functions: Sequence[Function]) -> Plan:
        """The sums over triples that some functions need, where their elements are present."""
        triples = [
            f
            for f in functions
            if isinstance(f, TripleFunction) and set(f.block) <= set(self.elements)
        ]
        bare = Plan(
            gaussians=tuple(sorted({Gaussian(f.eta, f.r_s, f.cutoff) for f in triples})),
            angles=tuple(sorted({(f.zeta, f.lambda_) for f in triples})),
            terms=(),
            cutoff_function=self.cutoff_function,
            n_species=len(self.elements),
        )
        return bare._replace(terms=tuple(sorted({term_of(bare, f) for f in triples})))

    def to_tree(self) -> dict[str, Any]:
        """Nested dictionary of arrays and strings, for files and hashes."""
        pairs, triples = [], []
        for center, functions in self.functions:
            for n, function in enumerate(functions):
                rows = pairs if isinstance(function, PairFunction) else triples
                rows.append([center, n, *map(float, function)])
        return {
            "kind": "element symmetry functions",
            "cutoff_function": np.array(self.cutoff_function, float),
            "elements": np.array(self.elements),
            "of": np.array([center for center, _ in self.functions]),
            "pairs": np.array(pairs, float).reshape(-1, 6),
            "triples": np.array(triples, float).reshape(-1, 10),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> ElementSymmetryFunctions:
        """The inverse of `to_tree`."""
        found: dict[int, list[tuple[int, Function]]] = {int(z): [] for z in tree["of"]}
        for center, n, neighbor, *numbers in tree["pairs"].tolist():
            found[int(center)].append((int(n), PairFunction(int(neighbor), *numbers)))
        for center, n, first, second, *numbers, wide in tree["triples"].tolist():
            function = TripleFunction(int(first), int(second), *numbers, wide=bool(wide))
            found[int(center)].append((int(n), function))
        kind, alpha = tree["cutoff_function"].tolist()
        return cls(
            functions=tuple(
                (z, tuple(function for _, function in sorted(rows, key=lambda row: row[0])))
                for z, rows in found.items()
            ),
            cutoff_function=CutoffFunction(int(kind), alpha),
            elements=tuple(int(z) for z in tree["elements"]),
        )


def term_of(plan: Plan, function: TripleFunction) -> Term:
    """Which sum over triples a function is, but for its factor."""
    gaussian = Gaussian(function.eta, function.r_s, function.cutoff)
    angle = (function.zeta, function.lambda_)
    return Term(plan.gaussians.index(gaussian), plan.angles.index(angle), not function.wide)


def check_function(function: Function, known: Sequence[int], where: str) -> None:
    """Refuse what cannot be computed.

    Raises:
        InputError: names the element and the function.
    """
    if not set(function.block) <= set(known) or list(function.block) != sorted(function.block):
        raise InputError(f"{where}: {function}: give neighbors among {known}, in ascending order")
    if not function.cutoff > 0 or not np.isfinite(function).all():
        raise InputError(f"{where}: {function}: give finite numbers and a cutoff above 0 Å")
    if isinstance(function, TripleFunction) and (
        abs(function.lambda_) != 1 or not (function.zeta == 1 or function.zeta >= 2)
    ):
        raise InputError(
            f"{where}: {function}: give lambda = 1 or -1, and a zeta of 1 or at least 2, below "
            f"which forces are not continuous"
        )
