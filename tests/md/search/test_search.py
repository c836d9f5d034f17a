"""Searches: known minima, the same end after any death, what settings refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.md.search.clusters import PAIRS, limits_for

from stratal.errors import InputError
from stratal.files import read_frames
from stratal.md.search.events import Events
from stratal.md.search.results.files import second_differences, write_results
from stratal.md.search.run import Loop, notes, search
from stratal.md.search.settings import SearchConfig
from stratal.report import Report
from stratal.slurm.executor import Serial

# D. J. Wales and J. P. K. Doye, J. Phys. Chem. A 101, 5111 (1997).
KNOWN = {
    5: -9.103852,
    6: -12.712062,
    7: -16.505384,
    8: -19.821489,
    9: -24.113360,
    13: -44.326801,
}


def config_for(size, **settings):
    known = {
        "elements": ("H",),
        "n_atoms": (size, size),
        "kind": "cluster",
        "start_from": ("random",),
        "starts": 8,
        "population": 8,
        "batch": 4,
        "fmax": 1e-3,
    }
    return SearchConfig(**(known | settings))


def summary(found):
    members = found.population.members
    return [member.number for member in members], [member.enthalpy for member in members]


def test_the_known_minimum_is_found_from_random_starts(tmp_path):
    config = config_for(7, relaxations=200, target=KNOWN[7] / 7 + 1e-6)
    found = search(config, PAIRS, tmp_path, limits=limits_for(7))
    assert found.reason == "target"
    best = found.population.members[0]
    assert_allclose(best.enthalpy, KNOWN[7], atol=1e-5)
    assert sum(found.evolution.outcomes.values()) == found.evolution.done
    assert {step.operator for step in found.evolution.steps[:8]} == {"random"}
    shown = notes(found.evolution, Serial(), 1)
    assert shown == {"best": f"{best.by_atom:.5f} eV/atom", "busy": "1 of 1 workers"}


def test_the_known_minima_of_several_sizes_are_found_together(tmp_path):
    config = config_for(5, n_atoms=(5, 9), relaxations=300, starts=20)
    found = search(config, PAIRS, tmp_path, limits=limits_for(5, 9))
    best = found.population.best()
    assert [len(member.atoms) for member in best] == [5, 6, 7, 8, 9]
    assert_allclose([m.enthalpy for m in best], [KNOWN[n] for n in range(5, 10)], atol=1e-5)
    assert "neighboring_size" in {step.operator for step in found.evolution.steps}
    write_results(tmp_path, found.evolution, found.reason)
    written = read_frames(tmp_path / "best.extxyz")
    assert [len(atoms) for atoms in written[:5]] == [5, 6, 7, 8, 9]
    differences = dict(second_differences(found.evolution))
    assert list(differences) == [6, 7, 8]
    assert_allclose(differences[7], KNOWN[8] + KNOWN[6] - 2 * KNOWN[7], atol=1e-5)
    sections = Report.open(tmp_path / "report.html").sections
    assert "Sizes" in [section.title for section in sections]


def run_of(folder):
    """What the events of a search belong to."""
    return json.loads((folder / "events.jsonl").read_text().splitlines()[0])


class Killed(Exception):
    """Stands for a death at this instant."""


def test_a_search_killed_at_any_instant_ends_the_same(tmp_path, monkeypatch):
    config = config_for(7, relaxations=40)
    whole = search(config, PAIRS, tmp_path / "whole", limits=limits_for(7))
    rng, real_add, real_receive = np.random.default_rng(0), Events.add, Loop.receive
    kills = 0

    def dying(real):
        def method(self, *arguments):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return real(self, *arguments)

        return method

    while True:
        left = int(rng.integers(1, 8)) if kills < 5 else 10**9
        monkeypatch.setattr(Events, "add", dying(real_add))
        monkeypatch.setattr(Loop, "receive", dying(real_receive))
        try:
            cut = search(config, PAIRS, tmp_path / "cut", limits=limits_for(7))
            break
        except Killed:
            kills += 1
    assert kills == 5
    for own, other in zip(summary(whole), summary(cut), strict=True):
        assert_array_equal(own, other)
    assert [step.operator for step in whole.evolution.steps] == [
        step.operator for step in cut.evolution.steps
    ]
    events = list(Events(tmp_path / "cut" / "events.jsonl", run_of(tmp_path / "cut")))
    known = [(event.what, event.batch) for event in events]
    assert len(known) == len(set(known))  # no batch was asked for or done twice
    numbers = [step.number for step in cut.evolution.steps]
    assert sorted(numbers) == list(range(40))  # all that was begun is finished, once
    again = search(config, PAIRS, tmp_path / "cut", limits=limits_for(7))
    assert_array_equal(summary(again)[1], summary(whole)[1])
    with pytest.raises(InputError):
        search(replace(config, seed=1), PAIRS, tmp_path / "cut", limits=limits_for(7))


def test_a_target_met_by_the_last_batch_counts(tmp_path):
    config = config_for(5, relaxations=8, target=KNOWN[5] / 5 + 1e-6)  # a search of two batches
    found = search(config, PAIRS, tmp_path, limits=limits_for(5))
    assert found.evolution.asked == 8 and found.reason == "target"


def test_a_search_that_is_over_goes_on_with_a_larger_budget(tmp_path):
    config = config_for(7, relaxations=14)  # its last batch is not full
    few = search(config, PAIRS, tmp_path, limits=limits_for(7))
    assert few.reason == "budget" and few.evolution.done == 14
    more = search(replace(config, relaxations=40), PAIRS, tmp_path, limits=limits_for(7))
    assert sorted(step.number for step in more.evolution.steps) == list(range(40))
    assert [step.enthalpy for step in more.evolution.steps[:14]] == [
        step.enthalpy for step in few.evolution.steps
    ]
    again = search(config, PAIRS, tmp_path, limits=limits_for(7))  # what is there stays
    assert again.evolution.done == 40


def test_a_search_stops_when_nothing_better_comes(tmp_path):
    config = config_for(7, relaxations=400, stagnation=24)
    found = search(config, PAIRS, tmp_path, limits=limits_for(7))
    evolution = found.evolution
    assert found.reason == "stagnation" and evolution.done < 400
    assert evolution.done - evolution.last_best >= 24


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"elements": ("Xx",)}, "'Xx' is no element"),
        ({"elements": ("Cu", "Cu")}, "each element once"),
        ({"population": 0}, "population = 0"),
        ({"n_atoms": (5, 2)}, "the fewest and the most"),
        ({"formula": "Cu3Au"}, "Ag is not in both"),
        ({"formula": "Cu4Ag", "n_atoms": (2, 4)}, "no multiple of its 5"),
        ({"formula": "Cux("}, "such as Cu3Au"),
        ({"kind": "liquid"}, "search.kind"),
        ({"newcomers": 2.0}, "between 0 and 1"),
        ({"pressure_gpa": float("inf")}, "pressure_gpa = inf"),
        ({"target": float("nan")}, "target = nan"),
        ({"fmax": float("inf")}, "fmax = inf"),
        ({"seed": -1}, "seed = -1"),
        ({"stagnation": -3}, "stagnation = -3"),
        ({"kind": "film", "pressure_gpa": 5.0}, "a film has no volume to press"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        SearchConfig(**({"elements": ("Cu", "Ag")} | wrong))


def test_unknown_operators_are_named(tmp_path):
    with pytest.raises(InputError, match="'mutation' is not known"):
        search(config_for(7, operators=("mutation",)), PAIRS, tmp_path, limits=limits_for(7))


def test_sizes_are_multiples_of_the_formula():
    config = SearchConfig(("Cu", "Au"), formula="Cu3Au", n_atoms=(2, 9))
    assert config.sizes == (4, 8) and config.counts == (3, 1) and not config.variable
    assert SearchConfig(("Cu", "Au"), n_atoms=(2, 4)).sizes == (2, 3, 4)
