"""The admitting unpickler: what comes through unchanged, and what is refused by name."""

import contextlib
import io
import os
import pickle
import resource
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from components.errors import InputError
from components.files.safe_pickle import ChumpyVariable, load_joblib, load_pickle


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


class Hostile:
    """Runs a command when a stock unpickler reads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_arrays_and_containers_come_through(tmp_path, protocol):
    content = {
        "poses": [np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))],
        "scalar": np.float64(1.5),
        "empty": np.zeros((0, 72)),
        "big_endian": np.arange(3, dtype=">i4"),
        "text": np.array(["a", "bc"]),
        "bytes": b"\xff\x00",
        "set": {1, 2},
        "ordered": OrderedDict(a=(1, np.ones(2))),
        "objects": np.array([[1, 2], ["x", np.ones(3)]], dtype=object),
        "flags": np.array([True, False]),
    }
    loaded = load_pickle(write(tmp_path / "data.pkl", content, protocol))
    assert list(loaded) == list(content)
    for mine, theirs in zip(loaded["poses"], content["poses"]):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
        assert mine.flags.writeable
    assert loaded["scalar"] == 1.5
    assert loaded["empty"].shape == (0, 72)
    assert loaded["big_endian"].tolist() == [0, 1, 2]
    assert loaded["text"].tolist() == ["a", "bc"]
    assert loaded["bytes"] == b"\xff\x00"
    assert loaded["set"] == {1, 2}
    np.testing.assert_array_equal(loaded["ordered"]["a"][1], np.ones(2))
    np.testing.assert_array_equal(loaded["objects"][1, 1], np.ones(3))
    assert loaded["flags"].tolist() == [True, False]


@settings(max_examples=30, deadline=None)
@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16, np.uint8, np.complex64]),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    ),
    protocol=st.sampled_from([2, 4, 5]),
    share_bytes=st.booleans(),
)
def test_any_array_survives(tmp_path_factory, array, protocol, share_bytes):
    path = write(tmp_path_factory.mktemp("arrays") / "array.pkl", [array], protocol)
    (loaded,) = load_pickle(path, share_bytes)
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)


def test_shared_arrays_stay_shared(tmp_path):
    array = np.ones(3)
    loaded = load_pickle(write(tmp_path / "data.pkl", [array, (array,), {"again": array}]))
    assert loaded[0] is loaded[1][0] is loaded[2]["again"]


@pytest.mark.parametrize("protocol", [4, 5])
def test_arrays_keep_the_bytes_of_the_file_where_asked(tmp_path, protocol):
    content = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(3, dtype=">i4")]
    plain, turned, swapped = load_pickle(write(tmp_path / "data.pkl", content, protocol), share_bytes=True)
    for mine, theirs in zip((plain, turned, swapped), content, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for shared in (plain, turned):
        assert isinstance(shared.base, np.ndarray)
        assert isinstance(shared.base.base, bytes)
        assert not shared.flags.writeable
    assert swapped.dtype.isnative


def test_python2_text_is_read_as_latin1(tmp_path):
    # Protocol 2 of Python 2: {'J': array([1., 2.])} with str data under the old module name.
    raw = struct.pack("<2d", 1.0, 200.5)
    stream = (
        b"\x80\x02}q\x00U\x01Jq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01b"
        b"\x87q\x05Rq\x06(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(raw)]) + raw + b"tbs."
    )
    path = tmp_path / "python2.pkl"
    path.write_bytes(stream)
    np.testing.assert_array_equal(load_pickle(path)["J"], [1.0, 200.5])


def foreign(module: str, name: str, state: dict):
    """An instance of a class that lives in a package which is not installed, for pickling only."""
    owner = types.ModuleType(module)
    kind = type(name, (), {"__module__": module, "__getstate__": lambda self: state})
    setattr(owner, name, kind)
    parts = module.split(".")
    for count in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:count]), types.ModuleType(".".join(parts[:count])))
    sys.modules[module] = owner
    return kind()


@pytest.fixture
def foreign_modules():
    names = ("scipy", "chumpy")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in names}
    for name in before:
        del sys.modules[name]
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in names]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.parametrize("module", ["scipy.sparse.{}", "scipy.sparse._{}"])
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_sparse_stand_in(tmp_path, foreign_modules, module, kind):
    dense = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
    source = dense.T if kind == "csc" else dense
    rows, columns = np.nonzero(source)
    starts = np.searchsorted(rows, np.arange(len(source) + 1))
    state = {"_shape": dense.shape, "data": source[rows, columns], "indices": columns, "indptr": starts}
    if kind == "coo":
        state = {"_shape": dense.shape, "data": dense[rows, columns], "row": rows, "col": columns}
    path = write(tmp_path / "m.pkl", foreign(module.format(kind), f"{kind}_matrix", state), 2)
    np.testing.assert_array_equal(load_pickle(path), dense)


def test_broken_sparse_matrix(tmp_path, foreign_modules):
    state = {"_shape": (2, 2), "data": np.ones(1), "indices": np.array([7]), "indptr": np.array([0, 1, 1])}
    path = write(tmp_path / "m.pkl", foreign("scipy.sparse.csc", "csc_matrix", state))
    with pytest.raises(InputError, match="sparse matrix"):
        load_pickle(path)


def test_chumpy_stand_in(tmp_path, foreign_modules):
    source = foreign("chumpy.ch", "Ch", {"x": np.arange(6.0).reshape(2, 3), "_cache": {"r": None}})
    path = write(tmp_path / "ch.pkl", {"v": source})
    np.testing.assert_array_equal(load_pickle(path)["v"], np.arange(6.0).reshape(2, 3))
    state = {"a": source, "idxs": np.array([5, 0]), "preferred_shape": (2, 1)}
    path = write(tmp_path / "select.pkl", foreign("chumpy.reordering", "Select", state))
    np.testing.assert_array_equal(load_pickle(path), [[5.0], [0.0]])


def test_chumpy_expression_is_named(tmp_path, foreign_modules):
    loaded = load_pickle(write(tmp_path / "ch.pkl", foreign("chumpy.ch", "Ch", {"y": 1})))
    assert isinstance(loaded, ChumpyVariable)
    with pytest.raises(InputError, match="holds no array"):
        loaded.toarray()


@pytest.mark.parametrize(
    "wrap", [lambda bad: bad, lambda bad: {"poses": [bad]}, lambda bad: np.array([bad, 1], object)]
)
def test_command_is_refused_and_not_run(tmp_path, wrap):
    target = tmp_path / "ran"
    path = write(tmp_path / "bad.pkl", wrap(Hostile(f"touch {target}")))
    with pytest.raises(InputError, match=r"(posix|nt)\.system"):
        load_pickle(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("builtins", "getattr"), ("numpy", "load"), ("numpy", "memmap"),
     ("copyreg", "add_extension"), ("numpy.core.multiarray", "fromfile"), ("collections", "defaultdict"),
     ("scipy.sparse", "load_npz"), ("scipy.io", "csc_matrix")],
)  # fmt: skip
def test_other_globals_are_refused_by_name(tmp_path, module, name):
    path = tmp_path / "bad.pkl"
    path.write_bytes(f"c{module}\n{name}\n(tR.".encode())
    with pytest.raises(InputError, match=f"'{module}.{name}'"):
        load_pickle(path)


def test_forged_object_array_is_refused(tmp_path):
    # Raw bytes under an object dtype would be taken for pointers by numpy itself.
    stream = io.BytesIO()
    stream.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR")
    stream.write(b"(I1\n(I1\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'AAAAAAAA'\ntb.")
    path = tmp_path / "forged.pkl"
    path.write_bytes(stream.getvalue())
    with pytest.raises(InputError, match="object array"):
        load_pickle(path)


@pytest.mark.parametrize("dtype", [[("a", "f4")], "V8", "M8[s]"])
def test_unusual_dtypes_are_refused(tmp_path, dtype):
    with pytest.raises(InputError, match="array type"):
        load_pickle(write(tmp_path / "d.pkl", np.zeros(2, dtype=dtype)))


def test_altering_admitted_callables_is_refused(tmp_path):
    path = tmp_path / "alter.pkl"
    path.write_bytes(b"c_codecs\nencode\n(dS'_function'\nI1\nsb.")
    with pytest.raises(InputError, match="alter"):
        load_pickle(path)


def test_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_pickle(tmp_path / "absent.pkl")
    whole = write(tmp_path / "whole.pkl", {"poses": [np.ones((5, 72))] * 3}).read_bytes()
    for cut in (0, 1, 20, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "cut.pkl"
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="truncated"):
            load_pickle(path)
    path.write_bytes(b"<html>404 not found</html>")
    with pytest.raises(InputError, match="not a pickle"):
        load_pickle(path)


def test_endless_nesting_is_refused(tmp_path):
    content: list = []
    for _ in range(200):
        content = [content]
    with pytest.raises(InputError, match="nested"):
        load_pickle(write(tmp_path / "deep.pkl", content))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a place in the table of what was read
        b"\x80\x02Np99999999999\n.",
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"few.",
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"few.",
        b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"N.",
    ],
)
def test_stated_sizes_take_no_memory(tmp_path, content):
    (tmp_path / "data.pkl").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(InputError):
        load_pickle(tmp_path / "data.pkl")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_damaged_bytes_never_escape(tmp_path_factory, position, byte):
    whole = bytearray(pickle.dumps({"poses": [np.ones((2, 3), np.float32)], "y": [1]}, protocol=2))
    whole[position % len(whole)] = byte
    path = tmp_path_factory.mktemp("damaged") / "data.pkl"
    path.write_bytes(bytes(whole))
    with contextlib.suppress(InputError):
        load_pickle(path)


class TestJoblib:
    """Files of `joblib.dump`: a pickle with the bytes of the arrays between its opcodes."""

    CONTENT: ClassVar = {
        1: {"pose": np.arange(12, dtype=np.float32).reshape(4, 3), "ids": np.arange(4)},
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"), "empty": np.empty((0, 3)), "none": None, "text": ["a", 2.5],
        "scalar": np.float64(2.0), "shared": [np.ones(2)] * 2,
    }  # fmt: skip

    @pytest.mark.parametrize("compress", [0, 3, ("gzip", 1)])
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_content_comes_back(self, tmp_path, compress, protocol):
        joblib.dump(self.CONTENT, tmp_path / "x.pkl", compress=compress, protocol=protocol)
        content = load_joblib(tmp_path / "x.pkl")
        assert set(content) == set(self.CONTENT)
        for key in ("fortran", "big", "empty"):
            np.testing.assert_array_equal(content[key], self.CONTENT[key])
        np.testing.assert_array_equal(content[1]["pose"], self.CONTENT[1]["pose"])
        np.testing.assert_array_equal(content[1]["ids"], np.arange(4))
        assert content["text"] == ["a", 2.5]
        assert content["scalar"] == 2.0
        assert content["shared"][1].tolist() == [1, 1]

    def test_files_of_old_versions_have_no_padding(self, tmp_path, monkeypatch):
        wrapper = joblib.numpy_pickle.NumpyArrayWrapper
        monkeypatch.setattr(wrapper, "safe_get_numpy_array_alignment_bytes", lambda _: None)
        monkeypatch.setattr(joblib.numpy_pickle, "NUMPY_ARRAY_ALIGNMENT_BYTES", None)
        original = wrapper.__init__

        def without(self, *args, **kwargs):
            original(self, *args, **kwargs)
            del self.numpy_array_alignment_bytes

        monkeypatch.setattr(wrapper, "__init__", without)
        joblib.dump(self.CONTENT, tmp_path / "x.pkl")
        np.testing.assert_array_equal(load_joblib(tmp_path / "x.pkl")[1]["pose"], self.CONTENT[1]["pose"])

    @pytest.mark.parametrize("compress", [0, 3])
    def test_truncated(self, tmp_path, compress):
        path = tmp_path / "x.pkl"
        joblib.dump({"pose": np.random.default_rng(0).normal(size=(50, 3))}, path, compress=compress)
        whole = path.read_bytes()
        for kept in (0, 10, 150, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:kept])
            with pytest.raises(InputError, match="truncated"):
                load_joblib(path)

    def test_refused(self, tmp_path):
        path = tmp_path / "x.pkl"
        joblib.dump({"pose": np.ones(3), "code": Hostile("exit 3")}, path)
        with pytest.raises(InputError, match="refused"):
            load_joblib(path)
        joblib.dump({"names": np.array(["a", None], dtype=object)}, path)
        with pytest.raises(InputError, match="array of objects"):
            load_joblib(path)
        joblib.dump({"pose": np.ones(3)}, path, compress=("xz", 1))
        with pytest.raises(InputError, match="compressed with xz"):
            load_joblib(path)
        with pytest.raises(InputError, match="does not exist"):
            load_joblib(tmp_path / "absent.pkl")

    def test_a_file_of_joblib_is_no_plain_pickle(self, tmp_path):
        joblib.dump({"pose": np.ones(3)}, tmp_path / "x.pkl")
        with pytest.raises(InputError, match="NumpyArrayWrapper"):
            load_pickle(tmp_path / "x.pkl")
