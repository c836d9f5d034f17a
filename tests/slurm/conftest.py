"""A Slurm for the tests that need one."""

import pytest
from tests.slurm.cluster import Cluster, why_not


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two virtual nodes; the environment of the tests points to them."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in made.environment.items():
            patch.setenv(key, value)
        try:
            made.start()
            yield made
        finally:
            made.stop()
