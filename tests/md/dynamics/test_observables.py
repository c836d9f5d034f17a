"""Observables of motion that is known, and of crystals; g(r) as ASE has it."""

import numpy as np
import pytest
from ase.build import bulk
from ase.geometry.rdf import get_rdf
from numpy.testing import assert_allclose
from scipy.integrate import trapezoid

from stratal.errors import InputError
from stratal.md import MDConfig, run_md
from stratal.md.dynamics.observables import (
    averages,
    diffusion_coefficient,
    lindemann_ratio,
    mean_of,
    mean_square_displacement,
    radial_distribution,
    velocity_autocorrelation,
    vibrational_spectrum,
)
from stratal.potentials import EMT

TIMES = 0.01 * np.arange(400)  # ps


def test_mean_square_displacement_is_its_definition():
    positions = np.cumsum(np.random.default_rng(0).normal(size=(40, 3, 3)), axis=0)
    curve = mean_square_displacement(positions, TIMES[:40])
    direct = [
        np.square(positions[lag:] - positions[: 40 - lag]).sum(axis=2).mean() for lag in range(40)
    ]
    assert_allclose(curve.y, direct, atol=1e-9)


def test_diffusion_of_a_random_walk():
    step = 0.1  # Å in each direction, every 0.01 ps
    walk = np.cumsum(np.random.default_rng(1).normal(0, step, (400, 500, 3)), axis=0)
    expected = step**2 / (2 * 0.01)
    assert_allclose(
        diffusion_coefficient(mean_square_displacement(walk, TIMES)), expected, rtol=0.05
    )


def test_vibrations_of_an_oscillator():
    frequency = 5.0  # THz
    velocities = np.cos(2 * np.pi * frequency * TIMES)[:, None, None] * np.ones((1, 2, 3))
    correlated = velocity_autocorrelation(velocities, TIMES)
    assert_allclose(correlated.y[:100], np.cos(2 * np.pi * frequency * TIMES[:100]), atol=0.02)
    spectrum = vibrational_spectrum(correlated)
    assert_allclose(spectrum.x[spectrum.y.argmax()], frequency, atol=0.3)
    assert_allclose(trapezoid(spectrum.y, spectrum.x), 1.0)


def test_errors_count_correlation():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=4096)
    assert_allclose(mean_of(noise).error, 1 / 64, rtol=0.5)
    correlated = np.repeat(rng.normal(size=256), 16)  # as many numbers, fewer of them independent
    assert_allclose(mean_of(correlated).error, 1 / 16, rtol=0.5)
    assert str(mean_of(np.arange(16.0))).startswith("7.5 ± ")
    assert np.isnan(mean_of(np.ones(3)).error)


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    config = MDConfig(steps=100, timestep=2.0, temperature=100.0, sample_every=5, frame_every=25)
    return run_md(
        [crystal], EMT.for_elements([29]), config, tmp_path_factory.mktemp("run")
    ).trajectory()


def test_radial_distribution_is_that_of_ase(trajectory):
    curve = radial_distribution(trajectory, cutoff=3.2, n_bins=50)
    frames = [trajectory.atoms(n) for n in range(4)]
    expected = np.mean([get_rdf(atoms, 3.2, 50)[0] for atoms in frames], axis=0)
    assert_allclose(curve.y, expected, rtol=1e-9, atol=1e-9)
    density, width = len(frames[0]) / frames[0].cell.volume, curve.x[1] - curve.x[0]
    shells = 4 / 3 * np.pi * ((curve.x + width / 2) ** 3 - (curve.x - width / 2) ** 3)
    assert_allclose((density * shells * curve.y).sum(), 12)  # neighbors


def test_averages_and_the_lindemann_ratio_of_a_cool_crystal(trajectory):
    (row,) = averages(trajectory)
    assert row["atoms"] == 32 and row["temperature, K"].split()[0] != "nan"
    positions, velocities = trajectory.system(0)
    assert 0.005 < lindemann_ratio(positions, 2.55) < 0.05
    kinetic = 0.5 * 63.546 * np.square(velocities).sum(axis=(1, 2)) * 1.0364e-4  # amu (Å/ps)², eV
    sampled = trajectory.kinetic[np.isin(trajectory.steps, trajectory.frame_steps), 0]
    assert_allclose(kinetic, sampled, rtol=1e-4)
    assert_allclose(trajectory.frame_times, [0.05, 0.1, 0.15, 0.2])


def test_a_trajectory_without_frames_has_no_distribution(tmp_path):
    config = MDConfig(steps=20, frame_every=0)
    run = run_md([bulk("Cu", cubic=True)], EMT.for_elements([29]), config, tmp_path)
    with pytest.raises(InputError, match="has no frames"):
        radial_distribution(run.trajectory())
