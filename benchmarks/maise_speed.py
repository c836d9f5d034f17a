"""Energy and forces of 500 atoms on one core: the imported Cu-Pd-Ag model against MAISE.

MAISE runs molecular dynamics at constant energy; the time is the difference of a longer
and a shorter run, so that start-up does not count. In runs this short each of its steps
evaluates energy and forces three times (one for book-keeping, two in the integrator), and
it is one evaluation that is compared. Its binary needs libgsl and libsymspg.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from reference import arguments, machine, median_seconds, one_core

EVALUATIONS = 3  # of MAISE in one step
SETUP = """JOBT  21
NPAR  1
NDIM  3
MDTP  10
DELT  1.0
NSTP  {steps}
TMIN  300
TMAX  300
TSTP  10
CPLT  25
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", default="nn_CuPdAg_d3_vp")
    options = parser.parse_args()
    one_core()  # MAISE inherits it
    import jax
    import numpy as np
    from ase.build import bulk

    from stratal.descriptors import Structures, neighbor_list
    from stratal.potentials import compose, in_precision, read_maise
    from stratal.potentials.chunks import evaluate_rows, rows_within

    strata = {s.name: s for s in read_maise(options.reference / "models" / options.model)}
    numbers = sorted({z for s in strata.values() for z in s.elements})
    atoms = bulk("Cu", "fcc", a=3.826, cubic=True) * (5, 5, 5)
    atoms.numbers[:] = np.random.default_rng(0).choice(numbers, len(atoms))
    atoms.rattle(0.05, seed=1)
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    peer = maise_seconds(options.reference, options.model, atoms) / len(atoms)
    print(f"{machine()}; {options.model}, {len(atoms)} atoms, µs per atom and evaluation")
    print(f"{'MAISE, float64':32s} {1e6 * peer:8.0f}")

    def blocking(*arguments):
        return jax.block_until_ready(evaluate_rows(*arguments))

    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, numbers)
        potential = compose(strata, numbers)
        for skin in (0.0, 0.3):
            for dtype in ("float64", "float32"):
                neighbors = neighbor_list(structures, potential.cutoff, skin)
                own = in_precision(potential, dtype)
                placed = jax.device_put((structures.astype(dtype), neighbors))
                run = partial(blocking, own, *placed, rows_within(own, *placed))
                seconds = median_seconds(run) / len(atoms)
                name = f"Stratal, {dtype}, skin {skin} Å"
                print(f"{name:32s} {1e6 * seconds:8.0f}  {peer / seconds:6.1f}x")


def maise_seconds(reference: Path, model: str, atoms) -> float:
    """Seconds of one evaluation of energy and forces."""
    times = {}
    for steps in (1, 4):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "setup").write_text(SETUP.format(steps=steps))
            (place / "model").write_bytes((reference / "models" / model).read_bytes())
            atoms.write(place / "POSCAR", format="vasp")
            began = time.perf_counter()
            subprocess.run(
                [reference / "bin" / "maise"], cwd=place, check=True, stdout=subprocess.DEVNULL,
                env={"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            times[steps] = time.perf_counter() - began
    return (times[4] - times[1]) / (3 * EVALUATIONS)


if __name__ == "__main__":
    main()
