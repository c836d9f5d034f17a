"""``stratal export``: strata become models of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

exporting = typer.Typer(help="Export strata as models of other programs.", no_args_is_help=True)

LIBRARY = Annotated[Path, typer.Argument(help="a library of strata")]
ELEMENTS = Annotated[list[str], typer.Argument(help="chemical symbols, such as Cu Ag")]


@exporting.callback()
def formats() -> None:
    """Export strata as models of other programs."""


@exporting.command()
def maise(
    library: LIBRARY,
    elements: ELEMENTS,
    file: Annotated[Path, typer.Option("--output", "-o", help="the model file to write")],
) -> None:
    """Export up to three elements as a model of MAISE.

    Example: stratal export maise lib Cu Ag -o model
    """
    from stratal.potentials.foreign import write_maise
    from stratal.potentials.library import Library

    write_maise(Library.open(library).strata, elements, file)
    typer.echo(f"{file}: {' '.join(elements)}. MAISE adds its own repulsion unless UREP is 0.")


@exporting.command()
def n2p2(
    library: LIBRARY,
    elements: ELEMENTS,
    folder: Annotated[Path, typer.Option("--output", "-o", help="the folder to write")],
) -> None:
    """Export as a model of n2p2, in eV and Å.

    Example: stratal export n2p2 lib Cu Ag -o model
    """
    from stratal.potentials.foreign import write_n2p2
    from stratal.potentials.library import Library

    write_n2p2(Library.open(library).strata, elements, folder)
    typer.echo(f"{folder}: {' '.join(elements)}; input.nn, scaling.data, weights; eV and Å.")
