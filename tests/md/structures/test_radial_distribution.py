"""g(r) against counts and ASE's own, the ideal gas, and sums that must hold."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.cluster import Octahedron
from ase.geometry.rdf import get_rdf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.properties.prototypes import prototype
from stratal.md.structures.radial_distribution import (
    OF_CLUSTERS,
    OF_CRYSTALS,
    distribution_by_species,
    shortest_distances,
)
from stratal.md.structures.random_cells import random_cells

SEEDS = st.integers(0, 2**31 - 1)


def counted(atoms: Atoms, first: str, second: str, bins: np.ndarray, reach: int = 4) -> np.ndarray:
    """g_ab(r) of a crystal by its definition: every atom, every image, every distance."""
    a, b = (np.flatnonzero(atoms.symbols == symbol) for symbol in (first, second))
    lengths = []
    for image in itertools.product(range(-reach, reach + 1), repeat=3):
        apart = atoms.positions[b] + image @ atoms.cell.array - atoms.positions[a][:, None]
        lengths.append(np.linalg.norm(apart, axis=2).ravel())
    counts = np.histogram(np.concatenate(lengths), bins)[0].astype(float)
    counts[0] -= len(a) if first == second else 0  # an atom is not around itself
    shells = 4 / 3 * np.pi * np.diff(bins**3)
    return counts * atoms.cell.volume / (len(a) * len(b) * shells)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_images_beyond_half_a_small_cell_are_counted(seed):
    (atoms,) = random_cells(seed, 1, 4, 6, (29, 47))
    found = distribution_by_species([atoms], cutoff=5.0, n_bins=20)
    assert found.quantity == OF_CRYSTALS
    bins = np.linspace(0, 5, 21)
    for pair, own in zip(found.pairs, found.partial, strict=True):
        assert_allclose(own, counted(atoms, *pair, bins), rtol=1e-9, atol=1e-12)


def test_partial_distributions_are_those_of_ase():
    frames = []
    for seed in range(2):
        frames.append(prototype("L12", ["Cu", "Ag"], 14.0).repeat(3))  # ASE needs it so large
        frames[-1].rattle(0.1, seed=seed)
    found = distribution_by_species(frames, cutoff=5.0, n_bins=50)
    for pair, own in zip(found.pairs, found.partial, strict=True):
        assert_allclose(own, get_rdf(frames, 5.0, 50, elements=pair, no_dists=True), atol=1e-9)
    assert_allclose(found.total, get_rdf(frames, 5.0, 50, no_dists=True), atol=1e-9)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_parts_add_up_and_cells_do_not_matter(seed):
    (atoms,) = random_cells(seed, 1, 4, 8, (29, 47, 79))
    found, repeated = (
        distribution_by_species([each], 5.0, 10) for each in (atoms, atoms.repeat((2, 1, 2)))
    )
    share = {symbol: np.mean(atoms.symbols == symbol) for symbol in set(atoms.symbols)}
    weights = [(1 + (a != b)) * share[a] * share[b] for a, b in found.pairs]
    assert_allclose(np.array(weights) @ found.partial, found.total, atol=1e-12)
    # Two atoms at the edge of a bin may change sides by rounding: sums of all are compared too.
    assert_allclose(found.total.mean(), repeated.total.mean(), rtol=2e-2)


def test_an_ideal_gas_has_one():
    rng = np.random.default_rng(0)
    positions, cell = rng.uniform(0, 20, (2000, 3)), np.eye(3) * 20
    gas = Atoms("Cu1000Ag1000", positions, cell=cell, pbc=True)
    found = distribution_by_species([gas], cutoff=6.0, n_bins=6)
    # Between 4 and 6 Å each bin has some 60,000 pairs: 0.4 % of noise, 1 % for parts of them.
    assert_allclose(found.total[4:], 1.0, atol=0.02)
    assert_allclose(found.partial[:, 4:], 1.0, atol=0.04)


def test_neighbors_of_a_cluster():
    cluster = Octahedron("Cu", 3)
    cluster.symbols[:5] = "Ag"
    found = distribution_by_species([cluster], cutoff=20.0, n_bins=400)
    assert found.quantity == OF_CLUSTERS
    # All others are somewhere.
    assert_allclose((found.total * 0.05).sum(), len(cluster) - 1)
    assert_allclose(found.partial.sum(axis=0), found.total)


def test_shortest_distances_of_known_crystals():
    found = shortest_distances(prototype("L12", ["Cu", "Ag"], 14.0))
    edge = (4 * 14.0) ** (1 / 3)
    near = edge / np.sqrt(2)
    assert list(found) == ["Cu-Cu", "Cu-Ag", "Ag-Ag"]
    assert_allclose(list(found.values()), [edge, near, near])
    assert_allclose(shortest_distances(bulk("Cu", a=3.6))["Cu-Cu"], 3.6 / np.sqrt(2))
    dilute = bulk("Cu", cubic=True, a=3.6).repeat(4)
    dilute.symbols[0] = "Ag"
    assert_allclose(shortest_distances(dilute)["Ag-Ag"], 4 * 3.6)
    molecule = Atoms("CuAgAg", [[0, 0, 0], [0, 0, 2.5], [0, 9, 0]])
    assert shortest_distances(molecule) == pytest.approx({"Cu-Ag": 2.5, "Ag-Ag": np.hypot(9, 2.5)})
    assert shortest_distances(Atoms("Cu")) == {}


@pytest.mark.parametrize(
    "frames, cutoff, message",
    [
        ([bulk("Cu")], 0.0, "cutoff = 0.0 Å"),
        ([], 5.0, "no structures"),
        ([bulk("Cu"), Atoms("Cu")], 5.0, "crystals and others together"),
    ],
)
def test_what_has_no_distribution(frames, cutoff, message):
    with pytest.raises(InputError, match=message):
        distribution_by_species(frames, cutoff)


def test_csv_is_what_the_arrays_hold():
    found = distribution_by_species([prototype("B2", ["Cu", "Ag"], 14.0)], 5.0, 10)
    head, *rows = found.as_csv().splitlines()
    assert head == "distance,total,Cu-Cu,Cu-Ag,Ag-Ag"
    table = np.array([[float(word) for word in row.split(",")] for row in rows])
    assert_allclose(table[:, 0], found.distances)
    assert_allclose(table[:, 2:].T, found.partial, rtol=1e-9)
