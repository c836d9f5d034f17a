"""Validation: values of a potential that is its own reference, lights, files, going on."""

import json

import numpy as np
import pytest
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.md.evaluators import ByPotential
from stratal.md.validation import run as validation_run
from stratal.md.validation.judge import judged, light_of
from stratal.md.validation.measured import Measured
from stratal.md.validation.of_compounds import candidates
from stratal.md.validation.of_elements import measure_element
from stratal.md.validation.run import read_values, validate
from stratal.md.validation.settings import Thresholds, ValidationConfig
from stratal.potentials import EMT
from stratal.report import Report

POTENTIAL = EMT.for_elements([29, 47])
SLOW = ("phonons", "point defects", "surfaces", "faults")
QUICK = ValidationConfig(skip=SLOW, fmax=5e-3)


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    return validate({"own": POTENTIAL}, ["Cu"], folder, AseEMT(), QUICK)


def test_a_potential_beside_ase_is_green(copper):
    assert copper.lights("own")["green"] == len(copper.rows) >= 9
    rows = {row["property"]: row for row in copper.rows}
    assert {"lattice constant a", "bulk modulus", "C11", "C44", "energy A2 above A1"} < set(rows)
    assert_allclose(rows["lattice constant a"]["own"]["value"], 3.59, atol=0.01)
    assert rows["C11"]["unit"] == "GPa" and rows["C11"]["scale"] == "%"
    content = json.loads((copper.folder / "report.json").read_text())
    assert content["strata"] == ["Cu"] and content["rows"][0]["own"]["light"] == "green"
    page = (copper.folder / "report.html").read_text()
    assert '<span class="light green">green</span>' in page and "dimers" in page.lower()
    titles = [section.title for section in Report.open(copper.folder / "report.html").sections]
    assert titles == ["Summary", "Cu"]


def test_a_run_goes_on_after_what_is_done(copper, monkeypatch):
    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(validation_run, "measure_element", never)
    again = validate({"own": POTENTIAL}, ["Cu"], copper.folder, AseEMT(), QUICK)
    assert again.rows == copper.rows
    with pytest.raises(AssertionError, match="computed again"):  # other settings
        other = ValidationConfig(skip=SLOW, fmax=5e-3, strain=1e-3)
        validate({"own": POTENTIAL}, ["Cu"], copper.folder, AseEMT(), other)


def test_a_file_of_values_is_a_reference_and_two_stand_beside_each_other(copper, tmp_path):
    values = json.loads((copper.folder / "values.json").read_text())
    known = values["Cu"]["values"]
    known["C11"]["value"] /= 1.2  # 12 % is green
    known["lattice constant a"]["value"] *= 1.007  # 0.5 % is green
    known["energy A2 above A1"]["value"] += 0.02  # 15 meV/atom is green
    known["unheard of"] = {"kind": "surface", "value": 1.0, "unit": "J/m²"}
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values))
    subjects = {"one": POTENTIAL, "two": POTENTIAL}
    out = tmp_path / "out"
    found = validate(subjects, ["Cu"], out, path, QUICK)
    lights = {row["property"]: row["one"]["light"] for row in found.rows}
    assert lights["C11"] == "amber" and lights["lattice constant a"] == "amber"
    assert lights["energy A2 above A1"] == "amber" and lights["bulk modulus"] == "green"
    assert lights["unheard of"] == "red"  # it could not be computed
    assert all(row["one"]["light"] == row["two"]["light"] for row in found.rows)
    strict = validate(subjects, ["Cu"], out, path, QUICK, Thresholds(lattice=0.1))
    lights = {row["property"]: row["one"]["light"] for row in strict.rows}
    assert lights["lattice constant a"] == "red"
    with pytest.raises(InputError, match="would be overwritten"):
        validate(subjects, ["Cu"], tmp_path, path, QUICK)


def test_without_a_reference_nothing_is_judged(copper):
    found = validate({"own": POTENTIAL}, ["Cu"], copper.folder, None, QUICK)
    assert {row["own"]["light"] for row in found.rows} == {"none"}


