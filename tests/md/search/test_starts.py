"""Starts obey the limits, have the composition and the symmetry asked, and never hang."""

import time

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.md.search.limits import Limits
from stratal.md.search.starts import STARTS, by_space_group, compact, from_prototype, tiled
from stratal.md.search.starts.by_space_group import assignment, random_lattice
from stratal.md.search.starts.composition import nearest_counts, repaired
from stratal.md.search.starts.tiled import random_supercell
from stratal.md.search.starts.wyckoff import group

SEEDS = st.integers(0, 2**31 - 1)
BY_LAW = settings(deadline=None, database=None, derandomize=True, max_examples=12)
EVERY = [(name, kind) for name, start in STARTS.items() for kind in start.kinds]
# Of each system, with and without centers of the lattice, inversion and glides.
GROUPS = (1, 2, 5, 9, 14, 15, 19, 43, 62, 72, 82, 88, 122, 136, 142, 146, 155, 161, 167, 173, 194)
CUBIC = (198, 205, 216, 220, 225, 227)


@pytest.mark.parametrize("name, kind", EVERY)
@given(seed=SEEDS, counts=st.tuples(st.integers(1, 8), st.integers(1, 8)))
@BY_LAW
def test_starts_obey_limits_and_composition(name, kind, seed, counts):
    if name == "space_group" and seed % 3:  # deriving each group takes some hundredths of a second
        return
    limits = Limits.of(["Cu", "Ag"], kind)
    composition = dict(zip((29, 47), counts, strict=True))
    first, again = (
        STARTS[name].function(composition, limits, np.random.default_rng(seed), 20.0)
        for _ in range(2)
    )
    assert first is not None and first == again
    assert limits.reason(first) is None
    assert limits.counts(first.numbers).tolist() == list(counts)


@pytest.mark.parametrize("number", GROUPS + CUBIC)
def test_symmetric_starts_have_their_group(number):
    """spglib finds all operations of the group, and perhaps more."""
    chosen = group(number)
    n_sites = len(chosen.rotations) // chosen.n_centers  # the general position, at least
    limits = Limits.of(["Cu", "Ag"], n_atoms=(1, 300))
    rng = np.random.default_rng(number)
    crystal = by_space_group({29: n_sites}, limits, rng, 20.0, [number])
    assert crystal is not None and crystal.info["space_group"] == number
    cell = crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers
    found = spglib.get_symmetry_dataset(cell, 1e-4)
    assert found is not None
    # As many operations are those of the group; more are those of one above it.
    assert found.number == number or len(found.rotations) > n_sites


@pytest.mark.parametrize("number", GROUPS + CUBIC)
def test_sites_obey_every_operation(number):
    """Each operation of spglib's table maps an orbit onto itself, of the right number of sites."""
    chosen, rng = group(number), np.random.default_rng(number)
    lattice = random_lattice(number, 1000.0, rng)
    metric = lattice @ lattice.T
    for rotation in chosen.rotations:  # which also leave the lattice as it is
        assert_allclose(rotation.T @ metric @ rotation, metric, atol=1e-8)
    for position in chosen.positions:
        orbit = chosen.orbit(position.site(rng))
        sites = np.unique(np.round(orbit % 1.0, 8) % 1.0, axis=0)
        assert len(sites) == position.multiplicity
        row = int(rng.integers(len(chosen.rotations)))
        moved = sites @ chosen.rotations[row].T + chosen.translations[row]
        apart = moved[:, None] - sites
        nearest = np.abs(apart - np.round(apart)).max(axis=-1).min(axis=1)
        assert_allclose(nearest, 0, atol=1e-6)


@pytest.mark.parametrize("number", GROUPS + CUBIC)
def test_spglib_finds_the_group_of_general_sites(number):
    """Two orbits without any symmetry of their own leave exactly the group."""
    chosen, rng = group(number), np.random.default_rng(number)
    sites = np.concatenate([chosen.orbit(chosen.positions[-1].site(rng)) for _ in range(2)])
    species = np.repeat([29, 47], len(chosen.rotations))
    found = spglib.get_symmetry_dataset((random_lattice(number, 1e4, rng), sites, species), 1e-5)
    assert found is not None
    assert (found.number, len(found.rotations)) == (number, len(chosen.rotations))


def test_groups_have_as_many_wyckoff_positions_as_the_tables():
    """International Tables for Crystallography A; all 230 together have 1731."""
    known = {1: 1, 2: 9, 5: 3, 12: 10, 14: 5, 47: 27, 62: 4, 139: 15, 146: 2, 166: 9, 194: 12}
    known |= {221: 14, 225: 12, 227: 9, 229: 12, 230: 8}
    assert {number: len(group(number).positions) for number in known} == known
    rutile = sorted((own.multiplicity, own.n_free) for own in group(136).positions)
    letters = [(2, 0)] * 2 + [(4, 0)] * 2 + [(4, 1)] * 3 + [(8, 1)] + [(8, 2)] * 2 + [(16, 3)]
    assert rutile == letters  # a to k


