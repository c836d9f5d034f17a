"""Labelling that was cut short goes on; a structure that fails is named and left out."""

import json

import numpy as np
import pytest
import typer
from ase.build import bulk
from typer.testing import CliRunner

from stratal.cli.label import label
from stratal.errors import InputError
from stratal.files import read_frames, write_frames

APP = typer.Typer()
APP.command()(label)


@pytest.fixture
def structures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = []
    for seed in range(4):
        frame = bulk("Cu", cubic=True)
        frame.rattle(0.05, seed=seed)
        frames.append(frame)
    write_frames("in.extxyz", frames)
    return frames


def run(*arguments, **options):
    command = ["in.extxyz", "-o", "out.extxyz", *arguments]
    return CliRunner().invoke(APP, command, **{"catch_exceptions": False, **options})


def test_labels_are_those_of_the_calculator(structures, tmp_path):
    from ase.calculators.emt import EMT

    result = run("--calculator", "emt")
    assert result.exit_code == 0, result.output
    for found, frame in zip(read_frames("out.extxyz"), structures, strict=True):
        frame.calc = EMT()
        # Not bit for bit: the order in EMT's neighbor list depends on the frame before.
        assert found.get_potential_energy() == pytest.approx(
            frame.get_potential_energy(), abs=1e-12
        )
        np.testing.assert_allclose(found.get_stress(), frame.get_stress(), atol=1e-12)
        assert found.info["level_of_theory"] == "emt"
    assert not (tmp_path / "out.extxyz.partial.extxyz").exists()


def test_options_and_module_factory(structures):
    options = json.dumps({"sigma": 2.3, "epsilon": 0.4, "rc": 5.0})
    assert run("--calculator", "lj", "--options", options).exit_code == 0
    by_name = read_frames("out.extxyz")[0].get_potential_energy()
    module = "ase.calculators.lj:LennardJones"
    assert run("--calculator", module, "--options", options).exit_code == 0
    assert read_frames("out.extxyz")[0].get_potential_energy() == by_name


def test_failing_structure_is_left_out(structures):
    structures[2].numbers[0] = 26  # EMT has no iron
    write_frames("in.extxyz", structures)
    result = run("--calculator", "emt")
    assert result.exit_code == 1
    assert "in.extxyz, frame 2: " in result.output
    assert len(read_frames("out.extxyz")) == 3
    with pytest.raises(InputError, match=r"in\.extxyz, frame 2: .*Mend or remove.*--resume"):
        run("--calculator", "emt", "--strict")


def test_resumed_equals_uninterrupted(structures, tmp_path):
    run("--calculator", "emt")
    whole = read_frames("out.extxyz")
    structures[2].numbers[0] = 26
    write_frames("in.extxyz", structures)
    with pytest.raises(InputError):
        run("--calculator", "emt", "--strict")
    partial = tmp_path / "out.extxyz.partial.extxyz"
    with partial.open("a") as file:
        file.write("4\nLattice=")  # a power cut in the middle of a line
    structures[2].numbers[0] = 29
    write_frames("in.extxyz", structures)
    with pytest.raises(InputError, match=r"partial\.extxyz: left by a run.*--resume"):
        run("--calculator", "emt")
    assert run("--calculator", "emt", "--resume").exit_code == 0
    for found, expected in zip(read_frames("out.extxyz"), whole, strict=True):
        np.testing.assert_array_equal(found.positions, expected.positions)
        np.testing.assert_allclose(found.get_forces(), expected.get_forces(), atol=1e-12)
        assert found.info == expected.info


def test_partial_file_of_other_structures_is_refused(structures, tmp_path):
    (tmp_path / "out.extxyz.partial.extxyz").write_text("1\nlabel_row=0\nCu 0 0 0\n")
    with pytest.raises(InputError, match=r"row 0 is not that structure.*Remove the file"):
        run("--calculator", "emt", "--resume")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--calculator", "nonsense"], "--calculator nonsense: .*Give a name that ASE knows"),
        (["--calculator", "json:absent"], "--calculator json:absent: .*module:factory"),
        (["--calculator", "lj", "--options", "{a}"], "--options .*not JSON.*Quote it"),
        (["--calculator", "lj", "--options", "[1]"], "expected a JSON object"),
        (["--calculator", "json:loads", "--options", "{}"], "cannot be made with.*Correct"),
    ],
)
def test_bad_calculators(structures, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        run(*arguments)
