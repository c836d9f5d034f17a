"""Functions of which each element has its own list: against plain sums, and by laws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stratal.descriptors import (
    AngularFunction,
    CutoffFunction,
    ElementSymmetryFunctions,
    PairFunction,
    RadialFunction,
    Structures,
    SymmetryFunctions,
    TripleFunction,
    neighbor_list,
)
from stratal.descriptors.descriptor import n_features
from stratal.errors import InputError

ELEMENTS = (8, 16, 29)
FUNCTIONS = (
    (8, (PairFunction(16, 0.5, 0.0, 4.5), TripleFunction(8, 29, 0.02, 2.0, 1.0, 0.0, 4.0, False))),
    (
        16,
        (
            PairFunction(8, 0.1, 1.5, 4.5),
            PairFunction(29, 1.0, 2.0, 3.5),
            PairFunction(29, 0.0, 0.0, 4.5),
            TripleFunction(16, 16, 0.2, 1.0, -1.0, 0.0, 4.5, False),
            TripleFunction(16, 29, 0.05, 6.0, 1.0, 0.5, 4.5, False),
            TripleFunction(16, 29, 0.05, 6.0, 1.0, 0.5, 4.5, True),
            TripleFunction(29, 29, 0.02, 2.5, -1.0, 0.0, 4.0, True),
        ),
    ),
    (29, (PairFunction(29, 0.3, 0.0, 4.5), TripleFunction(8, 16, 0.01, 1.0, 1.0, 0.0, 4.5, True))),
)
DEFINITION = ElementSymmetryFunctions(FUNCTIONS, CutoffFunction(6, 0.0))


def cutoff_by_the_book(kind, alpha, r, rc):
    """From their definitions, one r at a time."""
    if r >= rc:
        return 0.0
    if kind == 2:
        return np.tanh(1 - r / rc) ** 3
    if kind == 3:
        return (np.tanh(1 - r / rc) / np.tanh(1)) ** 3
    x = (r - alpha * rc) / (rc - alpha * rc)
    if x <= 0:
        return 1.0
    return {
        0: 1.0,
        1: (np.cos(np.pi * x) + 1) / 2,
        4: np.exp(1 - 1 / (1 - x**2)),
        5: (2 * x - 3) * x**2 + 1,
        6: ((15 - 6 * x) * x - 10) * x**3 + 1,
        7: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
        8: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
    }[kind]


def random_atoms(seed, n_atoms=6):
    rng = np.random.default_rng(seed)
    cell = 4.8 * np.eye(3) + rng.uniform(-0.8, 0.8, (3, 3))
    grid = np.array([[i % 2, i // 2 % 2, i // 4] for i in range(8)]) / 2
    scaled = rng.uniform(size=3) + grid[:n_atoms] + rng.uniform(-0.06, 0.06, (n_atoms, 3))
    return Atoms(rng.choice(ELEMENTS, n_atoms), cell=cell, pbc=True, scaled_positions=scaled)


def arranged(definition, atoms, elements=ELEMENTS):
    structures = Structures.from_atoms(atoms, elements)
    neighbors = neighbor_list(structures, definition.cutoff, n_neighbors=112)
    tiles = neighbors.tile_species(structures)
    return structures, neighbors, lambda v: definition(v, tiles, structures.species, len(elements))


@partial(jax.jit, static_argnums=(0, 1))
def compiled(definition, n_species, vectors, tiles, species):
    return definition(vectors, tiles, species, n_species)


def describe(definition, atoms, elements=ELEMENTS):
    with jax.enable_x64(True):
        structures, neighbors, _ = arranged(definition, atoms, elements)
        vectors, tiles = neighbors.displacements(structures), neighbors.tile_species(structures)
        species = jnp.asarray(structures.species)
        return np.asarray(compiled(definition, len(elements), vectors, tiles, species))


def by_loops(definition, atoms):
    from ase.neighborlist import neighbor_list as of_ase

    receivers, senders, vectors = of_ase("ijD", atoms, definition.cutoff)
    kind, alpha = definition.cutoff_function
    blocks = {block.neighbors: block for block in definition.blocks(ELEMENTS)}
    result = np.zeros((len(atoms), n_features(definition, ELEMENTS)))

    def weight(f, r):
        return np.exp(-f.eta * (r - f.r_s) ** 2) * cutoff_by_the_book(kind, alpha, r, f.cutoff)

    for i, center in enumerate(atoms.numbers):
        own = np.flatnonzero(receivers == i)
        used = {}
        for f in dict(definition.functions)[center]:
            n = used.setdefault(f.block, 0)
            used[f.block] += 1
            total = 0.0
            for a, j in enumerate(own):
                z, r = atoms.numbers[senders[j]], np.linalg.norm(vectors[j])
                if isinstance(f, PairFunction):
                    total += weight(f, r) * (z == f.neighbor)
                    continue
                for k in own[:a]:
                    if tuple(sorted((z, atoms.numbers[senders[k]]))) != f.block:
                        continue
                    s, t = np.linalg.norm(vectors[k]), np.linalg.norm(vectors[j] - vectors[k])
                    cosine = vectors[j] @ vectors[k] / (r * s)
                    base = max(1 + f.lambda_ * cosine, 0.0)
                    term = 2 ** (1 - f.zeta) * base**f.zeta * weight(f, r) * weight(f, s)
                    total += term * (1.0 if f.wide else weight(f, t))
            result[i, blocks[f.block].start + n] = total
    return result


@pytest.mark.parametrize("seed", range(2))
def test_equals_plain_sums(seed):
    atoms = random_atoms(seed)
    # Sums of some hundred terms, Gaussians by repeated squaring.
    assert_allclose(
        describe(DEFINITION, atoms), by_loops(DEFINITION, atoms), rtol=2e-12, atol=1e-13
    )


@pytest.mark.parametrize("kind", range(9))
def test_equals_plain_sums_for_every_cutoff_function(kind):
    few = tuple((z, functions[:2] if z == 8 else ()) for z, functions in FUNCTIONS)
    definition = ElementSymmetryFunctions(few, CutoffFunction(kind, 0.4))
    atoms = random_atoms(kind)
    atoms.numbers[:3] = 8
    # 1e-12: sums of some hundred terms, Gaussians by repeated squaring.
    assert_allclose(
        describe(definition, atoms), by_loops(definition, atoms), rtol=2e-12, atol=1e-13
    )


@pytest.mark.parametrize("kind", range(9))
def test_cutoff_functions_have_finite_slopes_at_their_ends(kind):
    function = CutoffFunction(kind, 0.3 if kind not in (2, 3) else 0.0)
    with jax.enable_x64(True):
        for r in (1e-3, 0.3 * 5, 5 * (1 - 1e-15), 5.0, 5.1, 1e3):
            value, slope = jax.value_and_grad(lambda x: function(x, 5.0))(r)
            assert np.isfinite([value, slope]).all()
            assert r < 5.0 or (value, slope) == (0.0, 0.0)
            assert value == pytest.approx(cutoff_by_the_book(*function, r, 5.0), abs=1e-15)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_invariant_under_rotation_translation_and_permutation(seed):
    atoms, rng = random_atoms(seed), np.random.default_rng(seed)
    turn, order = Rotation.random(rng=seed).as_matrix(), rng.permutation(len(atoms))
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ turn.T)
    moved.positions = atoms.positions @ turn.T + rng.uniform(-9, 9, 3)
    # 1e-10: rounding of turned vectors times the steepness of exponent 6.
    expected = describe(DEFINITION, atoms)[order]
    assert_allclose(describe(DEFINITION, moved[order]), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [4, 6])
def test_first_and_second_derivatives_agree_with_finite_differences(kind):
    few = tuple((z, functions if z == 16 else ()) for z, functions in FUNCTIONS)
    definition = ElementSymmetryFunctions(few, CutoffFunction(kind, 0.0))
    atoms, rng = random_atoms(kind), np.random.default_rng(kind)
    with jax.enable_x64(True):
        structures, neighbors, features = arranged(definition, atoms)
        vectors = neighbors.displacements(structures)
        weights = rng.normal(size=(len(atoms), n_features(definition, ELEMENTS)))
        direction = rng.normal(size=vectors.shape) * np.asarray(neighbors.mask)[..., None]
        energy = jax.jit(lambda v: (features(v) * weights).sum())
        along = jax.jit(lambda v: (jax.grad(energy)(v) * direction).sum())
        twice = jax.jit(lambda v: (jax.grad(along)(v) * direction).sum())
        step = 1e-4
        for function, slope in ((energy, along), (along, twice)):
            far = [float(function(vectors + k * step * direction)) for k in (-2, -1, 1, 2)]
            numeric = (far[0] - 8 * far[1] + 8 * far[2] - far[3]) / (12 * step)
            assert_allclose(float(slope(vectors)), numeric, rtol=1e-6)  # fourth order in the step


def test_padding_has_no_gradient():
    """Neither places without atoms nor an atom alone."""
    atoms = Atoms([16, 29], [(0, 0, 0), (0, 0, 30.0)])
    with jax.enable_x64(True):
        structures, neighbors, features = arranged(DEFINITION, atoms)
        vectors = neighbors.displacements(structures)
        gradient = jax.jit(jax.grad(lambda v: features(v).sum()))(vectors)
    assert (describe(DEFINITION, atoms) == 0.0).all()
    assert (np.asarray(gradient) == 0.0).all()


def test_blocks_vanish_without_their_species():
    atoms = random_atoms(1)
    atoms.numbers[:] = [16, 16, 29, 29, 16, 16]
    found = describe(DEFINITION, atoms)
    for block in DEFINITION.blocks(ELEMENTS):
        assert 8 not in block.neighbors or (found[:, block.features] == 0.0).all()


def test_fewer_elements_see_the_same():
    atoms = random_atoms(2)
    atoms.numbers[:] = [16, 29, 16, 29, 16, 29]
    fewer = DEFINITION.of_elements((16, 29))
    whole, part = describe(DEFINITION, atoms), describe(fewer, atoms, (16, 29))
    places = {block.neighbors: block.features for block in DEFINITION.blocks(ELEMENTS)}
    for block in fewer.blocks((16, 29)):
        expected = whole[:, places[block.neighbors]]
        assert_allclose(part[:, block.features], expected, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match="of_elements"):
        describe(DEFINITION, atoms, (16, 29))


def test_atoms_of_many_chunks_stay_in_their_places():
    atoms = random_atoms(3) * (3, 2, 2)  # 72 atoms of three species in chunks of 16
    few = describe(DEFINITION, random_atoms(3))
    assert_allclose(describe(DEFINITION, atoms), np.tile(few, (12, 1)), rtol=1e-11, atol=1e-13)


def test_single_precision_agrees_with_double():
    atoms = random_atoms(2)
    structures, neighbors, features = arranged(DEFINITION, atoms)
    single = jax.jit(features)(neighbors.displacements(structures.astype(np.float32)))
    assert single.dtype == jnp.float32
    assert_allclose(single, describe(DEFINITION, atoms), rtol=2e-4, atol=2e-5)


def test_definition_survives_a_file():
    assert ElementSymmetryFunctions.from_tree(DEFINITION.to_tree()) == DEFINITION


@pytest.mark.parametrize(
    "functions",
    [
        (),
        ((29, (PairFunction(8, 1.0, 0.0, 4.0),)),),
        ((8, (PairFunction(8, 1.0, 0.0, 0.0),)),),
        ((8, (PairFunction(8, np.nan, 0.0, 4.0),)),),
        ((8, (TripleFunction(8, 8, 1.0, 1.5, 1.0, 0.0, 4.0, True),)),),
        ((8, (TripleFunction(8, 8, 1.0, 1.0, 0.5, 0.0, 4.0, True),)),),
        ((29, (PairFunction(8, 1.0, 0.0, 4.0),)), (8, (PairFunction(8, 1.0, 0.0, 4.0),))),
    ],
)
def test_senseless_definitions_are_refused(functions):
    with pytest.raises(InputError, match="give"):
        ElementSymmetryFunctions(functions)


def test_how_many_atoms_are_side_by_side_does_not_matter(monkeypatch):
    functions = (TripleFunction(16, 16, 0.2, 1.0, -1.0, 0.0, 4.5, False),)
    by_element = ElementSymmetryFunctions(((16, functions), (29, ())), CutoffFunction(6, 0.0))
    uniform = SymmetryFunctions(
        4.5, (RadialFunction(0.1, 0.0),), (AngularFunction(0.02, 2.0, -1.0),)
    )
    atoms = random_atoms(3, 8)
    atoms.numbers[atoms.numbers == 8] = 16
    for definition in (by_element, uniform):
        with jax.enable_x64(True):
            structures, neighbors, features = arranged(definition, atoms, (16, 29))
            vectors = neighbors.displacements(structures)

            def described(lanes):  # compiled anew each time
                monkeypatch.setattr("stratal.descriptors.lanes.LANES", lanes)
                monkeypatch.setattr("stratal.descriptors.lanes.VECTOR", 1)
                slope = jax.jit(jax.grad(lambda v: (features(v) ** 2).sum()))  # noqa: B023
                return jax.jit(lambda v: features(v))(vectors), slope(vectors)  # noqa: B023

            values, slopes = described(16)
            for lanes in (3, 4):
                again, slopes_again = described(lanes)
                assert_allclose(again, values, rtol=1e-12, atol=1e-14)
                assert_allclose(slopes_again, slopes, rtol=1e-10, atol=1e-12)
