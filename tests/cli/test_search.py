"""The search from the command line."""

import json

import pytest
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import read_frames
from stratal.files.hdf5 import read_hdf5
from stratal.report import Report
from stratal.slurm import Stopped

SETTINGS = """[search]
potential = "emt"
elements = ["Cu", "Au"]
n_atoms = [1, 2]
relaxations = 20
starts = 12
batch = 4
fmax = 0.05
near = 0.2
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)


def stopping(*arguments):
    """As a search to which Ctrl-C came."""
    raise Stopped("searching: stopped by SIGINT; run again to go on.")


@pytest.mark.parametrize(
    "content, message",
    [
        ("search = 3", r"wrong\.toml: search = 3: expected a table"),
        (SETTINGS + 'operators = ["twist"]', r"wrong\.toml: search\.operators: 'twist'"),
        (SETTINGS + "closest = {Cu-Cu = 4.0}", r"wrong\.toml: search: at their closest distances"),
        (SETTINGS + 'teacher = "nowhere"', "--teacher nowhere"),
    ],
)
def test_wrong_settings_name_the_file_and_the_key(content, message, tmp_path):
    (tmp_path / "wrong.toml").write_text(content)
    with pytest.raises(InputError, match=message):
        run("search", tmp_path / "wrong.toml")
    (tmp_path / "right.toml").write_text(SETTINGS)
    with pytest.raises(InputError, match="emt is a potential"):
        run("search", tmp_path / "right.toml", "--teacher", "emt", "--options", '{"a": 1}')


def test_search_writes_structures_lineage_and_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings, folder = tmp_path / "cuau.toml", tmp_path / "cuau"
    settings.write_text(SETTINGS)
    done = run("search", settings, "--teacher", "emt")
    assert done.exit_code == 0 and "20 relaxations, stopped by budget" in done.output
    best = read_frames(folder / "best.extxyz")
    assert best[0].info["above"] <= best[-1].info["above"]
    lineage = read_hdf5(folder / "search.h5", "search")[0]
    assert sorted(lineage["number"]) == list(range(20))  # those done first come first
    assert (lineage["parents"][lineage["number"] < 12] == -1).all()
    content = json.loads((folder / "search.json").read_text())
    assert content["stopped_by"] == "budget" and sum(content["outcomes"].values()) == 20
    assert content["best"][0]["space_group"] != "–"
    assert content["final"] and content["teacher"] == "emt"
    final = read_frames(folder / "final.extxyz")
    assert len(list(folder.glob("final-*.cif"))) == len(final) == len(content["final"])
    titles = [section.title for section in Report.open(folder / "report.html").sections]
    expected = ["Summary", "Final candidates", "Candidates", "Hull", "Course"]
    assert titles == [*expected, "Was something missed?", "Lineage", "Structures"]
    with pytest.raises(InputError, match="--resume"):
        run("search", settings)
    with monkeypatch.context() as patched:
        patched.setattr("stratal.md.search.file.search", stopping)
        stopped = run("search", settings, "--resume")
    assert stopped.exit_code == 130 and "Add --resume to go on" in stopped.output
    for option in ("--resume", "--report"):  # all is in the folder
        assert run("search", settings, "--teacher", "emt", option).exit_code == 0
        assert json.loads((folder / "search.json").read_text()) == content
    with pytest.raises(InputError, match=r"journal|other settings|another run"):
        run("search", settings, "--resume", "--seed", 3)
    settings.write_text(SETTINGS.replace("near = 0.2", "near = 0.01"))
    assert run("search", settings, "--report").exit_code == 0  # another view of the same search
    assert json.loads((folder / "search.json").read_text())["relaxations"] == 20


def test_wrong_settings_end_in_a_sentence(tmp_path):
    settings = tmp_path / "wrong.toml"
    for content, message in (
        ('elements = []\npotential = "emt"', "each element once"),
        ('elements = ["Cu"]', "no potential. Give --potential"),
        ('elements = ["Cu"]\npotential = "nowhere"', "nowhere: no such folder"),
        ('elements = ["Cu"]\npotential = "emt"\ncolour = 1', "'colour' is not known"),
        ('elements = ["Cu"]\npotential = "emt"\nstart_files = ["none.cif"]', "none.cif: no such"),
        ('elements = ["Cu"]\npotential = "emt"\nclosest = {"Cu-Cu" = 3.0}', "spheres fill up to"),
        ('elements = ["Cu"]\npotential = "emt"\nstart_from = ["magic"]', "'magic' is not known"),
    ):
        settings.write_text(f"[search]\n{content}\n")
        with pytest.raises(InputError, match=message):
            run("search", settings, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    settings.write_text('[search]\nelements = ["Cu"]\npotential = "emt"\n')
    with pytest.raises(InputError, match="no search there"):
        run("search", settings, "--report", "-o", tmp_path / "run")


def test_paths_in_settings_are_relative_to_their_file(tmp_path, monkeypatch):
    from stratal.md.search.file import read_settings

    (tmp_path / "deep").mkdir()
    settings = tmp_path / "deep" / "cu.toml"
    settings.write_text(
        '[search]\nelements = ["Cu"]\npotential = "emt"\nstart_files = ["a.extxyz"]\n'
        'teacher = "lj"\n'
    )
    monkeypatch.chdir(tmp_path)
    found = read_settings(settings, {"seed": 5, "outside": None})
    assert found.config.start_files == (str(tmp_path / "deep" / "a.extxyz"),)
    assert found.config.seed == 5 and found.teacher and found.teacher.name == "lj"
