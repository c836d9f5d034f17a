"""``stratal label``: energies, forces and stresses of structures from an ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def label(
    structures: Annotated[Path, typer.Argument(help="structures, any file that ASE reads")],
    output: Annotated[Path, typer.Option("--output", "-o", help="extended XYZ, .gz to compress")],
    calculator: Annotated[
        str, typer.Option(help="ASE's name (emt, lj, vasp) or module:factory of your own")
    ],
    options: Annotated[str, typer.Option(help="keyword arguments of it, as JSON")] = "{}",
    level_of_theory: Annotated[
        str | None, typer.Option(help="kept with each structure; the calculator by default")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="go on from OUTPUT.partial.extxyz of a run that was cut short")
    ] = False,
    strict: Annotated[bool, typer.Option(help="stop at the first structure that fails")] = False,
) -> None:
    """Label structures with energy, forces and stress from an ASE calculator.

    Example: stratal label candidates.extxyz -o labelled.extxyz.gz --calculator emt

    A structure that fails is named and left out, and the exit code is 1.
    """
    from stratal.potentials.data.label import label_file

    result = label_file(structures, output, calculator, options, level_of_theory, resume, strict)
    for failure in result.failures:
        typer.echo(f"{failure}; left out", err=True)
    if result.stopped_by:
        typer.echo(f"stopped by {result.stopped_by}; go on with --resume", err=True)
        raise typer.Exit(1)
    typer.echo(f"{output}: {result.labelled} structures labelled, {len(result.failures)} failed")
    if result.failures:
        raise typer.Exit(1)
