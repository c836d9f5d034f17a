"""Labelled data: what potentials are trained on and judged by.

``read_labelled`` is the door: what passes it is finite, of the right shape, in eV and Å,
of one level of theory, and free of overlapping atoms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from stratal.errors import InputError
from stratal.files.extxyz import read_frames
from stratal.potentials.data.checks import (
    check_energy,
    check_forces,
    check_stress,
    check_structure,
    stress_from_virial,
)

_PREFIXES = ("", "REF_", "ref_", "dft_", "DFT_", "vasp_", "qm_")
ENERGY_KEYS = (*(f"{p}energy" for p in _PREFIXES), "Energy", "total_energy")
FORCES_KEYS = (*(f"{p}{name}" for name in ("forces", "force") for p in _PREFIXES), "Forces")
STRESS_KEYS = (*(f"{p}stress" for p in _PREFIXES), "Stress")
VIRIAL_KEYS = tuple(f"{p}{name}" for name in ("virial", "virials") for p in _PREFIXES)
GROUP_KEYS = ("group", "config_type", "fold")
LEVEL_KEY = "level_of_theory"


class Source(NamedTuple):
    """Where a frame came from."""

    path: str
    frame: int  # counted from 0

    def __str__(self) -> str:
        return f"{self.path}, frame {self.frame}"


@dataclass(frozen=True)
class LabelledData:
    """Structures and their labels; every sequence has one entry per structure."""

    frames: tuple[Atoms, ...]  # without calculators and constraints
    energy: np.ndarray  # (n,), eV, total
    forces: tuple[np.ndarray | None, ...]  # (n_atoms, 3) each, eV/Å; None where there are none
    stress: np.ndarray  # (n, 6), xx yy zz yz xz xy, eV/Å³, tension positive; NaN: none
    groups: tuple[str, ...]  # "" for a frame that belongs to no group
    sources: tuple[Source, ...]
    level_of_theory: str

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def has_forces(self) -> np.ndarray:
        """Which structures have forces, ``(n,)``."""
        return np.array([forces is not None for forces in self.forces], bool)

    @property
    def has_stress(self) -> np.ndarray:
        """Which structures have a stress, ``(n,)``."""
        return np.asarray(np.isfinite(self.stress).all(axis=1))

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms of each structure, ``(n,)``."""
        return np.array([len(frame) for frame in self.frames], int)

    @property
    def energy_per_atom(self) -> np.ndarray:
        """``(n,)``, eV/atom."""
        return self.energy / self.n_atoms

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that occur, in alphabetical order."""
        return tuple(sorted({symbol for frame in self.frames for symbol in frame.symbols}))

    def take(self, which: Sequence[int] | np.ndarray) -> LabelledData:
        """The structures of these indices, or of a mask ``(n,)``, in this order."""
        indices = np.arange(len(self))[np.asarray(which, bool if _is_mask(which) else int)]
        return LabelledData(
            frames=tuple(self.frames[i] for i in indices),
            energy=self.energy[indices],
            forces=tuple(self.forces[i] for i in indices),
            stress=self.stress[indices],
            groups=tuple(self.groups[i] for i in indices),
            sources=tuple(self.sources[i] for i in indices),
            level_of_theory=self.level_of_theory,
        )

    def to_frames(self) -> list[Atoms]:
        """ASE atoms that carry their labels, group and level of theory; for writing."""
        labelled = []
        for index, frame in enumerate(self.frames):
            frame = frame.copy()
            results: dict[str, Any] = {"energy": float(self.energy[index])}
            if (forces := self.forces[index]) is not None:
                results["forces"] = forces
            if np.isfinite(self.stress[index]).all():
                results["stress"] = self.stress[index]
            frame.calc = SinglePointCalculator(frame, **results)
            frame.info[LEVEL_KEY] = self.level_of_theory
            if self.groups[index]:
                frame.info["group"] = self.groups[index]
            labelled.append(frame)
        return labelled


class _Keys(NamedTuple):
    """Where to look for each label; one key if the caller chose it."""

    energy: tuple[str, ...]
    forces: tuple[str, ...]
    stress: tuple[str, ...]
    group: str | None


class _Row(NamedTuple):
    """One structure on its way in."""

    frame: Atoms
    energy: float | None
    forces: np.ndarray | None
    stress: np.ndarray
    group: str
    level: str | None


def read_labelled(
    paths: str | Path | Iterable[str | Path],
    level_of_theory: str | None = None,
    group_key: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    elements: Iterable[str] | None = None,
    unstated_level: str | None = None,
) -> LabelledData:
    """Read structures with energies, and forces and stresses where there are any.

    Labels are taken from a calculator's results (extended XYZ, vasprun.xml, trajectories)
    or from ``info`` and ``arrays`` under the usual names (``REF_energy``, ``dft_forces``,
    ...; a ``virial`` is −V · stress). ``free_energy`` counts only if asked for by name.

    Args:
        paths: a file or several, any format that ASE reads.
        level_of_theory: such as ``"PBE/VASP 400 eV"``, for files that do not say it.
        group_key: info key of groups that a split must not divide; by default the first
            of ``group``, ``config_type``, ``fold`` that a frame has.
        energy_key: name of the energy, where it is unusual or there are several.
        forces_key: likewise of the forces.
        stress_key: likewise of the stress.
        elements: chemical symbols that may occur; all by default.
        unstated_level: what to record if neither the files nor the caller say the level;
            by default that is an error.

    Raises:
        InputError: names the file, the frame, what was found and what to do.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if not paths:
        raise InputError("no files given; expected labelled structures. Name at least one file.")
    allowed = None if elements is None else tuple(elements)
    keys = _Keys(
        (energy_key,) if energy_key else ENERGY_KEYS,
        (forces_key,) if forces_key else FORCES_KEYS,
        (stress_key,) if stress_key else STRESS_KEYS,
        group_key,
    )
    rows, sources = [], []
    for path in paths:
        for number, frame in enumerate(read_frames(path)):
            sources.append(Source(str(path), number))
            rows.append(_read_row(frame, keys, allowed, str(sources[-1])))
    _refuse_missing_energies(rows, sources, energy_key)
    return LabelledData(
        frames=tuple(row.frame for row in rows),
        energy=np.array([row.energy for row in rows], float),
        forces=tuple(row.forces for row in rows),
        stress=np.array([row.stress for row in rows]).reshape(-1, 6),
        groups=tuple(row.group for row in rows),
        sources=tuple(sources),
        level_of_theory=_one_level(rows, sources, level_of_theory, unstated_level),
    )


