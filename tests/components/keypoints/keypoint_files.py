"""Small keypoint files in the forms that estimators and people write."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from components.keypoints.joint_orders import COCO17_FROM, JOINT_COUNTS


def person(x: float, y: float = 100.0, size: float = 40.0) -> np.ndarray:
    """COCO-17 `[17, 3]`: joints on a grid, all of them sure."""
    grid = np.stack([x + size * (np.arange(17) % 4) / 4, y + size * (np.arange(17) // 4), np.full(17, 0.9)], axis=1)
    return grid.astype(np.float32)


def in_order(coco: np.ndarray, order: str) -> np.ndarray:
    """COCO-17 joints at their places in another order; the others far away, so that a wrong mapping is seen."""
    joints = np.full((JOINT_COUNTS[order], 3), 900.0, dtype=np.float32)
    joints[list(COCO17_FROM[order])] = coco
    return joints


def write_openpose(folder: Path, frames: list[list[np.ndarray]], order: str = "body25", first: int = 0) -> Path:
    """One json per frame, its persons given as COCO-17."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, persons in enumerate(frames, start=first):
        people = [{"person_id": [-1], "pose_keypoints_2d": in_order(p, order).ravel().tolist()} for p in persons]
        path = folder / f"clip_{number:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def write_coco(path: Path, clips: dict[str, list[list[np.ndarray]]], **more: Any) -> Path:
    """Images `<clip>/<frame>.jpg` and the persons in them."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for clip, frames in clips.items():
        for number, persons in enumerate(frames):
            # Not in the order of time: the reader has to sort.
            images.insert(
                0, {"id": len(images), "file_name": f"{clip}/{number}.jpg", "height": 240, "width": 320, **more}
            )
            for joints in persons:
                annotations.append({"image_id": images[0]["id"], "keypoints": joints.ravel().tolist()})
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


_ESTIMATOR = """
import json, sys
header = json.loads(sys.stdin.buffer.readline())
print("noise on standard error", file=sys.stderr)
print(json.dumps({"joints": "coco17"}), flush=True)
size = header["width"] * header["height"] * 3
while len(raw := sys.stdin.buffer.read(size)) == size:
    red = raw[0]
    BODY
    print(json.dumps({"persons": persons}), flush=True)
"""


def estimator(folder: Path, body: str = "persons = [[[red + j, 2 * j, 0.5] for j in range(17)]]") -> list[str]:
    """A command that speaks the estimators' protocol: the first pixel's red is where the person stands."""
    path = folder / "estimator.py"
    path.write_text(_ESTIMATOR.replace("BODY", body))
    return [sys.executable, "-S", str(path)]
