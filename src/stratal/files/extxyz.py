"""Structures in and out: any file that ASE reads, extended XYZ written exactly.

Extended XYZ is cut into frames here (ASE builds each), so that an error names the frame
and its line, a gzipped file is read in one go, and a stress keeps all of its numbers.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.io.extxyz import key_val_str_to_dict, output_column_format, read_xyz
from ase.io.formats import UnknownFileTypeError
from ase.stress import voigt_6_to_full_3x3_stress
from ase.utils import string2index

from stratal.errors import InputError
from stratal.files.atomic import atomic_path

_PER_ATOM = ("forces", "energies", "stresses", "magmoms", "charges", "dipoles")


def read_frames(path: str | Path, index: str | int | slice = ":") -> list[Atoms]:
    """Read structures, with their results in ``frame.calc.results`` where the file has any.

    Args:
        path: extended XYZ, trajectory, vasprun.xml, CIF, ..., also gzipped.
        index: which frames, as ASE writes it: ``":"``, ``-1``, ``"0:10:2"``.

    Raises:
        InputError: missing, empty, truncated or unreadable; names the frame where it can.
    """
    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}; expected structures. Correct the path.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: empty file; expected structures. Write or copy it again.")
    wanted = _index(index, path)
    is_xyz = re.search(r"\.(ext)?xyz(\.gz)?$", path.name.lower()) is not None
    frames = _read_xyz(path, wanted) if is_xyz else _read_any(path, wanted)
    if not frames:
        raise InputError(
            f"{path}: no structures at {index!r}; expected at least one. Check that the file is "
            f"whole, or ask for frames that it has."
        )
    return frames


def write_frames(path: str | Path, frames: Atoms | Iterable[Atoms]) -> None:
    """Write extended XYZ atomically; gzipped if the name ends in ``.gz``.

    Energy, forces, stress (ASE's sign) and other results, ``info`` and ``arrays`` are
    written with all their digits, so that reading gives back the same numbers.

    Raises:
        InputError: a number that is NaN or infinite, or the file cannot be written.
    """
    path = Path(path)
    frames = [frames] if isinstance(frames, Atoms) else frames
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        # No time stamp in the gzip header: the same frames give the same bytes.
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
        with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
            for number, frame in enumerate(frames):
                file.write(format_frame(frame, f"{path}, frame {number}"))
            file.flush()
            if packed is not raw:
                packed.close()


def format_frame(frame: Atoms, where: str) -> str:
    """One frame of extended XYZ, numbers with all their digits.

    Raises:
        InputError: names ``where`` and what is not finite.
    """
    info, arrays = dict(frame.info), dict(frame.arrays)
    for name, value in (frame.calc.results if frame.calc else {}).items():
        if value is None or name not in all_properties:
            continue
        if name == "stress":
            info[name] = voigt_6_to_full_3x3_stress(as_voigt(value, f"{where}, stress"))
        elif name in _PER_ATOM:
            arrays[name] = np.asarray(value)
        else:
            info[name] = value
    arrays.pop("numbers")
    columns = {"symbols": np.array(frame.get_chemical_symbols()), **arrays}
    for name, value in {**info, **columns, "cell": frame.cell.array}.items():
        _refuse_not_finite(name, value, where)
    bare = Atoms(cell=frame.cell, pbc=frame.pbc, info=info)
    flat = {
        name: value.reshape(len(frame), np.prod(value.shape[1:], dtype=int))
        for name, value in columns.items()
    }
    comment = output_column_format(bare, list(flat), flat)[0].replace("\n", " ")
    cells = [_texts(column) for value in flat.values() for column in value.T]
    rows = (" ".join(row) for row in zip(*cells, strict=True))
    return "\n".join([str(len(frame)), comment, *rows]) + "\n"


def as_voigt(stress: Any, where: str) -> np.ndarray:
    """A stress as six numbers xx yy zz yz xz xy, ``(6,)``, in its own unit.

    Args:
        stress: ``(6,)`` in that order, ``(3, 3)`` or its nine numbers.
        where: file, frame and key, for errors.

    Raises:
        InputError: another shape, or a tensor that is not symmetric.
    """
    try:
        numbers = np.asarray(stress, float).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.size == 6:
        return numbers
    if numbers.size != 9:
        raise InputError(
            f"{where}: {str(stress)[:80]!r} of shape {np.shape(stress)}; expected 6 numbers "
            f"(xx yy zz yz xz xy) or 3 x 3, in eV/Å³. Mend or remove it."
        )
    tensor = numbers.reshape(3, 3)
    asymmetry = np.abs(tensor - tensor.T).max()
    if asymmetry > 1e-3 * np.abs(tensor).max() + 1e-6:  # codes print some five digits
        raise InputError(
            f"{where}: not symmetric (xy - yx and the like up to {asymmetry:.3g}); "
            f"expected a symmetric tensor. Check the order of its components, or remove it."
        )
    return (0.5 * (tensor + tensor.T))[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]


class _Block(NamedTuple):
    """Lines of one frame."""

    first: int  # index of its first line
    last: int  # index past its last line


def _read_xyz(path: Path, wanted: int | slice) -> list[Atoms]:
    lines = _text(path).splitlines(keepends=True)
    numbered = list(enumerate(_blocks(lines, path)))
    try:
        chosen = numbered[wanted]
    except IndexError:
        raise InputError(
            f"{path}: no frame {wanted}; the file has {len(numbered)}. Ask for one of these."
        ) from None
    chosen = chosen if isinstance(chosen, list) else [chosen]
    return [
        _build(
            "".join(lines[block.first : block.last]),
            f"{path}, frame {number} (line {block.first + 1})",
        )
        for number, block in chosen
    ]


def _index(index: str | int | slice, path: Path) -> int | slice:
    """What ``index`` means; ASE's reader of it returns text that it does not understand."""
    try:
        wanted: Any = string2index(index) if isinstance(index, str) else index
    except ValueError:
        wanted = index
    if isinstance(wanted, str):
        raise InputError(
            f"{path}: {index!r} does not say which frames. Write ':', '-1' or '0:10:2'."
        )
    return wanted


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        return content.decode()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: not a whole gzip file ({error}). Copy it again, or drop the suffix .gz "
            f"if it is plain text."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not text ({error.reason} at byte {error.start}); expected extended XYZ. "
            f"Give the file the suffix of its format."
        ) from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read. Change its permissions.") from error


