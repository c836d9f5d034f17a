"""Analytic potentials agree with ASE, with plain loops and papers, and obey every symmetry."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.calculators.emt import EMT as AseEMT
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.data import atomic_numbers
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic import EMT, Gupta, LennardJones, StillingerWeber, SuttonChen
from stratal.potentials.analytic.sutton_chen import PARAMETERS as SUTTON_CHEN
from stratal.potentials.evaluate import Potential, Result, evaluate
from stratal.potentials.short_range import ZBL, CloseRepulsion

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "maise" / "models"
EVALUATE = jax.jit(evaluate)  # one program for a shape, faster than one for each operation


@pytest.fixture
def maise_models():
    if not (REFERENCE / "gp_CuAg_d3_vp").exists():
        pytest.skip(f"MAISE's parameter files are not in {REFERENCE}")
    return REFERENCE


def results(potential: Potential, atoms, skin=0.3) -> Result:
    """Everything of one or several systems in float64, as numpy arrays."""
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, potential.elements)
        neighbors = neighbor_list(structures, potential.cutoff, skin)
        return jax.tree.map(np.asarray, EVALUATE(potential, structures, neighbors))


def energy(potential: Potential, atoms: Atoms) -> float:
    return float(results(potential, atoms).energy[0])


def alloy(numbers, a=4.0, size=2, seed=0, rattle=0.15) -> Atoms:
    """A strained fcc crystal of randomly placed elements, displaced from symmetry."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True, a=a) * (size, size, 1)
    atoms.numbers[:] = rng.choice(numbers, len(atoms))
    atoms.numbers[: len(numbers)] = numbers
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += rattle * rng.uniform(-1, 1, atoms.positions.shape)
    return atoms


def cu_ag_gupta() -> Gupta:
    """A mixture with different lengths for each pair, short so that its tests are fast."""
    tables = np.array(
        [
            [[0.0894, 0.0980], [0.0980, 0.1031]],
            [[10.55, 10.70], [10.70, 10.85]],
            [[1.2799, 1.2274], [1.2274, 1.1895]],
            [[2.43, 2.805], [2.805, 3.18]],
            [[2.556, 2.72405], [2.72405, 2.8921]],
            [[3.5, 3.7], [3.7, 4.0]],
            [[4.5, 5.0], [5.0, 5.5]],
        ]
    )
    return Gupta(*tables, elements=(29, 47), cutoff=5.5)


def two_lengths(smooth: bool, shift: bool = True) -> LennardJones:
    epsilon, sigma = [[0.4, 0.3], [0.3, 0.2]], [[2.3, 2.5], [2.5, 2.7]]
    return LennardJones((29, 47), np.array(epsilon), np.array(sigma), 5.5, smooth, shift)


POTENTIALS = {
    "EMT": (EMT.for_elements((29, 47, 78)), alloy((29, 47, 78))),
    "LennardJones": (two_lengths(smooth=True), alloy((29, 47))),
    "LennardJones shifted": (two_lengths(smooth=False), alloy((29, 47))),
    "LennardJones cut": (two_lengths(smooth=False, shift=False), alloy((29, 47))),
    "StillingerWeber": (StillingerWeber.silicon(), alloy((14,), a=4.6)),
    "SuttonChen": (SuttonChen.for_elements((29, 47), cutoff=6.0), alloy((29, 47))),
    "Gupta": (cu_ag_gupta(), alloy((29, 47))),
    "ZBL": (ZBL.for_elements((29, 47)), alloy((29, 47), a=2.6, rattle=0.1)),
    "CloseRepulsion": (CloseRepulsion.for_elements((29, 47)), alloy((29, 47), a=2.6, rattle=0.1)),
}


@pytest.fixture(params=POTENTIALS)
def case(request):
    return POTENTIALS[request.param]


