"""Limits tell what is allowed, count all periodic images, and bring structures to a volume."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.cluster import Icosahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.search.limits import (
    Limits,
    in_standard_form,
    reduced,
    volume_in_solid,
    volume_of,
)

SEEDS = st.integers(0, 2**31 - 1)
BY_LAW = settings(deadline=None, database=None, derandomize=True, max_examples=25)
CRYSTAL = Limits.of(["Cu", "Ag"])


def film() -> Atoms:
    slab = fcc111("Cu", (2, 2, 3), a=3.61, vacuum=6.0)
    return Atoms(slab.numbers, slab.positions, cell=slab.cell, pbc=(True, True, False))


def icosahedron() -> Atoms:
    cluster = Icosahedron("Cu", 2)
    return Atoms(cluster.numbers, cluster.positions)


def shortest(atoms: Atoms) -> float:
    """Distance of any two atoms or images, by brute force over 7³ cells."""
    steps = np.arange(-3, 4)
    shifts = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    images = (atoms.positions + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3)
    apart = np.linalg.norm(atoms.positions[:, None] - images, axis=-1)
    return float(apart[apart > 1e-9].min())


def test_known_crystals_clusters_and_films_are_allowed():
    for name in ("Cu", "Ag"):
        assert CRYSTAL.reason(bulk(name)) is None
        assert_allclose(CRYSTAL.target_volume(bulk(name).numbers), bulk(name).cell.volume)
    assert Limits.of(["Cu"], "film").reason(film()) is None
    assert Limits.of(["Cu"], "cluster").reason(icosahedron()) is None


def test_volumes_are_those_of_the_elements():
    for name in ("Al", "Fe", "Mg", "Si", "Po"):
        crystal = bulk(name)
        assert_allclose(
            volume_in_solid(int(crystal.numbers[0])), crystal.cell.volume / len(crystal)
        )
    assert 4 < volume_in_solid(8) < 12  # oxygen, for which no simple crystal is known


@given(seed=SEEDS)
@BY_LAW
def test_distances_count_all_images(seed):
    rng = np.random.default_rng(seed)
    cell = 3 * (np.eye(3) + 0.15 * rng.normal(size=(3, 3)))
    n = int(rng.integers(1, 4))
    atoms = Atoms(f"Cu{n}", scaled_positions=rng.random((n, 3)), cell=cell, pbc=True)
    closest = float(rng.uniform(0.5, 3.5))
    limits = Limits.of(["Cu"], closest=np.array([[closest]]), volume_range=(0.01, 100.0))
    limits = replace(limits, aspect=10.0, smallest_angle=1.0)
    assert limits.allows(atoms) == (shortest(atoms) >= closest)


@pytest.mark.parametrize(
    "atoms, limits, reason",
    [
        (bulk("Cu") * (3, 3, 5), CRYSTAL, "45 atoms, not 1 to 40"),
        (bulk("Au"), CRYSTAL, "element Au is not searched"),
        (bulk("Cu") * (2, 1, 1), replace(CRYSTAL, formula=(1, 1)), "composition"),
        (Atoms("Cu", cell=np.eye(3) * 2.6), CRYSTAL, "periodic along"),
        (Atoms("Cu", pbc=True), CRYSTAL, "no cell"),
        (bulk("Cu") * (6, 1, 1), CRYSTAL, "a cell 6.0 times longer"),
        (bulk("Cu", a=5.0), CRYSTAL, "of the volume aimed at"),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 1.5]], cell=[2.8] * 3, pbc=True), CRYSTAL, "Cu and Cu 1"),
        (Atoms("Cu", [[0, 0, np.nan]], cell=[2.3] * 3, pbc=True), CRYSTAL, "not finite"),
        (film(), Limits.of(["Cu"], "film", thickness=3.0), "a film of 4.2 Å"),
        (film(), Limits.of(["Cu"], "film", vacuum=15.0), "less than 15 Å of vacuum"),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 5]]), Limits.of(["Cu"], "cluster"), "parts that are far"),
    ],
)
def test_what_is_not_allowed_is_told(atoms, limits, reason):
    assert reason in (limits.reason(atoms) or "")
    assert not limits.allows(atoms)


@given(seed=SEEDS)
@BY_LAW
def test_the_volume_aimed_at_is_reached(seed):
    rng = np.random.default_rng(seed)
    for kind, atoms in (("crystal", bulk("Ag") * (2, 1, 1)), ("film", film())):
        limits = Limits.of(["Cu", "Ag"], kind)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.8, 1.3), scale_atoms=True)
        assert_allclose(
            volume_of(limits.with_volume(atoms), limits), limits.target_volume(atoms.numbers)
        )
        assert_allclose(volume_of(limits.with_volume(atoms, 99.0), limits), 99.0)
    limits, cluster = Limits.of(["Cu"], "cluster"), icosahedron()
    cluster.positions *= rng.uniform(0.8, 1.3)
    scaled = limits.with_volume(cluster)
    assert_allclose(volume_of(scaled, limits), limits.target_volume(cluster.numbers))


@given(seed=SEEDS)
@BY_LAW
def test_standard_forms_are_the_same_structure(seed):
    """Distances stay, by brute force over images; a film lies across z, in the vacuum's middle."""
    rng = np.random.default_rng(seed)
    crystal = bulk("Cu") * (2, 1, 1)
    crystal.positions += rng.normal(size=(2, 3)) * 0.2
    limits = Limits.of(["Cu"])
    skewed = crystal.copy()
    rows = np.array([[1, 0, 0], [rng.integers(-2, 3), 1, 0], [0, rng.integers(-2, 3), -1]])
    skewed.set_cell(rows @ crystal.cell.array)
    other = reduced(skewed, limits)
    assert np.linalg.det(other.cell.array) > 0
    assert_allclose(shortest(other), shortest(crystal), rtol=1e-9)
    slab = film()
    slab.positions += rng.normal(size=slab.positions.shape) * 0.2
    slab.rotate(float(rng.uniform(0, 360)), rng.normal(size=3), rotate_cell=True)
    flat = in_standard_form(slab, Limits.of(["Cu"], "film"))
    before, after = (own.get_all_distances(mic=True) for own in (slab, flat))
    assert_allclose(before, after, atol=1e-9)
    assert_allclose(flat.cell.array[:2, 2], 0, atol=1e-12)
    middle = flat.positions[:, 2].min() + 0.5 * np.ptp(flat.positions[:, 2])
    assert_allclose(middle, 0.5 * flat.cell.array[2, 2])


@pytest.mark.parametrize(
    "own, message",
    [
        ({"kind": "wire"}, "give one of crystal, film, cluster"),
        ({"formula": (1,)}, "expected a count for each of 2"),
        ({"n_atoms": (5, 2)}, "expected 1 <= fewest <= most"),
        ({"closest": np.ones((1, 1))}, r"expected closest \(2, 2\)"),
    ],
)
def test_limits_that_say_nothing_sensible(own, message):
    with pytest.raises(InputError, match=message):
        replace(CRYSTAL, **own)
