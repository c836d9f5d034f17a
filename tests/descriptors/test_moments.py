"""Harmonics, moments of the neighborhood, and the invariants made of them."""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from stratal.descriptors import Moments, Structures, neighbor_list
from stratal.descriptors.harmonics import harmonics, slopes, triple_coupling
from stratal.descriptors.invariants import (
    differences,
    features_by_subset,
    first_mixing,
    subsets,
)
from stratal.descriptors.moments import RadialBasis
from stratal.errors import InputError

ALL = ((1, 1, 2), (2, 2, 2), (1, 2, 3), (2, 2, 4), (1, 3, 4))
MOMENTS = Moments(cutoff=4.5, n_radial=4, l_max=4, n_channels=3, triples=ALL, n_triple_channels=2)
ELEMENTS = (29, 46, 47)


def cluster(seed: int, n_atoms: int = 7) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms = atoms[rng.permutation(len(atoms))[:n_atoms]]
    atoms.pbc = False
    atoms.rattle(0.3, rng=rng)
    atoms.numbers[:] = rng.choice(ELEMENTS, n_atoms)
    return atoms


def features(atoms: Atoms, moments: Moments = MOMENTS, elements=ELEMENTS) -> np.ndarray:
    """``(n_atoms, n_features)`` in float64, with one fixed mixing."""
    return by_subset(atoms, [tuple(range(1, len(elements)))], moments, elements)[0]


def by_subset(atoms: Atoms, seen, moments: Moments = MOMENTS, elements=ELEMENTS) -> np.ndarray:
    """``(len(seen), n_atoms, n_features)`` with the first species always seen."""
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, elements)
        neighbors = neighbor_list(structures, moments.cutoff)
        rng = np.random.default_rng(7)
        mixing = [jnp.asarray(first_mixing(rng, moments, 1.0)) for _ in ELEMENTS]
        mixing = {s: mixing[place] for s, place in enumerate(np.searchsorted(ELEMENTS, elements))}
        found = moments.moments(
            neighbors.displacements(structures), neighbors.tile_species(structures), len(elements)
        )
        return np.asarray(features_by_subset(moments, found, mixing, 0, seen)).swapaxes(1, 2)


