"""``stratal data``: inspect, filter, split and convert labelled structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from stratal.potentials.data import DataSummary, LabelledData, Selection


def data(
    files: Annotated[list[Path], typer.Argument(help="labelled structures, any that ASE reads")],
    level_of_theory: Annotated[
        str | None, typer.Option(help="such as 'PBE/VASP 400 eV', where files do not say it")
    ] = None,
    group_key: Annotated[
        str | None, typer.Option(help="info key of groups that a split must not divide")
    ] = None,
    energy_key: Annotated[str | None, typer.Option(help="name of the energy, if unusual")] = None,
    forces_key: Annotated[str | None, typer.Option(help="name of the forces, if unusual")] = None,
    stress_key: Annotated[str | None, typer.Option(help="name of the stress, if unusual")] = None,
    elements: Annotated[
        str | None, typer.Option(help="keep structures of these only, such as Cu,Ag")
    ] = None,
    energy_above_lowest: Annotated[
        float | None, typer.Option(help="drop what is further above the lowest, eV/atom")
    ] = None,
    max_force: Annotated[
        float | None, typer.Option(help="drop what has a larger force on an atom, eV/Å")
    ] = None,
    split: Annotated[
        float | None, typer.Option(help="hold out this fraction, in whole groups")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="extended XYZ, .gz to compress")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="the summary, as JSON")] = None,
    report: Annotated[Path | None, typer.Option(help="the summary, as HTML")] = None,
) -> None:
    """Inspect, filter, split and convert labelled structures.

    Example: stratal data vasp/*/vasprun.xml --level-of-theory PBE --split 0.1 -o CuAg.extxyz.gz

    With --split, -o CuAg.extxyz writes CuAg.train.extxyz and CuAg.test.extxyz.
    """
    from rich.console import Console

    from stratal.errors import InputError
    from stratal.files import write_json
    from stratal.potentials.data import read_labelled, select, split_by_group, summarize

    if split is not None and output is None:
        raise InputError("--split: no -o; expected where to write. Add -o NAME.extxyz.")
    read = read_labelled(files, level_of_theory, group_key, energy_key, forces_key, stress_key)
    wanted = [symbol.strip() for symbol in elements.split(",")] if elements else None
    selection = select(read, energy_above_lowest, max_force, wanted)
    summary = summarize(selection.data)
    # Divided before anything is written, so that a split that cannot be leaves no files.
    parts = {"": selection.data}
    if split is not None:
        train, test = split_by_group(selection.data, split, seed)
        parts = {".train": train, ".test": test}
    console = Console()
    _print_summary(console, summary, selection)
    if output is not None:
        _write_parts(console, output, parts)
    if json_file is not None:
        write_json(json_file, {**summary.as_dict(), "selection": dict(selection.rows())})
    if report is not None:
        _write_report(report, summary, selection)


def _print_summary(console: Console, summary: DataSummary, selection: Selection) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in summary.rows():
        table.add_row(name, escape(value))
    if selection.dropped:
        for rule, count in selection.dropped:
            table.add_row(f"dropped: {rule}", str(count))
    console.print(table)
    for title, counts in (("elements", summary.by_elements), ("group", summary.by_group)):
        table = Table(title, "structures", box=None)
        for name, count in list(counts.items())[:20]:
            table.add_row(escape(name), str(count))
        if len(counts) > 20:
            table.add_row(f"... {len(counts) - 20} more", "")
        console.print(table)
    for outlier in summary.outliers[:10]:
        console.print(f"outlier: {outlier.source}: {outlier.reason}", markup=False)
    if len(summary.outliers) > 10:
        console.print(f"... {len(summary.outliers) - 10} more outliers; --json lists all")
    for warning in summary.warnings:
        console.print(f"warning: {warning}", markup=False)


def _write_parts(console: Console, output: Path, parts: dict[str, LabelledData]) -> None:
    from stratal.files import write_frames

    for infix, part in parts.items():
        path = with_infix(output, infix)
        write_frames(path, part.to_frames())
        console.print(f"{path}: {len(part)} structures", markup=False)


def _write_report(path: Path, summary: DataSummary, selection: Selection) -> None:
    from stratal.report import Report, error_bars

    report = Report.open(path) if path.is_file() else Report("Labelled data")
    section = report.section("Data").table(["", ""], summary.rows())
    section.table(["selection", "structures"], selection.rows())
    section.table(["elements", "structures"], summary.by_elements.items())
    largest = dict(list(summary.by_group.items())[:20])
    figure = error_bars(largest, unit="count", quantity="structures")
    section.figure(figure, "Structures by group (the 20 largest).")
    if summary.outliers:
        section.table(["outlier", "why"], [(o.source, o.reason) for o in summary.outliers])
    for warning in summary.warnings:
        section.text(f"Warning: {warning}")
    report.write(path)


def with_infix(path: Path, infix: str) -> Path:
    """Put ``infix`` before the suffix.

    >>> with_infix(Path("a/Cu.extxyz.gz"), ".train").name
    'Cu.train.extxyz.gz'
    """
    name = path.name
    for suffix in (".extxyz.gz", ".xyz.gz", ".extxyz", ".xyz"):
        if name.endswith(suffix):
            return path.with_name(name.removesuffix(suffix) + infix + suffix)
    return path.with_name(f"{path.stem}{infix}{path.suffix}")
