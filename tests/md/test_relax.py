"""Relaxation: the minima of ASE, whatever is relaxed beside; how each structure ended is told."""

import pickle

import jax
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT as AseEMT
from ase.constraints import FixAtoms, FixBondLength
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from numpy.testing import assert_allclose, assert_array_equal

from stratal.errors import InputError
from stratal.md import Outcome, RelaxConfig, relax, relax_on
from stratal.md.relax import entries_of
from stratal.md.relaxation import in_flight
from stratal.md.relaxation.in_flight import Flight
from stratal.md.relaxation.stages import slot_sizes
from stratal.md.structures.random_cells import random_cells
from stratal.potentials import EMT, LennardJones
from stratal.slurm import Journal, open_executor

POTENTIAL = EMT.for_elements([29, 47])
CELLS = random_cells(0, 6, 3, 6, (29, 47))
PROGRAM = {"slots": 4, "skin": 0.4}  # one shape for many tests: little to compile


def relaxed_by_ase(atoms, fmax=0.02, steps=300, filtered=True, **options):
    atoms = atoms.copy()
    atoms.calc = AseEMT()
    optimizer = FIRE(FrechetCellFilter(atoms, **options) if filtered else atoms, logfile=None)
    optimizer.run(fmax=fmax, steps=steps)
    return atoms, optimizer.nsteps


@pytest.mark.parametrize(
    "cell, options, pressure",
    [
        ("free", {}, 0.0),
        ("free", {"scalar_pressure": 0.02}, 0.02 / 0.006241509125883258),
        ("fixed volume", {"constant_volume": True}, 0.0),
        ("fixed shape", {"hydrostatic_strain": True}, 0.0),
        ("fixed", None, 0.0),
    ],
)
def test_fire_takes_the_steps_of_ase(cell, options, pressure):
    how = {"method": "fire", "fmax": 0.02, "max_steps": 300, "pressure_gpa": pressure}
    results = relax(CELLS, POTENTIAL, cell=cell, **how, **PROGRAM)
    assert [result.number for result in results] == list(range(len(CELLS)))
    for atoms, result in zip(CELLS, results, strict=True):
        expected, steps = relaxed_by_ase(atoms, filtered=options is not None, **(options or {}))
        assert result.n_steps == steps + 1  # ASE does not count the first evaluation
        assert_allclose(result.energy, expected.get_potential_energy(), atol=1e-8)
        # The way is chaotic: rounding errors grow along it, by far less than what is compared.
        assert_allclose(result.atoms.positions, expected.positions, atol=1e-6)
        assert_allclose(result.atoms.cell.array, expected.cell.array, atol=1e-6)
        assert_allclose(result.atoms.get_stress(), expected.get_stress(), atol=1e-7)
        assert_array_equal(result.atoms.numbers, atoms.numbers)


@pytest.mark.parametrize("method", ["lbfgs", "fire then lbfgs"])
def test_other_methods_end_in_minima_of_the_same_potential(method):
    for atoms, result in zip(CELLS, relax(CELLS, POTENTIAL, method=method, **PROGRAM), strict=True):
        assert result.outcome == Outcome.CONVERGED and result.largest_force < 0.01
        kept = result.atoms.get_forces()
        result.atoms.calc = AseEMT()
        assert_allclose(result.atoms.get_forces(), kept, atol=1e-8)
        assert abs(result.atoms.get_forces()).max() < 0.01
        assert abs(result.atoms.get_stress()).max() * result.atoms.get_volume() < 0.01 * len(atoms)


def test_what_is_relaxed_beside_makes_no_difference():
    alone = [relax([atoms], POTENTIAL, slots=1)[0] for atoms in CELLS[:3]]
    together = relax([*CELLS[:3], *CELLS[3:]], POTENTIAL, **PROGRAM)
    for one, other in zip(alone, together, strict=False):
        assert one.n_steps == other.n_steps
        assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-8)


def test_atoms_and_vectors_come_back_in_the_order_given():
    atoms = CELLS[0].copy()
    skewed = atoms.copy()  # the same crystal by long vectors, atoms of other cells
    skewed.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 1, 1]]) @ atoms.cell.array)
    skewed.positions += skewed.cell.array[1]
    results = relax([atoms, skewed], POTENTIAL, **PROGRAM)
    assert_allclose(results[0].energy, results[1].energy, atol=1e-9)
    change = np.linalg.solve(atoms.cell.array, results[0].atoms.cell.array)
    assert_allclose(results[1].atoms.cell.array, skewed.cell.array @ change, atol=1e-6)


