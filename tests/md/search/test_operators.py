"""Children obey the limits, parents stay, and each operator keeps what it says it keeps."""

from functools import lru_cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.cluster import Icosahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.md.search.limits import Limits, volume_of
from stratal.md.search.operators import OPERATORS
from stratal.md.search.operators.bond_valence import valences
from stratal.md.search.operators.separated import separated
from stratal.md.search.operators.soft_mode import hessian, soft_modes
from stratal.md.search.starts import STARTS

SEEDS = st.integers(0, 2**31 - 1)
BY_LAW = settings(deadline=None, database=None, derandomize=True, max_examples=12)
EVERY = [(name, kind) for name, operator in OPERATORS.items() for kind in operator.kinds]


@lru_cache
def parents_of(kind: str) -> tuple[Atoms, ...]:
    """Random and packed candidates of different sizes, with as many Cu as Ag."""
    limits, rng = limits_of(kind), np.random.default_rng(0)
    found = [
        start.function({29: n, 47: n}, limits, rng, 20.0)
        for name, start in STARTS.items()
        if kind in start.kinds and name != "space_group"
        for n in (2, 4, 7)
    ]
    return tuple(parent for parent in found if parent is not None)


def limits_of(kind: str, formula: tuple[int, ...] | None = None) -> Limits:
    return Limits.of(["Cu", "Ag"], kind, n_atoms=(2, 20), formula=formula)


def varied(name: str, kind: str, seed: int, formula=None) -> tuple[list[Atoms], Atoms | None]:
    """Parents and their child."""
    rng = np.random.default_rng(seed)
    family = parents_of(kind)
    chosen = rng.choice(len(family), OPERATORS[name].n_parents, replace=False)
    parents = [family[index] for index in chosen]
    return parents, OPERATORS[name].function(parents, limits_of(kind, formula), rng)


@pytest.mark.parametrize("name, kind", EVERY)
@given(seed=SEEDS)
@BY_LAW
def test_children_obey_limits_and_parents_stay(name, kind, seed):
    before = [
        (own.numbers.tobytes(), own.positions.tobytes(), own.cell.array.tobytes())
        for own in parents_of(kind)
    ]
    limits = limits_of(kind)
    parents, child = varied(name, kind, seed)
    after = [
        (own.numbers.tobytes(), own.positions.tobytes(), own.cell.array.tobytes())
        for own in parents_of(kind)
    ]
    assert before == after
    assert varied(name, kind, seed)[1] == child  # bit for bit, by the same random numbers
    if child is None:
        return
    assert limits.reason(child) is None
    assert all(child != parent for parent in parents)
    if not OPERATORS[name].changes_composition:
        assert (limits.counts(child.numbers) == limits.counts(parents[0].numbers)).all()


@pytest.mark.parametrize("name, kind", EVERY)
@given(seed=SEEDS)
@BY_LAW
def test_formulas_hold(name, kind, seed):
    _, child = varied(name, kind, seed, formula=(1, 1))
    if child is not None:
        copper, silver = limits_of(kind).counts(child.numbers)
        assert copper == silver


@pytest.mark.parametrize("name, kind", EVERY)
def test_most_tries_give_a_child(name, kind):
    children = [varied(name, kind, seed)[1] for seed in range(10)]
    assert sum(child is not None for child in children) >= 8


@pytest.mark.parametrize("name", ["permutation", "core_shell_swap"])
@given(seed=SEEDS)
@BY_LAW
def test_exchanges_keep_positions(name, seed):
    for kind in OPERATORS[name].kinds:
        (parent,), child = varied(name, kind, seed)
        if child is not None:
            assert_allclose(child.positions, parent.positions, atol=1e-9)
            assert_allclose(child.cell.array, parent.cell.array, atol=1e-9)
            assert (child.numbers != parent.numbers).any()


@given(seed=SEEDS)
@BY_LAW
def test_strains_keep_fractional_coordinates_and_volume(seed):
    for kind in ("crystal", "film"):
        (parent,), child = varied("strain", kind, seed)
        if child is None:
            continue
        n_axes = 2 if kind == "film" else 3
        before, after = (own.get_scaled_positions()[:, :n_axes] for own in (parent, child))
        apart = before - after
        assert_allclose(apart - np.round(apart), 0, atol=1e-9)
        limits = limits_of(kind)
        assert_allclose(volume_of(child, limits), volume_of(parent, limits), rtol=1e-9)
        metrics = [own.cell.array @ own.cell.array.T for own in (parent, child)]
        assert np.abs(metrics[0] - metrics[1]).max() > 1e-3


@given(seed=SEEDS)
@BY_LAW
def test_a_splice_of_a_crystal_with_itself_has_its_cell_and_volume(seed):
    rng = np.random.default_rng(seed)
    parent = parents_of("crystal")[int(rng.integers(len(parents_of("crystal"))))]
    child = OPERATORS["cut_and_splice"].function([parent, parent], limits_of("crystal"), rng)
    if child is not None and len(child) == len(parent):
        limits = limits_of("crystal")
        by_atom = [
            volume_of(own, limits) / limits.target_volume(own.numbers) for own in (parent, child)
        ]
        assert_allclose(*by_atom)