def test_forces_and_stress_are_derivatives_of_the_energy(case):
    potential, atoms = case
    result, h = results(potential, atoms), 1e-5  # Å, and strain
    rng = np.random.default_rng(3)
    frames = []
    motion = rng.normal(size=(3, len(atoms), 3))
    for direction in motion:
        frames += [shifted(atoms, h * direction), shifted(atoms, -h * direction)]
    strains = 0.5 * (motion[:, :3] + motion[:, :3].swapaxes(1, 2))
    for strain in strains:
        frames += [strained(atoms, h * strain), strained(atoms, -h * strain)]
    up, down = results(potential, frames).energy.reshape(-1, 2).T
    slope = (up - down) / (2 * h)
    scale = 1 + float(abs(result.forces).max())  # differences of energies lose some 1e-10 eV
    along = np.einsum("dij,ij->d", motion, result.forces)
    assert_allclose(-slope[:3], along, atol=2e-7 * scale, rtol=1e-7)
    work = np.einsum("dij,ij->d", strains, result.stress[0]) * atoms.get_volume()
    assert_allclose(slope[3:], work, atol=2e-7 * scale, rtol=1e-7)
    assert_allclose(result.stresses.sum(axis=0), result.stress[0], atol=1e-12)
    assert abs(result.forces).max() > 1e-2  # the test sees something


def shifted(atoms, displacement):
    return Atoms(atoms.numbers, atoms.positions + displacement, cell=atoms.cell, pbc=atoms.pbc)


def strained(atoms, strain):
    deform = np.eye(3) + strain
    return Atoms(
        atoms.numbers, atoms.positions @ deform, cell=atoms.cell.array @ deform, pbc=atoms.pbc
    )


def test_energies_do_not_change_with_rotation_translation_order_or_supercell(case):
    potential, atoms = case
    rng = np.random.default_rng(5)
    here = results(potential, atoms)
    turn = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    turned = Atoms(
        atoms.numbers, atoms.positions @ turn.T, cell=atoms.cell.array @ turn.T, pbc=True
    )
    supercell = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    shift = np.array([1.3, -20.7, 3.1])
    moved = shifted(atoms, shift)
    there = results(potential, [turned, moved, atoms[order], supercell])
    n = len(atoms)
    # Tolerances: rounding of positions over some hundred terms.
    assert_allclose(there.energy, here.energy[0] * np.array([1, 1, 1, 2]), rtol=1e-11, atol=1e-11)
    assert_allclose(there.energies[:n], here.energies, rtol=1e-11, atol=1e-11)
    assert_allclose(there.forces[:n], here.forces @ turn.T, rtol=1e-9, atol=1e-9)
    assert_allclose(there.forces[n : 2 * n], here.forces, rtol=1e-9, atol=1e-9)
    assert_allclose(there.forces[2 * n : 3 * n], here.forces[order], rtol=1e-9, atol=1e-9)
    assert_allclose(there.stress[0], turn @ here.stress[0] @ turn.T, rtol=1e-9, atol=1e-9)
    assert_allclose(there.stress[3], here.stress[0], rtol=1e-9, atol=1e-9)


def test_padding_skin_and_lonely_atoms_change_nothing(case):
    potential, atoms = case
    lonely = Atoms([potential.elements[0]], cell=[50, 50, 50], pbc=True)
    expected = results(potential, [atoms, lonely], skin=0.0)
    with jax.enable_x64(True):
        structures = Structures.from_atoms([atoms, lonely], potential.elements)
        structures = structures.padded(structures.n_atoms + 5, 3)
        neighbors = neighbor_list(structures, potential.cutoff, 1.0)
        found = EVALUATE(potential, structures, neighbors)
    n = len(atoms) + 1
    assert_allclose(found.energy[:2], expected.energy, rtol=1e-12, atol=1e-12)
    assert_allclose(found.forces[:n], expected.forces, rtol=1e-10, atol=1e-10)
    assert np.isfinite(expected.forces).all() and (expected.forces[-1] == 0).all()
    assert not np.any(found.forces[n:]) and not np.any(found.energies[n:])


