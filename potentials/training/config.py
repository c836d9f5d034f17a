"""How strata are fitted: one field per key of the ``[train]`` table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from stratal.descriptors.angular import AngularFunction
from stratal.descriptors.symmetry_functions import RadialFunction, SymmetryFunctions
from stratal.errors import InputError

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
    """How strata are fitted; each field is a key of the ``[train]`` table."""

    cutoff: float = 6.0  # Å; a library given with --on brings its own
    radial_etas: tuple[float, ...] = RADIAL_ETAS  # of G2, Å^-2
    angular: tuple[tuple[float, float, float], ...] = ANGULAR  # (eta Å^-2, zeta, lambda) of G4
    hidden: tuple[int, ...] = (10, 10)
    short_range: Literal["zbl", "close", "none"] = "zbl"
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
        positive = ("cutoff", "epochs", "learning_rate", "energy_weight", "variance_floor")
        positive += ("coupling_variance_floor", "checkpoint_interval")
        for key in positive:
            if not getattr(self, key) > 0:
                raise InputError(f"train.{key} = {getattr(self, key)}: give a number above 0.")
        for key in (
            "force_weight",
            "stress_weight",
            "regularization",
            "coupling_regularization",
            "patience",
        ):
            if not getattr(self, key) >= 0:
                raise InputError(f"train.{key} = {getattr(self, key)}: give 0 or more.")
        if not 0 <= self.validation < 1:
            raise InputError(
                f"train.validation = {self.validation}: give a part from 0 to below 1."
            )
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(
                f"train.hidden = {list(self.hidden)}: give layer sizes such as [10, 10]."
            )

    @property
    def descriptor(self) -> SymmetryFunctions:
        """The symmetry functions that these settings ask for."""
        return SymmetryFunctions(
            cutoff=self.cutoff,
            radial=tuple(RadialFunction(eta, 0.0) for eta in self.radial_etas),
            angular=tuple(AngularFunction(*map(float, row)) for row in self.angular),
        )

    @classmethod
    def from_dict(cls, table: dict[str, Any], where: str = "train") -> TrainConfig:
        """Check a table of settings.

        Raises:
            InputError: names the key that is unknown or has a wrong value.
        """
        from pydantic import TypeAdapter, ValidationError

        known = [field.name for field in fields(cls)]
        for key in table:
            if key not in known:
                raise InputError(
                    f"{where}: key {key!r} is not known. Known keys: {', '.join(known)}."
                )
        try:
            return TypeAdapter(cls).validate_python(table)
        except ValidationError as error:
            first = error.errors()[0]
            cause = (first.get("ctx") or {}).get("error")
            if isinstance(cause, InputError):
                raise InputError(f"{where}: {cause}") from None
            key = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"{where}: train.{key} = {first['input']!r}: {first['msg']}. Correct the value."
            ) from None

    @classmethod
    def from_toml(cls, path: str | Path) -> TrainConfig:
        """Read the ``[train]`` table of a TOML file.

        Raises:
            InputError: no such file, not TOML, an unknown key or a wrong value.
        """
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text())
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}). Correct the path."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not TOML ({error}). Mend that line.") from None
        foreign = set(content) - {"train"}
        if foreign:
            raise InputError(
                f"{path}: table or key {sorted(foreign)[0]!r} is not known; settings of training "
                f"stand in the table [train]."
            )
        return cls.from_dict(content.get("train", {}), where=str(path))
