"""Short-range repulsion: the published screening close by, nothing at bond lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.testing import assert_allclose

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.evaluate import evaluate
from stratal.potentials.short_range import ZBL, CloseRepulsion


def pair_curve(potential, symbols):
    """Energy (eV) of a pair as a function of its distance (Å), to differentiate."""
    structures = Structures.from_atoms(Atoms(symbols, [[0, 0, 0], [1, 0, 0]]), potential.elements)
    neighbors = neighbor_list(structures, max(potential.cutoff, 1.5))

    def energy(distance):
        along = jnp.zeros(structures.positions.shape).at[1, 0].set(distance)
        vectors = jnp.where(
            neighbors.mask[..., None], along[neighbors.senders] - along[:, None], 99.0
        )
        return potential.energies(structures, neighbors, vectors).sum()

    return jax.jit(energy)


def universal(z_1, z_2, r):
    """The universal repulsion written once more, in other units: hartree and bohr."""
    r = r / 0.529177210903
    x = r * (z_1**0.23 + z_2**0.23) / 0.8854
    terms = [(0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4029), (0.02817, 0.2016)]
    return 27.211386 * z_1 * z_2 / r * sum(c * np.exp(-d * x) for c, d in terms)


@pytest.mark.parametrize("symbols, z_1, z_2", [("Cu2", 29, 29), ("CuAg", 29, 47), ("H2", 1, 1)])
def test_zbl_is_the_universal_repulsion_at_short_distance(symbols, z_1, z_2):
    potential = ZBL.for_elements({z_1, z_2}, reach=2.0, core=1.0)
    inner = float(np.max(potential.inner))
    with jax.enable_x64(True):
        curve = pair_curve(potential, symbols)
        for r in (0.1 * inner, 0.4 * inner, 0.6 * inner):
            # Coefficients of four digits, as most codes print them: 1e-3.
            assert_allclose(curve(r), universal(z_1, z_2, r), rtol=1e-3)


def test_zbl_of_copper_at_one_angstrom():
    # Z^2 e^2 / r = 12110 eV, screened with a = 0.8854 x 0.5292 / (2 x 29^0.23) = 0.10798 Å.
    x = 1 / 0.107983
    phi = 0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
    phi += 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    with jax.enable_x64(True):
        found = pair_curve(ZBL.for_elements((29,), reach=0.9, core=0.5), "Cu2")(1.0)
    assert_allclose(found, 841 * 14.399645 * phi, rtol=1e-4)


def test_zbl_ends_with_zero_force_and_curvature():
    potential = ZBL.for_elements((29, 47))
    with jax.enable_x64(True):
        curve = pair_curve(potential, "CuAg")
        force, curvature = jax.grad(curve), jax.grad(jax.grad(curve))
        outer = float(potential.outer[0, 1])
        x = 1e-4  # Å inside the end: x^3, x^2, x times some 1e3 eV/Å^3
        near = [float(f(outer - x)) for f in (curve, force, curvature)]
        assert_allclose(near, 0, atol=1.0)
        assert 0 < near[0] < 1e-8 and -1e-4 < near[1] < 0
        assert [float(f(outer + 1e-6)) for f in (curve, force, curvature)] == [0, 0, 0]
        inner = float(potential.inner[0, 1])
        for f in (curve, force, curvature):  # nor does the step's beginning show
            assert_allclose(f(inner - 1e-6), f(inner + 1e-6), rtol=1e-4)


@pytest.mark.parametrize("kind", [ZBL, CloseRepulsion])
def test_derivatives_are_finite_differences(kind):
    potential = kind.for_elements((29, 47))
    with jax.enable_x64(True):
        curve = pair_curve(potential, "CuAg")
        for r in np.linspace(0.5, potential.cutoff + 0.1, 7):
            slope = (curve(r + 1e-5) - curve(r - 1e-5)) / 2e-5
            assert_allclose(jax.grad(curve)(r), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("symbol", ["Cu", "Ag", "Al", "Fe", "Pt", "Na", "Si"])
def test_little_of_zbl_is_left_in_crystals(symbol):
    atoms = bulk(symbol)
    potential = ZBL.for_elements(atoms.numbers)
    structures = Structures.from_atoms(atoms)
    neighbors = neighbor_list(structures, potential.cutoff, 1.0)
    with jax.enable_x64(True):
        energy = jax.jit(evaluate)(potential, structures, neighbors).energy
    # Cohesive energies are 1 to 6 eV/atom.
    assert 0 <= float(energy[0]) / len(atoms) < 0.05


def test_close_repulsion_equals_the_formula():
    radii = {29: 0.895, 46: 0.979, 47: 1.030}
    potential = CloseRepulsion.for_elements(radii)
    with jax.enable_x64(True):
        for symbols, one, two in (("Cu2", 29, 29), ("CuAg", 29, 47), ("AgPd", 47, 46)):
            reach, curve = radii[one] + radii[two], pair_curve(potential, symbols)
            for r in (0.5, 1.0, 0.999 * reach, 1.001 * reach):
                one_way = 100 * reach / r * (1 + np.cos(np.pi * r / reach)) / 2 * (r < reach)
                assert_allclose(curve(r), 2 * one_way, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [ZBL, CloseRepulsion])
def test_repulsion_acts_between_the_pairs_that_are_given(kind):
    some = kind.for_elements((29, 46, 47), pairs=[(29, 47), (46, 46)])
    every = kind.for_elements((29, 46, 47))
    for symbols, acts in (("Cu2", 0), ("CuAg", 1), ("AgPd", 0), ("Pd2", 1), ("Ag2", 0)):
        found, whole = pair_curve(some, symbols)(1.2), pair_curve(every, symbols)(1.2)
        assert float(whole) > 1.0 and float(found) == acts * float(whole)
    assert kind.for_elements((29, 47), pairs=[(29, 29)]).cutoff < every.cutoff


def test_radii_of_other_elements_must_be_given():
    with pytest.raises(InputError, match="no radius known for Pt"):
        CloseRepulsion.for_elements((29, 78))
    assert CloseRepulsion.for_elements((29, 78), {78: 1.1}).cutoff == 2.2
    with pytest.raises(InputError, match="above 0"):
        CloseRepulsion.for_elements((78,), {78: -1.0})
    with pytest.raises(InputError, match="core < reach"):
        ZBL.for_elements((29,), reach=0.3)
    with pytest.raises(InputError, match="each atomic number once"):
        ZBL.for_elements(())