def _blocks(lines: list[str], path: Path) -> Iterator[_Block]:
    """Cut at the lines that count atoms; blank lines may stand between frames."""
    first, number = 0, 0
    while first < len(lines):
        if not lines[first].strip():
            first += 1
            continue
        where = f"{path}, frame {number} (line {first + 1})"
        try:
            n_atoms = int(lines[first])
        except ValueError:
            raise InputError(
                f"{where}: {lines[first].strip()[:60]!r} where a frame begins; expected the "
                f"number of its atoms. Compare that number with the lines of the frame before."
            ) from None
        last = first + 2 + n_atoms
        if last > len(lines) or n_atoms < 0:
            raise InputError(
                f"{where}: truncated: {max(len(lines) - first - 2, 0)} lines of atoms, expected "
                f"{n_atoms}. Write the file again or remove the frame."
            )
        while last < len(lines) and lines[last].lstrip().startswith("VEC"):
            last += 1
        yield _Block(first, last)
        first, number = last, number + 1


def _build(text: str, where: str) -> Atoms:
    stress: list[Any] = []

    def parse(comment: str) -> dict[str, Any]:
        # ASE insists on nine numbers under this name and keeps six of them unseen.
        fields = key_val_str_to_dict(re.sub(r"(^|\s)stress\s*=", r"\1_stress=", comment))
        if "_stress" in fields:
            stress.append(fields.pop("_stress"))
        return fields

    try:
        frame: Atoms = next(read_xyz(io.StringIO(text), 0, properties_parser=parse))
    except Exception as error:  # ASE raises many kinds for a malformed frame
        raise InputError(
            f"{where}: cannot be read as extended XYZ: {_first_line(error)}. "
            f"Mend or remove the frame."
        ) from error
    if stress:
        from ase.calculators.singlepoint import SinglePointCalculator

        results = dict(frame.calc.results) if frame.calc else {}
        results["stress"] = as_voigt(stress[0], f"{where}, stress")
        frame.calc = SinglePointCalculator(frame, **results)
    return frame


def _read_any(path: Path, wanted: int | slice) -> list[Atoms]:
    try:
        frames = ase.io.read(path, index=wanted)
    except UnknownFileTypeError as error:
        raise InputError(
            f"{path}: ASE does not know this format. Convert it, for example to extended XYZ."
        ) from error
    except Exception as error:  # each of ASE's readers has its own
        raise InputError(
            f"{path}: ASE cannot read it ({type(error).__name__}: {_first_line(error)}). "
            f"Check that the file is whole and its suffix right."
        ) from error
    return frames if isinstance(frames, list) else [frames]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _refuse_not_finite(name: str, value: Any, where: str) -> None:
    numbers = np.asarray(value) if isinstance(value, np.ndarray | float | list | tuple) else None
    if numbers is None or numbers.dtype.kind not in "fc" or np.isfinite(numbers).all():
        return
    raise InputError(
        f"{where}: {name} holds NaN or infinity; expected finite numbers. "
        f"Remove {name} from the frame, or the frame."
    )


def _texts(column: np.ndarray) -> list[str]:
    if column.dtype.kind == "b":
        return ["T" if value else "F" for value in column.tolist()]
    if column.dtype.kind == "f":
        return [f"{value!r:>24}" for value in column.tolist()]
    return [f"{value!s:<2}" for value in column.tolist()]
