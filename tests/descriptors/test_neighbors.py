"""Neighbor lists of host and device find the edges that ASE finds, and say when they cannot."""

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from hypothesis import assume, given, settings
from numpy.testing import assert_allclose, assert_array_equal
from tests.descriptors.tables import (
    ELEMENTS,
    LOOP,
    N_ATOMS,
    PERIODICITIES,
    REACH,
    SEEDS,
    ase_edges,
    check_table,
    random_system,
    table_edges,
)

from stratal.descriptors.cell_list import build, cell_list
from stratal.descriptors.cell_plan import CellListPlan, check_keys, plan_cell_list
from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.neighbors import TILE, check_entries
from stratal.descriptors.structures import Structures
from stratal.descriptors.table_rows import places_of
from stratal.errors import InputError


@settings(LOOP, max_examples=500)
@given(seed=SEEDS)
def test_host_list_finds_the_edges_of_ase_in_several_systems(seed):
    rng = np.random.default_rng(seed)
    frames = [random_system(rng) for _ in range(rng.integers(1, 4))]
    first = np.cumsum([0, *map(len, frames)])
    expected = [ase_edges(f, REACH, n) for f, n in zip(frames, first, strict=False)]
    structures = Structures.from_atoms(frames, ELEMENTS)
    skin = rng.uniform(0, 1)
    table = neighbor_list(structures, REACH - skin, skin)
    assert table_edges(table) == set().union(*expected)
    if seed % 100 == 0:  # new shapes compile for long
        check_table(table, structures)


@settings(LOOP, max_examples=500)
@given(seed=SEEDS)
def test_cell_list_finds_the_edges_of_ase_or_flags_overflow(seed):
    rng = np.random.default_rng(seed)
    small = rng.random() < 0.5
    atoms = random_system(rng, least_height=1.5 if small else 4.1)
    pbc = PERIODICITIES[rng.integers(4)]  # each compiles two programs
    atoms.pbc = pbc
    expected = ase_edges(atoms, REACH)
    structures = Structures.from_atoms(atoms, ELEMENTS).padded(N_ATOMS)
    needed = neighbor_list(structures, REACH).n_neighbors
    plan = CellListPlan(
        n_bins=(1, 1, 1) if small else (2, 3, 3),
        reach_bins=(3, 3, 3),
        pbc=pbc,
        capacity=N_ATOMS,
        n_neighbors=32,
        cutoff=REACH,
        skin=0.0,
    )
    with jax.enable_x64(True):
        table = build(plan, structures)
    assert table.overflow == (needed > plan.n_neighbors)
    assert table.overflow or table_edges(table) == expected


def systems():
    """Systems of the kinds that a cell list meets."""
    rng = np.random.default_rng(1)
    crystal = bulk("Cu", cubic=True) * (5, 5, 5)
    crystal.numbers[rng.permutation(len(crystal))[:200]] = 47
    slab = fcc111("Cu", (5, 5, 5), vacuum=8.0)
    cluster = bulk("Au", cubic=True) * (5, 4, 3)
    cluster.pbc = False
    sheared = bulk("Ag", cubic=True) * (4, 3, 5)
    sheared.set_cell(sheared.cell @ (np.eye(3) + np.triu(np.full((3, 3), 0.35), 1)), True)
    gas = Atoms("Cu40", rng.uniform(0, 80, (40, 3)), cell=[80, 80, 80], pbc=[True, False, True])
    tiny, water = bulk("Cu"), molecule("H2O")
    for atoms in (crystal, slab, cluster, sheared, gas):
        atoms.rattle(0.1, seed=2)
        atoms.positions += rng.integers(-2, 3, (len(atoms), 3)) * atoms.pbc @ atoms.cell.array
    named = dict(crystal=crystal, slab=slab, cluster=cluster, sheared=sheared, gas=gas)
    return {**named, "tiny": tiny, "water": water, "atom": Atoms("Cu")}


