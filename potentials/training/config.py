"""How strata are fitted: one field per key of the ``[train]`` table.

`TrainConfig` is for moments, the default; ``descriptor = "symmetry functions"`` in the table
asks for `SymmetryFunctionConfig`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from stratal.descriptors.angular import AngularFunction
from stratal.descriptors.invariants import TRIPLES, Moments
from stratal.descriptors.symmetry_functions import RadialFunction, SymmetryFunctions
from stratal.errors import InputError
from stratal.files.settings import checked, read_table

# The sets of exponents of the models published with the method (PRB 95, 014114), Å^-2,
# and which (eta, zeta, lambda) of G4 they use.
RADIAL_ETAS = (0.00357, 0.0357, 0.0714, 0.125, 0.214, 0.357, 0.714, 1.428)
ANGULAR = (
    *((eta, zeta, sign) for eta in (0.000357, 0.0107) for zeta in (1, 2) for sign in (-1, 1)),
    *((0.0286, zeta, 1) for zeta in (1, 2)),
    *((eta, zeta, 1) for eta in (0.0536, 0.0893, 0.161) for zeta in (1, 2, 4, 16)),
)


@dataclass(frozen=True)
class TrainConfig:
    """How strata of moments are fitted; each field is a key of the ``[train]`` table."""

    cutoff: float = 5.5  # Å
    inner: float = 1.6  # Å, below the shortest bond: distances below are hardly told apart
    n_radial: int = 8  # radial functions of each neighbor species
    l_max: int = 4  # highest degree of the harmonics
    n_channels: int = 8  # mixtures of radial functions whose moments are contracted
    triples: tuple[tuple[int, int, int], ...] = TRIPLES  # degrees contracted in triples
    n_triple_channels: int = 6
    hidden: tuple[int, ...] = (32, 32)
    linear: bool = True  # also a linear function of the features
    short_range: Literal["zbl", "close", "none"] = "zbl"  # between pairs that no stratum below has
    # What a pair or triple trains: a network of its own; the rows of the first layer that its
    # own features enter, and the later layers; those rows alone; or all at once, no strata.
    coupling: Literal["residual", "layers", "input", "full"] = "residual"
    members: int = 2  # of the committee
    bootstrap: bool = False  # each member draws its structures anew
    epochs: int = 300
    min_steps: int = 6000  # with few structures epochs go on until so many minibatches were fitted
    batch: int = 32  # structures of a minibatch
    learning_rate: float = 3e-3  # of Adam; falls to nothing by a cosine
    energy_weight: float = 1.0  # of (eV/atom)² against ...
    force_weight: float = 0.03  # ... (eV/Å)², in Å²
    stress_weight: float = 0.003  # ... dE/dstrain per atom, (eV)²
    weight_decay: float = 0.1  # of the kernels of an element
    coupling_weight_decay: float = 0.3  # of what a pair or triple changes in those it inherits
    # Features that vary less than this, relative to the largest, are not raised to its spread:
    # they are those that change fast with the positions, and are so kept from being fitted first.
    spread_floor: float = 0.3
    smoothness: float = 1.0  # first weights of radial functions fall with their order to this power
    validation: float = 0.1  # part of the structures that calibrate the uncertainty; or 0
    # Epochs without a better validation error before stopping, which keeps the weights of the
    # best; 0: never, and the last are kept.
    patience: int = 0
    energy_above_lowest: float | None = None  # eV/atom; structures above are left out
    max_force: float | None = None  # eV/Å; likewise
    seed: int = 0
    checkpoint_interval: float = 60.0  # s

    def __post_init__(self) -> None:
        positive = ("epochs", "batch", "learning_rate", "energy_weight", "members")
        check_above(self, (*positive, "checkpoint_interval"))
        check_not_below(
            self,
            (
                "force_weight",
                "stress_weight",
                "weight_decay",
                "coupling_weight_decay",
                "spread_floor",
                "smoothness",
                "min_steps",
                "patience",
            ),
        )
        check_common(self)
        _ = self.descriptor  # checks its own

    @property
    def descriptor(self) -> Moments:
        """The moments that these settings ask for."""
        return Moments(
            cutoff=self.cutoff,
            inner=self.inner,
            n_radial=self.n_radial,
            l_max=self.l_max,
            n_channels=self.n_channels,
            triples=self.triples,
            n_triple_channels=self.n_triple_channels,
        )


@dataclass(frozen=True)
class SymmetryFunctionConfig:
    """How strata of symmetry functions are fitted, coupled as Hajinazar et al. do."""

    name: Literal["symmetry functions"] = "symmetry functions"  # key `descriptor`

    cutoff: float = 6.0  # Å; a library given with --on brings its own
    radial_etas: tuple[float, ...] = RADIAL_ETAS  # of G2, Å^-2
    angular: tuple[tuple[float, float, float], ...] = ANGULAR  # (eta Å^-2, zeta, lambda) of G4
    hidden: tuple[int, ...] = (10, 10)
    short_range: Literal["zbl", "close", "none"] = "zbl"  # a library below brings its own
    coupling: Literal["input", "full"] = "input"  # full: all weights at once, no strata
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    epochs: int = 1000
    learning_rate: float = 0.01  # of Adam; falls to a hundredth by a cosine
    energy_weight: float = 1.0  # of (meV/atom)² against ...
    force_weight: float = 0.3  # ... (meV/Å)², in Å
    stress_weight: float = 0.01  # ... the virial per atom, (meV)²
    regularization: float = 1e-6  # of the mean square first-layer weight of an element
    coupling_regularization: float = 1e-4  # the same, of the weights that a pair or triple adds
    variance_floor: float = 1e-4  # combinations of features that vary less (relative) stay small
    coupling_variance_floor: float = 0.03  # the same, for what a pair or triple adds
    validation: float = 0.1  # part of the structures kept for early stopping; 0: none
    patience: int = 300  # epochs without a better validation error before stopping; 0: never
    energy_above_lowest: float | None = None  # eV/atom; structures above are left out
    max_force: float | None = None  # eV/Å; likewise
    seed: int = 0
    checkpoint_interval: float = 60.0  # s

    def __post_init__(self) -> None:
        check_above(
            self,
            (
                "cutoff",
                "epochs",
                "learning_rate",
                "energy_weight",
                "variance_floor",
                "coupling_variance_floor",
                "checkpoint_interval",
            ),
        )
        check_not_below(
            self,
            (
                "force_weight",
                "stress_weight",
                "regularization",
                "coupling_regularization",
                "patience",
            ),
        )
        check_common(self)

    @property
    def descriptor(self) -> SymmetryFunctions:
        """The symmetry functions that these settings ask for."""
        return SymmetryFunctions(
            cutoff=self.cutoff,
            radial=tuple(RadialFunction(eta, 0.0) for eta in self.radial_etas),
            angular=tuple(AngularFunction(*map(float, row)) for row in self.angular),
        )


def begins_anew(elements: Sequence[int], config: TrainConfig | SymmetryFunctionConfig) -> bool:
    """Whether a stratum stands on none: that of an element, or all elements at once."""
    return len(elements) == 1 or config.coupling == "full"


def check_above(config: Any, keys: tuple[str, ...]) -> None:
    """Refuse settings that are not above 0."""
    for key in keys:
        if not getattr(config, key) > 0:
            raise InputError(f"train.{key} = {getattr(config, key)}: give a number above 0.")


def check_not_below(config: Any, keys: tuple[str, ...]) -> None:
    """Refuse settings below 0."""
    for key in keys:
        if not getattr(config, key) >= 0:
            raise InputError(f"train.{key} = {getattr(config, key)}: give 0 or more.")


def check_common(config: Any) -> None:
    """Refuse settings that no way of training can use."""
    if not 0 <= config.validation < 1:
        raise InputError(f"train.validation = {config.validation}: give a part from 0 to below 1.")
    if not config.hidden or min(config.hidden) < 1:
        raise InputError(
            f"train.hidden = {list(config.hidden)}: give layer sizes such as [32, 32]."
        )


def config_from_dict(
    table: dict[str, Any], where: str = "train"
) -> TrainConfig | SymmetryFunctionConfig:
    """Check a table of settings; its key ``descriptor`` says for what.

    Raises:
        InputError: names the key that is unknown or has a wrong value.
    """
    table = dict(table)
    kind = table.pop("descriptor", "moments")
    for cls, name in ((TrainConfig, "moments"), (SymmetryFunctionConfig, "symmetry functions")):
        if kind == name:
            known = ["descriptor", *(field.name for field in fields(cls) if field.name != "name")]
            return checked(cls, table, where, "train", known)
    raise InputError(
        f"{where}: train.descriptor = {kind!r}: give 'moments' or 'symmetry functions'."
    )


def config_from_toml(path: str | Path) -> TrainConfig | SymmetryFunctionConfig:
    """Read the ``[train]`` table of a TOML file.

    Raises:
        InputError: no such file, not TOML, not a table, an unknown key or a wrong value.
    """
    return config_from_dict(read_table(path, "train"), where=str(path))
