"""``stratal elastic``, ``phonons`` and ``defects``: properties of crystals from a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def elastic(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structures: Annotated[Path, typer.Argument(help="crystals, any file that ASE reads")],
    relax: Annotated[bool, typer.Option(help="relax positions and cell first")] = True,
    clamped: Annotated[bool, typer.Option(help="atoms do not relax in strained cells")] = False,
    strain: Annotated[float, typer.Option(help="of each copy")] = 2e-3,
    json_file: Annotated[Path | None, typer.Option("--json", help="constants, as JSON")] = None,
) -> None:
    """Elastic constants, averages and stability of crystals.

    Example: stratal elastic lib Cu.extxyz --json elastic.json
    """
    from ase.units import GPa
    from rich.console import Console
    from rich.table import Table

    from stratal.files import write_json
    from stratal.md import elastic_tensor

    model, crystals = opened(potential, structures, relax)
    table = Table("crystal", "C11", "C12", "C44", "bulk", "shear", "Young", "Poisson", "stable")
    found: list[dict[str, Any]] = []
    for crystal in crystals:
        tensor = elastic_tensor(crystal, model, strain, relax_atoms=not clamped)
        constants = tensor.constants_gpa
        moduli = (tensor.bulk_moduli[2], tensor.shear_moduli[2], tensor.young_modulus)
        bulk, shear, young = (modulus / GPa for modulus in moduli)
        name = crystal.get_chemical_formula()
        chosen = (constants[0, 0], constants[0, 1], constants[3, 3], bulk, shear, young)
        words = [*(f"{value:.1f}" for value in chosen), f"{tensor.poisson_ratio:.3f}"]
        table.add_row(name, *words, "yes" if tensor.is_stable else "no")
        found.append(
            {
                "crystal": name,
                "constants_gpa": constants,
                "bulk_modulus_gpa": bulk,
                "shear_modulus_gpa": shear,
                "young_modulus_gpa": young,
                "poisson_ratio": tensor.poisson_ratio,
                "stable": tensor.is_stable,
            }
        )
    table.caption = "GPa; averages are Hill's"
    Console().print(table)
    if json_file:
        write_json(json_file, {"crystals": found})


def phonons(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structure: Annotated[Path, typer.Argument(help="one crystal, any file that ASE reads")],
    output: Annotated[Path, typer.Option("--output", "-o", help="phonopy's YAML to write")],
    supercell: Annotated[tuple[int, int, int], typer.Option(help="repeats")] = (4, 4, 4),
    relax: Annotated[bool, typer.Option(help="relax positions and cell first")] = True,
    temperature: Annotated[float, typer.Option(help="of the free energy, K")] = 300.0,
    figure: Annotated[Path | None, typer.Option(help="bands and density of states")] = None,
) -> None:
    """Phonons of a crystal: force constants for phonopy, stability, free energy.

    Example: stratal phonons lib Cu.extxyz -o phonons.yaml --figure phonons.png
    """
    from stratal.errors import InputError
    from stratal.files import atomic_path
    from stratal.md.phonons import bands, density_of_states, thermal
    from stratal.md.phonons import phonons as computed
    from stratal.report.figures import bands_figure, write_figure

    model, crystals = opened(potential, structure, relax)
    if len(crystals) != 1:
        raise InputError(f"{structure}: {len(crystals)} structures; give a file with one crystal.")
    found = computed(crystals[0], model, supercell)
    lines = bands(found)
    with atomic_path(output) as path:
        found.save(path, settings={"force_constants": True})
    values = thermal(found, [temperature])
    lowest, highest = lines.frequencies.min(), lines.frequencies.max()
    stable = "stable" if lowest > -0.05 else "imaginary frequencies: not at a minimum"
    typer.echo(
        f"{crystals[0].get_chemical_formula()}: {lowest:.2f} to {highest:.2f} THz, {stable}; at "
        f"{temperature:g} K free energy {values.free_energy[0]:.4f} eV, heat capacity "
        f"{1e3 * values.heat_capacity[0]:.4f} meV/K by primitive cell"
    )
    if figure:
        drawn = bands_figure(*vars(lines).values(), density_of_states(found))
        write_figure(figure, drawn)


def opened(potential: str, structures: Path, relax: bool) -> tuple[Any, list[Any]]:
    """The potential and the crystals, at rest if asked."""
    from stratal.files import read_frames
    from stratal.md.evaluators import ByPotential
    from stratal.potentials.sources import potential_from

    frames = read_frames(structures)
    model = potential_from(potential, [z for frame in frames for z in frame.numbers])
    if relax:
        frames = ByPotential(model).relaxed(frames, 1e-4, "free")
    return model, frames
