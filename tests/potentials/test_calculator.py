"""The ASE calculator: derivatives, invariances, a kept neighbor list, ASE's own machinery."""

import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError, get_calculator_class
from ase.calculators.emt import EMT as AseEMT
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.phonons import Phonons
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

import stratal
from stratal.errors import InputError
from stratal.potentials import calculator as module
from stratal.potentials import chunks
from stratal.potentials.analytic import EMT, LennardJones
from stratal.potentials.calculator import StratalCalculator
from stratal.potentials.foreign import read_maise
from stratal.potentials.library import Library

SEEDS = st.integers(0, 2**31 - 1)
EVERYTHING = ("energy", "free_energy", "energies", "forces", "stress", "stresses")


def alloy(seed=0, symbols=("Cu", "Ag"), a=3.7, rattle=0.15) -> Atoms:
    """Four atoms per cell, strained and displaced from symmetry."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True, a=a)
    atoms.symbols = rng.permutation([symbols[i % len(symbols)] for i in range(4)])
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += rattle * rng.uniform(-1, 1, (4, 3))
    return atoms


def results(calculator, atoms) -> dict[str, np.ndarray]:
    """All properties of a copy of the atoms."""
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.get_stress()
    return {name: np.array(calculator.results[name]) for name in EVERYTHING}


def energy(calculator, atoms) -> float:
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_potential_energy()


@pytest.fixture(scope="module")
def calculator(library):
    """One calculator for all tests of this file: each program is compiled once."""
    calculator = StratalCalculator(library)
    energy(calculator, alloy(a=3.1))  # a dense crystal: its table is wide enough for the others
    return calculator


@pytest.fixture(scope="module")
def maise(shared, tmp_path_factory):
    model = shared / "reference" / "maise" / "models" / "nn_CuAg_d3_vp"
    if not model.exists():
        pytest.skip(f"no MAISE reference: {model} is absent")
    target = Library.create(tmp_path_factory.mktemp("maise") / "lib")
    for stratum in read_maise(model):
        target.add(stratum)
    return StratalCalculator(target.path)


@pytest.mark.parametrize("which", ["calculator", "maise"])
def test_forces_and_stress_are_finite_differences_of_the_energy(which, request):
    calculator = request.getfixturevalue(which)
    atoms = alloy(1)
    found = results(calculator, atoms)
    step = 1e-4  # Å, and strain: error step^2 / 6 times third derivatives of up to 100 eV/Å^3
    for atom, axis in ((0, 0), (1, 1), (3, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(energy(calculator, moved))
        assert_allclose(found["forces"][atom, axis], -np.subtract(*ends) / (2 * step), atol=3e-7)
    for component, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        ends = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
            ends.append(energy(calculator, strained))
        derivative = np.subtract(*ends) / (2 * step) / atoms.cell.volume
        assert_allclose(found["stress"][component], derivative, atol=3e-8)
    assert np.abs(found["forces"]).max() > 1e-2 and np.abs(found["stress"]).max() > 1e-3


def test_parts_sum_to_the_whole(calculator):
    found = results(calculator, alloy(2))
    assert type(calculator.results["energy"]) is float
    assert found["energies"].shape == (4,) and found["stresses"].shape == (4, 6)
    assert_allclose(found["energies"].sum(), found["energy"], rtol=1e-13)
    assert_allclose(found["stresses"].sum(axis=0), found["stress"], atol=1e-14)
    assert_allclose(found["forces"].sum(axis=0), 0, atol=1e-13)  # Newton's third law
    assert found["free_energy"] == found["energy"]


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_rotation_turns_vectors_and_tensors_and_nothing_else(calculator, seed):
    atoms, rotation = alloy(seed), Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell @ rotation.T, scale_atoms=False)
    turned.positions = atoms.positions @ rotation.T
    one, two = results(calculator, atoms), results(calculator, turned)
    assert_allclose(two["energies"], one["energies"], atol=1e-12)
    assert_allclose(two["forces"], one["forces"] @ rotation.T, atol=1e-12)
    xx, yy, zz, yz, xz, xy = one["stress"]
    tensor = rotation @ [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]] @ rotation.T
    assert_allclose(two["stress"], tensor[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)], atol=1e-12)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_translation_order_and_supercell_change_nothing(calculator, seed):
    atoms, rng = alloy(seed), np.random.default_rng(seed)
    one = results(calculator, atoms)

    moved = atoms.copy()
    moved.positions += rng.uniform(-20, 20, 3)  # out of the cell
    moved.positions[0] += rng.integers(-2, 3, 3) @ atoms.cell.array  # one atom's own image
    order = rng.permutation(4)
    tiled = atoms.repeat((2, 1, 1))
    for other, which in ((moved, np.arange(4)), (atoms[order], order), (tiled, np.arange(8) % 4)):
        two = results(calculator, other)
        assert_allclose(two["energies"], one["energies"][which], atol=1e-12)
        assert_allclose(two["forces"], one["forces"][which], atol=1e-12)
        assert_allclose(two["stress"], one["stress"], atol=1e-12)


def test_kept_neighbors_give_what_fresh_ones_give(calculator, library):
    """Atoms wander by angstroms, the cell is strained and sheared, back and forth."""
    fresh = StratalCalculator(library, skin=0.0)  # builds its list anew at every motion
    energy(fresh, alloy(a=3.1))
    atoms, rng, rebuilt = alloy(3), np.random.default_rng(3), []
    for step in range(60):
        if step % 2:
            atoms.positions += rng.normal((0.02, 0, 0), 0.04, (4, 3))
        else:
            strain = 0.01 * rng.normal(size=(3, 3))
            atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=bool(step % 4))
        one, two = results(calculator, atoms), results(fresh, atoms)
        if not rebuilt or rebuilt[-1] is not calculator._neighbors:
            rebuilt.append(calculator._neighbors)
        for name in EVERYTHING:
            assert_allclose(one[name], two[name], atol=1e-10, err_msg=f"{name}, step {step}")
    assert 3 < len(rebuilt) < 50  # it was kept for some steps, and had to be built again


def test_a_jump_into_the_skin_is_noticed(calculator, library):
    """A single atom that crosses the cutoff at once, without others moving."""
    atoms = Atoms("Cu2", [(0, 0, 0), (0, 0, 4.5)])
    assert energy(calculator, atoms) == energy(calculator, atoms[:1]) + energy(
        calculator, atoms[1:]
    )
    atoms.positions[1, 2] = 2.6
    near = energy(calculator, atoms)
    assert near == energy(StratalCalculator(library), atoms)


def test_moving_atoms_compiles_nothing(calculator):
    atoms = bulk("Cu", cubic=True, a=3.6)
    atoms.symbols[:2] = "Ag"
    rng = np.random.default_rng(0)
    results(calculator, atoms)
    program: Any = chunks.evaluate_at_once
    before, lists = program._cache_size(), []
    for _ in range(20):
        atoms.positions += rng.normal(0, 0.15, (4, 3)) + rng.uniform(-1, 1, 3)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.99, 1.01), scale_atoms=True)
        results(calculator, atoms)
        lists.append(calculator._neighbors)
    assert program._cache_size() == before
    assert len({id(kept) for kept in lists}) == 20  # though lists were built again


def test_single_precision_is_close_and_sums_in_double(calculator, library):
    single = StratalCalculator(library, precision="float32")
    energy(single, alloy(a=3.1))
    for seed in range(3):
        one, two = results(calculator, alloy(seed)), results(single, alloy(seed))
        assert abs(one["energy"] - two["energy"]) < 4 * 1e-4  # eV: 1e-4 per atom
        assert_allclose(two["forces"], one["forces"], atol=1e-3)
        assert (two["energies"] != one["energies"]).any()
        assert type(single.results["energy"]) is float
        assert two["energy"] == two["energies"].sum(dtype=np.float64)
        assert {two[name].dtype for name in EVERYTHING} == {np.dtype(float)}


def test_verlet_conserves_energy_to_second_order(calculator):
    """Half the time step leaves a quarter of the error: forces are the energy's gradient."""

    def error(timestep: float) -> float:
        atoms = alloy(4, rattle=0.05)
        atoms.calc = calculator
        spread = np.sqrt(atoms.get_masses() * units.kB * 300)
        rng = np.random.default_rng(0)
        atoms.set_momenta(spread[:, None] * rng.normal(size=(len(atoms), 3)))
        dynamics = VelocityVerlet(atoms, timestep=timestep * units.fs)
        totals = [atoms.get_total_energy() for _ in dynamics.irun(round(100 / timestep))]
        return float(np.abs(np.subtract(totals, totals[0])).max())

    coarse, fine = error(4.0), error(2.0)  # 25 and 50 steps
    assert fine < 0.01 * 1.5 * 4 * units.kB * 300  # a hundredth of the kinetic energy
    assert 3.0 < coarse / fine < 5.0


