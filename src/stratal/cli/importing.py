"""``stratal import``: models of other programs become strata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

importing = typer.Typer(help="Import models of other programs as strata.", no_args_is_help=True)


@importing.callback()
def formats() -> None:
    """Import models of other programs as strata."""


@importing.command()
def maise(
    models: Annotated[list[Path], typer.Argument(help="neural-network models of MAISE (nn_*)")],
    library: Annotated[Path, typer.Option("--output", "-o", help="library, new or existing")],
    repulsion: Annotated[
        bool, typer.Option(help="add MAISE's own short-range repulsion (its setting UREP)")
    ] = False,
) -> None:
    """Import neural-network models of MAISE.

    Example: stratal import maise nn_Cu_d3_vp nn_Ag_d3_vp -o lib
    """
    from stratal.potentials.foreign import read_maise
    from stratal.potentials.library import Library

    target = Library.create(library)
    read = [read_maise(model, "close" if repulsion else "none") for model in models]
    for strata in read:
        for stratum in strata:
            target.add(stratum)
            typer.echo(f"{library}/{stratum.name}.h5: {stratum.n_weights} weights")
    typer.echo(
        "Imported models state no level of theory: the first data trained on top will give it."
    )


@importing.command()
def n2p2(
    folder: Annotated[Path, typer.Argument(help="input.nn, scaling.data, weights.*.data")],
    library: Annotated[Path, typer.Option("--output", "-o", help="library, new or existing")],
    length_unit: Annotated[str, typer.Option(help="of the files: angstrom or bohr")] = "angstrom",
    energy_unit: Annotated[str, typer.Option(help="of the files: eV or hartree")] = "eV",
) -> None:
    """Import a model of n2p2, which becomes one stratum of all its elements.

    Example: stratal import n2p2 Cu2S_PBE -o lib
    """
    from stratal.potentials.foreign import read_n2p2
    from stratal.potentials.library import Library

    target = Library.create(library)
    stratum = read_n2p2(folder, length_unit, energy_unit)
    target.add(stratum)
    typer.echo(f"{library}/{stratum.name}.h5: {stratum.n_weights} weights")
    typer.echo(f"Read as {length_unit} and {energy_unit}; n2p2's files do not say.")