def _read_row(frame: Atoms, keys: _Keys, allowed: Sequence[str] | None, where: str) -> _Row:
    check_structure(frame, allowed, where)
    labels = {**frame.arrays, **frame.info, **(frame.calc.results if frame.calc else {})}
    energy = _find(labels, keys.energy, where, "--energy-key")
    forces = _find(labels, keys.forces, where, "--forces-key")
    level = frame.info.get(LEVEL_KEY)
    return _Row(
        frame=_bare(frame, keys),
        energy=None if energy is None else check_energy(energy, where),
        forces=None if forces is None else check_forces(forces, len(frame), where),
        stress=_stress(frame, labels, keys, where),
        group=_group(frame, keys.group, where),
        level=None if level is None else str(level),
    )


def _find(labels: Mapping[str, Any], names: Sequence[str], where: str, option: str) -> Any:
    """The label under one of the names; several that differ are a question to the user."""
    found = {name: labels[name] for name in names if labels.get(name) is not None}
    if not found:
        return None
    first, *others = found
    for other in others:
        if not _agree(found[first], found[other]):
            raise InputError(
                f"{where}: {first} and {other} are both there and differ; expected one. "
                f"Choose with {option} {first} or {option} {other}."
            )
    return found[first]


def _agree(one: Any, other: Any) -> bool:
    try:
        return np.allclose(np.asarray(one, float).ravel(), np.asarray(other, float).ravel())
    except (TypeError, ValueError):
        return False


def _stress(frame: Atoms, labels: Mapping[str, Any], keys: _Keys, where: str) -> np.ndarray:
    """``(6,)``, eV/Å³; NaN without a stress or a virial."""
    stress = _find(labels, keys.stress, where, "--stress-key")
    if stress is not None:
        return check_stress(stress, where)
    virial = None
    if len(keys.stress) > 1:
        virial = _find(labels, VIRIAL_KEYS, where, "--stress-key")
    return np.full(6, np.nan) if virial is None else stress_from_virial(virial, frame, where)


def _group(frame: Atoms, key: str | None, where: str) -> str:
    if key is None:
        return next((str(frame.info[name]) for name in GROUP_KEYS if name in frame.info), "")
    if key not in frame.info:
        raise InputError(
            f"{where}: no group under {key!r}; the frame has {_names(frame.info)}. "
            f"Choose another --group-key or add it."
        )
    return str(frame.info[key])


def _bare(frame: Atoms, keys: _Keys) -> Atoms:
    """The structure without calculator, constraints and labels; notes stay."""
    usual = {*ENERGY_KEYS, *FORCES_KEYS, *STRESS_KEYS, *VIRIAL_KEYS, LEVEL_KEY}
    labels = usual.union(keys.energy, keys.forces, keys.stress)
    bare = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    bare.info = {name: value for name, value in frame.info.items() if name not in labels}
    return bare


def _refuse_missing_energies(
    rows: Sequence[_Row], sources: Sequence[Source], energy_key: str | None
) -> None:
    missing = [index for index, row in enumerate(rows) if row.energy is None]
    if not missing:
        return
    first = missing[0]
    looked = energy_key or "energy, REF_energy, dft_energy, ..."
    some = "" if len(missing) == len(rows) else f" ({len(missing)} of {len(rows)} frames lack it)"
    raise InputError(
        f"{sources[first]}: no energy under {looked}{some}; the frame's info holds "
        f"{_names(rows[first].frame.info)}. Label it, remove it, or name the key with --energy-key."
    )


def _one_level(
    rows: Sequence[_Row],
    sources: Sequence[Source],
    level_of_theory: str | None,
    unstated_level: str | None,
) -> str:
    if level_of_theory is None and all(row.level is None for row in rows):
        level_of_theory = unstated_level
    seen: dict[str, Source] = {}
    for row, source in zip(rows, sources, strict=True):
        level = row.level or level_of_theory
        if level is None:
            raise InputError(
                f"{source}: no level of theory (info key {LEVEL_KEY}); energies of different "
                f"levels must not be mixed. Give it, as in --level-of-theory 'PBE/VASP 400 eV'."
            )
        seen.setdefault(level, source)
    if level_of_theory is not None:
        seen.setdefault(level_of_theory, Source("--level-of-theory", 0))
    if len(seen) > 1:
        (one, first), (other, second), *_ = seen.items()
        second_name = str(second) if second.path in map(lambda s: s.path, sources) else second.path
        raise InputError(
            f"{first} is {one!r}, but {second_name} is {other!r}; expected one level of theory. "
            f"Read the files separately, or relabel one of them."
        )
    return next(iter(seen))


def _names(info: Mapping[str, Any]) -> str:
    return ", ".join(map(str, info)) or "nothing"


def _is_mask(which: Sequence[int] | np.ndarray) -> bool:
    return np.asarray(which).dtype == bool
