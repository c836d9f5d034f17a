"""Coordinates of relaxation: forces on them are derivatives, and agree with ASE's filter."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.calculators.emt import EMT as AseEMT
from ase.filters import FrechetCellFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import expm

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.md.coordinates import (
    Coordinates,
    Freedom,
    exponential,
    forces_on,
    placed,
    undeformed,
)
from stratal.md.structures.random_cells import random_cell
from stratal.potentials import EMT, evaluate

N_ATOMS = 5
POTENTIAL = EMT.for_elements([29, 47])


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(seed=st.integers(0, 2**31 - 1))
def test_exponential_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(3, 3, 3)) * rng.choice([1e-3, 0.1, 0.6])
    with jax.enable_x64(True):
        found = np.asarray(exponential(jnp.asarray(matrices)))
    assert_allclose(found, expm(matrices), rtol=1e-12, atol=1e-13)


def system(seed, plane=False):
    """A rattled cell, a strain and what may move."""
    rng = np.random.default_rng(seed)
    atoms = random_cell(rng, N_ATOMS, (29, 47))
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    structures = jax.tree.map(jnp.asarray, Structures.from_atoms(atoms, POTENTIAL.elements))
    strain = np.eye(3)
    if plane:
        basis = np.linalg.qr(atoms.cell.array[:2].T)[0]
        strain = basis @ basis.T
    freedom = Freedom(jnp.ones((1, N_ATOMS), bool).at[0, 0].set(False), jnp.asarray(strain[None]))
    start = undeformed(structures)
    x = replace(start, cell=jnp.asarray(0.3 * strain @ rng.normal(size=(1, 3, 3)) @ strain))
    return atoms, structures, freedom, x


@jax.jit
def result_at(structures, neighbors):
    return evaluate(POTENTIAL, structures, neighbors)


def enthalpy(structures, x, pressure):
    """E + pV at coordinates, eV, and the structure there with its result."""
    there = placed(structures, structures.cell, x)
    result = result_at(there, neighbor_list(there, POTENTIAL.cutoff, n_neighbors=256))
    return float(result.energy[0] + pressure * there.volumes[0]), there, result


def direction(rng, kind, freedom):
    """A change of coordinates that the mode allows."""
    strain = np.asarray(freedom.strain[0])
    cell = strain @ rng.normal(size=(3, 3)) @ strain
    mean = np.trace(cell) / np.trace(strain) * strain
    cell = {"free": cell, "fixed volume": cell - mean, "fixed shape": mean}[kind]
    atoms = rng.normal(size=(N_ATOMS, 3)) * np.asarray(freedom.atoms[0])[:, None]
    return Coordinates(jnp.asarray(0.1 * atoms[None]), jnp.asarray(cell[None]))


@pytest.mark.parametrize("pressure", [0.0, 0.03])
@pytest.mark.parametrize("plane", [False, True])
@pytest.mark.parametrize("kind", ["free", "fixed volume"])
def test_forces_are_minus_the_derivative_of_the_enthalpy(kind, plane, pressure):
    with jax.enable_x64(True):
        _, structures, freedom, x = system(3, plane)
        _, there, result = enthalpy(structures, x, pressure)
        forces = forces_on(x, there, result, freedom, kind, pressure)
        change = direction(np.random.default_rng(4), kind, freedom)
        step = 1e-5
        ends = [
            enthalpy(structures, x + change.scaled(jnp.full(1, sign * step)), pressure)[0]
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        # Central differences err by the third derivative times 1e-10.
        assert_allclose(float(forces.dot(change)[0]), -slope, rtol=1e-6, atol=1e-7)


def test_forces_at_fixed_shape_are_derivatives_where_the_strain_is_isotropic():
    with jax.enable_x64(True):
        _, structures, freedom, x = system(5)
        x = replace(x, cell=0.2 * jnp.eye(3)[None])
        _, there, result = enthalpy(structures, x, 0.0)
        forces = forces_on(x, there, result, freedom, "fixed shape")
        change = direction(np.random.default_rng(6), "fixed shape", freedom)
        ends = [
            enthalpy(structures, x + change.scaled(jnp.full(1, sign * 1e-5)), 0.0)[0]
            for sign in (1, -1)
        ]
        assert_allclose(float(forces.dot(change)[0]), -(ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("free", {}),
        ("free", {"scalar_pressure": 0.02}),
        ("fixed volume", {"constant_volume": True}),
        ("fixed shape", {"hydrostatic_strain": True}),
    ],
)
def test_forces_are_those_of_ases_filter(kind, options):
    with jax.enable_x64(True):
        atoms, structures, freedom, x = system(7)
        freedom = replace(freedom, atoms=jnp.ones((1, N_ATOMS), bool))
        _, there, result = enthalpy(structures, x, 0.0)
        pressure = options.get("scalar_pressure", 0.0)
        forces = forces_on(x, there, result, freedom, kind, pressure)
    filtered = FrechetCellFilter(atoms, **options)
    atoms.calc = AseEMT()
    # Its coordinates of the undeformed cell are not 0: the change is what counts.
    change = np.concatenate([np.zeros((N_ATOMS, 3)), np.asarray(x.cell[0])])
    filtered.set_positions(filtered.get_positions() + change)
    expected = filtered.get_forces()
    assert_allclose(forces.atoms[0], expected[:N_ATOMS], atol=1e-9)
    assert_allclose(forces.cell[0], expected[N_ATOMS:], atol=1e-8)