def test_fixed_atoms_stay_and_a_slab_keeps_its_vacuum():
    slab = fcc111("Cu", (1, 1, 4), a=3.7, vacuum=6.0)
    slab.set_constraint(FixAtoms([0]))
    slab.rattle(0.05, seed=1)
    for cell, pbc in (("plane", True), ("free", (True, True, False)), ("fixed", True)):
        slab.pbc = pbc
        (result,) = relax([slab], POTENTIAL, cell=cell, slots=1)
        assert result.converged
        place, before = (a.get_scaled_positions(wrap=False)[0] for a in (result.atoms, slab))
        assert_allclose(place, before, atol=1e-10)
        assert_allclose(result.atoms.cell.array[2], slab.cell.array[2], atol=1e-12)
        changed = abs(result.atoms.cell.array[:2] - slab.cell.array[:2]).max()
        assert changed == 0 if cell == "fixed" else changed > 0.01


def test_a_molecule_relaxes_without_a_cell():
    water = molecule("H2O")
    water.rattle(0.1, seed=2)
    potential = EMT.for_elements([1, 8])
    (result,) = relax([water], potential, slots=1, fmax=1e-3)
    expected, _ = relaxed_by_ase(water, fmax=1e-3, filtered=False)
    assert result.converged
    assert_allclose(result.energy, expected.get_potential_energy(), atol=1e-4)  # the angle is soft
    assert_array_equal(result.atoms.cell.array, 0)


def test_symmetry_is_kept():
    crystals = [
        bulk("Cu", "hcp", a=2.7, c=4.0),
        bulk("Cu", cubic=True),
        Atoms("CuAg", [[0, 0, 0], [1.5, 1.5, 1.6]], cell=[3, 3, 3.2], pbc=True),
    ]
    crystals[1].numbers[0] = 47
    results = relax(crystals, POTENTIAL, symmetry=True, fmax=1e-4, **PROGRAM)
    for atoms, result in zip(crystals, results, strict=True):
        groups = [
            spglib.get_spacegroup((a.cell.array, a.get_scaled_positions(), a.numbers), 1e-6)
            for a in (atoms, result.atoms)
        ]
        assert groups[0] == groups[1] and result.converged
    # At a saddle that symmetry keeps, rounding does not decide: bcc copper stays.
    bcc = bulk("Cu", "bcc", a=2.9, cubic=True)
    (kept,) = relax([bcc], POTENTIAL, symmetry=True, slots=1)
    assert_allclose(kept.atoms.cell.lengths(), kept.atoms.cell.lengths()[0], rtol=1e-12)


def test_forces_symmetrized_are_those_of_a_symmetric_crystal_and_no_others():
    with jax.enable_x64(True):
        crystal = bulk("Cu", "hcp", a=2.7, c=4.0)
        (entry,) = entries_of([crystal], POTENTIAL, RelaxConfig(symmetry=True))
        state = Flight(POTENTIAL, [entry], RelaxConfig(symmetry=True, slots=1))
        state.fill()
        symmetry = state.state.symmetry
        assert symmetry is not None
        rng = np.random.default_rng(0)
        random = jax.tree.map(lambda a: np.asarray(rng.normal(size=a.shape)), state.state.x)
        once = symmetry.symmetrized(random)
        twice = symmetry.symmetrized(once)
    once, twice = jax.tree.map(np.asarray, (once, twice))
    assert_allclose(twice.atoms, once.atoms, atol=1e-12)
    assert_allclose(twice.cell, once.cell, atol=1e-12)
    # hcp at rest: no force on any atom; a strain alike in the plane, another along the axis.
    assert_allclose(once.atoms, 0, atol=1e-12)
    a, c = once.cell[0, 0, 0], once.cell[0, 2, 2]
    assert_allclose(once.cell[0], np.diag([a, a, c]), atol=1e-12)
    assert abs(a - c) > 1e-3


def test_large_cells_take_a_cell_list():
    crystal = bulk("Cu", cubic=True) * (4, 4, 4)
    crystal.rattle(0.1, seed=3)
    (result,) = relax([crystal], POTENTIAL, fmax=0.05)
    (other,) = relax([crystal], POTENTIAL, fmax=0.05, slots=2)
    assert result.converged and result.n_steps == other.n_steps
    assert_allclose(result.energy, other.energy, atol=1e-6)


def test_a_cell_that_shrinks_beyond_its_list_gets_a_larger_one():
    wide = [bulk("Cu", a=4.6) * (2, 1, 1) for _ in range(3)]
    entries = entries_of(wide, POTENTIAL, RelaxConfig())
    with jax.enable_x64(True):
        flight = Flight(POTENTIAL, entries, RelaxConfig(slots=3))
        found = []
        while flight.n_left:
            found += flight.block()
    assert flight.n_programs > 1
    equilibrium = relaxed_by_ase(bulk("Cu"))[0].get_potential_energy()
    assert all(result.converged for result in found)
    assert_allclose([result.energy for result in found], 2 * equilibrium, atol=1e-3)


