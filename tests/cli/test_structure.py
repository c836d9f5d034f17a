"""``stratal structure``: each command writes what its function gives, and says what is wrong."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.cluster import Octahedron
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import read_frames, write_structures
from stratal.md.properties.phonons import phonons
from stratal.md.properties.prototypes import prototype


def run(*arguments):
    words = ["structure", *(str(word) for word in arguments)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def alloys(tmp_path):
    path = tmp_path / "alloys.extxyz"
    write_structures(path, [prototype(name, ["Cu", "Ag"], 14.0) for name in ("L12", "B2")])
    return path


def test_info(alloys, tmp_path):
    output = run("info", alloys, "--json", tmp_path / "info.json")
    assert "Pm-3m (221)" in output and "Cu 1a, Ag 3c" in output
    first, second = json.loads((tmp_path / "info.json").read_text())["structures"]
    assert first["space_group"]["number"] == second["space_group"]["number"] == 221
    assert_allclose(first["volume_per_atom"], 14.0)
    assert list(first["shortest"]) == ["Cu-Cu", "Cu-Ag", "Ag-Ag"]
    cluster = tmp_path / "cluster.xyz"
    write_structures(cluster, [Octahedron("Cu", 2)])
    assert "space group" not in run("info", cluster)


def test_rdf(alloys, tmp_path):
    files = [tmp_path / name for name in ("rdf.png", "rdf.csv", "rdf.json")]
    how = ("--cutoff", 5, "--bins", 50, "--figure", files[0], "--csv", files[1], "--json", files[2])
    assert "Cu-Ag" in run("rdf", alloys, "--index", 0, *how)
    assert files[0].read_bytes().startswith(b"\x89PNG") and files[0].stat().st_size > 5000
    table = np.loadtxt(files[1], delimiter=",", skiprows=1)
    found = json.loads(files[2].read_text())
    assert found["quantity"] == "g(r)"
    assert_allclose(table.T, [found[key] for key in ("distance", "distances") if key in found]
                    + [found[key] for key in ("total", "Cu-Cu", "Cu-Ag", "Ag-Ag")])  # fmt: skip
    with pytest.raises(InputError, match="no figures are written as 'foo'"):
        run("rdf", alloys, "--figure", tmp_path / "rdf.foo")


def test_compare(alloys, tmp_path):
    other, found = tmp_path / "other.cif", tmp_path / "found.json"
    write_structures(other, [prototype("L12", ["Cu", "Ag"], 15.0).repeat((2, 1, 1))])
    output = run("compare", other, alloys, "--scale", "--json", found)
    assert "similarity" in output
    same, different = json.loads(found.read_text())["pairs"]
    assert same["same"] and same["matcher"] and same["similarity"] > 0.9999
    assert not different["same"] and not different["matcher"]
    run("compare", other, alloys, "--no-match", "--json", found)
    unscaled, _ = json.loads(found.read_text())["pairs"]
    assert not unscaled["same"] and unscaled["matcher"] is None


def test_cells(tmp_path):
    start = tmp_path / "start.extxyz"
    crystal = bulk("Cu", a=3.59).repeat((1, 1, 2))
    write_structures(start, [crystal])
    counts = {"primitive": 1, "conventional": 4, "symmetrize": 2}
    for command, count in counts.items():
        output = tmp_path / f"{command}.vasp"
        run(command, start, "-o", output)
        (found,) = read_frames(output)
        found.calc, crystal.calc = EMT(), EMT()
        energies = [each.get_potential_energy() / len(each) for each in (found, crystal)]
        assert len(found) == count
        assert_allclose(*energies, atol=1e-9)
    output = tmp_path / "cube.cif"
    matrix = (-1, 1, 1, 1, -1, 1, 1, 1, -1)
    run("supercell", tmp_path / "primitive.vasp", "-o", output, "--matrix", *matrix)
    assert_allclose(read_frames(output)[0].cell.angles(), 90)
    run("supercell", start, "-o", output, "--repeat", 2, 1, 3)
    assert len(read_frames(output)[0]) == 12


def test_shift(tmp_path):
    crystal, lattice = tmp_path / "Cu.extxyz", tmp_path / "phonons.yaml"
    write_structures(crystal, [bulk("Cu", a=3.59)])
    phonons(bulk("Cu", a=3.59), EMT(), (2, 2, 2)).save(lattice, settings={"force_constants": True})
    how = (crystal, lattice, "-o", tmp_path / "moved.vasp", "--q", 0.5, 0, 0)
    numbers = tmp_path / "moved.json"
    assert "2x1x1 cells" in run("shift", *how, "--mode", 3, "--json", numbers)
    assert len(read_frames(tmp_path / "moved.vasp")[0]) == 2
    found = json.loads(numbers.read_text())
    omega = 2e12 * np.pi * found["frequency_THz"]  # 1/s
    joule = 0.5 * omega**2 * found["coordinate_A_sqrt_amu"] ** 2 * 1e-20 * 1.66053907e-27
    assert_allclose(joule / 1.602176634e-19, found["harmonic_energy_eV"], rtol=1e-6)
    with pytest.raises(InputError, match="has modes 1 to 3"):
        run("shift", *how, "--mode", 7)


def test_convert(alloys, tmp_path):
    assert "2 structures" in run("convert", alloys, tmp_path / "all.cif")
    run("convert", tmp_path / "all.cif", tmp_path / "POSCAR", "--index", 1)
    (found,) = read_frames(tmp_path / "POSCAR")
    assert found.get_chemical_formula() == "AgCu"
    assert_allclose(found.cell.volume, 28.0, rtol=1e-6)


@pytest.mark.parametrize(
    "words, message",
    [
        (("info", "none.cif"), "none.cif: no such file"),
        (("convert", "FILE", "a.foo"), "a.foo: '.foo' is no format"),
        (("convert", "FILE", "a.vasp"), "holds one structure, found 2"),
        (("supercell", "FILE", "-o", "a.cif"), "give either --repeat, 3 integers, or --matrix"),
        (("supercell", "FILE", "-o", "a.cif", "--repeat", 1, 0, 1), "is singular"),
        (("shift", "FILE", "b.yaml", "-o", "a.cif", "--q", 0, 0, 0, "--mode", 1), "2 structures"),
    ],
)
def test_wrong_input_is_a_sentence(alloys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run(*(alloys if word == "FILE" else word for word in words))
    assert [file.name for file in tmp_path.iterdir()] == ["alloys.extxyz"]
