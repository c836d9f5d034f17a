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
    quasi_harmonic: Annotated[
        Path | None,
        typer.Option(help="thermal expansion and more by temperature, JSON; a figure beside it"),
    ] = None,
    temperatures: Annotated[
        tuple[float, float, float], typer.Option(help="with it: first, last and step, K")
    ] = (0.0, 600.0, 20.0),
    strains: Annotated[
        tuple[float, float], typer.Option(help="with it: of lengths, smallest and largest volume")
    ] = (-0.01, 0.03),
) -> None:
    """Phonons of a crystal: force constants for phonopy, stability, free energy.

    Example: stratal phonons lib Cu.extxyz -o phonons.yaml --figure phonons.png

    With --quasi-harmonic Cu.json also phonons at seven volumes, and from them volume, thermal
    expansion, bulk modulus, Gibbs's free energy and heat capacity at constant pressure.
    """
    from stratal.errors import InputError
    from stratal.files import atomic_path
    from stratal.md.properties.phonons import bands, density_of_states, thermal
    from stratal.md.properties.phonons import phonons as computed
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
    if quasi_harmonic:
        write_quasi_harmonic(
            quasi_harmonic, crystals[0], model, temperatures, supercell, strains, relax
        )


def write_quasi_harmonic(
    output: Path,
    crystal: Any,
    model: Any,
    temperatures: tuple[float, float, float],
    supercell: tuple[int, int, int],
    strains: tuple[float, float],
    relax: bool,
) -> None:
    """Thermal properties at constant pressure as JSON, and a figure of them beside it."""
    import numpy as np

    from stratal.errors import InputError
    from stratal.files import write_json
    from stratal.md import quasi_harmonic
    from stratal.report.curves import temperature_figure
    from stratal.report.figures import write_figure

    first, last, step = temperatures
    if not (step > 0 and last >= first):
        raise InputError(f"temperatures {temperatures}: give first, last and a step above 0.")
    kelvin = np.arange(first, last + 0.5 * step, step)
    mode = "fixed volume" if relax else None
    found = quasi_harmonic(crystal, model, kelvin, supercell, strains, relax=mode)
    per_atom = {
        "volume (Å³/atom)": found.volume / found.n_atoms,
        "thermal expansion (10⁻⁵/K)": 1e5 * found.thermal_expansion,
        "bulk modulus (GPa)": found.bulk_modulus_gpa,
        "heat capacity (meV/K/atom)": 1e3 * found.heat_capacity / found.n_atoms,
    }
    at = f"at {kelvin[-1]:g} K: "
    typer.echo(at + ", ".join(f"{name} {values[-1]:.4g}" for name, values in per_atom.items()))
    write_json(
        output,
        {
            "crystal": crystal.get_chemical_formula(),
            "atoms": found.n_atoms,
            "temperatures_K": found.temperatures,
            "volume_A3": found.volume,
            "thermal_expansion_per_K": found.thermal_expansion,
            "bulk_modulus_GPa": found.bulk_modulus_gpa,
            "gibbs_energy_eV": found.gibbs_energy,
            "entropy_eV_per_K": found.entropy,
            "heat_capacity_eV_per_K": found.heat_capacity,
            "gruneisen": found.gruneisen,
        },
    )
    write_figure(output.with_suffix(".png"), temperature_figure(kelvin, per_atom))


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
