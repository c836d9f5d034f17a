"""``stratal drive``: forces for an i-PI server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def drive(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structure: Annotated[
        Path, typer.Argument(help="elements in the server's order; a file that ASE reads")
    ],
    unix: Annotated[str | None, typer.Option(help="address of the server's Unix socket")] = None,
    host: Annotated[str, typer.Option(help="the server's machine")] = "localhost",
    port: Annotated[int, typer.Option(help="the server's port")] = 31415,
    wait: Annotated[float, typer.Option(help="for a server that is to come, s")] = 60.0,
    precision: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
) -> None:
    """Answer an i-PI server with energies, forces and virials.

    Example: stratal drive lib start.extxyz --unix copper

    The server moves the atoms; i-PI's input has <ffsocket name='stratal' mode='unix'>
    <address>copper</address> </ffsocket>. Ends with the server, or at Ctrl-C.
    """
    from stratal.errors import InputError
    from stratal.files import read_frames
    from stratal.md.drivers.ipi import drive as driven

    frames = read_frames(structure)
    if len(frames) != 1:
        raise InputError(f"{structure}: {len(frames)} structures; give a file with one.")
    (atoms,) = frames
    axes = " ".join(axis for axis, periodic in zip("abc", atoms.pbc, strict=True) if periodic)
    typer.echo(f"{atoms.get_chemical_formula()}, periodic along {axes or 'no direction'}", err=True)
    try:
        count = driven(atoms, potential, unix, host, port, wait, precision)
    except KeyboardInterrupt:
        typer.echo("stopped; the server waits for another driver", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"the server has ended; {count} configurations evaluated")
