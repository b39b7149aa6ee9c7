"""The packaged body with fewer triangles, for pages that carry their mesh along.

`python -m components.rendering.viewer.light_mesh` makes the stored triangles again (about ten seconds).
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.body.builder.decimation import decimate
from components.body.loader import load_body
from components.body.model import BodyModel
from components.files.atomic import atomic_path

LIGHT_FACES = Path(__file__).parent / "light_faces.npz"
_VERTICES = 2400
# Removing vertices of small, looked-at parts costs more.
_IMPORTANCE = {"head": 2.0, "left_hand": 1.5, "right_hand": 1.5, "eyes": 0.3}


def build_light_faces(body: BodyModel, vertices: int = _VERTICES) -> tuple[np.ndarray, np.ndarray]:
    """Triangles `[F', 3]` over a subset of the body's vertices, and the part of each, `[F']`."""
    assert body.uv_coords is not None
    assert body.uv_faces is not None
    assert body.face_parts is not None
    importance = np.ones(body.num_vertices)
    for number, part in enumerate(body.part_names):
        importance[body.faces[body.face_parts == number].flatten().numpy()] = _IMPORTANCE.get(part, 1.0)
    # A texture coordinate is there once for each part around it: borders of parts are seams and stay on their lines.
    count = len(body.part_names)
    keys = body.uv_faces.numpy() * count + body.face_parts.numpy()[:, None]
    corners, corner_faces = np.unique(keys, return_inverse=True)
    coords = body.uv_coords.double().numpy()[corners // count]
    faces, kept = decimate(
        body.v_template.double().numpy(), body.faces.numpy(), coords, corner_faces.reshape(-1, 3), importance, vertices
    )
    return faces.astype(np.uint16), (corners[kept[:, 0]] % count).astype(np.uint8)


def light_faces(body: BodyModel) -> tuple[Tensor, Tensor | None]:
    """Triangles `[F, 3]` and their parts `[F]`: the stored ones for the packaged body, all of any other body."""
    with np.load(LIGHT_FACES, allow_pickle=False) as file:
        if str(file["digest"]) == _digest(body):
            return torch.from_numpy(file["faces"].astype(np.int64)), torch.from_numpy(file["parts"].astype(np.int64))
    return body.faces.cpu(), None if body.face_parts is None else body.face_parts.cpu()


def _digest(body: BodyModel) -> str:
    """Tells whether a body has the triangles of the packaged one."""
    return hashlib.sha256(body.faces.cpu().numpy().astype("<i8").tobytes()).hexdigest()


def main() -> None:
    """Write the stored triangles."""
    body = load_body()
    faces, parts = build_light_faces(body)
    with atomic_path(LIGHT_FACES) as temporary:
        np.savez_compressed(temporary, faces=faces, parts=parts, digest=np.array(_digest(body)))
    print(f"{LIGHT_FACES}: {len(np.unique(faces))} vertices, {len(faces)} triangles")


if __name__ == "__main__":
    main()