def test_lights():
    assert [light_of(x, 5.0) for x in (4.9, -5.0, 9.9, -10.1, np.nan)] == [
        *("green", "green", "amber", "red", "red"),
    ]
    own, right = Measured(), Measured()
    for found, value in ((own, 0.004), (right, -0.010)):
        found.add("formation", "near", value, "eV/atom")
        found.add("formation", "far", 2 * value, "eV/atom")
        found.add("formation", "alike", -0.05 + 0.01 * value, "eV/atom")
    rows = {row.name: row for row in judged("Ag-Cu", own, right, right, Thresholds())}
    assert rows["near"].light == "green"  # 14 meV/atom apart about 0
    assert rows["far"].light == "red"  # its sign is wrong
    assert rows["alike"].light == "green" and rows["alike"].scale == "meV/atom"


def test_compounds_are_all_that_differ():
    found = candidates(["Cu", "Ag"], {"Cu": 12.0, "Ag": 17.0})
    names = set(found)
    assert {"B2 AgCu", "L10 AgCu", "L12 AgCu3", "L12 Ag3Cu", "D019 AgCu3"} < names
    assert len(names) == 5 + 2 * 5  # of one to one alike sites, of others both ways
    assert_allclose(found["L12 AgCu3"].cell.volume, 17.0 + 3 * 12.0)
    ternary = candidates(["Cu", "Pd", "Ag"], {"Cu": 12.0, "Ag": 17.0, "Pd": 15.0})
    assert len(ternary) == 6
    assert sum("L21" in name for name in ternary) == 3


class Stubborn(ByPotential):
    """Never brings bcc to rest."""

    def relaxed(self, frames, fmax, cell):
        if any(len(atoms) == 1 and np.allclose(atoms.cell.angles(), 109.471) for atoms in frames):
            raise InputError("unconverged")
        return list(frames)


def test_what_fails_is_told_and_the_rest_goes_on():
    config = ValidationConfig(skip=(*SLOW, "elasticity", "equation of state", "dimers"))
    found = measure_element("Cu", Stubborn(POTENTIAL), config, {})
    assert found.failures == {"A2": "unconverged"}
    assert "energy A3 above A1" in found.values and "energy A2 above A1" not in found.values
    back = Measured.from_json(json.loads(json.dumps(found.as_json())))
    assert back.values == found.values and back.failures == found.failures
    absent = measure_element("Cu", Stubborn(POTENTIAL), config, {"Cu": "A2"})
    assert absent.failures["structure"] == "Cu in A2 did not come to rest"


@pytest.mark.parametrize("text", ["no JSON", '{"Cu": {"values": {"a": 1}}}', "[1]"])
def test_a_file_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "values.json").write_text(text)
    with pytest.raises(InputError, match="no file of values"):
        read_values(tmp_path / "values.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_values(tmp_path / "nowhere.json")


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="phonon = 0"):
        Thresholds(phonon=0)
    with pytest.raises(InputError, match="layers = -1"):
        ValidationConfig(layers=-1)


def test_the_command_takes_thresholds_from_a_file(copper, tmp_path):
    values = json.loads((copper.folder / "values.json").read_text())
    values["Cu"]["values"]["lattice constant a"]["value"] *= 1.003  # within 0.5 %
    (tmp_path / "values.json").write_text(json.dumps(values))
    settings = tmp_path / "validate.toml"
    skip = "', '".join((*SLOW, "elasticity", "dimers"))
    settings.write_text(f"[validate]\nskip = ['{skip}']\n\n[thresholds]\nlattice = 0.1\n")
    words = ["validate", "emt", "-o", tmp_path / "out", "--element", "Cu"]
    words += ["--reference", tmp_path / "values.json", "--settings", settings]
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0 and "report.html" in done.output
    rows = json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    lights = {row["property"]: row["emt"]["light"] for row in rows}
    assert lights["lattice constant a"] == "red" and lights["bulk modulus"] == "green"
    assert lights["C11"] == "red"  # left out
