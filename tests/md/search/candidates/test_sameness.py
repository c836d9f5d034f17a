"""Which structures are one: whatever cell, turn or hand they are given in, and no others."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stratal.md.search.candidates.candidate import Candidate, Origin
from stratal.md.search.candidates.sameness import (
    Sameness,
    form_of,
    niggli_cell,
    same,
    twin_among,
)
from stratal.md.structures.random_cells import random_cells
from stratal.md.structures.similarity import fingerprints, similarities

PLACES = {"A": (0.0, 0.0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}
LOOSELY = 0.01  # Å, by which a search relaxes the same minimum differently


def stacked(layers, a=2.55):
    """Close-packed layers."""
    fractional = [(*PLACES[layer], n / len(layers)) for n, layer in enumerate(layers)]
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(0.75), 0], [0, 0, a * np.sqrt(2 / 3) * len(layers)]]
    return Atoms(f"Cu{len(layers)}", scaled_positions=fractional, cell=cell, pbc=True)


def in_other_form(atoms, rng, supercell=True):
    """The same structure, turned, moved, in another order, another cell, not quite relaxed."""
    other = atoms.copy()
    if supercell and atoms.pbc.all():
        matrix = np.eye(3, dtype=int)
        matrix[rng.integers(3)] += rng.integers(0, 2, 3)  # sheared or doubled
        if abs(np.linalg.det(matrix)) > 0.5:
            other = make_supercell(other, matrix)
    turn = Rotation.random(rng=rng).as_matrix()
    other.set_cell(other.cell.array @ turn.T)
    other.positions = other.positions @ turn.T + rng.normal(size=3)
    other.positions += LOOSELY * rng.normal(size=other.positions.shape)
    other = other[rng.permutation(len(other))]
    other.wrap()
    return other


def are_same(first, second):
    return same(form_of(first), form_of(second))


def similarity(first, second):
    vectors = fingerprints([first, second])
    return float(similarities(vectors[:1], vectors[1:])[0, 0])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31 - 1), n_atoms=st.integers(1, 8))
def test_crystals_are_themselves_in_any_form_and_no_others(seed, n_atoms):
    first, second = random_cells(seed, 2, n_atoms, n_atoms, (29, 79))
    rng = np.random.default_rng(seed)
    assert are_same(first, in_other_form(first, rng))
    mirrored = first.copy()
    mirrored.set_cell(first.cell.array * [1, 1, -1], scale_atoms=True)
    assert are_same(first, mirrored)  # the other hand has the same enthalpy
    if sorted(first.numbers) == sorted(second.numbers) and n_atoms > 1:
        assert not are_same(first, second)


def test_polytypes_with_nearly_the_same_distances_are_different():
    """Of 3 to 9 layers; their fingerprints agree to 0.999."""
    names = ("ABC", "AB", "ABAC", "ABCACB", "ABABC", "ABABCBCAC")
    crystals = [stacked(name) for name in names]
    alike = [similarity(a, b) for a in crystals for b in crystals if a is not b]
    assert max(alike) > 0.998
    for n, first in enumerate(crystals):
        for m, second in enumerate(crystals):
            assert are_same(first, second) == (n == m)
    assert are_same(stacked("ABC"), bulk("Cu", "fcc", 2.55 * np.sqrt(2)))


def test_crystals_with_the_same_distances_can_differ():
    """Rows at 0, 1, 3, 4 and at 0, 1, 2, 5 of 8 places: the same differences (A. L. Patterson)."""
    step, wide = 1.6, 5.0
    first, second = (
        Atoms("Cu4", [[step * n, 0, 0] for n in places], cell=[8 * step, wide, wide], pbc=True)
        for places in ((0, 1, 3, 4), (0, 1, 2, 5))
    )
    assert similarity(first, second) > 1 - 1e-9
    assert not are_same(first, second)


def test_clusters_are_themselves_in_any_form_and_no_others():
    rng = np.random.default_rng(0)
    for _ in range(10):
        first, second = (Atoms("Cu4Au3", 2 * rng.normal(size=(7, 3))) for _ in range(2))
        assert are_same(first, in_other_form(first, rng))
        mirrored = Atoms(first.numbers, first.positions * [1, 1, -1])
        assert are_same(first, mirrored)
        assert not are_same(first, second)
        swapped = first.copy()
        swapped.numbers[[0, -1]] = swapped.numbers[[-1, 0]]
        assert not are_same(first, swapped)


def test_clusters_with_the_same_distances_can_differ():
    """G. S. Bloom's rulers of 6 marks have 15 equal distances."""
    rulers = (0, 1, 4, 10, 12, 17), (0, 1, 8, 11, 13, 17)
    first, second = (Atoms("Cu6", [[2.5 * mark, 0, 0] for mark in ruler]) for ruler in rulers)
    assert similarity(first, second) > 1 - 1e-9
    assert not are_same(first, second)


def test_films_are_compared_without_their_vacuum():
    fcc = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    thick, hollow = fcc111("Cu", (1, 1, 4), vacuum=6.0), fcc.copy()
    hollow.positions[2, :2] = hollow.positions[0, :2]  # AB A in place of ABC
    wider = fcc111("Cu", (2, 1, 3), vacuum=9.0)
    for film in (fcc, thick, hollow, wider):
        film.pbc = (True, True, False)
    assert are_same(fcc, wider)
    assert not are_same(fcc, thick) and not are_same(fcc, hollow)


@pytest.mark.parametrize("known", [True, False])
def test_a_twin_is_the_most_similar_that_is_confirmed_and_each_pair_is_compared_once(known):
    crystals = [stacked("ABAC"), stacked("ABABC"), stacked("ABCACB")]
    frames = [*crystals, in_other_form(crystals[0], np.random.default_rng(0), supercell=False)]
    vectors = fingerprints(frames)
    candidates = [
        Candidate(number, atoms, -3.5 * len(atoms), vector, Origin("test"))
        for number, (atoms, vector) in enumerate(zip(frames, vectors, strict=True))
    ]
    compare = Sameness()
    others = candidates[:3] if known else candidates[1:3]
    found = twin_among(candidates[3], others, 0.9, compare)
    assert (found is candidates[0]) if known else (found is None)
    count = len(compare.known)
    assert twin_among(candidates[3], others, 0.9, compare) is found
    assert len(compare.known) == count


def test_a_cell_at_which_spglib_fails_is_reduced():
    cell = np.array(  # of fcc, at 1e-3 Å
        [
            [0.003614577357082789, 0.7802864366363431, -3.6340552069323553],
            [-0.21387032117520474, -3.5307797752190937, 1.1421114456761121],
            [-3.1698270624528826, -1.8973517653888563, -0.41094403202929203],
        ]
    )
    reduced = niggli_cell(cell)
    lengths = np.linalg.norm(reduced, axis=1)
    assert_allclose(lengths, np.linalg.norm(cell, axis=1).mean(), rtol=0.01)
    assert_allclose(abs(np.linalg.det(reduced)), abs(np.linalg.det(cell)))
    change = reduced @ np.linalg.inv(cell)
    assert_allclose(change, change.round(), atol=1e-9)