def test_float32_under_jit_agrees_with_float64(case):
    potential, atoms = case
    expected = results(potential, atoms)
    structures = Structures.from_atoms(atoms, potential.elements).astype(np.float32)
    found = EVALUATE(potential, structures, neighbor_list(structures, potential.cutoff))
    assert found.forces.dtype == found.energies.dtype == np.float32
    scale = float(
        abs(expected.energies).max() + abs(expected.forces).max()
    )  # single precision is 1e-7
    assert_allclose(found.energies, expected.energies, atol=1e-5 * scale)
    assert_allclose(found.forces, expected.forces, atol=3e-5 * scale)


@pytest.mark.parametrize("case", ["EMT", "SuttonChen", "Gupta", "LennardJones"], indirect=True)
def test_an_atom_that_leaves_does_so_smoothly(case):
    """The square roots and logarithms of lonely atoms meet those of far ones."""
    potential, _ = case
    lengths = potential.cutoff - np.array([1e-1, 1e-3, 1e-6, 1e-9, -1e-9])
    pairs = [Atoms([47, 47], [[0, 0, 0], [r, 0, 0]]) for r in lengths]
    found = results(potential, pairs)
    assert np.isfinite(found.forces).all()
    # eV over the last 1e-6 Å. EMT, as ASE's, is cut where the weight is 1e-5; the root of
    # Gupta's half cosine falls linearly, so that a lonely pair's force jumps at the end.
    jump = {EMT: 2e-4, Gupta: 1e-5}.get(type(potential), 1e-7)
    assert all(abs(a - b) < jump for a, b in pairwise(found.energy[2:]))


ASE_EMT_SYSTEMS = {
    **{symbol: ([symbol], a) for symbol, a in [("Al", 4.0), ("Cu", 3.6), ("Ag", 4.1)]},
    **{symbol: ([symbol], a) for symbol, a in [("Au", 4.1), ("Ni", 3.5), ("Pd", 3.9)]},
    "Pt": (["Pt"], 3.9),
    "CuAg": (["Cu", "Ag"], 3.9),
    "AlNiPdPtAu": (["Al", "Ni", "Pd", "Pt", "Au"], 3.95),
    "HCNOCu": (["H", "C", "N", "O", "Cu"], 3.8),
}


@pytest.mark.parametrize("asap_cutoff", [False, True])
@pytest.mark.parametrize("symbols, a", ASE_EMT_SYSTEMS.values(), ids=ASE_EMT_SYSTEMS)
def test_emt_equals_that_of_ase(symbols, a, asap_cutoff):
    numbers = sorted(atomic_numbers[symbol] for symbol in symbols)
    atoms = alloy(numbers, a=a)
    check_against_ase(
        EMT.for_elements(numbers, asap_cutoff), AseEMT(asap_cutoff=asap_cutoff), atoms
    )


def test_emt_equals_that_of_ase_for_molecules_and_lonely_atoms():
    for atoms in (molecule("CH3CH2OH"), Atoms("Cu"), Atoms("Cu2", [[0, 0, 0], [9, 0, 0]])):
        check_against_ase(EMT.for_elements(atoms.numbers), AseEMT(), atoms)


