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
    RadialFunction,
    Structures,
    SymmetryFunctions,
    neighbor_list,
)
from stratal.descriptors.cutoffs import cosine_cutoff
from stratal.descriptors.descriptor import n_features
from stratal.errors import InputError

ELEMENTS = (29, 46, 47)
DEFINITION = SymmetryFunctions(
    cutoff=4.5,
    radial=(RadialFunction(0.01, 0.0), RadialFunction(0.5, 1.5)),
    angular=(
        AngularFunction(0.001, 1.0, -1.0),
        AngularFunction(0.02, 4.0, 1.0),
        AngularFunction(0.05, 2.5, 1.0),  # not a whole number
    ),
)


def random_atoms(seed, n_atoms=5):
    rng = np.random.default_rng(seed)
    cell = 4.6 * np.eye(3) + rng.uniform(-0.8, 0.8, (3, 3))
    scaled = (rng.uniform(size=3) + np.array([[i % 2, i // 2 % 2, i // 4] for i in range(8)]) / 2)[
        :n_atoms
    ] + rng.uniform(-0.06, 0.06, (n_atoms, 3))
    return Atoms(rng.choice(ELEMENTS, n_atoms), cell=cell, pbc=True, scaled_positions=scaled)


@jax.jit
def features(structures, neighbors):
    vectors = neighbors.displacements(structures)
    return DEFINITION(
        vectors, neighbors.tile_species(structures), structures.species, len(ELEMENTS)
    )


def describe(atoms, n_neighbors=80):
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, ELEMENTS)
        neighbors = neighbor_list(structures, DEFINITION.cutoff, n_neighbors=n_neighbors)
        return np.asarray(features(structures, neighbors))


def by_loops(atoms):
    """The sums of Behler 2011, eqs. 5 and 8, pair by pair: an independent reading."""
    from ase.neighborlist import neighbor_list as of_ase

    receivers, senders, vectors = of_ase("ijD", atoms, DEFINITION.cutoff)

    def fc(r):
        return (np.cos(np.pi * r / DEFINITION.cutoff) + 1) / 2 * (r < DEFINITION.cutoff)

    index = {block.neighbors: block for block in DEFINITION.blocks(ELEMENTS)}
    result = np.zeros((len(atoms), n_features(DEFINITION, ELEMENTS)))
    for i in range(len(atoms)):
        own = np.flatnonzero(receivers == i)
        for j in own:
            r = np.linalg.norm(vectors[j])
            block = index[(atoms.numbers[senders[j]],)]
            for n, (eta, r_s) in enumerate(DEFINITION.radial):
                result[i, block.start + n] += np.exp(-eta * (r - r_s) ** 2) * fc(r)
            for k in own:
                if j == k:
                    continue
                s, t = np.linalg.norm(vectors[k]), np.linalg.norm(vectors[j] - vectors[k])
                pair = tuple(sorted(atoms.numbers[senders[[j, k]]].tolist()))
                cosine = vectors[j] @ vectors[k] / (r * s)
                for n, (eta, zeta, sign) in enumerate(DEFINITION.angular):
                    result[i, index[pair].start + n] += (
                        2 ** (1 - zeta)
                        * max(1 + sign * cosine, 0.0) ** zeta
                        * np.exp(-eta * (r**2 + s**2 + t**2))
                        * fc(r) * fc(s) * fc(t)
                    )  # fmt: skip
    return result


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_sums_of_the_paper_pair_by_pair(seed):
    atoms = random_atoms(seed)
    assert_allclose(describe(atoms), by_loops(atoms), rtol=1e-11, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_invariant_under_rotation_translation_and_permutation(seed):
    atoms, rng = random_atoms(seed), np.random.default_rng(seed)
    turn, order = Rotation.random(rng=seed).as_matrix(), rng.permutation(len(atoms))
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ turn.T)
    moved.positions = atoms.positions @ turn.T + rng.uniform(-9, 9, 3)
    moved = moved[order]
    # 1e-10: rounding of turned vectors times the steepness of exponent 4.
    assert_allclose(describe(moved), describe(atoms)[order], rtol=1e-10, atol=1e-12)


def test_a_supercell_sees_the_same():
    atoms = random_atoms(3)
    assert_allclose(describe(atoms * (2, 1, 1))[: len(atoms)], describe(atoms), rtol=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_agree_with_finite_differences(seed):
    atoms, rng = random_atoms(seed), np.random.default_rng(seed)
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, ELEMENTS)
        neighbors = neighbor_list(structures, DEFINITION.cutoff, n_neighbors=80)
        tiles = neighbors.tile_species(structures)
        vectors = neighbors.displacements(structures)
        weights = jnp.asarray(rng.normal(size=(len(atoms), n_features(DEFINITION, ELEMENTS))))
        summed = jax.jit(
            lambda v: (DEFINITION(v, tiles, structures.species, len(ELEMENTS)) * weights).sum()
        )
        direction = rng.normal(size=vectors.shape) * np.asarray(neighbors.mask)[..., None]
        step = 1e-4
        values = [float(summed(vectors + k * step * direction)) for k in (-2, -1, 1, 2)]
        numeric = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        exact = float((jax.grad(summed)(vectors) * direction).sum())
    assert_allclose(exact, numeric, rtol=1e-8)  # fourth order: error about step⁴


def test_blocks_vanish_without_their_species():
    atoms = random_atoms(1)
    atoms.numbers[:] = [29, 29, 47, 47, 29]
    found = describe(atoms)
    for block in DEFINITION.blocks(ELEMENTS):
        values = found[:, block.features]
        if 46 in block.neighbors:
            assert (values == 0.0).all()  # exactly: the stratified rule rests on it
        else:
            assert (values != 0.0).any()


def test_an_atom_alone_sees_nothing_and_has_no_gradient():
    alone = Atoms("Cu")
    with jax.enable_x64(True):
        structures = Structures.from_atoms(alone, ELEMENTS)
        neighbors = neighbor_list(structures, DEFINITION.cutoff, n_neighbors=8)
        vectors = neighbors.displacements(structures)
        tiles = neighbors.tile_species(structures)
        gradient = jax.grad(lambda v: DEFINITION(v, tiles, structures.species, 3).sum())(vectors)
    assert (describe(alone, 8) == 0.0).all()
    assert (np.asarray(gradient) == 0.0).all()


def test_single_precision_agrees_with_double():
    atoms = random_atoms(2)
    structures = Structures.from_atoms(atoms, ELEMENTS).astype(np.float32)
    neighbors = neighbor_list(structures, DEFINITION.cutoff, n_neighbors=80)
    single = features(structures, neighbors)
    assert single.dtype == jnp.float32
    assert_allclose(single, describe(atoms), rtol=2e-4, atol=1e-4)


@settings(deadline=None)  # the first example compiles
@given(r=st.floats(0.0, 8.0), cutoff=st.floats(1.0, 8.0))
def test_cutoff_series_equals_the_cosine(r, cutoff):
    expected = (np.cos(np.pi * r / cutoff) + 1) / 2 if r < cutoff else 0.0
    with jax.enable_x64(True):
        assert_allclose(float(cosine_cutoff(jnp.asarray(r * r), cutoff)), expected, atol=2e-16)


def test_blocks_cover_all_features_once():
    blocks = DEFINITION.blocks(ELEMENTS)
    covered = np.concatenate([np.arange(100)[block.features] for block in blocks])
    assert (covered == np.arange(n_features(DEFINITION, ELEMENTS))).all()
    assert {block.stratum(29) for block in blocks} == {
        (29,), (29, 46), (29, 47), (29, 46, 47),
    }  # fmt: skip


def test_definition_survives_a_file():
    assert SymmetryFunctions.from_tree(DEFINITION.to_tree()) == DEFINITION


@pytest.mark.parametrize(
    "wrong", [{"cutoff": -1.0, "radial": DEFINITION.radial}, {"cutoff": 5.0, "radial": ()}]
)
def test_senseless_definitions_are_refused(wrong):
    with pytest.raises(InputError, match=r"give"):
        SymmetryFunctions(**wrong)
