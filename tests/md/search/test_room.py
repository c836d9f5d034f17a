"""Distances and volumes as settings give them, and those that no structure can meet."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.search.limits import Limits
from stratal.md.search.room import DENSEST, check_room, limits_of
from stratal.md.search.run import search
from stratal.md.search.settings import SearchConfig
from stratal.potentials.analytic import EMT


def config_for(**settings):
    return SearchConfig(**({"elements": ("Pd", "Cu")} | settings))


def test_settings_become_limits():
    default = limits_of(config_for())
    limits = limits_of(config_for(closest={"Pd-Cu": 2.3, "Cu-Cu": 2.0}, volume_per_atom=13.0))
    assert limits.elements == (29, 46)
    assert_allclose(limits.closest, [[2.0, 2.3], [2.3, default.closest[1, 1]]])
    assert_allclose(limits.volumes, 13.0)
    own = limits_of(config_for(volume_per_atom={"Pd": 15.0}))
    assert_allclose(own.volumes, [default.volumes[0], 15.0])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"closest": {"Cu-Xx": 2.0}}, "'Cu-Xx' is no pair of Pd, Cu"),
        ({"closest": {"Cu": 2.0}}, "is no pair"),
        ({"closest": {"Cu-Cu": -1.0}}, "above 0"),
        ({"volume_per_atom": -3.0}, "volumes above 0"),
        ({"volume_per_atom": {"Au": 17.0}}, "Au is not searched"),
        ({"near": 0.0}, "search.near"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        config_for(**wrong)


def test_more_than_spheres_can_fill_is_refused():
    # Spheres of this diameter touch in a dense packing of 12 Å³ per atom.
    touching = (12.0 * np.sqrt(2)) ** (1 / 3)
    settings = {"elements": ("Cu",), "volume_per_atom": 12.0}
    assert limits_of(SearchConfig(**settings, closest={"Cu-Cu": 0.999 * touching}))
    with pytest.raises(InputError, match=r"atoms of Cu fill 0\.7.*search\.volume_per_atom"):
        limits_of(SearchConfig(**settings, closest={"Cu-Cu": 1.01 * touching}))
    with pytest.raises(InputError, match="Pd fill"):  # one of the elements alone
        limits_of(config_for(closest={"Pd-Pd": 3.4}))
    with pytest.raises(InputError, match="Cu-Pd fill"):
        limits_of(config_for(formula="CuPd", closest=dict.fromkeys(("Cu-Cu", "Cu-Pd", "Pd-Pd"), 3)))
    for kind in ("crystal", "film", "cluster"):
        check_room(Limits.of(range(1, 95), kind))  # no default is refused
    assert_allclose(DENSEST, 0.74048, atol=1e-5)


def test_starts_that_cannot_be_made_end_the_search_soon(tmp_path):
    """Of unlike atoms that spheres do not tell: each would have to be far from all others."""
    config = config_for(
        formula="CuPd", n_atoms=(2, 2), closest={"Cu-Pd": 5.0}, start_from=("prototype",)
    )
    with pytest.raises(InputError, match=r"none of 3 starts of 2 atoms.*search\.closest"):
        search(config, EMT.for_elements([29, 46]), tmp_path)
