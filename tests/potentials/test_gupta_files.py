"""Files of MAISE's Gupta potentials are read, and malformed ones say where and what."""

import pytest
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.potentials.analytic import Gupta

MAISE = """\
----
|  Gupta potential  |
----
|  number of species    |  2      |
|  species types        |  47 29  |
|  species names        |  Ag Cu  |
----
"""
VALUES = {"A rep (eV)": 0.1, "p rep (Ang)": 10, "B att (eV)": 1.2, "q att (Ang)": 2.4}
VALUES |= {"r0    (Ang)": 2.6, "Rmin  (Ang)": 4.0, "Rmax  (Ang)": 5.0}


def maise_file() -> str:
    lines = [
        f"|  {key}   {pair}  |  {value + 0.01 * index}  |\n"
        for index, pair in enumerate(("Ag", "Ag Cu", "Cu"))
        for key, value in VALUES.items()
    ]
    return MAISE + "".join(lines)


def test_gupta_from_maise_sorts_the_elements(tmp_path):
    (tmp_path / "gp").write_text(maise_file())
    potential = Gupta.from_maise(tmp_path / "gp")
    assert potential.elements == (29, 47) and potential.cutoff == 5.02
    assert_allclose(potential.a, [[0.12, 0.11], [0.11, 0.10]])


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("Gupta potential", "Neural network", "line 2: expected the title 'Gupta potential'"),
        ("number of species", "number of things", "no row 'number of species'"),
        ("|  2      |", "|  two    |", "line 4: number of species = 'two'"),
        ("|  2      |", "|  3      |", "line 5: species types = '47 29': expected 3"),
        ("47 29", "47 x", "line 5: species types"),
        ("Ag Cu  |\n----", "Cu Ag  |\n----", "line 6: species names = 'Cu Ag': expected 'Ag Cu'"),
        ("|  0.1  |", "|  0.1a  |", "line 8: A rep .* = '0.1a': expected one number"),
        ("|  0.1  |", "|  nan  |", "line 8.*expected one number"),
        ("|  0.1  |", "|  -0.1  |", "line 8.*not negative"),
        (
            "A rep (eV)   Cu",
            "A rep (eV)   Pd",
            "line 22: 'A rep .* Pd': expected one or two of Ag, Cu",
        ),
        ("A rep (eV)   Cu", "A rep (eV)   Ag", "line 22: .* was given on line 8"),
        ("|  5.02  |", "|  4.0  |", "line 28: .*expected r0 > 0 and Rmin < Rmax"),
    ],
)
def test_malformed_files_say_where_and_what(old, new, message, tmp_path):
    text = maise_file()
    assert text.count(old) == 1
    (tmp_path / "gp").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        Gupta.from_maise(tmp_path / "gp")
    assert str(tmp_path / "gp") in str(error.value)


def test_truncated_and_unreadable_files_are_refused(tmp_path):
    (tmp_path / "cut").write_text("".join(maise_file().splitlines(True)[:-2]))
    with pytest.raises(InputError, match=r"after line 26: no row 'Rmin Cu'.*cut or lacks"):
        Gupta.from_maise(tmp_path / "cut")
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    (tmp_path / "empty").write_text("")
    for name in ("binary", "empty", "absent"):
        with pytest.raises(InputError, match="Gupta potential"):
            Gupta.from_maise(tmp_path / name)