@given(seed=SEEDS)
@BY_LAW
def test_a_spliced_cluster_is_made_of_its_parents(seed):
    """All distances within a part are those of the parent: atoms are turned, never distorted."""
    parents, child = varied("cluster_cut_and_splice", "cluster", seed)
    if child is None:
        return
    known = np.concatenate([own.get_all_distances().ravel() for own in parents])
    found = child.get_all_distances()[np.triu_indices(len(child), 1)]
    shared = np.abs(found[:, None] - known).min(axis=1) < 1e-8
    n = len(child)
    assert shared.sum() >= 2 * (n // 2) * (n // 2 - 1) // 2 - n  # two halves, or more unequal parts


@given(seed=SEEDS)
@BY_LAW
def test_twists_keep_distances_within_both_parts(seed):
    (parent,), child = varied("plane_rotation", "cluster", seed)
    if child is None:
        return
    before = np.sort(parent.get_all_distances()[np.triu_indices(len(parent), 1)])
    found = child.get_all_distances()[np.triu_indices(len(child), 1)]
    kept = np.abs(found[:, None] - before).min(axis=1) < 1e-8
    n = len(parent)
    assert kept.sum() >= 2 * (n // 2) * (n // 2 - 1) // 2


def test_reflected_and_inverted_clusters_are_symmetric():
    """The tensor of inertia cannot tell, but distances come in pairs."""
    limits = Limits.of(["Cu"], "cluster")
    parent = STARTS["random"].function({29: 12}, limits, np.random.default_rng(1), 20.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        child = OPERATORS["reflection_inversion"].function([parent], limits, rng)
        assert child is not None
        from_center = np.sort(
            np.linalg.norm(child.positions - child.positions.mean(axis=0), axis=1)
        )
        assert_allclose(from_center[::2], from_center[1::2], atol=1e-9)


def test_the_loose_atom_is_moved():
    """An adatom on an icosahedron is the most weakly bound, and goes elsewhere."""
    limits = Limits.of(["Cu"], "cluster", n_atoms=(2, 20))
    cluster = Icosahedron("Cu", 2)
    top = cluster.positions[np.argmax(cluster.positions[:, 2])]
    cluster.extend(Atoms("Cu", [top * (1 + 2.5 / np.linalg.norm(top))]))
    cluster = Atoms(cluster.numbers, cluster.positions)
    assert np.argmin(valences(cluster, limits)) == 13
    child = OPERATORS["surface_move"].function([cluster], limits, np.random.default_rng(0))
    assert child is not None
    apart = child.get_all_distances()[13]
    assert (apart < 1.25 * limits.bonds()[0, 0]).sum() - 1 >= 2  # a hollow or a bridge, not a top


@given(seed=SEEDS)
@BY_LAW
def test_sizes_change_by_one(seed):
    (parent,), child = varied("neighboring_size", "cluster", seed)
    if child is not None:
        assert abs(len(child) - len(parent)) == 1


def test_a_seed_of_another_size_is_brought_into_range():
    limits = Limits.of(["Cu"], "cluster", n_atoms=(15, 15))
    seed = Icosahedron("Cu", 2)
    child = OPERATORS["neighboring_size"].function([seed], limits, np.random.default_rng(0))
    assert child is not None and len(child) == 15


def test_facets_leave_nothing_beyond_the_plane():
    limits = Limits.of(["Cu"], "cluster", n_atoms=(13, 13))
    parent = Icosahedron("Cu", 2)
    child = OPERATORS["faceting"].function([parent], limits, np.random.default_rng(0))
    assert child is not None and len(child) == 13
    before, after = (np.sort(own.get_all_distances(), axis=None) for own in (parent, child))
    assert np.abs(before - after).max() > 0.1


@pytest.mark.parametrize("kind, n_rigid", [("crystal", 3), ("film", 3), ("cluster", 6)])
def test_modes_are_those_of_a_hessian_that_rests(kind, n_rigid):
    """Symmetric, without force against a shift, no negative eigenvalue; the softest come first."""
    limits = limits_of(kind)
    parent = parents_of(kind)[-1]
    matrix = hessian(parent, limits)
    assert_allclose(matrix, matrix.T, atol=1e-12)
    assert_allclose(matrix @ np.tile([1.0, 2.0, 3.0], len(parent)), 0, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    modes = soft_modes(parent, limits).reshape(-1, 3 * len(parent))
    assert len(modes) == 3 * len(parent) - n_rigid
    masses = np.repeat(parent.get_masses(), 3)
    squares = np.einsum("mi,ij,mj->m", modes, matrix, modes)
    assert_allclose(np.einsum("mi,i,mi->m", modes, masses, modes), 1.0)
    assert (np.diff(squares) > -1e-9).all()


@given(seed=SEEDS)
@BY_LAW
def test_atoms_too_close_are_pushed_apart(seed):
    limits = Limits.of(["Cu"])
    rng = np.random.default_rng(seed)
    crystal = bulk("Cu", cubic=True) * (2, 1, 1)
    assert separated(crystal, limits) == crystal  # nothing to do
    crystal.positions[0] = crystal.positions[1] + 0.3 * rng.normal(size=3)
    assert limits.allows(separated(crystal, limits))


def test_operators_that_cannot_apply_give_none():
    rng = np.random.default_rng(0)
    pure = Limits.of(["Cu"], n_atoms=(1, 1))
    for name in ("permutation", "substitution", "soft_mode", "resize_cell", "slide"):
        assert OPERATORS[name].function([bulk("Cu")], pure, rng) is None
    cluster = Limits.of(["Cu"], "cluster")
    pair = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.3]])
    for name in ("plane_rotation", "reflection_inversion", "faceting", "surface_move"):
        assert OPERATORS[name].function([pair], cluster, rng) is None
