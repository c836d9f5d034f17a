"""`validate`: properties of all strata of one or two potentials beside a reference.

Each stratum of each of them is a part that is written when it is done: a run that was cut short
goes on after the last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import BaseCalculator

from stratal.errors import InputError
from stratal.files import write_json
from stratal.files.hdf5 import digest
from stratal.files.pytrees import leaves_of
from stratal.md.evaluators import Evaluator, evaluator
from stratal.md.validation.judge import as_rows, counts, judged
from stratal.md.validation.measured import Measured
from stratal.md.validation.of_compounds import measure_compounds
from stratal.md.validation.of_elements import measure_element
from stratal.md.validation.report import report_of
from stratal.md.validation.settings import Thresholds, ValidationConfig
from stratal.potentials.compiled import forget_programs
from stratal.potentials.evaluate import Potential
from stratal.potentials.library import Library
from stratal.progress import Progress

VALUES = "values.json"

# What is looked at: a library, a potential, a calculator; of a reference also a file of values.
Source = Library | Potential | BaseCalculator


@dataclass(frozen=True)
class Subject:
    """Something that properties can be computed of."""

    name: str
    source: Source

    def evaluator_of(self, symbols: Sequence[str]) -> Evaluator:
        """For these elements."""
        if isinstance(self.source, Library):
            return evaluator(self.source.potential(*symbols))
        return evaluator(self.source)

    def identity(self, symbols: Sequence[str], settings: Mapping[str, Any]) -> str:
        """Hash of all that a part depends on; of a calculator, its class and parameters."""
        if isinstance(self.source, BaseCalculator):
            own: Any = repr((type(self.source), getattr(self.source, "parameters", None)))
        else:
            potential = self.source
            if isinstance(potential, Library):
                potential = potential.potential(*symbols)
            own = leaves_of(potential)
        words = repr(sorted(settings.items()))
        return digest({"own": own, "settings": words, "version": version("stratal")})


@dataclass(frozen=True)
class Validation:
    """What was found."""

    folder: Path
    strata: tuple[str, ...]
    measured: dict[str, dict[str, Measured]]  # by subject (reference last) and stratum
    rows: list[dict[str, Any]]  # of `judge.as_rows`

    def lights(self, subject: str) -> dict[str, int]:
        """How many properties of a subject are green, amber, red."""
        found = {"green": 0, "amber": 0, "red": 0}
        for row in self.rows:
            if row[subject]["light"] in found:
                found[row[subject]["light"]] += 1
        return found


def validate(
    subjects: Mapping[str, Source],
    elements: Sequence[str],
    folder: str | Path,
    reference: Source | str | Path | None = None,
    config: ValidationConfig | None = None,
    thresholds: Thresholds | None = None,
) -> Validation:
    """Compute the properties of all strata, compare, and write ``report.html``, ``report.json``.

    Args:
        subjects: by name, what is judged; such as stratified beside full training.
        elements: chemical symbols; strata are all their sets of one to three.
        folder: for the report, and for parts that are done.
        reference: what counts as right: another potential or calculator, or a file of values
            (``values.json`` of a folder of another run, or written by hand in its form).
        config: what is computed.
        thresholds: of the lights.

    Raises:
        InputError: no subject, a reference that is none, elements that are not covered.
    """
    if not subjects or not elements:
        raise InputError("validate: give at least one potential and one element.")
    config, thresholds = config or ValidationConfig(), thresholds or Thresholds()
    folder = Path(folder)
    strata = [set_ for n in (1, 2, 3) for set_ in combinations(sorted(elements), n)]
    measured: dict[str, dict[str, Measured]] = {name: {} for name in subjects}
    chosen: dict[str, str] = {}
    known: dict[str, Measured] | None = None
    ways: list[tuple[str, Callable[[tuple[str, ...]], Measured]]] = []
    if isinstance(reference, str | Path):
        if Path(reference).resolve() == (folder / VALUES).resolve():
            raise InputError(f"{reference}: would be overwritten. Give another folder for output.")
        known = read_values(reference)
    elif reference is not None:
        known = {}
        ways.append(("reference", partly(Subject("reference", reference), folder, config, chosen)))
    ways += [
        (name, partly(Subject(name, source), folder, config, chosen))
        for name, source in subjects.items()
    ]
    with Progress(len(strata) * len(ways), "validating") as bar:
        for symbols in strata:
            name = "-".join(symbols)
            for who, measure in ways:
                found = measure(symbols)
                (known if who == "reference" and known is not None else measured[who])[name] = found
                for key, value in found.chosen.items():
                    chosen.setdefault(key, value)  # the first, the reference, decides
                bar.update(1, stratum=f"{name} of {who}")
            forget_programs()
    names = tuple("-".join(symbols) for symbols in strata)
    looked_at = {name: together(known, measured, name) for name in names}
    by_subject = {
        who: [
            row
            for name in names
            for row in judged(
                name,
                found[name],
                looked_at[name],
                of_stratum(known, name),
                thresholds,
            )
        ]
        for who, found in measured.items()
    }
    if known is not None:
        measured = {**measured, "reference": {n: known.get(n, Measured()) for n in names}}
    found = Validation(folder, names, measured, as_rows(by_subject))
    write_json(folder / "report.json", as_content(found, config, thresholds))
    write_json(
        folder / VALUES,
        {name: one.as_json() for name, one in measured[next(iter(subjects))].items()},
    )
    summary = {who: counts(rows) for who, rows in by_subject.items()}
    report_of(names, measured, found.rows, summary, thresholds).write(folder / "report.html")
    return found


def together(
    known: dict[str, Measured] | None, measured: dict[str, dict[str, Measured]], name: str
) -> Measured:
    """All properties of a stratum: the reference's first, then what only subjects have."""
    found = Measured()
    for strata in (known or {}, *measured.values()):
        for title, value in strata.get(name, Measured()).values.items():
            found.values.setdefault(title, value)
    return found


