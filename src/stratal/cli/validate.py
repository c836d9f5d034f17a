"""``stratal validate``: whether a potential can be trusted, stratum by stratum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stratal.md.validation.run import Source


def validate(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the report")],
    reference: Annotated[
        str | None,
        typer.Option(
            help="library, emt, values.json of another run, or ASE's name or module:factory of a "
            "calculator"
        ),
    ] = None,
    beside: Annotated[
        str | None, typer.Option(help="a second library, such as one of full training")
    ] = None,
    elements: Annotated[
        list[str] | None, typer.Option("--element", help="of these only [all of the library]")
    ] = None,
    options: Annotated[str, typer.Option(help="of the calculator, as JSON")] = "{}",
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with tables [validate], [thresholds]")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="groups of properties")] = None,
) -> None:
    """Compute properties of every stratum, and judge them by a reference.

    Example: stratal validate lib -o validation --reference emt

    Phases, equation of state, elastic constants, phonons, defects, surfaces, stacking faults and
    dimers of elements; formation energies, and the most stable compound, of their alloys. Writes
    report.html, report.json and values.json; goes on with what a run before has left undone.
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.errors import InputError
    from stratal.files.settings import settings_of
    from stratal.md.validation.run import validate as validated
    from stratal.md.validation.settings import Thresholds, ValidationConfig
    from stratal.potentials import Library

    tables = ["validate", "thresholds"]
    given = {"skip": tuple(skip) if skip else None}
    config = settings_of(ValidationConfig, "validate", settings, given, tables)
    thresholds = settings_of(Thresholds, "thresholds", settings, {}, tables)
    library = None if potential == "emt" else Library.open(potential)
    symbols = elements or (symbols_of(library) if library else [])
    if not symbols:
        raise InputError(f"{potential}: no elements. Give some, such as --element Cu.")
    subjects: dict[str, Source] = {Path(potential).name: source_of(potential, symbols, options)}
    if beside:
        subjects[f"{Path(beside).name} (beside)"] = source_of(beside, symbols, options)
    right = None
    if reference:
        is_file = reference.endswith(".json")
        right = reference if is_file else source_of(reference, symbols, options)
    found = validated(subjects, symbols, output, right, config, thresholds)
    if reference:
        table = Table("", "green", "amber", "red")
        for name in subjects:
            table.add_row(name, *(str(count) for count in found.lights(name).values()))
        Console().print(table)
    typer.echo(f"{output / 'report.html'}")


def symbols_of(library: object) -> list[str]:
    """Elements of a library."""
    from ase.data import chemical_symbols

    return [chemical_symbols[z] for z in library.elements]  # type: ignore[attr-defined]


def source_of(name: str, symbols: list[str], options: str) -> Source:
    """A library, effective medium theory, or a calculator."""
    from ase.data import atomic_numbers

    from stratal.potentials import Library
    from stratal.potentials.data.label import make_calculator
    from stratal.potentials.sources import potential_from

    if name == "emt":
        return potential_from("emt", [atomic_numbers[symbol] for symbol in symbols])
    if Path(name).is_dir():
        return Library.open(name)
    return make_calculator(name, options)
