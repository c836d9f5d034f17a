"""StratalCalculator: a library of strata, or any potential, as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
    register_calculator_class,
)
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from jax.sharding import Mesh

from stratal.descriptors.cell_list import CellListPlan, cell_list
from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures, bucket
from stratal.errors import InputError
from stratal.potentials.chunks import evaluate_rows, rows_within
from stratal.potentials.evaluate import Potential, Result, in_precision, is_strictly_local
from stratal.potentials.library import Library
from stratal.potentials.shards import evaluate_on_devices, mesh_of, place
from stratal.potentials.trust import trust_by_rows

LARGE = 5000  # atoms from which the neighbor list is built on the device
SPREAD = 2000  # atoms from which several devices share the work
PRECISIONS = {"float64": jnp.float64, "float32": jnp.float32}

# Of committees: standard uncertainties (eV; eV/Å by atom), and how far each atom is from what
# its stratum was trained on (1: at the edge).
TRUST = ("energy_uncertainty", "forces_uncertainty", "extrapolation_grades")

_outdated = jax.jit(Neighbors.outdated)


class StratalCalculator(Calculator):
    """Energy (eV), energies, forces (eV/Å), stress and stresses (eV/Å³) for ASE.

    Moving atoms costs no compilation: arrays have padded sizes, and the neighbor list is
    kept until atoms have moved by half its skin.

    Example:
        >>> atoms.calc = StratalCalculator("lib/")  # doctest: +SKIP
    """

    name = "stratal"  # pyright: ignore[reportAssignmentType]
    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
        *TRUST,
    ]

    def __init__(
        self,
        source: str | Path | Library | Potential,
        elements: Sequence[str] | None = None,
        precision: str = "float64",
        skin: float = 0.3,
        memory_limit: float | None = None,
        spread: bool = True,
        uncertainty: bool = False,
        **kwargs: Any,
    ) -> None:
        """Open a library or wrap a potential.

        Args:
            source: folder of a library, a `Library`, or any `Potential`.
            elements: chemical symbols that a library has to cover, checked here; by
                default strata are composed for whatever elements a structure has.
            precision: ``"float64"`` or ``"float32"``; total energies are float64 in both.
            skin: how far the neighbor list reaches beyond the cutoff, Å.
            memory_limit: bytes of each device that an evaluation may take beside the neighbor
                list; half of what is free by default. Large systems are then evaluated in
                chunks, with the same results.
            spread: whether all devices of this process share the work of a large system.
            uncertainty: whether every calculation fills ``energy_uncertainty`` (eV),
                ``forces_uncertainty`` (eV/Å, of each atom's components) and
                ``extrapolation_grades`` (1 at the edge of the training set) as well; else
                ``get_property`` computes them when asked. NaN where a model cannot tell.
            **kwargs: passed to ASE's calculator.

        Raises:
            InputError: an unreadable library, a stratum missing, a setting out of range.
        """
        super().__init__(**kwargs)
        if precision not in PRECISIONS:
            raise InputError(f"precision {precision!r}: give float64 or float32.")
        if not skin >= 0:
            raise InputError(f"skin = {skin} Å: give 0 or more, such as 0.3.")
        if memory_limit is not None and not memory_limit > 0:
            raise InputError(f"memory_limit = {memory_limit}: give bytes above 0, such as 4e9.")
        self.library = Library.open(source) if isinstance(source, str | Path) else None
        if isinstance(source, Library):
            self.library = source
        self.precision, self.skin = precision, float(skin)
        self.memory_limit, self.spread = memory_limit, spread
        self.uncertainty = uncertainty
        self._given = None if self.library else source
        self._forget()
        if elements is not None and self.library is not None:
            self.library.potential(*elements)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill ``results``; one pass gives all properties.

        Raises:
            InputError: species that the potential does not cover, overlapping atoms, a
                cell without volume, positions that are not finite.
            PropertyNotImplementedError: stress of a structure without a full cell.
        """
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        has_volume = self.atoms.cell.rank == 3
        if not has_volume and {"stress", "stresses"} & set(properties):
            raise PropertyNotImplementedError("stress needs a cell with three vectors")
        with jax.enable_x64(True):
            result = self._evaluate(self.atoms)
            results = as_ase(result, len(self.atoms), has_volume)
            if self.uncertainty or set(TRUST) & set(properties):
                results |= self._trust(self.atoms)
        if not (np.isfinite(results["energy"]) and np.isfinite(results["forces"]).all()):
            raise InputError(  # the kept list did not see it: atoms met within its skin
                "energy or forces are not finite: two atoms overlap. Take a smaller step, or "
                "remove one of them."
            )
        self.results = results

    def potential_for(self, numbers: Sequence[int]) -> Potential:
        """The potential composed for these atomic numbers, in the calculator's precision."""
        key = tuple(sorted(set(map(int, numbers))))
        if key not in self._potentials:
            if self.library is None:
                potential: Any = self._given
            else:
                potential = self.library.potential(*(chemical_symbols[z] for z in key))
            self._potentials[key] = in_precision(potential, PRECISIONS[self.precision])
        return self._potentials[key]

    def _trust(self, atoms: Atoms) -> dict[str, Any]:
        """Uncertainties and grades of the structure for which the neighbor list was built."""
        potential, structures, _ = self._placed(atoms)
        assert self._neighbors is not None
        found = trust_by_rows(potential, structures, self._neighbors, self._n_rows)
        energy, forces, grades = (np.asarray(a, float) for a in vars(found).values())
        values = (float(energy[0]), forces[: len(atoms)], grades[: len(atoms)])
        return dict(zip(TRUST, values, strict=True))

    def _placed(self, atoms: Atoms) -> tuple[Potential, Structures, Mesh | None]:
        """The potential, the padded structure, and the devices that share the work."""
        potential = self.potential_for(atoms.numbers)
        structures = Structures.from_atoms(atoms, potential.elements)
        mesh = self._mesh(potential, len(atoms))
        n_devices = mesh.size if mesh else 1
        structures = structures.padded(-(-bucket(len(atoms)) // n_devices) * n_devices)
        return potential, structures.astype(PRECISIONS[self.precision]), mesh

    def _evaluate(self, atoms: Atoms) -> Result:
        potential, structures, mesh = self._placed(atoms)
        if not self._list_serves(potential, structures):
            built = self._build(potential, structures)
            self._neighbors = place(structures, built, mesh) if mesh else built
            self._species = np.asarray(structures.species)
            self._n_rows = rows_within(potential, structures, built, self.memory_limit)
        assert self._neighbors is not None
        if mesh:
            arguments = (potential, structures, self._neighbors)
            return evaluate_on_devices(*arguments, mesh, self._n_rows)
        return evaluate_rows(potential, structures, self._neighbors, self._n_rows)

    def _mesh(self, potential: Potential, n_atoms: int) -> Mesh | None:
        """The devices that share the work, None for one."""
        shared = self.spread and n_atoms >= SPREAD and len(jax.local_devices()) > 1
        return mesh_of() if shared and is_strictly_local(potential) else None

    def _list_serves(self, potential: Potential, structures: Structures) -> bool:
        """Whether the kept neighbor list still holds all edges within the cutoff."""
        kept = self._neighbors
        if kept is None or kept.cutoff != potential.cutoff:
            return False
        if kept.positions.shape != structures.positions.shape:
            return False
        if not np.array_equal(self._species, structures.species):
            return False
        if not np.array_equal(self._pbc, structures.pbc):
            return False
        return not _outdated(kept, structures).any()

    def _build(self, potential: Potential, structures: Structures) -> Neighbors:
        """A new list, no narrower than the last: its width is part of the compiled shape."""
        self._pbc = np.asarray(structures.pbc)
        if structures.n_atoms >= LARGE:
            built, self._plan = cell_list(structures, potential.cutoff, self.skin, self._plan)
            return built
        built = neighbor_list(structures, potential.cutoff, self.skin)
        if built.n_neighbors > self._width:
            spare = TILE if self._width else 0  # once it has grown, leave room to grow again
            self._width = built.n_neighbors + spare
        if built.n_neighbors < self._width:
            built = neighbor_list(structures, potential.cutoff, self.skin, self._width)
        # On the device once, not at every evaluation.
        return jax.device_put(replace(built, positions=structures.positions, cell=structures.cell))

    def _forget(self) -> None:
        self._potentials: dict[tuple[int, ...], Any] = {}
        self._neighbors: Neighbors | None = None
        self._species = self._pbc = np.zeros(0)
        self._width = self._n_rows = 0
        self._plan: CellListPlan | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to a worker: strata and settings, nothing compiled or cached."""
        state = self.__dict__.copy()
        kept = ("_potentials", "_neighbors", "_species", "_pbc", "_width", "_n_rows", "_plan")
        for cached in kept:
            state.pop(cached)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


def as_ase(result: Result, n_atoms: int, has_volume: bool) -> dict[str, Any]:
    """ASE's ``results`` of the first system, padding removed."""
    # Cut on the host: on the device each length would be a program of its own.
    result = jax.tree.map(lambda leaf: np.asarray(leaf, float), result)
    energy = float(result.energy[0])
    results = {
        "energy": energy,
        "free_energy": energy,
        "energies": result.energies[:n_atoms],
        "forces": result.forces[:n_atoms],
    }
    if has_volume:
        results["stress"] = full_3x3_to_voigt_6_stress(result.stress[0])
        results["stresses"] = full_3x3_to_voigt_6_stress(result.stresses[:n_atoms])
    return results


register_calculator_class("stratal", StratalCalculator)
