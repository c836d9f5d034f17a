"""``stratal structure``: look at structures, compare, change and convert them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ase import Atoms

structure = typer.Typer(
    help="Look at structures, compare, change and convert them.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="any file that ASE reads")]
Index = Annotated[str, typer.Option(help="which structures, such as -1 or 0:10:2")]
Output = Annotated[Path, typer.Option("--output", "-o", help="what to write, format by its name")]
Symprec = Annotated[float, typer.Option(help="by which atoms may miss their places, Å")]
Nine = tuple[int, int, int, int, int, int, int, int, int]
JsonFile = Annotated[Path | None, typer.Option("--json", help="the same, as JSON")]


@structure.command()
def info(
    file: File, index: Index = ":", symprec: Symprec = 1e-3, json_file: JsonFile = None
) -> None:
    """Formula, cell, volume, density, space group and shortest distances of structures.

    Example: stratal structure info POSCAR --symprec 0.01
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from stratal.files import read_frames, write_json
    from stratal.md.structures.structure_summary import summarize

    found = [summarize(atoms, symprec) for atoms in read_frames(file, index)]
    for number, each in enumerate(found):
        table = Table("", f"structure {number}", box=None)
        for row in each.rows():
            table.add_row(*row)
        Console().print(table)
    if json_file:
        write_json(json_file, {"symprec": symprec, "structures": [asdict(each) for each in found]})


@structure.command()
def rdf(
    file: File,
    index: Index = ":",
    cutoff: Annotated[float, typer.Option(help="Å")] = 8.0,
    bins: Annotated[int, typer.Option(help="up to the cutoff")] = 160,
    figure: Annotated[Path | None, typer.Option(help="PNG, PDF or SVG")] = None,
    csv: Annotated[Path | None, typer.Option(help="one column for each curve")] = None,
    json_file: JsonFile = None,
) -> None:
    """Radial distributions by pairs of species, averaged over the structures of a file.

    Example: stratal structure rdf CuAg.extxyz --cutoff 6 --figure rdf.png --csv rdf.csv

    Of crystals g(r), 1 for an ideal gas; of what is not periodic in three directions the
    neighbors per atom and Å.
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.files import read_frames, write_json, write_text
    from stratal.md.structures.radial_distribution import distribution_by_species
    from stratal.report.figures import radial_distribution_figure, write_figure

    found = distribution_by_species(read_frames(file, index), cutoff, bins)
    table = Table("pair", "highest at, Å", found.quantity)
    for name, values in found.curves.items():
        highest = values.argmax()
        table.add_row(name, f"{found.distances[highest]:.3f}", f"{values[highest]:.4g}")
    Console().print(table)
    if figure:
        drawn = radial_distribution_figure(found.distances, found.curves, found.quantity)
        write_figure(figure, drawn)
    if csv:
        write_text(csv, found.as_csv())
    if json_file:
        content = {"quantity": found.quantity, "distances": found.distances, **found.curves}
        write_json(json_file, content)


@structure.command()
def compare(
    first: File,
    second: File,
    index: Annotated[str, typer.Option(help="which structures of both files")] = ":",
    cutoff: Annotated[float, typer.Option(help="of distances, Å")] = 6.0,
    width: Annotated[float, typer.Option(help="of the Gaussians that smear them, Å")] = 0.05,
    threshold: Annotated[float, typer.Option(help="similarity from which two are the same")] = 0.98,
    scale: Annotated[bool, typer.Option(help="all to their mean volume per atom")] = False,
    match: Annotated[bool, typer.Option(help="ask pymatgen's StructureMatcher too")] = True,
    json_file: JsonFile = None,
) -> None:
    """Whether structures are the same: all of the first file against all of the second.

    Example: stratal structure compare POSCAR relaxed.extxyz --scale

    Two verdicts: the similarity of radial distributions by species, from 0 to 1, against
    the threshold, and pymatgen's matcher, which is of crystals.
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.files import read_frames, write_json
    from stratal.md.structures.similarity import Smearing, compare

    frames, others = read_frames(first, index), read_frames(second, index)
    smearing = Smearing(cutoff, cutoff * 5 / 6, width)
    rows = []
    table = Table(str(first), str(second), "similarity", "same", "matcher", "rms")
    for found in compare(frames, others, smearing, scale, match):
        same, verdict = found.similarity >= threshold, found.match
        rms = verdict.rms if verdict else None
        table.add_row(
            f"{found.first}: {frames[found.first].get_chemical_formula()}",
            f"{found.second}: {others[found.second].get_chemical_formula()}",
            f"{found.similarity:.6f}",
            _yes(same),
            _yes(verdict.same) if verdict else "-",
            "-" if rms is None else f"{rms:.2g}",
        )
        pair = {"first": found.first, "second": found.second, "similarity": found.similarity}
        matched = verdict.same if verdict else None
        rows.append({**pair, "same": same, "matcher": matched, "matcher_rms": rms})
    Console().print(table)
    if json_file:
        how = {"cutoff": cutoff, "width": width, "threshold": threshold, "scaled": scale}
        write_json(json_file, {**how, "pairs": rows})


