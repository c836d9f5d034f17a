"""Several devices give what one gives; the processor stands for four."""

import os
import subprocess
import sys

import pytest

COMPARE = """
import jax, numpy as np
from ase.build import bulk
from stratal.descriptors import Structures, neighbor_list
from stratal.errors import InputError
from stratal.potentials import EMT, StratalCalculator, calculator
from stratal.potentials.chunks import evaluate_at_once
from stratal.potentials.shards import evaluate_on_devices, mesh_of, place

assert len(jax.local_devices()) == 4
atoms = bulk("Cu", cubic=True, a=3.7) * (5, 4, 3)
atoms.numbers[::3] = 47
atoms.rattle(0.1, seed=1)
potential = EMT.for_elements((29, 47))


def agree(found, expected):
    for name, value in expected.items():
        error = np.abs(np.asarray(found[name]) - np.asarray(value)).max()
        assert error <= 1e-12 * np.abs(np.asarray(value)).max(), (name, error)


with jax.enable_x64(True):
    structures = Structures.from_atoms(atoms, potential.elements).padded(248)
    neighbors = neighbor_list(structures, potential.cutoff)
    expected = evaluate_at_once(potential, structures, neighbors)
    spread = place(structures, neighbors, mesh_of())
    assert len(spread.senders.addressable_shards) == 4
    assert spread.senders.addressable_shards[0].data.shape[0] == 62
    for n_rows in (20, 1000):
        found = evaluate_on_devices(potential, structures, spread, mesh_of(), n_rows)
        agree(vars(found), vars(expected))
    try:
        place(structures.padded(250), neighbors, mesh_of())
    except InputError as error:
        assert "250 atoms do not spread evenly over 4 devices" in str(error)
    else:
        raise AssertionError("250 atoms on 4 devices were not refused")

calculator.SPREAD = 100
results = []
for spread in (False, True):
    copy = atoms.copy()
    copy.calc = StratalCalculator(potential, spread=spread)
    copy.get_stress()
    copy.positions += 0.01  # the list is kept
    copy.get_stress()
    results.append(copy.calc.results)
    kept = copy.calc._neighbors
    assert len(kept.senders.sharding.device_set) == (4 if spread else 1)
agree(results[1], results[0])
print("agree")
"""


@pytest.mark.parametrize("count", [4])
def test_four_devices_give_what_one_gives(count):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "agree" in done.stdout, done.stderr
