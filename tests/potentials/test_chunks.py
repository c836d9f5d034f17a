"""Some rows at a time give what one go gives, within the memory given."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
import pytest
from ase.build import bulk
from numpy.testing import assert_allclose

from stratal.descriptors import Structures, neighbor_list
from stratal.errors import InputError
from stratal.potentials import EMT, LennardJones, StillingerWeber, StratalCalculator, SuttonChen
from stratal.potentials.batch import predict_frames
from stratal.potentials.chunks import (
    evaluate_at_once,
    evaluate_in_chunks,
    rows_within,
)

LJ = LennardJones((29, 47), epsilon=0.4, sigma=2.3, cutoff=5.0)
POTENTIALS = {
    "lj": LJ,
    "emt": EMT.for_elements((29, 47)),
    "sutton-chen": SuttonChen.for_elements((29, 47), cutoff=5.0),
}


def alloys(seed=0, sizes=((2, 1, 3), (1, 1, 1), (3, 3, 3))):
    """Rattled cells of Cu and Ag, the systems of one flat set."""
    rng = np.random.default_rng(seed)
    frames = []
    for size in sizes:
        atoms = bulk("Cu", cubic=True, a=3.7) * size
        atoms.numbers[rng.random(len(atoms)) < 0.5] = 47
        atoms.rattle(0.1, rng=rng)
        frames.append(atoms)
    return frames


def placed(frames, potential, spare=5):
    structures = Structures.from_atoms(frames, potential.elements)
    structures = structures.padded(structures.n_atoms + spare)
    return structures, neighbor_list(structures, potential.cutoff, 0.2)


def agree(found, expected, rtol=1e-12):
    for name, value in vars(expected).items():
        scale = np.abs(value).max()
        assert_allclose(getattr(found, name), value, rtol=0, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("name", [*POTENTIALS, "neural"])
def test_chunks_give_what_one_go_gives(name, library):
    with jax.enable_x64(True):
        potential = library.potential("Cu", "Ag") if name == "neural" else POTENTIALS[name]
        structures, neighbors = placed(alloys(), potential)
        expected = evaluate_at_once(potential, structures, neighbors)
        assert np.abs(expected.forces).max() > 0.1
        # 141 rows: the last chunk is shorter, or is all
        for n_rows in (7, 64, 1000) if name == "lj" else (64,):
            agree(evaluate_in_chunks(potential, structures, neighbors, n_rows), expected)


def test_chunks_of_triples_give_what_one_go_gives():
    silicon = bulk("Si", cubic=True) * (2, 2, 2)
    silicon.rattle(0.1, seed=1)
    with jax.enable_x64(True):
        potential = StillingerWeber.silicon()
        arguments = (potential, *placed(silicon, potential))
        agree(evaluate_in_chunks(*arguments, 24), evaluate_at_once(*arguments))


def test_chunks_in_single_precision():
    structures, neighbors = placed(alloys(), LJ)
    structures = structures.astype(np.float32)
    expected = evaluate_at_once(LJ, structures, neighbors)
    agree(evaluate_in_chunks(LJ, structures, neighbors, 32), expected, rtol=1e-5)


def test_a_program_for_the_rows_found_keeps_the_limit():
    atoms = bulk("Cu", cubic=True) * (10, 10, 10)
    potential = LennardJones((29,), epsilon=0.4, sigma=2.3, cutoff=5.0)
    with jax.enable_x64(True):
        structures, neighbors = placed(atoms, potential, spare=0)
        for limit in (2e6, 4e6):
            n_rows = rows_within(potential, structures, neighbors, limit)
            program: Any = evaluate_in_chunks
            compiled = program.lower(potential, structures, neighbors, n_rows).compile()
            memory = compiled.memory_analysis()
            assert 16 <= n_rows < 300
            assert memory.temp_size_in_bytes + memory.output_size_in_bytes < limit
        with pytest.raises(InputError, match=r"memory_limit = 0.9 MB is too little.*give .* MB"):
            rows_within(potential, structures, neighbors, 0.9e6)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Unaware:
    """Says nothing of what its energies depend on."""

    inner: LennardJones
    cutoff: float = field(default=LJ.cutoff, metadata={"static": True})
    elements: tuple[int, ...] = field(default=LJ.elements, metadata={"static": True})

    def energies(self, structures, neighbors, displacements):
        return self.inner.energies(structures, neighbors, displacements)


def test_potentials_that_may_look_further_are_evaluated_at_once():
    structures, neighbors = placed(alloys(), LJ)
    assert rows_within(Unaware(LJ), structures, neighbors) == structures.n_atoms
    refusal = pytest.raises(
        InputError, match=r"Unaware cannot be evaluated in parts.*strictly_local"
    )
    with refusal:
        evaluate_in_chunks(Unaware(LJ), structures.astype(np.float32), neighbors, 64)
    with refusal:
        rows_within(Unaware(LJ), structures, neighbors, 1e4)


def test_the_calculator_keeps_a_limit_and_gives_the_same():
    (atoms,) = alloys(1, [(5, 5, 5)])
    results = []
    for limit in (None, 1.5e6):
        atoms.calc = StratalCalculator(LJ, memory_limit=limit)
        atoms.get_stress()
        results.append((atoms.calc.results, atoms.calc._n_rows))
    (one, at_once), (two, in_chunks) = results
    assert in_chunks < at_once
    for name in ("energy", "energies", "forces", "stress", "stresses"):
        assert_allclose(two[name], one[name], rtol=1e-12, atol=1e-12)
    for limit in (0, -1.0, float("nan")):
        with pytest.raises(InputError, match="memory_limit"):
            StratalCalculator(LJ, memory_limit=limit)


def test_a_batch_of_many_atoms_gives_what_single_structures_give():
    frames = alloys(2, [(3, 3, 3), (2, 2, 2), (3, 2, 3), (3, 3, 3), (3, 3, 3)])
    found = predict_frames(frames, lambda numbers: replace(LJ))
    calculator = StratalCalculator(LJ)
    for atoms, energy, forces, stress in zip(
        frames, found.energy, found.forces, found.stress, strict=True
    ):
        atoms.calc = calculator
        assert_allclose(energy, atoms.get_potential_energy(), rtol=1e-12)
        assert_allclose(forces, atoms.get_forces(), atol=1e-12)
        assert_allclose(stress, atoms.get_stress(), atol=1e-14)
