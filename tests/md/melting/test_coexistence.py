"""Melting points: what tells crystal from melt, verdicts, the way from trial to trial, the line."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from stratal.errors import InputError
from stratal.md import MDConfig
from stratal.md.dynamics.observables import Mean
from stratal.md.dynamics.run import Finished
from stratal.md.melting import coexistence as melting
from stratal.md.melting import two_phases
from stratal.md.melting.bond_order import coherence, crystalline
from stratal.md.melting.coexistence import (
    MeltingConfig,
    Trial,
    elongated,
    melting_point,
    next_temperature,
    through,
)
from stratal.md.melting.two_phases import Coexistence, stretched, upper, verdict, with_room
from stratal.md.structures.radial_distribution import shortest_distances
from stratal.potentials.analytic import LennardJones

LATTICES = {
    "fcc": bulk("Cu", cubic=True),
    "bcc": bulk("Fe", cubic=True),
    "hcp": bulk("Mg", orthorhombic=True),
    "diamond": bulk("Si", cubic=True),
    "B2": bulk("NiAl", "cesiumchloride", a=2.88, cubic=True),
}
POTENTIAL = LennardJones((18,), 0.010323, 3.405, cutoff=2.5 * 3.405)
ARGON = elongated(bulk("Ar", a=5.4, cubic=True), 288, aspect=2.7)


def nearest(crystal):
    """Distance of neighbors in a unit cell, Å."""
    return min(shortest_distances(crystal).values())


def shaken(crystal, length, seed=0):
    """A copy whose atoms are moved by some length (Å) along each axis."""
    found = crystal.copy()
    found.rattle(length, seed=seed)
    return found


@pytest.mark.parametrize("name", LATTICES)
def test_crystals_are_told_from_melts(name):
    unit = LATTICES[name]
    apart, crystal = nearest(unit), elongated(unit, 150)
    assert_allclose(coherence(crystal, 1.35 * apart), 1, atol=1e-9)
    # Lindemann: crystals melt where atoms move by about a tenth, 0.06 along each axis.
    assert crystalline(shaken(crystal, 0.06 * apart), 1.35 * apart).mean() > 0.97
    assert crystalline(shaken(crystal, 0.5 * apart), 1.35 * apart).mean() < 0.05


def test_half_a_melt_is_found_where_it_is():
    unit = bulk("Cu", cubic=True)
    apart, cell = nearest(unit), elongated(unit, 600, aspect=3)
    upper = cell.get_scaled_positions()[:, 2] > 0.49
    both = shaken(cell, 0.04 * apart)
    both.positions[upper] = shaken(cell, 0.5 * apart).positions[upper]
    found = crystalline(both, 1.35 * apart)
    assert found[upper].mean() < 0.1
    # Atoms at the two interfaces have neighbors in the melt.
    assert found[~upper].mean() > 0.75


def test_coherence_does_not_change_under_rotation():
    atoms = shaken(bulk("Cu", cubic=True) * 2, 0.2)
    turn = Rotation.random(random_state=0).as_matrix()
    turned = Atoms(atoms.numbers, atoms.positions @ turn.T, cell=atoms.cell @ turn.T, pbc=True)
    assert_allclose(coherence(turned, 3.4), coherence(atoms, 3.4), atol=1e-10)


def test_atoms_without_neighbors_are_not_crystalline():
    assert not crystalline(Atoms("Cu2", [[0, 0, 0], [9, 0, 0]]), 3.4).any()


def test_cells_are_elongated():
    crystal = bulk("Cu", cubic=True, a=3.6)
    cell = elongated(crystal, 1000)
    assert_allclose(cell.cell.lengths(), [18, 18, 36])
    assert len(cell) == 1000
    assert_allclose(elongated(crystal, 500, aspect=4).cell.lengths(), [10.8, 10.8, 46.8])
    longer = stretched(cell, 1.01)
    assert_allclose(longer.cell.lengths(), [18, 18, 36.36])
    assert_allclose(longer.get_scaled_positions(), cell.get_scaled_positions(), atol=1e-12)


def test_the_half_that_melts_gets_room():
    cell = elongated(bulk("Cu", cubic=True, a=3.6), 300, aspect=4)
    cell.positions += [0, 0, 0.9]  # layers at 1/8, 3/8, ... of a period, none at the middle
    found, height = with_room(cell), cell.cell.lengths()[2]
    assert_allclose(found.cell.lengths(), cell.cell.lengths() * [1, 1, 1.05])
    lower = cell.positions[:, 2] < 0.5 * height
    assert_array_equal(upper(cell), ~lower)
    assert_allclose(found.positions[lower], cell.positions[lower])
    above = cell.positions[~lower, 2] - 0.5 * height
    assert_allclose(found.positions[~lower, 2], 0.5 * height + 1.1 * above)


def system(kelvin=0.0, pressure=0.0, shares=(0.5,), error=1.0, pressure_error=0.0):
    return Coexistence(Mean(kelvin, error), Mean(pressure, pressure_error), np.array(shares))


def test_a_phase_that_was_gone_once_is_gone():
    assert verdict(np.array([0.5, 0.3, 0.6])) == "coexistence"
    assert verdict(np.array([0.5, 0.1, 0.2])) == "melted"
    assert verdict(np.array([0.5, 0.9, 0.8])) == "frozen"


def test_two_systems_with_both_phases_make_a_coexistence():
    both, melt, crystal = system(), system(shares=(0.01,)), system(shares=(0.99,))
    assert Trial(1.0, (both, both, melt)).verdict == "coexistence"
    assert Trial(1.0, (both, melt, melt)).verdict == "melted"
    assert Trial(1.0, (both, crystal, crystal)).verdict == "frozen"
    assert Trial(1.0, lost="frozen").verdict == "frozen"
    assert Trial(1.0, (both, both, melt)).coexisting == (both, both)


def test_the_next_temperature_lies_between_what_froze_and_melted():
    melted, frozen = Trial(1000.0, lost="melted"), Trial(900.0, lost="frozen")
    assert_allclose(next_temperature([melted]), 900)
    assert_allclose(next_temperature([frozen]), 990)
    assert_allclose(next_temperature([frozen, melted]), 950)
    assert_allclose(next_temperature([melted, frozen, Trial(950.0, lost="frozen")]), 975)
    assert_allclose(next_temperature([melted, Trial(900.0, (system(840), system(860)))]), 850)


def test_a_line_through_the_systems_gives_the_melting_point():
    systems = [system(1000 + 30 * p, p) for p in (0.5, 1.0, 2.0)]
    value, slope = through(systems, 0.0)
    assert_allclose([value.value, slope.value], [1000, 30])
    # Least squares with unit errors: variances sum(p²) / D and n / D.
    p = np.array([0.5, 1.0, 2.0])
    divisor = 3 * np.sum(p**2) - np.sum(p) ** 2
    assert_allclose([value.error, slope.error], np.sqrt(np.array([np.sum(p**2), 3]) / divisor))
    # An error of the pressure is one of the temperature, by the slope.
    blurred = [system(1000 + 30 * p, p, error=4.0, pressure_error=0.1) for p in (0.5, 1.0, 2.0)]
    assert_allclose(through(blurred, 0.0)[0].error, 5 * value.error)
    scattered = [system(1000 + 30 * p + d, p) for p, d in ((0.5, 8), (1.0, -8), (2.0, 8))]
    assert through(scattered, 0.0)[0].error > 5 * value.error


def test_trials_go_on_until_both_phases_last(monkeypatch, tmp_path):
    tried = []

    def attempt(crystal, potential, config, kelvin, folder):
        tried.append(round(kelvin, 3))
        if abs(kelvin / 80 - 1) > 0.06:
            return Trial(kelvin, lost="melted" if kelvin > 80 else "frozen")
        return Trial(kelvin, tuple(system(80 + p, p) for p in (-0.1, 0.0, 0.1)))

    monkeypatch.setattr(melting, "attempt", attempt)
    found = melting_point(ARGON, POTENTIAL, MeltingConfig(guess=100), tmp_path)
    assert tried == [100, 90, 81]
    assert_allclose(found.temperature.value, 80)
    assert [trial.verdict for trial in found.trials] == ["melted", "melted", "coexistence"]
    with pytest.raises(InputError, match=r"melted at 200 K, melted at 180 K.*longer cell"):
        melting_point(ARGON, POTENTIAL, MeltingConfig(guess=200, rounds=2), tmp_path)


def test_a_trial_far_from_what_it_finds_is_made_again(monkeypatch, tmp_path):
    tried = []

    def attempt(crystal, potential, config, kelvin, folder):
        tried.append(kelvin)
        return Trial(kelvin, tuple(system(80 + p, p) for p in (-0.1, 0.0, 0.1)))

    monkeypatch.setattr(melting, "attempt", attempt)
    melting_point(ARGON, POTENTIAL, MeltingConfig(guess=90), tmp_path)
    assert_allclose(tried, [90, 80])


def test_a_run_that_was_asked_to_stop_says_how_to_go_on(monkeypatch, tmp_path):
    def stopped(frames, potential, config, folder, resume):
        return Finished(folder, 700, "SIGTERM")

    monkeypatch.setattr(two_phases, "run_md", stopped)
    with pytest.raises(InterruptedError, match=r"crystal: stopped by SIGTERM after 700 of 5000"):
        melting_point(ARGON, POTENTIAL, MeltingConfig(guess=80), tmp_path)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"guess": 0.0}, "melting.guess = 0.0: give a number above 0"),
        ({"overheating": 0.9}, "overheating = 0.9: give a factor above 1"),
        ({"early": 1.0}, "early = 1.0: give a part"),
        ({"lengths": (1.0,)}, "give two or more different factors near 1"),
        ({"lengths": (0.5, 1.0)}, "give two or more different factors near 1"),
        ({"steps": 2000}, "140 samples would count, expected 200 or more"),
        ({"equilibration": 1050}, "md.steps = 1050: give a multiple of frame_every"),
        ({"motion": MDConfig(frame_every=0)}, "frame_every = 0: give a number of steps"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MeltingConfig(**{"guess": 80.0, **settings})


def test_cells_that_do_not_suit_are_refused(tmp_path):
    config = MeltingConfig(guess=80)
    primitive = bulk("Ar", a=5.4) * (4, 4, 8)
    with pytest.raises(InputError, match="third vector has to be along z"):
        melting_point(primitive, POTENTIAL, config, tmp_path)
    with pytest.raises(InputError, match=r"too short.*Repeat it along z"):
        melting_point(bulk("Ar", a=5.4, cubic=True) * 3, POTENTIAL, config, tmp_path)
    with pytest.raises(InputError, match="not told from those of a melt"):
        melting_point(shaken(ARGON, 1.0), POTENTIAL, config, tmp_path)


@pytest.mark.slow
def test_a_small_crystal_melts_near_the_published_temperature(tmp_path):
    motion = MDConfig(
        timestep=10.0,
        relaxation_time=1000.0,
        cell_relaxation_time=5000.0,
        compressibility=1.0,
        precision="float32",
    )
    # Steps are whole blocks of what moves at once, and atoms too few for a cell list: each stage
    # is compiled once, which is nearly all that this takes.
    config = MeltingConfig(guess=75, equilibration=1100, steps=4000, motion=motion)
    crystal = bulk("Ar", a=5.5, cubic=True) * (3, 2, 8)
    found = melting_point(crystal, POTENTIAL, config, tmp_path)
    # Pairs cut at 2.5 sigma melt near 0.62 epsilon: within what so few atoms and steps allow.
    assert_allclose(found.temperature.value, 0.62 * 119.8, rtol=0.1)
    again = melting_point(crystal, POTENTIAL, config, tmp_path)
    assert again.temperature == found.temperature
