"""Elastic constants: stresses of a strained crystal, its atoms relaxed or not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.md.relaxation.symmetry import operations_of
from stratal.potentials.evaluate import Potential

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class ElasticTensor:
    """Elastic constants in Voigt's notation, and what follows from them."""

    constants: np.ndarray  # (6, 6), eV/Å³; stress over engineering strain, order xx yy zz yz xz xy

    @property
    def constants_gpa(self) -> np.ndarray:
        """``(6, 6)``, GPa."""
        return self.constants / units.GPa

    @cached_property
    def compliances(self) -> np.ndarray:
        """The inverse, ``(6, 6)``, Å³/eV."""
        return np.linalg.inv(self.constants)

    @property
    def is_stable(self) -> bool:
        """Whether every small strain costs energy (Born's criterion): all eigenvalues above 0."""
        return bool(np.linalg.eigvalsh(0.5 * (self.constants + self.constants.T)).min() > 0)

    @property
    def bulk_moduli(self) -> tuple[float, float, float]:
        """Voigt's, Reuss's and Hill's average of the bulk modulus, eV/Å³.

        R. Hill, Proc. Phys. Soc. A 65, 349 (1952).
        """
        voigt = self.constants[:3, :3].sum() / 9
        reuss = 1 / self.compliances[:3, :3].sum()
        return float(voigt), float(reuss), float(0.5 * (voigt + reuss))

    @property
    def shear_moduli(self) -> tuple[float, float, float]:
        """The same of the shear modulus, eV/Å³."""
        c, s = self.constants, self.compliances
        apart = np.trace(c[:3, :3]) - c[0, 1] - c[0, 2] - c[1, 2]
        voigt = (apart + 3 * np.trace(c[3:, 3:])) / 15
        apart = np.trace(s[:3, :3]) - s[0, 1] - s[0, 2] - s[1, 2]
        reuss = 15 / (4 * apart + 3 * np.trace(s[3:, 3:]))
        return float(voigt), float(reuss), float(0.5 * (voigt + reuss))

    @property
    def poisson_ratio(self) -> float:
        """Of the isotropic average (Hill's)."""
        bulk, shear = self.bulk_moduli[2], self.shear_moduli[2]
        return (3 * bulk - 2 * shear) / (2 * (3 * bulk + shear))

    @property
    def young_modulus(self) -> float:
        """Of the isotropic average (Hill's), eV/Å³."""
        bulk, shear = self.bulk_moduli[2], self.shear_moduli[2]
        return 9 * bulk * shear / (3 * bulk + shear)


def elastic_tensor(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    strain: float = 2e-3,
    relax_atoms: bool = True,
    fmax: float = 1e-4,
    symmetry: bool = True,
) -> ElasticTensor:
    """Elastic constants from the stresses of twelve strained copies, all evaluated at once.

    Args:
        crystal: at its equilibrium, periodic in three directions.
        source: a potential, or any ASE calculator.
        strain: of each copy, to both sides.
        relax_atoms: whether atoms relax in the strained cells; without, constants of the clamped
            lattice.
        fmax: of that relaxation, eV/Å.
        symmetry: average over the crystal's point group.

    Raises:
        InputError: not a crystal, or under more stress than the strains make.
    """
    name = crystal.get_chemical_formula()
    if not crystal.pbc.all():
        raise InputError(
            f"{name}: elastic constants are of crystals, periodic in three directions."
        )
    evaluate = evaluator(source)
    strained = [
        strained_by(crystal, component, sign * strain) for component in range(6) for sign in (1, -1)
    ]
    if relax_atoms and len(crystal) > 1:
        strained = evaluate.relaxed(strained, fmax, "fixed")
    stresses = evaluate.evaluate([crystal, *strained]).stress
    at_rest, sides = stresses[0], stresses[1:].reshape(6, 2, 6)
    columns = (sides[:, 0] - sides[:, 1]) / (2 * strain)  # (strain, stress)
    constants = 0.5 * (columns + columns.T)
    if np.abs(at_rest).max() > 10 * strain * np.abs(constants).max():
        raise InputError(
            f"{name}: under a stress of {np.abs(at_rest).max() / units.GPa:.2g} GPa; elastic "
            f"constants are those of a crystal at rest. Relax its cell first."
        )
    if symmetry:
        rotations = np.unique(operations_of(crystal)[0].round(9), axis=0)
        constants = np.mean([rotated(constants, rotation) for rotation in rotations], axis=0)
    return ElasticTensor(constants)


def strained_by(crystal: Atoms, component: int, strain: float) -> Atoms:
    """A copy under one component of Voigt's engineering strain."""
    i, j = VOIGT[component]
    tensor = np.zeros((3, 3))
    tensor[i, j] += 0.5 * strain
    tensor[j, i] += 0.5 * strain
    copy = crystal.copy()
    copy.set_cell(crystal.cell.array @ (np.eye(3) + tensor), scale_atoms=True)
    return copy


def rotated(constants: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Constants ``(6, 6)`` of the crystal turned by a rotation of column vectors."""
    index = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    full = constants[index[:, :, None, None], index[None, None]]
    turned = np.einsum("ia,jb,kc,ld,abcd->ijkl", *([rotation] * 4), full, optimize=True)
    rows = [[turned[(*a, *b)] for b in VOIGT] for a in VOIGT]
    return np.array(rows)