def check_against_ase(potential, calculator, atoms):
    """Energy of the system and of each atom (1e-10 eV), forces (1e-10 eV/Å), stress."""
    atoms = atoms.copy()
    atoms.calc = calculator
    found = results(potential, atoms)
    assert_allclose(found.energy[0], atoms.get_potential_energy(), atol=1e-10, rtol=1e-13)
    assert_allclose(found.energies, atoms.get_potential_energies(), atol=1e-10, rtol=1e-13)
    assert_allclose(found.forces, atoms.get_forces(), atol=1e-10, rtol=1e-12)
    if atoms.cell.rank == 3:
        stress = atoms.get_stress(voigt=False)
        assert_allclose(found.stress[0], stress, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("onset", [None, 4.5])
def test_lennard_jones_equals_that_of_ase(smooth, onset):
    ours = LennardJones((18,), 0.0104, 3.4, cutoff=7.0, smooth=smooth, onset=onset)
    ase = AseLennardJones(epsilon=0.0104, sigma=3.4, rc=7.0, ro=onset, smooth=smooth)
    atoms = alloy((18,), a=5.2)
    check_against_ase(ours, ase, atoms)


def test_lennard_jones_of_a_mixture_is_a_sum_over_pairs():
    potential, atoms = two_lengths(smooth=False, shift=False), alloy((29, 47))
    expected = 0.0
    for a, b, r in edges_within(atoms, 5.5):
        epsilon, sigma = (
            np.asarray(t)[a == 47, b == 47] for t in (potential.epsilon, potential.sigma)
        )
        expected += 0.5 * 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
    assert_allclose(energy(potential, atoms), expected, rtol=1e-12)


def edges_within(atoms, reach):
    """Atomic numbers and length of every directed edge, by plain loops over images."""
    for i, j in np.ndindex(len(atoms), len(atoms)):
        for shift in np.ndindex(7, 7, 7):
            vector = atoms.positions[j] - atoms.positions[i] + (np.array(shift) - 3) @ atoms.cell
            r = np.linalg.norm(vector)
            if 1e-9 < r < reach:
                yield atoms.numbers[i], atoms.numbers[j], r


def test_stillinger_weber_gives_the_cohesive_energy_of_silicon():
    # The published energy of diamond in its units is -2 epsilon per atom, at its minimum.
    found = energy(StillingerWeber.silicon(), bulk("Si", a=5.431))
    assert_allclose(found / 2, -2 * 2.1683, atol=1e-5)
    assert_allclose(found / 2, -4.3363, atol=5e-4)  # eV, as others print it for 2.1682 eV


def test_stillinger_weber_equals_a_plain_sum_over_triples():
    atoms, sw = alloy((14,), a=4.6, size=1), StillingerWeber.silicon()
    expected = np.zeros(len(atoms))
    images = (np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), -1).reshape(-1, 3)) @ atoms.cell.array
    for i, here in enumerate(atoms.positions):
        vectors = (atoms.positions[None] - here + images[:, None]).reshape(-1, 3) / 2.0951
        r = np.linalg.norm(vectors, axis=1)
        vectors, r = vectors[(r > 1e-9) & (r < 1.8)], r[(r > 1e-9) & (r < 1.8)]
        for j in range(len(r)):
            pair = 7.049556277 * (0.6022245584 / r[j] ** 4 - 1) * np.exp(1 / (r[j] - 1.8))
            expected[i] += 0.5 * 2.1683 * pair
            for k in range(j):
                cosine = vectors[j] @ vectors[k] / (r[j] * r[k])
                radial = np.exp(1.2 / (r[j] - 1.8) + 1.2 / (r[k] - 1.8))
                expected[i] += 2.1683 * 21 * radial * (cosine + 1 / 3) ** 2
    assert_allclose(results(sw, atoms).energies, expected, rtol=1e-11)


# eV per atom, the experimental cohesive energies that the paper's parameters are fitted to.
COHESIVE = {"Ni": 4.44, "Cu": 3.49, "Pd": 3.89, "Ag": 2.95, "Pt": 5.84, "Au": 3.81}


@pytest.mark.parametrize("symbol", SUTTON_CHEN)
def test_sutton_chen_gives_lattice_constants_and_cohesive_energies(symbol):
    a = SUTTON_CHEN[symbol][-1]
    # The density lost beyond 7 a, at worst 16 pi / (3 x 7^3) of 14.45, is 0.34 %.
    potential = SuttonChen.for_elements([atomic_numbers[symbol]], cutoff=7 * a)
    scales = np.linspace(0.985, 1.015, 7)
    crystals = [bulk(symbol, "fcc", a=a * scale) for scale in scales]
    curve = np.polyfit(scales, results(potential, crystals).energy, 4)
    minimum = min(np.roots(np.polyder(curve)).real, key=lambda x: abs(x - 1))
    assert_allclose(minimum, 1, atol=3e-3)
    assert_allclose(-np.polyval(curve, 1.0), COHESIVE[symbol], rtol=0.015)