@pytest.mark.parametrize(
    "kind, x64", [*((kind, False) for kind in systems()), ("crystal", True), ("slab", True)]
)
def test_cell_list_equals_the_host_list(kind, x64):
    structures = Structures.from_atoms(systems()[kind])
    structures = structures.padded(structures.n_atoms + 3)
    with jax.enable_x64(x64):
        structures = structures if x64 else structures.astype(np.float32)
        table, plan = cell_list(structures, 5.0, 0.5)
        assert not table.overflow
        check_table(table, structures)
        host = neighbor_list(structures, 5.0, 0.5, n_neighbors=plan.n_neighbors)
        for name in ("senders", "shifts", "mask", "reverse"):
            assert_array_equal(getattr(table, name), getattr(host, name), err_msg=name)
        assert_allclose(table.displacements(structures), host.displacements(structures), atol=1e-5)


def test_a_plan_that_is_outgrown_is_flagged_and_grown():
    atoms = bulk("Cu", cubic=True) * (4, 4, 4)
    atoms.rattle(0.05, seed=1)
    structures = Structures.from_atoms(atoms).astype(np.float32)
    _, plan = cell_list(structures, 5.0)
    assert not build(plan, structures).overflow
    for change in ({"reach_bins": (1, 0, 1)}, {"pbc": (True, True, False)}):
        assert build(CellListPlan(**{**vars(plan), **change}), structures).overflow, change
    for change in (
        {"n_neighbors": plan.n_neighbors - 2 * TILE},  # a first guess may be one too wide
        {"capacity": plan.capacity - 3},
    ):
        smaller = CellListPlan(**{**vars(plan), **change})
        assert build(smaller, structures).overflow, change
        table, larger = cell_list(structures, 5.0, plan=smaller)
        assert not table.overflow and larger != smaller
        assert table_edges(table) == table_edges(neighbor_list(structures, 5.0))


def test_a_cell_that_shrinks_below_the_bins_is_flagged():
    atoms = bulk("Cu", cubic=True) * (4, 4, 4)
    plan = plan_cell_list(Structures.from_atoms(atoms), 4.7, n_neighbors=200)
    atoms.set_cell(atoms.cell * 0.9, scale_atoms=True)
    assert build(plan, Structures.from_atoms(atoms).astype(np.float32)).overflow


def test_a_plan_for_another_reach_is_not_used():
    structures = Structures.from_atoms(bulk("Cu", cubic=True)).astype(np.float32)
    _, plan = cell_list(structures, 3.0)
    assert cell_list(structures, 4.0, plan=plan)[1].cutoff == 4.0


