"""Relaxation and dynamics from the command line."""

import json

import pytest
from ase.build import bulk
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import read_frames, write_frames
from stratal.md.structures.random_cells import random_cells


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.extxyz"
    write_frames(path, random_cells(0, 4, 3, 5, (29, 47)))
    return path


def test_relax_writes_structures_and_counts(cells, tmp_path):
    settings = tmp_path / "relax.toml"
    settings.write_text('[relax]\nfmax = 0.5\nmethod = "lbfgs"\n')
    output, counts = tmp_path / "relaxed.extxyz", tmp_path / "relaxed.json"
    how = ("--settings", settings, "--fmax", 0.05, "--json", counts)
    done = run("relax", "emt", cells, "-o", output, *how)
    assert done.exit_code == 0 and "4 converged" in done.output
    frames = read_frames(output)
    assert len(frames) == 4 and all(frame.info["largest_force"] < 0.05 for frame in frames)
    assert json.loads(counts.read_text())["outcomes"] == {"converged": 4}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("relax", "nowhere", "CELLS", "-o", "x.extxyz"), "nowhere: no such folder"),
        (("relax", "emt", "CELLS", "-o", "x.extxyz", "--cell", "loose"), "relax.cell"),
        (("relax", "emt", "none.extxyz", "-o", "x.extxyz"), "none.extxyz"),
        (("md", "emt", "CELLS", "-o", "run", "--thermostat", "warm"), "md.thermostat"),
        (("md", "emt", "CELLS", "-o", "run", "--steps", "7"), "md.steps = 7"),
    ],
)
def test_wrong_input_is_a_sentence(cells, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run(*(str(cells) if word == "CELLS" else word for word in arguments))


def test_md_writes_a_folder_and_averages(tmp_path):
    start, folder = tmp_path / "Cu.extxyz", tmp_path / "run"
    write_frames(start, [bulk("Cu", cubic=True)])
    how = ("--steps", 100, "--supercell", 2, 1, 1, "--frame-every", 50, "--extxyz")
    done = run("md", "emt", start, "-o", folder, *how, "--json", tmp_path / "averages.json")
    assert done.exit_code == 0 and "temperature" in done.output
    (row,) = json.loads((tmp_path / "averages.json").read_text())["systems"]
    assert row["atoms"] == 8
    assert len(read_frames(folder / "trajectory.extxyz")) == 2
    assert len(read_frames(folder / "final.extxyz")[0]) == 8
    with pytest.raises(InputError, match="holds a run of dynamics"):
        run("md", "emt", start, "-o", folder, *how)


def test_elastic_and_phonons(tmp_path):
    crystal, constants = tmp_path / "Cu.extxyz", tmp_path / "elastic.json"
    write_frames(crystal, [bulk("Cu")])
    done = run("elastic", "emt", crystal, "--json", constants)
    assert done.exit_code == 0 and "yes" in done.output
    (found,) = json.loads(constants.read_text())["crystals"]
    assert found["stable"] and 130 < found["bulk_modulus_gpa"] < 140
    figure = tmp_path / "bands.png"
    how = ("--supercell", 2, 2, 2, "--figure", figure)
    done = run("phonons", "emt", crystal, "-o", tmp_path / "phonons.yaml", *how)
    assert done.exit_code == 0 and "stable" in done.output
    assert (
        figure.stat().st_size > 1000
        and "force_constants" in (tmp_path / "phonons.yaml").read_text()
    )


def test_quasi_harmonic(tmp_path):
    crystal, output = tmp_path / "Cu.extxyz", tmp_path / "Cu.json"
    write_frames(crystal, [bulk("Cu", a=3.5899)])
    how = ("--supercell", 2, 2, 2, "--no-relax", "--quasi-harmonic", output)
    arguments = ("phonons", "emt", crystal, "-o", tmp_path / "phonons.yaml", *how)
    done = run(*arguments, "--temperatures", 0, 600, 100)
    assert done.exit_code == 0 and "at 600 K: volume (Å³/atom) 12.0" in done.output
    found = json.loads(output.read_text())
    assert found["temperatures_K"] == [0, 100, 200, 300, 400, 500, 600] and found["atoms"] == 1
    assert 4e-5 < found["thermal_expansion_per_K"][3] < 8e-5
    assert output.with_suffix(".png").stat().st_size > 1000
    with pytest.raises(InputError, match="a step above 0"):
        run(*arguments, "--temperatures", 0, 600, 0)


def test_defects(tmp_path):
    crystal, energies = tmp_path / "Cu.extxyz", tmp_path / "defects.json"
    write_frames(crystal, [bulk("Cu", cubic=True)])
    how = ("--repeats", 2, "--planes", "111", "--layers", 4)
    how += ("--kind", "vacancy", "--kind", "surface", "--kind", "fault")
    done = run("defects", "emt", crystal, *how, "--json", energies)
    assert done.exit_code == 0 and "vacancy Cu in 32 sites" in done.output
    found = json.loads(energies.read_text())["energies"]
    assert 0.8 < found["vacancy Cu in 32 sites, eV"] < 1.4
    assert 0.5 < found["surface 111, J/m²"] < 1.5
    assert found["intrinsic fault, mJ/m²"] < found["unstable fault, mJ/m²"]
    with pytest.raises(InputError, match="--kind 'hole'"):
        run("defects", "emt", crystal, "--kind", "hole")
    with pytest.raises(InputError, match="plane '1x1': give three digits"):
        run("defects", "emt", crystal, "--planes", "1x1")


def test_mc_writes_a_folder_and_averages(tmp_path):
    start, folder = tmp_path / "CuAg.extxyz", tmp_path / "run"
    alloy = bulk("Cu", cubic=True, a=3.8)
    alloy.symbols[0] = "Ag"
    write_frames(start, [alloy])
    how = ("--sweeps", 4, "--chemical-potential", "Cu=0", "--chemical-potential", "Ag=-0.1")
    done = run(
        "mc", "emt", start, "-o", folder, *how, "--frame-every", 2, "--json", tmp_path / "a.json"
    )
    assert done.exit_code == 0 and "order Cu-Ag" in " ".join(done.output.split())
    (row,) = json.loads((tmp_path / "a.json").read_text())["systems"]
    assert row["system"] == 0 and {"Cu", "Ag"} < set(row)
    with pytest.raises(InputError, match="give an element and eV"):
        run("mc", "emt", start, "-o", folder, "--chemical-potential", "Cu")
