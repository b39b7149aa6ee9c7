"""SMPL files: formats, stand-ins for missing packages, and what is said about bad ones."""

import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.body.loader import load_body
from components.errors import InputError
from tests.components.body.smpl_files import random_smpl


class _FakeModule:
    """Registers a module of a foreign package while a pickle is written; it is gone when the pickle is read."""

    def __init__(self, name: str, **members: Any) -> None:
        self.name, self.members = name, members

    def __enter__(self) -> None:
        module = types.ModuleType(self.name)
        for key, value in self.members.items():
            value.__module__ = self.name
            setattr(module, key, value)
        self.names = [".".join(self.name.split(".")[: i + 1]) for i in range(self.name.count(".") + 1)]
        for name in self.names:
            sys.modules[name] = module

    def __exit__(self, *error: object) -> None:
        for name in self.names:
            sys.modules.pop(name, None)  # two modules share their package


def write_published_pkl(path: Path, arrays: dict[str, Any], protocol: int = 2) -> None:
    """As the published files: shapedirs a chumpy array, posedirs too, the regressor a sparse matrix."""

    class Ch:
        def __init__(self, x: Any) -> None:
            self.x = x

    class Select:
        def __init__(self, a: Any, idxs: Any, preferred_shape: Any) -> None:
            self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape

    class csc_matrix:
        def __init__(self, dense: np.ndarray) -> None:
            columns = [np.nonzero(dense[:, column])[0] for column in range(dense.shape[1])]
            self.data = np.concatenate([dense[rows, column] for column, rows in enumerate(columns)])
            self.indices = np.concatenate(columns).astype(np.int32)
            self.indptr = np.cumsum([0, *map(len, columns)]).astype(np.int32)
            self._shape = dense.shape

    for kind in (Ch, Select, csc_matrix):
        kind.__qualname__ = kind.__name__
    content = dict(arrays)
    with (
        _FakeModule("scipy.sparse.csc", csc_matrix=csc_matrix),
        _FakeModule("chumpy.ch", Ch=Ch),
        _FakeModule("chumpy.reordering", Select=Select),
        path.open("wb") as file,
    ):
        content["shapedirs"] = Ch(arrays["shapedirs"])
        template = arrays["v_template"]
        content["v_template"] = Select(
            Ch(template[:, ::-1]), np.arange(template.size).reshape(-1, 3)[:, ::-1].ravel(), template.shape
        )
        content["J_regressor"] = csc_matrix(arrays["J_regressor"])
        content["bs_style"] = "lbs"
        pickle.dump(content, file, protocol=protocol)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_published_pkl_reads_like_the_npz(tmp_path: Path, protocol: int) -> None:
    arrays = random_smpl()
    arrays["J_regressor"][arrays["J_regressor"] < 0.01] = 0
    np.savez(tmp_path / "smpl.npz", **arrays)
    write_published_pkl(tmp_path / "smpl.pkl", arrays, protocol)
    assert not any(name.split(".")[0] in ("chumpy",) for name in sys.modules)
    from_npz, from_pkl = load_body(tmp_path / "smpl.npz"), load_body(tmp_path / "smpl.pkl")
    for (name, expected), (_, value) in zip(from_npz.named_buffers(), from_pkl.named_buffers(), strict=True):
        torch.testing.assert_close(value, expected, msg=name)


def test_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    arrays = random_smpl()
    arrays["v_template"] = Evil()
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(arrays))
    with pytest.raises(InputError, match=r"smpl\.pkl is refused: it names '(posix|nt)\.system'"):
        load_body(tmp_path / "smpl.pkl")
    assert not (tmp_path / "ran").exists()


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    arrays = random_smpl()
    arrays["J_regressor"] = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "smpl.npz", **arrays)
    with pytest.raises(InputError, match=r"smpl\.npz cannot be read at 'J_regressor'"):
        load_body(tmp_path / "smpl.npz")


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"smpl{suffix}"
    if suffix == ".npz":
        np.savez(path, **random_smpl())
    else:
        path.write_bytes(pickle.dumps(random_smpl()))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=r"smpl\.(npz|pkl)"):
        load_body(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"J_regressor": np.ones((23, 50))}, r"'J_regressor' has shape \[23, 50\]; expected \[24, 50\]"),
        ({"J_regressor": np.ones((24, 49))}, r"'J_regressor' has shape \[24, 49\]; expected \[24, 50\]"),
        ({"weights": np.ones((50, 24))}, "'weights' rows sum to 24"),
        ({"weights": np.ones((50, 52))}, r"expected \[50, 24\]"),
        ({"v_template": np.full((50, 3), np.nan)}, "'v_template' has values that are not finite"),
        ({"v_template": np.ones((50, 2))}, r"expected \[any, 3\]"),
        ({"v_template": np.array(["a", "b"])}, "'v_template' has dtype"),
        ({"shapedirs": np.zeros((50, 3, 0))}, "'shapedirs' has shape"),
        ({"posedirs": np.zeros((50, 3, 9))}, r"expected \[50, 3, 207\]"),
        ({"f": np.full((4, 3), 50)}, r"indices in 0\.\.49"),
        ({"f": np.zeros((4, 3))}, "'f' has dtype float64"),
        ({"kintree_table": np.zeros((2, 24), dtype=np.int64)}, "'kintree_table' has parents"),
        ({"extra_vertex_ids": np.zeros(20, dtype=np.int64)}, r"expected \[21\]"),
        ({"J_regressor_extra": np.zeros((8, 50))}, r"expected \[9, 50\]"),
        ({"v_template": None}, "no v_template"),
        ({"f": None, "weights": None}, "no weights, f"),
    ],
)
def test_faults_name_file_found_and_expected(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    arrays = {key: value for key, value in {**random_smpl(), **change}.items() if value is not None}
    np.savez(tmp_path / "smpl.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load_body(tmp_path / "smpl.npz")
    assert "smpl.npz" in str(caught.value)
    assert str(caught.value).count("\n") <= 2


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_body(tmp_path / "none.npz")
    (tmp_path / "smpl.txt").write_text("x")
    with pytest.raises(InputError, match=r"ends in '\.txt'"):
        load_body(tmp_path / "smpl.txt")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="holds a list"):
        load_body(tmp_path / "list.pkl")


def test_more_and_fewer_shape_components(tmp_path: Path) -> None:
    for count in (300, 4):
        arrays = random_smpl(shapes=count)
        np.savez(tmp_path / "smpl.npz", **arrays)
        components = load_body(tmp_path / "smpl.npz").shapedirs.numpy()
        kept = min(count, 10)
        np.testing.assert_allclose(components[..., :kept], arrays["shapedirs"][..., :kept], rtol=1e-6)
        assert not components[..., kept:].any()


def test_extra_regressor_beside_the_file_and_picks_of_smpl(tmp_path: Path) -> None:
    np.savez(tmp_path / "smpl.npz", **random_smpl(vertices=6890, faces=10))
    np.save(tmp_path / "J_regressor_extra.npy", np.full((9, 6890), 1 / 6890))
    body = load_body(tmp_path / "smpl.npz")
    assert body.J_regressor_extra is not None
    assert body.J_regressor_extra.shape == (9, 6890)
    assert body.extra_vertex_ids is not None
    assert body.extra_vertex_ids[0] == 332  # the nose of the published topology
    (tmp_path / "J_regressor_extra.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"J_regressor_extra\.npy is damaged"):
        load_body(tmp_path / "smpl.npz")
