"""The end of a search: what is set aside, labelled, relaxed once more; deaths in between."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.files import read_frames
from stratal.md.search.breeding import Offspring, described
from stratal.md.search.candidates.candidate import Origin
from stratal.md.search.ending.final import ending_of
from stratal.md.search.ending.teacher import Teacher
from stratal.md.search.evolution import ASIDE, Evolution
from stratal.md.search.results.files import summary, write_results
from stratal.md.search.results.page import report_of
from stratal.md.search.settings import SearchConfig
from stratal.potentials.analytic import EMT

POTENTIAL = EMT.for_elements([29, 79])
CRYSTALS = {
    "L12": Atoms("AuCu3", scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
                 cell=3 * [3.75], pbc=True),
    "Cu": bulk("Cu", "fcc", 3.6),
    "Cu twice": bulk("Cu", "fcc", 3.6) * (2, 1, 1),  # not known yet to be the same
    "Au": bulk("Au", "fcc", 4.06),
    "B2": bulk("CuAu", "cesiumchloride", 3.0),
}  # fmt: skip


INSIDE = ("converged",) * len(CRYSTALS)


def evolved(outcomes=INSIDE, **settings):
    """A search that was given these structures as its relaxed offspring."""
    config = SearchConfig(
        ("Cu", "Au"), n_atoms=(1, 4), batch=5, relaxations=5, near=0.2, similarity=1.0, **settings
    )
    evolution = Evolution(config, {}, ("random",))
    evolution.next_batch(evolution.wanted())
    found = []
    for number, (atoms, outcome) in enumerate(zip(CRYSTALS.values(), outcomes, strict=True)):
        calculated = atoms.copy()
        calculated.calc = AseEMT()
        energy = calculated.get_potential_energy()
        grade = 3.0 if outcome == "outside" else 0.5
        found.append(Offspring(number, Origin("random"), atoms, energy, None, outcome, 10, grade))
    evolution.receive(described(found, config.numbers))
    # From here on as settings say: with 1 above no two were taken for the same.
    evolution.config = replace(config, similarity=0.98)
    return evolution


class Counting(Calculator):
    """EMT that counts what is asked of it, and dies where it shall."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, dies_after=10**9):
        super().__init__()
        self.emt, self.asked, self.dies_after = AseEMT(), [], dies_after

    def calculate(self, atoms=None, properties=None, system_changes=None):
        if len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        super().calculate(atoms, properties or ["energy"], system_changes or [])
        assert atoms is not None
        self.asked.append(atoms.get_chemical_formula())
        copy = atoms.copy()
        copy.calc = self.emt
        self.results = {
            "energy": copy.get_potential_energy(),
            "forces": copy.get_forces(),
            "stress": copy.get_stress(),
        }


OUTSIDE = ("outside", "converged", "outside", "converged", "converged")


def test_what_lies_outside_is_no_candidate_unless_it_is_flagged():
    aside = evolved(OUTSIDE)
    assert [c.number for c in aside.aside] == [0, 2]
    assert {m.number for m in aside.population.members} == {1, 3, 4}
    assert aside.outcomes[ASIDE] == 2 and [s.verdict for s in aside.steps].count(ASIDE) == 2
    flagged = evolved(OUTSIDE, outside="flag")
    assert not flagged.aside and len(flagged.population.members) == 5
    assert {m.number for m in flagged.population.members if m.outside} == {0, 2}
    with pytest.raises(InputError, match="flag or aside"):
        SearchConfig(("Cu",), outside="inside")  # type: ignore[arg-type]