def relaxed(calculator) -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.9)
    atoms.symbols[0] = "Ag"
    atoms.rattle(0.1, seed=0)
    atoms.calc = calculator
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    return atoms


@pytest.fixture(scope="module")
def emt():
    return StratalCalculator(EMT.for_elements((29, 47)))


def test_relaxed_crystal_is_that_of_ase(emt):
    own, theirs = relaxed(emt), relaxed(AseEMT())
    # fmax = 1e-4 eV/Å over a curvature of some eV/Å^2
    assert_allclose(own.cell.cellpar(), theirs.cell.cellpar(), atol=1e-3)
    assert_allclose(own.get_potential_energy(), theirs.get_potential_energy(), atol=1e-6)


def test_phonons_are_those_of_ase(emt, tmp_path):
    def frequencies(calculator, name):
        phonons = Phonons(
            bulk("Cu", a=3.6), calculator, supercell=(2, 2, 2), delta=0.01, name=tmp_path / name
        )
        phonons.run()
        phonons.read(acoustic=False)
        return phonons.band_structure([(0, 0, 0), (0.5, 0.5, 0), (0.1, 0.2, 0.3)], verbose=False)

    own, theirs = frequencies(emt, "own"), frequencies(AseEMT(), "ase")
    # Forces agree to 1e-13 eV/Å; over 2 delta, square roots of what should be 0: 1e-6.
    assert_allclose(own[1:], theirs[1:], atol=1e-8)
    assert np.abs(own[0]).max() < 1e-5 * own[1].max()  # sound: nothing at Gamma


