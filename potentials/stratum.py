"""A stratum: the weights that one set of elements adds, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from stratal.descriptors.descriptor import Descriptor
from stratal.descriptors.element_symmetry_functions import ElementSymmetryFunctions
from stratal.descriptors.invariants import Moments
from stratal.descriptors.symmetry_functions import SymmetryFunctions
from stratal.errors import InputError
from stratal.files.hdf5 import digest
from stratal.potentials.atomic_term import AtomicTerm
from stratal.potentials.domain import Domain

DESCRIPTORS = {  # by the name written in files
    "symmetry functions": SymmetryFunctions,
    "element symmetry functions": ElementSymmetryFunctions,
    "moments": Moments,
}


class Coupling(NamedTuple):
    """How one block of features enters the first layer of one element."""

    minimum: np.ndarray  # (block size,), G_min
    factor: np.ndarray  # (block size,), 1 / (G_max - G_min)
    kernel: np.ndarray  # (block size, n_hidden)


class Trunk(NamedTuple):
    """All of an element's network but its couplings."""

    bias: np.ndarray  # (n_hidden,), of the first layer
    kernels: tuple[np.ndarray, ...]  # later layers, (n_in, n_out)
    biases: tuple[np.ndarray, ...]  # later layers, (n_out,)
    activations: tuple[str, ...] = ()  # of each layer; () for tanh and a linear output


