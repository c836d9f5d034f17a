"""Tasks are the same whenever and wherever they are made."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from ase.build import bulk
from tests.slurm.work import add, square

from stratal.slurm.tasks import Folder, Shared, Task, load_shared, resolved


def test_equal_calls_have_equal_names_and_others_do_not():
    atoms = bulk("Cu", cubic=True)
    one = Task(square, (atoms, np.arange(3)), {"b": 1, "a": "x"})
    again = Task(square, (atoms.copy(), np.arange(3)), {"a": "x", "b": 1}, name="for people")
    assert one.id == again.id and len(one.id) == 32
    moved = atoms.copy()
    moved.positions[0, 0] = np.nextafter(0.0, 1.0)
    others = [
        Task(square, (moved, np.arange(3)), {"b": 1, "a": "x"}),
        Task(square, (atoms, np.arange(3.0)), {"b": 1, "a": "x"}),
        Task(square, (atoms, np.arange(3)), {"b": 1, "a": "y"}),
        Task(add, (atoms, np.arange(3)), {"b": 1, "a": "x"}),
        Task(partial(square, wait=1), (atoms, np.arange(3)), {"b": 1, "a": "x"}),
    ]
    assert len({one.id, *(task.id for task in others)}) == 6


def test_functions_without_a_name_are_told_apart_by_what_they_do():
    def shifted(by):
        return lambda number: number + by

    assert Task(shifted(1), (2,)).id != Task(shifted(2), (2,)).id


def test_a_task_has_the_same_name_in_another_process():
    code = (
        "import operator; from ase.build import bulk; from stratal.slurm.tasks import Task;"
        "print(Task(operator.add, (bulk('Cu'), {'b': 1, 'a': {2, 1}}), name='x').id)"
    )
    env_of = [{"PYTHONHASHSEED": str(seed)} for seed in (1, 2)]
    ids = {
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout
        for env in env_of
    }
    assert len(ids) == 1


def test_what_is_shared_is_kept_once_and_named_by_its_content(tmp_path):
    value = {"weights": np.arange(1000)}
    one, again = (Shared.of(value, tmp_path / folder) for folder in ("a", "a"))
    assert one == again and len(list((tmp_path / "a/shared").iterdir())) == 1
    elsewhere = Shared.of(value, tmp_path / "b")
    assert Task(square, (one,)).id == Task(square, (elsewhere,)).id
    assert resolved(one) is load_shared(again)
    np.testing.assert_array_equal(resolved(one)["weights"], value["weights"])


@pytest.mark.parametrize("value", [3, "x", None])
def test_what_is_not_shared_is_itself(value):
    assert resolved(value) is value


def test_where_a_folder_stands_is_no_part_of_a_task_and_a_key_names_one():
    here, there = (Task(square, (Folder(path),)) for path in ("/here", "/there"))
    assert here.id == there.id and resolved(Folder("/here")) == "/here"
    one, same, other = (Task(square, (n,), key=(n // 2, "x")) for n in range(3))
    assert one.id == same.id != other.id
    assert one.id != Task(add, (0,), key=(0, "x")).id
