"""Dynamics: what is conserved, what does not depend on what, how runs are interrupted."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from ase.constraints import FixAtoms
from ase.md.verlet import VelocityVerlet
from numpy.testing import assert_allclose, assert_array_equal
from tests.md.deaths import through_deaths

from stratal.descriptors.cell_plan import CellListPlan
from stratal.errors import InputError
from stratal.files import read_frames
from stratal.md import MDConfig, Trajectory, run_md
from stratal.md.dynamics import run as dynamics_run
from stratal.md.dynamics.simulation import Simulation
from stratal.potentials import EMT
from stratal.potentials.analytic import LennardJones

POTENTIAL = EMT.for_elements([29, 47])


def crystal(seed=0, size=(1, 1, 2), kelvin=600.0):
    """Rattled Cu-Ag with momenta."""
    atoms = bulk("Cu", a=3.8, cubic=True) * size
    rng = np.random.default_rng(seed)
    atoms.numbers[rng.random(len(atoms)) < 0.3] = 47
    atoms.rattle(0.02, seed=seed)
    momenta = np.sqrt(atoms.get_masses()[:, None] * units.kB * kelvin) * rng.normal(
        size=(len(atoms), 3)
    )
    atoms.set_momenta(
        momenta - atoms.get_masses()[:, None] * momenta.sum(0) / sum(atoms.get_masses())
    )
    return atoms


def simulated(frames, potential=POTENTIAL, **settings):
    """All samples, and the simulation at its end."""
    with jax.enable_x64(True):
        run = Simulation(potential, frames, MDConfig(**settings))
        blocks = []
        while run.n_done < run.n_total:
            blocks.append(run.block())
        samples = jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)
    return samples, run


NVE = {"thermostat": "none", "steps": 100, "timestep": 2.0, "sample_every": 10, "frame_every": 20}


def test_verlet_takes_the_steps_of_ase():
    atoms = crystal()
    samples, _ = simulated([atoms], **NVE)
    order = np.argsort(atoms.numbers, kind="stable")
    atoms.calc = AseEMT()
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)
    for sample in range(10):
        dynamics.run(10)
        assert_allclose(samples.positions[sample, 0], atoms.positions[order], atol=1e-8)
        assert_allclose(samples.momenta[sample, 0], atoms.get_momenta()[order], atol=1e-7)
        assert_allclose(samples.energy[sample, 0], atoms.get_potential_energy(), atol=1e-8)
        assert_allclose(samples.temperature[sample, 0], atoms.get_temperature() * 8 / 7)
        stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
        assert_allclose(samples.pressure[sample, 0], -stress, atol=1e-8)


def test_energy_and_momentum_are_conserved_whatever_the_list():
    samples, run = simulated([crystal(kelvin=1500.0)], **{**NVE, "skin": 0.3})
    assert int(run.state.n_lists) > 3
    assert np.ptp(samples.conserved) < 0.02 * samples.kinetic.mean()
    assert_allclose(samples.momenta.sum(axis=2), 0, atol=1e-9)


def test_going_back_leads_back():
    atoms = crystal()
    _, there = simulated([atoms], **NVE)
    back = dynamics_run.final(there)[0]
    back.set_momenta(-back.get_momenta())
    _, again = simulated([back], **NVE)
    assert_allclose(dynamics_run.final(again)[0].positions, atoms.positions, atol=1e-7)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "bussi", "langevin"])
def test_what_the_bath_takes_is_accounted_for(thermostat):
    """The conserved quantity fluctuates with the square of the time step and does not drift."""
    spread = []
    for timestep in (4.0, 2.0):
        how = {**NVE, "thermostat": thermostat, "timestep": timestep, "frame_every": 0}
        samples, _ = simulated([crystal()], **{**how, "steps": int(800 / timestep)})
        spread.append(np.abs(samples.conserved - samples.conserved[0]).max())
        assert np.std(samples.kinetic + samples.energy) > 10 * samples.conserved.std()
    assert spread[1] < 0.5 * spread[0]


def test_systems_side_by_side_do_as_alone():
    frames = [crystal(1, (1, 1, 2)), crystal(2, (2, 1, 1)), crystal(3, (1, 1, 1))]
    together, _ = simulated(frames, **NVE)
    for number, atoms in enumerate(frames):
        alone, _ = simulated([atoms], **NVE)
        assert_allclose(together.energy[:, number], alone.energy[:, 0], atol=1e-8)
        own = together.positions[:, number, : len(atoms)]
        assert_allclose(own, alone.positions[:, 0], atol=1e-7)


def test_replicas_differ_and_a_seed_repeats():
    how = {"steps": 20, "sample_every": 10, "frame_every": 10, "replicas": 2}
    one, _ = simulated([bulk("Cu", cubic=True)], **how)
    other, _ = simulated([bulk("Cu", cubic=True)], **how)
    assert_array_equal(one.positions, other.positions)
    assert abs(one.positions[:, 0] - one.positions[:, 1]).max() > 1e-3


def test_targets_change_evenly():
    how = {"steps": 200, "sample_every": 10, "frame_every": 0, "relaxation_time": 20.0}
    samples, run = simulated(
        [bulk("Cu", cubic=True)], temperature=200.0, temperature_end=800.0, replicas=8, **how
    )
    with jax.enable_x64(True):
        targets = [float(run.schedule.at(step).temperature[0]) for step in (0, 100, 200, 300)]
    assert_allclose(targets, [200, 500, 800, 800])
    mean = samples.temperature.mean(axis=1)
    assert mean[:5].mean() < 350 and mean[-5:].mean() > 600


def test_a_barostat_finds_the_volume_at_its_pressure():
    """At little temperature the volume is that of the equation of state."""
    how = {"steps": 600, "timestep": 4.0, "sample_every": 20, "frame_every": 0, "replicas": 2}
    for barostat in ("isotropic", "full"):
        samples, _ = simulated(
            [bulk("Cu", cubic=True)],
            temperature=5.0,
            barostat=barostat,
            pressure_gpa=5.0,
            cell_relaxation_time=200.0,
            relaxation_time=50.0,
            **how,
        )
        pressure = np.trace(samples.pressure[-10:], axis1=2, axis2=3).mean() / 3 / units.GPa
        assert_allclose(pressure, 5.0, atol=0.3)


def test_fixed_atoms_stay():
    atoms = crystal()
    atoms.set_constraint(FixAtoms([3, 5]))
    samples, run = simulated([atoms], **{**NVE, "thermostat": "langevin"})
    found = dynamics_run.final(run)[0]
    assert_array_equal(found.positions[[3, 5]], atoms.positions[[3, 5]])
    assert abs(found.positions - atoms.positions)[[0, 1]].min() > 0
    assert float(run.state.n_dof[0]) == 3 * 6
    del samples


def test_a_list_that_is_too_small_makes_the_block_again():
    """Two crystals that fall together: rows grow far beyond the first guess."""
    gas = bulk("Cu", a=5.2, cubic=True)
    gas.set_momenta(np.zeros((len(gas), 3)))
    how = {**NVE, "steps": 60, "frame_every": 0, "thermostat": "none"}
    samples, run = simulated([gas], barostat="none", **how)
    squeezed = gas.copy()
    squeezed.set_cell(0.6 * gas.cell.array, scale_atoms=True)
    both, wider = simulated([gas, squeezed], **how)
    assert wider.program.plan.n_neighbors > run.program.plan.n_neighbors
    assert_allclose(both.energy[:, 0], samples.energy[:, 0], atol=1e-9)


def test_a_cell_that_shrank_for_a_while_gets_a_list_that_holds_for_it():
    # A large system: its list fails where bins become narrower than its reach.
    pairs = LennardJones((18,), 0.0103, 3.4, cutoff=6.0)
    atoms = bulk("Ar", a=5.3, cubic=True) * (4, 4, 4)
    with jax.enable_x64(True):
        run = Simulation(pairs, [atoms], MDConfig(barostat="isotropic"))
        lists, before = run.state.neighbors, run.program.plan
        shrunken = {"positions": 0.93 * lists.positions, "cell": 0.93 * lists.cell}
        overflow = np.ones(1, bool)
        found = replace(run.state, neighbors=replace(lists, overflow=overflow, **shrunken))
        run.widen(found)
    after = run.program.plan
    assert isinstance(after, CellListPlan) and isinstance(before, CellListPlan)
    assert after.n_bins < before.n_bins


def test_what_explodes_is_said():
    atoms = crystal(kelvin=300.0)
    with pytest.raises(InputError, match=r"exploded by step \d+.*shorter time step than 500"):
        simulated([atoms], **{**NVE, "timestep": 500.0})
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(InputError, match="structure 0: two atoms overlap"):
        simulated([atoms], **NVE)


def test_forces_in_single_precision_move_in_double():
    double, _ = simulated([crystal()], **NVE)
    single, run = simulated([crystal()], **NVE, precision="float32")
    assert run.state.momenta.dtype == np.float64
    assert_allclose(single.positions, double.positions, atol=2e-4)
    assert np.ptp(single.conserved) < 2 * np.ptp(double.conserved) + 1e-4


@pytest.mark.parametrize("ensemble", [{"thermostat": "nose-hoover"}, {"barostat": "full"}])
def test_a_run_killed_at_any_instant_goes_on_to_the_same_result(tmp_path, monkeypatch, ensemble):
    frames = [crystal(1, (1, 1, 2)), crystal(2, (1, 1, 1))]
    config = MDConfig(steps=200, sample_every=10, frame_every=20, seed=3, **ensemble)
    monkeypatch.setattr("stratal.md.dynamics.simulation.WORK", 300)  # blocks of a few steps
    whole = run_md(frames, POTENTIAL, config, tmp_path / "whole").trajectory()
    cut = tmp_path / "cut"

    def attempt(kills):
        run_md(frames, POTENTIAL, config, cut, resume=True, interval=0.0 if kills % 2 else 60.0)

    through_deaths(monkeypatch, Simulation, "block", attempt)
    found = Trajectory.open(cut)
    for name, value in vars(whole).items():
        jax.tree.map(assert_array_equal, getattr(found, name), value)
    assert whole.steps[-1] == 200 and len(whole.frame_steps) == 10
    last, other = (read_frames(tmp_path / name / "final.extxyz") for name in ("whole", "cut"))
    for a, b in zip(last, other, strict=True):
        assert_array_equal(a.positions, b.positions)
        assert_array_equal(a.get_momenta(), b.get_momenta())
    assert_allclose(whole.atoms(-1, 1).get_masses().sum(), frames[1].get_masses().sum())


def test_a_folder_of_another_run_is_refused(tmp_path):
    config = MDConfig(steps=20, frame_every=20)
    atoms = bulk("Cu", cubic=True)
    run_md([atoms], POTENTIAL, config, tmp_path)
    with pytest.raises(InputError, match="holds a run of dynamics"):
        run_md([atoms], POTENTIAL, config, tmp_path)
    with pytest.raises(InputError, match="of other structures, another potential"):
        run_md([atoms], POTENTIAL, replace(config, seed=1), tmp_path, resume=True)
    with pytest.raises(InputError, match="no run of dynamics there"):
        Trajectory.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"timestep": 0.0}, "md.timestep = 0.0: give a number above 0"),
        ({"temperature": -1.0}, "md.temperature = -1.0: give 0 or more"),
        ({"thermostat": "warm"}, "md.thermostat = 'warm': give one of bussi"),
        ({"barostat": "full", "thermostat": "langevin"}, "together with thermostat bussi"),
        ({"frame_every": 15}, "give a multiple of sample_every = 10"),
        ({"steps": 10_050}, "so that the last sample is at the end"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MDConfig(**settings)


def test_barostats_are_for_crystals_that_are_free():
    held = bulk("Cu", cubic=True)
    held.set_constraint(FixAtoms([0]))
    for atoms, message in (
        (held, "atoms are fixed, but a barostat moves them"),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]), "periodic in three directions"),
    ):
        with pytest.raises(InputError, match=message):
            simulated([atoms], barostat="full", steps=10, frame_every=0)
    with pytest.raises(InputError, match=r"2 systems of up to 1372 atoms.*move alone"):
        simulated([bulk("Cu", cubic=True) * (7, 7, 7)], replicas=2, steps=10, frame_every=0)
    with pytest.raises(InputError, match="no structures to move"):
        simulated([], steps=10, frame_every=0)
