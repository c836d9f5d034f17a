"""Similarity changes with the structure alone, agrees with MAISE's and with pymatgen's matcher."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.cluster import Icosahedron, Octahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stratal.errors import InputError
from stratal.md.properties.prototypes import PROTOTYPES, prototype
from stratal.md.structures.random_cells import random_cells
from stratal.md.structures.similarity import (
    Smearing,
    compare,
    fingerprints,
    matched,
    matcher,
    scaled_to,
    similarities,
)

SEEDS = st.integers(0, 2**31 - 1)


def disguised(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The same crystal: turned, moved, its atoms in another order, in another and larger cell."""
    rows = np.array([[1, 0, 0], [rng.integers(-1, 2), 1, 0], [0, rng.integers(-1, 2), 2]])
    other = make_supercell(atoms, rows)
    rotation = Rotation.random(rng=rng).as_matrix()
    other.set_cell(other.cell.array @ rotation.T, scale_atoms=True)
    other.positions += rng.normal(size=3)
    other.wrap()
    return other[rng.permutation(len(other))]


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_disguised_crystal_is_itself(seed):
    (atoms,) = random_cells(seed, 1, 3, 6, (29, 47))
    other = disguised(atoms, np.random.default_rng(seed))
    vectors = fingerprints([atoms, other])
    assert_allclose(similarities(vectors, vectors), 1.0, atol=1e-9)
    verdict = matched(atoms, other, matcher())
    assert verdict and verdict.same and verdict.rms is not None and verdict.rms < 1e-6


@given(seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_similarities_are_symmetric_between_0_and_1_and_grow_towards_a_structure(seed):
    frames = random_cells(seed, 4, 3, 6, (29, 47))
    vectors = fingerprints(frames)
    cosines = similarities(vectors, vectors)
    assert_allclose(cosines, cosines.T, atol=1e-12)
    assert_allclose(np.diag(cosines), 1.0)
    assert cosines.min() >= 0 and cosines.max() <= 1
    moved = [frames[0].copy() for _ in range(3)]
    for atoms, size in zip(moved, (0.005, 0.02, 0.1), strict=True):
        atoms.rattle(size, seed=seed % 1000)
    near, middle, far = similarities(vectors[:1], fingerprints(moved, elements=(29, 47)))[0]
    assert 1 > near > middle > far


def test_fingerprints_of_many_are_those_of_each():
    frames = random_cells(3, 5, 3, 6, (29, 47))
    one_by_one = [fingerprints([frame], elements=(29, 47))[0] for frame in frames]
    assert_allclose(fingerprints(frames, elements=(47, 29)), one_by_one, atol=1e-12)


def test_agrees_with_maise():
    """The example examples/02-cmp of MAISE 2.7: its README prints 0.760837."""
    first = Atoms("CuAg", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[3, 3, 3], pbc=True)
    second = first.copy()
    second.set_cell([[3.03, 0, 0], [0.002, 3, 0], [0, 0, 3]], scale_atoms=True)
    vectors = fingerprints([first, second], Smearing(6.0, 5.94, 0.008))
    # MAISE cuts its Gaussians after three widths, where they are 1 % of their height.
    assert_allclose(similarities(vectors[:1], vectors[1:]), 0.760837, atol=3e-4)


def test_prototypes_are_told_apart_by_both():
    names = [name for name in PROTOTYPES if PROTOTYPES[name].n_elements == 2]
    frames = [prototype(name, ["Cu", "Ag"], 14.0) for name in names]
    found = list(compare(frames, frames))
    assert len(found) == len(names) ** 2
    for each in found:
        alike = each.first == each.second
        assert (each.similarity > 0.98) == alike
        assert each.match is not None and each.match.same == alike


def test_scaling_takes_the_volume_away():
    small, large = bulk("Cu", a=3.6), bulk("Cu", a=3.9, cubic=True)
    (as_they_are,) = compare([small], [large])
    (scaled,) = compare([small], [large], scale=True)
    assert as_they_are.similarity < 0.5
    assert_allclose(scaled.similarity, 1.0)
    assert scaled.match and scaled.match.same
    assert_allclose(scaled_to(large, 12.0).cell.volume, 48.0)


def test_clusters_are_compared_without_the_matcher():
    found = list(compare([Icosahedron("Cu", 2)], [Icosahedron("Cu", 2), Octahedron("Cu", 3, 1)]))
    assert_allclose(found[0].similarity, 1.0)
    assert found[1].similarity < 0.98
    assert found[0].match is None


@pytest.mark.parametrize(
    "first, second, how, message",
    [
        (bulk("Cu"), bulk("Ag"), {}, "Cu and Ag: no element in common"),
        (bulk("Cu"), Atoms("Cu"), {}, "no two atoms within the cutoff"),
        (bulk("Cu"), Atoms("Cu2", [[0, 0, 0], [0, 0, 2]]), {"scale": True}, "no volume to scale"),
    ],
)
def test_what_cannot_be_compared(first, second, how, message):
    with pytest.raises(InputError, match=message):
        list(compare([first], [second], **how))


def test_settings_that_make_no_vector():
    with pytest.raises(InputError, match="expected 0 <= fade < cutoff"):
        Smearing(cutoff=4.0)
    with pytest.raises(InputError, match="species Ag unknown"):
        fingerprints([bulk("Ag")], elements=(29,))
    assert not fingerprints([Atoms("Cu")]).any()  # nothing within reach: similar to nothing


def test_a_pair_that_leaves_the_reach_does_so_smoothly():
    inside, outside = (
        Atoms("Cu3", [[0, 0, 0], [2.5, 0, 0], [far, 0, 0]]) for far in (5.999, 6.001)
    )
    vectors = fingerprints([inside, outside])
    assert_allclose(similarities(vectors, vectors), 1.0, atol=2e-3)
