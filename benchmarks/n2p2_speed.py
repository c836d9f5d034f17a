"""Energy, forces and stress of n2p2's example Cu2S_PBE on one core: µs per atom.

n2p2 itself takes 250 to 280 µs per atom for energy and forces of these 144 atoms on one core
(libnnp, g++ -O3 -march=native; measured apart, so that the ratio is for orientation).
"""

from __future__ import annotations

from functools import partial

from reference import SHARED, arguments, machine, median_seconds, one_core

PEER = 265.0  # µs per atom


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", default=SHARED / "reference" / "n2p2" / "Cu2S_PBE")
    options = parser.parse_args()
    one_core()
    import jax
    import numpy as np
    from ase import Atoms

    from stratal.descriptors import Structures, neighbor_list
    from stratal.potentials import compose, in_precision
    from stratal.potentials.chunks import evaluate_rows, rows_within
    from stratal.potentials.foreign import read_n2p2

    stratum = read_n2p2(options.model)
    data = np.load(f"{options.model}/expected.npz")
    atoms = Atoms(data["numbers_0"], data["positions_0"], cell=data["cell_0"], pbc=data["pbc_0"])
    print(f"{machine()}; {stratum.name}, {len(atoms)} atoms, µs per atom; n2p2 {PEER:.0f}")

    def blocking(*arguments):
        return jax.block_until_ready(evaluate_rows(*arguments))

    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, stratum.elements)
        potential = compose({stratum.name: stratum}, stratum.elements)
        neighbors = neighbor_list(structures, potential.cutoff)
        for dtype in ("float64", "float32"):
            own = in_precision(potential, dtype)
            placed = jax.device_put((structures.astype(dtype), neighbors))
            run = partial(blocking, own, *placed, rows_within(own, *placed))
            seconds = median_seconds(run, repeats=21) / len(atoms)
            print(f"Stratal, {dtype:8s} {1e6 * seconds:8.0f}  {1e-6 * PEER / seconds:6.1f}x")


if __name__ == "__main__":
    main()
