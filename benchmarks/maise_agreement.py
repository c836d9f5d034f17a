"""Imported MAISE models against numbers computed with MAISE, in float64."""

from __future__ import annotations

import jax
import numpy as np
from ase import Atoms
from reference import arguments

from stratal.descriptors import Structures, neighbor_list
from stratal.potentials import compose, evaluate, read_maise


def main() -> None:
    parser = arguments(__doc__)
    reference = parser.parse_args().reference
    print("largest deviations from MAISE over 6 structures each")
    print(
        f"{'model':18s} {'energy, rel.':>12s} {'eV per atom':>12s} "
        f"{'eV/Å':>12s} {'virial, eV':>12s}"
    )
    with jax.enable_x64(True):
        for file in sorted((reference / "expected").glob("*.npz")):
            deviations = worst(reference / "models" / file.stem, np.load(file))
            print(f"{file.stem:18s} " + " ".join(f"{value:12.1e}" for value in deviations))


def worst(model, expected) -> np.ndarray:
    """Largest deviation of energy (relative), local energies, forces and virial."""
    strata = {stratum.name: stratum for stratum in read_maise(model)}
    potential = compose(strata, sorted({z for s in strata.values() for z in s.elements}))
    rows = []
    for i in range(int(expected["n"])):
        atoms = Atoms(
            expected[f"numbers_{i}"], expected[f"positions_{i}"],
            cell=expected[f"cell_{i}"], pbc=expected[f"pbc_{i}"],
        )  # fmt: skip
        structures = Structures.from_atoms(atoms, potential.elements)
        result = evaluate(potential, structures, neighbor_list(structures, potential.cutoff))
        xx, yy, zz, xy, yz, zx = expected[f"stress_{i}"]
        virial = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
        energy = expected[f"energy_{i}"]
        rows.append(
            [
                abs(result.energy[0] / energy - 1),
                np.abs(result.energies - expected[f"local_energy_{i}"]).max(),
                np.abs(result.forces - expected[f"forces_{i}"]).max(),
                np.abs(-result.stress[0] * structures.volumes[0] - virial).max(),
            ]
        )
    return np.max(rows, axis=0)


if __name__ == "__main__":
    main()
