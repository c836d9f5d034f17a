"""Convex hulls: numbers by hand, pymatgen's own answers, and linear programs that know neither."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.testing import assert_allclose
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.optimize import linprog

from stratal.errors import InputError
from stratal.files import atomic_path
from stratal.md.properties.hull import hull_figure, hull_of

BY_HAND = {"Cu": -3.0, "Cu2": -2.95, "Ag": -2.0, "CuAg": -2.6, "Cu3Ag": -2.77, "Cu6Ag2": -2.76}


def structures(energies_by_atom):
    atoms = [Atoms(formula) for formula in energies_by_atom]
    return atoms, [len(a) * e for a, e in zip(atoms, energies_by_atom.values(), strict=True)]


def test_two_elements_by_hand():
    """Pure: -3 and -2 eV/atom; CuAg forms with -0.1; at Cu3Ag the hull is at -2.75 - 0.05."""
    hull = hull_of(*structures(BY_HAND))
    assert hull.elements == ("Cu", "Ag")
    assert hull.formulas == ("Cu", "Cu", "Ag", "CuAg", "Cu3Ag", "Cu3Ag")
    assert_allclose(hull.fractions[:, 1], [0, 0, 1, 0.5, 0.25, 0.25])
    assert_allclose(hull.formation_energies, [0, 0.05, 0, -0.1, -0.02, -0.01], atol=1e-12)
    assert_allclose(hull.above_hull, [0, 0.05, 0, 0, 0.03, 0.04], atol=1e-12)
    assert hull.stable == (0, 2, 3)
    assert hull.facets == ((0, 3), (2, 3))
    assert hull.decompositions[:4] == ({0: 1.0}, {0: 1.0}, {2: 1.0}, {3: 1.0})
    assert hull.decompositions[4].keys() == {0, 3}  # half of the atoms each
    assert_allclose(list(hull.decompositions[5].values()), 0.5)
    assert pickle.loads(pickle.dumps(hull)).stable == hull.stable


def random_system(seed, symbols, n=60):
    rng = np.random.default_rng(seed)
    atoms = [Atoms(symbol) for symbol in symbols]
    for _ in range(n):
        counts = rng.integers(0, 4, len(symbols))
        atoms.append(Atoms("".join(s * c for s, c in zip(symbols, counts, strict=True)) or "Cu"))
    return atoms, np.array([len(a) * rng.uniform(-4, -3.5) for a in atoms])


@pytest.mark.parametrize(
    "symbols", [("Cu",), ("Cu", "Pd"), ("Cu", "Pd", "Ag"), "Al Cu Pd Ag".split()]
)
def test_it_is_the_lowest_mixture_and_that_of_pymatgen(symbols):
    atoms, energies = random_system(len(symbols), symbols)
    hull = hull_of(atoms, energies)
    by_atom = energies / [len(a) for a in atoms]
    entries = [
        PDEntry(Composition(a.get_chemical_formula()), e)
        for a, e in zip(atoms, energies, strict=True)
    ]
    diagram = PhaseDiagram(entries)
    for number, entry in enumerate(entries):
        # The lowest energy of any mixture of structures with this composition.
        lowest = linprog(by_atom, A_eq=hull.fractions.T, b_eq=hull.fractions[number])
        assert_allclose(by_atom[number] - hull.above_hull[number], lowest.fun, atol=1e-9)
        assert_allclose(hull.above_hull[number], diagram.get_e_above_hull(entry), atol=1e-9)
        assert_allclose(
            hull.formation_energies[number], diagram.get_form_energy_per_atom(entry), atol=1e-9
        )
        into = hull.decompositions[number]
        mixed = sum(part * hull.fractions[n] for n, part in into.items())
        assert_allclose(mixed, hull.fractions[number], atol=1e-9)
    assert {by_atom[n] for n in hull.stable} == {e.energy_per_atom for e in diagram.stable_entries}


def test_energies_are_those_of_calculators_by_default():
    atoms, energies = structures(BY_HAND)
    for each, energy in zip(atoms, energies, strict=True):
        each.calc = SinglePointCalculator(each, energy=energy)
    assert_allclose(hull_of(atoms).above_hull, hull_of(atoms, energies).above_hull)


def test_what_has_no_hull_is_said():
    atoms, energies = structures(BY_HAND)
    with pytest.raises(InputError, match="hull of Cu-Ag: no structure of Ag alone"):
        hull_of([atoms[0], atoms[3]], [energies[0], energies[3]])
    with pytest.raises(InputError, match=r"structure 3 \(AgCu\) has the energy nan eV"):
        hull_of(atoms, [*energies[:3], np.nan, *energies[4:]])
    with pytest.raises(InputError, match=r"6 structures and energies of shape \(5,\)"):
        hull_of(atoms, energies[:5])
    with pytest.raises(InputError, match="give one or more structures"):
        hull_of([], [])


@pytest.mark.parametrize("symbols", [("Cu", "Ag"), ("Cu", "Pd", "Ag")])
def test_figures(symbols, tmp_path):
    figure = hull_figure(hull_of(*random_system(0, symbols)))
    with atomic_path(tmp_path / "hull.png") as path:
        figure.savefig(path, format="png")
    assert (tmp_path / "hull.png").stat().st_size > 5000
    with pytest.raises(InputError, match="a figure shows two or three elements"):
        hull_figure(hull_of([Atoms("Cu")], [-3.5]))