@given(seed=SEEDS, counts=st.tuples(st.integers(1, 12), st.integers(1, 12)))
@BY_LAW
def test_assignments_add_up_and_take_fixed_sites_once(seed, counts):
    rng = np.random.default_rng(seed)
    chosen = group(int(rng.choice(GROUPS)))
    composition = dict(zip((29, 47), counts, strict=True))
    occupied = assignment(chosen, composition, rng)
    if occupied is None:
        return
    for number, count in composition.items():
        sites = [own.position.multiplicity for own in occupied if own.number == number]
        assert sum(sites) == count * chosen.n_centers
    fixed = [id(own.position) for own in occupied if own.position.n_free == 0]
    assert len(fixed) == len(set(fixed))


@pytest.mark.parametrize("name, kind", EVERY)
def test_impossible_requests_end_soon(name, kind):
    limits = Limits.of(["Cu"], kind, scale=2.0)  # atoms farther apart than their volume allows
    began = time.monotonic()
    assert STARTS[name].function({29: 12}, limits, np.random.default_rng(0), 0.2) is None
    assert time.monotonic() - began < 2.0  # one try after the time has run out, and a slow machine


def test_starts_of_another_kind_give_none():
    rng = np.random.default_rng(0)
    assert by_space_group({29: 4}, Limits.of(["Cu"], "film"), rng) is None
    assert compact({29: 13}, Limits.of(["Cu"]), rng) is None
    assert tiled({29: 13}, Limits.of(["Cu"], "cluster"), rng) is None


def found(result):
    """What is not None."""
    assert result is not None
    return result


def test_prototypes_of_the_composition_are_likeliest():
    limits, rng = Limits.of(["Cu", "Ag"]), np.random.default_rng(0)
    names = [
        found(from_prototype({29: 6, 47: 2}, limits, rng)).info["prototype"] for _ in range(60)
    ]
    of_one_to_three = {"L12", "D03", "D019", "D022"}
    assert sum(name in of_one_to_three for name in names) > 30


def test_full_motifs_are_found():
    """An icosahedron has 12 atoms with 6 neighbors around one with 12."""
    limits, neighbors = Limits.of(["Cu"], "cluster"), []
    for seed in range(10):
        cluster = found(compact({29: 13}, limits, np.random.default_rng(seed)))
        near = cluster.get_all_distances() < 1.2 * limits.bonds()[0, 0]
        neighbors.append(sorted(near.sum(axis=1) - 1))
    assert [6] * 12 + [12] in neighbors


@given(seed=SEEDS, wanted=st.tuples(st.integers(1, 6), st.integers(1, 6)))
@BY_LAW
def test_compositions_are_repaired(seed, wanted):
    rng = np.random.default_rng(seed)
    for kind in ("crystal", "film", "cluster"):
        limits = Limits.of(["Cu", "Ag"], kind, scale=0.6)
        start = found(STARTS["random"].function({29: 4, 47: 4}, limits, rng, 20.0))
        before = start.copy()
        changed = repaired(start, np.array(wanted), limits, rng)
        assert start == before
        if changed is not None:
            assert limits.counts(changed.numbers).tolist() == list(wanted)


def test_nearest_counts_keep_formula_and_size():
    free = Limits.of(["Cu", "Ag"], n_atoms=(4, 8))
    assert found(nearest_counts(np.array([1, 1]), free)).tolist() == [2, 2]
    assert found(nearest_counts(np.array([9, 3]), free)).tolist() == [6, 2]
    assert found(nearest_counts(np.array([2, 3]), free)).tolist() == [2, 3]
    bound = Limits.of(["Cu", "Ag"], n_atoms=(4, 8), formula=(1, 2))
    assert found(nearest_counts(np.array([4, 4]), bound)).tolist() == [2, 4]
    assert nearest_counts(np.array([4, 4]), Limits.of(["Cu"], n_atoms=(4, 4), formula=(3,))) is None


@given(seed=SEEDS, tiles=st.integers(1, 12))
@BY_LAW
def test_supercells_have_their_number_of_tiles(seed, tiles):
    for kind in ("crystal", "film"):
        matrix = random_supercell(tiles, Limits.of(["Cu"], kind), np.random.default_rng(seed))
        assert round(np.linalg.det(matrix)) == tiles
        assert kind == "crystal" or (matrix[2] == [0, 0, 1]).all()
