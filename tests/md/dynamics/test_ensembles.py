"""Dynamics samples the ensembles that it promises: the tests of physical_validation."""

import jax
import numpy as np
import pytest
from ase import Atoms, units

from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.simulation import Simulation
from stratal.potentials import LennardJones

N_ATOMS, REPLICAS, SAMPLES = 32, 24, 50
ARGON = LennardJones((18,), 0.0104, 3.4, 6.5, smooth=True)
EVERY = 250  # steps of 4 fs: total energies of baths that rescale all momenta change slowly
# K, GPa: a dense fluid above its critical point, which moves fast; distributions overlap by half.
COLD, HOT, LOW, HIGH = 160.0, 200.0, 0.15, 0.22


def argon():
    """Argon in a cubic box, on the sites of a crystal: it melts at once."""
    length = (N_ATOMS / 0.021) ** (1 / 3)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sites = sites[sites.sum(axis=1) % 2 == 0]  # fcc
    return Atoms(f"Ar{N_ATOMS}", sites * length / 4, cell=[length] * 3, pbc=True)


def sampled(temperature, pressure=None, **settings):
    """Kinetic and potential energies (eV) and volumes (Å³) of all replicas, apart enough."""
    config = MDConfig(
        steps=EVERY * (SAMPLES + 10),
        timestep=4.0,
        temperature=temperature,
        pressure_gpa=pressure or 0.0,
        replicas=REPLICAS,
        relaxation_time=100.0,
        cell_relaxation_time=300.0,
        compressibility=0.5,
        sample_every=EVERY,
        frame_every=0,
        **settings,
    )
    with jax.enable_x64(True):
        run = Simulation(ARGON, [argon()], config)
        blocks = []
        while run.n_done < run.n_total:
            blocks.append(run.block())
    late = slice(10, None)
    kinetic, energy, cell = (
        np.concatenate([getattr(block, name) for block in blocks])[late]
        for name in ("kinetic", "energy", "cell")
    )
    return kinetic.ravel(), energy.ravel(), abs(np.linalg.det(cell)).ravel(), run


def as_data(found, temperature, pressure=None):
    """What physical_validation takes."""
    from physical_validation import data

    kinetic, energy, volume, run = found
    unit = data.UnitData(
        kb=units.kB,
        energy_conversion=1 / (units.kJ / units.mol),
        length_conversion=0.1,
        volume_conversion=1e-3,
        temperature_conversion=1.0,
        pressure_conversion=1 / units.bar,
        time_conversion=1.0,
    )
    lost = 3 if run.config.ensemble.fixes_momentum else 0
    system = data.SystemData(
        natoms=N_ATOMS,
        nconstraints=0,
        ndof_reduction_tra=lost,
        ndof_reduction_rot=0,
        mass=np.full(N_ATOMS, 39.948),
    )
    if pressure is None:
        state = data.EnsembleData("NVT", N_ATOMS, volume=volume[0], temperature=temperature)
    else:
        state = data.EnsembleData(
            "NPT", N_ATOMS, pressure=pressure * units.GPa, temperature=temperature
        )
    series = data.ObservableData(
        kinetic_energy=kinetic,
        potential_energy=energy,
        total_energy=kinetic + energy,
        volume=volume,
    )
    return data.SimulationData(
        units=unit, dt=1.0, system=system, ensemble=state, observables=series
    )


@pytest.fixture(autouse=True)
def jax_as_it_was():
    """physical_validation's pymbar switches all of jax to 64 bits."""
    yield
    jax.config.update("jax_enable_x64", False)


def kinetic_is_right(data):
    """Mean and width of the kinetic energies within three standard errors of the exact ones."""
    from physical_validation import kinetic_energy

    off = kinetic_energy.distribution(
        data, strict=False, verbosity=0, bootstrap_seed=0, data_is_uncorrelated=True
    )
    assert max(np.abs(off)) < 3.0, off


def ratio_is_right(one, other):
    """The ratio of two distributions follows the Boltzmann factors."""
    from physical_validation import ensemble

    off = ensemble.check(one, other, verbosity=0, bootstrap_seed=0, data_is_uncorrelated=True)
    assert max(np.abs(off)) < 3.0, off


@pytest.mark.slow
@pytest.mark.parametrize("thermostat", ["bussi", "langevin", "nose-hoover"])
def test_thermostats_sample_the_canonical_ensemble(thermostat):
    states = [
        as_data(sampled(t, thermostat=thermostat, seed=n), t) for n, t in enumerate((COLD, HOT))
    ]
    for state in states:
        kinetic_is_right(state)
    ratio_is_right(*states)


@pytest.mark.slow
@pytest.mark.parametrize("barostat", ["isotropic", "anisotropic", "full"])
def test_barostats_sample_the_isothermal_isobaric_ensemble(barostat):
    at = [(COLD, LOW), (COLD, HIGH), (HOT, LOW)]
    states = [
        as_data(sampled(*place, barostat=barostat, seed=n), *place) for n, place in enumerate(at)
    ]
    for state in states:
        kinetic_is_right(state)
    ratio_is_right(states[0], states[1])
    ratio_is_right(states[0], states[2])
