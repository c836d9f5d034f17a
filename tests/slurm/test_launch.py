"""The check before work starts, and what each process gets of its node."""

import os
import subprocess
import sys

import pytest
from tests.slurm.test_perform import MPIEXEC

from stratal.errors import InputError
from stratal.slurm.executor import default_kind, open_executor
from stratal.slurm.launch import DEVICES, LAUNCHERS, Place, check_ranks, ranks_asked, summary


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for variable in LAUNCHERS:
        monkeypatch.delenv(variable, raising=False)


def test_without_a_launcher_one_process_is_right():
    assert ranks_asked() is None and default_kind() == "serial"
    check_ranks(1)


@pytest.mark.parametrize("variable", LAUNCHERS)
def test_a_lone_process_of_several_is_refused_with_what_to_start(variable, monkeypatch):
    monkeypatch.setenv(variable, "4")
    assert default_kind() == "mpi"
    check_ranks(4)
    mend = "srun --mpi=pmi2 -n 4" if variable == "SLURM_NTASKS" else "mpiexec -n 4"
    with pytest.raises(InputError, match=f"4 processes .* finds 1: .*'{mend}"):
        check_ranks(1)
    with pytest.raises(InputError, match="4 processes"), open_executor("serial"):
        pass


def test_ranks_get_their_own_cores_and_a_common_cache():
    code = (
        "import os; from stratal.slurm import open_executor\n"
        "from stratal.slurm.launch import CACHE\n"
        "def place(): return sorted(os.sched_getaffinity(0)), os.environ[CACHE]\n"
        "with open_executor() as executor:\n"
        "    print(sorted(executor.submit(place).result() for _ in range(20)))\n"
    )
    n = min(len(os.sched_getaffinity(0)), 3)
    done = subprocess.run(
        [MPIEXEC, "-n", str(n + 1), sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert f"{n + 1} ranks: one manager, {n} workers" in done.stderr
    found = eval(done.stdout)
    cores = {tuple(own) for own, _ in found}
    share = len(os.sched_getaffinity(0)) // n
    assert all(len(own) == share for own in cores) or n == 1
    assert sum(map(len, cores)) == len(set().union(*cores))  # none is shared
    assert len({cache for _, cache in found}) == 1


@pytest.mark.parametrize("number, given, expected", [(0, "0,1", "0"), (3, "4,7", "7")])
def test_processes_of_a_node_have_a_device_each(number, given, expected):
    code = (
        "import os; from stratal.slurm.launch import DEVICES, set_up_process;"
        f"set_up_process({number}, 4); print(os.environ[DEVICES])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, DEVICES: given},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected


def test_an_exception_on_one_rank_ends_all():
    code = (
        "from mpi4py import MPI; from stratal.slurm import open_executor\n"
        "with open_executor('mpi') as executor:\n"
        "    raise RuntimeError('the manager stumbles')\n"
    )
    done = subprocess.run(
        [MPIEXEC, "-n", "2", sys.executable, "-c", code],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0 and "the manager stumbles" in done.stderr


def test_the_summary_fits_a_screen():
    places = [Place("a", (0, 1), ""), Place("a", (0, 1), "0"), Place("b", (2,), "1")]
    assert summary(places).splitlines() == [
        "3 ranks: one manager, 2 workers",
        "  a: 2 ranks on 2 cores that they share, devices 0",
        "  b: 1 ranks on 1 cores, devices 1",
    ]


def test_one_rank_has_nobody_to_work_for():
    code = "from stratal.slurm import open_executor\nwith open_executor('mpi'): pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "one rank is nobody to work for the manager" in done.stderr
