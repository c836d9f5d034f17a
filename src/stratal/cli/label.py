"""``stratal label``: energies, forces and stresses of structures from an ASE calculator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import BaseCalculator

_ROW = "label_row"  # info key in the partial file: index of the structure in the input


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
    from stratal.errors import InputError
    from stratal.files import interruptible, read_frames, write_frames
    from stratal.progress import progress

    frames = read_frames(structures)
    partial = output.with_name(output.name + ".partial.extxyz")
    if partial.exists() and not resume:
        raise InputError(
            f"{partial}: left by a run that was cut short. Add --resume to go on, or remove it."
        )
    done = _read_partial(partial, frames) if resume else {}
    level = level_of_theory or f"{calculator} {options}".removesuffix(" {}")
    make = lambda: make_calculator(calculator, options)  # noqa: E731 - a fresh one per failure
    engine, failed = make(), 0
    waiting = [index for index in range(len(frames)) if index not in done]
    with interruptible() as stop, progress(len(waiting), "labelling") as bar:
        for index in waiting:
            if stop.requested:
                typer.echo(f"stopped by {stop.signal}; go on with --resume", err=True)
                raise typer.Exit(1)
            try:
                labelled = compute(frames[index], engine, level)
                _append(partial, labelled, index)
                done[index] = labelled
            except Exception as error:  # a calculator may raise anything
                message = f"{structures}, frame {index}: {type(error).__name__}: {error}"
                if strict:
                    raise InputError(
                        f"{message}. Mend or remove the structure, then --resume."
                    ) from error
                typer.echo(f"{message}; left out", err=True)
                engine, failed = make(), failed + 1
            bar.update(1, failed=failed)
    if not done:
        raise InputError(f"{structures}: no structure could be labelled. Check the calculator.")
    write_frames(output, [done[index] for index in sorted(done)])
    partial.unlink(missing_ok=True)
    typer.echo(f"{output}: {len(done)} structures labelled, {failed} failed")
    if failed:
        raise typer.Exit(1)


def make_calculator(name: str, options: str) -> BaseCalculator:
    """An ASE calculator by ASE's name or as ``module:factory``; ``options`` is JSON.

    Raises:
        InputError: the options are not a JSON object, or there is no such calculator.
    """
    import importlib
    import json

    from ase.calculators.calculator import get_calculator_class

    from stratal.errors import InputError

    try:
        keywords: Any = json.loads(options)
    except ValueError as error:
        raise InputError(
            f"--options {options!r}: not JSON ({error}). Quote it: '{{\"a\": 1}}'."
        ) from error
    if not isinstance(keywords, dict):
        raise InputError(f"--options {options!r}: expected a JSON object, as '{{\"a\": 1}}'.")
    try:
        if ":" in name:
            module, _, attribute = name.partition(":")
            factory = getattr(importlib.import_module(module), attribute)
        else:
            factory = get_calculator_class(name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"--calculator {name}: {error}. Give a name that ASE knows (emt, lj, vasp) or "
            f"module:factory, and install what it needs."
        ) from error
    try:
        return factory(**keywords)
    except Exception as error:
        raise InputError(
            f"--calculator {name}: cannot be made with {keywords}: {error}. Correct --options."
        ) from error


def compute(frame: Atoms, engine: BaseCalculator, level: str) -> Atoms:
    """A copy of the structure with energy, forces and, if the calculator knows it, stress.

    Raises:
        ValueError: a result that is not finite.
    """
    import numpy as np
    from ase.calculators.calculator import PropertyNotImplementedError
    from ase.calculators.singlepoint import SinglePointCalculator

    labelled = frame.copy()
    labelled.set_constraint()
    labelled.calc = engine
    results: dict[str, Any] = {
        "energy": labelled.get_potential_energy(),
        "forces": labelled.get_forces(),
    }
    if frame.cell.rank == 3:
        try:
            results["stress"] = labelled.get_stress()
        except (PropertyNotImplementedError, NotImplementedError):
            pass
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    labelled.calc = SinglePointCalculator(labelled, **results)
    labelled.info["level_of_theory"] = level
    return labelled


def _append(partial: Path, labelled: Atoms, index: int) -> None:
    """One more structure at the end of the partial file, on disk when this returns."""
    import os

    from stratal.files.extxyz import format_frame

    row = labelled.copy()
    row.calc = labelled.calc
    row.info[_ROW] = index
    with partial.open("a", encoding="utf-8") as file:
        file.write(format_frame(row, f"{partial}, structure {index}"))
        file.flush()
        os.fsync(file.fileno())


def _read_partial(partial: Path, frames: list[Atoms]) -> dict[int, Atoms]:
    """What the run before has done, by index; a last frame cut short is dropped.

    Raises:
        InputError: the partial file belongs to other structures.
    """
    if not partial.exists():
        return {}
    done = {}
    for row in _whole_frames(partial):
        index = row.info.pop(_ROW, None)
        _refuse_foreign(partial, frames, row, index)
        done[int(index)] = row
    return done


def _whole_frames(partial: Path) -> Iterator[Atoms]:
    """Frames of the file without a torn last one, which is cut off the file as well."""
    from stratal.errors import InputError
    from stratal.files import read_frames, write_text

    lines = partial.read_text(encoding="utf-8").splitlines(keepends=True)
    last = 0
    while last < len(lines) and lines[last].strip().isdigit():
        following = last + 2 + int(lines[last])
        if following > len(lines) or not lines[following - 1].endswith("\n"):
            break
        last = following
    if last < len(lines):
        write_text(partial, "".join(lines[:last]))
    if last:
        try:
            yield from read_frames(partial)
        except InputError as error:
            raise InputError(f"{error} Or remove {partial} and label anew.") from error


def _refuse_foreign(partial: Path, frames: list[Atoms], row: Atoms, index: Any) -> None:
    import numpy as np

    from stratal.errors import InputError

    if index is not None and 0 <= index < len(frames):
        frame = frames[index]
        if np.array_equal(frame.numbers, row.numbers) and np.array_equal(
            frame.positions, row.positions
        ):
            return
    raise InputError(
        f"{partial}: row {index} is not that structure of the input. "
        f"Remove the file, or give the structures that it was begun with."
    )
