"""``stratal defects``: point defects, surfaces and stacking faults of a crystal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stratal.cli.properties import opened

if TYPE_CHECKING:
    from ase import Atoms

    from stratal.potentials.evaluate import Potential

KINDS = ("vacancy", "divacancy", "interstitial", "antisite", "migration", "surface", "fault")


def defects(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structure: Annotated[Path, typer.Argument(help="a crystal, its conventional cell")],
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help=f"of {', '.join(KINDS)} [vacancy, surface]")
    ] = None,
    repeats: Annotated[list[int] | None, typer.Option(help="of the cell, each way")] = None,
    planes: Annotated[list[str] | None, typer.Option(help="Miller indices of surfaces")] = None,
    layers: Annotated[int, typer.Option(help="of slabs and faults")] = 9,
    reservoir: Annotated[
        list[str] | None, typer.Option(help="such as Cu=-3.54, eV/atom; for compounds")
    ] = None,
    relax: Annotated[bool, typer.Option(help="relax positions and cell first")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="energies, as JSON")] = None,
) -> None:
    """Energies of point defects, of surfaces, and of the intrinsic fault of an fcc crystal.

    Example: stratal defects lib Cu.extxyz --kind vacancy --kind migration --json defects.json

    Point defects in supercells of the sizes in --repeats (2, 3, 4) and in the limit of large
    ones; surfaces (100, 110, 111) in J/m².
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.errors import InputError
    from stratal.files import write_json

    chosen = kinds or ["vacancy", "surface"]
    if unknown := [kind for kind in chosen if kind not in KINDS]:
        raise InputError(f"--kind {unknown[0]!r}: give one of {', '.join(KINDS)}.")
    model, crystals = opened(potential, structure, relax)
    if len(crystals) != 1:
        raise InputError(f"{structure}: {len(crystals)} structures; give a file with one crystal.")
    (crystal,) = crystals
    found = points(crystal, model, chosen, repeats or [2, 3, 4], reservoir)
    if "migration" in chosen:
        from stratal.md.properties.point_defects import migration

        barrier = migration(crystal, model, max(repeats or [3])).barrier
        found["migration of a vacancy, eV"] = barrier
    if "surface" in chosen:
        found |= surfaces(crystal, model, planes or ["100", "110", "111"], layers)
    if "fault" in chosen:
        from ase.units import J, m

        from stratal.md.properties.gamma_lines import gamma_line, stacking_fault_energy

        unit = 1e-3 * J / m**2
        found["intrinsic fault, mJ/m²"] = stacking_fault_energy(crystal, model) / unit
        found["unstable fault, mJ/m²"] = gamma_line(crystal, model, n_layers=layers).unstable / unit
    table = Table("defect", "energy")
    for name, value in found.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)
    if json_file:
        write_json(json_file, {"crystal": crystal.get_chemical_formula(), "energies": found})


def points(
    crystal: Atoms,
    model: Potential,
    kinds: list[str],
    repeats: list[int],
    reservoir: list[str] | None,
) -> dict[str, float]:
    """Point defects of these kinds in all sizes."""
    from stratal.md.properties import point_defects as of

    wanted: list[Any] = []
    for site in of.kinds_of_sites(crystal):
        wanted += [of.vacancy(crystal, site)] * ("vacancy" in kinds)
        wanted += [of.divacancy(crystal, site)] * ("divacancy" in kinds)
    if "interstitial" in kinds:
        for element in sorted(set(crystal.symbols)):
            wanted += of.interstitials(crystal, element)
        wanted += [of.dumbbell(crystal, axis) for axis in ((1, 0, 0), (1, 1, 0), (1, 1, 1))]
    wanted += of.antisites(crystal) * ("antisite" in kinds)
    if not wanted:
        return {}
    reservoirs = of_elements(reservoir)
    sizes = of.sizes_of(crystal, repeats)
    found = {}
    energies = of.defect_energies(crystal, wanted, model, repeats, reservoirs)
    for defect, by_size in zip(wanted, energies, strict=True):
        for size, energy in zip(sizes, by_size, strict=True):
            found[f"{defect.name} in {size} sites, eV"] = float(energy)
        if len(sizes) > 1:
            found[f"{defect.name}, extrapolated, eV"] = of.in_the_limit(by_size, sizes)
    return found


def surfaces(crystal: Atoms, model: Potential, planes: list[str], layers: int) -> dict[str, float]:
    """Surfaces of these planes."""
    from ase.units import J, m

    from stratal.errors import InputError
    from stratal.md.properties.surfaces import surface_energies

    if wrong := [name for name in planes if not (len(name) == 3 and name.isdigit())]:
        raise InputError(f"plane {wrong[0]!r}: give three digits, such as 111.")
    indices = [(int(name[0]), int(name[1]), int(name[2])) for name in planes]
    energies = surface_energies(crystal, model, indices, layers) / (J / m**2)
    return {f"surface {n}, J/m²": float(e) for n, e in zip(planes, energies, strict=True)}


def of_elements(words: list[str] | None) -> dict[str, float]:
    """Numbers by element, from words such as ``Cu=-3.54``.

    Raises:
        InputError: a word of another form.
    """
    from stratal.errors import InputError

    found = {}
    for word in words or []:
        symbol, _, value = word.partition("=")
        try:
            found[symbol] = float(value)
        except ValueError:
            raise InputError(f"{word!r}: give an element and eV, such as Cu=-0.1.") from None
    return found
