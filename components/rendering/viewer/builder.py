"""Builds the viewer page: template, style, script and data in one file without any reference to another one."""

import base64
import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.body.skeleton import SMPL_JOINTS
from components.errors import InputError
from components.files.atomic import write_text
from components.geometry.meshes import vertex_normals
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from components.media.gltf import largest_weights
from components.rendering.motion_films import settled
from components.rendering.motion_gallery import GalleryItem
from components.rendering.outfits import OUTFITS, face_pieces
from components.rendering.scene import BODY_COLORS
from components.rendering.viewer.light_mesh import light_faces

# In this order they make one script.
_SCRIPTS = ("vectors.js", "motions.js", "camera.js", "gl_view.js", "canvas_view.js", "app.js")
# Indices are 16 bits wide.
_MOST_VERTICES = 65535


def write_viewer(path: str | Path, items: Sequence[GalleryItem], body: BodyModel, title: str = "Troupe") -> Path:
    """Write the page.

    Args:
        path: ends in `.html`; appears whole or not at all.
        items: the motions, those of a group in one tab; all of one frame rate and one shape of the body.
        body: moves in the page by linear blend skinning (without SMPL's pose blend shapes). Its mesh is inside the
            file: who may not share the body may not share the page.
        title: of the page.

    Raises:
        InputError: nothing to show, a body too large for the page, or the file cannot be written.
    """
    write_text(path, viewer_page(items, body, title))
    return Path(path)


def viewer_page(items: Sequence[GalleryItem], body: BodyModel, title: str = "Troupe") -> str:
    """The page as text; see `write_viewer`.

    Raises:
        InputError: nothing to show, or a body too large for the page.
    """
    if not items:
        raise InputError("the viewer has nothing to show: no motions were given")
    # The data are no script and reach the page as text alone, so that no name in them can do anything.
    data = json.dumps(viewer_data(items, body, title), separators=(",", ":")).replace("<", "\\u003c")
    page = _template("viewer.html")
    parts = {
        "/*@STYLE@*/": _template("viewer.css"),
        "/*@SCRIPT@*/": "\n".join(_template(name) for name in _SCRIPTS),
        "@DATA@": data,
        # Last, as the first mark of that name: a title may hold anything.
        "@TITLE@": html.escape(title),
    }
    for mark, text in parts.items():
        before, found, after = page.partition(mark)
        assert found, f"viewer.html has no {mark}"
        page = before + text + after
    return page


def viewer_data(items: Sequence[GalleryItem], body: BodyModel, title: str) -> dict[str, Any]:
    """What the page shows, as plain containers; arrays are base64 of little-endian numbers."""
    first = items[0].motion
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(_motion(item, body))
    names, colors, mesh = _mesh(body, first.betas)
    return {
        "title": title,
        "fps": first.fps,
        "body": mesh,
        "pieces": names,
        "outfits": colors,
        "tabs": [{"name": name, "motions": motions} for name, motions in groups.items()],
    }


def _motion(item: GalleryItem, body: BodyModel) -> dict[str, Any]:
    """Rotation vectors in steps of pi / 32767, translations in steps of their largest value / 32767."""
    motion: BodyMotion = settled(item.motion, body)
    turns = matrix_to_axis_angle(axis_angle_to_matrix(motion.poses.unflatten(-1, (24, 3))))  # no longer than pi
    reach = max(float(motion.trans.abs().max()), 1e-3)
    return {
        "caption": item.caption,
        "frames": len(motion.poses),
        "poses": _packed(turns.flatten(1).numpy() / np.pi * 32767, "<i2"),
        "trans": _packed(motion.trans.numpy() / reach * 32767, "<i2"),
        "reach": reach,
        "labels": _labels(motion),
    }


def _labels(motion: BodyMotion) -> list[list[Any]]:
    """Frames at which another label begins, with its text; empty where there is one label alone."""
    changes: list[list[Any]] = []
    for frame, (action, second) in enumerate(motion.frame_actions):
        text = (action if action == second else f"{action} + {second}").replace("_", " ")
        if not changes or changes[-1][1] != text:
            changes.append([frame, text])
    return changes


def _mesh(
    body: BodyModel, betas: torch.Tensor | None
) -> tuple[list[str], list[list[tuple[float, ...]]], dict[str, Any]]:
    """Names of the pieces of clothing, their colours in each outfit, and the mesh at rest."""
    rest = body.rest(None if betas is None else betas.to(body.v_template))
    points, joints = rest.vertices[0].cpu(), rest.joints[0].cpu()
    faces, parts = light_faces(body)
    if parts is None:
        names, pieces = ["body"], torch.zeros(len(faces), dtype=torch.int64)
        colors: list[list[tuple[float, ...]]] = [[tuple(color)] for color in BODY_COLORS]
    else:
        named, pieces = face_pieces(body.part_names, parts)
        names = [name for name, _ in named]
        colors = [[tuple(color) for _, color in face_pieces(body.part_names, parts, n)[0]] for n in range(len(OUTFITS))]
    # A vertex on the hem of a piece is there once for each side: the line between two colours is sharp.
    keys = faces * len(names) + pieces[:, None]
    corners, indices = np.unique(keys.numpy(), return_inverse=True)
    if len(corners) > _MOST_VERTICES:
        raise InputError(f"the viewer draws bodies of up to {_MOST_VERTICES} vertices, and this one has {len(corners)}")
    kept = torch.from_numpy(corners // len(names))
    normals = vertex_normals(points, body.faces.cpu())[kept].numpy()
    low, high = points.amin(0).numpy(), points.amax(0).numpy()
    influences, weights = largest_weights(body.lbs_weights.cpu().numpy()[kept.numpy()])
    shares = np.round(weights * 255)
    shares[:, 0] += 255 - shares.sum(1)
    return (
        names,
        colors,
        {
            "low": low.tolist(),
            "high": high.tolist(),
            "positions": _packed((points[kept].numpy() - low) / (high - low) * 65535, "<u2"),
            "normals": _packed(normals * 127, "i1"),
            "joints": _packed(influences, "u1"),
            "weights": _packed(shares, "u1"),
            "colors": _packed(corners % len(names), "u1"),
            "faces": _packed(indices.reshape(-1), "<u2"),
            "rest": [[round(value, 5) for value in joint] for joint in joints.tolist()],
            "parents": list(body.parents),
            "names": list(SMPL_JOINTS),
        },
    )


def _packed(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.round(values).astype(dtype).tobytes()).decode("ascii")


def _template(name: str) -> str:
    return resources.files("components.rendering.viewer").joinpath(name).read_text(encoding="utf-8")
