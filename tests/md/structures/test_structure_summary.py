"""Summaries agree with handbooks; what is not a crystal has less to say."""

from ase import Atoms
from ase.build import bulk
from numpy.testing import assert_allclose

from stratal.md.structures.structure_summary import summarize


def test_copper_has_its_density():
    found = summarize(bulk("Cu", a=3.615))
    assert_allclose(found.density, 8.96, rtol=5e-3)  # g/cm³, CRC Handbook, 20 °C
    assert_allclose(found.volume_per_atom, 3.615**3 / 4)
    assert found.space_group and found.space_group.number == 225
    assert_allclose(found.cell[3:], 60)
    assert ("space group", "Fm-3m (225)") in found.rows()


def test_a_molecule_has_no_space_group():
    found = summarize(
        Atoms("CuAg", [[0, 0, 0], [0, 0, 2.4]], pbc=[True, False, False], cell=[9, 0, 0])
    )
    assert found.volume_per_atom is None and found.density is None and found.space_group is None
    assert_allclose(list(found.shortest.values()), [9, 2.4, 9])
    assert "space group" not in dict(found.rows())
