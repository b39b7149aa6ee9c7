"""Reads bodies in SMPL format: the packaged one, or the user's SMPL `.npz` or `.pkl`."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from smplx.vertex_ids import vertex_ids as SMPLX_VERTEX_IDS
from torch import Tensor

from components.body.model import NUM_BETAS, BodyModel
from components.body.skeleton import SMPL_PARENTS
from components.errors import InputError
from components.files.safe_pickle import load_pickle

PACKAGED_BODY = Path(__file__).parent / "assets" / "troupe_body.npz"

# Vertices that stand for points without a joint, in the order of smplx.
EXTRA_VERTICES: tuple[str, ...] = (
    "nose", "reye", "leye", "rear", "lear", "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    "lthumb", "lindex", "lmiddle", "lring", "lpinky", "rthumb", "rindex", "rmiddle", "rring", "rpinky",
)  # fmt: skip
# Rows of J_regressor_extra, in the order of the published file (SPIN, VIBE, ACTOR).
EXTRA_JOINTS: tuple[str, ...] = (
    "right_hip_lsp", "left_hip_lsp", "neck_lsp", "head_top_lsp", "pelvis_mpii", "thorax_mpii", "spine_h36m",
    "jaw_h36m", "head_h36m",
)  # fmt: skip
EXTRA_REGRESSOR_FILE = "J_regressor_extra.npy"

_SMPL_VERTICES = 6890
_REQUIRED = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")
_OPTIONAL = (
    "posedirs", "uv_coords", "uv_faces", "part_names", "face_parts", "extra_vertex_ids", "J_regressor_extra",
    "shape_names",
)  # fmt: skip
_GET_ONE = "leave the key empty to use the packaged body, or get SMPL_NEUTRAL from https://smpl.is.tue.mpg.de"


def load_body(source: str | Path | None = None) -> BodyModel:
    """Load a body.

    Args:
        source: an SMPL `.npz` or `.pkl` (chumpy is not needed); None for the packaged body. Where the file has no
            `J_regressor_extra`, a `J_regressor_extra.npy` beside it is used.

    Raises:
        InputError: the file is missing, damaged, hostile, or its arrays are missing or of the wrong shape.
    """
    path = PACKAGED_BODY if source is None else Path(source)
    arrays = _read(path)
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}; found {', '.join(sorted(arrays)) or 'nothing'}.\n"
            f"Expected an SMPL model with {', '.join(_REQUIRED)}"
        )
    return _build(path, arrays)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"body model {path} does not exist; expected an SMPL .npz or .pkl file.\nEither {_GET_ONE}")
    if path.suffix == ".npz":
        arrays = _read_npz(path)
    elif path.suffix == ".pkl":
        content = load_pickle(path)
        if not isinstance(content, dict):
            raise InputError(f"{path} holds a {type(content).__name__}; expected a dict of SMPL arrays")
        arrays = {str(key): value for key, value in content.items()}
    else:
        raise InputError(f"body model {path} ends in '{path.suffix}'; expected an SMPL .npz or .pkl file")
    extra = path.with_name(EXTRA_REGRESSOR_FILE)
    if "J_regressor_extra" not in arrays and extra.is_file():
        try:
            arrays["J_regressor_extra"] = np.load(extra, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{extra} is damaged ({error}); expected a [9, V] float array") from error
    return arrays


def _read_npz(path: Path) -> dict[str, Any]:
    key = ""
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                if key in _REQUIRED or key in _OPTIONAL:
                    arrays[key] = file[key]
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        where = f" at '{key}'" if key else ""
        raise InputError(
            f"{path} cannot be read{where} ({error}); expected a complete .npz of plain arrays (no pickled objects)"
        ) from error
    return arrays


class _Checker:
    """Turns the arrays of one file into tensors and reports what is wrong with them."""

    def __init__(self, path: Path, arrays: Mapping[str, Any]) -> None:
        self.path = path
        self.arrays = arrays

    def fault(self, key: str, found: str, expected: str) -> InputError:
        return InputError(f"{self.path}: '{key}' {found}; expected {expected}")

    def floats(self, key: str, shape: tuple[int | None, ...]) -> Tensor:
        """A finite float32 array; None in `shape` admits any size but 0."""
        array = self._array(key, "fiu", shape).astype(np.float32)
        if not np.isfinite(array).all():
            raise self.fault(key, "has values that are not finite", "finite numbers")
        return torch.from_numpy(np.ascontiguousarray(array))

    def indices(self, key: str, shape: tuple[int | None, ...], limit: int) -> Tensor:
        """An int64 array with values in [0, limit)."""
        array = self._array(key, "iu", shape).astype(np.int64)
        if array.size and (array.min() < 0 or array.max() >= limit):
            raise self.fault(key, f"has indices from {array.min()} to {array.max()}", f"indices in 0..{limit - 1}")
        return torch.from_numpy(np.ascontiguousarray(array))

    def names(self, key: str) -> tuple[str, ...]:
        if key not in self.arrays:
            return ()
        return tuple(str(name) for name in self._array(key, "US", (None,)))

    def _array(self, key: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
        array = np.asarray(self.arrays[key])
        wanted = "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
        if array.dtype.kind not in kinds:
            raise self.fault(key, f"has dtype {array.dtype}", f"{wanted} of {'text' if 'U' in kinds else 'numbers'}")
        fits = array.ndim == len(shape) and all(
            found > 0 and wish in (None, found) for found, wish in zip(array.shape, shape)
        )
        if not fits:
            raise self.fault(key, f"has shape {list(array.shape)}", wanted)
        return array


def _build(path: Path, arrays: dict[str, Any]) -> BodyModel:
    check = _Checker(path, arrays)
    joints = len(SMPL_PARENTS)
    template = check.floats("v_template", (None, 3))
    vertices = len(template)
    weights = check.floats("weights", (vertices, joints))
    if not torch.allclose(weights.sum(1), torch.ones(vertices), atol=1e-2):
        raise check.fault("weights", f"rows sum to {weights.sum(1).min():.3f}..{weights.sum(1).max():.3f}", "1")
    parents = _parents(check)
    faces = check.indices("f", (None, 3), vertices)
    posedirs = _posedirs(check, vertices)
    uv_coords, uv_faces = _texture(check, len(faces))
    part_names = check.names("part_names")
    picks, regressor_extra = None, None
    if "extra_vertex_ids" in arrays:
        picks = check.indices("extra_vertex_ids", (len(EXTRA_VERTICES),), vertices)
    elif vertices == _SMPL_VERTICES:
        picks = torch.tensor([SMPLX_VERTEX_IDS["smplh"][name] for name in EXTRA_VERTICES])
    if "J_regressor_extra" in arrays:
        regressor_extra = check.floats("J_regressor_extra", (len(EXTRA_JOINTS), vertices))
    return BodyModel(
        v_template=template,
        shapedirs=_shapedirs(check, vertices),
        J_regressor=check.floats("J_regressor", (joints, vertices)),
        lbs_weights=weights,
        faces=faces,
        parents=parents,
        posedirs=posedirs,
        uv_coords=uv_coords,
        uv_faces=uv_faces,
        part_names=part_names,
        face_parts=check.indices("face_parts", (len(faces),), len(part_names)) if part_names else None,
        extra_vertex_ids=picks,
        J_regressor_extra=regressor_extra,
        shape_names=check.names("shape_names"),
    )


def _parents(check: _Checker) -> tuple[int, ...]:
    # The root's parent is 2**32 - 1 in the published files; only the others are compared.
    table = check._array("kintree_table", "iu", (2, len(SMPL_PARENTS)))
    if tuple(int(parent) for parent in table[0][1:]) != SMPL_PARENTS[1:]:
        raise check.fault("kintree_table", f"has parents {table[0].tolist()}", f"SMPL's {list(SMPL_PARENTS)}")
    return SMPL_PARENTS


def _shapedirs(check: _Checker, vertices: int) -> Tensor:
    components = check.floats("shapedirs", (vertices, 3, None))[..., :NUM_BETAS]
    missing = NUM_BETAS - components.shape[-1]
    return torch.nn.functional.pad(components, (0, missing)).contiguous()


def _posedirs(check: _Checker, vertices: int) -> Tensor | None:
    if "posedirs" not in check.arrays:
        return None
    directions = check.floats("posedirs", (vertices, 3, 9 * (len(SMPL_PARENTS) - 1)))
    return directions if bool(directions.any()) else None


def _texture(check: _Checker, faces: int) -> tuple[Tensor | None, Tensor | None]:
    if not {"uv_coords", "uv_faces"} <= check.arrays.keys():
        return None, None
    coords = check.floats("uv_coords", (None, 2))
    return coords, check.indices("uv_faces", (faces, 3), len(coords))
