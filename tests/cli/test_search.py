"""The search from the command line."""

import json

import pytest
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import read_frames
from stratal.files.hdf5 import read_hdf5
from stratal.report import Report


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)


def test_search_writes_structures_lineage_and_a_page(tmp_path):
    settings, folder = tmp_path / "cuau.toml", tmp_path / "run"
    settings.write_text(
        '[search]\nelements = ["Cu", "Au"]\nn_atoms = [1, 2]\nrelaxations = 20\nstarts = 12\n'
        "batch = 4\nfmax = 0.05\n"
    )
    done = run("search", settings, "--potential", "emt", "-o", folder)
    assert done.exit_code == 0 and "20 relaxations, stopped by budget" in done.output
    best = read_frames(folder / "best.extxyz")
    assert best[0].info["above"] <= best[-1].info["above"]
    lineage = read_hdf5(folder / "search.h5", "search")[0]
    assert sorted(lineage["number"]) == list(range(20))  # those done first come first
    assert (lineage["parents"][lineage["number"] < 12] == -1).all()
    content = json.loads((folder / "search.json").read_text())
    assert content["stopped_by"] == "budget" and sum(content["outcomes"].values()) == 20
    assert content["best"][0]["space_group"] != "–"
    assert any(folder.glob("best-*.cif"))
    titles = [section.title for section in Report.open(folder / "report.html").sections]
    assert titles[0] == "Summary" and "Course" in titles
    again = run("search", settings, "--potential", "emt", "-o", folder)
    assert again.exit_code == 0  # all is in the journal
    assert json.loads((folder / "search.json").read_text()) == content
    with pytest.raises(InputError, match=r"journal|other settings|another run"):
        run("search", settings, "--potential", "emt", "-o", folder, "--seed", 3)
    settings.write_text("[search]\nelements = []\n")
    with pytest.raises(InputError, match="each element once"):
        run("search", settings, "--potential", "emt", "-o", tmp_path / "other")