@pytest.mark.parametrize("find", [neighbor_list, cell_list])
def test_overlapping_atoms_are_refused(find):
    atoms = Atoms("Cu2", [[0, 0, 0], [4, 4, 3.99999]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(InputError, match=r"structure 0.*overlap.*Remove"):
        find(Structures.from_atoms(atoms), 3.0)


def test_a_table_that_is_too_narrow_is_refused():
    with pytest.raises(InputError, match=r"needs 16 entries.*has 8.*n_neighbors = 16"):
        neighbor_list(Structures.from_atoms(bulk("Cu")), 3.0, n_neighbors=8)


def test_a_cell_list_of_several_systems_is_refused():
    with pytest.raises(InputError, match=r"one system, found 2.*neighbor_list"):
        cell_list(Structures.from_atoms([bulk("Cu"), bulk("Cu")]), 3.0)


def moved(rng, structures, amplitude, strain):
    """The systems after a motion of all atoms (Å) and a strain of all cells."""
    deform = np.eye(3) + strain * rng.normal(size=(3, 3)) / 3
    shake = amplitude * rng.normal(size=structures.positions.shape)
    positions = structures.positions @ deform + shake
    return Structures(
        **{**vars(structures), "positions": positions, "cell": structures.cell @ deform}
    )


@settings(LOOP, max_examples=300)
@given(seed=SEEDS)
def test_a_list_that_lacks_an_edge_is_outdated(seed):
    rng = np.random.default_rng(seed)
    frames = [random_system(rng, n_atoms=6), random_system(rng, n_atoms=6)]
    structures = Structures.from_atoms(frames, ELEMENTS)
    skin = rng.uniform(0.05, 1.0)
    try:
        table = neighbor_list(structures, REACH - skin, skin, n_neighbors=256)
        later = moved(rng, structures, *(skin * rng.uniform(0, (0.5, 0.2))))
        present = table_edges(neighbor_list(later, REACH - skin))
    except InputError:  # random atoms may overlap, or be very many
        assume(False)
    lacks = not present <= table_edges(table)
    with jax.enable_x64(True):
        outdated = bool(table.outdated(later).any())
    assert outdated or not lacks


@settings(LOOP, max_examples=30)
@given(seed=SEEDS)
def test_a_list_is_outdated_when_motion_or_strain_use_up_the_skin(seed):
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    structures, skin = Structures.from_atoms(atoms), 0.4
    table = neighbor_list(structures, 4.0, skin)
    step = rng.normal(size=3)
    step *= 0.5 * skin / np.linalg.norm(step)
    with jax.enable_x64(True):
        for share, expected in ((0.999, False), (1.001, True)):
            positions = structures.positions.copy()
            positions[rng.integers(4)] += share * step
            assert (
                table.outdated(Structures(**{**vars(structures), "positions": positions}))
                == expected
            )
            stretch = 1 + share * skin / 4.4 / np.sqrt(3)  # Frobenius norm of the strain
            scaled = {
                "positions": structures.positions * stretch,
                "cell": structures.cell * stretch,
            }
            assert table.outdated(Structures(**{**vars(structures), **scaled})) == expected


def test_shifts_are_small_integers_while_atoms_are_near_home():
    """Atoms that have wandered over many cells need, and get, larger ones."""
    atoms = bulk("Cu", cubic=True)
    structures = Structures.from_atoms(atoms).astype(np.float32)
    table, plan = cell_list(structures, 3.0)
    assert table.shifts.dtype == np.int8
    atoms.positions[0] += 1000 * atoms.cell.array[1]
    far = Structures.from_atoms(atoms).astype(np.float32)
    assert build(plan, far).overflow
    later, larger = cell_list(far, 3.0, plan=plan)
    assert later.shifts.dtype == np.int32 and larger.shift_type == "int32"
    assert table_edges(later) == table_edges(neighbor_list(far, 3.0))


def test_what_32_bit_indices_cannot_reach_is_refused():
    check_keys(10**6, 27)
    check_entries(10**6, 96)
    with pytest.raises(InputError, match=r"100,000,000 atoms with 27 shifts.*Use a smaller"):
        check_keys(10**8, 27)
    with pytest.raises(InputError, match=r"30,000,000 atoms by 80 entries.*Use a smaller"):
        check_entries(3 * 10**7, 80)
    structures = Structures.from_atoms(bulk("Cu"))
    with pytest.raises(InputError, match="1 atoms by 2,147,483,648 entries"):
        neighbor_list(structures, 3.0, n_neighbors=2**31)
    with pytest.raises(InputError, match="1 atoms by 2,147,483,648 entries"):
        plan_cell_list(structures, 3.0, n_neighbors=2**31)


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_places_are_those_of_flatnonzero(count):
    rng = np.random.default_rng(count)
    for shape in ((1, 1), (5, 7), (3, 8)):
        for share in (0.0, 0.1, 0.5, 1.0):
            found = rng.random(shape) < share
            places, taken, total = jax.jit(places_of, static_argnums=1)(found, count)
            expected = np.flatnonzero(found)
            assert total == len(expected)
            assert_array_equal(taken, np.arange(count) < len(expected))
            assert_array_equal(places[taken], expected[:count])