def test_sutton_chen_mixes_by_the_usual_rules():
    atoms = Atoms("CuAg", [[0, 0, 0], [2.5, 0, 0]])
    cu, ag = SUTTON_CHEN["Cu"], SUTTON_CHEN["Ag"]
    n, m, a = (cu[0] + ag[0]) / 2, (cu[1] + ag[1]) / 2, (cu[4] + ag[4]) / 2
    pair = np.sqrt(cu[2] * ag[2]) * (a / 2.5) ** n
    expected = [0.5 * pair - one[3] * one[2] * np.sqrt((a / 2.5) ** m) for one in (cu, ag)]
    assert_allclose(
        results(SuttonChen.for_elements((29, 47)), atoms).energies, expected, rtol=1e-12
    )


@pytest.mark.parametrize("name", ["gp_Cu_d3_vp", "gp_CuAg_d3_vp"])
def test_gupta_from_maise_equals_a_plain_sum(name, maise_models):
    potential = Gupta.from_maise(maise_models / name)
    # Independent of our reader: in the file's order, seven rows for each pair of species.
    lines = (maise_models / name).read_text().splitlines()
    values = [float(line.split("|")[2]) for line in lines if "(eV) " in line or "(Ang) " in line]
    order = {"gp_Cu_d3_vp": [{"Cu"}], "gp_CuAg_d3_vp": [{"Cu"}, {"Cu", "Ag"}, {"Ag"}]}[name]
    pairs = {frozenset(p): values[7 * n : 7 * n + 7] for n, p in enumerate(order)}
    assert len(values) == 7 * len(order)
    atoms = alloy(potential.elements, size=1, a=7.2)
    species = atoms.get_chemical_symbols()
    repulsion, attraction = np.zeros(len(atoms)), np.zeros(len(atoms))
    for i, j in np.ndindex(len(atoms), len(atoms)):
        a, p, b, q, r_0, r_min, r_max = pairs[frozenset((species[i], species[j]))]
        for shift in np.ndindex(7, 7, 7):
            vector = atoms.positions[j] - atoms.positions[i] + (np.array(shift) - 3) @ atoms.cell
            r = np.linalg.norm(vector)
            if 1e-9 < r < r_max:
                fall = 0.5 * (1 + np.cos(np.pi * (r - r_min) / (r_max - r_min))) if r > r_min else 1
                repulsion[i] += a * np.exp(-p * (r / r_0 - 1)) * fall
                attraction[i] += b**2 * np.exp(-2 * q * (r / r_0 - 1)) * fall
    assert_allclose(results(potential, atoms).energies, repulsion - np.sqrt(attraction), rtol=1e-11)


def test_gupta_from_maise_binds_copper(maise_models):
    potential = Gupta.from_maise(str(maise_models / "gp_Cu_d3_vp"))
    energies = results(potential, [bulk("Cu", a=a) for a in (3.4, 3.615, 3.8)]).energy
    assert energies[1] < min(energies[0], energies[2])
    assert_allclose(energies[1], -3.5, atol=0.1)  # eV, the cohesive energy it is fitted to


def test_what_a_potential_cannot_be_is_refused():
    with pytest.raises(InputError, match=r"no parameters for Fe.*covers Al"):
        EMT.for_elements((26, 29))
    with pytest.raises(InputError, match=r"no parameters for Fe.*known are"):
        SuttonChen.for_elements((26, 29))
    with pytest.raises(InputError, match="give 0 <= onset < cutoff"):
        SuttonChen.for_elements((29,), cutoff=5.0, onset=6.0)
    with pytest.raises(InputError, match="one atomic number"):
        replace(StillingerWeber.silicon(), elements=(14, 32))
    with pytest.raises(InputError, match="ascending"):
        LennardJones((47, 29), 1.0, 1.0, 5.0)
    with pytest.raises(InputError, match="length above 0"):
        LennardJones((29,), 1.0, 1.0, 0.0)
    with pytest.raises(InputError, match="below the cutoff"):
        LennardJones((29,), 1.0, 1.0, 5.0, onset=5.0)
    with pytest.raises(InputError, match=r"sigma has the shape \(3,\)"):
        energy(LennardJones((29,), 1.0, np.ones(3), 5.0), bulk("Cu"))