def test_final_candidates_are_relaxed_merged_and_brought_to_their_symmetry(tmp_path):
    evolution = evolved()
    assert len(evolution.population.members) == 5
    ending = ending_of(evolution, tmp_path, POTENTIAL, Teacher("ase", AseEMT()))
    by_number = {f.number: f for f in ending.finalists}
    merged = [f for f in ending.finalists if f.merged]
    assert len(by_number) == 4 and len(merged) == 1
    assert {merged[0].number, *merged[0].merged} == {1, 2}
    groups = {
        f.atoms.symbols.formula.reduce()[0].format("hill"): f.group for f in by_number.values()
    }
    expected = {"AuCu3": "Pm-3m (221)", "Cu": "Fm-3m (225)", "Au": "Fm-3m (225)"}
    assert groups == expected | {"AuCu": "Pm-3m (221)"}
    assert len(merged[0].atoms) == 1  # in the primitive cell
    for finalist in ending.finalists:
        assert np.abs(finalist.atoms.get_forces()).max() < 1e-3
        assert finalist.taught is not None
        # The same theory: the same minima.
        assert_allclose(finalist.taught_enthalpy, finalist.enthalpy, atol=1e-5)
        assert_allclose(finalist.taught_above, finalist.above, atol=2e-5)
    write_results(tmp_path, evolution, "budget", ending)
    frames = read_frames(tmp_path / "final.extxyz")
    assert [frame.info["number"] for frame in frames] == [f.number for f in ending.finalists]
    cifs = sorted(path.name for path in tmp_path.glob("final-*.cif"))
    assert len(cifs) == 4 and any("Fm-3m" in (tmp_path / name).read_text() for name in cifs)
    rows = json.loads((tmp_path / "search.json").read_text())["final"]
    assert all(row["teacher_above_eV_per_atom"] is not None for row in rows)
    again = ending_of(evolution, tmp_path, None)  # only what is there
    assert [f.number for f in again.finalists] == [f.number for f in ending.finalists]
    assert again.finalists[0].taught_enthalpy == ending.finalists[0].taught_enthalpy


def test_labels_are_written_whole_and_none_is_made_twice(tmp_path):
    evolution = evolved(("outside",) * 5)
    whole = ending_of(evolution, tmp_path / "whole", POTENTIAL, Teacher("t", Counting()))
    assert len(whole.aside) == 4  # of five, copper twice
    asked = []
    for dies_after in (1, 2, 10):
        calculator = Counting(dies_after)
        try:
            cut = ending_of(evolution, tmp_path / "cut", POTENTIAL, Teacher("t", calculator))
        except KeyboardInterrupt:
            pass
        asked += calculator.asked
    assert len(asked) == len(set(asked)) == 4
    for own, other in zip(whole.labelled, cut.labelled, strict=True):
        assert own.get_potential_energy() == other.get_potential_energy()
    write_results(tmp_path / "cut", evolution, "budget", cut)
    frames = read_frames(tmp_path / "cut" / "labelled.extxyz")
    assert {frame.info["number"] for frame in frames} == {c.number for c in whole.aside}
    for frame in frames:
        assert frame.calc and {"energy", "forces", "stress"} <= set(frame.calc.results)
        assert frame.info["level_of_theory"] == "t" and frame.info["grade"] == 3.0
    assert len(read_frames(tmp_path / "cut" / "aside.extxyz")) == 4
    other = Counting()
    ending_of(evolution, tmp_path / "cut", POTENTIAL, Teacher("t", AseEMT()))  # another teacher
    assert not other.asked
    page = report_of(evolution, summary(evolution, "budget", cut), cut)
    section = next(part for part in page.sections if part.title == "Set aside")
    assert sum(block["kind"] == "figure" for block in section.blocks) == 4


class Failing(AseEMT):
    """Fails at gold."""

    def calculate(self, atoms=None, *arguments):
        if atoms is not None and set(atoms.numbers) == {79}:
            raise RuntimeError("no convergence")
        super().calculate(atoms, *arguments)


def test_a_teacher_that_fails_is_told_of_and_asked_again(tmp_path):
    evolution = evolved()
    ending = ending_of(evolution, tmp_path, POTENTIAL, Teacher("ase", Failing()))
    assert [f.number for f in ending.finalists if f.taught is None] == [3]
    assert ending.failures == ("candidate 3: RuntimeError: no convergence",)
    write_results(tmp_path, evolution, "budget", ending)
    rows = json.loads((tmp_path / "search.json").read_text())["final"]
    assert [r["number"] for r in rows if r["teacher_enthalpy_eV_per_atom"] is None] == [3]


def test_teachers_by_name():
    assert Teacher.named("emt", (29, 79)).source.elements == (29, 79)  # type: ignore[union-attr]
    lennard_jones = Teacher.named("lj", (29,), '{"epsilon": 0.1}')
    assert lennard_jones.identity != Teacher.named("lj", (29,)).identity
    with pytest.raises(InputError, match="nothing-such"):
        Teacher.named("nothing-such", (29,))
