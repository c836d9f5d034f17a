"""A file holds its old content or its new one, and nothing is left beside it."""

import errno
import json
import os

import numpy as np
import pytest

from stratal.errors import InputError
from stratal.files import atomic_path, write_bytes, write_json, write_text


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "α\n")
    assert path.read_text(encoding="utf-8") == "α\n"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_interrupted_write_keeps_the_old_file(tmp_path, kind):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(kind), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise kind
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_temporary_file_is_beside_and_keeps_suffixes(tmp_path):
    with atomic_path(tmp_path / "a.extxyz.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".extxyz.gz")


def test_permissions_are_those_of_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_full_disk_is_a_sentence(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match=r"a\.txt.*No space left.*Free some space"):
        with atomic_path(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == []


def test_missing_folder_and_folder_as_file_are_sentences(tmp_path):
    with pytest.raises(InputError, match=r"absent/a\.txt.*No such file.*Create the folder"):
        write_text(tmp_path / "absent" / "a.txt", "")
    with pytest.raises(InputError, match="Give the name of a file: this is a folder"):
        write_text(tmp_path, "")


def test_errors_about_other_files_are_not_relabelled(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        open("/nonexistent/input").close()


def test_json_takes_numpy_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": np.float32(0.5), "y": np.arange(3), "p": tmp_path})
    assert json.loads(path.read_text()) == {"x": 0.5, "y": [0, 1, 2], "p": str(tmp_path)}
    with pytest.raises(InputError, match=r"a\.json.*JSON.*Give finite numbers"):
        write_json(path, {"x": float("nan")})
    assert json.loads(path.read_text())["x"] == 0.5
