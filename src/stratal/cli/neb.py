"""``stratal neb``: the lowest pass between two minima."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def neb(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    ends: Annotated[
        Path, typer.Argument(help="first and last structure, or all images of a path so far")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="images, extended XYZ")],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with a table [neb]; options count more")
    ] = None,
    n_images: Annotated[int | None, typer.Option("--images", help="between the ends [5]")] = None,
    fmax: Annotated[float | None, typer.Option(help="eV/Å [0.02]")] = None,
    max_steps: Annotated[int | None, typer.Option(help="of the band [1000]")] = None,
    relax: Annotated[bool, typer.Option(help="relax the two ends first, in their cell")] = True,
    figure: Annotated[Path | None, typer.Option(help="energy along the path")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="energies, as JSON")] = None,
) -> None:
    """Find the path of least energy between two minima, its highest image at the saddle.

    Example: stratal neb lib ends.extxyz -o path.extxyz --figure path.png

    Stopped early, the images so far are written; give them instead of the ends to go on.
    """
    from stratal.files import atomic_path, read_frames, write_frames, write_json
    from stratal.files.settings import settings_of
    from stratal.md.evaluators import ByPotential
    from stratal.md.paths.neb import minimum_energy_paths
    from stratal.md.paths.nudging import NEBConfig
    from stratal.potentials.sources import potential_from
    from stratal.report.curves import path_figure

    given = {"n_images": n_images, "fmax": fmax, "max_steps": max_steps}
    config = settings_of(NEBConfig, "neb", settings, given)
    frames = read_frames(ends)
    model = potential_from(potential, [z for frame in frames for z in frame.numbers])
    if relax and len(frames) == 2:
        frames = ByPotential(model).relaxed(frames, config.fmax, "fixed")
    (path,) = minimum_energy_paths([frames], model, config)
    write_frames(output, path.images)
    ended = "converged" if path.converged else f"not converged, force {path.largest:.3f} eV/Å"
    typer.echo(
        f"barrier {path.barrier:.4f} eV, back {path.reverse_barrier:.4f} eV; {ended} after "
        f"{path.n_steps} steps"
    )
    if figure:
        fit = path.fit
        drawn = path_figure(fit.path, fit.energies, fit.fit_path, fit.fit_energies)
        with atomic_path(figure) as file:
            drawn.savefig(file, format=figure.suffix.lstrip(".") or "png")
    if json_file:
        content = {"energies_eV": path.energies, "barrier_eV": path.barrier}
        content |= {"reverse_barrier_eV": path.reverse_barrier, "converged": path.converged}
        write_json(json_file, content)
    if not path.converged:
        raise typer.Exit(1)