def of_stratum(known: dict[str, Measured] | None, name: str) -> Measured | None:
    """What the reference knows of a stratum; nothing of one that it lacks."""
    return None if known is None else known.get(name, Measured())


def partly(
    subject: Subject, folder: Path, config: ValidationConfig, chosen: dict[str, str]
) -> Callable[[tuple[str, ...]], Measured]:
    """How a stratum of a subject is computed, or read where that was done before."""

    def measure(symbols: tuple[str, ...]) -> Measured:
        relevant = {key: chosen[key] for key in (*symbols, "-".join(symbols)) if key in chosen}
        run = subject.identity(symbols, {**asdict(config), "chosen": relevant})
        path = folder / "parts" / f"{'-'.join(symbols)} {subject.name}.json"
        if path.is_file():
            content = json.loads(path.read_text())
            if content["run"] == run:
                return Measured.from_json(content)
        began = time.perf_counter()
        evaluate = subject.evaluator_of(symbols)
        if len(symbols) == 1:
            found = measure_element(symbols[0], evaluate, config, relevant)
        else:
            found = measure_compounds(symbols, evaluate, config, relevant)
        found.seconds = time.perf_counter() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"run": run, **found.as_json()})
        return found

    return measure


def read_values(path: str | Path) -> dict[str, Measured]:
    """A file of values: by stratum, ``{"values": {name: {"kind", "value", "unit"}}}``.

    Raises:
        InputError: no such file, or one of another form.
    """
    try:
        content = json.loads(Path(path).read_text())
        return {name: Measured.from_json(one) for name, one in content.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Correct the path.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: no file of values ({type(error).__name__}: {error}). Expected, by stratum, "
            f'{{"Cu": {{"values": {{"bulk modulus": {{"kind": "bulk_modulus", "value": 140, '
            f'"unit": "GPa"}}}}}}}}, as values.json of another run is.'
        ) from error


def finite(content: Any) -> Any:
    """What JSON can hold: null where there is no number."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    return None if isinstance(content, float) and not np.isfinite(content) else content


def as_content(
    found: Validation, config: ValidationConfig, thresholds: Thresholds
) -> dict[str, Any]:
    """The report for machines."""
    return {
        "strata": found.strata,
        "settings": asdict(config),
        "thresholds": asdict(thresholds),
        "rows": [finite(row) for row in found.rows],
        "failures": {
            who: {name: one.failures for name, one in strata.items() if one.failures}
            for who, strata in found.measured.items()
        },
        "seconds": {
            who: {name: round(one.seconds, 2) for name, one in strata.items()}
            for who, strata in found.measured.items()
        },
    }
