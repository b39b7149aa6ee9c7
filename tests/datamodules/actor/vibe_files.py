"""Small NTU13 and UESTC folders in the layouts of the published files."""

import pickle
from pathlib import Path

import joblib
import numpy as np

# A, view and side as the published rules tell them apart: front, fixed view of the other side, moving camera.
UESTC_NAMES = (
    "a0_d0_p001_c1_color.avi", "a1_d2_p002_c2_color.avi", "a0_d8_p001_c2_color.avi", "a1_d6_p003_c1_color.avi",
    "a0_d5_p118_c2_color.avi", "a0_d8_p004_c1_color.avi",
)  # fmt: skip

ACTIONS = ("punching and kicking", "jumping jack")


def motion(seed: int, frames: int, dtype=np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "pose": rng.normal(0, 0.4, (frames, 72)).astype(dtype),
        "joints3d": rng.normal(0, 0.4, (frames, 49, 3)).astype(dtype),
        "orig_cam": (np.array([1.1, 1.2, 0.1, 0.2]) + rng.normal(0, 0.02, (frames, 4))).astype(dtype),
    }


def write_ntu13(folder: Path, entries: dict[str, object], compress: int | tuple = 0) -> Path:
    """`entries`: relative path -> content of the joblib file."""
    for entry, content in entries.items():
        path = folder / entry
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(content, path, compress=compress)
    (folder / "ntu_vibe_list.txt").write_text("\n".join(entries) + "\n")
    return folder


def write_uestc(
    folder: Path, frames=(40, 50, 45, 60, 44, 30), minima=(40, 44, 45, 50, 60, 30), actions=ACTIONS
) -> Path:
    (folder / "info").mkdir(parents=True, exist_ok=True)
    motions = [motion(seed, count) for seed, count in enumerate(frames)]
    content = {key: [entry[key] for entry in motions] for key in ("pose", "joints3d", "orig_cam")}
    content["frame_ids"] = [np.arange(count) for count in frames]
    (folder / "vibe_cache_refined.pkl").write_bytes(pickle.dumps(content))
    (folder / "info" / "names.txt").write_text("\n".join(UESTC_NAMES) + "\n")
    (folder / "info" / "num_frames_min.txt").write_text("\n".join(map(str, minima)) + "\n")
    (folder / "info" / "action_classes.txt").write_text("\n".join(actions) + "\n")
    return folder
