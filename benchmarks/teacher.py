"""Properties of the Cu-Pd-Ag library beside those of the teacher that labelled its data.

The library comes from `cupdag_library.py`. Definitions are those of the reference values: elastic
constants by strains of 0.004, vacancies in 32 sites at fixed volume, surfaces of nine layers,
phonons in 2x2x2 cubic cells. Bounds: lattice constants 0.5 %, bulk moduli 8 %, elastic constants
12 %, vacancies and surfaces 10 %, phonons at the zone's boundary 5 %, formation energies 15
meV/atom.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from reference import SHARED, arguments

BOUNDS = {"a": 0.5, "B": 8, "C": 12, "vacancy": 10, "surface": 10, "phonon": 5}  # %
SQUARE = 16.0218  # J/m² in eV/Å²
SPECIAL = {"X": (0.0, 0.5, 0.5), "L": (0.5, 0.5, 0.5), "W": (0.25, 0.5, 0.75)}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument(
        "--teacher", type=Path, default=SHARED / "reference" / "teacher" / "teacher_values.json"
    )
    options = parser.parse_args()
    from stratal.potentials import Library

    library = Library.open(options.library)
    values = json.loads(options.teacher.read_text())
    within = []
    for symbol, theirs in values["elements"].items():
        own = element(symbol, library.potential(symbol), theirs["a_fcc"])
        print(f"{symbol:12s} {'own':>8s} {'teacher':>8s} {'off, %':>7s} {'bound':>5s}")
        for kind, key, value in own:
            name, _, number = key.partition(":")
            reference = theirs[name][int(number)] if number else theirs[name]
            off = 100 * (value / reference - 1)
            within.append(abs(off) <= BOUNDS[kind])
            mark = "" if within[-1] else "  missed"
            print(f"  {key:24s} {value:8.3f} {reference:8.3f} {off:+7.1f} {BOUNDS[kind]:5g}{mark}")
    within += compounds(library, values["formation_eV_per_atom"])
    print(f"{sum(within)} of {len(within)} within their bounds")


def element(symbol: str, potential, guess: float) -> list[tuple[str, str, float]]:
    """Kind, key in the reference and value of each property."""
    from ase.build import bulk
    from ase.units import GPa

    from stratal.md import elastic_tensor, equation_of_state, frequencies_at, phonons, relax
    from stratal.md.point_defects import defect_energies, vacancy
    from stratal.md.surfaces import surface_energies

    (result,) = relax([bulk(symbol, "fcc", a=guess, cubic=True)], potential, fmax=1e-4)
    crystal = result.atoms
    curve = equation_of_state(crystal, potential)
    tensor = elastic_tensor(crystal, potential, strain=4e-3).constants / GPa
    lattice = phonons(crystal, potential, (2, 2, 2), displacement=0.02)
    hole = defect_energies(crystal, [vacancy(crystal)], potential, repeats=(2,))[0, 0]
    surfaces = surface_energies(crystal, potential, n_layers=9) * SQUARE
    rows = [
        ("a", "a_fcc", crystal.cell.volume ** (1 / 3)),
        ("B", "bulk_modulus_GPa", curve.bulk_modulus_gpa),
        ("C", "C11_GPa", tensor[0, 0]),
        ("C", "C12_GPa", tensor[0, 1]),
        ("C", "C44_GPa", tensor[3, 3]),
        ("vacancy", "vacancy_eV_32", hole),
    ]
    for plane, energy in zip(("100", "110", "111"), surfaces, strict=True):
        rows.append(("surface", f"surface_{plane}_J_per_m2", energy))
    for point, q in SPECIAL.items():
        found = frequencies_at(lattice, [q])[0]
        rows += [("phonon", f"phonon_{point}_THz:{mode}", found[mode]) for mode in (0, 2)]
    return rows


def compounds(library, theirs: dict) -> list[bool]:
    """Formation energies of ordered compounds against the elements."""
    from ase import Atoms

    from stratal.md.prototypes import formation_energies, prototype

    elements = {s: prototype("A1", [s], v) for s, v in (("Cu", 11.9), ("Pd", 15.5), ("Ag", 18.1))}
    crystals, references = [], []
    for key, values in theirs.items():
        name, formula = key.split()
        counts = Atoms(formula).symbols.formula.count()
        pair = sorted(counts, key=lambda symbol: counts[symbol])  # the rarer one first
        crystals.append(prototype(name, pair, values["volume_per_atom"]))
        references.append(values["formation"])
    found, _ = formation_energies(crystals, elements, library.potential("Cu", "Pd", "Ag"))
    off = 1e3 * (found - np.array(references))
    signs = np.sign(found) == np.sign(references)
    print("formation energies, meV/atom: own, teacher")
    for key, own, reference, error, sign in zip(theirs, found, references, off, signs, strict=True):
        mark = "" if abs(error) <= 15 and sign else "  missed"
        print(f"  {key:24s} {1e3 * own:8.1f} {1e3 * reference:8.1f} {error:+7.1f}{mark}")
    print(f"  mean absolute difference {np.abs(off).mean():.1f} meV/atom")
    return [bool(abs(error) <= 15 and sign) for error, sign in zip(off, signs, strict=True)]


if __name__ == "__main__":
    main()
