"""A step of dynamics against a bare evaluation of the same forces, both compiled: 4,000 Cu atoms.

By the moments of a library trained beforehand (such as `cupdag_library.py` makes), NVT at 300 K
with steps of 2 fs.
"""

from __future__ import annotations

import os
from pathlib import Path

from reference import arguments, machine, median_seconds


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--repeats", type=int, default=10, help="of the cubic cell, each way")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    import jax
    from ase.build import bulk

    from stratal.md import MDConfig
    from stratal.md.dynamics.program import run_block
    from stratal.md.dynamics.simulation import Simulation
    from stratal.potentials import Library
    from stratal.potentials.chunks import evaluate_in_chunks

    crystal = bulk("Cu", a=3.63, cubic=True) * ((options.repeats,) * 3)
    steps = options.steps
    config = MDConfig(
        steps=10 * steps, precision=options.precision, sample_every=steps, frame_every=0
    )
    with jax.enable_x64(True):
        run = Simulation(Library.open(options.library).potential("Cu"), [crystal], config)
        run.block()  # it has left the sites of the crystal
        state, program = run.state, run.program
        structures = jax.device_put(state.structures.astype(options.precision))

        def bare():
            arguments = (run.potential, structures, state.neighbors, program.n_rows)
            return jax.block_until_ready(evaluate_in_chunks(*arguments))

        def moving():
            arguments = (program, run.potential, run.schedule, state)
            return jax.block_until_ready(run_block(*arguments))

        alone = median_seconds(bare, 21)
        step = median_seconds(moving, 5) / (program.n_samples * program.sample_every)
        n_lists = int(moving()[0].n_lists - state.n_lists)
    n_atoms = len(crystal)
    print(
        f"{machine()}; {n_atoms} atoms, {options.precision}: forces {1e6 * alone / n_atoms:.2f}, a "
        f"step {1e6 * step / n_atoms:.2f} µs per atom: {step / alone:.2f}x; neighbor lists "
        f"built {n_lists} times in {steps} steps"
    )


if __name__ == "__main__":
    main()