@structure.command()
def symmetrize(file: File, output: Output, index: Index = ":", symprec: Symprec = 1e-3) -> None:
    """Move atoms and cell to obey the space group exactly; the cell stays the one it is.

    Example: stratal structure symmetrize relaxed.extxyz -o Cu.cif --symprec 0.05
    """
    from stratal.md.structures.crystal_symmetry import symmetrized

    _rewrite(file, output, index, lambda atoms: symmetrized(atoms, symprec))


@structure.command()
def primitive(file: File, output: Output, index: Index = ":", symprec: Symprec = 1e-3) -> None:
    """Write the standard primitive cell, which obeys the space group exactly.

    Example: stratal structure primitive POSCAR -o POSCAR.primitive
    """
    from stratal.md.structures.crystal_symmetry import standard_cell

    _rewrite(file, output, index, lambda atoms: standard_cell(atoms, True, symprec))


@structure.command()
def conventional(file: File, output: Output, index: Index = ":", symprec: Symprec = 1e-3) -> None:
    """Write the standard conventional cell, which obeys the space group exactly.

    Example: stratal structure conventional primitive.cif -o conventional.cif
    """
    from stratal.md.structures.crystal_symmetry import standard_cell

    _rewrite(file, output, index, lambda atoms: standard_cell(atoms, False, symprec))


@structure.command()
def supercell(
    file: File,
    output: Output,
    index: Index = ":",
    repeat: Annotated[
        tuple[int, int, int] | None, typer.Option(help="along the vectors of the cell")
    ] = None,
    matrix: Annotated[
        Nine | None, typer.Option(help="rows: the new vectors in the old ones")
    ] = None,
) -> None:
    """Repeat a structure, or give it another cell of its lattice.

    Example: stratal structure supercell fcc.cif -o cube.cif --matrix -1 1 1 1 -1 1 1 1 -1
    """
    import numpy as np

    from stratal.errors import InputError
    from stratal.md.structures.supercells import supercell

    if (repeat is None) == (matrix is None):
        raise InputError("supercell: give either --repeat, 3 integers, or --matrix, 9 integers.")
    rows = np.array(repeat) if repeat is not None else np.reshape(matrix or (), (3, 3))
    _rewrite(file, output, index, lambda atoms: supercell(atoms, rows))


@structure.command()
def shift(
    file: Annotated[Path, typer.Argument(help="a cell of the crystal, any file that ASE reads")],
    phonons: Annotated[Path, typer.Argument(help="its YAML of phonopy, with force constants")],
    output: Output,
    q: Annotated[
        tuple[float, float, float], typer.Option(help="wave vector, by the primitive cell")
    ],
    mode: Annotated[int, typer.Option(help="from 1, by ascending frequency")],
    amplitude: Annotated[float, typer.Option(help="of the atom that moves farthest, Å")] = 0.1,
    repeat: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="of the cell [the fewest into which the wave fits]"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Displace a supercell along a phonon mode.

    Example: stratal structure shift Cu.cif phonons.yaml -o moved.cif --q 0.5 0.5 0 --mode 3

    Lattice and places are those with which the phonons were computed.
    """
    from stratal.errors import InputError
    from stratal.files import read_frames, write_json, write_structures
    from stratal.md.properties.phonon_modes import displaced_along_mode
    from stratal.md.properties.phonons import read_phonons

    frames = read_frames(file)
    if len(frames) != 1:
        raise InputError(f"{file}: {len(frames)} structures; give a file with one crystal.")
    lattice = read_phonons(phonons)
    found = displaced_along_mode(lattice, frames[0], q, mode, amplitude, repeat)
    write_structures(output, [found.atoms])
    typer.echo(
        f"{output}: {len(found.atoms)} atoms, {'x'.join(map(str, found.repeats))} cells; "
        f"{found.frequency:.4f} THz, Q = {found.coordinate:.4f} Å amu^1/2, harmonic energy "
        f"{1e3 * found.energy:.4f} meV"
    )
    if json_file:
        numbers = {
            "frequency_THz": found.frequency,
            "coordinate_A_sqrt_amu": found.coordinate,
            "harmonic_energy_eV": found.energy,
            "repeats": found.repeats,
        }
        write_json(json_file, numbers)


@structure.command()
def convert(
    file: File,
    output: Annotated[Path, typer.Argument(help="what to write")],
    index: Index = ":",
    format_name: Annotated[
        str | None, typer.Option("--format", help="ASE's name of it, if the file's does not say")
    ] = None,
) -> None:
    """Write structures in another format that ASE knows.

    Example: stratal structure convert OUTCAR last.cif --index -1
    """
    from stratal.files import read_frames, write_structures

    frames = read_frames(file, index)
    write_structures(output, frames, format_name)
    typer.echo(f"{output}: {len(frames)} structures")


def _rewrite(file: Path, output: Path, index: str, change: Callable[[Atoms], Atoms]) -> None:
    from stratal.files import read_frames, write_structures

    frames = [change(atoms) for atoms in read_frames(file, index)]
    write_structures(output, frames)
    for number, atoms in enumerate(frames):
        typer.echo(f"{output}, structure {number}: {atoms.get_chemical_formula()}")


def _yes(verdict: bool) -> str:
    return "yes" if verdict else "no"