def test_each_structure_tells_how_it_ended():
    lj = LennardJones((18,), 0.01, 3.0, 7.0)
    slow = bulk("Ar", a=6.5, cubic=True)
    slow.rattle(0.2, seed=1)
    near = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.3]], cell=[20, 20, 20], pbc=True)
    coincident = Atoms("Ar2", [[1, 0, 0], [1, 0, 0]], cell=[9, 9, 9], pbc=True)
    fine = bulk("Ar", a=5.3, cubic=True)
    some = [slow, near, coincident, fine]
    results = relax(some, lj, cell="fixed", fmax=1e-5, max_steps=20, closest=1.7, slots=4)
    labels = [result.outcome.label for result in results]
    assert labels == ["unconverged", "too close", "too close", "converged"]
    assert results[0].n_steps == 20
    (torn,) = relax([fine], lj, pressure_gpa=-5.0, slots=1)
    assert torn.outcome == Outcome.EXPLODED


def test_memory_that_does_not_suffice_halves_the_slots(monkeypatch):
    real, tried = in_flight.run_block, []

    def scarce(program, potential, state):
        tried.append(len(state.energy))
        if len(state.energy) > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return real(program, potential, state)

    expected = relax(CELLS, POTENTIAL, **PROGRAM)
    monkeypatch.setattr(in_flight, "run_block", scarce)
    found = relax(CELLS, POTENTIAL, **PROGRAM)
    assert tried[:2] == [4, 2] and set(tried[1:]) == {2}
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-8)

    def none(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(in_flight, "run_block", none)
    with pytest.raises(InputError, match="does not fit into the device's memory"):
        relax(CELLS[:2], POTENTIAL, **PROGRAM)


def test_workers_find_the_same(tmp_path):
    expected = relax(CELLS, POTENTIAL, **PROGRAM)
    for _ in range(2):  # the second time all is known
        with open_executor("serial") as executor, Journal(tmp_path / "run") as journal:
            found = sorted(
                relax_on(executor, journal, CELLS, POTENTIAL, **PROGRAM), key=lambda r: r.number
            )
        assert [r.number for r in found] == list(range(len(CELLS)))
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-8)


def test_what_one_flight_leaves_another_finishes_to_the_last_bit():
    config = RelaxConfig(**PROGRAM)
    with jax.enable_x64(True):
        entries = entries_of(CELLS, POTENTIAL, config)
        sizes = slot_sizes(entries, POTENTIAL, config.skin, most=1)
        one = Flight.after(None, entries, POTENTIAL, config, sizes)
        found = []
        while not one.has_idle_slots:
            found += one.block()
        left = pickle.loads(pickle.dumps(one.unfinished()))
        other = Flight.after(left, [], POTENTIAL, config, sizes)
        assert 0 < other.n_left == one.n_left < len(entries)
        while one.n_left:
            for own, copy in zip(one.block(), other.block(), strict=True):
                assert own.number == copy.number and own.n_steps == copy.n_steps
                assert own.energy == copy.energy
                assert_array_equal(own.atoms.positions, copy.atoms.positions)
                found.append(own)
        assert other.unfinished() is None
        fresh = Flight.after(left, entries[:3], POTENTIAL, config, sizes)
        assert fresh.n_left == len(left.entries) + 3 and not fresh.has_idle_slots
    assert sorted(result.number for result in found) == list(range(len(entries)))


def test_slots_are_kept_busy_with_few_programs():
    cells = random_cells(1, 60, 2, 12, (29, 47), closest=2.0)
    config = RelaxConfig(slots=8, method="fire", fmax=0.05)
    with jax.enable_x64(True):
        flight = Flight(POTENTIAL, entries_of(cells, POTENTIAL, config), config)
        found = []
        while flight.n_left:
            found += flight.block()
    assert sorted(r.number for r in found) == list(range(60))
    assert flight.n_programs <= 8
    counted = [use for use in flight.use if use.left > 8]
    assert sum(use.moved for use in counted) > 0.8 * sum(use.slots for use in counted)


@pytest.mark.parametrize(
    "atoms, settings, message",
    [
        (bulk("Au"), {}, "structure 0: species Au unknown; covered are Cu, Ag"),
        (bulk("Cu"), {"cell": "loose"}, "relax.cell = 'loose': give one of fixed, free"),
        (bulk("Cu"), {"method": "newton"}, "relax.method = 'newton'"),
        (bulk("Cu"), {"fmax": 0.0}, "relax.fmax = 0.0: give a number above 0"),
        (molecule("CO"), {"cell": "plane"}, "species C, O unknown"),
        (Atoms("Cu", cell=[3, 3, 3]), {"cell": "plane"}, "not periodic along both"),
        (Atoms("Cu", cell=[3, 3, 3]), {"symmetry": True}, "periodic in three directions"),
        (Atoms("Cu", [[np.nan, 0, 0]]), {}, "position of atom 0 is not finite"),
        (Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True), {}, "has no volume"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(atoms, settings, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        relax([atoms], POTENTIAL, **settings)


def test_constraints_that_are_not_known_are_refused():
    dimer = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.3]])
    dimer.set_constraint(FixBondLength(0, 1))
    with pytest.raises(InputError, match="constraint FixBondLengths is not known here"):
        relax([dimer], POTENTIAL)


def test_nothing_to_do():
    assert relax([], POTENTIAL) == []
