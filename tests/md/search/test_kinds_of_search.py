"""Films, starts from files, operators that give up, and a search that is looked at from outside."""

import shutil

import numpy as np
import pytest
from ase.build import bulk

from stratal.errors import InputError
from stratal.files import write_frames
from stratal.md.search.breeding import NOT_MADE, Offspring, structure_of
from stratal.md.search.candidates.candidate import Origin
from stratal.md.search.evolution import Evolution
from stratal.md.search.limits import Limits
from stratal.md.search.plan import plan_of
from stratal.md.search.results.files import summary, write_results
from stratal.md.search.run import EVENTS, Found, search, so_far
from stratal.md.search.settings import SearchConfig
from stratal.md.search.starts import STARTS, Start
from stratal.potentials.analytic import EMT

COPPER = EMT.for_elements([29])


def test_films_are_searched(tmp_path):
    config = SearchConfig(
        ("Cu",),
        n_atoms=(4, 6),
        kind="film",
        relaxations=16,
        starts=10,
        batch=4,
        fmax=0.05,
        near=0.5,
    )
    found = search(config, COPPER, tmp_path)
    assert found.reason == "budget" and found.population.members
    limits = Limits.of(["Cu"], "film", n_atoms=(4, 6))
    for member in found.population.members:
        assert 4 <= len(member.atoms) <= 6 and member.atoms.pbc.tolist() == [True, True, False]
        assert np.ptp(member.atoms.positions[:, 2]) < limits.thickness + 2  # relaxing may add to it
        assert member.by_atom > -1e-3  # a film's atoms are bound less than a crystal's
    write_results(tmp_path, found.evolution, found.reason)
    assert (tmp_path / "report.html").is_file()


def test_starts_from_files_are_relaxed_first(tmp_path):
    crystals = [bulk("Cu", "bcc", 2.9), bulk("Cu", "hcp", 2.6), bulk("Cu", "fcc", 3.7)]
    write_frames(tmp_path / "a.extxyz", crystals[:2])
    write_frames(tmp_path / "b.extxyz", crystals[2])
    files = tuple(str(tmp_path / name) for name in ("a.extxyz", "b.extxyz"))
    settings = {"elements": ("Cu",), "n_atoms": (1, 2), "batch": 4, "fmax": 0.05}
    config = SearchConfig(**settings, start_files=files, relaxations=8, starts=4)
    found = search(config, COPPER, tmp_path / "run")
    steps = sorted(found.evolution.steps, key=lambda step: step.number)
    operators = [step.operator for step in steps]
    assert operators[:3] == ["file"] * 3 and "file" not in operators[3:]
    fcc = next(step for step in found.evolution.steps if step.number == 2)
    assert fcc.verdict in ("new", "new best") and abs(fcc.enthalpy + 0.007) < 1e-3
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in files:
        shutil.copy(path, moved)
    config = SearchConfig(
        **settings, relaxations=8, starts=4,
        start_files=tuple(str(moved / name) for name in ("a.extxyz", "b.extxyz")),
    )  # fmt: skip
    assert so_far(config, COPPER, tmp_path / "run").evolution.done == 8  # their content counts
    write_frames(tmp_path / "c.extxyz", bulk("Cu", "fcc", 3.7, cubic=True))
    config = SearchConfig(**settings, start_files=(str(tmp_path / "c.extxyz"),))
    with pytest.raises(InputError, match=r"c\.extxyz, frame 0 \(Cu4\).*4 atoms, not 1 to 2"):
        search(config, COPPER, tmp_path / "other")


def test_what_gives_up_is_counted_and_a_random_start_takes_its_place(monkeypatch):
    never = Start(("crystal",), lambda *arguments, **keywords: None)
    monkeypatch.setitem(STARTS, "space_group", never)
    config = SearchConfig(
        ("Cu",), n_atoms=(1, 2), start_from=("space_group",), batch=6, relaxations=6, fmax=0.05
    )
    evolution, breeding, _ = plan_of(config, COPPER, None)
    for order in evolution.next_batch(evolution.wanted()):
        operator, atoms = structure_of(order, breeding)
        assert atoms is not None
        evolution.receive([Offspring(order.number, Origin(operator), None, outcome="unconverged")])
    operators = summary_of(Found(evolution, "budget"))["operators"]
    assert operators["space_group"] == {"made": 0, "lived": 0, "gave_up": 6}
    assert operators["random"]["made"] == 6 and operators["random"]["gave_up"] == 0


def test_what_is_not_made_at_all_is_counted():
    evolution = Evolution(SearchConfig(("Cu",), batch=2), {}, ("random",))
    orders = evolution.next_batch(evolution.wanted())
    evolution.receive(
        [Offspring(o.number, Origin(o.operator), None, outcome=NOT_MADE) for o in orders]
    )
    assert evolution.gave_up["random"] == 2 and evolution.outcomes[NOT_MADE] == 2


def summary_of(found):
    from stratal.md.search.ending.final import Ending

    return summary(found.evolution, found.reason, Ending())


def test_a_search_is_looked_at_without_changing_it(tmp_path):
    config = SearchConfig(("Cu",), n_atoms=(1, 2), batch=4, fmax=0.05, relaxations=16, starts=8)
    folder = tmp_path / "run"
    whole = search(config, COPPER, folder)
    assert summary_of(so_far(config, COPPER, folder)) == summary_of(whole)
    # As a death leaves it: the last batch asked for and not done, half a line after it.
    lines = (folder / EVENTS).read_bytes().split(b"\n")
    cut = b"\n".join(lines[:6]) + b'\n["ask'
    (folder / EVENTS).write_bytes(cut)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    part = so_far(config, COPPER, folder)
    assert part.reason == "" and 0 < part.evolution.done < 16
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert before == after
    write_results(folder, part.evolution, part.reason)
    with pytest.raises(InputError, match="no search there"):
        so_far(config, COPPER, tmp_path / "none")
    with pytest.raises(InputError, match="other settings"):
        so_far(SearchConfig(("Cu",), n_atoms=(1, 2)), COPPER, folder)


def test_a_page_is_written_before_anything_is_found(tmp_path):
    evolution = Evolution(SearchConfig(("Cu", "Au")), {}, ("random",))
    write_results(tmp_path, evolution, "")
    assert "not over yet" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "best.extxyz").exists()
