"""Label structures with an ASE calculator, one by one, so that nothing done is lost.

Every labelled structure goes to ``OUTPUT.partial.extxyz`` at once; a run that was cut short
goes on from there.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    BaseCalculator,
    PropertyNotImplementedError,
    get_calculator_class,
)
from ase.calculators.singlepoint import SinglePointCalculator

from stratal.errors import InputError
from stratal.files import interruptible, read_frames, write_frames, write_text
from stratal.files.extxyz import format_frame
from stratal.progress import progress

_ROW = "label_row"  # info key in the partial file: index of the structure in the input


@dataclass(frozen=True)
class Labelling:
    """How a run of `label_file` went."""

    labelled: int
    failures: tuple[str, ...]  # a sentence each
    stopped_by: str | None  # the signal that asked to stop, before all was done


def label_file(
    structures: Path,
    output: Path,
    calculator: str,
    options: str = "{}",
    level_of_theory: str | None = None,
    resume: bool = False,
    strict: bool = False,
) -> Labelling:
    """Label all structures of a file and write them as extended XYZ.

    Args:
        structures: any file that ASE reads.
        output: extended XYZ to write, compressed if it ends in .gz.
        calculator: ASE's name of a calculator, or ``module:factory``.
        options: its keyword arguments, a JSON object.
        level_of_theory: kept with each structure; the calculator's name by default.
        resume: go on from the partial file of a run that was cut short.
        strict: stop at the first structure that fails, else leave it out.

    Raises:
        InputError: unreadable structures, no such calculator, a partial file that is in the
            way or of other structures, no structure that could be labelled.
    """
    frames = read_frames(structures)
    partial = output.with_name(output.name + ".partial.extxyz")
    if partial.exists() and not resume:
        raise InputError(
            f"{partial}: left by a run that was cut short. Add --resume to go on, or remove it."
        )
    done = _read_partial(partial, frames) if resume else {}
    level = level_of_theory or f"{calculator} {options}".removesuffix(" {}")
    engine = make_calculator(calculator, options)
    failures: list[str] = []
    waiting = [index for index in range(len(frames)) if index not in done]
    with interruptible() as stop, progress(len(waiting), "labelling") as bar:
        for index in waiting:
            if stop.requested:
                return Labelling(len(done), tuple(failures), stop.signal)
            try:
                labelled = compute(frames[index], engine, level)
            except Exception as error:  # a calculator may raise anything
                message = f"{structures}, frame {index}: {type(error).__name__}: {error}"
                if strict:
                    raise InputError(
                        f"{message}. Mend or remove the structure, then --resume."
                    ) from error
                failures.append(message)
                engine = make_calculator(calculator, options)  # the old one may be broken
            else:
                _append(partial, labelled, index)
                done[index] = labelled
            bar.update(1, failed=len(failures))
    if not done:
        raise InputError(
            f"{failures[0] if failures else structures}; no structure could be labelled. "
            f"Check the calculator."
        )
    write_frames(output, [done[index] for index in sorted(done)])
    partial.unlink(missing_ok=True)
    return Labelling(len(done), tuple(failures), None)


def make_calculator(name: str, options: str, key: str = "--calculator") -> BaseCalculator:
    """An ASE calculator by ASE's name or as ``module:factory``.

    Args:
        name: that.
        options: keyword arguments, as JSON.
        key: where the user gave the name, for errors.

    Raises:
        InputError: the options are not a JSON object, or there is no such calculator.
    """
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
            f"{key} {name}: {error}. Give a name that ASE knows (emt, lj, vasp) or "
            f"module:factory, and install what it needs."
        ) from error
    try:
        return factory(**keywords)
    except Exception as error:
        raise InputError(
            f"{key} {name}: cannot be made with {keywords}: {error}. Correct --options."
        ) from error


def compute(frame: Atoms, engine: BaseCalculator, level: str) -> Atoms:
    """A copy of the structure with energy, forces and, if the calculator knows it, stress.

    Raises:
        ValueError: a result that is not finite.
    """
    labelled = frame.copy()
    labelled.set_constraint()
    labelled.calc = engine
    results: dict[str, Any] = {
        "energy": labelled.get_potential_energy(),
        "forces": labelled.get_forces(),
    }
    if frame.cell.rank == 3:
        with suppress(PropertyNotImplementedError, NotImplementedError):
            results["stress"] = labelled.get_stress()
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    labelled.calc = SinglePointCalculator(labelled, **results)
    labelled.info["level_of_theory"] = level
    return labelled


def _append(partial: Path, labelled: Atoms, index: int) -> None:
    """One more structure at the end of the partial file, on disk when this returns."""
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