@pytest.mark.parametrize("pair", ["emt", "lj"])
def test_any_potential_can_be_wrapped(pair):
    potential, reference = {
        "emt": (EMT.for_elements((29, 47)), AseEMT()),
        "lj": (
            LennardJones((29, 47), epsilon=0.4, sigma=2.3, cutoff=5.0),
            AseLennardJones(epsilon=0.4, sigma=2.3, rc=5.0),
        ),
    }[pair]
    one, atoms = StratalCalculator(potential), alloy(5)
    assert_allclose(energy(one, atoms), energy(reference, atoms), rtol=1e-11)
    found = results(one, atoms)
    reference.calculate(atoms, ["forces", "stress"])
    assert_allclose(found["forces"], reference.results["forces"], atol=1e-10)
    assert_allclose(found["stress"], reference.results["stress"], atol=1e-11)


def test_pickled_calculators_give_the_same(calculator):
    atoms = alloy(6)
    one = results(calculator, atoms)
    sent = pickle.dumps(calculator)
    for copy in (pickle.loads(sent), pickle.loads(pickle.dumps(pickle.loads(sent)))):
        assert copy.library.strata.keys() == calculator.library.strata.keys()
        energy(copy, alloy(a=3.1))
        two = results(copy, atoms)
        for name in EVERYTHING:
            assert_allclose(two[name], one[name], rtol=1e-13, atol=1e-13)


def test_a_worker_process_gets_the_same_energy():
    atoms = alloy(7)
    atoms.calc = StratalCalculator(LennardJones((29, 47), epsilon=0.4, sigma=2.3, cutoff=5.0))
    here = atoms.get_potential_energy()
    atoms.calc.reset()  # an energy that is sent along would prove nothing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(Atoms.get_potential_energy, (atoms,))
    assert_allclose(there, here, rtol=1e-13)


def test_ase_and_stratal_load_know_the_calculator(calculator, library):
    assert get_calculator_class("stratal") is StratalCalculator
    atoms = alloy(8)
    loaded = stratal.load(library.path, elements=["Cu", "Ag"])
    assert isinstance(loaded, StratalCalculator) and loaded.precision == "float64"
    assert stratal.load(library.path, precision="float32").precision == "float32"
    assert_allclose(energy(loaded, atoms), energy(calculator, atoms), rtol=1e-13)
    by_path = StratalCalculator(str(library.path))
    assert energy(by_path, atoms) == energy(loaded, atoms)


def test_molecules_have_forces_but_no_stress(calculator):
    atoms = Atoms("Cu2Ag", [(0, 0, 0), (0, 2.5, 0), (1.2, 1.2, 2.0)])
    atoms.calc = calculator
    boxed = atoms.copy()
    boxed.center(vacuum=10.0)
    boxed.pbc = True
    boxed.calc = calculator
    forces = atoms.get_forces()
    assert_allclose(forces, boxed.get_forces(), atol=1e-12)
    assert_allclose(atoms.get_potential_energy(), boxed.get_potential_energy(), rtol=1e-12)
    assert_allclose(forces.sum(axis=0), 0, atol=1e-13)
    assert_allclose(np.cross(atoms.positions, forces).sum(axis=0), 0, atol=1e-12)  # no torque
    with pytest.raises(PropertyNotImplementedError, match="cell"):
        atoms.get_stress()
    assert "stress" not in calculator.results
    assert boxed.get_stress().shape == (6,)


