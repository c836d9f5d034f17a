"""``stratal info``: what a library or a stratum holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(
    library: Annotated[Path, typer.Argument(help="library, or the file of one stratum")],
    json_file: Annotated[Path | None, typer.Option("--json", help="the same, as JSON")] = None,
) -> None:
    """Show the strata of a library: weights, parents, level of theory, errors.

    Example: stratal info lib
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.files import write_json
    from stratal.potentials.library import Library, read_stratum

    if library.is_file():
        strata = [read_stratum(library)]
    else:
        opened = Library.open(library).strata.values()
        strata = sorted(opened, key=lambda stratum: (len(stratum.elements), stratum.name))
    table = Table("stratum", "weights", "stands on", "hash", "level of theory", "errors or source")
    for stratum in strata:
        errors = stratum.info.get("errors", {})
        found = ", ".join(f"{name} {1e3 * value:.1f}" for name, value in errors.items())
        table.add_row(
            stratum.name,
            str(stratum.n_weights),
            ", ".join(stratum.parents),
            stratum.physics_hash[:12],
            stratum.level_of_theory or "not stated",
            found or str(stratum.info.get("source", "")),
        )
    Console().print(table)
    if json_file:
        rows = [
            {
                "name": stratum.name,
                "weights": stratum.n_weights,
                "hash": stratum.physics_hash,
                "parents": stratum.parents,
                "level_of_theory": stratum.level_of_theory,
                "cutoff": stratum.descriptor.cutoff,
                "short_range": stratum.short_range,
                "info": stratum.info,
            }
            for stratum in strata
        ]
        write_json(json_file, {"library": str(library), "strata": rows})
