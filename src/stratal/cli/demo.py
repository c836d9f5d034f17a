"""``stratal demo``: the whole story in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="folder to write")] = Path(
        "stratal-demo"
    ),
) -> None:
    """Build Cu, Ag and Cu-Ag strata from ASE's EMT, check them, run MD, write a report.

    Needs no data and no network; takes a few minutes on two cores.

    Example: stratal demo
    """
    from stratal.demo import run_demo

    report = run_demo(output)
    typer.echo(f"Open {report}")
