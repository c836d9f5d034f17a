"""Monte Carlo of alloys: against sums over all arrangements, and full evaluations."""

from dataclasses import replace
from itertools import product

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from ase.constraints import FixAtoms
from ase.units import kB
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.md.deaths import through_deaths
from tests.potentials.moment_strata import random_moment_strata

from stratal.descriptors import Structures
from stratal.descriptors.host_list import neighbor_list
from stratal.errors import InputError
from stratal.files import read_frames
from stratal.md.monte_carlo.chain import Chain
from stratal.md.monte_carlo.local import energies_around
from stratal.md.monte_carlo.record import Record, averages
from stratal.md.monte_carlo.run import run_mc
from stratal.md.monte_carlo.settings import MCConfig
from stratal.potentials.analytic import EMT, LennardJones
from stratal.potentials.chunks import evaluate_at_once as evaluate
from stratal.potentials.compiled import compiled
from stratal.potentials.compose import compose

ALLOY = EMT.for_elements([29, 47])
MOMENTS = compose(random_moment_strata("Cu", "Ag"), (29, 47))
SPACING, COUPLING = 2.5, 0.05  # Å, eV


def square(size, checkered=True):
    """A square lattice of copper and silver."""
    sites = np.array([(x, y, 0) for x in range(size) for y in range(size)])
    symbols = np.where(sites.sum(axis=1) % 2 == checkered, "Cu", "Ag")
    cell = [size * SPACING, size * SPACING, 10.0]
    return Atoms(symbols, SPACING * sites, cell=cell, pbc=(True, True, False))


def ising(coupling=COUPLING):
    """Pairs on the square lattice: -0.5 eV between like atoms, lower by 2 J between unlike ones."""
    depth = np.array([[0.5, 0.5 + 2 * coupling], [0.5 + 2 * coupling, 0.5]])
    sigma = np.full((2, 2), SPACING / 2 ** (1 / 6))
    return LennardJones((29, 47), depth, sigma, cutoff=1.1 * SPACING, shift=False)


def arrangements(size):
    """Energies (eV) and numbers of silver atoms of all arrangements on a torus."""
    spins = np.array(list(product((0, 1), repeat=size * size))).reshape(-1, size, size)
    unlike = np.sum([(spins != np.roll(spins, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2)], 0)
    bonds = 2 * size**2
    return -0.5 * bonds - 2 * COUPLING * unlike, spins.sum(axis=(1, 2))


def ran(frames, potential, folder, **settings):
    return run_mc(frames, potential, MCConfig(frame_every=0, **settings), folder).record()


@pytest.mark.parametrize("mu", [0.0, 0.08])
def test_a_bath_of_atoms_gives_the_sum_over_all_arrangements(tmp_path, mu):
    kelvin = 900.0
    bath = {"Cu": 0.0, "Ag": mu}
    how = {"sweeps": 300, "replicas": 24, "temperature": kelvin, "sample_every": 2}
    record = ran([square(3)], ising(), tmp_path, chemical_potentials=bath, **how)
    energies, silver = arrangements(3)
    weights = np.exp(-(energies - mu * silver - (energies - mu * silver).min()) / (kB * kelvin))
    weights /= weights.sum()
    late = slice(25, None)
    found = record.energy[late], record.counts[late, :, 1]
    for series, values in zip(found, (energies, silver), strict=True):
        exact, spread = weights @ values, np.sqrt(weights @ values**2 - (weights @ values) ** 2)
        error = series.mean(axis=0).std(ddof=1) / np.sqrt(series.shape[1])
        assert abs(series.mean() - exact) < 4 * error  # one run in 10,000 is farther off
        assert error < 0.08 * spread
        assert_allclose(series.std(), spread, rtol=0.05)


def test_exchanges_give_the_sum_over_arrangements_of_one_composition(tmp_path):
    kelvin = 700.0
    record = ran(
        [square(3)], ising(), tmp_path, sweeps=200, replicas=24, temperature=kelvin, sample_every=2
    )
    energies, silver = arrangements(3)
    energies = energies[silver == record.counts[0, 0, 1]]
    weights = np.exp(-(energies - energies.min()) / (kB * kelvin))
    exact = weights @ energies / weights.sum()
    series = record.energy[20:]
    error = series.mean(axis=0).std(ddof=1) / np.sqrt(series.shape[1])
    assert abs(series.mean() - exact) < 4 * error < 0.02
    assert (record.counts == record.counts[:1]).all()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), moments=st.booleans())
def test_energies_around_a_change_are_those_of_all_atoms(seed, moments):
    rng = np.random.default_rng(seed)
    potential = MOMENTS if moments else ALLOY
    atoms = bulk("Cu", cubic=True) * (3, 3, 2)
    atoms.rattle(0.1, seed=seed % 2**31)
    atoms.numbers[rng.permutation(len(atoms))[:30]] = 47
    changed = atoms.copy()
    places = rng.choice(len(atoms), 2, replace=False)
    changed.numbers[places] = rng.choice([29, 47], 2)
    around = compiled(energies_around)
    with jax.enable_x64(True):
        before, after = (Structures.from_atoms(frame, (29, 47)) for frame in (atoms, changed))
        neighbors = neighbor_list(before, potential.cutoff, 0.3)
        energies = evaluate(potential, before, neighbors).energies[None]
        found = around(
            potential,
            jax.tree.map(jax.numpy.asarray, before),
            jax.tree.map(jax.numpy.asarray, neighbors),
            jax.numpy.asarray(after.species)[None],
            jax.numpy.asarray(places)[None],
            energies,
        )
        exact = evaluate(potential, after, neighbor_list(after, potential.cutoff, 0.3)).energies
    assert_allclose(found[0], exact, atol=1e-11)


