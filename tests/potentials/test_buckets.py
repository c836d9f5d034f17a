"""A campaign of structures of all sizes compiles a handful of programs, not one for each."""

import jax
import numpy as np
import pytest
from ase.build import bulk

from stratal.descriptors.structures import bucket
from stratal.potentials import LennardJones, StratalCalculator
from stratal.potentials.batch import predict_frames

POTENTIAL = LennardJones((29,), epsilon=0.4, sigma=2.3, cutoff=4.0)


def campaign():
    """Pieces of a crystal of 1 to 200 atoms in boxes of their own, and some dense ones."""
    rng = np.random.default_rng(0)
    crystal = bulk("Cu", cubic=True, a=3.6) * (4, 4, 4)
    centre = crystal.positions.mean(axis=0)
    nearest = np.argsort(np.linalg.norm(crystal.positions - centre, axis=1))
    frames = []
    for size in (*range(1, 30), *range(30, 201, 3)):
        atoms = crystal[nearest[:size]]
        atoms.rattle(0.05, rng=rng)
        if size % 4:
            atoms.center(vacuum=3.0)
        frames.append(atoms)
    return [frames[i] for i in rng.permutation(len(frames))]


@pytest.fixture
def compiled():
    """Names of the events of the compiler, one for each program."""
    events: list[str] = []

    def listen(event: str, duration: float, **_: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_campaign_with_the_calculator_compiles_a_handful_of_programs(compiled):
    calculator, frames = StratalCalculator(POTENTIAL), campaign()
    for atoms in frames:
        atoms.calc = calculator
        atoms.get_forces()
    sizes = len({bucket(len(atoms)) for atoms in frames})
    assert sizes == 12 and len(frames) > 80
    # For each size the evaluation and the check of the kept list; the table's width grows
    # a few times.
    assert len(compiled) <= 2 * sizes + 6, len(compiled)
    before = len(compiled)
    for atoms in frames:
        atoms.calc.reset()
        atoms.get_forces()
    assert len(compiled) - before <= sizes


def test_a_campaign_in_batches_compiles_a_handful_of_programs(compiled):
    frames = campaign()
    predict_frames(frames, lambda numbers: POTENTIAL)
    first = len(compiled)
    assert first <= 8, first
    predict_frames(frames, lambda numbers: POTENTIAL)
    assert len(compiled) == first