def test_one_calculator_serves_structures_of_all_kinds(calculator, library):
    """Numbers of atoms, elements and periodicity change from call to call, and back."""
    first = alloy(9)
    slab = first.copy()
    slab.pbc = (True, True, False)
    swapped = first[[1, 0, 2, 3]]
    swapped.positions = first.positions  # the same places, other species
    mirrored = first.copy()
    mirrored.symbols = ["Ag" if symbol == "Cu" else "Cu" for symbol in first.symbols]
    cases = [first, slab, swapped, mirrored, first[:1], first.repeat((2, 1, 1)), first]
    cases += [alloy(9, symbols=("Cu",)), alloy(9, symbols=("Ag",)), first]
    found = [energy(calculator, atoms) for atoms in cases]
    for atoms, own in zip(cases, found, strict=True):
        fresh = pickle.loads(pickle.dumps(calculator))
        fresh._width = calculator._width  # to share the compiled program
        assert_allclose(own, energy(fresh, atoms), rtol=1e-12)
    assert found[0] == found[6] == found[9] and len({round(e, 9) for e in found}) == 8


def refused(*words: str):
    """An error that names these words in this order."""
    return pytest.raises(InputError, match="(?s)" + ".*".join(words))


def test_structures_that_cannot_be_evaluated_are_refused(calculator, emt):
    atoms = alloy(10)
    gold = atoms.copy()
    gold.symbols[1] = "Au"
    with refused("no stratum for", "Au"):
        energy(calculator, gold)
    with refused("species Au unknown", "Cu, Ag"):
        energy(emt, gold)
    with refused("species Au unknown", "Cu, Ag"):
        energy(emt, Atoms("Au"))

    overlapping = atoms.copy()
    overlapping.positions[3] = overlapping.positions[1]
    with refused("atoms 1 and 3 overlap"):
        energy(calculator, overlapping)
    image = atoms.copy()
    image.positions[2] = image.positions[0] + image.cell.array[1]
    with refused("atoms 0 and 2 overlap"):
        energy(calculator, image)

    lost = atoms.copy()
    lost.positions[2, 1] = np.nan
    with refused("position of atom 2 is not finite"):
        energy(calculator, lost)
    flat = atoms.copy()
    flat.cell.array[2] = flat.cell.array[0] + flat.cell.array[1]
    with refused("no volume"):
        energy(calculator, flat)
    open_ = Atoms("Cu", cell=[3, 3, 0], pbc=True)
    with refused("periodic along axis 2"):
        energy(calculator, open_)
    with refused("no atoms"):
        energy(calculator, Atoms())
    assert np.isfinite(energy(calculator, atoms))  # and it still serves


def test_overlap_is_noticed_while_a_list_is_kept(calculator):
    """Atoms that meet within half a skin of where the list was built."""
    atoms = Atoms("Cu2", [(0, 0, 0), (0, 0, 0.1)])
    assert np.isfinite(energy(calculator, atoms))
    atoms.positions[1, 2] = 0.0
    with refused("overlap"):
        energy(calculator, atoms)
    atoms.positions[1, 2] = 2.5
    assert np.isfinite(energy(calculator, atoms))


def test_settings_out_of_range_are_refused(library, tmp_path):
    with refused("precision 'half'", "float64 or float32"):
        StratalCalculator(library, precision="half")
    for skin in (-0.1, float("nan")):
        with refused("skin"):
            StratalCalculator(library, skin=skin)
    with refused("no stratum for", "Au"):
        StratalCalculator(library, elements=["Cu", "Au"])
    with refused("nowhere", "no such library"):
        StratalCalculator(tmp_path / "nowhere")


def test_atoms_in_a_skewed_cell_interact_as_in_the_reduced_one(calculator):
    """The same crystal by other cell vectors: images far along them are found."""
    atoms = alloy(11)
    skewed = atoms.copy()
    skewed.cell.array[2] += (3, -2) @ skewed.cell.array[:2]
    one, two = results(calculator, atoms), results(calculator, skewed)
    assert_allclose(two["energies"], one["energies"], atol=1e-12)
    assert_allclose(two["stress"], one["stress"], atol=1e-12)


def test_large_systems_use_the_device_list(monkeypatch, calculator):
    """The list built on the device serves as the one of the host does, and is kept as well."""
    device = StratalCalculator(calculator.library)
    atoms, rng = alloy(12), np.random.default_rng(0)
    for _ in range(4):
        one = results(calculator, atoms)
        with monkeypatch.context() as patched:
            patched.setattr(module, "LARGE", 4)
            two = results(device, atoms)
        for name in ("energies", "forces", "stress"):
            assert_allclose(two[name], one[name], atol=1e-12)
        atoms.positions += rng.normal(0, 0.1, (4, 3))
    assert device._plan is not None and calculator._plan is None
