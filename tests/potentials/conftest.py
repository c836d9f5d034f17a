"""A small library with random weights, for tests that need strata but no physics."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from ase.data import atomic_numbers

from stratal.descriptors.angular import AngularFunction
from stratal.descriptors.symmetry_functions import RadialFunction, SymmetryFunctions
from stratal.potentials.library import Library
from stratal.potentials.stratum import Coupling, Stratum, Trunk, stratum_name

DESCRIPTOR = SymmetryFunctions(
    cutoff=4.0,
    radial=(RadialFunction(0.1, 0.0), RadialFunction(1.0, 2.5)),
    angular=(
        AngularFunction(0.01, 1.0, 1.0),
        AngularFunction(0.01, 2.0, -1.0),
        AngularFunction(0.1, 4.0, 1.0),
    ),
)
HIDDEN = 4


def random_strata(
    *symbols: str,
    seed: int = 0,
    level: str | None = None,
    short_range: str = "none",
    descriptor: SymmetryFunctions = DESCRIPTOR,
) -> dict[str, Stratum]:
    """All strata of up to three of these elements with random weights, lowest first."""
    rng = np.random.default_rng(seed)
    numbers = sorted(atomic_numbers[symbol] for symbol in symbols)
    strata: dict[str, Stratum] = {}
    for size in (1, 2, 3):
        for elements in combinations(numbers, size):
            blocks = descriptor.blocks(elements)
            below = [c for n in range(1, size) for c in combinations(elements, n)]
            strata[stratum_name(elements)] = Stratum(
                elements=elements,
                descriptor=descriptor,
                couplings={
                    (center, block.neighbors): random_coupling(rng, block.size, size == 1)
                    for center in elements
                    for block in blocks
                    if block.stratum(center) == elements
                },
                trunks={elements[0]: random_trunk(rng)} if size == 1 else {},
                parents={stratum_name(c): strata[stratum_name(c)].physics_hash for c in below},
                short_range=short_range,
                level_of_theory=level,
                info={"source": "random weights"},
            )
    return strata


def random_coupling(rng: np.random.Generator, size: int, is_root: bool) -> Coupling:
    # Only a root's scaling may begin elsewhere than at 0, where the features of absent
    # neighbors are: what a pair adds must say nothing without one of the two.
    minimum = rng.uniform(0, 1, size) * is_root
    factor = rng.uniform(0.05, 0.15, size)  # 1 / range, for about ten neighbors
    return Coupling(minimum, factor, rng.normal(size=(size, HIDDEN)))


def random_trunk(rng: np.random.Generator) -> Trunk:
    kernels = (rng.normal(0, 0.5, (HIDDEN, HIDDEN)), rng.normal(0, 0.5, (HIDDEN, 1)))
    return Trunk(rng.normal(size=HIDDEN), kernels, (rng.normal(size=HIDDEN), rng.normal(size=1)))


@pytest.fixture(scope="session")
def strata() -> Callable[..., dict[str, Stratum]]:
    """Makes random strata of the elements that it is given; see `random_strata`."""
    return random_strata


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Library:
    """Random strata of Cu, Pd and Ag, in a folder; not to be changed."""
    made = Library.create(tmp_path_factory.mktemp("library") / "lib")
    for stratum in random_strata("Cu", "Pd", "Ag").values():
        made.add(stratum)
    return made
