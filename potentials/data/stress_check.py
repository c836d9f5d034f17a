"""Do stresses agree with the energies? Strained copies of one structure tell.

Between two copies with the same fractional positions the energy changes by the work of the
stress, V σ:ε, whatever the atoms do. Where it does not, the stress has another sign, unit or order
of components, or is off by a pressure: that of a basis set that does not follow the cell (Pulay
stress; Francis and Payne, J. Phys.: Condens. Matter 2, 4395 (1990)).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.stress import voigt_6_to_full_3x3_stress

if TYPE_CHECKING:
    from stratal.potentials.data.labelled import LabelledData

LEAST_COPIES = 4
LARGEST_STRAIN = 0.1  # between two copies; beyond, the mean of their stresses says little
SMALL_STRAIN = 0.03  # up to here it says enough for an offset
LEAST_STRAIN = 1e-4  # two copies closer than this are the same
LEAST_WORK = 1e-3  # eV/Å³ between stresses of pairs: less cannot be told from rounding
LEAST_OFFSET = 0.5 * units.GPa
SHEARS = ((1, 2), (0, 2), (0, 1))  # yz, xz, xy
LEAST_SHEAR = 0.2  # part of the squared energies of shear that must be off
EXPLAINED = 0.8  # part of the squared disagreement that one pressure or order must explain


@dataclass(frozen=True)
class StressSuspect:
    """Strained copies of one structure whose energies and stresses disagree."""

    formula: str
    n_frames: int
    ratio: float  # work of the stress over the change of energy; below 0 if the sign is wrong
    offset: float  # eV/Å³, added to the stress of all copies; 0 where something else is wrong
    source: str  # the first copy
    order: str = ""  # what stands where yz, xz, xy are expected, if that is wrong

    def __str__(self) -> str:
        copies = f"over {self.n_frames} strained copies of {self.formula} (from {self.source})"
        if self.order:
            return (
                f"shear stresses agree with the energies {copies} if they are taken for "
                f"{self.order}, not yz, xz, xy: likely in another order (VASP prints xx, yy, zz, "
                f"xy, yz, zx)"
            )
        if self.offset:
            return (
                f"stress is {self.offset / units.GPa:+.2f} GPa off the derivative of the energy "
                f"{copies}: likely a basis set too small to follow the cell. Correct the stresses "
                f"or leave them out of the fit (stress_weight = 0)"
            )
        what = "opposite sign" if self.ratio < 0 else "another unit"
        return f"work of the stress is {self.ratio:.3g} times dE {copies}: likely of {what}"


class Steps(NamedTuple):
    """From one copy of a structure to another nearby; arrays ``(n_steps,)``."""

    change: np.ndarray  # of the energy, eV
    work: np.ndarray  # of the mean of both stresses, eV
    growth: np.ndarray  # of the volume, Å³
    volume: np.ndarray  # between both, Å³
    size: np.ndarray  # norm of the strain
    shear: np.ndarray  # mean stress yz, xz, xy, (n_steps, 3), eV/Å³
    slip: np.ndarray  # volume times the strains 2 yz, 2 xz, 2 xy, (n_steps, 3), Å³


def stress_suspects(data: LabelledData) -> tuple[StressSuspect, ...]:
    """Find stresses that contradict the energies.

    Where four or more frames are strained copies of one structure, the energy must change by
    the work of the stress. Those where it does not, within a factor of two or 0.5 GPa, are
    returned; data without such copies cannot be judged and give nothing.
    """
    copies = defaultdict(list)
    for index in np.flatnonzero(data.has_stress):
        if data.frames[index].cell.rank == 3:
            copies[_shape(data.frames[index])].append(int(index))
    return tuple(
        suspect
        for own in copies.values()
        if len(own) >= LEAST_COPIES
        for suspect in _judged(data, np.array(own))
    )


def _judged(data: LabelledData, indices: np.ndarray) -> list[StressSuspect]:
    """What is wrong with the stresses of copies of one structure."""
    steps = _steps(data, indices)
    if len(steps.change) < LEAST_COPIES - 1:
        return []
    if np.ptp(steps.change / (steps.volume * steps.size)) < LEAST_WORK:
        return []
    ratio = float(steps.change @ steps.work / (steps.change @ steps.change))
    formula, source = data.frames[indices[0]].get_chemical_formula(), str(data.sources[indices[0]])
    plain = StressSuspect(formula, len(indices), ratio, 0.0, source)
    if not 0.5 < ratio < 2.0:
        return [plain]
    offset, order = _offset(steps), _order(steps)
    found = [replace(plain, offset=offset)] if offset else []
    return [*found, replace(plain, order=order)] if order else found


def _steps(data: LabelledData, indices: np.ndarray) -> Steps:
    """The steps between neighbors among copies of one structure."""
    first, second = _pairs(np.array([data.frames[i].cell.array for i in indices]))
    one, other = indices[first], indices[second]
    before, after = (
        np.array([data.frames[i].cell.array for i in own]).reshape(-1, 3, 3) for own in (one, other)
    )
    middle = 0.5 * (before + after)
    strain = np.linalg.solve(middle, after - before)
    volume = np.abs(np.linalg.det(middle))
    stress = voigt_6_to_full_3x3_stress(0.5 * (data.stress[one] + data.stress[other]))
    return Steps(
        change=data.energy[other] - data.energy[one],
        work=volume * np.einsum("nij,nij->n", stress, strain),
        growth=volume * np.trace(strain, axis1=1, axis2=2),
        volume=volume,
        size=np.linalg.norm(strain, axis=(1, 2)),
        shear=np.stack([stress[:, i, j] for i, j in SHEARS], axis=1),
        slip=volume[:, None]
        * np.stack([strain[:, i, j] + strain[:, j, i] for i, j in SHEARS], axis=1),
    )


def _offset(steps: Steps) -> float:
    """The pressure (eV/Å³) by which stress and energy disagree; 0 where none explains it."""
    # Shear says nothing of a pressure.
    grows = np.abs(steps.growth) > 0.5 * steps.volume * steps.size
    used = grows & (steps.size < SMALL_STRAIN)
    apart, growth = (steps.work - steps.change)[used], steps.growth[used]
    if len(apart) < LEAST_COPIES - 1:
        return 0.0
    offset = float(growth @ apart / max(growth @ growth, 1e-12))
    unexplained = np.sum((apart - offset * growth) ** 2)
    explains = unexplained <= (1 - EXPLAINED) * np.sum(apart**2)
    return offset if explains and abs(offset) >= LEAST_OFFSET else 0.0


def _order(steps: Steps) -> str:
    """The order in which shear stresses explain the energies; empty if they do as they stand."""
    # A strain without symmetry has half its norm in the symmetric part.
    used = np.linalg.norm(steps.slip, axis=1) > 0.5 * steps.volume * steps.size
    if used.sum() < LEAST_COPIES - 1:
        return ""
    shear, slip = steps.shear[used], steps.slip[used]
    rest = (steps.change - steps.work)[used] + (shear * slip).sum(axis=1)
    apart = {
        order: float(np.sum((rest - (shear[:, order] * slip).sum(axis=1)) ** 2))
        for order in permutations(range(3))
    }
    best = min(apart, key=lambda order: apart[order])
    wrong = apart[0, 1, 2]
    if wrong < LEAST_SHEAR * np.sum(rest**2) or apart[best] > (1 - EXPLAINED) * wrong:
        return ""
    names = ("yz", "xz", "xy")
    return ", ".join(names[best.index(place)] for place in range(3))


def _pairs(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each cell ``(n, 3, 3)`` with the two nearest that are not the same; each pair once."""
    size = np.cbrt(np.abs(np.linalg.det(cells)).mean())
    pairs = set()
    for i, cell in enumerate(cells):
        apart = np.linalg.norm(cells - cell, axis=(1, 2)) / size
        apart[apart < LEAST_STRAIN] = np.inf
        for j in np.argsort(apart, kind="stable")[:2]:
            if apart[j] < LARGEST_STRAIN:
                pairs.add((min(i, int(j)), max(i, int(j))))
    table = np.array(sorted(pairs), int).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _shape(frame: Atoms) -> tuple[bytes, bytes]:
    """What strained copies share: numbers and fractional positions."""
    fractional = frame.get_scaled_positions(wrap=False)
    fractional = (fractional - fractional[0]).round(3) % 1.0
    return frame.numbers.tobytes(), (fractional + 0.0).tobytes()  # + 0.0: no negative zeros
