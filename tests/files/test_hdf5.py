"""What goes into an HDF5 file comes out bit for bit; what is not ours is refused."""

import os
import resource

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stratal.errors import InputError
from stratal.files import digest, read_hdf5, write_hdf5

KEYS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda key: key != ".")
ARRAYS = hnp.arrays(
    st.sampled_from(
        [np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_, np.complex128]
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.one_of(
    ARRAYS,
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.lists(TEXTS, max_size=3),
)
TREES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda c: st.dictionaries(KEYS, c, max_size=3)), max_size=4
)


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
    else:
        assert found == expected or (found != found and expected != expected)


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_roundtrip(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    write_hdf5(path, tree, {"note": "α", "n": [1, 2]}, "stratum")
    found, attributes = read_hdf5(path, "stratum")
    assert_same(found, tree)
    assert attributes == {"note": "α", "n": [1, 2]}
    assert digest(found) == digest(tree)


def test_text_arrays_come_back(tmp_path):
    names = np.array([["Cu", "Äg"], ["", "Pd"]])
    write_hdf5(tmp_path / "a.h5", {"names": names}, {}, "notes")
    found = read_hdf5(tmp_path / "a.h5", "notes")[0]["names"]
    assert found.tolist() == names.tolist()
    assert digest({"a": found}) == digest({"a": names})


@given(values=hnp.arrays(np.float64, 4), place=st.integers(0, 3))
def test_digest_sees_one_bit(values, place):
    changed = values.copy()
    changed.view(np.uint64)[place] ^= 1
    assert digest({"w": changed}) != digest({"w": values})
    assert digest({"w": values.copy(order="F")}) == digest({"w": values})


def test_digest_tells_structures_apart():
    a = np.arange(4.0)
    trees = [
        {"a": a},
        {"b": a},
        {"a": a.reshape(2, 2)},
        {"a": a.astype(np.float32)},
        {"a": {"a": a}},
        {"a": a[:2], "b": a[2:]},
        {"a": None},
        {"a": ""},
        {"a": []},
        {"a": ["x"]},
        {"a": "x"},
        {"a": True},
        {"a": 1},
        {},
    ]
    assert len({digest(tree) for tree in trees}) == len(trees)


def test_digest_is_stable():
    """Files of today must be known tomorrow: the digest is part of the format."""
    tree = {"b": np.array([1.0, -0.0]), "a": {"name": "Cu", "n": 3, "none": None, "l": ["x"]}}
    expected = "1afca59f937c10521c29075552fad41c50508505e0ca36612c19bec27db7fc4c"
    assert digest(tree) == expected


@pytest.fixture
def stratum(tmp_path):
    path = tmp_path / "Cu.h5"
    write_hdf5(path, {"weights": np.arange(1000.0)}, {}, "stratum")
    return path


def test_unpicklable_and_bad_keys_are_refused_and_the_old_file_stays(stratum):
    before = stratum.read_bytes()
    for tree, sentence in [
        ({"w": np.ones(3), "x": object()}, r"Cu\.h5, /x: cannot store object.*Give numbers"),
        ({"a/b": 1}, r"Cu\.h5, /a/b: key 'a/b' cannot be stored\. Use text"),
        ({"deep": {"n": 2**70}}, r"Cu\.h5, /deep/n: .*does not fit in 64 bits"),
        ({"x": [np.ones(2), None]}, r"Cu\.h5, /x"),
    ]:
        with pytest.raises(InputError, match=sentence):
            write_hdf5(stratum, tree, {}, "stratum")
    assert stratum.read_bytes() == before
    assert os.listdir(stratum.parent) == ["Cu.h5"]


def test_a_disk_that_takes_no_more_is_a_sentence(tmp_path):
    """HDF5 itself does not get over a write that fails: it takes the process with it."""
    path, limits = tmp_path / "large.h5", resource.getrlimit(resource.RLIMIT_FSIZE)
    tree = {f"group {number}": {"array": np.zeros(40)} for number in range(100)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written: File too large"):
            write_hdf5(path, tree, {}, "test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    write_hdf5(path, tree, {}, "test")
    assert len(read_hdf5(path, "test")[0]) == 100


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated(stratum, share):
    content = stratum.read_bytes()
    stratum.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        InputError, match=r"Cu\.h5: damaged or truncated.*expected a stratum\. Copy"
    ):
        read_hdf5(stratum, "stratum")


def test_not_hdf5(tmp_path):
    path = tmp_path / "Cu.h5"
    path.write_text("energy = 3\n")
    with pytest.raises(InputError, match=r"Cu\.h5: not an HDF5 file.*'energy.*expected a stratum"):
        read_hdf5(path, "stratum")
    path.write_bytes(b"")
    with pytest.raises(InputError, match="not an HDF5 file"):
        read_hdf5(path, "stratum")


def test_foreign_hdf5(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(
        InputError, match=r"other\.h5: HDF5, but without .*Give a file that Stratal"
    ):
        read_hdf5(path, "stratum")


def test_wrong_kind_and_newer_format(stratum):
    with pytest.raises(InputError, match=r"Cu\.h5: holds a stratum; expected a checkpoint\. Give"):
        read_hdf5(stratum, "checkpoint")
    with h5py.File(stratum, "a") as file:
        file.attrs["stratal_format"] = 99
    with pytest.raises(InputError, match=r"Cu\.h5: written in format 99.*Install a newer"):
        read_hdf5(stratum, "stratum")


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"absent\.h5: no such file; expected a stratum"):
        read_hdf5(tmp_path / "absent.h5", "stratum")
    with pytest.raises(InputError, match="is a folder"):
        read_hdf5(tmp_path, "stratum")