def test_exchanges_at_no_cost_leave_no_order(tmp_path):
    waves = ((3, 3, 0), (1, 0, 0))
    record = ran([square(6)], ising(0.0), tmp_path, sweeps=200, replicas=4, wavevectors=waves)
    assert (record.acceptance == 1).all()
    late = record.short_range_order[10:, :, 0, 0, 1]
    error = late.std() / np.sqrt(late.size)
    # An atom is not its own neighbor: there are N / 2 of the others among N - 1 sites.
    assert abs(late.mean() + 1 / 35) < 4 * error < 0.02
    assert_allclose(record.structure_factors[10:].mean(), 0.25 * 36 / 35, rtol=0.1)  # x (1 - x)


def test_sites_of_a_checkerboard(tmp_path):
    record = ran(
        [square(6)], ising(), tmp_path, sweeps=1, temperature=0.0, wavevectors=((3, 3, 0),)
    )
    assert record.acceptance[0, 0] == 0  # the ground state stays
    assert_allclose(record.structure_factors[0, 0, 0], [9, 9], atol=1e-9)  # N / 4
    assert_allclose(record.short_range_order[0, 0, 0], [[1, -1], [-1, 1]], atol=1e-6)
    assert_allclose(record.pairs[0, 0, 0], [[0, 72], [72, 0]])


@pytest.mark.parametrize("between", ["nothing", "relax"])
def test_energies_are_those_of_the_arrangement(tmp_path, between):
    atoms = bulk("Cu", cubic=True, a=3.8) * (2, 1, 1)
    atoms.numbers[:3] = 47
    atoms.set_constraint(FixAtoms([0, 7]))
    config = MCConfig(
        sweeps=4,
        temperature=800.0,
        between=between,
        between_every=2,
        frame_every=2,
        cell="fixed",
        fmax=0.05,
    )
    done = run_mc([atoms], ALLOY, config, tmp_path)
    record = done.record()
    assert done.n_sweeps == 4 and list(record.frame_sweeps) == [2, 4]
    last = record.atoms(-1)
    assert (last.numbers == 47).sum() == 3
    held = np.linalg.norm(last.positions - atoms.positions[[0]], axis=1).argmin()
    assert last.numbers[held] == 47  # a fixed atom keeps its element, and its place
    assert_allclose(last.positions[held], atoms.positions[0], atol=1e-12)
    if between == "nothing":
        last.calc = AseEMT()
        assert_allclose(record.energy[-1, 0], last.get_potential_energy(), atol=1e-9)
        assert_allclose(
            read_frames(tmp_path / "final.extxyz")[0].get_potential_energy(),
            record.energy[-1, 0],
            atol=1e-9,
        )
    else:
        assert np.abs(np.sort(last.positions, axis=0) - np.sort(atoms.positions, axis=0)).max() > 0
    (row,) = averages(record)
    assert row["Ag"].startswith("0.375")


@pytest.mark.parametrize("between", ["nothing", "md"])
def test_a_run_killed_at_any_instant_goes_on_to_the_same_result(tmp_path, monkeypatch, between):
    frames = [square(4), square(3)] if between == "nothing" else [bulk("Cu", cubic=True)]
    frames[0].numbers[:2] = 47
    potential = ising() if between == "nothing" else ALLOY
    config = MCConfig(
        sweeps=40,
        between=between,
        between_every=4,
        frame_every=8,
        md_steps=5,
        sample_every=2,
        temperature=900.0,
        chemical_potentials={"Cu": 0.0, "Ag": 0.02},
        seed=2,
    )
    monkeypatch.setattr("stratal.md.monte_carlo.chain.TRIALS", 64)  # blocks of a few sweeps
    whole = run_mc(frames, potential, config, tmp_path / "whole").record()
    cut = tmp_path / "cut"

    def attempt(kills):
        run_mc(frames, potential, config, cut, resume=True, interval=0.0 if kills % 2 else 60.0)

    through_deaths(monkeypatch, Chain, "block", attempt)
    for name, value in vars(whole).items():
        assert_array_equal(getattr(Record.open(cut), name), value)
    assert whole.sweep[-1] == 40 and len(whole.frame_sweeps) == 5


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"sweeps": 0}, "mc.sweeps = 0"),
        ({"between": "sleep"}, "mc.between"),
        ({"chemical_potentials": {"Cu": 0.0}}, "nothing to turn into"),
        ({"chemical_potentials": {"Cu": 0.0, "Xx": 0.0}}, "'Xx' is no element"),
        ({"shells": (3.0, 2.0)}, "ascending"),
        ({"sweeps": 105}, "multiple of 100"),
        ({"frame_every": 7, "sample_every": 2}, "mc.frame_every = 7"),
        ({"temperatures": (-1.0,)}, "0 K or more"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        MCConfig(**wrong)


def test_systems_in_which_nothing_can_change_are_refused(tmp_path):
    config = MCConfig(sweeps=1, frame_every=0)
    with pytest.raises(InputError, match="nothing to exchange"):
        run_mc([bulk("Cu", cubic=True)], ALLOY, config, tmp_path)
    bath = replace(config, chemical_potentials={"Cu": 0.0, "Pd": 0.0})
    with pytest.raises(InputError, match="Pd is not covered"):
        run_mc([bulk("Cu", cubic=True)], ALLOY, bath, tmp_path)
    with pytest.raises(InputError, match="the reach of the potential"):
        run_mc([square(3)], ising(), replace(config, shells=(20.0,)), tmp_path)
    with pytest.raises(InputError, match="no run of Monte Carlo there"):
        Record.open(tmp_path / "nowhere")