def test_harmonics_are_scipys():
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(50, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    polar, azimuth = np.arccos(unit[:, 2]), np.arctan2(unit[:, 1], unit[:, 0])
    own = iter(harmonics(*unit.T, 5))
    for degree in range(6):
        for m in range(-degree, degree + 1):
            theirs = sph_harm_y(degree, abs(m), polar, azimuth) * np.sqrt(4 * np.pi)
            theirs = theirs * (-1) ** m  # without the phase of Condon and Shortley
            real = theirs.imag if m < 0 else theirs.real
            assert_allclose(next(own), real * (np.sqrt(2) if m else 1), atol=1e-12)


def test_slopes_are_those_of_solid_harmonics():
    unit = np.array([0.36, -0.48, 0.8])
    table = slopes(4)
    lower = np.array(harmonics(*unit, 3))
    step = 1e-6
    for axis in range(3):
        shift = np.eye(3)[axis] * step
        ends = []
        for sign in (1, -1):
            moved = unit + sign * shift
            length = np.linalg.norm(moved)
            values = np.array(harmonics(*(moved / length), 4))
            ends.append(values * length ** np.repeat(np.arange(5), 2 * np.arange(5) + 1))
        assert_allclose(table[axis] @ lower, (ends[0] - ends[1]) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("degrees_of", ALL)
def test_triple_coupling_is_invariant(degrees_of):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(3, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    rotated = Rotation.random(random_state=2).apply(vectors)
    results = []
    for three in (vectors, rotated):
        parts = [
            np.array(harmonics(*vector, 4))[d * d : (d + 1) ** 2]
            for vector, d in zip(three, degrees_of, strict=True)
        ]
        results.append(np.einsum("pqr,p,q,r->", triple_coupling(*degrees_of), *parts))
    assert abs(results[0]) > 1e-3
    assert_allclose(results[1], results[0], rtol=1e-10)


def test_a_cutoff_is_smooth_to_second_order():
    basis = RadialBasis(5.0, 6)
    with jax.enable_x64(True):
        at = jnp.array([5.0 - 1e-5])
        for n in range(6):

            def value(r, n=n):
                return basis(r)[n].sum()

            slope = jax.grad(value)
            curvature = jax.grad(lambda r, s=slope: s(r).sum())
            assert abs(float(value(at))) < 1e-12
            assert abs(float(slope(at)[0])) < 1e-8
            assert abs(float(curvature(at)[0])) < 1e-4
            assert float(value(jnp.array([5.0]))) == 0.0


def test_radial_functions_are_bounded_however_close_two_atoms_come():
    values, slopes = RadialBasis(5.0, 8).with_slopes(jnp.linspace(0.0, 5.0, 1001))
    assert np.abs(values).max() <= 1.0 + 1e-6
    # Chebyshev's T_k changes by k² at the ends, where s itself is flat.
    assert np.abs(slopes).max() < 30.0
    assert_allclose(np.array(values)[:, 0], 1.0, rtol=1e-5)


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_features_do_not_change_under_rotation_inversion_and_permutation(seed):
    atoms = cluster(seed)
    expected = features(atoms)
    turned = atoms.copy()
    rotation = Rotation.random(random_state=seed).as_matrix()
    turned.positions = atoms.positions @ rotation.T * (-1) ** seed + 3.0
    assert_allclose(features(turned), expected, rtol=1e-9, atol=1e-11)
    order = np.random.default_rng(seed).permutation(len(atoms))
    assert_allclose(features(atoms[order]), expected[order], rtol=1e-9, atol=1e-11)


def test_what_a_set_of_species_adds_vanishes_without_one_of_them():
    atoms = cluster(3)
    atoms.numbers[:] = [29, 46] * 3 + [29]
    seen = subsets([1, 2])
    added = differences(list(by_subset(atoms, seen)))
    for species, own in zip(seen, added, strict=True):
        if 2 in species:  # Ag
            assert not np.any(own), species
        else:
            assert np.abs(own).max() > 0, species
    assert_allclose(sum(added), features(atoms), rtol=1e-9, atol=1e-12)


def test_species_that_are_not_seen_do_not_count():
    atoms = cluster(3)
    without = atoms[[z != 46 for z in atoms.numbers]]
    kept = [i for i, z in enumerate(atoms.numbers) if z != 46]
    assert_allclose(
        by_subset(atoms, [(2,)])[0][kept], by_subset(without, [(2,)])[0], rtol=1e-10, atol=1e-12
    )


def test_a_supercell_has_the_same_features():
    cell = bulk("Cu", cubic=True)
    cell.numbers[0] = 47
    cell.rattle(0.1, seed=1)
    one, many = features(cell), features(cell * (2, 1, 1))
    assert_allclose(many[: len(one)], one, rtol=1e-10, atol=1e-12)


def test_pair_contractions_are_sums_over_pairs_of_neighbors():
    # The addition theorem: the sum over m of Y_lm(u) Y_lm(v) is (2 l + 1) P_l(u . v).
    atoms = cluster(5, 5)
    atoms.numbers[:] = 29
    narrow = replace(MOMENTS, triples=())
    values = features(atoms, narrow, (29,))
    mixing = first_mixing(np.random.default_rng(7), narrow, 1.0)
    vectors = atoms.positions[1:] - atoms.positions[0]
    lengths = np.linalg.norm(vectors, axis=1)
    near = lengths < narrow.cutoff
    vectors, lengths = vectors[near], lengths[near]
    with jax.enable_x64(True):
        radial = np.array(narrow.basis(jnp.asarray(lengths)))  # (n_radial, n)
    cosine = np.clip((vectors / lengths[:, None]) @ (vectors / lengths[:, None]).T, -1, 1)
    for degree, channel in product(range(1, 5), range(narrow.n_channels)):
        weights = mixing[degree, channel] @ radial
        legendre = np.polynomial.legendre.Legendre.basis(degree)(cosine)
        expected = weights @ legendre @ weights
        found = values[0, degree * narrow.n_channels + channel]
        assert_allclose(found, expected, rtol=1e-10)


def test_first_radial_functions_are_as_smooth_as_asked():
    wide = replace(MOMENTS, n_radial=6, n_channels=6)
    slopes = []
    with jax.enable_x64(True):
        distances = jnp.linspace(2.0, 5.0, 61)
        values, by_distance = (np.array(x) for x in wide.basis.with_slopes(distances))
    for smoothness in (0.0, 1.0, 2.0):
        mixing = first_mixing(np.random.default_rng(3), wide, smoothness)
        assert_allclose(mixing[0], np.diag((1.0 + np.arange(6)) ** -smoothness))
        mixed = mixing[1:].reshape(-1, 6)
        # Rows are of length 1 on average, whatever the smoothness.
        assert_allclose((mixed**2).sum(axis=1).mean(), 1.0, atol=0.5)
        steep = np.linalg.norm(mixed @ by_distance, axis=1) / np.linalg.norm(mixed @ values, axis=1)
        slopes.append(np.median(steep))
    assert slopes[0] > 1.2 * slopes[1] and slopes[1] > 1.1 * slopes[2]


@pytest.mark.parametrize("dtype, rtol", [(jnp.float64, 1e-7), (jnp.float32, 2e-2)])
def test_reverse_pass_is_the_derivative(dtype, rtol):
    # Central differences of step 3e-5 (1e-2 in float32) carry about these relative errors.
    with jax.enable_x64(dtype == jnp.float64):
        structures = Structures.from_atoms(cluster(11), ELEMENTS)
        neighbors = neighbor_list(structures, MOMENTS.cutoff)
        tiles = neighbors.tile_species(structures)
        vectors = jnp.asarray(neighbors.displacements(structures), dtype)

        def energy(d):
            return jnp.sin(MOMENTS.moments(d, tiles, 3)).sum()

        gradient = jax.grad(energy)(vectors)
        direction = jnp.where(
            neighbors.mask[..., None], jax.random.normal(jax.random.key(0), vectors.shape), 0.0
        ).astype(dtype)
        step = 3e-5 if dtype == jnp.float64 else 1e-2
        ends = [energy(vectors + sign * step * direction) for sign in (1, -1)]
        assert_allclose((gradient * direction).sum(), (ends[0] - ends[1]) / (2 * step), rtol=rtol)

        def of_slopes(d):
            return (jax.grad(energy)(d) ** 2).sum()

        if dtype == jnp.float64:  # twice in reverse, as training and phonons need it
            second = (jax.grad(of_slopes)(vectors) * direction).sum()
            ends = [of_slopes(vectors + sign * step * direction) for sign in (1, -1)]
            assert_allclose(second, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize(
    "settings_, words",
    [
        ({"cutoff": 1.0}, "0 < inner < cutoff"),
        ({"n_channels": 0}, "whole numbers from 1"),
        ({"triples": ((1, 1, 3),)}, "no invariant"),
        ({"triples": ((1, 1, 1),)}, "no invariant"),
        ({"triples": ((4, 4, 5),)}, "l_max = 4"),
        ({"n_triple_channels": 9}, "give 1 to n_channels"),
    ],
)
def test_settings_that_make_no_descriptor_are_refused(settings_, words):
    with pytest.raises(InputError, match=words):
        Moments(**settings_)


def test_a_definition_survives_its_tree():
    assert Moments.from_tree(MOMENTS.to_tree()) == MOMENTS