@dataclass(frozen=True)
class Stratum:
    """Weights added for one set of elements, on top of the strata of its subsets.

    A root stratum has no parents: that of one element, or a model of several elements that
    was not built by strata. A stratum of symmetry functions has couplings into the networks of
    its elements (a root also their trunks); one of moments has terms that are added.
    """

    elements: tuple[int, ...]  # atomic numbers, ascending
    descriptor: Descriptor | Moments
    couplings: dict[tuple[int, tuple[int, ...]], Coupling] = field(default_factory=dict)
    trunks: dict[int, Trunk] = field(default_factory=dict)  # by center; roots only
    terms: dict[int, AtomicTerm] = field(default_factory=dict)  # by center, of all members
    parents: dict[str, str] = field(default_factory=dict)  # physics hash by name
    # Between pairs of elements that stand in no stratum below: "none" or a key of `SHORT_RANGE`.
    short_range: str = "none"
    level_of_theory: str | None = None  # of the training data; None for imported models
    info: dict[str, Any] = field(default_factory=dict)  # errors, training data, notes
    domain: dict[int, Domain] = field(default_factory=dict)  # by center: what it was trained on

    @property
    def name(self) -> str:
        """Chemical symbols in alphabetical order, such as ``"Ag-Cu"``."""
        return stratum_name(self.elements)

    @property
    def is_root(self) -> bool:
        """Whether it stands on its own."""
        return bool(self.trunks) or (bool(self.terms) and not self.parents)

    @property
    def calibration(self) -> tuple[float, float]:
        """By what the spread of forces and energies grows to be an uncertainty; NaN: unknown."""
        known = self.info.get("calibration", {})
        return known.get("forces") or np.nan, known.get("energy") or np.nan

    @property
    def n_members(self) -> int:
        """Members of its committee; 1 where it is none."""
        return next((term.n_members for term in self.terms.values()), 1)

    @property
    def n_weights(self) -> int:
        """Weights of this stratum alone."""
        trunks = [(t.bias, *t.kernels, *t.biases) for t in self.trunks.values()]
        arrays = [c.kernel for c in self.couplings.values()] + [a for t in trunks for a in t]
        weights = [w for term in self.terms.values() for w in term.weights]
        return sum(np.size(array) for array in arrays + weights)

    @cached_property
    def physics_hash(self) -> str:
        """Hash of all that determines energies: not of names, notes or errors."""
        return digest(self.physics_tree())

    def physics_tree(self) -> dict[str, Any]:
        """All that determines energies, as nested dictionaries."""
        couplings: dict[str, Any] = {}
        for (center, block), coupling in self.couplings.items():
            of_center = couplings.setdefault(chemical_symbols[center], {})
            of_center[stratum_label(block)] = coupling._asdict()
        trunks = {
            chemical_symbols[center]: {
                "bias": trunk.bias,
                "kernels": {f"{i:02d}": kernel for i, kernel in enumerate(trunk.kernels)},
                "biases": {f"{i:02d}": bias for i, bias in enumerate(trunk.biases)},
                # Only where they are not tanh: files from before know no other.
                **({"activations": ",".join(trunk.activations)} if trunk.activations else {}),
            }
            for center, trunk in self.trunks.items()
        }
        return {
            "elements": np.array(self.elements),
            "descriptor": self.descriptor.to_tree(),
            "couplings": couplings,
            "trunks": trunks,
            "parents": dict(self.parents),
            "short_range": self.short_range,
            # Only where there are any: files from before know none.
            **(
                {"terms": {chemical_symbols[z]: t.to_tree() for z, t in self.terms.items()}}
                if self.terms
                else {}
            ),
        }

    def to_tree(self) -> dict[str, Any]:
        """The arrays of the stratum's file."""
        domain = {chemical_symbols[z]: own._asdict() for z, own in self.domain.items()}
        return {"physics": self.physics_tree(), "hash": self.physics_hash, "domain": domain}

    def attributes(self) -> dict[str, Any]:
        """What stands at the head of the stratum's file, in words."""
        return {"level_of_theory": self.level_of_theory, "info": self.info}

    @classmethod
    def from_tree(cls, tree: dict[str, Any], about: dict[str, Any]) -> Stratum:
        """The inverse of `to_tree` and `attributes`.

        Raises:
            InputError: the content is not what the recorded hash says.
            KeyError: a part is missing.
        """
        physics = tree["physics"]
        descriptor = DESCRIPTORS[physics["descriptor"]["kind"]].from_tree(physics["descriptor"])
        stratum = cls(
            elements=tuple(int(z) for z in physics["elements"]),
            descriptor=descriptor,
            couplings={
                (atomic_numbers[symbol], parse_label(label)): Coupling(**arrays)
                for symbol, blocks in physics["couplings"].items()
                for label, arrays in blocks.items()
            },
            trunks={
                atomic_numbers[symbol]: Trunk(
                    trunk["bias"],
                    tuple(kernel for _, kernel in sorted(trunk["kernels"].items())),
                    tuple(bias for _, bias in sorted(trunk["biases"].items())),
                    tuple(trunk["activations"].split(",")) if "activations" in trunk else (),
                )
                for symbol, trunk in physics["trunks"].items()
            },
            terms={
                atomic_numbers[symbol]: AtomicTerm.from_tree(term)
                for symbol, term in physics.get("terms", {}).items()
            },
            domain={
                atomic_numbers[symbol]: Domain(**arrays)
                for symbol, arrays in tree.get("domain", {}).items()
            },
            parents=dict(physics["parents"]),
            short_range=physics["short_range"],
            level_of_theory=about["level_of_theory"],
            info=dict(about["info"]),
        )
        if stratum.physics_hash != tree["hash"]:
            raise InputError(
                f"stratum {stratum.name}: its weights do not have the hash recorded with them "
                f"({tree['hash'][:12]}). The file was altered: take it from a backup, or train "
                f"again."
            )
        return stratum

    def with_info(self, **info: Any) -> Stratum:
        """A copy with more notes; its physics is the same."""
        return replace(self, info={**self.info, **info})


def stratum_name(elements: Iterable[int | str]) -> str:
    """Chemical symbols in alphabetical order, joined by dashes.

    >>> stratum_name([29, 47])
    'Ag-Cu'
    """
    return "-".join(sorted(e if isinstance(e, str) else chemical_symbols[e] for e in elements))


def stratum_label(block: Sequence[int]) -> str:
    """The neighbor species of a block, such as ``"Cu-Cu"``."""
    return "-".join(chemical_symbols[z] for z in block)


def parse_label(label: str) -> tuple[int, ...]:
    """The inverse of `stratum_label`."""
    return tuple(atomic_numbers[symbol] for symbol in label.split("-"))
