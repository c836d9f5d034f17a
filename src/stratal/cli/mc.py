"""``stratal mc``: Monte Carlo of alloys into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stratal.cli.defects import of_elements


def mc(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structures: Annotated[Path, typer.Argument(help="where to start, any file that ASE reads")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the run")],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with a table [mc]; options count more")
    ] = None,
    sweeps: Annotated[int | None, typer.Option(help="trials by atom [1000]")] = None,
    temperature: Annotated[float | None, typer.Option(help="K [300]")] = None,
    temperature_end: Annotated[float | None, typer.Option(help="K, reached evenly")] = None,
    chemical_potential: Annotated[
        list[str] | None,
        typer.Option(help="such as Cu=-0.1, eV, for each element; without, atoms change places"),
    ] = None,
    between: Annotated[
        str | None, typer.Option(help="of sweeps: nothing, relax or md [nothing]")
    ] = None,
    replicas: Annotated[int | None, typer.Option(help="of each structure [1]")] = None,
    seed: Annotated[int | None, typer.Option(help="of random numbers [0]")] = None,
    sample_every: Annotated[int | None, typer.Option(help="sweeps [1]")] = None,
    frame_every: Annotated[int | None, typer.Option(help="sweeps; 0: no frames [100]")] = None,
    precision: Annotated[str | None, typer.Option(help="of energies [float64]")] = None,
    supercell: Annotated[tuple[int, int, int], typer.Option(help="repeats of each structure")] = (
        1,
        1,
        1,
    ),
    resume: Annotated[bool, typer.Option(help="go on with a run that was cut short")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="averages, as JSON")] = None,
) -> None:
    """Let elements find their sites: exchanges of atoms, or a bath of chemical potentials.

    Example: stratal mc lib CuAg.extxyz -o run --supercell 4 4 4 --temperature 800 --between relax

    Averages are over the second half, with errors that count the correlation of samples.
    """
    from ase.data import atomic_numbers
    from rich.console import Console
    from rich.table import Table

    from stratal.files import read_frames, write_json
    from stratal.files.settings import settings_of
    from stratal.md.monte_carlo.record import averages
    from stratal.md.monte_carlo.run import run_mc
    from stratal.md.monte_carlo.settings import MCConfig
    from stratal.potentials.sources import potential_from

    given: dict[str, Any] = {
        "sweeps": sweeps,
        "temperature": temperature,
        "temperature_end": temperature_end,
        "chemical_potentials": of_elements(chemical_potential) or None,
        "between": between,
        "replicas": replicas,
        "seed": seed,
        "sample_every": sample_every,
        "frame_every": frame_every,
        "precision": precision,
    }
    config = settings_of(MCConfig, "mc", settings, given)
    frames = [frame * supercell for frame in read_frames(structures)]
    numbers = [z for frame in frames for z in frame.numbers]
    numbers += [atomic_numbers[symbol] for symbol in config.chemical_potentials]
    done = run_mc(frames, potential_from(potential, numbers), config, output, resume)
    if done.stopped_by:
        typer.echo(f"stopped by {done.stopped_by} after {done.n_sweeps} sweeps; go on: --resume")
        raise typer.Exit(1)
    rows = averages(done.record())
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if json_file:
        write_json(json_file, {"folder": str(output), "sweeps": done.n_sweeps, "systems": rows})
